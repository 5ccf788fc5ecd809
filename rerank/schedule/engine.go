package schedule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/rerankd/rerankd/rerank"
)

// An engine is a Runner that may break. After a few searches in a row that it failed, it is left alone: searches are told so at once
// instead of each finding out for itself. Meanwhile the model is loaded anew, and after a while one search tries it.
type engine struct {
	current atomic.Pointer[Runner]
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	reopen  func(context.Context) (Runner, error) // nil: the Runner that there is must do
	logger  *slog.Logger
	cause   atomic.Pointer[error] // what failed the last search that failed
	loading atomic.Bool           // a reopen is under way
}

const (
	failuresInARow = 3               // open the breaker
	rest           = 5 * time.Second // is how long it stays open
)

func newEngine(r Runner, o Options, background func(func(context.Context))) *engine {
	e := &engine{reopen: o.Reopen, logger: o.Logger}
	if e.logger == nil {
		e.logger = slog.New(slog.DiscardHandler)
	}
	e.current.Store(&r)
	e.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:     rest,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresInARow },
		IsExcluded:  notItsFault,
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				e.logger.Error("the model fails and is left alone", "for", rest, "error", e.lastCause())
				if e.reopen != nil && e.loading.CompareAndSwap(false, true) {
					background(e.renew)
				}
			case gobreaker.StateClosed:
				e.logger.Info("the model works again")
			}
		},
	})
	return e
}

// runner is the Runner to use now.
func (e *engine) runner() Runner { return *e.current.Load() }

// working says whether the breaker is closed.
func (e *engine) working() bool { return e.breaker.State() == gobreaker.StateClosed }

// resting says why the model is left alone, nil where it is not.
func (e *engine) resting() error {
	if e.breaker.State() != gobreaker.StateOpen {
		return nil
	}
	return e.refusal()
}

func (e *engine) refusal() error {
	return fmt.Errorf("the model is left alone after failures in a row, the last: %w", e.lastCause())
}

// allow lets one search through, or says why not. done must be called with what became of it.
func (e *engine) allow() (done func(error), err error) {
	allowed, err := e.breaker.Allow()
	if err != nil { // it rests, or one search is trying it already
		return nil, e.refusal()
	}
	return func(err error) {
		if err != nil && !notItsFault(err) {
			e.cause.Store(&err)
		}
		allowed(err)
	}, nil
}

func (e *engine) lastCause() error {
	if cause := e.cause.Load(); cause != nil {
		return *cause
	}
	return errors.New("unknown")
}

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
