package main

import (
	"fmt"
	"math"
	"slices"
)

// A series is one quantity measured once a round.
type series []float64

// median of the series; NaN of none.
func (s series) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// String shows the median, and the least and the greatest in brackets.
func (s series) String() string {
	if len(s) == 0 {
		return "–"
	}
	return fmt.Sprintf("%s (%s–%s)", figure(s.median()), figure(slices.Min(s)), figure(slices.Max(s)))
}

// over pairs each round's figure with another's of the same round.
func (s series) over(other series) series {
	return s.pair(other, func(a, b float64) float64 { return a / b })
}

func (s series) minus(other series) series {
	return s.pair(other, func(a, b float64) float64 { return a - b })
}

func (s series) pair(other series, f func(a, b float64) float64) series {
	out := make(series, len(s))
	for i := range s {
		out[i] = f(s[i], other[i])
	}
	return out
}

// figure shows three significant figures, which is more than a shared machine repeats.
func figure(f float64) string {
	digits := 0
	if f != 0 {
		digits = max(0, 2-int(math.Floor(math.Log10(math.Abs(f)))))
	}
	return fmt.Sprintf("%.*f", min(digits, 4), f)
}

// against says whether a goal is kept.
func against(got, goal float64) string {
	if got <= goal {
		return "kept"
	}
	return "**missed**"
}
