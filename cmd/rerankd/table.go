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
	right map[int]bool // columns of numbers
}

func newTable(header ...string) *table {
	t := &table{right: map[int]bool{}}
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
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString("  ")
			}
			pad := strings.Repeat(" ", widths[i]-runewidth.StringWidth(cell))
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
