package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/sync/errgroup"

	"github.com/rerankd/rerankd/rerank/eval"
)

// trials are what became of the queries, in their order, and of each in the order of the arms; nil for one that was not asked in every way.
type trials [][]trial

// failuresInARow is after how many searches that failed one after the other it is not the queries that are at fault.
const failuresInARow = 20

// ask searches for every query in every way, until ctx ends. The ways take turns in being the first, so that none finds the cluster's
// caches warmed by another more often than the other way round. An error is one that every search would have.
func (p *evalPlan) ask(ctx context.Context, arms []*arm, o *evalOptions, progress *evalProgress) (trials, error) {
	done := make(trials, len(p.queries))
	var mu sync.Mutex
	failures := 0
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(o.concurrency)
	for i, q := range p.queries {
		if workCtx.Err() != nil {
			break
		}
		work.Go(func() error {
			of := make([]trial, len(arms))
			for turn := range arms {
				n := (i + turn) % len(arms)
				x, err := arms[n].ask(workCtx, p, q, o)
				if err != nil {
					return err
				}
				of[n] = x
			}
			mu.Lock()
			defer mu.Unlock()
			done[i] = of
			for _, x := range of {
				if failures++; x.err == nil {
					failures = 0
				} else if failures == failuresInARow {
					return fmt.Errorf("%d searches in a row failed, the last one: %w", failures, x.err)
				}
			}
			progress.add()
			return nil
		})
	}
	err := work.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return done, nil // what there is, is of use
	}
	return done, err
}

// ask is what the arm finds for a query.
func (a *arm) ask(ctx context.Context, p *evalPlan, q eval.Query, o *evalOptions) (trial, error) {
	if a.file != "" {
		if err := ctx.Err(); err != nil {
			return trial{}, err
		}
		return trial{hits: a.run[q.ID]}, nil
	}
	return a.try(ctx, p.body, q.Text, o.idField)
}

// asked are the queries that were asked in every way, and what became of them.
func (p *evalPlan) asked(all trials) (queries []eval.Query, of trials) {
	for i, q := range p.queries {
		if all[i] != nil {
			queries, of = append(queries, q), append(of, all[i])
		}
	}
	return queries, of
}

// ids are those of queries.
func ids(queries []eval.Query) []string {
	ids := make([]string, len(queries))
	for i, q := range queries {
		ids[i] = q.ID
	}
	return ids
}

// run is what one arm found.
func (t trials) run(queries []eval.Query, n int) eval.Run {
	run := eval.Run{}
	for i, q := range queries {
		run[q.ID] = t[i][n].hits
	}
	return run
}

// writeRuns writes a TREC run of each arm into a folder, and the judgments as they were taken, so that other programs can be asked too.
func (p *evalPlan) writeRuns(dir string, arms []*arm, all trials) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	queries, of := p.asked(all)
	for n, a := range arms {
		name := fileName(a.name)
		if err := writeFile(filepath.Join(dir, name+".run"), func(w io.Writer) error {
			return eval.WriteRun(w, name, ids(queries), of.run(queries, n))
		}); err != nil {
			return err
		}
	}
	if p.judged == nil {
		return nil
	}
	return writeFile(filepath.Join(dir, "qrels.txt"), func(w io.Writer) error { return eval.WriteQrels(w, ids(queries), p.judged.Qrels) })
}

// fileName is an arm's name as a file may have it on any system.
func fileName(arm string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && strings.ContainsRune(`/\:*?"<>| `, r) || r < ' ' {
			return '-'
		}
		return r
	}, arm)
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return f.Close()
}

// evalProgress shows on a terminal how many queries have been asked, and elsewhere says so every half minute.
type evalProgress struct {
	out     io.Writer
	bars    *mpb.Progress // nil where out is no terminal
	bar     *mpb.Bar
	queries int

	done int // used where there is no bar
	said time.Time
	last time.Time
}

func newEvalProgress(ctx context.Context, out io.Writer, queries int) *evalProgress {
	p := &evalProgress{out: out, queries: queries, said: time.Now(), last: time.Now()}
	if isTerminal(out) {
		p.bars = mpb.NewWithContext(ctx, mpb.WithOutput(out), mpb.WithWidth(32))
		p.bar = p.bars.New(int64(queries), mpb.BarStyle().Lbound(" ").Filler("━").Tip("━").Padding("─").Rbound(" "),
			mpb.PrependDecorators(decor.Name("  searching")),
			mpb.AppendDecorators(decor.CountersNoUnit("%d of %d queries"), decor.EwmaETA(decor.ET_STYLE_GO, 30, decor.WC{W: 8})))
	}
	return p
}

// add is called of every query, one call at a time.
func (p *evalProgress) add() {
	p.done++
	switch {
	case p.bar != nil:
		p.bar.EwmaIncrement(time.Since(p.last))
		p.last = time.Now()
	case time.Since(p.said) > 30*time.Second:
		p.said = time.Now()
		fmt.Fprintf(p.out, "%d of %s asked\n", p.done, queryCount(p.queries))
	}
}

// end takes the bar away.
func (p *evalProgress) end() {
	if p.bars != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}

func queryCount(n int) string {
	if n == 1 {
		return "1 query"
	}
	return fmt.Sprintf("%d queries", n)
}
