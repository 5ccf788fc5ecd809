package eval

import "math"

// How two rankings of one query resemble each other. Both are ids, the best first; they may be of different lengths and need not share
// anything. An id that comes twice in a ranking counts where it came first.

// Overlap is the share of the first k places of two rankings that are taken by the same hits, in whatever order: 1 where they show the
// same, 0 where they share nothing. Where both are shorter than k, the longer one's length stands for k, and two empty ones are the same.
func Overlap(a, b []string, k int) float64 {
	a, b = unique(a), unique(b)
	a, b = a[:max(0, min(k, len(a)))], b[:max(0, min(k, len(b)))]
	if len(a) == 0 && len(b) == 0 {
		return 1
	}
	there := places(b)
	common := 0
	for _, id := range a {
		if _, ok := there[id]; ok {
			common++
		}
	}
	return float64(common) / float64(max(len(a), len(b)))
}

// RBO is the extrapolated rank-biased overlap: 1 for the same ranking, 0 for rankings that share nothing. It is the overlap of the first
// d places, averaged over all d with weights that fall by p from place to place, the end of what is known being taken to go on. The
// persistence p, between 0 and 1 without either, is the chance that somebody who has looked at a hit looks at the next one too: with 0.9
// the first ten places have 86 % of the weight, with 0.98 the first fifty have it.
//
// It is equation 32 of Webber, Moffat and Zobel, "A Similarity Measure for Indefinite Rankings" (ACM TOIS 2010), with l and s the lengths
// of the longer and the shorter ranking and X(d) the hits that both have among their first d, of the shorter one all where it has fewer:
//
//	RBO = (1-p)/p * ( sum d=1..l X(d)/d p^d  +  sum d=s+1..l X(s)(d-s)/(sd) p^d )  +  ( (X(l)-X(s))/l + X(s)/s ) p^l
//
// Two empty rankings are the same, and an empty one has nothing in common with any other. A p outside of its range gives NaN.
func RBO(a, b []string, p float64) float64 {
	if !(p > 0 && p < 1) {
		return math.NaN()
	}
	short, long := unique(a), unique(b)
	if len(short) > len(long) {
		short, long = long, short
	}
	s, l := len(short), len(long)
	switch {
	case l == 0:
		return 1
	case s == 0:
		return 0
	}
	inShort, inLong := places(short), places(long)
	overlap := make([]float64, l+1) // X
	for d := 1; d <= l; d++ {
		overlap[d] = overlap[d-1]
		if place, ok := inShort[long[d-1]]; ok && place < d {
			overlap[d]++
		}
		if d > s {
			continue
		}
		if place, ok := inLong[short[d-1]]; ok && place < d-1 { // at d-1 both are the same hit, which is counted
			overlap[d]++
		}
	}
	sum, weight := 0.0, 1.0
	for d := 1; d <= l; d++ {
		weight *= p
		sum += overlap[d] / float64(d) * weight
		if d > s {
			sum += overlap[s] * float64(d-s) / float64(s*d) * weight
		}
	}
	return (1-p)/p*sum + ((overlap[l]-overlap[s])/float64(l)+overlap[s]/float64(s))*weight
}

// KendallTau is the rank correlation of the hits that two rankings have in common, and how many those are: of all pairs of them, the share
// that both put in the same order minus the share that they put in opposite orders. 1 is the same order, -1 the reverse. With fewer than
// two hits in common there is no pair, and tau is 0.
func KendallTau(a, b []string) (tau float64, common int) {
	order := commonPlaces(a, b)
	if len(order) < 2 {
		return 0, len(order)
	}
	score := 0
	for i, x := range order {
		for _, y := range order[i+1:] {
			if x.b < y.b {
				score++
			} else {
				score--
			}
		}
	}
	return float64(2*score) / float64(len(order)*(len(order)-1)), len(order)
}

// Displacement is by how many places the hits moved that two rankings have in common: the mean, and the greatest. Without any both are 0.
func Displacement(a, b []string) (mean float64, greatest int) {
	order := commonPlaces(a, b)
	if len(order) == 0 {
		return 0, 0
	}
	sum := 0
	for _, x := range order {
		moved := max(x.a-x.b, x.b-x.a)
		sum += moved
		greatest = max(greatest, moved)
	}
	return float64(sum) / float64(len(order)), greatest
}

// commonPlaces are the places, from 0, of the hits that both rankings have, in the order of a.
func commonPlaces(a, b []string) (common []struct{ a, b int }) {
	there := places(unique(b))
	for i, id := range unique(a) {
		if j, ok := there[id]; ok {
			common = append(common, struct{ a, b int }{i, j})
		}
	}
	return common
}

// places are those of the ids of a ranking without repetitions, from 0.
func places(ranking []string) map[string]int {
	places := make(map[string]int, len(ranking))
	for i, id := range ranking {
		places[id] = i
	}
	return places
}

// unique is a ranking without the later places of ids that came before.
func unique(ranking []string) []string {
	seen := make(map[string]bool, len(ranking))
	for i, id := range ranking {
		if !seen[id] {
			seen[id] = true
			continue
		}
		kept := append([]string(nil), ranking[:i]...)
		for _, id := range ranking[i:] {
			if !seen[id] {
				seen[id] = true
				kept = append(kept, id)
			}
		}
		return kept
	}
	return ranking
}
