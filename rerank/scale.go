package rerank

import "math"

// Which numbers stand beside the hits.
//
// Clients read _score: they print it, sort by it, cut at a threshold. So the shown scores must agree with the shown order (they never
// rise), must survive a float32 (the cluster's own width), and must be positive unless the operator asked for bare logits. Where there is
// fusion the fused value is shown, because it is what the order is made of; without it, the logit on the scale that the rule names.
//
// Not every hit has such a value, so the others borrow one from where they stand. Six hits, of which the model was given time for three;
// the second has no text, and the first is pinned with the cluster's huge score for such hits:
//
//	place  hit         value   shown
//	1      pinned      -       1.7014124e38   keeps its own score while that is above all below it
//	2      no text     -       0.9            the first scored one below it
//	3      scored      0.9     0.9
//	4      no text     -       0.9            the nearest scored one above it
//	5      scored      0.6     0.6            the last scored one
//	6      unscored    -       0.4            below it: even steps down to, and not reaching, 0
//	7      tail        -       0.2
//
// A later stage's block stands above hits that an earlier stage judged, whose values are on a scale of their own. So that those keep room,
// its convex values, which run from 0 to 1, are squeezed into what lies above the first hit below: with that one at 0.4, 0.5 shows as 0.7.
// A hit that the ceiling held back shows no more than the one above it.
//
// Under "rank" none of this is needed, as every place has a number of its own; under "keep" the cluster's scores are shown as they came.

// Scale says which numbers are shown as the hits' scores. All but rank and keep give way to the fused value where there is fusion.
type Scale string

const (
	ScaleSigmoid Scale = "sigmoid" // 1/(1+e^-s); also what "" means
	ScaleES      Scale = "es"      // max(s,0) + min(e^s,1), as Elasticsearch's text_similarity_reranker shows
	ScaleLogit   Scale = "logit"   // s, which may be negative
	ScaleRank    Scale = "rank"    // 1/place, the first place being 1
	ScaleKeep    Scale = "keep"    // the i-th of the cluster's scores at place i
)

// least is the smallest score shown for a scored hit on a positive scale. A fused value of 0 and the sigmoid of a very negative logit are
// lifted to it: Lucene knows no negative scores, some clients read 0 as "no match", and the hits below need room above 0.
// OpenSearch's normalization processor lifts 0 likewise, to 0.001 (MIN_SCORE); that would swallow logits from -7 down.
const least = 1e-6

// show fills in ranking.Scores. One hit at least is scored.
func (r *Ranker) show(ranking Ranking, hits []Hit) {
	if r.Scale == ScaleRank {
		for place := range ranking.Scores {
			ranking.Scores[place] = single(1 / float64(place+1))
		}
		return
	}
	scale := r.Scale
	if r.Fusion.Method != FusionReplace {
		scale = scaleFused
	}
	first, last := -1, -1
	for place, judged := range ranking.Judged {
		if math.IsNaN(judged.Value) {
			if last >= 0 {
				ranking.Scores[place] = ranking.Scores[place-1]
			}
			continue
		}
		shown := scale.of(judged.Value)
		if first < 0 {
			first = place
		} else {
			shown = min(shown, ranking.Scores[place-1])
		}
		ranking.Scores[place], last = shown, place
	}
	for place := first - 1; place >= 0; place-- {
		shown := ranking.Scores[place+1]
		if hit := hits[ranking.Order[place]]; hit.Hold && hit.Score > shown {
			shown = single(hit.Score)
		}
		ranking.Scores[place] = shown
	}
	floor, below := ranking.Scores[last], float64(len(hits)-last)
	for place := last + 1; place < len(hits); place++ {
		step := float64(place - last)
		if scale == ScaleLogit {
			ranking.Scores[place] = single(floor - step)
		} else {
			ranking.Scores[place] = single(floor * (1 - step/below))
		}
	}
}

// scaleFused shows what is already in [0, 1].
const scaleFused Scale = "fused"

// of puts a value on the scale, as a float32 would hold it.
func (s Scale) of(value float64) float64 {
	switch s {
	case scaleFused:
		return single(max(value, least))
	case ScaleLogit:
		return single(value)
	case ScaleES:
		// Every positive logit lies above 1 and every negative one between 0 and 1, so that order is kept and nothing is below 0
		// (TextSimilarityRankFeaturePhaseRankCoordinatorContext.normalizeScore in Elasticsearch).
		return single(max(max(value, 0)+min(math.Exp(value), 1), least))
	default:
		return single(max(1/(1+math.Exp(-value)), least))
	}
}

// single rounds x to the nearest float32 that is not infinite.
func single(x float64) float64 {
	return float64(float32(max(-math.MaxFloat32, min(x, math.MaxFloat32))))
}
