package verdict

import (
	"math"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// A Ratio says whether a phase's units are shared out among the variants as they should be. Where they are not, something that came after
// the assignment decided who is in the records, and no comparison of them can be trusted (Fabijan et al., "Diagnosing sample ratio mismatch in
// online controlled experiments", KDD 2019).
//
// The test is sequential: the likelihood of the units' variants under a Dirichlet prior about the shares that were meant, over that under the
// shares themselves, each unit foretold from those before it (Lindon and Malek, "Anytime-valid inference for multinomial count data",
// NeurIPS 2022). It is a nonnegative martingale that starts at 1 when the shares are kept, and so ever passes 1000 with probability 1/1000 at
// most.
type Ratio struct {
	Phase    string  `json:"phase"`
	Shares   []Share `json:"shares"`
	Evidence float64 `json:"evidence"` // the greatest that the likelihood ratio has been
	Mismatch bool    `json:"mismatch"`
}

// A Share is a variant's.
type Share struct {
	Variant string  `json:"variant"`
	Units   int     `json:"units"`
	Got     float64 `json:"got"`
	Meant   float64 `json:"meant"`
}

const (
	mismatched    = 1000
	concentration = 200 // of the prior: deviations of about 1/√200 of a share are foreseen
)

// ratios are of the phases in which units were split, by the units that were first seen in each.
func (j *joined) ratios(d design) []Ratio {
	type counting struct {
		phase       string
		variants    []experiment.Variant
		counts      map[string]int
		n           int
		log, most   float64
		meant       map[string]float64 // summed over units, whose designs may differ
		outOfDesign bool
	}
	var all []*counting
	for _, u := range j.units {
		p := u.page()
		if p.variant == experiment.Interleaved {
			continue
		}
		var c *counting
		for _, known := range all {
			if known.phase == p.phase {
				c = known
			}
		}
		if c == nil {
			c = &counting{phase: p.phase, variants: d.of(p), counts: map[string]int{}, meant: map[string]float64{}}
			all = append(all, c)
		}
		for _, v := range d.of(p) {
			c.meant[v.Name] += shareOf(v.Name, d.of(p))
		}
		ours := shareOf(p.variant, d.of(p))
		if ours == 0 {
			c.outOfDesign = true
		} else {
			foretold := (concentration*ours + float64(c.counts[p.variant])) / (concentration + float64(c.n))
			c.log += math.Log(foretold / ours)
			c.most = max(c.most, c.log)
		}
		c.counts[p.variant]++
		c.n++
	}
	var of []Ratio
	for _, c := range all {
		if len(c.variants) < 2 {
			continue
		}
		r := Ratio{Phase: c.phase, Evidence: math.Exp(min(c.most, 700))}
		for _, v := range c.variants {
			r.Shares = append(r.Shares, Share{v.Name, c.counts[v.Name], float64(c.counts[v.Name]) / float64(c.n), c.meant[v.Name] / float64(c.n)})
		}
		r.Mismatch = c.outOfDesign || r.Evidence >= mismatched
		of = append(of, r)
	}
	return of
}

// shareOf is a variant's share of the units that take part.
func shareOf(variant string, among []experiment.Variant) float64 {
	var ours, all float64
	for _, v := range among {
		all += max(v.Share, 0)
		if v.Name == variant {
			ours += max(v.Share, 0)
		}
	}
	if all == 0 {
		return 0
	}
	return ours / all
}
