// Package verdict says what an experiment has shown: it reads what was recorded, puts clicks to the pages that they are on, and compares.
//
// [Records] takes the files, [Records.Report] makes the [Report], a plain struct for a page or a terminal. The test may be looked at at any
// time (sequence.go says by which method), because of three rules:
//
//   - The unit of the analysis is the unit of the assignment: what had to get one variant, a client say, enters as one, with one score between
//     0 and 1 (split) or -1 and 1 (interleaved), however much it searches.
//   - A unit's score is fixed when it enters: it is made of the searches of its first hours (the horizon) with the clicks within the
//     attribution window, and enters when both are over.
//   - Nothing that happens after the assignment decides whether a unit or search counts: a search keeps its variant when its ranking failed
//     (intention to treat).
package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// Options are how a report is made. Zero fields have the defaults that are named.
type Options struct {
	Experiment string            // which; "": the only one there is
	Window     time.Duration     // how long after its impression a click counts; 0: DefaultWindow
	Horizon    time.Duration     // how long after its first search a unit's searches count for its score; 0: DefaultHorizon
	Now        time.Time         // when it is looked at; 0: now
	Effect     float64           // the relative lift that Needed is said for; 0: 0.05
	Guards     experiment.Guards // their limits
	Halves     int               // of the A/A comparison; 0: none is made
}

// What is looked at where nothing else is said.
const (
	DefaultWindow  = 30 * time.Minute
	DefaultHorizon = 24 * time.Hour
)

// Skew is by how much the clock of a machine that records may be ahead of the clock of the one that looks, as no clock is that is looked after.
// What is dated later is from no time at all: it is counted, and left out.
const Skew = 5 * time.Minute

func (o Options) defaults() Options {
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	if o.Horizon <= 0 {
		o.Horizon = DefaultHorizon
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Effect <= 0 {
		o.Effect = 0.05
	}
	return o
}

// A Report is all that is known of an experiment. Shares are from 0 to 1.
type Report struct {
	Experiment string        `json:"experiment"`
	Others     []string      `json:"others,omitempty"` // experiments that the records are of, too
	From       time.Time     `json:"from"`             // the first search's
	To         time.Time     `json:"to"`               // when the last thing was recorded, and not later than it is looked at: the report is as of then
	Window     time.Duration `json:"window_ns"`
	Horizon    time.Duration `json:"horizon_ns"`
	Read       Read          `json:"read"`
	Sample     int           `json:"sample,omitempty"` // of so many units one was read, where not all were
	Ahead      Ahead         `json:"ahead"`
	Orphans    int           `json:"orphans"` // events of query ids that no record shows a page of: of which experiment they would be, nobody knows

	Verdict  string   `json:"verdict"`            // in a sentence or two
	Warnings []string `json:"warnings,omitempty"` // that come before it

	Units       Units         `json:"units"`
	Comparisons []Comparison  `json:"comparisons,omitempty"` // of a split: each variant with the control, by each metric, the first of each being the one that decides
	Interleaved *Interleaved  `json:"interleaved,omitempty"` // where variants shared pages
	Cells       []Cell        `json:"cells"`                 // by phase and variant
	Shadows     []ShadowCell  `json:"shadows,omitempty"`
	Ratios      []Ratio       `json:"ratios,omitempty"` // sample ratios, by phase
	Guards      []PhaseGuards `json:"guards,omitempty"`
	Clicks      Clicks        `json:"clicks"`
	Noise       *Noise        `json:"noise,omitempty"` // of the A/A comparison
}

// Ahead counts records from the future, of this experiment or of nobody knows which: dated more than [Skew] after the time of looking. They are
// left out.
type Ahead struct {
	Records int       `json:"records"`
	Latest  time.Time `json:"latest,omitzero"`
}

func (a *Ahead) add(at int64) {
	a.Records++
	if t := time.Unix(0, at).UTC(); t.After(a.Latest) {
		a.Latest = t
	}
}

// Units count whom the analysis is of.
type Units struct {
	All       int     `json:"all"`
	Open      int     `json:"open"`       // whose first hours are not over, and who have not entered yet
	Crossed   int     `json:"crossed"`    // that have had several variants; they count for the first
	ByRequest float64 `json:"by_request"` // the share of searches that nothing but the request could be assigned by
	Largest   float64 `json:"largest"`    // the share of searches of the one that made most
}

// WhichError says that there are several experiments, and none was named, or that the one that was is not there.
type WhichError struct {
	Wanted string
	Names  []string
}

func (e *WhichError) Error() string {
	switch {
	case len(e.Names) == 0:
		return "no search in the records is of an experiment"
	case e.Wanted != "":
		return fmt.Sprintf("no search in the records is of an experiment %q", e.Wanted)
	}
	return fmt.Sprintf("the records are of %d experiments", len(e.Names))
}

// Report analyses an experiment. The error is a *WhichError.
func (r *Records) Report(o Options) (*Report, error) {
	o = o.defaults()
	names := map[string]bool{}
	for i := range r.pages {
		names[r.pages[i].experiment] = true
	}
	for i := range r.shadows {
		names[r.shadows[i].Experiment] = true
	}
	delete(names, "")
	all := slices.Sorted(maps.Keys(names))
	name := o.Experiment
	if name == "" && len(all) == 1 {
		name = all[0]
	}
	if !names[name] {
		return nil, &WhichError{o.Experiment, all}
	}
	j := r.join(name, o)
	report := &Report{
		Experiment: name, Window: o.Window, Horizon: o.Horizon, Read: r.Read, Sample: r.Sample, Clicks: j.clicks, Ahead: j.ahead, Orphans: j.orphans,
		Others: slices.DeleteFunc(all, func(s string) bool { return s == name }),
		To:     time.Unix(0, j.end).UTC(),
	}
	if len(j.searches) > 0 {
		report.From = time.Unix(0, j.searches[0].page().at).UTC()
	}
	d := j.design()
	report.Units = j.count(o)
	report.Cells = j.cells()
	report.Shadows = shadowCells(r.shadows, name)
	report.Ratios = j.ratios(d)
	report.Guards = j.guards(d, o.Guards)
	closed := j.closed(o)
	report.Comparisons = j.compare(closed, d, o)
	report.Interleaved = j.interleaved(closed, d, o)
	if o.Halves > 0 {
		report.Noise = noise(closed, d, o)
	}
	report.Warnings = report.warnings(d, o)
	report.Verdict = report.sentence()
	return report, nil
}

// A design is what the variants are and what shares they should have.
type design struct {
	variants []experiment.Variant // of the last record
	assumed  bool                 // the records do not say
	changed  bool                 // they say different things
}

func (d design) control() string {
	if len(d.variants) == 0 {
		return ""
	}
	return d.variants[0].Name
}

// design is the experiment's, or where the records have none, equal shares of what was seen.
func (j *joined) design() design {
	var d design
	seen := map[string]bool{}
	for _, s := range j.searches {
		if p := s.page(); len(p.design) > 0 {
			d.changed = d.changed || d.variants != nil && !slices.Equal(d.variants, p.design)
			d.variants = p.design
		}
		if v := s.page().variant; v != experiment.Interleaved {
			seen[v] = true
		}
	}
	if d.variants == nil {
		d.assumed = true
		for _, v := range slices.Sorted(maps.Keys(seen)) {
			d.variants = append(d.variants, experiment.Variant{Name: v, Share: 1})
		}
	}
	return d
}

// of is the design that a page was assigned by.
func (d design) of(p *page) []experiment.Variant {
	if len(p.design) > 0 {
		return p.design
	}
	return d.variants
}

func (j *joined) count(o Options) Units {
	n := Units{All: len(j.units), Open: len(j.units) - len(j.closed(o))}
	var by, largest int
	for _, u := range j.units {
		if u.crossed {
			n.Crossed++
		}
		largest = max(largest, len(u.searches))
		if u.page().byRequest {
			by += len(u.searches)
		}
	}
	if all := float64(len(j.searches)); all > 0 {
		n.ByRequest, n.Largest = float64(by)/all, float64(largest)/all
	}
	return n
}

// closed are the units that have entered: the time for their searches and for the clicks on them is over. As that time is the same for
// all, they enter in the order in which they were first seen.
func (j *joined) closed(o Options) []*unit {
	n := len(j.units)
	for n > 0 && j.units[n-1].first+int64(o.Horizon+o.Window) > j.end {
		n--
	}
	return j.units[:n]
}

// PhaseGuards are the guards' findings of a phase.
type PhaseGuards struct {
	Phase    string               `json:"phase"`
	Findings []experiment.Finding `json:"findings"`
}

func (j *joined) guards(d design, limits experiment.Guards) []PhaseGuards {
	var phases []string
	totals := map[string]*experiment.Totals{}
	something := []experiment.Shown{{}}
	for _, s := range j.searches {
		for _, p := range s.pages {
			t := totals[p.phase]
			if t == nil {
				t = &experiment.Totals{}
				totals[p.phase] = t
				phases = append(phases, p.phase)
			}
			i := experiment.Impression{Variant: p.variant, From: p.from, Outcome: p.outcome, Reason: p.reason, Added: p.added, Took: p.took}
			if !p.empty {
				i.Hits = something
			}
			t.Add(&i)
		}
	}
	var of []PhaseGuards
	for _, phase := range phases {
		if found := limits.Check(totals[phase], d.control()); found != nil {
			of = append(of, PhaseGuards{phase, found})
		}
	}
	return of
}

// byPhase orders what is of phases as they were first seen, and of variants, the control first.
func (j *joined) byPhase(d design) func(phaseA, variantA, phaseB, variantB string) int {
	phases, variants := map[string]int{}, map[string]int{}
	for _, s := range j.searches {
		if _, ok := phases[s.page().phase]; !ok {
			phases[s.page().phase] = len(phases)
		}
	}
	for i, v := range d.variants {
		variants[v.Name] = i - len(d.variants)
	}
	return func(phaseA, variantA, phaseB, variantB string) int {
		return cmp.Or(cmp.Compare(phases[phaseA], phases[phaseB]), cmp.Compare(variants[variantA], variants[variantB]), strings.Compare(variantA, variantB))
	}
}
