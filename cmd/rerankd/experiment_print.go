package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/verdict"
)

// A reportPage is a report for people: the verdict and what is wrong first, then the numbers, then where they come from.
type reportPage struct {
	strings.Builder
	width int
}

func printReport(w io.Writer, r *verdict.Report) error {
	p := &reportPage{width: 96}
	if width := terminalWidth(w); width > 0 {
		p.width = max(40, min(width, 120))
	}
	p.text(line(r.Experiment) + ", " + span(r.From, r.To))
	for _, warning := range r.Warnings {
		p.text("WARNING: " + warning)
	}
	p.text(r.Verdict)
	if len(r.Comparisons) > 0 || r.Interleaved != nil {
		p.text(verdict.Anytime)
	}
	p.comparisons(r)
	p.interleaved(r.Interleaved)
	p.cells(r.Cells)
	p.shadows(r.Shadows)
	p.guards(r.Guards)
	p.ratios(r.Ratios)
	if noise := r.NoiseSentence(); noise != "" {
		p.text("A/A: " + noise)
	}
	p.sources(r)
	_, err := io.WriteString(w, p.String())
	return err
}

// text is a paragraph.
func (p *reportPage) text(s string) {
	if p.Len() > 0 {
		p.WriteByte('\n')
	}
	p.folded("", s)
}

// folded writes s in lines of the page's width, after a lead that only the first of them has.
func (p *reportPage) folded(lead, s string) {
	p.WriteString(lead)
	begin := runewidth.StringWidth(lead)
	column := begin
	for _, word := range strings.Split(together(line(s)), " ") {
		word = strings.ReplaceAll(word, bound, " ")
		width := runewidth.StringWidth(word)
		switch {
		case column == begin:
		case column+1+width > p.width:
			p.WriteString("\n" + strings.Repeat(" ", begin))
			column = begin
		default:
			p.WriteByte(' ')
			column++
		}
		p.WriteString(word)
		column += width
	}
	p.WriteByte('\n')
}

// bound stands for a space that no line is broken at.
const bound = "\u00a0"

var numbers = regexp.MustCompile(`([0-9]) ([0-9%]|ms|min|h\b)`)

// together binds digits to the digits and units that follow them.
func together(s string) string {
	return numbers.ReplaceAllString(numbers.ReplaceAllString(s, "$1"+bound+"$2"), "$1"+bound+"$2") // twice: they may share a digit
}

func (p *reportPage) table(heading string, t *table) {
	p.text(heading)
	p.WriteByte('\n')
	_ = t.print(p) // to a Builder
}

func span(from, to time.Time) string {
	const layout = "2006-01-02 15:04"
	if from.IsZero() {
		return "until " + to.Format(layout) + " UTC"
	}
	return from.Format(layout) + " to " + to.Format(layout) + " UTC"
}

func (p *reportPage) comparisons(r *verdict.Report) {
	if len(r.Comparisons) == 0 {
		return
	}
	t := newTable("METRIC", "VARIANT", "CONTROL", "VARIANT", "LIFT", "95 % CONFIDENCE SEQUENCE", "UNITS").numbers(2, 3, 4, 5, 6)
	t.rows[0][5] = levelOf(r.Comparisons[0].Effect) + " CONFIDENCE SEQUENCE"
	for _, c := range r.Comparisons {
		t.row(string(c.Metric), line(c.Variant), fmt.Sprintf("%.3f", c.ControlMean), fmt.Sprintf("%.3f", c.VariantMean),
			verdict.Lift(c.Estimate, c.ControlMean), c.Between(c.ControlMean), verdict.Number(float64(c.Units)))
		if len(c.Phases) > 1 && c.Metric == verdict.MRR {
			for _, phase := range c.Phases {
				t.row("  in phase "+line(phase.Phase), "", "", "", verdict.Lift(phase.Estimate, c.ControlMean),
					phase.Between(c.ControlMean), verdict.Number(float64(phase.Units)))
			}
		}
	}
	p.table("Means over units, each by the searches of its first "+verdict.Plainly(r.Horizon)+". MRR decides; the others are to be looked at, and not corrected for being many.", t)
	if open := r.Open(); open != "" {
		p.text(open)
	}
}

func levelOf(e verdict.Effect) string { return fmt.Sprintf("%.4g %%", 100*e.Level) }

func (p *reportPage) interleaved(i *verdict.Interleaved) {
	if i == nil {
		return
	}
	t := newTable("", "WON BY "+strings.ToUpper(line(i.Variant)), "WON BY "+strings.ToUpper(line(i.Control)), "TIES").numbers(1, 2, 3)
	for _, row := range []struct {
		what string
		verdict.WinLoss
	}{{"searches", i.Searches}, {"units", i.Units}} {
		t.row(row.what, verdict.Number(float64(row.Wins)), verdict.Number(float64(row.Losses)), verdict.Number(float64(row.Ties)))
	}
	p.table("Shared pages: whose picks were clicked more.", t)
	if len(i.Phases) > 1 {
		t := newTable("PHASE", "PREFERENCE", levelOf(i.Preference)+" CONFIDENCE SEQUENCE", "UNITS").numbers(1, 2, 3)
		for _, phase := range i.Phases {
			t.row(line(phase.Phase), verdict.Preferred(phase.Estimate), verdict.Preferred(phase.Low)+" to "+verdict.Preferred(phase.High), verdict.Number(float64(phase.Units)))
		}
		p.table("Decided searches that prefer "+line(i.Variant)+", as the mean over units.", t)
	}
	s := fmt.Sprintf("Of %s, %s lacked one of the rankings (%s) and count for no one", pages(i.Pages), verdict.Number(float64(i.Excluded)), shareOf(i.Excluded, i.Pages))
	if len(i.Reasons) > 0 {
		s += ": " + words(i.Reasons)
	}
	p.text(s + fmt.Sprintf("; on %s (%s) both rankings agree.", verdict.Number(float64(i.Identical)), shareOf(i.Identical, i.Pages)))
}

func pages(n int) string {
	if n == 1 {
		return "1 page"
	}
	return verdict.Number(float64(n)) + " pages"
}

func shareOf(k, n int) string { return fmt.Sprintf("%.1f %%", 100*float64(k)/float64(max(n, 1))) }

// words is counts, the greatest first.
func words(counts verdict.Counts) string {
	names := counts.Words()
	for i, name := range names {
		names[i] = line(cmp.Or(name, "no reason")) + " " + verdict.Number(float64(counts[name]))
	}
	return strings.Join(names, ", ")
}

func (p *reportPage) cells(cells []verdict.Cell) {
	if len(cells) == 0 {
		return
	}
	t := newTable("PHASE", "VARIANT", "UNITS", "SEARCHES", "PAGES", "CLICKS", "CTR@1", "@3", "@10", "MRR", "ABANDONED", "EMPTY", "P50", "P95", "P99").
		numbers(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
	for _, c := range cells {
		n := func(x int) string { return verdict.Number(float64(x)) }
		rate := func(x float64) string { return fmt.Sprintf("%.3f", x) }
		t.row(line(c.Phase), line(c.Variant), n(c.Units), n(c.Searches), n(c.Impressions), n(c.Clicks),
			rate(c.CTR1), rate(c.CTR3), rate(c.CTR10), rate(c.MRR), rate(c.Abandonment), rate(c.ZeroResults),
			verdict.Brief(c.Latency.P50), verdict.Brief(c.Latency.P95), verdict.Brief(c.Latency.P99))
	}
	p.table("All that was recorded, as it is: rates over searches, times of pages.", t)
	t = newTable("PHASE", "VARIANT", "OUTCOMES")
	for _, c := range cells {
		s := words(c.Outcomes)
		if len(c.Reasons) > 0 {
			s += " (" + words(c.Reasons) + ")"
		}
		if len(c.OtherActions) > 0 {
			s += "; other actions: " + words(c.OtherActions)
		}
		t.row(line(c.Phase), line(c.Variant), s)
	}
	p.WriteByte('\n')
	_ = t.print(p)
}

func (p *reportPage) shadows(cells []verdict.ShadowCell) {
	if len(cells) == 0 {
		return
	}
	t := newTable("PHASE", "VARIANT", "SEARCHES", "RANKED", "OTHER PAGE", "OTHER FIRST HIT", "SAME HITS", "ADDED P50", "P95", "P99", "NOT RANKED").
		numbers(2, 3, 4, 5, 6, 7, 8, 9)
	for _, c := range cells {
		t.row(line(c.Phase), line(c.Variant), verdict.Number(float64(c.Searches)), verdict.Number(float64(c.Ranked)),
			fmt.Sprintf("%.1f %%", 100*c.Changed), fmt.Sprintf("%.1f %%", 100*c.First), fmt.Sprintf("%.1f %%", 100*c.Overlap),
			verdict.Brief(c.Added.P50), verdict.Brief(c.Added.P95), verdict.Brief(c.Added.P99), words(c.Reasons))
	}
	p.table("In the shadow: what would have been shown.", t)
}

func (p *reportPage) guards(of []verdict.PhaseGuards) {
	if len(of) == 0 {
		return
	}
	p.text("Guards.")
	p.WriteByte('\n')
	for _, phase := range of {
		for _, f := range phase.Findings {
			p.folded(standing(f)+"  ", inPhase(phase.Phase)+f.Sentence)
		}
	}
}

func standing(f experiment.Finding) string {
	switch {
	case f.Fails:
		return "FAILS"
	case f.Waits:
		return "waits"
	}
	return "holds"
}

func inPhase(phase string) string {
	if phase == "" {
		return ""
	}
	return line(phase) + ", "
}

func (p *reportPage) ratios(of []verdict.Ratio) {
	if len(of) == 0 {
		return
	}
	t := newTable("PHASE", "VARIANT", "UNITS", "SHARE", "MEANT", "").numbers(2, 3, 4)
	for _, r := range of {
		says := "as meant"
		if r.Mismatch {
			says = "MISMATCH"
		}
		for i, s := range r.Shares {
			t.row(line(r.Phase), line(s.Variant), verdict.Number(float64(s.Units)), fmt.Sprintf("%.1f %%", 100*s.Got), fmt.Sprintf("%.1f %%", 100*s.Meant), says)
			if i == 0 && !r.Mismatch {
				says = ""
			}
		}
	}
	p.table("Units by variant, in the phase in which each was first seen.", t)
}

// sources say where the numbers come from, and what was left out.
func (p *reportPage) sources(r *verdict.Report) {
	n := func(x int) string { return verdict.Number(float64(x)) }
	from := []string{}
	if r.Read.Files > 0 || r.Read.Indices == 0 {
		from = append(from, count(r.Read.Files, "file"))
	}
	if r.Read.Indices > 0 {
		from = append(from, "the cluster")
	}
	read := fmt.Sprintf("%s: %s impressions, %s events, %s shadows", strings.Join(from, " and "), n(r.Read.Impressions), n(r.Read.Events), n(r.Read.Shadows))
	read += parts("; left out: ", part{r.Read.Unknown, "of an unknown kind"}, part{r.Read.Damaged, "damaged"}, part{r.Read.Torn, "torn at the end"})
	if r.Read.Example != "" {
		read += " (the first damaged: " + r.Read.Example + ")"
	}
	p.text(read + ".")
	c := r.Clicks
	s := n(c.Counted) + " clicks count"
	if c.Implicit > 0 {
		s += " (" + n(c.Implicit) + " concluded from the traffic)"
	}
	s += parts("; left out: ", part{c.Late, "later than " + verdict.Plainly(r.Window)}, part{c.Early, "before their page"}, part{c.NotShown, "on what was not shown"},
		part{c.NoObject, "on nothing"}, part{c.Duplicate, "told twice"}, part{c.Repeated, "on a hit again"})
	s += parts("; not of this experiment: ", part{c.Elsewhere, "events"})
	s += parts("; impressions told twice: ", part{c.Pages, ""})
	p.text(s + ".")
	if orphans := r.OrphanSentence(); orphans != "" && !slices.Contains(r.Warnings, orphans) {
		p.text(orphans)
	}
	p.text(r.Units.Concentration() + ".")
	if len(r.Others) > 0 {
		names := make([]string, len(r.Others))
		for i, name := range r.Others {
			names[i] = line(name)
		}
		p.text("The files have other experiments too: " + strings.Join(names, ", ") + ".")
	}
}

type part struct {
	n    int
	what string
}

// parts lists what there is any of, after a word.
func parts(lead string, all ...part) string {
	var some []string
	for _, p := range all {
		if p.n > 0 {
			some = append(some, strings.TrimSpace(verdict.Number(float64(p.n))+" "+p.what))
		}
	}
	if len(some) == 0 {
		return ""
	}
	return lead + strings.Join(some, ", ")
}
