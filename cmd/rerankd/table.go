package main

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// A table is rows of columns, printed with each column as wide as its widest cell. Widths are those of a terminal, where a
// Chinese character takes two places.
type table struct {
	rows  [][]string
	right map[int]bool         // columns of numbers
	paint map[[2]int]attribute // of cells, by row and column
}

// An attribute is how a terminal shows a text, as the parameters of ANSI's SGR sequence.
type attribute string

const (
	bold  attribute = "1"
	dim   attribute = "2"
	red   attribute = "31"
	green attribute = "32"
)

// on puts the attribute on a text.
func (a attribute) on(text string) string { return "\x1b[" + string(a) + "m" + text + "\x1b[0m" }

func newTable(header ...string) *table {
	t := &table{right: map[int]bool{}, paint: map[[2]int]attribute{}}
	if len(header) > 0 {
		t.row(header...)
	}
	return t
}

// numbers aligns columns on the right, counted from 0.
func (t *table) numbers(columns ...int) *table {
	for _, c := range columns {
		t.right[c] = true
	}
	return t
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// color has a cell of the last row shown with an attribute.
func (t *table) color(column int, a attribute) { t.paint[[2]int{len(t.rows) - 1, column}] = a }

func (t *table) print(w io.Writer) error {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	var b strings.Builder
	for r, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString("  ")
			}
			pad := strings.Repeat(" ", widths[i]-runewidth.StringWidth(cell))
			if a := t.paint[[2]int{r, i}]; a != "" {
				cell = a.on(cell)
			}
			if t.right[i] {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// clip shortens s to so many columns of a terminal, as [line] shows it.
func clip(s string, columns int) string {
	s = line(s)
	if runewidth.StringWidth(s) <= columns {
		return s
	}
	return strings.TrimRight(runewidth.Truncate(s, columns-1, ""), " ") + "…"
}

// line shows s on one line and without control characters: what it is given comes from documents and users, and must not move a
// terminal's cursor.
func line(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa0 }), " ")
}
