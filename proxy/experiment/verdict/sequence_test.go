package verdict

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func scoresOf(t *rapid.T) []score {
	bound := rapid.SampledFrom([]float64{1, 0.5, 0.1}).Draw(t, "bound")
	values := rapid.SliceOfN(rapid.Float64Range(-1, 1), 0, 300).Draw(t, "scores")
	scores := make([]score, len(values))
	for i, v := range values {
		scores[i] = score{v / bound, bound}
	}
	return scores
}

// The capital is that of the formula, and the interval is where it stays below the bound.
func TestInterval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := scoresOf(t)
		m := rapid.Float64Range(-1, 1).Draw(t, "m")
		for _, side := range []float64{1, -1} {
			sum := 0.0
			for j := range stakes {
				product := portion(j)
				for _, s := range scores {
					product *= 1 + side*stake(j)*s.bound*(s.value-m)
				}
				sum += product
			}
			if got, want := logCapital(scores, m, side), math.Log(sum); math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
				t.Fatalf("the capital of side %v at %v: got e^%v; want e^%v", side, m, got, want)
			}
		}
		low, high := interval(scores, 0.05)
		inside := max(logCapital(scores, m, 1), logCapital(scores, m, -1)) < math.Log(40)
		if inside != (m >= low && m <= high) && math.Abs(m-low) > 1e-9 && math.Abs(m-high) > 1e-9 {
			t.Fatalf("the interval is %v to %v, and %v is inside: %v", low, high, m, inside)
		}
		if wide, wider := interval(scores, 0.01); wide > low || wider < high {
			t.Fatalf("at 99 %% it is %v to %v, at 95 %% %v to %v", wide, wider, low, high)
		}
	})
}

func TestPortions(t *testing.T) {
	sum := 0.0
	for j := range stakes {
		sum += portion(j)
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("the stakes have %v of the capital", sum)
	}
}

// Scores of a group less those of another, by chance assigned: the contrast's mean is the difference of the means, and it keeps its bound.
func TestContrast(t *testing.T) {
	for _, ours := range []float64{0.5, 0.1, 0.9} {
		r := newSource(1)
		c := contrast{ours: ours}
		sum, n := 0.0, 200_000
		for range n {
			variant := r.Float64() < ours
			worth := of(r.Float64() < 0.3+0.1*of(variant))
			z := c.add(worth, variant)
			if math.Abs(z.value*z.bound) > 1 {
				t.Fatalf("%+v is beyond its bound", z)
			}
			sum += z.value
		}
		if got := sum / float64(n); math.Abs(got-0.1) > 0.02 {
			t.Errorf("with a share of %v the difference is %v; want 0.1", ours, got)
		}
	}
}
