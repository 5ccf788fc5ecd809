package schedule

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Measurements that lie on a curve give that curve, whatever its terms.
func TestFitFindsTheCurve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		term := func(name string, most int) int {
			return rapid.SampledFrom([]int{0, rapid.IntRange(1, most).Draw(t, name)}).Draw(t, name+" or none")
		}
		fixed, perToken, perSquare := term("fixed", 1e9), term("per token", 1e7), term("per square", 1e4)
		if fixed+perToken+perSquare == 0 {
			return
		}
		var s squares
		lengths := []float64{10, 40, 100, 230, 450}
		for _, n := range lengths {
			s.add(point{n, float64(fixed) + n*float64(perToken) + n*n*float64(perSquare)})
		}
		got := s.fit()
		for _, n := range lengths {
			want := float64(fixed) + n*float64(perToken) + n*n*float64(perSquare)
			if had := float64(got.Document(int(n))); math.Abs(had-want) > 1e-3*want+2*n {
				t.Fatalf("got %v for %v tokens, want %v: %+v from %d, %d, %d", had, n, want, got, fixed, perToken, perSquare)
			}
		}
	})
}

// Whatever is measured, no term is negative, no other choice of terms on a grid around fits better, and nothing fails.
func TestFitIsTheBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s squares
		for range rapid.IntRange(1, 8).Draw(t, "points") {
			s.add(point{float64(rapid.IntRange(3, 512).Draw(t, "tokens")), float64(rapid.IntRange(1e5, 1e9).Draw(t, "took"))})
		}
		got := s.fit()
		if got.Fixed < 0 || got.PerToken < 0 || got.PerSquare < 0 || math.IsNaN(got.PerSquare) || math.IsInf(got.PerSquare, 0) {
			t.Fatalf("got %+v", got)
		}
		best := [terms]float64{float64(got.Fixed), float64(got.PerToken) * unit, got.PerSquare * unit * unit}
		least := s.errors(best)
		for _, step := range []float64{1e3, 1e5, 1e7} {
			for i := range best {
				for _, by := range []float64{-step, step} {
					other := best
					if other[i] = best[i] + by; other[i] < 0 {
						continue
					}
					if errors := s.errors(other); errors < least-1e-6*s.c {
						t.Fatalf("got %+v with errors %v, and %v with %v is better", got, least, other, errors)
					}
				}
			}
		}
	})
}

// One length tells one number, and it is not blown up elsewhere.
func TestFitOfOneLength(t *testing.T) {
	var s squares
	for range 5 {
		s.add(point{24, float64(4 * time.Millisecond)})
	}
	if got, want := s.fit(), (Cost{Fixed: 4 * time.Millisecond}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
