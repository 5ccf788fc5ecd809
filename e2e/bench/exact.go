package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"

	"github.com/rerankd/rerankd/rerank/schedule"
)

// goalReference is how far an fp32 logit may be from PyTorch's.
const goalReference = 1e-4

// exact compares scores: with the reference, and with themselves from load to load, from page to page and from start to start.
func (s subject) exact(ctx context.Context, out io.Writer, dir string, o options) error {
	o.progress("%v: comparing scores", s)
	texts, err := openCorpus(o.texts(), 2)
	if err != nil {
		return err
	}
	j := texts.searches(1, window)[0]
	first, err := s.fresh(ctx, j)
	if err != nil {
		return err
	}
	again, err := s.fresh(ctx, j)
	if err != nil {
		return err
	}
	backwards := judgement{j.Query, slices.Clone(j.Docs[window/2:])} // a half of them, the last first
	slices.Reverse(backwards.Docs)
	company, err := s.fresh(ctx, backwards)
	if err != nil {
		return err
	}
	slices.Reverse(company)

	var served [2][]float64 // by the program, started twice: a page of all, and two pages of a half each
	for k := range served {
		if served[k], err = s.pages(ctx, dir, o, j, []int{window, window / 2}[k]); err != nil {
			return err
		}
	}

	others, err := s.contenders(ctx, o)
	if err != nil {
		return err
	}
	_, reference, err := once(others, request{Way: "reference", Batch: 1, AtOnce: 1, Searches: []judgement{j}})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n### %s, %s: scores\n\n| compared with rerankd in process | greatest difference of %d logits (they are from %s to %s) |\n|---|---|\n",
		s.name, s.precision, window, figure(slices.Min(first)), figure(slices.Max(first)))
	type row struct {
		name string
		got  []float64
		goal float64
	}
	rows := []row{
		{"itself, loaded anew", again, 0},
		{"itself, half of the documents in the opposite order", append(slices.Clone(first[:window/2]), company...), 0},
		{"the program, one page", served[0], 0},
		{"the program, started anew, two pages", served[1], 0},
	}
	if s.precision == "fp32" {
		rows = append(rows, row{"PyTorch", reference, goalReference})
	}
	for _, row := range rows {
		most := greatestDifference([][]float64{first}, [][]float64{row.got})
		fmt.Fprintf(out, "| %s | %.2g (goal ≤ %g: %s) |\n", row.name, most, row.goal, against(most, row.goal))
	}
	if s.precision != "fp32" {
		_, whole, err := once(others, request{Way: "single", Batch: 1, AtOnce: 1, Searches: []judgement{j}})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\nFrom PyTorch's fp32 logits rerankd is %s away on average, and the whole graph, in ONNX Runtime in Python, %s.\n",
			figure(meanDifference(reference, first)), figure(meanDifference(reference, whole)))
	}
	return others.close()
}

// meanDifference is the mean of the absolute differences.
func meanDifference(a, b []float64) (mean float64) {
	for i := range a {
		mean += math.Abs(a[i]-b[i]) / float64(len(a))
	}
	return mean
}

// fresh scores a search by a model that is newly loaded.
func (s subject) fresh(ctx context.Context, j judgement) ([]float64, error) {
	scheduled, err := s.warm(ctx, schedule.Options{})
	if err != nil {
		return nil, err
	}
	defer scheduled.Close()
	return scoreAll(ctx, scheduled, j)
}

// pages are the scores that a newly started program shows, in pages of a size, in the cluster's order.
func (s subject) pages(ctx context.Context, dir string, o options, j judgement, size int) ([]float64, error) {
	rerankd, err := serveAnswers(ctx, dir, s.setting(), judgement{"warm up", j.Docs[:2]}, o)
	if err != nil {
		return nil, err
	}
	defer rerankd.stop()
	rerankd.tell(j)
	var all answered
	for from := 0; from < window; from += size {
		page, err := ask(ctx, http.DefaultClient, rerankd.url, j.Query, from, size)
		if err != nil {
			return nil, err
		}
		all.ids, all.scores = append(all.ids, page.ids...), append(all.scores, page.scores...)
		if from == 0 {
			all.said = page.said
		}
	}
	scores, err := all.inOrder(window)
	for i := range scores {
		scores[i] = float64(float32(scores[i])) // It is written with as many digits as tell a float32 from all others.
	}
	return scores, err
}
