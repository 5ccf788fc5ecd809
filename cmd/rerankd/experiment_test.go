package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
	"github.com/rerankd/rerankd/proxy/search"
)

// Package experiment knows the reasons for a fault by their words alone.
func TestFaultsAreReasons(t *testing.T) {
	for _, fault := range experiment.Faults {
		if !slices.Contains(search.Reasons(), search.Reason(fault)) {
			t.Errorf("%q is no reason that X-Rerank gives", fault)
		}
	}
}

// cmdTraffic writes the records of simulated people: traffic KIND FILE. KIND is split, interleaved, nothing (an A/A), short, broken, lost or ramp;
// a FILE that ends in .gz is compressed.
func cmdTraffic(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: traffic KIND FILE")
	}
	variants := []experiment.Variant{{Name: "lexical", Share: 1}, {Name: "reranked", Share: 1}}
	traffic := simulate.Traffic{
		World:      simulate.World{Seed: 1, Queries: 100, Hits: 20, Control: 1.5},
		Population: simulate.Population{Seed: 2, Model: simulate.DCM{Continue: []float64{0.5}, Patience: 0.9}, Careless: 0.05, Keen: 0.5, Tail: 1.3, Most: 50},
		Experiment: experiment.Experiment{Name: "reranked-vs-lexical", Variants: variants, Share: 1, Phase: "100%"},
		Users:      1500, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Gap: 5 * time.Minute, Next: 0.1, Fallback: 0.01, Unknown: 0.05,
	}
	kind := args[0]
	switch kind {
	case "split", "ramp", "lost":
	case "interleaved":
		traffic.Experiment.Interleave, traffic.Users = true, 600
	case "nothing":
		traffic.World.Same = true
	case "short":
		traffic.Users = 50
	case "broken":
		traffic.Fallback = 0.5
	default:
		ts.Fatalf("there is no traffic of kind %s", kind)
	}
	ramp := []experiment.Experiment{traffic.Experiment}
	if kind == "ramp" {
		ramp = []experiment.Experiment{traffic.Experiment, traffic.Experiment}
		ramp[0].Phase, ramp[0].Share = "50%", 0.5
	}
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for i, e := range ramp {
		traffic.Experiment, traffic.First = e, i*traffic.Users
		traffic.Start = traffic.Start.Add(time.Duration(i*traffic.Users) * traffic.Gap)
		for r := range traffic.Records() {
			// What is lost: half of the reranked pages.
			if kind == "lost" && r.Impression != nil && r.Impression.Variant == "reranked" && r.Impression.Client < "q" {
				continue
			}
			ts.Check(lines.Encode(r))
		}
	}
	file := b.Bytes()
	if strings.HasSuffix(args[1], ".gz") {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, err := w.Write(file)
		ts.Check(err)
		ts.Check(w.Close())
		file = z.Bytes()
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), file, 0o600))
}
