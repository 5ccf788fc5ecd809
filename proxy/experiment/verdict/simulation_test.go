package verdict

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
)

// The whole simulation, whose figures are in docs/experiments.md:
//
//	go test ./proxy/experiment/verdict -run 'TestSimulated' -simulations 2000 -timeout 3h -v
var simulations = flag.Int("simulations", 40, "experiments to simulate, of each kind")

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// people search as real ones do: some very much, the same again, clicking late, on several hits or one.
func people(seed uint64, m simulate.Model) simulate.Population {
	return simulate.Population{Seed: seed, Model: m, Careless: 0.05, Keen: 0.5, Tail: 1.2, Most: 300}
}

var (
	cascade = simulate.Cascade{Patience: 0.9}
	dcm     = simulate.DCM{Continue: []float64{0.4, 0.5, 0.6}, Patience: 0.9}
)

// split and shared are the two ways to run an experiment, at full traffic.
func split(shares ...float64) experiment.Experiment {
	return experiment.Experiment{Name: "e", Phase: "100%", Share: 1, Variants: []experiment.Variant{{Name: "lexical", Share: shares[0]}, {Name: "reranked", Share: shares[1]}}}
}

func shared() experiment.Experiment {
	e := split(1, 1)
	e.Interleave = true
	return e
}

// A scenario is a kind of traffic. The seed makes each simulation another.
type scenario struct {
	name    string
	users   int
	traffic func(seed uint64) simulate.Traffic
}

// simulated runs an experiment through the whole analysis: records, the pages and clicks that belong together, units, scores.
func simulated(t simulate.Traffic, o Options) (*joined, design, []observed) {
	var r Records
	for record := range t.Records() {
		r.Add(record)
	}
	// All units enter: nothing else is recorded long after.
	r.Add(experiment.Record{Impression: &experiment.Impression{QueryID: "last", Time: t.Start.Add(10000 * time.Hour)}})
	j := r.join(t.Experiment.Name, o.Window)
	d := j.design()
	if t.Experiment.Interleave {
		return j, d, observePreferences(j.closed(o), o)
	}
	return j, d, observe(j.closed(o), d, d.variants[1].Name, MRR, o)
}

// shownAfter looks after every single unit, and returns after which one a difference was shown first, and which way; 0 if it never was.
func shownAfter(all []observed, alpha float64) (units, way int) {
	wins := math.Log(2 / alpha)
	up, down := newBetter(0, 1), newBetter(0, -1)
	for i, u := range all {
		up.add(u.score)
		down.add(u.score)
		switch {
		case up.log() >= wins:
			return i + 1, 1
		case down.log() >= wins:
			return i + 1, -1
		}
	}
	return 0, 0
}

// misled says whether somebody who looks at the usual 95 % interval after every unit, from the thirtieth on, ever sees a difference.
func misled(all []observed) bool {
	var n, sum, squares float64
	for _, u := range all {
		n, sum, squares = n+1, sum+u.value, squares+u.value*u.value
		if mean := sum / n; n >= 30 && math.Abs(mean) > 1.96*math.Sqrt((squares/n-mean*mean)/n) {
			return true
		}
	}
	return false
}

// many runs simulations on all processors, in the order of their seeds.
func many(n int, one func(seed uint64)) {
	seeds := make(chan uint64)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for seed := range seeds {
				one(seed)
			}
		})
	}
	for seed := range n {
		seeds <- uint64(seed)
	}
	close(seeds)
	all.Wait()
}

// upper is the upper end of the exact 95 % confidence interval (Clopper and Pearson, one-sided 97.5 %) of a probability, of which k of n
// trials came out.
func upper(k, n int) float64 {
	below := func(p float64) float64 { // the probability of k or fewer
		sum, term := 0.0, float64(n)*math.Log1p(-p)
		for i := 0; i <= k; i++ {
			sum += math.Exp(term)
			term += math.Log(float64(n-i)) - math.Log(float64(i+1)) + math.Log(p) - math.Log1p(-p)
		}
		return sum
	}
	low, high := float64(k)/float64(n), 1.0
	if k == n {
		return 1
	}
	for range 60 {
		if middle := (low + high) / 2; below(middle) > 0.025 {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// tolerable is the count that n trials of probability 5 % exceed once in ten thousand.
func tolerable(n int) int {
	return int(math.Ceil(0.05*float64(n) + 3.72*math.Sqrt(0.05*0.95*float64(n))))
}

// Where there is no difference, one is shown in 5 % of the experiments at most, though somebody looks after every unit.
func TestSimulatedFalsePositives(t *testing.T) {
	equal := simulate.World{Hits: 20, Queries: 50, Control: 1, Same: true}
	own := simulate.World{Hits: 20, Queries: 8, Own: true, Control: 1, Treated: 1} // other rankings, exactly as good
	random := func(seed uint64) simulate.Population {                              // who clicks without looking at what it is
		p := people(seed, dcm)
		p.Keen = p.Careless * 4
		p.Careless = p.Keen
		return p
	}
	scenarios := []scenario{
		{"split, the same ranking", 1000, func(seed uint64) simulate.Traffic {
			return simulate.Traffic{World: equal, Population: people(seed, dcm), Experiment: split(1, 1), Next: 0.1}
		}},
		{"split 9:1, cascade, failures", 1000, func(seed uint64) simulate.Traffic {
			return simulate.Traffic{World: equal, Population: people(seed, cascade), Experiment: split(9, 1), Fallback: 0.2}
		}},
		{"split, rankings as good", 1000, func(seed uint64) simulate.Traffic {
			return simulate.Traffic{World: own, Population: people(seed, dcm), Experiment: split(1, 1)}
		}},
		{"split, few units are known", 1000, func(seed uint64) simulate.Traffic {
			w := equal
			w.Queries = 1000
			return simulate.Traffic{World: w, Population: people(seed, dcm), Experiment: split(1, 1), Unknown: 0.8}
		}},
		{"interleaved, rankings as good", 1000, func(seed uint64) simulate.Traffic {
			return simulate.Traffic{World: own, Population: people(seed, dcm), Experiment: shared(), Next: 0.1}
		}},
		{"interleaved, random clicks, failures", 1000, func(seed uint64) simulate.Traffic {
			w := own
			w.Treated = 0
			return simulate.Traffic{World: w, Population: random(seed), Experiment: shared(), Fallback: 0.2}
		}},
		{"interleaved, units unknown", 1000, func(seed uint64) simulate.Traffic {
			w := own
			w.Own, w.Queries, w.Treated = false, 1000, 0
			return simulate.Traffic{World: w, Population: random(seed), Experiment: shared(), Unknown: 1}
		}},
	}
	n := *simulations
	var usual int // how often the usual interval misleads: what the simulation has to be able to see
	defer func() {
		if all := n * len(scenarios); usual < all/5 {
			t.Errorf("the usual interval misleads in %d of %d experiments: that is too good to be true, and nothing is proved here", usual, all)
		}
	}()
	for _, s := range scenarios {
		if n < 1000 {
			s.users /= 2
		}
		t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) {
			shown, wrongly, units, searches := make([]bool, n), make([]bool, n), make([]int, n), make([]int, n)
			many(n, func(seed uint64) {
				traffic := s.traffic(seed)
				traffic.World.Seed, traffic.Experiment.Name = seed, fmt.Sprint("e", seed)
				traffic.Users, traffic.Start, traffic.Gap = s.users, begin, 3*time.Minute
				j, _, all := simulated(traffic, Options{}.defaults())
				after, _ := shownAfter(all, 1-Level)
				shown[seed], wrongly[seed], units[seed], searches[seed] = after > 0, misled(all), len(all), len(j.searches)
			})
			wrong, misled := 0, 0
			for i := range shown {
				wrong, misled = wrong+int(of(shown[i])), misled+int(of(wrongly[i]))
			}
			usual += misled
			t.Logf("%-36s %d of %d experiments show a difference: %.2f %%, at most %.2f %%; by the usual interval %.0f %%; %d units, %d searches each", s.name, wrong, n,
				100*float64(wrong)/float64(n), 100*upper(wrong, n), 100*float64(misled)/float64(n), mean(units), mean(searches))
			if wrong > tolerable(n) {
				t.Errorf("%d of %d experiments show a difference that there is not", wrong, n)
			}
			if n >= 2000 && upper(wrong, n) > 0.05 {
				t.Errorf("the false-positive rate is at most %.4f, with 95 %% confidence; want 0.05", upper(wrong, n))
			}
		})
	}
}

// Where there is a difference, it is shown, the right way, by about as many units as were predicted from the first hundreds; with
// interleaving by fewer.
func TestSimulatedPower(t *testing.T) {
	worlds := []struct {
		name    string
		treated float64
		shown   float64 // the share of the experiments, at least: small differences take more users than are simulated
	}{{"a little better", 0.7, 0.7}, {"better", 0.4, 0.8}, {"much better", 0, 0.8}, {"worse", 2, 0.8}}
	n := max(*simulations/10, 10)
	for _, w := range worlds {
		medians := map[bool]int{}
		for _, interleave := range []bool{false, true} {
			e, users := split(1, 1), 20000
			if w.treated == 0.7 {
				users = 40000
			}
			kind := "split"
			if interleave {
				e, users, kind = shared(), 4000, "interleaved"
			}
			if testing.Short() || n < 100 {
				if w.name != "worse" && (!interleave || w.name != "much better") {
					continue
				}
				if !interleave {
					users = 6000
				}
			}
			units, ways, searches := make([]int, n), make([]int, n), make([]int, n)
			lifts, predictions := make([]float64, n), make([]float64, n)
			many(n, func(seed uint64) {
				traffic := simulate.Traffic{
					World:      simulate.World{Seed: seed, Hits: 20, Queries: 200, Control: 1, Treated: w.treated},
					Population: people(seed, dcm), Experiment: e, Users: users, Start: begin, Gap: time.Minute, Next: 0.1, Fallback: 0.02,
				}
				o := Options{}.defaults()
				_, _, all := simulated(traffic, o)
				units[seed], ways[seed] = shownAfter(all, 1-Level)
				var scores []score
				for _, u := range all {
					scores = append(scores, u.score)
				}
				lifts[seed], _ = meanAndDeviation(scores)
				predictions[seed] = needed(lifts[seed], scores[:500], 1-Level)
				if !interleave {
					control, controls := 0.0, 0
					for _, u := range all {
						if !u.variant {
							control, controls = control+u.worth, controls+1
						}
					}
					lifts[seed] /= control / float64(controls)
				}
				for _, u := range all[:max(units[seed], 1)] {
					searches[seed] += u.searches
				}
			})
			want, shown, wrong := cmp.Compare(1, w.treated), 0, 0
			for i := range n {
				switch ways[i] {
				case want:
					shown++
				case -want:
					wrong++
				default:
					units[i] = math.MaxInt
					searches[i] = math.MaxInt
				}
			}
			slices.Sort(units)
			slices.Sort(searches)
			slices.Sort(lifts)
			slices.Sort(predictions)
			predicted := predictions[n/2]
			medians[interleave] = units[n/2]
			t.Logf("%-16s %-12s lift %+.3f: shown in %d of %d, wrongly %d; half by %s units (%s searches), 80 %% by %s (%s); predicted %.0f",
				w.name, kind, lifts[n/2], shown, n, wrong, ever(units[n/2]), ever(searches[n/2]), ever(units[n*4/5]), ever(searches[n*4/5]), predicted)
			if wrong > tolerable(n) {
				t.Errorf("%s, %s: %d of %d experiments show the contrary", w.name, kind, wrong, n)
			}
			if float64(shown) < w.shown*float64(n) {
				t.Errorf("%s, %s: shown in %d of %d experiments", w.name, kind, shown, n)
			}
			if ratio := float64(units[n/2]) / predicted; ratio < 0.5 || ratio > 1.6 {
				t.Errorf("%s, %s: half of the differences are shown by %d units; predicted were %.0f", w.name, kind, units[n/2], predicted)
			}
		}
		if len(medians) == 2 && medians[true]*2 > medians[false] {
			t.Errorf("%s: interleaving takes %d units and splitting %d", w.name, medians[true], medians[false])
		}
	}
}

// The intervals cover the true mean at all times at once, of whatever scores.
func TestSimulatedCoverage(t *testing.T) {
	n := *simulations * 5
	draws := map[string]func(r *source) score{
		"rare":       func(r *source) score { return score{of(r.Float64() < 0.02), 1} },
		"preference": func(r *source) score { return score{2*of(r.Float64() < 0.6) - 1, 1} },
		"skewed":     func(r *source) score { return score{math.Pow(r.Float64(), 8), 1} },
		"bounded":    func(r *source) score { return score{10*of(r.Float64() < 0.05) - 0.1, 0.1} },
	}
	truth := map[string]float64{"rare": 0.02, "preference": 0.2, "skewed": 1.0 / 9, "bounded": 0.4}
	for name, draw := range draws {
		missed := make([]bool, n)
		many(n, func(seed uint64) {
			r := newSource(seed)
			up, down := newBetter(truth[name], 1), newBetter(truth[name], -1)
			for range 1000 {
				s := draw(r)
				up.add(s)
				down.add(s)
				missed[seed] = missed[seed] || max(up.log(), down.log()) >= math.Log(2/(1-Level))
			}
		})
		k := 0
		for _, m := range missed {
			k += int(of(m))
		}
		t.Logf("%-12s the interval misses the mean at some time in %d of %d: at most %.1f %%", name, k, n, 100*upper(k, n))
		if k > tolerable(n) {
			t.Errorf("%s: the interval misses the mean at some time in %d of %d", name, k, n)
		}
	}
}

// Shares that are kept are seldom taken for a mismatch, and those that are not are seen.
func TestSimulatedRatios(t *testing.T) {
	n := *simulations * 2
	mismatches := func(lost float64, shares ...float64) (k int) {
		found := make([]bool, n)
		many(n, func(seed uint64) {
			e := split(shares...)
			e.Name = fmt.Sprint("ratio", seed)
			r := newSource(seed)
			j := &joined{}
			for i := range 3000 {
				p := &page{phase: "1%", design: e.Variants, at: int64(i)}
				a := e.Assign(fmt.Sprint(i), experiment.Digest{})
				if a.Variant == 1 && r.Float64() < lost {
					continue
				}
				p.variant = e.Label(a)
				j.units = append(j.units, &unit{searches: []*search{{pages: []*page{p}}}})
			}
			found[seed] = j.ratios(design{variants: e.Variants})[0].Mismatch
		})
		for _, f := range found {
			k += int(of(f))
		}
		return k
	}
	for _, shares := range [][]float64{{1, 1}, {9, 1}, {99, 1}} {
		if k := mismatches(0, shares...); k > 1+n/200 {
			t.Errorf("%v: %d of %d are mismatched, and are not", shares, k, n)
		}
	}
	if k := mismatches(0.3, 1, 1); k < n*99/100 {
		t.Errorf("where 30 %% of one variant's units are lost, %d of %d are found", k, n)
	}
}

// ever is a number of units or searches, if there is one.
func ever(n int) string {
	if n == math.MaxInt {
		return "more"
	}
	return fmt.Sprint(n)
}

func mean(xs []int) int {
	sum := 0
	for _, x := range xs {
		sum += x
	}
	return sum / max(len(xs), 1)
}
