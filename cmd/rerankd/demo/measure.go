package demo

import "github.com/rerankd/rerankd/rerank/eval"

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

// Compare compares the two rankings' values of the same queries. The interval is that of [eval.Bootstrap].
func Compare(before, after []float64) Comparison {
	n := len(before)
	c := Comparison{Queries: n}
	if n == 0 {
		return c
	}
	differences := eval.Differences(before, after)
	for i, difference := range differences {
		c.Before += before[i] / float64(n)
		c.After += after[i] / float64(n)
		switch {
		case difference > 0:
			c.Wins++
		case difference < 0:
			c.Losses++
		default:
			c.Ties++
		}
	}
	c.Low, c.High = eval.Bootstrap(differences)
	return c
}
