package rerank

import "context"

// Stage is one scorer and how deep it looks.
type Stage struct {
	Model  string // its name in the configuration, for the reports
	Scorer Scorer
	Window int // documents offered at most; 0 = all
}

// Ranker orders the hits of a search. It is read-only once in use, and safe for concurrent use.
type Ranker struct {
	Stages []Stage
	Fusion Fusion
	Scale  Scale
}

// Rank is not written yet: it returns the cluster's order.
func (r *Ranker) Rank(ctx context.Context, query string, hits []Hit) Ranking {
	out := Ranking{Order: make([]int, len(hits)), Scores: make([]float64, len(hits))}
	for i, h := range hits {
		out.Order[i], out.Scores[i] = i, h.Score
	}
	return out
}
