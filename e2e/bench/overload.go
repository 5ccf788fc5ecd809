package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// What a rerankd is put under, and the goals.
const (
	clusterTakes  = 5 * time.Millisecond
	overWindow    = 50  // hits of a search
	passRate      = 50  // requests a second that are no searches: few, so that neither they nor their measuring count as load
	overTimes     = 10  // capacity
	goalKept      = 90  // % of the peak documents a second that is still scored
	goalPassing   = 2   // times the idle latency
	goalOvershoot = 20  // ms at the 99th percentile
	longest       = 300 // searches in a round: as many are made, so that none comes twice
)

// overload puts ten times as many searches on the program as it can rank. The first subject stands for all.
//
// Load, cluster and program share the machine, as they do where one is used. The load is a few tens of requests a second, and is no measurable
// part of the processors' time beside the model's.
func overload(ctx context.Context, out io.Writer, dir string, o options) error {
	all, err := subjects(o)
	if err != nil {
		return err
	}
	s := all[0]
	texts, err := openCorpus(o.texts(), 6)
	if err != nil {
		return err
	}
	searches := newQueries(texts.searches(longest*o.rounds, overWindow))
	cluster := startCluster(clusterTakes, searches.answer)
	defer cluster.Close()
	program, url, err := startRerankd(ctx, dir, setting{source: s.directory, precision: s.precision, window: overWindow, budget: fmt.Sprintf("%dms", budget)}, cluster.URL, o)
	if err != nil {
		return err
	}
	defer program.stop()
	if err := awaitAnswer(ctx, url, searches, 0); err != nil {
		return err
	}

	const page = 10
	lasts := o.duration
	var peak, kept series      // documents a second
	var idle, passed []float64 // ms of requests that are no searches
	var took, calm []float64   // ms of searches: under overload, and with two at once
	reasons := map[string]int{}
	for round := range o.rounds {
		o.progress("%v, overload: round %d of %d", s, round+1, o.rounds)
		some, err := passing(ctx, url, passRate, lasts)
		if err != nil {
			return err
		}
		idle = append(idle, some...)

		// The peak is what is scored with as many searches at once as keep it busy.
		most := 0.0
		for _, clients := range []int{2, 4} {
			began := time.Now()
			t := closed(ctx, url, searches, clients, page, budget*time.Millisecond, lasts)
			if t.failed != nil {
				return t.failed
			}
			most = max(most, float64(t.scored)/time.Since(began).Seconds())
			if clients == 2 {
				calm = append(calm, t.took...)
			}
		}
		peak = append(peak, most)

		pass := make(chan error, 1)
		go func() {
			some, err := passing(ctx, url, passRate, lasts)
			passed = append(passed, some...)
			pass <- err
		}()
		began := time.Now()
		t := open(ctx, url, searches, overTimes*most/overWindow, page, lasts)
		ended := time.Since(began)
		if err := <-pass; err != nil {
			return err
		}
		if t.failed != nil {
			return t.failed
		}
		kept = append(kept, float64(t.scored)/ended.Seconds())
		took = append(took, t.took...)
		for reason, n := range t.reasons {
			reasons[reason] += n
		}
	}

	share := kept.over(peak).scaled(100)
	over := func(took []float64) []float64 {
		late := slices.Clone(took)
		for i := range late {
			late[i] = max(0, late[i]-budget-milliseconds(clusterTakes))
		}
		return late
	}
	fmt.Fprintf(out, "\n### Overload: %s, %s, windows of %d, budget %d ms, a cluster that takes %v\n\n", s.name, s.precision, overWindow, budget, clusterTakes)
	fmt.Fprintf(out, "%d rounds of %v each. At %d times capacity %d searches came: %s.\n\n| | got | goal |\n|---|---|---|\n", o.rounds, lasts, overTimes, len(took), what(reasons))
	fmt.Fprintf(out, "| documents a second at the peak (the better of 2 and 4 searches at once) | %s | |\n", peak)
	fmt.Fprintf(out, "| … at %d times capacity | %s, of the peak %s %% | %s |\n", overTimes, kept, share, reaches(share.median(), goalKept))
	for _, q := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		before, after := quantile(idle, q.share), quantile(passed, q.share)
		fmt.Fprintf(out, "| requests that are no searches, ms, %s: idle, at %d times capacity | %s, %s | ≤ %d ×: %s |\n", q.name, overTimes, figure(before), figure(after), goalPassing, against(after/before, goalPassing))
	}
	late := quantile(over(took), 0.99)
	fmt.Fprintf(out, "| later than cluster and budget, p99, at %d times capacity | %s ms | ≤ %d: %s |\n", overTimes, figure(late), goalOvershoot, against(late, goalOvershoot))
	late = quantile(over(calm), 0.99)
	fmt.Fprintf(out, "| … with 2 searches at once | %s ms | ≤ %d: %s |\n", figure(late), goalOvershoot, against(late, goalOvershoot))
	return nil
}
