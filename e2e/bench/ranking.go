package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/onnx"
)

// A way of ranking, by rerankd or by something else on the same model and texts.
type way struct {
	name     string
	wall     series // ms a search, one figure a round
	cpu      series // the same in processor time; none where it is not known
	greatest float64
}

// ranking measures searches of 50 hits from end to end, before a cluster that answers at once.
func ranking(ctx context.Context, out io.Writer, dir string, o options) error {
	all := texts(o.rounds * o.searches) // None is asked twice, so no cache can help.
	files, err := model.Embedded()
	if err != nil {
		return err
	}
	tokens, err := countTokens(files, all)
	if err != nil {
		return fmt.Errorf("counting tokens: %w", err)
	}

	first := texts(1)[0]
	first.Query = "warm up"
	rerankd, err := serveAnswers(ctx, dir, setting{window: hits}, first, o)
	if err != nil {
		return err
	}
	defer rerankd.stop()

	other, err := startPadded(ctx, dir, o.python, files)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ours := &way{name: "rerankd, over HTTP, one pair a run"}
	var theirs []*way
	for round := range o.rounds {
		part := all[round*o.searches : (round+1)*o.searches]
		scores, err := ours.search(ctx, rerankd, part)
		if err != nil {
			return err
		}
		if other == nil {
			continue
		}
		var results []result
		if err := other.ask(part, &results); err != nil {
			return err
		}
		for i, result := range results {
			if len(theirs) <= i {
				theirs = append(theirs, &way{name: result.Name})
			}
			theirs[i].wall = append(theirs[i].wall, result.Milliseconds)
			theirs[i].cpu = append(theirs[i].cpu, result.CPU)
			theirs[i].greatest = max(theirs[i].greatest, greatestDifference(scores, result.Scores))
		}
	}

	documents := float64(len(all) * hits)
	fmt.Fprintf(out, "\n### A search with %d hits ranked, from end to end\n\n", hits)
	fmt.Fprintf(out, "Embedded model (%s, digest %.12s), ONNX Runtime %s; %.0f tokens a pair on average, query and document; %d searches a round, one after the other, all cores free to use.\n\n",
		files.Precision, files.Digest, onnx.Version(), float64(tokens)/documents, o.searches)
	fmt.Fprintln(out, "| way | ms a search | ms a document | µs a token | ms CPU a document | rerankd is faster by | greatest difference of a logit |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|")
	perToken := 1000 * documents / float64(tokens)
	row := func(w *way, ratio, difference string) {
		perDocument := w.wall.scaled(1. / hits)
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", w.name, w.wall, perDocument, perDocument.scaled(perToken), w.cpu.scaled(1./hits), ratio, difference)
	}
	row(ours, "1", "–")
	for _, w := range theirs {
		row(w, w.wall.over(ours.wall).String()+" ×", figure(w.greatest))
	}
	if other == nil {
		fmt.Fprintf(out, "\nNot compared with Python: %v. To compare:\n\n    python3 -m venv .cache/bench/venv\n    .cache/bench/venv/bin/pip install -r e2e/bench/requirements.txt\n", err)
		return nil
	}
	fmt.Fprintf(out, "\nPython: %s.\n", other.versions)
	return other.close()
}

func countTokens(files *model.Files, all []judgement) (int, error) {
	m, err := onnx.Open(files, onnx.Options{})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	sum := 0
	for _, j := range all {
		tokens, err := lengths(m, j)
		if err != nil {
			return 0, err
		}
		for _, n := range tokens {
			sum += n
		}
	}
	return sum, nil
}

// search takes one round: the mean over its searches.
func (w *way) search(ctx context.Context, rerankd *served, part []judgement) ([][]float64, error) {
	before, err := rerankd.program.cpu()
	if err != nil {
		return nil, err
	}
	var all [][]float64
	began := time.Now()
	for _, j := range part {
		scores, err := rerankd.search(ctx, j)
		if err != nil {
			return nil, err
		}
		all = append(all, scores)
	}
	took := time.Since(began)
	after, err := rerankd.program.cpu()
	if err != nil {
		return nil, err
	}
	n := float64(len(part))
	w.wall = append(w.wall, took.Seconds()*1000/n)
	w.cpu = append(w.cpu, (after-before).Seconds()*1000/n)
	return all, nil
}

func (s series) scaled(by float64) series {
	return s.pair(s, func(a, _ float64) float64 { return a * by })
}

func greatestDifference(a, b [][]float64) float64 {
	most := 0.0
	for i := range a {
		for k := range a[i] {
			most = max(most, math.Abs(a[i][k]-b[i][k]))
		}
	}
	return most
}

// A result is one way's answer to one round.
type result struct {
	Name         string      `json:"name"`
	Milliseconds float64     `json:"milliseconds"` // a search
	CPU          float64     `json:"cpu"`          // ms a search
	Scores       [][]float64 `json:"scores"`
}

// startPadded runs padded.py: what one would write in Python around the same model.
func startPadded(ctx context.Context, dir, interpreter string, files *model.Files) (*python, error) {
	graph, tokenizer := filepath.Join(dir, "model.onnx"), filepath.Join(dir, "tokenizer.json")
	if err := errors.Join(os.WriteFile(graph, files.Graph, 0o600), os.WriteFile(tokenizer, files.Tokenizer, 0o600)); err != nil {
		return nil, err
	}
	return startPython(ctx, interpreter, "e2e/bench/padded.py", graph, tokenizer, strconv.Itoa(files.MaxLength))
}
