package experiment

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Step is one of a ramp: off, shadow, then shares of the traffic. Its name is the experiment's phase.
type Step struct {
	Shadow bool    // the variant runs beside the searches, and nobody sees it
	Share  float64 // of the units that take part; 0 and no Shadow: off
}

// ParseStep reads "off", "shadow", or a share such as "1%" or "0.5 %".
func ParseStep(s string) (Step, error) {
	switch s {
	case "off":
		return Step{}, nil
	case "shadow":
		return Step{Shadow: true}, nil
	}
	number, ok := strings.CutSuffix(s, "%")
	percent, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(percent > 0 && percent <= 100) {
		return Step{}, fmt.Errorf("%q is no step of a ramp: it is off, shadow, or a share of the traffic such as 1%%", s)
	}
	return Step{Share: percent / 100}, nil
}

// String is what ParseStep reads.
func (s Step) String() string {
	switch {
	case s.Shadow:
		return "shadow"
	case s.Share > 0:
		return strconv.FormatFloat(math.Round(s.Share*1e8)/1e6, 'f', -1, 64) + "%"
	}
	return "off"
}

// Beyond says whether s exposes more of the traffic than t.
func (s Step) Beyond(t Step) bool {
	if s.Share == t.Share {
		return s.Shadow && !t.Shadow && s.Share == 0
	}
	return s.Share > t.Share
}

// Refuse says, a sentence each, why the ramp may not go from one step to another: no guard may fail where it goes up. Down it always may.
func (g Guards) Refuse(from, to Step, present *Totals, control string) []string {
	if !to.Beyond(from) {
		return nil
	}
	var why []string
	for _, f := range g.Check(present, control) {
		if f.Fails {
			why = append(why, fmt.Sprintf("the guard for %s fails at %s: %s", f.Guard, from, f.Sentence))
		}
	}
	return why
}
