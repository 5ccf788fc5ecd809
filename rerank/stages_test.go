package rerank_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/reranktest"
	"pgregory.net/rapid"
)

// timed is a scorer that takes a while for each document, and says so.
type timed struct {
	reranktest.ScorerFunc
	each time.Duration
	says time.Duration // for each document; 0: it does not know
}

func (s timed) Score(ctx context.Context, query string, docs []string) ([]float32, error) {
	n := 0
	for range docs {
		select {
		case <-ctx.Done():
			return s.ScorerFunc(context.WithoutCancel(ctx), query, docs[:n])
		case <-time.After(s.each):
			n++
		}
	}
	return s.ScorerFunc(ctx, query, docs)
}

func (s timed) Estimate(_ string, docs []string) time.Duration {
	return time.Duration(len(docs)) * s.says
}

// The table of plan.go, carried out: fifty hits for a small model, ten for a large one, 300 ms.
func TestStagesShareTheTime(t *testing.T) {
	broken := timed{ScorerFunc: func(context.Context, string, []string) ([]float32, error) { return nil, errors.New("broken") }, says: time.Millisecond}
	ms := func(x float64) time.Duration { return time.Duration(x * float64(time.Millisecond)) }
	small := func(each float64) timed { return timed{parsed, ms(each), ms(each)} }
	large := func(each float64) timed { return timed{negated, ms(each), ms(each)} }
	for _, test := range []struct {
		name         string
		small, large rerank.Scorer
		scored       [2]int
		skipped      [2]string
		took         [2]time.Duration
	}{
		{"idle", small(2.4), large(15), [2]int{50, 10}, [2]string{}, [2]time.Duration{ms(120), ms(150)}},
		{"busy", small(3.6), large(22.5), [2]int{50, 5}, [2]string{}, [2]time.Duration{ms(180), ms(120)}},
		{"busier", small(4.8), large(30), [2]int{50, 0}, [2]string{"", rerank.SkippedBudget}, [2]time.Duration{ms(240), 0}},
		{"worse", small(8), large(50), [2]int{37, 0}, [2]string{"", "timeout"}, [2]time.Duration{ms(300), 0}},
		{"the first stage says too little, and is stopped where the second begins", timed{parsed, ms(8), ms(2)}, timed{negated, ms(14), ms(15)}, [2]int{18, 10}, [2]string{}, [2]time.Duration{ms(150), ms(140)}},
		{"nobody knows", timed{parsed, ms(8), 0}, timed{negated, ms(10), 0}, [2]int{18, 10}, [2]string{}, [2]time.Duration{ms(150), ms(100)}},
		{"no estimators", small(8).ScorerFunc, large(10).ScorerFunc, [2]int{50, 10}, [2]string{}, [2]time.Duration{0, 0}},
		{"the first breaks, and the second has too little time but something to do", broken, large(55), [2]int{0, 5}, [2]string{"model_error", ""}, [2]time.Duration{0, ms(300)}},
		{"the second breaks", small(2.4), broken, [2]int{50, 0}, [2]string{"", "model_error"}, [2]time.Duration{ms(120), 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hits := make([]rerank.Hit, 60)
				for i := range hits {
					hits[i].Text = fmt.Sprint(i)
				}
				ranker := rerank.Ranker{Stages: []rerank.Stage{{Model: "small", Scorer: test.small, Window: 50}, {Model: "large", Scorer: test.large, Window: 10}}}
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				got := ranker.Rank(ctx, "query", hits)
				for k, report := range got.Stages {
					if report.Window != []int{50, 10}[k] || report.Scored != test.scored[k] || report.Skipped != test.skipped[k] || report.Took != test.took[k] {
						t.Errorf("got %+v, want %d scored, skipped %q, in %v", report, test.scored[k], test.skipped[k], test.took[k])
					}
				}
			})
		})
	}
}

// A stage has to read one passage of each text: more of them take nothing from the stage after it.
func TestPassagesLeaveTheTimeOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ones := func(_ context.Context, _ string, docs []string) ([]float32, error) {
			return make([]float32, len(docs)), nil
		}
		hits := make([]rerank.Hit, 10)
		for i := range hits {
			hits[i].Text = strings.Repeat("Nothing of note. ", 200)
		}
		scorer := timed{ones, 10 * time.Millisecond, 10 * time.Millisecond}
		ranker := rerank.Ranker{Stages: []rerank.Stage{{Scorer: scorer, Passages: 3}, {Scorer: scorer, Window: 5, Passages: 1}}}
		ctx, cancel := context.WithTimeout(t.Context(), 205*time.Millisecond)
		defer cancel()
		got := ranker.Rank(ctx, "query", hits)
		if first, second := got.Stages[0], got.Stages[1]; first.Scored != 10 || first.Passages != 15 || second.Scored != 5 {
			t.Errorf("got %+v and %+v, want 15 passages of 10 texts in the first 155 ms, and then 5", first, second)
		}
	})
}

// Without a deadline each stage takes what it takes.
func TestStagesWithoutDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ranker := rerank.Ranker{Stages: []rerank.Stage{{Scorer: timed{parsed, time.Hour, time.Hour}}, {Scorer: timed{negated, time.Hour, time.Hour}, Window: 2}}}
		got := ranker.Rank(t.Context(), "query", []rerank.Hit{{Text: "1"}, {Text: "2"}, {Text: "3"}})
		if want := []int{1, 2, 0}; !slices.Equal(got.Order, want) || got.Stages[1].Took != 2*time.Hour {
			t.Errorf("got %v and %+v, want %v", got.Order, got.Stages, want)
		}
	})
}

// An Estimator that panics is one that does not know.
func TestEstimateThatPanics(t *testing.T) {
	ranker := rerank.Ranker{Stages: []rerank.Stage{{Scorer: mistaken{reranktest.ScorerFunc(parsed)}}, {Scorer: mistaken{reranktest.ScorerFunc(parsed)}}}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if got := ranker.Rank(ctx, "query", []rerank.Hit{{Text: "1"}, {Text: "2"}}); got.Stages[0].Scored != 2 || got.Stages[1].Scored != 2 {
		t.Errorf("got %+v, want both stages to score", got.Stages)
	}
}

type mistaken struct{ rerank.Scorer }

func (mistaken) Estimate(string, []string) time.Duration { panic("ouch") }

// Whatever stages there are and how far each comes: no hit is lost, who was never scored stays, a later stage moves nothing beyond its
// window, scores do not rise, and the ceiling holds over all of them together.
func TestStagesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trial := draw(t)
		trial.ranker.Stages = nil
		for range rapid.IntRange(1, 3).Draw(t, "stages") {
			shift := rapid.Float32Range(-3, 3).Draw(t, "shift")
			reached := rapid.IntRange(0, 30).Draw(t, "reached")
			trial.ranker.Stages = append(trial.ranker.Stages, rerank.Stage{
				Window: rapid.IntRange(0, 35).Draw(t, "window"),
				Scorer: reranktest.ScorerFunc(func(ctx context.Context, query string, docs []string) ([]float32, error) {
					logits, err := first(reached)(ctx, query, docs)
					for i := range logits { // another opinion, as a function of the text alone
						logits[i] = float32(math.Sin(float64(logits[i] + shift)))
					}
					return logits, err
				}),
			})
		}
		got := trial.ranker.Rank(t.Context(), "query", trial.hits)
		scored := map[int]bool{}
		for place, i := range got.Order {
			if got.Judged[place].Stage >= 0 {
				scored[i] = true
			}
			if most := trial.ranker.Fusion.MaxClimb; most > 0 && i-place > most {
				t.Errorf("got hit %d at place %d, want no climb of more than %d", i, place, most)
			}
			if hit := trial.hits[i]; (hit.Hold || hit.Text == "") && (i != place || scored[i]) {
				t.Errorf("got hit %d at place %d, want it held", i, place)
			}
			if place > 0 && trial.ranker.Scale != rerank.ScaleKeep && got.Judged[0].Stage >= 0 && got.Scores[place] > got.Scores[place-1] {
				t.Errorf("got score %v at place %d below %v, want it not to rise", got.Scores[place], place, got.Scores[place-1])
			}
		}
		if sorted := slices.Sorted(slices.Values(got.Order)); len(sorted) != len(trial.hits) || len(sorted) > 0 && (sorted[0] != 0 || len(slices.Compact(sorted)) != len(trial.hits)) {
			t.Fatalf("got order %v of %d hits, want a permutation", got.Order, len(trial.hits))
		}
	})
}

// Ten thousand hits take a moment, and not the square of it.
func TestRankTenThousand(t *testing.T) {
	hits := make([]rerank.Hit, 10_000)
	for i := range hits {
		hits[i] = rerank.Hit{Text: fmt.Sprint(i * 7919 % 10_000), Score: float64(len(hits) - i)}
	}
	for _, climb := range []int{0, 10} {
		ranker := rerank.Ranker{Stages: stage(first(10_000), 0), Fusion: rerank.Fusion{Method: rerank.FusionReplace, MaxClimb: climb}}
		start := time.Now()
		got := ranker.Rank(t.Context(), "query", hits)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		if diff := cmp.Diff(10_000, got.Stages[0].Scored); diff != "" {
			t.Error(diff)
		}
	}
}
