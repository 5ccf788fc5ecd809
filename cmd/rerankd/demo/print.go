package demo

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/rerankd/rerankd/rerank/eval"
)

// shown is how many hits of each side are printed.
const shown = 5

// A printer lays results out on a terminal.
type printer struct {
	w     io.Writer
	color bool
	width int
}

// Terminal attributes (ECMA-48, select graphic rendition).
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (p printer) paint(text string, attributes ...string) string {
	if !p.color || text == "" {
		return text
	}
	return "\x1b[" + strings.Join(attributes, ";") + "m" + text + "\x1b[0m"
}

func (p printer) head(text string) { fmt.Fprintf(p.w, "\n%s\n", p.paint(text, bold)) }
func (p printer) note(text string) { fmt.Fprintln(p.w, p.paint(text, dim)) }

// sideBySide prints the first hits of both answers to one query, and how each hit moved. deep is the cluster's own ranking far down the list.
func (p printer) sideBySide(q Query, before, after Result, deep []Hit) {
	half := (p.width - 4) / 2
	fmt.Fprintf(p.w, "\n  %s\n", p.paint(clip("“"+q.Text+"”", p.width-4), bold, yellow))
	left := fmt.Sprintf("the cluster  %s", milliseconds(before.Time))
	right := fmt.Sprintf("through rerankd  %s", milliseconds(after.Time))
	if !strings.HasPrefix(after.Rerank, "applied") {
		right += "  (" + after.Rerank + ")"
	}
	fmt.Fprintf(p.w, "  %s  %s\n", p.paint(pad(left, half), dim), p.paint(clip(right, half), dim))
	for i := range min(shown, max(len(before.Hits), len(after.Hits))) {
		fmt.Fprintf(p.w, "  %s  %s\n", p.cell(before.Hits, i, half, q, nil), p.cell(after.Hits, i, half, q, deep))
	}
	fmt.Fprintf(p.w, "  %s\n", p.verdict(q, before.Hits, after.Hits))
}

// cell is one hit in a column of the given width; with the cluster's ranking it tells how far the hit has moved.
func (p printer) cell(hits []Hit, i, width int, q Query, deep []Hit) string {
	if i >= len(hits) {
		return strings.Repeat(" ", width)
	}
	h := hits[i]
	star := " "
	if q.Relevant[h.Name] {
		star = "★"
	}
	number := fmt.Sprintf("%2d ", i+1)
	move, paint := "", []string{dim}
	if deep != nil {
		move, paint = moved(deep, h.Name, i)
		move = pad(move, 4)
	}
	name := clip(h.Name, width/2)
	room := max(width-runewidth.StringWidth(number+move+star+name)-3, 0)
	summary := pad(clip(h.Summary, room), room)
	nameStyle := []string{bold}
	if q.Relevant[h.Name] {
		nameStyle = []string{bold, green}
	}
	return p.paint(number, dim) + p.paint(move, paint...) + p.paint(star, nameStyle...) + " " + p.paint(name, nameStyle...) + "  " + p.paint(summary, dim)
}

// moved says how many places a hit that now stands at place to has come up or gone down.
func moved(deep []Hit, name string, to int) (string, []string) {
	from := slices.IndexFunc(deep, func(h Hit) bool { return h.Name == name })
	switch {
	case from < 0:
		return "new", []string{green}
	case from > to:
		return fmt.Sprintf("▲%d", from-to), []string{green}
	case from < to:
		return fmt.Sprintf("▼%d", to-from), []string{red}
	}
	return "·", []string{dim}
}

func (p printer) verdict(q Query, before, after []Hit) string {
	was, is := place(before, q), place(after, q)
	text := fmt.Sprintf("★ %s → %s", ordinal(was), ordinal(is))
	switch {
	case was == is:
		return p.paint(text, dim)
	case is > 0 && (was == 0 || is < was):
		return p.paint(text+"  better", green)
	}
	return p.paint(text+"  worse", red)
}

// place is where the first right answer stands, from 1; 0 if it is not among the hits.
func place(hits []Hit, q Query) int {
	return 1 + slices.IndexFunc(hits, func(h Hit) bool { return q.Relevant[h.Name] })
}

func ordinal(place int) string {
	if place == 0 {
		return "not in the first ten"
	}
	return "place " + strconv.Itoa(place)
}

func (p printer) measurement(m measurement) {
	c := eval.Compare(m.before, m.after)
	row := func(label, before, after, more string) {
		fmt.Fprintf(p.w, "  %s %14s %18s   %s\n", pad(label, 28), before, after, more)
	}
	count := func(values []float64, least float64) string {
		n := 0
		for _, v := range values {
			if v >= least {
				n++
			}
		}
		return strconv.Itoa(n)
	}
	times := func(t []time.Duration) string {
		return fmt.Sprintf("%d / %d", percentile(t, 50).Milliseconds(), percentile(t, 99).Milliseconds())
	}
	row("", "the cluster", "through rerankd", "")
	gain := fmt.Sprintf("%+.3f  95 %% interval [%+.3f, %+.3f]", c.Mean, c.Low, c.High)
	switch {
	case c.Low > 0:
		gain = p.paint(gain, bold, green)
	case c.High < 0:
		gain = p.paint(gain, bold, red)
	}
	row("mean reciprocal rank @10", fmt.Sprintf("%.3f", c.Baseline), fmt.Sprintf("%.3f", c.Against), gain)
	row("package in the first place", count(m.before, 1), count(m.after, 1), "")
	row("… in the first ten places", count(m.before, 0.1), count(m.after, 0.1), "")
	row("milliseconds, median / p99", times(m.beforeTimes), times(m.afterTimes), "")
	fmt.Fprintf(p.w, "\n  %s better, %s worse, %d the same", p.paint(strconv.Itoa(c.Wins), green), p.paint(strconv.Itoa(c.Losses), red), c.Ties)
	if m.applied < c.Queries {
		fmt.Fprintf(p.w, "; %d not reranked:", c.Queries-m.applied)
		for reason, n := range m.reasons {
			fmt.Fprintf(p.w, " %s %d", reason, n)
		}
	}
	fmt.Fprintln(p.w)
}

// next says what to try while both servers are up.
func (p printer) next(cluster, rerankd, index string) {
	const query = "?q=resize+photos+from+the+command+line&_source=name,summary&size=5&pretty"
	p.head("Both are up. Try your own words:")
	fmt.Fprintf(p.w, "\n  %s\n  curl -s '%s/%s/_search%s'\n", p.paint("# the cluster", dim), cluster, index, query)
	fmt.Fprintf(p.w, "\n  %s\n  curl -si '%s/%s/_search%s'\n", p.paint("# through rerankd; the header X-Rerank says what was done", dim), rerankd, index, query)
	fmt.Fprintf(p.w, "\n  %s\n  curl -si -H 'X-Rerank: off' '%s/%s/_search%s'\n", p.paint("# through rerankd, and left as the cluster ranked it", dim), rerankd, index, query)
	fmt.Fprintf(p.w, "\n%s\n", p.paint("Ctrl-C ends it.", dim))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// clip cuts a text to the columns; pad fills it up to them.
func clip(text string, columns int) string { return runewidth.Truncate(text, columns, "…") }
func pad(text string, columns int) string  { return runewidth.FillRight(text, columns) }

func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// shown is the URL without the password.
func (c Client) shown() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return c.URL
	}
	u.User = nil
	return u.String()
}

// withUser gives a URL the user and the password of another.
func withUser(to, from string) string {
	target, err := url.Parse(to)
	if err != nil {
		return to
	}
	if source, err := url.Parse(from); err == nil {
		target.User = source.User
	}
	return target.String()
}
