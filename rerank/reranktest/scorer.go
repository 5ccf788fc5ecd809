// Package reranktest holds what the tests of a [rerank.Scorer] need: a scorer made of a function, and the suite that every scorer passes.
package reranktest

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rerankd/rerankd/rerank"
)

// ScorerFunc is a function as a [rerank.Scorer].
type ScorerFunc func(ctx context.Context, query string, docs []string) ([]float32, error)

// Score calls f.
func (f ScorerFunc) Score(ctx context.Context, query string, docs []string) ([]float32, error) {
	return f(ctx, query, docs)
}

var _ rerank.Scorer = ScorerFunc(nil)

// TestScorer checks that s keeps the promises of [rerank.Scorer]. s must be otherwise idle, able to admit a few searches at once, and give
// a document the same score (within 1e-3) in whatever company it comes: a scorer that does not cannot show the same order on two pages.
func TestScorer(t *testing.T, s rerank.Scorer) {
	const query = "what does a proxy do"
	docs := []string{
		"A proxy forwards requests to another server.",
		"",
		"An apple is a fruit.",
		"Invalid \xff UTF-8 and a NUL \x00 are words like any other.",
		"Приветствие and 挨拶",
		"what does a proxy do",
	}
	all, err := s.Score(t.Context(), query, docs)
	if err != nil || len(all) != len(docs) {
		t.Fatalf("got %d scores and error %v, want %d scores with no deadline", len(all), err, len(docs))
	}
	// agree says whether scores are those of the first documents.
	agree := func(scores []float32) bool {
		return len(scores) <= len(all) && slices.EqualFunc(scores, all[:len(scores)], func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-3 })
	}

	t.Run("scores are finite", func(t *testing.T) {
		for i, score := range all {
			if f := float64(score); math.IsNaN(f) || math.IsInf(f, 0) {
				t.Errorf("got score %v for document %d %q, want a finite one", score, i, docs[i])
			}
		}
	})
	t.Run("no documents", func(t *testing.T) {
		if scores, err := s.Score(t.Context(), query, nil); len(scores) != 0 || err != nil {
			t.Errorf("got %v and error %v, want nothing", scores, err)
		}
	})
	t.Run("one score belongs to one document", func(t *testing.T) {
		reversed := slices.Clone(docs)
		slices.Reverse(reversed)
		before := slices.Clone(reversed)
		scores, err := s.Score(t.Context(), query, reversed)
		slices.Reverse(scores)
		if err != nil || len(scores) != len(docs) || !agree(scores) {
			t.Errorf("got %v and error %v for the documents reversed, want %v", scores, err, all)
		}
		if !slices.Equal(reversed, before) {
			t.Errorf("got documents changed to %q, want %q", reversed, before)
		}
	})
	t.Run("a deadline is no error", func(t *testing.T) {
		for _, budget := range []time.Duration{-time.Second, 0, time.Microsecond, time.Millisecond, 10 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), budget)
			scores, err := s.Score(ctx, query, docs)
			cancel()
			if err != nil && !errors.Is(err, rerank.ErrBusy) {
				t.Errorf("got error %v within %v, want a prefix of the scores", err, budget)
			}
			if !agree(scores) {
				t.Errorf("got %v within %v, want a prefix of %v", scores, budget, all)
			}
			if budget < 0 && len(scores) != 0 {
				t.Errorf("got %v past the deadline, want nothing", scores)
			}
		}
	})
	t.Run("a cancellation is an error", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if scores, err := s.Score(ctx, query, docs); !errors.Is(err, context.Canceled) || len(scores) != 0 {
			t.Errorf("got %v and error %v, want %v", scores, err, context.Canceled)
		}
	})
	t.Run("several searches at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if scores, err := s.Score(t.Context(), query, docs); err != nil || len(scores) != len(docs) || !agree(scores) {
					t.Errorf("got %v and error %v, want %v", scores, err, all)
				}
			})
		}
		wg.Wait()
	})
}
