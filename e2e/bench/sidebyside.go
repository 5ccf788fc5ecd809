package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/rerankd/rerankd/rerank/onnx"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// A competitor is one way of scoring a search.
type competitor struct {
	name  string
	goal  float64 // how many times as long as rerankd it is to take; 0 is none
	score func(context.Context, judgement) (milliseconds float64, scores []float64, err error)

	wall     series
	greatest float64 // difference of a logit from rerankd's
}

// The goals for a search of 100 documents in the shape of MiniLM on two cores: how many times as long as rerankd the others take.
var goals = map[string]struct{ batch32, best, padded, single, bound float64 }{
	"minilm int8": {batch32: 2.5, best: 1.4, padded: 5, single: 1.3, bound: 0.6},
	"minilm fp32": {batch32: 2.3, best: 1.1, padded: 3.8, single: 1.1},
}

// sidebyside times the same searches by rerankd and by what one would use instead.
func (s subject) sidebyside(ctx context.Context, out io.Writer, dir string, o options) error {
	texts, err := openCorpus(o.texts(), 1)
	if err != nil {
		return err
	}
	m, err := s.open() // to count tokens
	if err != nil {
		return err
	}
	defer m.Close()
	scheduled, err := s.warm(ctx, schedule.Options{})
	if err != nil {
		return err
	}
	defer scheduled.Close()
	rerankd, err := serveAnswers(ctx, dir, s.setting(), texts.searches(1, window)[0], o)
	if err != nil {
		return err
	}
	defer rerankd.stop()
	others, err := s.contenders(ctx, o)
	if err != nil {
		return err
	}
	best, err := bestBatch(others, texts, o)
	if err != nil {
		return err
	}

	goal := goals[s.String()]
	inPython := func(r request) func(context.Context, judgement) (float64, []float64, error) {
		return func(_ context.Context, j judgement) (float64, []float64, error) {
			r.Searches, r.AtOnce = []judgement{j}, 1
			return once(others, r)
		}
	}
	bound := &competitor{name: "the dense products alone, two one-thread runs at once", score: func(_ context.Context, j judgement) (float64, []float64, error) {
		rows, err := lengths(m, j)
		if err != nil {
			return 0, nil, err
		}
		return once(others, request{Way: "products", Rows: rows})
	}}
	ours := &competitor{name: "rerankd, in process", score: func(ctx context.Context, j judgement) (float64, []float64, error) {
		began := time.Now()
		scores, err := scoreAll(ctx, scheduled, j)
		return milliseconds(time.Since(began)), scores, err
	}}
	ways := []*competitor{ours,
		{name: "rerankd, over HTTP", score: func(ctx context.Context, j judgement) (float64, []float64, error) {
			began := time.Now()
			scores, err := rerankd.search(ctx, j)
			return milliseconds(time.Since(began)), scores, err
		}},
		{name: "sentence-transformers, ONNX, batches of 32 (its default)", goal: goal.batch32, score: inPython(request{Way: "batches", Batch: 32})},
		{name: fmt.Sprintf("sentence-transformers, ONNX, batches of %d (its best)", best), goal: goal.best, score: inPython(request{Way: "batches", Batch: best})},
		{name: "one padded batch (as FlashRank)", goal: goal.padded, score: inPython(request{Way: "padded"})},
		{name: "one pair a run, 2 threads (as OpenSearch's local models)", goal: goal.single, score: inPython(request{Way: "single", Threads: 2})},
		bound,
	}

	var tokens []int
	for round, j := range texts.searches(o.rounds, window) {
		o.progress("%v: round %d of %d", s, round+1, o.rounds)
		scores := make([][]float64, len(ways))
		for turn := range ways {
			k := (round + turn) % len(ways)
			if err := settle(others, rerankd.program); err != nil {
				return err
			}
			took, found, err := ways[k].score(ctx, j)
			if err != nil {
				return fmt.Errorf("%s: %w", ways[k].name, err)
			}
			ways[k].wall, scores[k] = append(ways[k].wall, took), found
		}
		for k, w := range ways {
			for i, score := range scores[k] {
				w.greatest = max(w.greatest, math.Abs(score-scores[0][i]))
			}
		}
		some, err := lengths(m, j)
		if err != nil {
			return err
		}
		tokens = append(tokens, some...)
	}

	fmt.Fprintf(out, "\n### %s, %s: a query and %d documents\n\n%s; ONNX Runtime %s in rerankd. Others: %s.\n\n", s.name, s.precision, window, spread(tokens), onnx.Version(), others.versions)
	fmt.Fprintln(out, "| way | ms | rerankd in process is faster by | goal | rerankd over HTTP is faster by | greatest difference of a logit |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|")
	for _, w := range ways {
		ratio, difference := w.wall.over(ours.wall), "–"
		if w != bound && w != ours {
			difference = figure(w.greatest)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", w.name, w.wall, ratio, reaches(ratio.median(), w.goal), w.wall.over(ways[1].wall), difference)
	}
	share := bound.wall.over(ours.wall)
	fmt.Fprintf(out, "\nOf the time of its dense products rerankd in process reaches %s %% (goal: %s), over HTTP %s %%.\n",
		share.scaled(100), reaches(100*share.median(), 100*goal.bound), bound.wall.over(ways[1].wall).scaled(100))
	return others.close()
}

// warm loads the model behind the queue that the program puts before it, which closes it.
func (s subject) warm(ctx context.Context, o schedule.Options) (*schedule.Model, error) {
	m, err := s.open()
	if err != nil {
		return nil, err
	}
	scheduled := schedule.New(m, o)
	if _, err := scheduled.Warm(ctx); err != nil {
		scheduled.Close()
		return nil, err
	}
	return scheduled, nil
}

// scoreAll scores all of a search's documents in this process.
func scoreAll(ctx context.Context, m *schedule.Model, j judgement) ([]float64, error) {
	logits, err := m.Score(ctx, j.Query, j.Docs)
	if err != nil {
		return nil, err
	}
	if len(logits) != len(j.Docs) {
		return nil, fmt.Errorf("%d of %d documents were scored", len(logits), len(j.Docs))
	}
	scores := make([]float64, len(logits))
	for i, logit := range logits {
		scores[i] = float64(logit)
	}
	return scores, nil
}

// bestBatch is the size of batch with which sentence-transformers is the fastest: of two searches each, the least time decides.
func bestBatch(others *python, texts *corpus, o options) (int, error) {
	best, least := 0, math.Inf(1)
	some := texts.searches(2, window)
	for _, size := range []int{1, 2, 4, 8, 16, 32} {
		o.progress("sentence-transformers: trying batches of %d", size)
		for _, j := range some {
			took, _, err := once(others, request{Way: "batches", Batch: size, AtOnce: 1, Searches: []judgement{j}})
			if err != nil {
				return 0, err
			}
			if took < least {
				best, least = size, took
			}
		}
	}
	return best, nil
}

// once is a request with one search, or none.
func once(others *python, r request) (float64, []float64, error) {
	var a response
	if err := others.ask(r, &a); err != nil {
		return 0, nil, err
	}
	if len(a.Scores) == 0 {
		return a.Milliseconds, nil, nil
	}
	return a.Milliseconds, a.Scores[0], nil
}

// settle waits until nobody under measurement uses a processor: ONNX Runtime's threads look for work for a while after they have none.
func settle(others *python, program *process) error {
	p := &process{cmd: others.cmd}
	for range 100 {
		before, err1 := p.cpu()
		also, err2 := program.cpu()
		time.Sleep(60 * time.Millisecond)
		after, err3 := p.cpu()
		too, err4 := program.cpu()
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return err
		}
		if before == after && also == too {
			return nil
		}
	}
	return errors.New("a contender does not come to rest: it uses a processor without being asked")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// reaches says whether a goal is kept that is a least.
func reaches(got, goal float64) string {
	switch {
	case goal == 0:
		return "–"
	case got >= goal:
		return "≥ " + figure(goal) + ": kept"
	}
	return "≥ " + figure(goal) + ": **missed**"
}
