package verdict

import (
	"math/rand/v2"
	"slices"
)

// Noise is what the analysis says where there is no difference: an A/A comparison, made many times of what was recorded. Of a split, the
// control's units are halved by chance; of shared pages, whose team is whose is thrown anew for each unit.
type Noise struct {
	Halves int     `json:"halves"` // how often
	Units  int     `json:"units"`
	Shown  int     `json:"shown"` // how often a difference would have been shown, which there is none
	Low    float64 `json:"low"`   // the middle 95 % of the estimates
	High   float64 `json:"high"`
}

func noise(closed []*unit, d design, o Options) *Noise {
	var worths, preferences []float64
	for _, u := range observePreferences(closed, o) {
		preferences = append(preferences, u.worth)
	}
	for _, u := range closed {
		if u.page().variant == d.control() {
			if worth, ok := u.worth(MRR, o); ok {
				worths = append(worths, worth)
			}
		}
	}
	n := &Noise{Halves: o.Halves, Units: max(len(preferences), len(worths))}
	var estimates []float64
	for i := range o.Halves {
		r := rand.New(rand.NewPCG(uint64(i), 0))
		scores := make([]score, 0, n.Units)
		if len(preferences) > len(worths) {
			for _, p := range preferences {
				scores = append(scores, score{p * float64(2*r.IntN(2)-1), 1})
			}
		} else {
			c := contrast{ours: 0.5}
			for _, worth := range worths {
				scores = append(scores, c.add(worth, r.IntN(2) == 1))
			}
		}
		e := newEffect(scores, 1-Level)
		estimates = append(estimates, e.Estimate)
		if e.Shown() != 0 {
			n.Shown++
		}
	}
	slices.Sort(estimates)
	n.Low, n.High = estimates[len(estimates)*25/1000], estimates[len(estimates)-1-len(estimates)*25/1000]
	return n
}
