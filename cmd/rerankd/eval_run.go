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

	"golang.org/x/sync/errgroup"

	"github.com/rerankd/rerankd/rerank/eval"
)

// trials are what became of the queries, in their order, and of each in the order of the arms; nil for one that was not asked in every way.
type trials [][]trial

// failuresInARow is after how many searches that failed one after the other it is not the queries that are at fault.
const failuresInARow = 20

// ask searches for every query in every way, until ctx ends. The ways take turns in being the first, so that none finds the cluster's
// caches warmed by another more often than the other way round. An error is one that every search would have.
func (p *evalPlan) ask(ctx context.Context, arms []*arm, o *evalOptions, progress *meter) (trials, error) {
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
			progress.add(1)
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

func queryCount(n int) string {
	if n == 1 {
		return "1 query"
	}
	return fmt.Sprintf("%d queries", n)
}
