// Package schedule shares one loaded model among all searches.
//
// A model on a CPU is scarce: a document takes it milliseconds, a search brings tens of documents, and many searches come at once. So a
// [Model] goes document by document. The searches that it has admitted stand in a ring; a free worker takes the next document of the
// search whose turn it is, and that search goes to the back:
//
//	ring         A: 2 3 4 5    B: 1 2    C: 1          the worker takes A's document 2
//	ring         B: 1 2        C: 1      A: 3 4 5      and next B's document 1
//
// What follows from this, and is meant:
//
//   - No search starves and none can crowd out others: between two documents of a search, each other search has one at most.
//   - A search's documents begin in rank order, so whatever the deadline leaves undone is what the cluster thought least of.
//   - A deadline is met to the millisecond: nothing begins that the measured [Cost] says will end too late, what runs when it comes is
//     aborted, and the caller gets what is ready. One document a run is also what makes a score depend on nothing but its pair.
//   - Nothing waits in vain: a search that cannot have its first turn in time is refused at the door ([rerank.ErrBusy]).
package schedule

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/rerankd/rerankd/rerank"
)

// Options of a [Model]. The zero value is useful.
type Options struct {
	Workers int // documents scored at once, each on one core; 0 = GOMAXPROCS, which follows the CPU quota
	Queue   int // documents waiting at most, of all searches together; 0 = 4096
}

// Model is a [rerank.Scorer] over a [Runner]: it queues, keeps to deadlines, and knows what a document costs.
type Model struct {
	runner  Runner
	workers int
	limit   int // of Stats.Queued
	stopped sync.WaitGroup

	mu     sync.Mutex
	work   *sync.Cond    // something joined the ring, or the model closes
	ring   []*search     // the searches with documents yet to begin; the first has its turn
	closed bool          // Close was called
	cost   Cost          // as last measured by Warm
	turn   time.Duration // what a document takes a worker nowadays: a moving average; 0 = none was scored yet
	pace   float64       // what runs take nowadays, as a multiple of cost: a moving average
	stats  Stats
}

var _ rerank.Scorer = (*Model)(nil)

// Stats are a Model's gauges and counters. Every document that was admitted is in exactly one of the first four.
type Stats struct {
	Queued  int    // documents waiting
	Running int    // documents with a worker
	Scored  uint64 // documents that got a score
	Dropped uint64 // documents that got none: the deadline, a cancellation, or a failure of their search

	Tokens     uint64        // in the runs that gave a score
	Tokenizing time.Duration // workers' time spent on tokenising
	Scoring    time.Duration // workers' time spent in runs
}

var errClosed = errors.New("the model is closed")

// New starts the workers. The caller closes the Model, and then the Runner.
func New(r Runner, o Options) *Model {
	m := &Model{runner: r, workers: o.Workers, limit: o.Queue}
	if m.workers <= 0 {
		m.workers = runtime.GOMAXPROCS(0)
	}
	if m.limit <= 0 {
		m.limit = 4096
	}
	m.work = sync.NewCond(&m.mu)
	for range m.workers {
		m.stopped.Go(m.serve)
	}
	return m
}

// Score returns at ctx's deadline, even if a run under way takes longer to abort; the scores are those of the longest prefix without
// a hole. It returns [rerank.ErrBusy] if docs do not fit into the queue (an empty queue takes any number) or if the searches before this
// one are expected to take all of the time until the deadline. A Runner's error or panic fails the one search that met it.
func (m *Model) Score(ctx context.Context, query string, docs []string) ([]float32, error) {
	if err := ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, nil
	}
	s := newSearch(ctx, m.runner, query, docs)
	defer s.cancel()
	if err := m.admit(s); err != nil {
		return nil, err
	}
	select {
	case <-s.over:
	case <-ctx.Done():
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(s)
	scores := s.prefix()
	switch {
	case s.err != nil:
		return nil, s.err
	case len(scores) < len(docs) && errors.Is(ctx.Err(), context.Canceled):
		return nil, ctx.Err()
	}
	return scores, nil
}

// Stats returns the counters as they stand.
func (m *Model) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Close waits for the workers. It is called after the last Score; one that is still waiting fails. It does not close the Runner.
func (m *Model) Close() {
	m.mu.Lock()
	m.closed = true
	for len(m.ring) > 0 {
		s := m.ring[0]
		m.drop(s)
		s.fail(errClosed)
	}
	m.work.Broadcast()
	m.mu.Unlock()
	m.stopped.Wait()
}

// admit lets s into the ring, or says why it must not wait there.
func (m *Model) admit(s *search) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	if waiting := m.stats.Queued; waiting > 0 && waiting+len(s.docs) > m.limit {
		return fmt.Errorf("queueing %d documents behind %d: %w", len(s.docs), waiting, rerank.ErrBusy)
	}
	// The first turn comes after one document of each search in the ring.
	if deadline, ok := s.ctx.Deadline(); ok {
		if wait := m.turn * time.Duration(len(m.ring)) / time.Duration(m.workers); wait > time.Until(deadline) {
			return fmt.Errorf("waiting %v behind %d searches: %w", wait, len(m.ring), rerank.ErrBusy)
		}
	}
	m.ring = append(m.ring, s)
	m.stats.Queued += len(s.docs)
	for range min(len(s.docs), m.workers) {
		m.work.Signal()
	}
	return nil
}

// drop takes from the queue the documents of s that have not begun: they never will.
func (m *Model) drop(s *search) {
	left := s.end - s.next
	if left == 0 {
		return
	}
	s.end = s.next
	m.stats.Queued -= left
	m.stats.Dropped += uint64(left)
	m.leave(s)
}
