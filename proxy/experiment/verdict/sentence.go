package verdict

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Distrusted says whether something is wrong with the records themselves, so that no verdict should be drawn from them.
func (r *Report) Distrusted() bool {
	for _, ratio := range r.Ratios {
		if ratio.Mismatch {
			return true
		}
	}
	return false
}

// sentence is the verdict in words.
func (r *Report) sentence() string {
	var said []string
	if r.Distrusted() {
		said = append(said, "Draw no conclusion from this: the units are not shared out as they should be.")
	}
	if i := r.Interleaved; i != nil {
		said = append(said, i.sentence(r))
	}
	for _, c := range r.Comparisons {
		if c.Metric == MRR {
			said = append(said, c.sentence(r))
		}
	}
	if len(said) == 0 {
		return "Nothing to compare yet: no variant but the control was shown to anybody."
	}
	return strings.Join(said, " ")
}

// Anytime is what may be done with the verdict.
const Anytime = "You may look at any time, and stop when you like."

func (c Comparison) sentence(r *Report) string {
	if c.Anything() {
		return tooFew(c.Variant, c.Control, c.Units, r)
	}
	relative := func(x float64) string { return Signed(100*x/c.ControlMean, 1) + " %" }
	interval := fmt.Sprintf("mean reciprocal rank of the first click %.3f against %.3f, %s; %s confidence sequence %s to %s; %s",
		c.VariantMean, c.ControlMean, relative(c.Estimate), level(c.Level), relative(c.Low), relative(c.High), Several(float64(c.Units), "unit"))
	if c.ControlMean == 0 {
		interval = fmt.Sprintf("mean reciprocal rank of the first click %.3f against 0; %s", c.VariantMean, Several(float64(c.Units), "unit"))
	}
	switch c.Shown() {
	case 1:
		return fmt.Sprintf("%s is better than %s: %s.", c.Variant, c.Control, interval)
	case -1:
		return fmt.Sprintf("%s is worse than %s: %s.", c.Variant, c.Control, interval)
	}
	s := fmt.Sprintf("No difference shown yet between %s and %s: %s.", c.Variant, c.Control, interval)
	return s + c.more(r, fmt.Sprintf("a lift of %.2g %%", 100*c.Detect/c.ControlMean))
}

// tooFew is said where any difference is still possible.
func tooFew(variant, control string, units int, r *Report) string {
	return fmt.Sprintf("Nothing can be said yet of %s and %s: only %s to compare, and %s in the first %s.",
		variant, control, Several(float64(units), "unit"), Several(float64(r.Units.Open), "unit"), hours(r.Horizon.Hours()))
}

// more says how much it would take.
func (e Effect) more(r *Report, of string) string {
	switch left := e.Needed - float64(e.Units*max(r.Sample, 1)); {
	case e.Needed == 0:
		return ""
	case left <= 0:
		return fmt.Sprintf(" %s would probably have been shown by now.", strings.ToUpper(of[:1])+of[1:])
	default:
		return fmt.Sprintf(" About %s more (%s) would show %s with a chance of %.0f %%.",
			Several(round(e.Searches/e.Needed*left), "search", "searches"), Several(round(left), "unit"), of, 100*Power)
	}
}

func (i Interleaved) sentence(r *Report) string {
	e := i.Preference
	if e.Anything() {
		return tooFew(i.Variant, i.Control, e.Units, r)
	}
	interval := fmt.Sprintf("of the searches with a preference, %.1f %% prefer its picks, as the mean over %s; %s confidence sequence %.1f to %.1f %%",
		share(e.Estimate), Several(float64(e.Units), "unit"), level(e.Level), share(e.Low), share(e.High))
	switch e.Shown() {
	case 1:
		return fmt.Sprintf("%s is better than %s: %s.", i.Variant, i.Control, interval)
	case -1:
		return fmt.Sprintf("%s is worse than %s: %s.", i.Variant, i.Control, interval)
	}
	return fmt.Sprintf("No difference shown yet between %s and %s: %s.", i.Variant, i.Control, interval) +
		e.more(r, fmt.Sprintf("a preference of %.3g %%", share(e.Detect)))
}

func (r *Report) warnings(d design, o Options) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, ratio := range r.Ratios {
		if ratio.Mismatch {
			var shares []string
			for _, s := range ratio.Shares {
				shares = append(shares, fmt.Sprintf("%s has %s (%.1f %%, meant were %.1f %%)", s.Variant, Several(float64(s.Units), "unit"), 100*s.Got, 100*s.Meant))
			}
			warn("Sample ratio mismatch%s: %s. Something decides who is recorded; look for what happens to one variant's searches alone.",
				inPhase(ratio.Phase), strings.Join(shares, ", "))
		}
	}
	for _, p := range r.Guards {
		for _, f := range p.Findings {
			if f.Fails {
				warn("The guard for %s fails%s: %s.", f.Guard, inPhase(p.Phase), f.Sentence)
			}
		}
	}
	if d.assumed && len(r.Comparisons)+len(r.Ratios) > 0 {
		warn("The records do not say what shares the variants should have; equal ones are assumed, and %s is taken for the control.", d.control())
	}
	if d.changed {
		warn("The variants or their shares were changed while the experiment ran. That makes another experiment, which should have another name.")
	}
	if r.Units.Crossed > 0 {
		warn("%s had several variants: what counts is the first.", Several(float64(r.Units.Crossed), "unit"))
	}
	if i := r.Interleaved; i != nil && i.Excluded*10 > i.Pages {
		warn("%.1f %% of the interleaved pages lacked one of the rankings, and count for no one.", 100*float64(i.Excluded)/float64(i.Pages))
	}
	c := r.Clicks
	if lost := c.Early + c.NotShown + c.NoObject; lost > 20 && lost > c.Counted/10 {
		warn("%s could not be put to what was shown, beside %s that could: see what was excluded.", Several(float64(lost), "event"), Several(float64(c.Counted), "click"))
	}
	if pages := r.pages(); c.Mixed > 20 && c.Mixed*100 > pages {
		warn("%s of %s have the query id of another search: the application sends one ext.ubi.query_id for several searches, which are taken for one here. Each wants its own, or none.",
			Several(float64(c.Mixed), "page"), Number(float64(pages)))
	}
	if len(r.Others) == 0 && r.Orphans > 20 && r.Orphans > c.Counted/10 { // where there are others, nobody knows whose they would be
		warn("%s", r.OrphanSentence())
	}
	if a := r.Ahead; a.Records > 0 {
		warn("%s dated after now, %s, up to %s: the clock of a machine that keeps records is wrong. They are left out.",
			Several(float64(a.Records), "record is", "records are"), o.Now.UTC().Format(minute), a.Latest.Format(minute))
	}
	return all
}

// pages are those that were shown.
func (r *Report) pages() (n int) {
	for _, c := range r.Cells {
		n += c.Impressions
	}
	return n
}

const minute = "2006-01-02 15:04 UTC"

// OrphanSentence says how many events nobody has shown anything for; "" where there are none.
func (r *Report) OrphanSentence() string {
	if r.Orphans == 0 {
		return ""
	}
	return fmt.Sprintf("%s of searches that are not in these records: those of another copy of rerankd are missing, or events are sent with wrong query ids.",
		Several(float64(r.Orphans), "event is", "events are"))
}

func inPhase(phase string) string {
	if phase == "" {
		return ""
	}
	return " in phase " + phase
}

func hours(h float64) string {
	if h < 1 {
		return Several(math.Round(h*60), "minute")
	}
	return Several(h, "hour")
}

func level(l float64) string { return strconv.FormatFloat(100*l, 'g', 4, 64) + " %" }

// round keeps two digits: it is an estimate.
func round(x float64) float64 {
	if x < 100 {
		return math.Ceil(x)
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	return math.Ceil(x/unit) * unit
}
