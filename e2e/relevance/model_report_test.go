package relevance

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rerankd/rerankd/rerank/eval"
)

// A section is one table of the report. A row that is nil parts groups of rows.
type section struct {
	title  string
	header []string
	right  []int // columns of numbers
	rows   [][]string
}

// printSections prints them as plain text, and as Markdown into the file that RERANKD_EVAL_OUT names.
func printSections(t *testing.T, sections []section) {
	t.Helper()
	for _, s := range sections {
		s.text(t.Output())
	}
	out := folder("RERANKD_EVAL_OUT", "")
	if out == "" {
		return
	}
	var b strings.Builder
	for _, s := range sections {
		s.markdown(&b)
	}
	if err := os.WriteFile(out, []byte(b.String()), 0o644); err != nil {
		t.Error(err)
	}
}

func (s section) text(w io.Writer) {
	widths := make([]int, len(s.header))
	for _, row := range append([][]string{s.header}, s.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintf(w, "\n%s\n\n", s.title)
	for _, row := range append([][]string{s.header, nil}, s.rows...) {
		var line strings.Builder
		for i, cell := range row {
			if slices.Contains(s.right, i) {
				fmt.Fprintf(&line, "%*s  ", widths[i], cell)
			} else {
				fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

func (s section) markdown(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n| %s |\n|", s.title, strings.Join(s.header, " | "))
	for i := range s.header {
		if slices.Contains(s.right, i) {
			fmt.Fprint(w, "---:|")
		} else {
			fmt.Fprint(w, "---|")
		}
	}
	fmt.Fprintln(w)
	for _, row := range s.rows {
		if row != nil {
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		}
	}
	fmt.Fprintln(w)
}

// quality is the table of what every arm is worth.
func quality(c contest, tallies []*tally) section {
	s := section{
		title:  "Quality: window 50, every hit of it scored; differences with their 95 % interval (paired bootstrap)",
		header: []string{"collection", "queries", "measure", "ranking", "mean", "difference to lexical", "lose > 0.2", "against the bi-encoder"},
		right:  []int{1, 4, 5, 6, 7},
	}
	if c.biencoder.source == "" {
		s.header = s.header[:7]
	}
	for i, y := range tallies {
		if i > 0 {
			s.rows = append(s.rows, nil)
		}
		rows := [][]string{{y.name, fmt.Sprint(len(y.questions)), y.measure.Title(), arm{}.String(), fmt.Sprintf("%.4f", y.difference(arm{}, arm{}).Baseline), "", "", ""}}
		for _, a := range c.arms() {
			d, against := y.difference(arm{}, a), ""
			if a.subject == c.model && c.biencoder.source != "" {
				against = interval(y.difference(arm{c.biencoder, a.replaced}, a))
			}
			rows = append(rows, []string{"", "", "", a.String(), fmt.Sprintf("%.4f", d.Against), interval(d), fmt.Sprintf("%.1f %%", 100*y.losing(a)), against})
		}
		for _, row := range rows {
			s.rows = append(s.rows, row[:len(s.header)])
		}
	}
	return s
}

func interval(d eval.Difference) string {
	return fmt.Sprintf("%+.4f [%+.4f, %+.4f]", d.Mean, d.Low, d.High)
}

// fidelityTable is the table of how like int8 and fp32 order the same windows.
func fidelityTable(c contest, tallies []*tally) section {
	s := section{
		title:  "Fidelity: the windows as int8 and as fp32 orders them, replaced",
		header: []string{"collection", "windows", "rank correlation", "same first hit"},
		right:  []int{1, 2, 3},
	}
	add := func(name string, l likeness) {
		s.rows = append(s.rows, []string{name, fmt.Sprint(l.windows), fmt.Sprintf("%.4f", l.spearman), fmt.Sprintf("%.1f %%", 100*l.sameFirst)})
	}
	for _, y := range tallies {
		add(y.name, c.fidelity(y))
	}
	add("all", c.fidelity(tallies...))
	return s
}
