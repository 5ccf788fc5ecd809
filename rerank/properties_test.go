package rerank_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/rerankd/rerankd/rerank"
	"pgregory.net/rapid"
)

// A trial is a drawn ranker, its hits, and how many documents it will have time for.
type trial struct {
	ranker  rerank.Ranker
	hits    []rerank.Hit
	window  int
	reached int
}

// draw covers what hits may be: texts missing, pins anywhere, cluster scores tied, missing, infinite or denormal, logits as large as a float32.
func draw(t *rapid.T) trial {
	score := rapid.OneOf(
		rapid.Float64Range(0, 30),
		rapid.SampledFrom([]float64{0, 1, 1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324, 0x1p127 + 0x1p104}),
	)
	logit := rapid.OneOf(
		rapid.Float32Range(-12, 12),
		rapid.SampledFrom([]float32{0, 1, 1, -200, 200, math.MaxFloat32, -math.MaxFloat32, 1e-45}),
	)
	hit := rapid.Custom(func(t *rapid.T) rerank.Hit {
		h := rerank.Hit{Score: score.Draw(t, "score"), Hold: rapid.IntRange(0, 9).Draw(t, "hold") == 0}
		if rapid.IntRange(0, 9).Draw(t, "text") > 0 {
			h.Text = fmt.Sprint(logit.Draw(t, "logit"))
		}
		return h
	})
	trial := trial{
		hits:    rapid.SliceOfN(hit, 0, 30).Draw(t, "hits"),
		window:  rapid.IntRange(0, 35).Draw(t, "window"),
		reached: rapid.IntRange(0, 30).Draw(t, "reached"),
	}
	trial.ranker = rerank.Ranker{
		Stages: stage(first(trial.reached), trial.window),
		Fusion: rerank.Fusion{
			Method:       rapid.SampledFrom([]rerank.FusionMethod{"", rerank.FusionConvex, rerank.FusionReplace, rerank.FusionReciprocalRank}).Draw(t, "method"),
			Weight:       rapid.SampledFrom([]float64{0, 0.1, 0.5, 1, -1, 2, math.NaN()}).Draw(t, "weight"),
			RankConstant: rapid.SampledFrom([]int{0, 1, 60}).Draw(t, "rank constant"),
			MaxClimb:     rapid.SampledFrom([]int{0, 0, 1, 3, 100}).Draw(t, "ceiling"),
		},
		Scale: rapid.SampledFrom([]rerank.Scale{"", rerank.ScaleSigmoid, rerank.ScaleES, rerank.ScaleLogit, rerank.ScaleRank, rerank.ScaleKeep}).Draw(t, "scale"),
	}
	return trial
}

// scored lists the hits that the trial's scorer judges, in the cluster's order: the definition of who may move.
func (trial trial) scored() []int {
	var scored []int
	for i, hit := range trial.hits {
		if (trial.window == 0 || i < trial.window) && !hit.Hold && hit.Text != "" && len(scored) < trial.reached {
			scored = append(scored, i)
		}
	}
	return scored
}

func TestRankProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trial := draw(t)
		hits := slices.Clone(trial.hits)
		got := trial.ranker.Rank(t.Context(), "query", hits)
		scored := trial.scored()

		if !slices.EqualFunc(hits, trial.hits, same) {
			t.Fatalf("got hits changed to %v, want %v", hits, trial.hits)
		}
		// No hit is lost, doubled or invented.
		sorted := slices.Sorted(slices.Values(got.Order))
		for i := range trial.hits {
			if len(sorted) != len(trial.hits) || sorted[i] != i {
				t.Fatalf("got order %v of %d hits, want a permutation", got.Order, len(trial.hits))
			}
		}
		// Whoever was not scored stays: pinned hits, hits without text, those past the deadline, and the tail.
		for place, i := range got.Order {
			if !slices.Contains(scored, place) && i != place {
				t.Errorf("got hit %d at place %d, want hit %d held there (scored: %v)", i, place, place, scored)
			}
		}
		for place, i := range got.Order {
			if most := trial.ranker.Fusion.MaxClimb; most > 0 && i-place > most {
				t.Errorf("got hit %d at place %d, want no climb of more than %d", i, place, most)
			}
			if judged := got.Judged[place]; (judged.Stage == 0) != slices.Contains(scored, i) || math.IsNaN(judged.Value) != (judged.Stage < 0) {
				t.Errorf("got judgement %+v of hit %d, want it from whoever scored it", judged, i)
			}
		}
		if report := got.Stages[0]; report.Scored != len(scored) || (report.Skipped == "") != (len(scored) > 0) {
			t.Errorf("got report %+v, want %d scored", report, len(scored))
		}
		// A logit stands with the hit that it was given to.
		for place, i := range got.Order {
			want := math.NaN()
			if slices.Contains(scored, i) {
				logit, err := strconv.ParseFloat(trial.hits[i].Text, 32)
				if err != nil {
					t.Fatal(err)
				}
				want = logit
			}
			if !equal(got.Logits[place], want) {
				t.Errorf("got logit %v for hit %d, want %v", got.Logits[place], i, want)
			}
		}
		// Scores are those of the cluster, or agree with the order and can be shown.
		if len(got.Scores) != len(trial.hits) {
			t.Fatalf("got %d scores, want %d", len(got.Scores), len(trial.hits))
		}
		for place, score := range got.Scores {
			if len(scored) == 0 || trial.ranker.Scale == rerank.ScaleKeep {
				if !equal(score, trial.hits[place].Score) {
					t.Errorf("got score %v at place %d, want the cluster's %v", score, place, trial.hits[place].Score)
				}
				continue
			}
			if math.IsNaN(score) || math.IsInf(score, 0) || float64(float32(score)) != score {
				t.Errorf("got score %v at place %d, want one that a float32 holds", score, place)
			}
			if place > 0 && score > got.Scores[place-1] {
				t.Errorf("got score %v at place %d below %v, want it not to rise", score, place, got.Scores[place-1])
			}
			logits := trial.ranker.Scale == rerank.ScaleLogit && trial.ranker.Fusion.Method == rerank.FusionReplace
			if score <= 0 && !logits {
				t.Errorf("got score %v at place %d, want a positive one", score, place)
			}
			// Below the last scored hit no one shows a score as good (but bare logits have no room below -MaxFloat32, nor steps near it).
			if last := scored[max(len(scored)-1, 0)]; place > last && score >= got.Scores[last] && !logits {
				t.Errorf("got score %v at place %d, want it below the last scored one's %v", score, place, got.Scores[last])
			}
		}
	})
}

// Ranking what was ranked changes nothing (but for a ceiling, which counts from what came in), so that two proxies in a row show what one shows.
func TestRankIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trial := draw(t)
		trial.ranker.Fusion.MaxClimb = 0
		once := trial.ranker.Rank(t.Context(), "query", trial.hits)
		ranked := make([]rerank.Hit, len(trial.hits))
		for place, i := range once.Order {
			ranked[place] = trial.hits[i]
		}
		twice := trial.ranker.Rank(t.Context(), "query", ranked)
		for place, i := range twice.Order {
			if i != place {
				t.Fatalf("got order %v of ranked hits, want them left alone (first order: %v)", twice.Order, once.Order)
			}
		}
		if trial.ranker.Scale != rerank.ScaleKeep && len(trial.scored()) > 0 && !slices.Equal(once.Scores, twice.Scores) {
			t.Errorf("got scores %v of ranked hits, want %v again", twice.Scores, once.Scores)
		}
	})
}

// A hit that both the model and the cluster find at least as good as another, and that stood above it, stays above it.
func TestRankAgreesWhereBothAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trial := draw(t)
		got := trial.ranker.Rank(t.Context(), "query", trial.hits)
		place := make([]int, len(got.Order))
		for p, i := range got.Order {
			place[i] = p
		}
		logits := make(map[int]float64)
		for _, i := range trial.scored() {
			logit, _ := parsed(t.Context(), "", []string{trial.hits[i].Text})
			logits[i] = float64(logit[0])
		}
		for a := range logits {
			for b := range logits {
				if a < b && logits[a] >= logits[b] && trial.hits[a].Score >= trial.hits[b].Score && place[a] > place[b] {
					t.Errorf("got hit %d %+v below hit %d %+v, want it above", a, trial.hits[a], b, trial.hits[b])
				}
			}
		}
	})
}

func same(a, b rerank.Hit) bool {
	return a.Text == b.Text && a.Hold == b.Hold && equal(a.Score, b.Score)
}

func equal(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
