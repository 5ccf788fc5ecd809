package rerank

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"
)

// Ranker orders the hits of a search. It is read-only once in use, and safe for concurrent use.
type Ranker struct {
	Stages []Stage // run in turn, each over the first places of the order that the one before left; none: the cluster's order
	Fusion Fusion
	Scale  Scale
}

// Stage is one scorer and how deep it looks.
type Stage struct {
	Model  string // its name in the configuration, for the reports
	Scorer Scorer
	Window int // the places it may reorder, counted from the top: documents offered at most; 0 = all
}

// Rank never fails a search: what could not be done is said in the Ranking's reports. ctx's deadline bounds the scoring; hits may be
// longer than the window and are not changed.
func (r *Ranker) Rank(ctx context.Context, query string, hits []Hit) Ranking {
	ranking := Ranking{
		Order: make([]int, len(hits)), Scores: make([]float64, len(hits)), Logits: make([]float64, len(hits)),
		Stages: make([]Report, 0, len(r.Stages)),
	}
	for i, hit := range hits {
		ranking.Order[i], ranking.Scores[i], ranking.Logits[i] = i, hit.Score, math.NaN()
	}
	values := make([]float64, len(hits)) // by place; NaN where the hit there was not scored
	for i := range values {
		values[i] = math.NaN()
	}
	scored := false
	for _, stage := range r.Stages {
		places, logits, report := stage.score(ctx, query, hits, ranking.Order)
		if report.Scored > 0 {
			r.reorder(ranking, values, places, logits, hits)
			scored = true
		}
		ranking.Stages = append(ranking.Stages, report)
	}
	if scored && r.Scale != ScaleKeep {
		r.show(ranking, values, hits)
	}
	return ranking
}

// score offers the stage's window to its scorer. places are those of the documents that were scored, ascending.
func (s Stage) score(ctx context.Context, query string, hits []Hit, order []int) (places []int, logits []float32, report Report) {
	start := time.Now()
	window := order
	if s.Window > 0 && s.Window < len(order) {
		window = order[:s.Window]
	}
	var docs []string
	for place, i := range window {
		if !hits[i].Hold && hits[i].Text != "" {
			places, docs = append(places, place), append(docs, hits[i].Text)
		}
	}
	report = Report{Model: s.Model, Window: len(docs)}
	switch err := ctx.Err(); {
	case len(docs) == 0:
		report.Skipped = SkippedNoText
	case err != nil:
		report.Skipped, report.Err = reason(ctx, err), err
	default:
		var tokenizing atomic.Int64
		logits, err = judge(context.WithValue(ctx, meterKey{}, &tokenizing), s.Scorer, query, docs)
		report.Scored, report.Tokenizing = len(logits), time.Duration(tokenizing.Load())
		if err != nil {
			report.Skipped, report.Err = reason(ctx, err), err
		} else if len(logits) == 0 {
			report.Skipped = SkippedTimeout // the one way in which a scorer may reach nothing
			if errors.Is(ctx.Err(), context.Canceled) {
				report.Skipped = SkippedCanceled
			}
		}
	}
	report.Took = time.Since(start)
	return places[:report.Scored], logits, report
}

// judge calls the scorer and lets through only what a ranking can be made of.
func judge(ctx context.Context, scorer Scorer, query string, docs []string) (logits []float32, err error) {
	defer func() {
		if v := recover(); v != nil {
			logits, err = nil, fmt.Errorf("scoring: %w", &PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	logits, err = scorer.Score(ctx, query, docs)
	if err != nil {
		return nil, fmt.Errorf("scoring: %w", err)
	}
	if len(logits) > len(docs) {
		return nil, fmt.Errorf("scoring: %d scores for %d documents", len(logits), len(docs))
	}
	for i, logit := range logits {
		if f := float64(logit); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("scoring: score %d of %d is %v", i+1, len(logits), logit)
		}
	}
	return logits, nil
}

// reason maps an error to its word. A cancellation that is not the caller's is a fault of the scorer's.
func reason(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, ErrBusy):
		return SkippedBusy
	case errors.Is(err, ErrLanguage):
		return SkippedLanguage
	case errors.Is(ctx.Err(), context.Canceled):
		return SkippedCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return SkippedTimeout
	}
	return SkippedModelError
}

// reorder permutes the scored hits among places, best first, and notes at each of these places the value that put a hit there.
// Equal values keep their former order.
func (r *Ranker) reorder(ranking Ranking, values []float64, places []int, logits []float32, hits []Hit) {
	type judged struct {
		hit          int
		logit, value float64
	}
	block := make([]judged, len(places))
	scores := make([]float64, len(places))
	for k, place := range places {
		block[k].hit, block[k].logit = ranking.Order[place], float64(logits[k])
		scores[k] = hits[ranking.Order[place]].Score
	}
	for k, value := range r.Fusion.fuse(logits, scores) {
		block[k].value = value
	}
	slices.SortStableFunc(block, func(a, b judged) int { return cmp.Compare(b.value, a.value) })
	for k, place := range places {
		ranking.Order[place], ranking.Logits[place], values[place] = block[k].hit, block[k].logit, block[k].value
	}
}
