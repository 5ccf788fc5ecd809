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

	"gonum.org/v1/gonum/mathext"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
)

// The whole simulation, whose figures are in docs/experiments.md:
//
//	GOGC=400 go test ./proxy/experiment/verdict -run TestSimulated -simulations 2000 -timeout 3h -v
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
	o.Now = t.Start.Add(10000 * time.Hour)
	r.Add(experiment.Record{Impression: &experiment.Impression{QueryID: "last", Time: o.Now}})
	j := r.join(t.Experiment.Name, o)
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
func upper(k, n int) float64 { return atMost(k, n, 0.025) }

// between is the exact 99 % confidence interval of it.
func between(k, n int) (low, high float64) { return 1 - atMost(n-k, n, 0.005), atMost(k, n, 0.005) }

// atMost is the probability with which k of n trials or fewer come out with the chance tail.
func atMost(k, n int, tail float64) float64 {
	if k == n {
		return 1
	}
	return bisect(float64(k)/float64(n), 1, func(p float64) bool { return mathext.RegIncBeta(float64(n-k), float64(k+1), 1-p) <= tail })
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

// Where there is a difference, it is shown, the right way, by the units that were predicted for it, with the chance that was predicted; and
// interleaving takes fewer searches.
//
// Of each world the truth is known as well as all of its experiments together tell it: the mean of their scores, and how they are spread. From
// these two follows by how many units the difference is shown with a chance of 80 % ([needed]). What is held against that is how many of
// the experiments, each looked at after every unit, have shown it by then.
func TestSimulatedPower(t *testing.T) {
	worlds := []struct {
		name          string
		treated       float64
		users, fellow int // people in an experiment: of a split, and interleaved
	}{{"a little better", 0.6, 44000, 4000}, {"better", 0.4, 14000, 1200}, {"much better", 0, 9000, 500}, {"worse", 2, 2000, 500}}
	for _, w := range worlds {
		splitting := math.Inf(1)
		for _, interleave := range []bool{false, true} {
			e, users, n, kind := split(1, 1), w.users, max(*simulations/10, 20), "split"
			if interleave {
				e, users, n, kind = shared(), w.fellow, max(*simulations/2, 40), "interleaved"
			}
			if users > 3000 && (testing.Short() || *simulations < 1000) {
				continue
			}
			all := make([]finished, n)
			many(n, func(seed uint64) {
				e := e
				e.Name = fmt.Sprint("e", seed)
				j, _, units := simulated(simulate.Traffic{
					World:      simulate.World{Seed: 1, Hits: 20, Queries: 200, Control: 1, Treated: w.treated},
					Population: people(seed, dcm), Experiment: e, Users: users, Start: begin, Gap: time.Minute, Next: 0.1, Fallback: 0.02,
				}, Options{}.defaults())
				all[seed] = finish(j, units)
			})
			truth := truthOf(all)
			predicted := needed(truth.mean, truth.deviation, truth.bound, 1-Level)
			var after []int
			wrong := 0
			for _, f := range all {
				switch f.way {
				case cmp.Compare(truth.mean, 0):
					after = append(after, f.after)
				case 0:
				default:
					wrong++
				}
			}
			slices.Sort(after)
			by, _ := slices.BinarySearch(after, int(predicted)+1)
			low, high := between(by, n)
			t.Logf("%-16s %-12s %s: predicted %.0f units, %.0f searches; by then shown in %d of %d, %.1f %% (%.1f to %.1f %%); half by %s, 80 %% by %s; wrongly %d",
				w.name, kind, truth.says(interleave), predicted, predicted*truth.searches, by, n, 100*float64(by)/float64(n), 100*low, 100*high,
				reached(after, n, 0.5), reached(after, n, 0.8), wrong)
			if (truth.mean > 0) != (w.treated < 1) {
				t.Errorf("%s, %s: the truth is %v", w.name, kind, truth.mean)
			}
			if predicted > float64(truth.least) {
				t.Errorf("%s, %s: %.0f units are needed, and %d were simulated", w.name, kind, predicted, truth.least)
			}
			if low > Power || high < Power {
				t.Errorf("%s, %s: by the predicted %.0f units the difference is shown in %d of %d experiments: that is no chance of %v", w.name, kind, predicted, by, n, Power)
			}
			if wrong > tolerable(n) {
				t.Errorf("%s, %s: %d of %d experiments show the contrary", w.name, kind, wrong, n)
			}
			if !interleave {
				splitting = predicted * truth.searches
			} else if predicted*truth.searches > splitting/2 {
				t.Errorf("%s: interleaving takes %.0f searches and splitting %.0f", w.name, predicted*truth.searches, splitting)
			}
		}
	}
}

// A finished experiment, of which no more is kept than what is asked of it.
type finished struct {
	units, searches   int
	sum, squares      float64 // of the scores
	bound             float64 // of each
	control, controls float64 // the worth of the control's units, and how many those are
	after, way        int     // as shownAfter says
}

func finish(j *joined, units []observed) finished {
	f := finished{units: len(units), searches: len(j.searches), bound: units[0].bound}
	for _, u := range units {
		f.sum, f.squares = f.sum+u.value, f.squares+u.value*u.value
		if !u.variant {
			f.control, f.controls = f.control+u.worth, f.controls+1
		}
	}
	f.after, f.way = shownAfter(units, 1-Level)
	return f
}

// A truth is what all experiments with a world say of it.
type truth struct {
	mean, deviation, bound float64
	control                float64 // its mean worth
	searches               float64 // for each unit that has a score
	least                  int     // units of an experiment
}

func truthOf(all []finished) truth {
	sum := finished{}
	t := truth{bound: all[0].bound, least: all[0].units}
	for _, f := range all {
		sum.units, sum.searches, sum.sum, sum.squares = sum.units+f.units, sum.searches+f.searches, sum.sum+f.sum, sum.squares+f.squares
		sum.control, sum.controls = sum.control+f.control, sum.controls+f.controls
		t.least = min(t.least, f.units)
	}
	n := float64(sum.units)
	t.mean, t.control, t.searches = sum.sum/n, sum.control/sum.controls, float64(sum.searches)/n
	t.deviation = math.Sqrt(sum.squares/n - t.mean*t.mean)
	return t
}

func (t truth) says(interleaved bool) string {
	if interleaved {
		return fmt.Sprintf("preferred by %.1f %%", share(t.mean))
	}
	return fmt.Sprintf("lift %+.1f %%", 100*t.mean/t.control)
}

// reached is by how many units a share of n experiments had shown a difference; after are those that did.
func reached(after []int, n int, share float64) string {
	if k := int(share*float64(n)) - 1; k < len(after) {
		return fmt.Sprint(after[k])
	}
	return "more"
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

func mean(xs []int) int {
	sum := 0
	for _, x := range xs {
		sum += x
	}
	return sum / max(len(xs), 1)
}
