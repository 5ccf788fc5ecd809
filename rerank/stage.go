package rerank

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unicode"
)

// Stage is one scorer and how deep it looks.
type Stage struct {
	Model  string // its name in the configuration, for the reports
	Scorer Scorer // one that is an [Estimator] gets its time by what it says, any other an equal share
	Window int    // the places it may reorder, counted from the top: documents offered at most; 0 = all

	// Passages is how many passages of a long text are read at most, those that have the query's words first; the best of their scores
	// is the text's. 0: a text is read from its beginning, as far as the model reads.
	Passages int
	// PassageSize is the bytes of a passage at most, and so what makes a text long; 0 = 1000.
	PassageSize int

	// Scripts are those that the model was made for, as [ScriptsOf] has them. Where most letters of the query, or of the texts, are of
	// other scripts, the stage is skipped. None: nothing is known, and everything is ranked.
	Scripts []*unicode.RangeTable
}

// A verdict is what a stage said of the documents that were offered to it.
type verdict struct {
	places   []int // of the documents that were scored, ascending
	logits   []float32
	passages []Passage // that the logits are of
}

// window returns the documents that the stage reads, and their places in the order.
func (s *Stage) window(hits []Hit, order []int) (places []int, docs []string) {
	if s.Window > 0 && s.Window < len(order) {
		order = order[:s.Window]
	}
	for place, i := range order {
		if !hits[i].Hold && hits[i].Text != "" {
			places, docs = append(places, place), append(docs, hits[i].Text)
		}
	}
	return places, docs
}

// score offers the stage's window to its scorer.
func (s *Stage) score(ctx context.Context, query string, hits []Hit, order []int) (v verdict, report Report) {
	start := time.Now()
	places, docs := s.window(hits, order)
	report = Report{Model: s.Model, Window: len(docs)}
	switch err := ctx.Err(); {
	case len(docs) == 0:
		report.Skipped = SkippedNoText
	case err != nil:
		report.Skipped, report.Err = reason(ctx, err), err
	case !reads(s.Scripts, query):
		report.Skipped, report.Err = SkippedLanguage, fmt.Errorf("the query's script: %w", ErrLanguage)
	case !reads(s.Scripts, docs...):
		report.Skipped, report.Err = SkippedLanguage, fmt.Errorf("the documents' script: %w", ErrLanguage)
	default:
		var tokenizing atomic.Int64
		r := s.reading(ctx, query, docs)
		logits, err := judge(context.WithValue(ctx, meterKey{}, &tokenizing), s.Scorer, query, r.texts)
		report.Tokenizing = time.Duration(tokenizing.Load())
		v.logits, v.passages = r.best(logits)
		v.places = places[:len(v.logits)]
		report.Scored = len(v.logits)
		if len(r.texts) > len(docs) {
			report.Passages = len(logits)
		}
		if err != nil {
			report.Skipped, report.Err = reason(ctx, err), err
		} else if len(logits) == 0 {
			report.Skipped = SkippedTimeout // the one way in which a scorer may reach nothing
			if errors.Is(ctx.Err(), context.Canceled) {
				report.Skipped = SkippedCanceled
			}
		}
	}
	report.Took = time.Since(start)
	return v, report
}

// need is how long the stage would take from now; 0 = not known.
func (s *Stage) need(query string, hits []Hit, order []int) (need time.Duration) {
	e, ok := s.Scorer.(Estimator)
	if !ok {
		return 0
	}
	defer func() {
		if recover() != nil { // a scorer that breaks is met, and told of, when it scores
			need = 0
		}
	}()
	_, docs := s.window(hits, order)
	if len(docs) == 0 {
		return time.Nanosecond
	}
	return e.Estimate(query, s.needed(docs))
}

// judge calls the scorer and lets through only what a ranking can be made of.
func judge(ctx context.Context, scorer Scorer, query string, docs []string) (logits []float32, err error) {
	defer func() {
		if v := recover(); v != nil {
			logits, err = nil, fmt.Errorf("scoring: %w", &PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	logits, err = scorer.Score(ctx, query, docs)
	if err != nil {
		return nil, fmt.Errorf("scoring: %w", err)
	}
	if len(logits) > len(docs) {
		return nil, fmt.Errorf("scoring: %d scores for %d documents", len(logits), len(docs))
	}
	for i, logit := range logits {
		if f := float64(logit); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("scoring: score %d of %d is %v", i+1, len(logits), logit)
		}
	}
	return logits, nil
}

// reason maps an error to its word. A cancellation that is not the caller's is a fault of the scorer's.
func reason(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, ErrBusy):
		return SkippedBusy
	case errors.Is(err, ErrLanguage):
		return SkippedLanguage
	case errors.Is(ctx.Err(), context.Canceled):
		return SkippedCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return SkippedTimeout
	}
	return SkippedModelError
}
