package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

const (
	// rankerGrace is how long a ranker may take to notice that its time is over: an inference has to come to a point where it can stop.
	rankerGrace = 50 * time.Millisecond
	// maxStuck bounds the rankers that were left behind because they did not.
	maxStuck = 16
)

// consult calls the ranker where it can neither break the search nor hold it up.
func (s *searching) consult(ctx context.Context) rerank.Ranking {
	if s.live.stuck.Load() >= maxStuck {
		return skipped(search.Busy, errors.New("rankers do not end when told to"))
	}
	ranker, words, hits := s.ranker, s.words, s.offered
	ranking, ok := within(ctx, s.live, func() (ranking rerank.Ranking) {
		defer func() {
			if v := recover(); v != nil {
				ranking = skipped(search.ModelError, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			}
		}()
		return checked(ranker.Rank(ctx, words, hits), len(hits))
	})
	switch {
	case ok:
		return ranking
	case s.call.ctx.Err() != nil:
		return skipped(search.Canceled, ctx.Err())
	}
	return skipped(search.Timeout, ctx.Err())
}

// within runs f until ctx ends, and a little longer. Where f does not end then it is left behind, and what it returns later is dropped; l is
// not closed before that, and counts it among its stuck ones.
func within[T any](ctx context.Context, l *live, f func() T) (result T, ok bool) {
	if !l.retain() { // cannot be: its caller holds it
		return result, false
	}
	done := make(chan T, 1)
	var settled atomic.Bool // the first of the two to set it decides whether f was left behind
	go func() {
		defer l.release()
		done <- f()
		if !settled.CompareAndSwap(false, true) {
			l.stuck.Add(-1)
		}
	}()
	select {
	case result = <-done:
		return result, true
	case <-ctx.Done():
	}
	grace := time.NewTimer(rankerGrace)
	defer grace.Stop()
	select {
	case result = <-done:
		return result, true
	case <-grace.C:
	}
	l.stuck.Add(1)
	if !settled.CompareAndSwap(false, true) { // it came at the last moment
		l.stuck.Add(-1)
		return <-done, true
	}
	return result, false
}

func skipped(reason search.Reason, err error) rerank.Ranking {
	return rerank.Ranking{Stages: []rerank.Report{{Skipped: string(reason), Err: err}}}
}

// checked lets through only a ranking with which no hit is lost, doubled or invented, and whose scores can be written.
func checked(r rerank.Ranking, hits int) rerank.Ranking {
	if len(r.Order) != hits || len(r.Scores) != hits {
		return skipped(search.ModelError, fmt.Errorf("%d places and %d scores for %d hits", len(r.Order), len(r.Scores), hits))
	}
	seen := make([]bool, hits)
	for _, i := range r.Order {
		if i < 0 || i >= hits || seen[i] {
			return skipped(search.ModelError, fmt.Errorf("the order is no permutation of %d hits", hits))
		}
		seen[i] = true
	}
	for _, score := range r.Scores {
		if math.IsInf(score, 0) {
			return skipped(search.ModelError, errors.New("a score is infinite"))
		}
	}
	return r
}
