package schedule

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/breaker"
)

// An engine is a Runner that may break. After a few searches in a row that it failed, it is left alone: searches are told so at once
// instead of each finding out for itself. Meanwhile the model is loaded anew, and after a while one search tries it.
type engine struct {
	current atomic.Pointer[Runner]
	breaker *breaker.Breaker
	reopen  func(context.Context) (Runner, error) // nil: the Runner that there is must do
	logger  *slog.Logger
	loading atomic.Bool // a reopen is under way
}

func newEngine(r Runner, o Options, background func(func(context.Context))) *engine {
	e := &engine{reopen: o.Reopen, logger: o.Logger}
	if e.logger == nil {
		e.logger = slog.New(slog.DiscardHandler)
	}
	e.current.Store(&r)
	e.breaker = breaker.New(breaker.Options{
		Of: "the model", Innocent: notItsFault,
		Changed: func(cause error) {
			if cause == nil {
				e.logger.Info("the model works again")
				return
			}
			e.logger.Error("the model fails and is left alone", "for", breaker.Rest, "error", cause)
			if e.reopen != nil && e.loading.CompareAndSwap(false, true) {
				background(e.renew)
			}
		},
	})
	return e
}

// runner is the Runner to use now.
func (e *engine) runner() Runner { return *e.current.Load() }

// notItsFault tells errors that say nothing about the model.
func notItsFault(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, rerank.ErrBusy) ||
		errors.Is(err, rerank.ErrLanguage) || errors.Is(err, errClosed)
}

// renew loads the model anew and puts it in the place of the broken one, once it has shown that it works.
func (e *engine) renew(ctx context.Context) {
	defer e.loading.Store(false)
	fresh, err := e.open(ctx)
	if err != nil {
		if ctx.Err() == nil {
			e.logger.Error("loading the model anew failed", "error", err)
		}
		return
	}
	broken := *e.current.Swap(&fresh)
	closeRunner(broken)
	e.logger.Info("the model was loaded anew")
}

func (e *engine) open(ctx context.Context) (_ Runner, err error) {
	defer recovered(&err)
	fresh, err := e.reopen(ctx)
	if err != nil {
		return nil, err
	}
	query, doc, err := warmTexts(fresh)
	if err == nil {
		err = probe(ctx, fresh, query, doc)
	}
	if err != nil {
		closeRunner(fresh)
		return nil, err
	}
	return fresh, nil
}

// closeRunner waits for its runs, where it can be closed at all.
func closeRunner(r Runner) {
	if c, ok := r.(io.Closer); ok {
		_ = c.Close() // nobody is left who could be told, and what it held is gone either way
	}
}
