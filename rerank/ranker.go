package rerank

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"
)

// Ranker orders the hits of a search. It is read-only once in use, and safe for concurrent use.
type Ranker struct {
	Stages []Stage // run in turn, each over the first places of the order that the one before left; none: the cluster's order
	Fusion Fusion
	Scale  Scale
}

// Rank never fails a search: what could not be done is said in the Ranking's reports. ctx's deadline bounds the scoring; hits may be
// longer than the window and are not changed.
func (r *Ranker) Rank(ctx context.Context, query string, hits []Hit) Ranking {
	ranking := Ranking{
		Order: make([]int, len(hits)), Scores: make([]float64, len(hits)), Logits: make([]float64, len(hits)),
		Judged: make([]Judgement, len(hits)), Stages: make([]Report, 0, len(r.Stages)),
	}
	for i, hit := range hits {
		ranking.Order[i], ranking.Scores[i], ranking.Logits[i] = i, hit.Score, math.NaN()
		ranking.Judged[i] = Judgement{Stage: -1, Value: math.NaN()}
	}
	scored := false
	for i := range r.Stages {
		v, report := r.run(ctx, i, query, hits, ranking.Order, scored)
		if report.Scored > 0 {
			r.reorder(ranking, i, v, hits)
			scored = true
		}
		ranking.Stages = append(ranking.Stages, report)
	}
	if scored && r.Scale != ScaleKeep {
		r.show(ranking, hits)
	}
	return ranking
}

// run lets stage i score until the time that is set aside for the stages after it begins. Where something was scored before, a stage that
// does not fit is left out.
func (r *Ranker) run(ctx context.Context, i int, query string, hits []Hit, order []int, scored bool) (verdict, Report) {
	deadline, bounded := ctx.Deadline()
	if bounded && len(r.Stages) > 1 && ctx.Err() == nil {
		left := time.Until(deadline)
		needs := make([]time.Duration, 0, len(r.Stages))
		for k := i; k < len(r.Stages); k++ {
			needs = append(needs, r.Stages[k].need(query, hits, order))
		}
		shares := plan(left, needs)
		if scored && shares[0] < needs[0]/2 {
			_, docs := r.Stages[i].window(hits, order)
			return verdict{}, Report{Model: r.Stages[i].Model, Window: len(docs), Skipped: SkippedBudget}
		}
		aside := time.Duration(0)
		for _, share := range shares[1:] {
			aside += share
		}
		if aside > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-aside))
			defer cancel()
		}
	}
	return r.Stages[i].score(ctx, query, hits, order)
}

// judged is a hit that a stage has scored.
type judged struct {
	hit     int
	logit   float64
	value   float64 // what it is sorted by
	passage Passage
	held    bool // by the ceiling
}

// reorder permutes the scored hits among their places, best first, and notes how each came there. Equal values keep their former order.
func (r *Ranker) reorder(ranking Ranking, stage int, v verdict, hits []Hit) {
	block := make([]judged, len(v.places))
	scores := make([]float64, len(v.places))
	for k, place := range v.places {
		i := ranking.Order[place]
		block[k] = judged{hit: i, logit: float64(v.logits[k]), passage: v.passages[k]}
		scores[k] = hits[i].Score
	}
	for k, value := range r.Fusion.fuse(v.logits, scores) {
		block[k].value = value
	}
	slices.SortStableFunc(block, func(a, b judged) int { return cmp.Compare(b.value, a.value) })
	if r.Fusion.MaxClimb > 0 {
		block = underCeiling(block, v.places, r.Fusion.MaxClimb)
	}
	below := 0.0 // what the first hit shows that an earlier stage judged and this one did not
	for _, j := range ranking.Judged[v.places[len(v.places)-1]+1:] {
		if !math.IsNaN(j.Value) {
			below = j.Value
			break
		}
	}
	for k, place := range v.places {
		b := block[k]
		ranking.Order[place], ranking.Logits[place] = b.hit, b.logit
		ranking.Judged[place] = Judgement{Stage: stage, Value: r.Fusion.lift(b.value, below), Passage: b.passage, Held: b.held}
	}
}

// Admits says whether any stage would score hits for the query within a time from now, as far as the scorers can tell; the error is
// [ErrBusy] or what broke, the first stage's.
func (r *Ranker) Admits(query string, within time.Duration) error {
	var first error
	for _, stage := range r.Stages {
		gate, ok := stage.Scorer.(Gate)
		if !ok {
			return nil
		}
		err := gate.Admits(query, within)
		if err == nil {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return first
}
