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

// The predicted power is what coin flips show, looked at after each.
func TestPower(t *testing.T) {
	for _, test := range []struct{ heads, bound float64 }{{0.55, 1}, {0.6, 1}, {0.6, 0.5}, {0.75, 1}} {
		scores := []score{{-1, test.bound}, {1, test.bound}}
		mean := 2*test.heads - 1
		deviation := math.Sqrt(1 - mean*mean)
		n := bisect(1, 1e5, func(n float64) bool { return power(n, mean, deviation, test.bound, 0.05) >= 0.8 })
		const experiments = 1000
		shown := 0
		for seed := range experiments {
			r := newSource(uint64(seed))
			up := newBetter(0, 1)
			for range int(n) {
				if up.add(scores[int(of(r.Float64() < test.heads))]); up.log() >= math.Log(40) {
					shown++
					break
				}
			}
		}
		if low, high := between(shown, experiments); low > 0.8 || high < 0.8 {
			t.Errorf("%+v: shown in %d of %d by %.0f units; want 80 %%", test, shown, experiments, n)
		}
	}
}

// A difference takes more units the smaller it is, and as many the one way as the other.
func TestNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := scoresOf(t)
		mean := rapid.Float64Range(0.001, 0.5).Draw(t, "mean")
		n := neededOf(mean, scores, 0.05)
		if math.IsNaN(n) || n < 0 {
			t.Fatalf("a mean of %v takes %v units", mean, n)
		}
		if less := neededOf(mean/2, scores, 0.05); less < n && less > 0 { // 0: more than anybody has
			t.Fatalf("a mean of %v takes %v units, of half of that %v", mean, n, less)
		}
		if against := neededOf(-mean, scores, 0.05); against != n {
			t.Fatalf("a mean of %v takes %v units, and the contrary %v", mean, n, against)
		}
	})
}
