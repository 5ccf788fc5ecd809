// Package breaker leaves alone what failed several times in a row: whoever asks is told so at once, and why, instead of each finding out
// for itself. After a rest one is let through to try.
package breaker

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	Failures = 3               // in a row, and it is left alone
	Rest     = 5 * time.Second // for so long; then one tries
)

// Options of a [Breaker].
type Options struct {
	Of       string           // what is left alone, for the error
	Innocent func(error) bool // tells errors that say nothing about it
	// Changed is told when it is left alone, and why, and with nil when it works again; nil: nobody is. It must not call the Breaker.
	Changed func(cause error)
}

// A Breaker watches one thing. It is safe for concurrent use.
type Breaker struct {
	of       string
	innocent func(error) bool
	steps    *gobreaker.TwoStepCircuitBreaker[struct{}]
	cause    atomic.Pointer[error] // of the last failure
}

// New returns a Breaker of what works.
func New(o Options) *Breaker {
	b := &Breaker{of: o.Of, innocent: o.Innocent}
	b.steps = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:     Rest,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= Failures },
		IsExcluded:  o.Innocent,
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch {
			case o.Changed == nil:
			case to == gobreaker.StateOpen:
				o.Changed(b.last())
			case to == gobreaker.StateClosed:
				o.Changed(nil)
			}
		},
	})
	return b
}

// Working says whether nothing is left alone.
func (b *Breaker) Working() bool { return b.steps.State() == gobreaker.StateClosed }

// Resting says why it is left alone, and nil where it is not, or where the next may try.
func (b *Breaker) Resting() error {
	if b.steps.State() != gobreaker.StateOpen {
		return nil
	}
	return b.refusal()
}

// Allow lets one through, or says why not. done must be called with what became of it.
func (b *Breaker) Allow() (done func(error), err error) {
	allowed, err := b.steps.Allow()
	if err != nil { // it rests, or one is trying already
		return nil, b.refusal()
	}
	return func(err error) {
		if err != nil && !b.innocent(err) {
			b.cause.Store(&err)
		}
		allowed(err)
	}, nil
}

func (b *Breaker) refusal() error {
	return fmt.Errorf("%s is left alone after failures in a row, the last: %w", b.of, b.last())
}

func (b *Breaker) last() error {
	if cause := b.cause.Load(); cause != nil {
		return *cause
	}
	return errors.New("unknown")
}
