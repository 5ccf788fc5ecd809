package rerank_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/reranktest"
)

// parsed is a scorer that reads a document's logit from its text.
func parsed(_ context.Context, _ string, docs []string) ([]float32, error) {
	logits := make([]float32, len(docs))
	for i, doc := range docs {
		if _, err := fmt.Sscan(doc, &logits[i]); err != nil {
			return nil, err
		}
	}
	return logits, nil
}

// first is parsed, cut after n documents as a deadline would.
func first(n int) reranktest.ScorerFunc {
	return func(ctx context.Context, query string, docs []string) ([]float32, error) {
		return parsed(ctx, query, docs[:min(n, len(docs))])
	}
}

// stage is one stage, of a scorer that reads the logits from the texts.
func stage(s rerank.Scorer, window int) []rerank.Stage {
	return []rerank.Stage{{Model: "small", Scorer: s, Window: window}}
}

var none = rerank.Fusion{Method: rerank.FusionReplace}

func TestRank(t *testing.T) {
	hits := []rerank.Hit{{Text: "-1", Score: 9}, {Text: "3", Score: 8}, {Text: "0", Score: 7}, {Text: "2", Score: 6}, {Text: "5", Score: 5}}
	held := slices.Clone(hits)
	held[0].Hold, held[0].Score = true, 0x1p127+0x1p104
	held[2].Text = ""
	for _, test := range []struct {
		name   string
		ranker rerank.Ranker
		hits   []rerank.Hit
		order  []int
		scores []float64
	}{
		{
			"the whole window", rerank.Ranker{Stages: stage(first(9), 0), Fusion: none, Scale: rerank.ScaleLogit}, hits,
			[]int{4, 1, 3, 2, 0}, []float64{5, 3, 2, 0, -1},
		},
		{
			"a tail", rerank.Ranker{Stages: stage(first(9), 4), Fusion: none, Scale: rerank.ScaleLogit}, hits,
			[]int{1, 3, 2, 0, 4}, []float64{3, 2, 0, -1, -2},
		},
		{
			"a prefix", rerank.Ranker{Stages: stage(first(2), 4), Fusion: none, Scale: rerank.ScaleES}, hits,
			[]int{1, 0, 2, 3, 4}, []float64{4, 0.36787944, 0.27590958, 0.18393972, 0.09196986},
		},
		{
			"held places", rerank.Ranker{Stages: stage(first(9), 0), Fusion: none, Scale: rerank.ScaleLogit}, held,
			[]int{0, 4, 2, 1, 3}, []float64{0x1p127 + 0x1p104, 5, 5, 3, 2},
		},
		{
			"held places and a prefix", rerank.Ranker{Stages: stage(first(2), 0), Fusion: none, Scale: rerank.ScaleLogit}, held,
			[]int{0, 1, 2, 3, 4}, []float64{0x1p127 + 0x1p104, 3, 3, 2, 1},
		},
		{
			"rank", rerank.Ranker{Stages: stage(first(2), 4), Fusion: none, Scale: rerank.ScaleRank}, hits,
			[]int{1, 0, 2, 3, 4}, []float64{1, 0.5, 0.33333334, 0.25, 0.2},
		},
		{
			"keep", rerank.Ranker{Stages: stage(first(9), 0), Fusion: none, Scale: rerank.ScaleKeep}, hits,
			[]int{4, 1, 3, 2, 0}, []float64{9, 8, 7, 6, 5},
		},
		{
			"no stage", rerank.Ranker{}, hits,
			[]int{0, 1, 2, 3, 4}, []float64{9, 8, 7, 6, 5},
		},
		{
			"two stages", rerank.Ranker{Stages: append(stage(first(9), 4), stage(reranktest.ScorerFunc(negated), 2)...), Fusion: none, Scale: rerank.ScaleLogit}, hits,
			[]int{3, 1, 2, 0, 4}, []float64{-2, -3, -3, -3, -4}, // the first stage's 0 and -1 may not stand above the second's -3
		},
		{
			"half and half", rerank.Ranker{Stages: stage(first(9), 0)},
			[]rerank.Hit{{Text: "0.5", Score: 14}, {Text: "2.5", Score: 12}, {Text: "4.5", Score: 8}, {Text: "-3.5", Score: 6}},
			[]int{0, 1, 2, 3}, []float64{0.75, 0.75, 0.625, 1e-6},
		},
		{
			"the table of scale.go", rerank.Ranker{Stages: stage(first(2), 6), Fusion: none, Scale: rerank.ScaleES},
			[]rerank.Hit{{Text: "9", Score: 1.7014124e38, Hold: true}, {}, {Text: "-2"}, {}, {Text: "2"}, {Text: "7"}, {Text: "8"}},
			[]int{0, 1, 4, 3, 2, 5, 6}, []float64{1.7014124e38, 3, 3, 3, 0.13533528, 0.09022352, 0.04511176},
		},
		{
			"two stages, blended: the second's values are squeezed above the best that it did not see",
			rerank.Ranker{Stages: append(stage(first(9), 0), stage(reranktest.ScorerFunc(negated), 2)...)},
			[]rerank.Hit{{Text: "4", Score: 1}, {Text: "3", Score: 1}, {Text: "1", Score: 1}, {Text: "0", Score: 1}},
			[]int{1, 0, 2, 3}, []float64{1, 0.8125, 0.625, 0.5},
		},
		{
			"reciprocal ranks", rerank.Ranker{Stages: stage(first(9), 0), Fusion: rerank.Fusion{Method: rerank.FusionReciprocalRank, Weight: 0.75}},
			[]rerank.Hit{{Text: "1", Score: 3}, {Text: "2", Score: 2}, {Text: "2", Score: math.NaN()}},
			[]int{1, 0, 2}, []float64{0.75/61 + 0.25/62, 0.75/63 + 0.25/61, 0.75 / 61},
		},
		{
			"reciprocal ranks with another constant", rerank.Ranker{Stages: stage(first(9), 0), Fusion: rerank.Fusion{Method: rerank.FusionReciprocalRank, RankConstant: 1}},
			[]rerank.Hit{{Text: "1", Score: 2}, {Text: "2", Score: 1}, {Text: "3", Score: 0}},
			[]int{0, 2, 1}, []float64{0.375, 0.375, 1.0 / 3},
		},
		{
			"a ceiling", rerank.Ranker{Stages: stage(first(9), 0), Fusion: rerank.Fusion{Method: rerank.FusionReplace, MaxClimb: 2}, Scale: rerank.ScaleLogit},
			[]rerank.Hit{{Text: "3"}, {Text: "2"}, {Text: "4"}, {Text: "1"}, {Text: "5"}}, // the table of ceiling.go
			[]int{2, 0, 4, 1, 3}, []float64{4, 3, 3, 2, 1},
		},
		{
			"a ceiling over a held place and an unscored hit", rerank.Ranker{Stages: stage(first(3), 0), Fusion: rerank.Fusion{Method: rerank.FusionReplace, MaxClimb: 1}, Scale: rerank.ScaleLogit},
			[]rerank.Hit{{Text: "3"}, {Hold: true}, {Text: "5"}, {Text: "4"}, {Text: "9"}},
			[]int{0, 1, 2, 3, 4}, []float64{3, 3, 3, 3, 2}, // the third may not come to the first place, and the second is pinned
		},
		{
			"a single hit", rerank.Ranker{Stages: stage(first(9), 0)},
			[]rerank.Hit{{Text: "-4", Score: 3}},
			[]int{0}, []float64{1},
		},
		{
			"the cluster ties", rerank.Ranker{Stages: stage(first(9), 0)},
			[]rerank.Hit{{Text: "1", Score: 1}, {Text: "2", Score: 1}, {Text: "3", Score: 1}},
			[]int{2, 1, 0}, []float64{1, 0.75, 0.5},
		},
		{
			"the cluster gave no score", rerank.Ranker{Stages: stage(first(9), 0)},
			[]rerank.Hit{{Text: "1", Score: math.NaN()}, {Text: "2", Score: math.NaN()}, {Text: "3", Score: math.NaN()}},
			[]int{2, 1, 0}, []float64{0.5, 0.25, 1e-6},
		},
		{
			"infinite scores", rerank.Ranker{Stages: stage(first(9), 0)},
			[]rerank.Hit{{Text: "1", Score: math.Inf(1)}, {Text: "1", Score: 0}, {Text: "2", Score: math.Inf(-1)}},
			[]int{0, 2, 1}, []float64{0.5, 0.5, 0.25},
		},
		{
			"a hit without text above all scored ones, with a better score", rerank.Ranker{Stages: stage(first(9), 0)},
			[]rerank.Hit{{Score: 9}, {Text: "1", Score: 2}, {Text: "2", Score: 1}},
			[]int{0, 1, 2}, []float64{0.5, 0.5, 0.5},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.ranker.Rank(t.Context(), "query", test.hits)
			if diff := cmp.Diff(test.order, got.Order); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.scores, got.Scores, cmpopts.EquateApprox(1e-6, 0)); diff != "" {
				t.Errorf("scores (-want +got):\n%s", diff)
			}
		})
	}
}

// Equal values keep the cluster's order, also among more hits than an insertion sort takes.
func TestRankTiesKeepTheirOrder(t *testing.T) {
	hits := make([]rerank.Hit, 100)
	for i := range hits {
		hits[i].Text = fmt.Sprint(i % 3)
	}
	ranker := rerank.Ranker{Stages: stage(first(100), 0), Fusion: none}
	order := ranker.Rank(t.Context(), "query", hits).Order
	for place := 1; place < len(order); place++ {
		if a, b := order[place-1], order[place]; a%3 == b%3 && a > b {
			t.Fatalf("got %v, want equal logits in the cluster's order", order)
		}
	}
}

func negated(ctx context.Context, query string, docs []string) ([]float32, error) {
	logits, err := parsed(ctx, query, docs)
	for i := range logits {
		logits[i] = -logits[i]
	}
	return logits, err
}

// Whatever a scorer does wrong, the cluster's own answer stands, and the report says why.
func TestRankFallsBack(t *testing.T) {
	cause := errors.New("the model is broken")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	returns := func(scores []float32, err error) rerank.Scorer {
		return reranktest.ScorerFunc(func(context.Context, string, []string) ([]float32, error) { return scores, err })
	}
	infinite, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, test := range []struct {
		name    string
		ctx     context.Context
		scorer  rerank.Scorer
		skipped string
		err     string // part of its text
	}{
		{"panic", t.Context(), reranktest.ScorerFunc(func(context.Context, string, []string) ([]float32, error) { panic("ouch") }), rerank.SkippedModelError, "scoring: panic: ouch"},
		{"no scorer", t.Context(), nil, rerank.SkippedModelError, "nil pointer"},
		{"error", t.Context(), returns(nil, cause), rerank.SkippedModelError, cause.Error()},
		{"error with scores", t.Context(), returns([]float32{1, 2, 3}, cause), rerank.SkippedModelError, cause.Error()},
		{"too many scores", t.Context(), returns(make([]float32, 4), nil), rerank.SkippedModelError, "4 scores for 3 documents"},
		{"NaN", t.Context(), returns([]float32{1, nan, 2}, nil), rerank.SkippedModelError, "score 2 of 3 is NaN"},
		{"infinity", t.Context(), returns([]float32{1, 2, infinite}, nil), rerank.SkippedModelError, "score 3 of 3 is +Inf"},
		{"minus infinity", t.Context(), returns([]float32{-infinite}, nil), rerank.SkippedModelError, "score 1 of 1 is -Inf"},
		{"busy", t.Context(), returns(nil, fmt.Errorf("queue: %w", rerank.ErrBusy)), rerank.SkippedBusy, "busy"},
		{"language", t.Context(), returns(nil, fmt.Errorf("half of the tokens: %w", rerank.ErrLanguage)), rerank.SkippedLanguage, "language"},
		{"nothing reached", t.Context(), returns(nil, nil), rerank.SkippedTimeout, ""},
		{"the scorer's own timeout", t.Context(), returns(nil, context.DeadlineExceeded), rerank.SkippedTimeout, "deadline"},
		{"a cancellation that is not ours", t.Context(), returns(nil, context.Canceled), rerank.SkippedModelError, "canceled"},
		{"late", late, reranktest.ScorerFunc(nil), rerank.SkippedTimeout, "deadline"},
		{"canceled", canceled, reranktest.ScorerFunc(nil), rerank.SkippedCanceled, "canceled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			hits := []rerank.Hit{{Text: "1", Score: 2.3000000000000003}, {Text: "2", Score: math.NaN()}, {Text: "3", Score: 4}}
			ranker := rerank.Ranker{Stages: stage(test.scorer, 0)}
			got := ranker.Rank(test.ctx, "query", hits)
			want := rerank.Ranking{
				Order:  []int{0, 1, 2},
				Scores: []float64{2.3000000000000003, math.NaN(), 4}, // untouched, as odd as they are
				Logits: []float64{math.NaN(), math.NaN(), math.NaN()},
				Judged: slices.Repeat([]rerank.Judgement{{Stage: -1, Value: math.NaN()}}, 3),
				Stages: []rerank.Report{{Model: "small", Window: 3, Skipped: test.skipped}},
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.IgnoreFields(rerank.Report{}, "Err", "Took")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := got.Stages[0].Err; (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got cause %v, want %q", err, test.err)
			}
		})
	}
}

// A caller that leaves while the scorer works is told so, even by a scorer that only says that it reached nothing.
func TestRankCanceledMeanwhile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ranker := rerank.Ranker{Stages: stage(reranktest.ScorerFunc(func(context.Context, string, []string) ([]float32, error) {
		cancel()
		return nil, nil
	}), 0)}
	got := ranker.Rank(ctx, "query", []rerank.Hit{{Text: "1"}})
	if got.Stages[0].Skipped != rerank.SkippedCanceled {
		t.Errorf("got %q, want %q", got.Stages[0].Skipped, rerank.SkippedCanceled)
	}
}

func TestRankNoText(t *testing.T) {
	for _, hits := range [][]rerank.Hit{nil, {{}}, {{Text: "1", Hold: true}, {}}, {{}, {Text: "beyond the window"}}} {
		ranker := rerank.Ranker{Stages: stage(reranktest.ScorerFunc(nil), 1)}
		got := ranker.Rank(t.Context(), "query", hits)
		if len(got.Order) != len(hits) || got.Stages[0].Skipped != rerank.SkippedNoText {
			t.Errorf("got %+v for %+v, want it skipped for %q", got, hits, rerank.SkippedNoText)
		}
	}
}

// The panic's stack reaches the log, and names the function that panicked.
func TestPanicErrorStack(t *testing.T) {
	ranker := rerank.Ranker{Stages: stage(reranktest.ScorerFunc(panics), 0)}
	got := ranker.Rank(t.Context(), "query", []rerank.Hit{{Text: "1"}})
	var p *rerank.PanicError
	if !errors.As(got.Stages[0].Err, &p) || !strings.Contains(string(p.Stack), "rerank_test.panics") {
		t.Errorf("got %v, want a PanicError whose stack names rerank_test.panics", got.Stages[0].Err)
	}
}

func panics(context.Context, string, []string) ([]float32, error) { panic("ouch") }

// BenchmarkRank measures what ranking a hundred hits adds to the model's own time.
func BenchmarkRank(b *testing.B) {
	hits := make([]rerank.Hit, 100)
	logits := make([]float32, len(hits))
	for i := range hits {
		hits[i] = rerank.Hit{Text: "a document", Score: float64(len(hits) - i)}
		logits[i] = float32(i * 37 % len(hits))
	}
	scorer := reranktest.ScorerFunc(func(context.Context, string, []string) ([]float32, error) { return logits, nil })
	for _, ranker := range []struct {
		name string
		rerank.Ranker
	}{
		{"convex", rerank.Ranker{Stages: stage(scorer, 0)}},
		{"sigmoid", rerank.Ranker{Stages: stage(scorer, 0), Fusion: none}},
	} {
		b.Run(ranker.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ranker.Rank(b.Context(), "query", hits)
			}
		})
	}
}

// TestRankByLogits says that hits are ordered by what the model says, also where the scale that is shown tells no difference any more:
// from 17 up the sigmoid is 1 to a float32, from 37 up to a float64, and below -14 it is lifted to the least score.
func TestRankByLogits(t *testing.T) {
	hits := []rerank.Hit{{Text: "-20"}, {Text: "-90"}, {Text: "20"}, {Text: "40"}, {Text: "90"}, {Text: "50"}, {Text: "-50"}}
	r := rerank.Ranker{Stages: stage(first(9), 0), Fusion: none, Scale: rerank.ScaleSigmoid}
	got := r.Rank(t.Context(), "q", hits)
	if want := []int{4, 5, 3, 2, 0, 6, 1}; !slices.Equal(got.Order, want) {
		t.Errorf("got order %v, want %v", got.Order, want)
	}
	if want := []float64{1, 1, 1, 1, float64(float32(1e-6)), float64(float32(1e-6)), float64(float32(1e-6))}; !slices.Equal(got.Scores, want) {
		t.Errorf("got scores %v, want %v", got.Scores, want)
	}
}
