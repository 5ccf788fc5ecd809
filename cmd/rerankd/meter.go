package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A meter shows on a terminal how much of something has been done, and elsewhere says so every half minute.
type meter struct {
	out  io.Writer
	bars *mpb.Progress // nil where out is no terminal
	bar  *mpb.Bar
	of   int
	what string // "queries asked"

	done int // used where there is no bar
	said time.Time
	last time.Time
}

// newMeter is of so many things, of which is said what they are and what becomes of them: queries, asked.
func newMeter(ctx context.Context, out io.Writer, of int, what, becomes string) *meter {
	m := &meter{out: out, of: of, what: what + " " + becomes, said: time.Now(), last: time.Now()}
	if isTerminal(out) {
		m.bars = mpb.NewWithContext(ctx, mpb.WithOutput(out), mpb.WithWidth(32))
		m.bar = m.bars.New(int64(of), mpb.BarStyle().Lbound(" ").Filler("━").Tip("━").Padding("─").Rbound(" "),
			mpb.PrependDecorators(decor.Name("  "+becomes)),
			mpb.AppendDecorators(decor.CountersNoUnit("%d of %d "+what), decor.EwmaETA(decor.ET_STYLE_GO, 30, decor.WC{W: 8})))
	}
	return m
}

// add is called when so many more are done, one call at a time.
func (m *meter) add(n int) {
	m.done += n
	switch {
	case m.bar != nil:
		m.bar.EwmaIncrBy(n, time.Since(m.last))
		m.last = time.Now()
	case time.Since(m.said) > 30*time.Second:
		m.said = time.Now()
		fmt.Fprintf(m.out, "%d of %d %s\n", m.done, m.of, m.what)
	}
}

// end takes the bar away.
func (m *meter) end() {
	if m.bars != nil {
		m.bar.Abort(true)
		m.bars.Wait()
	}
}
