package eval

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// A Difference sets the values that two searchers have for the same queries side by side. Each query is its own control, so what is asked
// is always how the differences are spread, never how the two means are.
type Difference struct {
	Queries  int     `json:"queries"`
	Baseline float64 `json:"baseline"` // means over the queries
	Against  float64 `json:"against"`
	Mean     float64 `json:"difference"` // of against from the baseline
	// Low and High are the 95 % interval of the mean difference: percentiles of the paired bootstrap (Efron 1979; for retrieval, Smucker, Allan
	// and Carterette 2007) with 10,000 resamples and a fixed seed, so that it repeats for the same differences in whatever order.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// TTest is the two-sided p value of Student's paired t-test: the chance of a mean difference that is as large, were the two searchers
	// equally good. 1 for less than two queries.
	TTest float64 `json:"p_t_test"`
	// Randomisation is the two-sided p value of Fisher's randomisation test, which asks the same and assumes nothing of how the differences
	// are spread: were both equally good, each difference might as well have had the other sign. Up to 16 queries that differ all signs are
	// tried, beyond that 10,000 drawn with a fixed seed, for which the least p is 1/10,001. For retrieval both tests agree well (Smucker,
	// Allan and Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval Evaluation", CIKM 2007).
	Randomisation float64 `json:"p_randomisation"`
	Wins          int     `json:"wins"` // queries that are better with against
	Losses        int     `json:"losses"`
	Ties          int     `json:"ties"`
}

const resamples = 10_000

// Compare compares two searchers by their values of the same queries, in the same order. It panics if there are not as many of both.
func Compare(baseline, against []float64) Difference {
	d := Difference{Queries: len(baseline), TTest: 1, Randomisation: 1}
	differences := Differences(baseline, against)
	if d.Queries == 0 {
		return d
	}
	d.Baseline, d.Against, d.Mean = mean(baseline), mean(against), mean(differences)
	for _, x := range differences {
		switch {
		case x > 0:
			d.Wins++
		case x < 0:
			d.Losses++
		default:
			d.Ties++
		}
	}
	_, d.TTest = pairedT(differences)
	slices.Sort(differences) // so that nothing below depends on the order of the queries
	d.Low, d.High = bootstrap(differences)
	d.Randomisation = randomisation(differences)
	return d
}

// Differences are by how much against is above the baseline, query by query.
func Differences(baseline, against []float64) []float64 {
	if len(baseline) != len(against) {
		panic("eval: two searchers with different numbers of queries")
	}
	differences := make([]float64, len(baseline))
	for i := range baseline {
		differences[i] = against[i] - baseline[i]
	}
	return differences
}

// WorstLosses are the places of the queries that lost most, the worst first, n at most.
func WorstLosses(differences []float64, n int) []int {
	var lost []int
	for i, x := range differences {
		if x < 0 {
			lost = append(lost, i)
		}
	}
	slices.SortStableFunc(lost, func(a, b int) int { return cmp.Compare(differences[a], differences[b]) })
	return lost[:min(n, len(lost))]
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return share(sum, float64(len(xs)))
}

// bootstrap is the 95 % interval of the mean of differences, of which there is one at least.
func bootstrap(differences []float64) (low, high float64) {
	n := len(differences)
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
	return means[resamples*25/1000], means[resamples*975/1000-1]
}

// pairedT is Student's t of differences against 0, and its two-sided p. Differences that are all the same have no spread to compare their
// mean with: t is 0 and p 1 where they are 0, else t is infinite and p 0.
func pairedT(differences []float64) (t, p float64) {
	n := float64(len(differences))
	if n < 2 {
		return 0, 1
	}
	m := mean(differences)
	squares := 0.0
	for _, x := range differences {
		squares += (x - m) * (x - m)
	}
	if m == 0 {
		return 0, 1
	}
	t = m / math.Sqrt(squares/(n-1)/n)
	if math.IsInf(t, 0) {
		return t, 0
	}
	// The tails of Student's distribution with n-1 degrees of freedom: Abramowitz and Stegun, 26.7.1.
	return t, mathext.RegIncBeta((n-1)/2, 0.5, (n-1)/(n-1+t*t))
}

// randomisation is the share of the ways to give the differences signs under which their sum is as far from 0 as it is.
func randomisation(differences []float64) float64 {
	var sizes []float64 // of those that are not 0, which have no sign
	sum := 0.0
	for _, x := range differences {
		if sum += x; x != 0 {
			sizes = append(sizes, math.Abs(x))
		}
	}
	slices.Sort(sizes)                   // so that the signs that are drawn fall on the same sizes whichever way round the two are compared
	slack := 1e-12 * float64(len(sizes)) // what the order of adding may make
	extreme := func(s float64) bool { return math.Abs(s) >= math.Abs(sum)-slack }
	if len(sizes) <= 16 {
		count := 0
		for signs := range 1 << len(sizes) {
			s := 0.0
			for i, x := range sizes {
				if signs>>i&1 == 1 {
					x = -x
				}
				s += x
			}
			if extreme(s) {
				count++
			}
		}
		return float64(count) / float64(int(1)<<len(sizes))
	}
	random := rand.New(rand.NewPCG(3, 4))
	count := 1 // the signs that there were are one of the ways
	for range resamples {
		s, signs := 0.0, uint64(0)
		for i, x := range sizes {
			if i%64 == 0 {
				signs = random.Uint64()
			}
			if signs&1 == 1 {
				x = -x
			}
			signs >>= 1
			s += x
		}
		if extreme(s) {
			count++
		}
	}
	return float64(count) / (resamples + 1)
}
