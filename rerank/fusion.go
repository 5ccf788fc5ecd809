package rerank

import (
	"cmp"
	"math"
	"slices"
)

// How the model's judgement and the cluster's become one number.
//
// A cross-encoder's logit lies on no fixed scale (-11 to 11 for one model, -4 to 3 for another), and neither does BM25: it grows with the
// number of words in the query. So both are stretched, over the hits that the model scored, to run from 0 for the least to 1 for the
// greatest (min-max), and are then averaged with the model's share w (half, unless the operator says otherwise):
//
//	fused = w * minmax(logit) + (1-w) * minmax(cluster)
//
// Four hits, as the cluster ordered them, with w = 1/2:
//
//	        cluster  minmax    logit  minmax    fused   new place
//	apt        14.0    1.00      0.5    0.50     0.75    1
//	dpkg       12.0    0.75      2.5    0.75     0.75    2   a tie: the former order decides
//	aptly       8.0    0.25      4.5    1.00     0.63    3
//	xterm       6.0    0.00     -3.5    0.00     0.00    4
//
// The model alone would have put aptly first and apt third. The mean lets it overrule the cluster where it is sure and the cluster is not,
// and keeps it from ruining a page whose subject it was never taught: a cross-encoder that is excellent in its own domain can be much
// worse than the cluster outside of it, and the blend then costs little. That convex combination of min-max normalised scores beats
// reciprocal rank fusion, which throws the distances away, is shown in Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid
// Retrieval" (ACM TOIS 2023, arXiv:2210.11934).
//
// What has no spread has no min-max. All scores equal, or a single hit: each one is both the least and the greatest and counts as 1, as
// OpenSearch's normalization processor has it (SINGLE_RESULT_SCORE). A hit without a score from the cluster counts as 0 on its side, as
// if the cluster had not found it. An infinite one is taken as a huge finite one. In each case the fused values still order the
// hits, and where the cluster has nothing to say the model's order is what comes out.
//
// Pinned hits, hits without text and hits beyond the scored prefix do not take part: the huge score of a pinned hit would press
// the min-max of all others to 0.

// Reciprocal rank fusion is there for clusters whose scores say little: it looks at places only. With the hit's rank among the scored hits by
// the model's logit and by the cluster's score, 1 being the best, equal ones sharing theirs, and the rank constant k (60):
//
//	fused = w / (k + rank by model) + (1-w) / (k + rank by cluster)
//
// That is the formula of Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods"
// (SIGIR 2009), with a weight for each side. A hit without a score from the cluster has no rank there, and nothing from that side.

// FusionMethod says how the model's scores and the cluster's become one.
type FusionMethod string

const (
	FusionConvex         FusionMethod = "convex"          // a weighted mean of the two, each min-max normalised; also what "" means
	FusionReplace        FusionMethod = "replace"         // the model's order alone
	FusionReciprocalRank FusionMethod = "reciprocal_rank" // a weighted sum of the reciprocals of their ranks
)

// Fusion blends the model's judgement with the cluster's. The zero value is convex, half and half.
type Fusion struct {
	Method       FusionMethod
	Weight       float64 // the model's share, in (0, 1]; anything else, zero included, means a half
	RankConstant int     // of the reciprocal ranks: the larger, the less the first places stand out; 0 = 60
	MaxClimb     int     // places that a hit may end above the one that the cluster gave it, at most; 0 = no ceiling
}

// fuse returns the values to sort by, one for each logit: in [0, 1] where there is fusion, else the logits.
func (f Fusion) fuse(logits []float32, scores []float64) []float64 {
	values := make([]float64, len(logits))
	for i, logit := range logits {
		values[i] = float64(logit)
	}
	weight := f.Weight
	if !(weight > 0 && weight <= 1) { // negated so that NaN means a half too
		weight = 0.5
	}
	switch f.Method {
	case FusionReplace:
	case FusionReciprocalRank:
		constant := f.RankConstant
		if constant <= 0 {
			constant = 60
		}
		clusters := reciprocalRanks(scores, constant)
		for i, model := range reciprocalRanks(values, constant) {
			values[i] = weight*model + (1-weight)*clusters[i]
		}
	default:
		clusters := minMax(scores)
		for i, model := range minMax(values) {
			values[i] = weight*model + (1-weight)*clusters[i]
		}
	}
	return values
}

// lift puts a value of a later stage above what the hits below it show, whose values run from 0 to 1 over another block.
func (f Fusion) lift(value, below float64) float64 {
	if f.Method == FusionConvex || f.Method == "" {
		return below + (1-below)*value
	}
	return value
}

// reciprocalRanks returns 1/(constant + rank) for each x, the greatest having rank 1 and equal ones the same; 0 for NaN.
func reciprocalRanks(xs []float64, constant int) []float64 {
	best := make([]int, len(xs)) // indices, the greatest first and NaN last
	for i := range best {
		best[i] = i
	}
	slices.SortFunc(best, func(a, b int) int { return cmp.Compare(xs[b], xs[a]) }) // NaN is less than all
	values := make([]float64, len(xs))
	for place, i := range best {
		switch {
		case math.IsNaN(xs[i]):
		case place > 0 && xs[best[place-1]] == xs[i]:
			values[i] = values[best[place-1]]
		default:
			values[i] = 1 / float64(constant+place+1)
		}
	}
	return values
}

// minMax stretches xs to [0, 1]: the greatest to 1, the least to 0, all to 1 if they are equal, NaN to 0.
func minMax(xs []float64) []float64 {
	const huge = math.MaxFloat64 / 2 // stands for infinity; the difference of two such is still finite
	lo, hi := math.Inf(1), math.Inf(-1)
	finite := make([]float64, len(xs))
	for i, x := range xs {
		finite[i] = max(-huge, min(x, huge)) // NaN stays NaN
		if !math.IsNaN(x) {
			lo, hi = min(lo, finite[i]), max(hi, finite[i])
		}
	}
	for i, x := range finite {
		switch {
		case math.IsNaN(x):
			finite[i] = 0
		case lo == hi:
			finite[i] = 1
		default:
			finite[i] = (x - lo) / (hi - lo)
		}
	}
	return finite
}
