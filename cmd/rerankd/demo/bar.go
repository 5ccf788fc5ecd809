package demo

import (
	"context"
	"io"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A bar shows on a terminal how far one piece of work has come, and is gone when it is done. Elsewhere it shows nothing.
type bar struct {
	bars *mpb.Progress
	bar  *mpb.Bar
}

func newBar(ctx context.Context, w io.Writer, what string, total int) bar {
	bars := mpb.NewWithContext(ctx, mpb.WithOutput(w), mpb.WithWidth(48))
	return bar{bars, bars.New(int64(total),
		mpb.BarStyle().Lbound(" ").Filler("━").Tip("━").Padding("─").Rbound(" "),
		mpb.PrependDecorators(decor.Name("  "+what)),
		mpb.AppendDecorators(decor.CountersNoUnit(" %d / %d"), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))}
}

func (b bar) add(n int) { b.bar.IncrBy(n) }

func (b bar) remove() {
	b.bar.Abort(true)
	b.bars.Wait()
}
