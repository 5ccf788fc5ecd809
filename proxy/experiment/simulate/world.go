package simulate

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
)

// A World is queries with the hits that a cluster finds for them, how well each answers, and two rankings of them. A ranking is the truth
// with noise: the less, the better it is.
type World struct {
	Seed    uint64
	Queries int     // that people ask for, the popular ones much more often than others
	Own     bool    // each user has queries of his own, and repeats them; two rankings with equal noise are then exactly as good
	Hits    int     // of a query
	Control float64 // noise of the control's ranking, in standard deviations of the truth
	Treated float64 // of the other's
	Same    bool    // both variants have the control's ranking, and Treated says nothing
}

// A Query is one of the world's, with its hits numbered from 0.
type Query struct {
	Words     string
	Relevance []float64 // of each hit, from 0 to 1; most answer nothing
	IDs       []string  // of the hits
	Control   []int     // the hits in the control's order
	Treated   []int

	relevance map[string]float64 // by id
}

// Answers is how well the hit with an id answers the query.
func (q *Query) Answers(id string) float64 { return q.relevance[id] }

// Query is the world's number i for a user.
func (w World) Query(user, i int) *Query {
	if !w.Own {
		user = 0
	}
	r := rand.New(rand.NewPCG(w.Seed, uint64(user)<<32|uint64(i)))
	q := &Query{
		Words:     "q" + strconv.Itoa(user) + "." + strconv.Itoa(i),
		Relevance: make([]float64, w.Hits), IDs: make([]string, w.Hits), relevance: make(map[string]float64, w.Hits),
	}
	for hit := range q.Relevance {
		if r.Float64() < 0.3 { // of ten hits three answer anything
			q.Relevance[hit] = r.Float64()
		}
		q.IDs[hit] = q.Words + "-" + strconv.Itoa(hit)
		q.relevance[q.IDs[hit]] = q.Relevance[hit]
	}
	q.Control = q.ranked(w.Control, r)
	q.Treated = q.Control
	if !w.Same {
		q.Treated = q.ranked(w.Treated, r)
	}
	return q
}

// ranked is the hits by their relevance with noise.
func (q *Query) ranked(noise float64, r *rand.Rand) []int {
	const deviation = 0.26 // of a relevance as drawn above
	order, scores := make([]int, len(q.Relevance)), make([]float64, len(q.Relevance))
	for hit, relevance := range q.Relevance {
		order[hit], scores[hit] = hit, relevance+noise*deviation*r.NormFloat64()
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return order
}
