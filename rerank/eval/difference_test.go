package eval

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestTestsAreAsTheReferencesSay(t *testing.T) {
	for i, c := range readGolden(t).Paired {
		d := Compare(c.A, c.B)
		if got, _ := pairedT(Differences(c.A, c.B)); !same(got, c.T) {
			t.Errorf("case %d: t is %v, want %v", i, got, c.T)
		}
		if !same(d.TTest, c.P) {
			t.Errorf("case %d: the t-test's p is %v, want %v", i, d.TTest, c.P)
		}
		if c.Randomisation != nil && !same(d.Randomisation, *c.Randomisation) {
			t.Errorf("case %d: the randomisation test's p is %v, want %v", i, d.Randomisation, *c.Randomisation)
		}
	}
}

// Where the signs are drawn, the p value is near that of the t-test, which is right for differences that are spread as these are.
func TestDrawnSigns(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, shift := range []float64{0, 0.1, 0.2, 0.3} {
		differences := make([]float64, 100)
		for i := range differences {
			differences[i] = r.NormFloat64() + shift
		}
		_, want := pairedT(differences)
		if got := randomisation(differences); math.Abs(got-want) > 0.02 {
			t.Errorf("shifted by %v: got p = %v, and %v by the t-test", shift, got, want)
		}
	}
}

func TestCompareAtTheEdges(t *testing.T) {
	for _, test := range []struct {
		name              string
		baseline, against []float64
		want              Difference
	}{
		{"no query", nil, nil, Difference{TTest: 1, Randomisation: 1}},
		{"one query", []float64{0.5}, []float64{1}, Difference{Queries: 1, Baseline: 0.5, Against: 1, Mean: 0.5, Low: 0.5, High: 0.5, TTest: 1, Randomisation: 1, Wins: 1}},
		{"no difference", []float64{0, 1}, []float64{0, 1}, Difference{Queries: 2, Baseline: 0.5, Against: 0.5, TTest: 1, Randomisation: 1, Ties: 2}},
		{"no spread", []float64{1, 1}, []float64{0, 0}, Difference{Queries: 2, Baseline: 1, Mean: -1, Low: -1, High: -1, TTest: 0, Randomisation: 0.5, Losses: 2}},
	} {
		if got := Compare(test.baseline, test.against); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

// Of the intervals of many samples of a known mean, about 95 % hold it. With 100 queries the percentile bootstrap is a little too narrow.
func TestIntervalHoldsTheMean(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const mean, samples = 0.05, 200
	held := 0
	for range samples {
		differences := make([]float64, 100)
		for i := range differences {
			if r.IntN(2) == 0 { // as of MRR: many ties
				differences[i] = 2 * (mean + 0.3*r.NormFloat64())
			}
		}
		if low, high := bootstrap(differences); low <= mean && mean <= high {
			held++
		}
	}
	if held < samples*90/100 || held > samples*99/100 {
		t.Errorf("%d of %d intervals hold the mean, want about %d", held, samples, samples*95/100)
	}
}

// Of a quarter of 400 queries that gain a half and a quarter that lose a quarter, the standard error of the mean can be followed by hand:
// sqrt(E[d²]-E[d]²)/20 = sqrt(0.078125-0.00390625)/20 = 0.0136.
func TestIntervalByHand(t *testing.T) {
	before, after := make([]float64, 400), make([]float64, 400)
	for i := range before {
		before[i], after[i] = 0.5, []float64{1, 0.25, 0.5, 0.5}[i%4]
	}
	d := Compare(before, after)
	if d.Wins != 100 || d.Losses != 100 || d.Ties != 200 || math.Abs(d.Mean-0.0625) > 1e-9 {
		t.Errorf("got %+v, want 100 wins, 100 losses and 200 ties, and 0.0625 more", d)
	}
	if math.Abs(d.Low-0.0358) > 0.003 || math.Abs(d.High-0.0892) > 0.003 {
		t.Errorf("got the interval [%v, %v], want about [0.036, 0.089]", d.Low, d.High)
	}
}

func TestWorstLosses(t *testing.T) {
	if got, want := WorstLosses([]float64{-0.1, 0.5, -0.9, 0, -0.1}, 3), []int{2, 0, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := WorstLosses([]float64{0, 1}, 10); len(got) != 0 {
		t.Errorf("got %v where nothing was lost", got)
	}
}

// What holds of any comparison.
func TestDifferenceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		values := rapid.SliceOfN(rapid.Float64Range(0, 1), n, n)
		a, b := values.Draw(t, "a"), values.Draw(t, "b")
		d, back := Compare(a, b), Compare(b, a)
		turned := func(xs []float64) []float64 { return append(slices.Clone(xs[1:]), xs[0]) }
		if again := Compare(turned(a), turned(b)); again.Low != d.Low || again.High != d.High || again.Randomisation != d.Randomisation {
			t.Errorf("got %+v, and with the queries in another order %+v", d, again)
		}
		if !same(d.Mean, -back.Mean) || d.Wins != back.Losses || d.Wins+d.Losses+d.Ties != n || !same(d.TTest, back.TTest) || !same(d.Randomisation, back.Randomisation) {
			t.Errorf("one way %+v, the other %+v", d, back)
		}
		if d.Low > d.High || d.TTest < 0 || d.TTest > 1 || d.Randomisation <= 0 || d.Randomisation > 1 {
			t.Errorf("got %+v", d)
		}
	})
}
