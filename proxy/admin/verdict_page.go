package admin

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/rerankd/rerankd/proxy/experiment/verdict"
)

// A verdictPage is an experiment as it is shown: the verdict and what is wrong first, then the numbers, then where they come from. Numbers are
// words here already.
type verdictPage struct {
	head
	Name  string
	Now   *Experiment // as it is configured; nil: it is not any more
	Fault error       // why there is no report
	*Reported

	Tone        string // of the verdict: good, bad, or neither
	Span        string
	Amiss       []string // what of the files could not be read
	Sample      string   // "every eighth unit"; "": all were read
	Charts      []chart
	Metrics     []effect
	Shared      *shared
	Cells       []cell
	Shadows     []shadowed
	Ratios      []ratio
	Noise       string
	Left        []part // clicks that do not count, and why
	Window      string
	Horizon     string
	Open        string // units whose first hours are not over; "": there are none
	Concentrate string // on how few units all rests
}

func newVerdictPage(reported *Reported, err error) *verdictPage {
	p := &verdictPage{Fault: err, Reported: reported}
	if err != nil {
		p.Reported = &Reported{}
		return p
	}
	for _, unread := range reported.Records.Unread {
		p.Amiss = append(p.Amiss, "Left out: "+unread)
	}
	if n := reported.Records.Sample; n > 1 {
		p.Sample = fmt.Sprintf("one unit in %d", n)
	}
	r := reported.Report
	if r == nil {
		return p
	}
	p.Span = r.To.Format(moment)
	if !r.From.IsZero() {
		p.Span = r.From.Format(moment) + " to " + p.Span
	}
	p.Window, p.Horizon = verdict.Plainly(r.Window), verdict.Plainly(r.Horizon)
	p.amiss(r)
	p.tone(r)
	p.charts(r)
	p.metrics(r)
	p.shared(r.Interleaved)
	p.cells(r.Cells)
	p.shadows(r.Shadows)
	p.ratios(r.Ratios)
	p.Noise = r.NoiseSentence()
	p.left(r)
	return p
}

const moment = "2006-01-02 15:04"

// amiss says which lines are no records.
func (p *verdictPage) amiss(r *verdict.Report) {
	if n := r.Read.Damaged; n > 0 {
		p.Amiss = append(p.Amiss, fmt.Sprintf("%s could not be read; the first is %s", several(n, "line"), r.Read.Example))
	}
	if n := r.Read.Unknown; n > 0 {
		p.Amiss = append(p.Amiss, several(n, "line")+" of the files are no records that this version of rerankd knows")
	}
	if n := r.Read.Torn; n > 0 {
		p.Amiss = append(p.Amiss, fmt.Sprintf("%s in the middle of a line, which is left out: a disk was full, or a line was just being written", several(n, "file ends", "files end")))
	}
}

// tone is good where a variant is shown to be better and none to be worse, bad where it is the other way round or nothing can be trusted.
func (p *verdictPage) tone(r *verdict.Report) {
	var up, down bool
	see := func(shown int) { up, down = up || shown > 0, down || shown < 0 }
	for _, c := range r.Comparisons {
		if c.Metric == verdict.MRR {
			see(c.Shown())
		}
	}
	if r.Interleaved != nil {
		see(r.Interleaved.Preference.Shown())
	}
	switch {
	case r.Distrusted() || down && !up:
		p.Tone = "bad"
	case up && !down:
		p.Tone = "good"
	}
}

// A chart is a confidence sequence, and those of the phases where there were several, over one scale around no difference.
type chart struct {
	Title            string
	Worse, Better    string // what is on either side
	Left, Middle, To string // the scale's numbers
	Rows             []effect
}

// An effect is a line of a table: a difference and what it may be.
type effect struct {
	What, Variant    string
	Control, Treated string // means
	Lift, Between    string
	Units            string
	Interval         interval
}

// An interval is drawn in a box of 200 by 16 with no difference in the middle.
type interval struct {
	Says           string // for those who do not see it
	Low, Width, At float64
	Drawn          bool
	Tone           string // good, bad: it is shown; neither: it is not
}

// between draws what lies between two bounds in [-1, 1] of the scale. direction is -1 where less is better.
func between(e verdict.Effect, scale, direction float64, says string) interval {
	if scale <= 0 || math.IsInf(scale, 0) || math.IsNaN(scale) {
		return interval{}
	}
	at := func(x float64) float64 { return math.Round(10*(100+100*min(max(x/scale, -1), 1))) / 10 }
	i := interval{Says: says, Low: at(e.Low), At: at(e.Estimate), Drawn: true}
	i.Width = max(at(e.High)-i.Low, 1)
	switch direction * float64(e.Shown()) {
	case 1:
		i.Tone = "good"
	case -1:
		i.Tone = "bad"
	}
	return i
}

// roundUp is the next round number.
func roundUp(x float64) float64 {
	if x <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, step := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8} {
		if x <= step*unit*1.0000001 {
			return step * unit
		}
	}
	return 10 * unit
}

// reach is the furthest that effects are from no difference.
func reach(effects ...verdict.Effect) (most float64) {
	for _, e := range effects {
		if !e.Anything() {
			most = max(most, math.Abs(e.Low), math.Abs(e.High))
		}
	}
	return most
}

func (p *verdictPage) charts(r *verdict.Report) {
	if i := r.Interleaved; i != nil && i.Preference.Units > 0 {
		most := cmp.Or(roundUp(100*reach(i.Preference))/100, 1)
		c := chart{
			Title: "Searches with a preference that prefer the picks of " + i.Variant, Worse: i.Control, Better: i.Variant,
			Left: verdict.Preferred(-most), Middle: verdict.Preferred(0), To: verdict.Preferred(most),
		}
		row := func(what string, e verdict.Effect) {
			c.Rows = append(c.Rows, effect{
				What: what, Lift: verdict.Preferred(e.Estimate), Between: verdict.Preferred(e.Low) + " to " + verdict.Preferred(e.High), Units: several(e.Units, "unit"),
				Interval: between(e, most, 1, fmt.Sprintf("between %s and %s, 50 %% being no preference", verdict.Preferred(e.Low), verdict.Preferred(e.High))),
			})
		}
		row("all", i.Preference)
		if len(i.Phases) > 1 {
			for _, phase := range i.Phases {
				row("in phase "+phase.Phase, phase.Effect)
			}
		}
		p.Charts = append(p.Charts, c)
	}
	for _, of := range r.Comparisons {
		if of.Metric != verdict.MRR || of.Units == 0 || of.ControlMean == 0 {
			continue
		}
		most := cmp.Or(roundUp(100*reach(of.Effect)/of.ControlMean)/100, 1) * of.ControlMean
		c := chart{
			Title: "Lift of the mean reciprocal rank of the first click, " + of.Variant + " over " + of.Control, Worse: of.Control, Better: of.Variant,
			Left: verdict.Lift(-most, of.ControlMean), Middle: "0", To: verdict.Lift(most, of.ControlMean),
		}
		c.Rows = append(c.Rows, effectOf("all", of, of.Effect, most))
		if len(of.Phases) > 1 {
			for _, phase := range of.Phases {
				c.Rows = append(c.Rows, effectOf("in phase "+phase.Phase, of, phase.Effect, most))
			}
		}
		p.Charts = append(p.Charts, c)
	}
}

func effectOf(what string, c verdict.Comparison, e verdict.Effect, most float64) effect {
	direction := 1.0
	if c.Metric == verdict.Abandonment {
		direction = -1
	}
	row := effect{What: what, Variant: c.Variant, Lift: verdict.Lift(e.Estimate, c.ControlMean), Between: e.Between(c.ControlMean), Units: several(e.Units, "unit")}
	row.Interval = between(e, most, direction, "a lift of "+row.Between+", 0 being no difference")
	return row
}

func (p *verdictPage) metrics(r *verdict.Report) {
	relative := 0.0
	for _, c := range r.Comparisons {
		if c.ControlMean > 0 {
			relative = max(relative, reach(c.Effect)/c.ControlMean)
		}
	}
	for _, c := range r.Comparisons {
		if c.Units == 0 {
			continue
		}
		e := effectOf(string(c.Metric), c, c.Effect, roundUp(relative)*c.ControlMean)
		e.Units = spaced(c.Units)
		e.Control, e.Treated = fmt.Sprintf("%.3f", c.ControlMean), fmt.Sprintf("%.3f", c.VariantMean)
		p.Metrics = append(p.Metrics, e)
	}
	p.Open = r.Open()
}

// shared is what became of pages that two variants share.
type shared struct {
	Control, Variant string
	Rows             []wonLost
	Pages            string
	Excluded         string // "12 (3.1 %)"
	Reasons          string
	Identical        string
}

type wonLost struct{ What, Wins, Losses, Ties string }

func (p *verdictPage) shared(i *verdict.Interleaved) {
	if i == nil {
		return
	}
	row := func(what string, w verdict.WinLoss) wonLost {
		return wonLost{what, spaced(w.Wins), spaced(w.Losses), spaced(w.Ties)}
	}
	p.Shared = &shared{
		Control: i.Control, Variant: i.Variant, Rows: []wonLost{row("searches", i.Searches), row("units", i.Units)}, Pages: several(i.Pages, "page"),
		Excluded: fmt.Sprintf("%s (%s)", spaced(i.Excluded), share(i.Excluded, i.Pages)), Reasons: byNumber(i.Reasons),
		Identical: fmt.Sprintf("%s (%s)", spaced(i.Identical), share(i.Identical, i.Pages)),
	}
}

func share(k, n int) string { return percent(float64(k) / float64(max(n, 1))) }

func percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

// A cell is what was seen of a variant in a phase.
type cell struct {
	Phase, Variant, Units, Searches, Pages, Clicks string
	CTR1, CTR3, CTR10, MRR, Abandoned, Empty       string
	Took50, Took95, Took99, Added50, Added95       string
	Outcomes, Reasons, Actions                     string
}

func (p *verdictPage) cells(cells []verdict.Cell) {
	rate := func(x float64) string { return fmt.Sprintf("%.3f", x) }
	for _, c := range cells {
		p.Cells = append(p.Cells, cell{
			Phase: c.Phase, Variant: c.Variant, Units: spaced(c.Units), Searches: spaced(c.Searches), Pages: spaced(c.Impressions), Clicks: spaced(c.Clicks),
			CTR1: rate(c.CTR1), CTR3: rate(c.CTR3), CTR10: rate(c.CTR10), MRR: rate(c.MRR), Abandoned: percent(c.Abandonment), Empty: percent(c.ZeroResults),
			Took50: verdict.Brief(c.Latency.P50), Took95: verdict.Brief(c.Latency.P95), Took99: verdict.Brief(c.Latency.P99), Added50: verdict.Brief(c.Added.P50), Added95: verdict.Brief(c.Added.P95),
			Outcomes: byNumber(c.Outcomes), Reasons: byNumber(c.Reasons), Actions: byNumber(c.OtherActions),
		})
	}
}

// mostWords are those of a cell that are shown. Actions are named by whoever sends events, and may be as many as they like.
const mostWords = 12

// byNumber is counts, the greatest first.
func byNumber(counts verdict.Counts) string {
	names := counts.Words()
	more := len(names) - mostWords
	names = names[:min(len(names), mostWords)]
	for i, name := range names {
		names[i] = clip(cmp.Or(name, "no reason"), 60) + " " + spaced(counts[name])
	}
	if more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// shadowed is what a variant would have shown.
type shadowed struct {
	Phase, Variant, Searches, Ranked, Changed, First, Overlap string
	Added50, Added95, Added99, Reasons                        string
}

func (p *verdictPage) shadows(cells []verdict.ShadowCell) {
	for _, c := range cells {
		p.Shadows = append(p.Shadows, shadowed{
			Phase: c.Phase, Variant: c.Variant, Searches: spaced(c.Searches), Ranked: spaced(c.Ranked),
			Changed: percent(c.Changed), First: percent(c.First), Overlap: percent(c.Overlap),
			Added50: verdict.Brief(c.Added.P50), Added95: verdict.Brief(c.Added.P95), Added99: verdict.Brief(c.Added.P99), Reasons: byNumber(c.Reasons),
		})
	}
}

// A ratio is how the units of a phase are shared out.
type ratio struct {
	Phase, Variant, Units, Got, Meant string
	Mismatch                          bool
}

func (p *verdictPage) ratios(of []verdict.Ratio) {
	for _, r := range of {
		for _, s := range r.Shares {
			p.Ratios = append(p.Ratios, ratio{r.Phase, s.Variant, spaced(s.Units), percent(s.Got), percent(s.Meant), r.Mismatch})
		}
	}
}

// A part is some of a number, and which.
type part struct{ Number, What string }

func (p *verdictPage) left(r *verdict.Report) {
	c := r.Clicks
	for _, of := range []struct {
		n    int
		what string
	}{
		{c.Late, "later than " + p.Window + " after their page was shown"},
		{c.Early, "before their page was shown"},
		{c.NotShown, "on a hit that was not on the page"},
		{c.NoObject, "that do not say on which hit"},
		{c.Duplicate, "told twice"},
		{c.Repeated, "on a hit that was clicked before"},
		{c.Elsewhere, "of searches that are not in this experiment"},
	} {
		if of.n > 0 {
			p.Left = append(p.Left, part{spaced(of.n), of.what})
		}
	}
	if r.Units.All > 0 {
		p.Concentrate = r.Units.Concentration()
	}
}

// spaced is a number with spaces between thousands.
func spaced(n int) string { return verdict.Number(float64(n)) }

var numbers = regexp.MustCompile(`([0-9]) ([0-9%]|ms\b|min\b|h\b|s\b|[KM]iB)`)

// unbroken binds digits to the digits and units that follow them, so that no line ends between.
func unbroken(s string) string {
	return numbers.ReplaceAllString(numbers.ReplaceAllString(s, "$1\u00a0$2"), "$1\u00a0$2") // twice: they may share a digit
}

// several is [verdict.Several] of what is counted.
func several(n int, one string, many ...string) string {
	return verdict.Several(float64(n), one, many...)
}

// Size is that of the records, for people.
func (r Records) Size() string {
	if r.Directory == "" {
		return several(r.Documents, "document")
	}
	switch b := float64(r.Bytes); {
	case r.Bytes < 1<<10:
		return several(int(r.Bytes), "byte")
	case r.Bytes < 1<<20:
		return fmt.Sprintf("%.0f KiB", b/(1<<10))
	case r.Bytes < 10<<20:
		return fmt.Sprintf("%.1f MiB", b/(1<<20))
	default:
		return fmt.Sprintf("%.0f MiB", b/(1<<20))
	}
}

// Counted says how many clicks do.
func (p *verdictPage) Counted() string {
	c := p.Report.Clicks
	s := several(c.Counted, "click")
	if c.Implicit > 0 {
		s += " (" + spaced(c.Implicit) + " concluded from the traffic)"
	}
	return s
}

// Kept says what was read.
func (p *verdictPage) Kept() string {
	r := p.Report.Read
	return fmt.Sprintf("%s, %s, %s", several(r.Impressions, "page"), several(r.Events, "event"), several(r.Shadows, "shadow"))
}

// Level is that of the confidence sequence.
func (p *verdictPage) Level() string {
	switch r := p.Report; {
	case r.Interleaved != nil:
		return percentOf(r.Interleaved.Preference.Level)
	case len(r.Comparisons) > 0:
		return percentOf(r.Comparisons[0].Level)
	}
	return percentOf(verdict.Level)
}

func percentOf(level float64) string { return fmt.Sprintf("%.4g %%", 100*level) }

// Orphans says how many events nobody has shown anything for, where no warning does.
func (p *verdictPage) Orphans() string {
	said := p.Report.OrphanSentence()
	if slices.Contains(p.Report.Warnings, said) {
		return ""
	}
	return said
}

// Anytime is what may be done with the verdict.
func (p *verdictPage) Anytime() string { return verdict.Anytime }

// Phases are those of the guards.
func (p *verdictPage) Phases() []verdict.PhaseGuards { return p.Report.Guards }

// Failing are the guards that fail on this copy now.
func (p *verdictPage) Failing() (failing []Guard) {
	if p.Now != nil {
		for _, g := range p.Now.Guards {
			if g.Fails {
				failing = append(failing, g)
			}
		}
	}
	return failing
}
