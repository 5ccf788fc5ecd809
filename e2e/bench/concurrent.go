package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"
)

// The goals with several searches at once.
const (
	atOnce         = 8
	goalConcurrent = 1.25 // times the documents a second of the best of the others
	goalWithin     = 99   // % of the answers that are no later than the budget and the grace
	budget         = 300  // ms
	grace          = 20   // ms
)

// concurrent measures eight searches at once: documents a second beside the best of the others, and whether answers keep to a budget.
func (s subject) concurrent(ctx context.Context, out io.Writer, dir string, o options) error {
	texts, err := openCorpus(o.texts(), 5)
	if err != nil {
		return err
	}
	others, err := s.contenders(ctx, o)
	if err != nil {
		return err
	}
	best, err := bestBatch(others, texts, o)
	if err != nil {
		return err
	}
	name, theirs, err := s.bestConcurrency(others, texts, best, o)
	if err != nil {
		return err
	}

	all := newQueries(texts.searches(atOnce*(o.rounds+40), window))
	cluster := startCluster(0, all.answer)
	defer cluster.Close()
	patient := s.setting()
	program, url, err := startRerankd(ctx, dir, patient, cluster.URL, o)
	if err != nil {
		return err
	}
	defer program.stop()
	if err := awaitAnswer(ctx, url, all, window); err != nil {
		return err
	}
	var ours, rate series // documents a second
	for round := range o.rounds {
		o.progress("%v, %d at once: round %d of %d", s, atOnce, round+1, o.rounds)
		if err := settle(others, program); err != nil {
			return err
		}
		began := time.Now()
		t := closed(ctx, url, all, atOnce, window, 0, 0) // Each client asks once.
		if t.failed == nil && t.scored != atOnce*window {
			t.failed = fmt.Errorf("%d of %d documents were scored: %s", t.scored, atOnce*window, what(t.reasons))
		}
		if t.failed != nil {
			return t.failed
		}
		ours = append(ours, float64(t.scored)/time.Since(began).Seconds())
		if err := settle(others, program); err != nil {
			return err
		}
		theirs.Searches = texts.searches(atOnce, window)
		took, _, err := once(others, theirs)
		if err != nil {
			return err
		}
		rate = append(rate, 1000*atOnce*window/took)
	}
	if err := others.close(); err != nil {
		return err
	}

	o.progress("%v, %d at once, within a budget", s, atOnce)
	bounded := patient
	bounded.budget = fmt.Sprintf("%dms", budget)
	hasty, hastyURL, err := startRerankd(ctx, dir, bounded, cluster.URL, o)
	if err != nil {
		return err
	}
	defer hasty.stop()
	if err := awaitAnswer(ctx, hastyURL, all, 0); err != nil {
		return err
	}
	const lasts = 10 * time.Second
	t := closed(ctx, hastyURL, all, atOnce, 10, budget*time.Millisecond, lasts)
	if t.failed != nil {
		return t.failed
	}
	kept := within(t.took, budget+grace)
	ratio := ours.over(rate)
	fmt.Fprintf(out, "\n### %s, %s: %d searches of %d documents at once\n\n| | |\n|---|---|\n", s.name, s.precision, atOnce, window)
	fmt.Fprintf(out, "| rerankd, over HTTP | %s documents a second |\n", ours)
	fmt.Fprintf(out, "| the best of the others: %s | %s documents a second |\n", name, rate)
	fmt.Fprintf(out, "| ratio | %s (goal %s) |\n", ratio, reaches(ratio.median(), goalConcurrent))
	fmt.Fprintf(out, "| with a budget of %d ms: %d answers (%s) | %s documents a second scored |\n", budget, len(t.took), what(t.reasons), figure(float64(t.scored)/lasts.Seconds()))
	fmt.Fprintf(out, "| … within %d ms, the cluster's time and the client's included | %s %% (goal %s), p50 %s ms, p99 %s ms |\n", budget+grace, figure(kept), reaches(kept, goalWithin),
		figure(quantile(t.took, 0.5)), figure(quantile(t.took, 0.99)))
	return nil
}

// bestConcurrency is the way in which Python scores the most documents a second with several searches to do.
func (s subject) bestConcurrency(others *python, texts *corpus, batch int, o options) (string, request, error) {
	name, best, least := "", request{}, math.Inf(1)
	for _, try := range []struct {
		name string
		request
	}{
		{fmt.Sprintf("sentence-transformers, batches of %d, a search at a time", batch), request{Way: "batches", Batch: batch, AtOnce: 1}},
		{fmt.Sprintf("sentence-transformers, batches of %d, 2 threads of Python with a session of one thread each", batch), request{Way: "batches", Batch: batch, AtOnce: 2, Threads: 1}},
		{fmt.Sprintf("sentence-transformers, batches of %d, 8 threads of Python with a session of one thread each", batch), request{Way: "batches", Batch: batch, AtOnce: 8, Threads: 1}},
		{"one pair a run, a search at a time, 2 threads", request{Way: "single", AtOnce: 1, Threads: 2}},
	} {
		o.progress("%v, %d at once: trying %s", s, atOnce, try.name)
		try.Searches = texts.searches(atOnce, window)
		took, _, err := once(others, try.request)
		if err != nil {
			return "", request{}, err
		}
		if took < least {
			name, best, least = try.name, try.request, took
		}
	}
	return name, best, nil
}

// awaitAnswer searches until an answer is ranked, with so many documents scored at least.
func awaitAnswer(ctx context.Context, url string, all *queries, least int) error {
	client := newClient()
	defer client.CloseIdleConnections()
	var last answered
	for range 100 {
		a, err := ask(ctx, client, url, all.next(), 0, window)
		if err != nil {
			return err
		}
		if a.reason() == "applied" && a.scored() >= least {
			return nil
		}
		last = a
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("no search is ranked: X-Rerank: %s", last.said)
}
