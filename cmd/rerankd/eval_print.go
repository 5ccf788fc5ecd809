package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// print prints the report for people.
func (r *evalReport) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.title())
	for _, note := range r.notes() {
		fmt.Fprintf(&b, "%s\n", note)
	}
	if len(r.notes()) > 0 {
		fmt.Fprintln(&b)
	}
	if len(r.Depths) > 0 {
		r.printDepths(&b)
		_, err := io.WriteString(w, b.String())
		return err
	}
	for _, p := range r.Against {
		if r.Format != "" {
			r.printPair(&b, p)
		}
		r.printSimilarity(&b, p)
	}
	r.printArms(&b)
	for _, p := range r.Against {
		if r.Format != "" {
			r.printLosses(&b, p)
		} else {
			r.printDifferent(&b, p)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// title says what was done.
func (r *evalReport) title() string {
	where := ""
	if r.Index != "" {
		where = fmt.Sprintf(" in %s, %s a page", r.Index, count(r.Size, "hit"))
	}
	if r.Format == "" {
		return fmt.Sprintf("%s%s, compared without judgments", queryCount(r.Asked), where)
	}
	return fmt.Sprintf("%s%s, judged by %s; a grade of %d is relevant", queryCount(r.Asked), where, r.formatName(), r.Relevant)
}

func (r *evalReport) formatName() string {
	return map[string]string{"trec": "TREC qrels", "beir": "BEIR qrels", "quepid": "Quepid ratings", "ubi": "UBI clicks"}[r.Format]
}

// printPair prints what an arm is worth beside the baseline.
func (r *evalReport) printPair(w io.Writer, p pairReport) {
	t := newTable("", r.Arms[0].Name, p.Name, "DIFFERENCE", "95 % INTERVAL", "T-TEST P", "RANDOM. P", "WINS", "LOSSES", "TIES").
		numbers(1, 2, 3, 4, 5, 6, 7, 8, 9)
	for i, d := range p.Differences {
		t.row(r.measures[i].Title(), decimals(d.Baseline), decimals(d.Against), signed(d.Mean), interval(d.Low, d.High), pValue(d.TTest), pValue(d.Randomisation),
			fmt.Sprint(d.Wins), fmt.Sprint(d.Losses), fmt.Sprint(d.Ties))
	}
	_ = t.print(w) // to a builder
	fmt.Fprintln(w)
}

// printSimilarity prints how alike two orders are.
func (r *evalReport) printSimilarity(w io.Writer, p pairReport) {
	s := p.Similarity
	fmt.Fprintf(w, "%s beside %s: overlap@10 %.3f, RBO %.3f (p = %.1f), Kendall's tau %.3f; hits move %.1f places; %d of %s unchanged\n\n",
		p.Name, r.Arms[0].Name, s.Overlap, s.RBO, s.P, s.Tau, s.Moved, s.Unchanged, queryCount(r.Asked))
}

// printArms prints how the searches went.
func (r *evalReport) printArms(w io.Writer) {
	t := newTable("", "RERANKED", "HITS READ", "P50", "P95", "CLUSTER P50", "RANKING P50", "RANKING P95", "NOT RERANKED, BY REASON").numbers(1, 2, 3, 4, 5, 6, 7)
	searched := false
	for _, a := range r.Arms {
		if !a.Searched() {
			continue
		}
		searched = true
		t.row(a.Name, fmt.Sprint(a.Reranked), a.Read(), a.Total.Median(), a.Total.Slow(), a.Cluster.Median(), a.Ranking.Median(), a.Ranking.Slow(), a.Reasons())
	}
	if searched {
		_ = t.print(w)
		fmt.Fprintln(w)
	}
}

// printLosses prints the queries that lost most.
func (r *evalReport) printLosses(w io.Writer, p pairReport) {
	if len(p.Losses) == 0 {
		fmt.Fprintf(w, "No query lost with %s, by %s.\n", p.Name, r.measures[0].Title())
		return
	}
	fmt.Fprintf(w, "What lost most with %s, by %s:\n", p.Name, r.measures[0].Title())
	t := newTable().numbers(0, 1, 2)
	for _, q := range p.Losses {
		t.row(signed(q.Against-q.Baseline), decimals(q.Baseline), "→ "+decimals(q.Against), label(q.ID, q.Text))
	}
	_ = t.print(w)
	fmt.Fprintln(w)
}

// printDifferent prints the queries of which the two orders differ most.
func (r *evalReport) printDifferent(w io.Writer, p pairReport) {
	if len(p.Different) == 0 {
		fmt.Fprintf(w, "%s has the order of %s for every query.\n", p.Name, r.Arms[0].Name)
		return
	}
	fmt.Fprintf(w, "What differs most with %s:\n", p.Name)
	t := newTable("RBO", "OVERLAP@10", "MOVED", "QUERY").numbers(0, 1, 2)
	for _, q := range p.Different {
		t.row(fmt.Sprintf("%.3f", q.RBO), fmt.Sprintf("%.2f", q.Overlap), fmt.Sprintf("%.1f", q.Moved), label(q.ID, q.Text))
	}
	_ = t.print(w)
	fmt.Fprintln(w)
}

// curveWidth is the columns of the longest bar.
const curveWidth = 24

// printDepths prints quality and time against the window, as a table and as bars.
func (r *evalReport) printDepths(w io.Writer) {
	judged := r.Format != ""
	header := []string{"WINDOW"}
	if judged {
		for _, m := range r.measures {
			header = append(header, strings.ToUpper(m.Title()))
		}
		header = append(header, "DIFFERENCE", "95 % INTERVAL")
	} else {
		header = append(header, "OVERLAP@10", "RBO")
	}
	t := newTable(header...)
	for i := range header {
		t.numbers(i)
	}
	for n, a := range r.Arms {
		row := []string{a.Name}
		switch {
		case judged:
			for _, m := range r.measures {
				row = append(row, decimals(a.Means[m.String()]))
			}
			if n == 0 {
				row = append(row, "", "")
			} else {
				d := r.Against[n-1].Differences[0]
				row = append(row, signed(d.Mean), interval(d.Low, d.High))
			}
		case n == 0:
			row = append(row, "", "")
		default:
			row = append(row, fmt.Sprintf("%.3f", r.Against[n-1].Similarity.Overlap), fmt.Sprintf("%.3f", r.Against[n-1].Similarity.RBO))
		}
		t.row(row...)
	}
	_ = t.print(w)
	fmt.Fprintln(w)
	if judged {
		fmt.Fprintf(w, "DIFFERENCE and the interval are of %s, from %s.\n\n", r.measures[0].Title(), r.Arms[0].Name)
		r.printCurve(w)
	}
	r.printArms(w)
}

// printCurve prints the first measure and the time of each window as bars.
func (r *evalReport) printCurve(w io.Writer) {
	m := r.measures[0]
	best, slowest := 0.0, 0.0
	for _, a := range r.Arms {
		best = max(best, a.Means[m.String()])
		if a.Total != nil {
			slowest = max(slowest, a.Total.P50)
		}
	}
	t := newTable("WINDOW", strings.ToUpper(m.Title()), "P50").numbers(0)
	for _, a := range r.Arms {
		time := ""
		if a.Total != nil {
			time = bar(a.Total.P50/slowest) + " " + a.Total.Median()
		}
		t.row(a.Name, bar(a.Means[m.String()]/best)+" "+decimals(a.Means[m.String()]), time)
	}
	_ = t.print(w)
	fmt.Fprintln(w)
}

// bar is a bar of a share of curveWidth, to an eighth of a column.
func bar(share float64) string {
	if !(share > 0) {
		return ""
	}
	eighths := int(math.Round(min(share, 1) * curveWidth * 8))
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// label is what a query is known by: its words, and its id where that is another.
func label(id, text string) string {
	if id == text {
		return clip(text, 70)
	}
	return clip(text, 70) + "  (" + clip(id, 20) + ")"
}

func decimals(x float64) string { return fmt.Sprintf("%.4f", x) }
func signed(x float64) string   { return fmt.Sprintf("%+.4f", x) }

func interval(low, high float64) string { return fmt.Sprintf("[%+.4f, %+.4f]", low, high) }

func pValue(p float64) string {
	if p < 0.0001 {
		return "<0.0001"
	}
	return decimals(p)
}

// Median is the time that half of the searches took at most, and Slow that of 95 %.
func (t *timeReport) Median() string { return t.show(func() float64 { return t.P50 }) }
func (t *timeReport) Slow() string   { return t.show(func() float64 { return t.P95 }) }

func (t *timeReport) show(value func() float64) string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf("%.1f ms", value())
}
