package demo

import (
	"math/rand/v2"
	"slices"
)

// ReciprocalRank is 1/rank of the first right answer among the first ten, 0 where there is none: its mean over queries is MRR@10.
func ReciprocalRank(hits []Hit, relevant map[string]bool) float64 {
	for i, h := range hits[:min(len(hits), 10)] {
		if relevant[h.Name] {
			return 1 / float64(i+1)
		}
	}
	return 0
}

// A Comparison sets a measure of two rankings side by side, query by query.
type Comparison struct {
	Queries            int
	Before, After      float64 // means
	Low, High          float64 // 95 % interval of the mean difference
	Wins, Losses, Ties int     // queries for which After is greater, smaller, equal
}

// Compare compares the two rankings' values of the same queries. The interval is the percentile bootstrap of the paired differences (Efron
// 1979; for retrieval, Smucker, Allan and Carterette 2007) with 10,000 resamples and a fixed seed, so that it repeats.
func Compare(before, after []float64) Comparison {
	n := len(before)
	c := Comparison{Queries: n}
	if n == 0 {
		return c
	}
	differences := make([]float64, n)
	for i := range before {
		c.Before += before[i] / float64(n)
		c.After += after[i] / float64(n)
		differences[i] = after[i] - before[i]
		switch {
		case differences[i] > 0:
			c.Wins++
		case differences[i] < 0:
			c.Losses++
		default:
			c.Ties++
		}
	}
	const resamples = 10_000
	random := rand.New(rand.NewPCG(1, 2))
	means := make([]float64, resamples)
	for i := range means {
		sum := 0.0
		for range n {
			sum += differences[random.IntN(n)]
		}
		means[i] = sum / float64(n)
	}
	slices.Sort(means)
	c.Low, c.High = means[resamples*25/1000], means[resamples*975/1000-1]
	return c
}
