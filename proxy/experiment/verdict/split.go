package verdict

import (
	"math"
	"slices"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// A Metric is what a search is worth by the clicks on it, from 0 to 1.
type Metric string

// The metrics of a split. The first decides; the others are there to be looked at, and their intervals are not corrected for how many they are.
const (
	MRR         Metric = "MRR" // reciprocal rank of the first click
	CTR1        Metric = "CTR@1"
	CTR3        Metric = "CTR@3"
	CTR10       Metric = "CTR@10"
	Abandonment Metric = "abandonment" // less is better
)

var metrics = []Metric{MRR, CTR1, CTR3, CTR10, Abandonment}

// of is the search's worth; ok is false for a search that the metric does not speak of.
func (m Metric) of(s *search) (worth float64, ok bool) {
	switch m {
	case CTR1:
		return of(s.clicked(1)), true
	case CTR3:
		return of(s.clicked(3)), true
	case CTR10:
		return of(s.clicked(10)), true
	case Abandonment:
		return of(len(s.clicks) == 0), !s.page().empty
	}
	return s.reciprocal(), true
}

// A Comparison is a difference, in means over units.
type Comparison struct {
	Metric  Metric `json:"metric"`
	Control string `json:"control"`
	Variant string `json:"variant"`
	Effect

	ControlMean  float64 `json:"control_mean"`
	VariantMean  float64 `json:"variant_mean"`
	ControlUnits int     `json:"control_units"`
	VariantUnits int     `json:"variant_units"`

	Phases []PhaseEffect `json:"phases"`
}

// An Effect is how much better the second variant is than the control, with the interval that covers the truth at all times at once.
type Effect struct {
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	Level    float64 `json:"level"`
	Units    int     `json:"units"`
	Evidence float64 `json:"evidence"` // the betting capital against no difference; 1 at the start

	Detect   float64 `json:"detect"`             // a difference of this size …
	Needed   float64 `json:"needed"`             // … is shown by so many units with the chance Power
	Searches float64 `json:"needed_searches"`    // which make so many searches, in all
	Relative float64 `json:"relative,omitempty"` // the estimate, as a share of the control's mean
}

// A PhaseEffect is an Effect of the units that entered in a phase.
type PhaseEffect struct {
	Phase string `json:"phase"`
	Effect
}

// Shown says which way the difference is shown to go: 1 up, -1 down, 0 not shown.
func (e Effect) Shown() int {
	switch {
	case e.Low > 0:
		return 1
	case e.High < 0:
		return -1
	}
	return 0
}

func newEffect(scores []score, alpha float64) Effect {
	mean, _ := meanAndDeviation(scores)
	low, high := interval(scores, alpha)
	capital := max(logCapital(scores, 0, 1), logCapital(scores, 0, -1))
	return Effect{Estimate: mean, Low: low, High: high, Level: 1 - alpha, Units: len(scores), Evidence: math.Exp(min(capital, 700))}
}

// A contrast turns the scores of two groups of units into scores whose mean is the difference of the groups' means. With π the chance that a
// unit is of the variant's group, W whether it is, and m the mean of all units before it,
//
//	z = (score - m) (W/π - (1-W)/(1-π))
//
// has, by the randomisation alone, the expectation E[score | variant] - E[score | control], whatever m is and however the scores change with
// time; m only makes it vary less. |z| is 1/min(π, 1-π) at most. The means are of the unit's own phase and design, so that nothing of how the
// traffic was shared out in time gets into the difference: results are stratified by phase.
type contrast struct {
	n    int
	sum  float64
	ours float64 // π
}

func (c *contrast) add(worth float64, variant bool) score {
	m := (c.sum + 0.5) / float64(c.n+1)
	c.n, c.sum = c.n+1, c.sum+worth
	z := score{-(worth - m) / (1 - c.ours), min(c.ours, 1-c.ours)}
	if variant {
		z.value = (worth - m) / c.ours
	}
	return z
}

// A pair is the control and a variant of a design; what a unit is compared in.
type pair struct {
	phase            string
	control, against float64 // shares
}

// worth is the unit's, the mean over its searches; ok is false where the metric speaks of none of them.
func (u *unit) worth(m Metric, o Options) (worth float64, ok bool) {
	n := 0.0
	for _, s := range u.within(o.Horizon) {
		if w, ok := m.of(s); ok {
			worth, n = worth+w, n+1
		}
	}
	return worth / max(n, 1), n > 0
}

// compare compares each variant of a split with the control, by the units that have entered.
func (j *joined) compare(closed []*unit, d design, o Options) []Comparison {
	split := slices.ContainsFunc(j.units, func(u *unit) bool { return u.page().variant != experiment.Interleaved })
	if !split || len(d.variants) < 2 {
		return nil
	}
	alpha := (1 - Level) / float64(len(d.variants)-1)
	var all []Comparison
	for _, v := range d.variants[1:] {
		for _, m := range metrics {
			all = append(all, compareTwo(closed, d, v.Name, m, alpha, o))
		}
	}
	return all
}

// An observed is a unit that has entered, with its score.
type observed struct {
	*unit
	worth    float64
	variant  bool // not the control
	searches int  // that the score is made of
	score
}

// observe is the units that have either of two variants, in the order in which they entered.
func observe(units []*unit, d design, variant string, m Metric, o Options) []observed {
	var all []observed
	contrasts := map[pair]*contrast{}
	for _, u := range units {
		k, ok := d.pair(u.page(), variant)
		if !ok {
			continue
		}
		worth, ok := u.worth(m, o)
		if !ok {
			continue
		}
		if contrasts[k] == nil {
			contrasts[k] = &contrast{ours: k.against / (k.control + k.against)}
		}
		is := u.page().variant == variant
		all = append(all, observed{u, worth, is, len(u.within(o.Horizon)), contrasts[k].add(worth, is)})
	}
	return all
}

func compareTwo(units []*unit, d design, variant string, m Metric, alpha float64, o Options) Comparison {
	c := Comparison{Metric: m, Control: d.control(), Variant: variant}
	all := observe(units, d, variant, m, o)
	for _, u := range all {
		if u.variant {
			c.VariantUnits++
			c.VariantMean += u.worth
		} else {
			c.ControlUnits++
			c.ControlMean += u.worth
		}
	}
	c.ControlMean /= float64(max(c.ControlUnits, 1))
	c.VariantMean /= float64(max(c.VariantUnits, 1))
	c.Effect, c.Phases = effects(all, o.Effect*c.ControlMean, alpha)
	if c.ControlMean > 0 {
		c.Relative = c.Estimate / c.ControlMean
	}
	return c
}

// effects are that of all units, and those of the units of each phase.
func effects(all []observed, detect, alpha float64) (Effect, []PhaseEffect) {
	var phases []string
	of, byPhase, searches := make([]score, len(all)), map[string][]score{}, 0
	for i, u := range all {
		phase := u.page().phase
		if byPhase[phase] == nil {
			phases = append(phases, phase)
		}
		of[i], byPhase[phase] = u.score, append(byPhase[phase], u.score)
		searches += u.searches
	}
	e := newEffect(of, alpha)
	e.Detect, e.Needed = detect, neededOf(detect, of, alpha)
	e.Searches = e.Needed * float64(searches) / float64(max(len(all), 1))
	var each []PhaseEffect
	for _, phase := range phases {
		each = append(each, PhaseEffect{phase, newEffect(byPhase[phase], alpha)})
	}
	return e, each
}

// pair is what a unit with that first page is compared in; ok is false where it has neither variant, or chance had no say.
func (d design) pair(p *page, variant string) (k pair, ok bool) {
	if p.variant != d.control() && p.variant != variant {
		return k, false
	}
	k.phase = p.phase
	for _, v := range d.of(p) {
		switch v.Name {
		case d.control():
			k.control = v.Share
		case variant:
			k.against = v.Share
		}
	}
	return k, k.control > 0 && k.against > 0
}
