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
//   - A deadline is met to the millisecond: nothing begins that the [Cost], as runs keep teaching it, says will end too late, what runs
//     when it comes is aborted, and the caller gets what is ready. One document a run is also what makes a score depend on nothing but its pair.
//   - Nothing waits in vain: at the door each search is told how many documents it will have, and is refused if those are too few.
//   - Nothing is done twice: tokens and scores are remembered ([Caches]).
//   - Traffic goes first: a worker is a thread of a lower priority than those that forward, and a search that nobody waits for
//     ([rerank.InBackground]) gives way to any other.
//   - A model that breaks takes no search with it, and is loaded anew.
package schedule

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rerankd/rerankd/rerank"
)

// Options of a [Model]. The zero value is useful.
type Options struct {
	Pool      *Pool // whose workers score the documents; nil = one of the Model's own, with so many
	Workers   int   // as NewPool takes them
	Queue     int   // documents waiting at most, of all searches together; 0 = 4096
	MinWindow int   // documents that a search must be promised while others are under way; it is refused otherwise; 0 = 10

	// AnyLanguage scores whatever there is, also texts of which the tokenizer knows next to nothing.
	AnyLanguage bool

	// Caches remember tokens and scores; nil remembers none. Models may share them: Identity tells their scores apart, and must differ
	// wherever two models may give one pair different scores.
	Caches   *Caches
	Identity string

	// Reopen loads the model anew when its Runner fails again and again; nil leaves that Runner in use.
	Reopen func(context.Context) (Runner, error)
	Logger *slog.Logger // for a model that breaks, and works again; nil: nothing
}

// Model is a [rerank.Scorer] over a [Runner]: it queues, keeps to deadlines, and knows what a document costs.
type Model struct {
	engine     *engine
	pool       *Pool
	own        bool // the pool is nobody else's
	limit      int  // of Stats.Queued
	minWindow  int
	caches     *Caches
	identity   string
	vocabulary digest
	longest    int    // tokens of a pair at most; 0 = not known
	unknown    uint32 // the token for what the vocabulary lacks, if there is one
	hasUnknown bool

	quit       context.CancelFunc // for what goes on in the background
	background sync.WaitGroup
	inside     sync.WaitGroup // documents that were admitted

	// Guarded by the pool's mutex.
	closed  bool          // Close was called
	costs   learner       // what runs take
	turn    time.Duration // what a document takes nowadays: a moving average; 0 = none was scored yet
	density float64       // tokens that a byte of text makes: a moving average
	stats   Stats
}

var (
	_ rerank.Scorer    = (*Model)(nil)
	_ rerank.Estimator = (*Model)(nil)
	_ rerank.Gate      = (*Model)(nil)
)

// Stats are a Model's gauges and counters. Every document that was admitted is in exactly one of the first four.
type Stats struct {
	Queued  int    // documents waiting
	Running int    // documents with a worker
	Scored  uint64 // documents that got a score
	Dropped uint64 // documents that got none: the deadline, a cancellation, or a failure of their search

	Remembered uint64 // documents whose score was known
	Refused    uint64 // documents that were not admitted: too many were before them
	Broken     bool   // the model is left alone, as its last runs failed

	Tokens     uint64        // in the runs that gave a score
	Tokenizing time.Duration // workers' time spent on tokenising
	Scoring    time.Duration // workers' time spent in runs
}

var errClosed = errors.New("the model is closed")

// New starts the workers. The Model takes r over: Close closes it.
func New(r Runner, o Options) *Model {
	m := &Model{
		pool: o.Pool, limit: o.Queue, minWindow: o.MinWindow, caches: o.Caches, identity: o.Identity,
		vocabulary: digestOf(r.Vocabulary()), density: 0.25,
	}
	if m.pool == nil {
		m.pool, m.own = NewPool(o.Workers), true
	}
	if m.limit <= 0 {
		m.limit = 4096
	}
	if m.minWindow <= 0 {
		m.minWindow = 10
	}
	if l, ok := r.(Limiter); ok {
		m.longest = l.MaxLength()
	}
	if u, ok := r.(Unknowner); ok && !o.AnyLanguage {
		m.unknown, m.hasUnknown = u.Unknown()
	}
	ctx, quit := context.WithCancel(context.Background())
	m.quit = quit
	m.engine = newEngine(r, o, func(do func(context.Context)) { m.background.Go(func() { do(ctx) }) })
	return m
}

// Score returns at ctx's deadline, even if a run under way takes longer to abort; the scores are those of the longest prefix without
// a hole. Fewer documents than there are may be admitted, as many as will be ready in time. It returns [rerank.ErrBusy] if those are fewer
// than Options.MinWindow or do not fit into the queue, and [rerank.ErrLanguage] if too many tokens are unknown. A Runner's error or panic
// fails the one search that met it; after some in a row all fail at once until the Runner works again.
func (m *Model) Score(ctx context.Context, query string, docs []string) ([]float32, error) {
	if err := ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, nil
	}
	s := m.newSearch(ctx, query, docs)
	defer s.cancel()
	if len(s.left) == 0 {
		m.count(func(stats *Stats) { stats.Remembered += uint64(len(docs)) })
		return s.scores, nil
	}
	done, err := m.engine.breaker.Allow()
	if err != nil {
		if known := s.prefix(); len(known) >= s.floor {
			m.count(func(stats *Stats) { stats.Remembered += uint64(len(known)) })
			return known, nil
		}
		return nil, err
	}
	scores, err := m.wait(s)
	done(err)
	if err != nil {
		return nil, err
	}
	m.remember(s, scores)
	return scores, nil
}

// wait has s scored, as far as it comes.
func (m *Model) wait(s *search) ([]float32, error) {
	if err := m.admit(s); err != nil {
		return nil, err
	}
	select {
	case <-s.over:
	case <-s.ctx.Done():
	}
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	m.pool.drop(s)
	m.pool.leaveBehind(s)
	scores := s.prefix()
	switch {
	case s.err != nil:
		return nil, s.err
	case len(scores) < len(s.docs) && errors.Is(s.ctx.Err(), context.Canceled):
		return nil, s.ctx.Err()
	}
	return scores, nil
}

// Stats returns the counters as they stand.
func (m *Model) Stats() Stats {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	stats := m.stats
	stats.Broken = !m.engine.breaker.Working()
	return stats
}

func (m *Model) count(do func(*Stats)) {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	do(&m.stats)
}

// Cost is what a run takes, as Warm measured it and the runs since have taught; zero before.
func (m *Model) Cost() Cost {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	return m.costs.cost
}

// Close waits for the runs under way, and closes the Runner. It is called after the last Score; one that is still waiting fails.
func (m *Model) Close() {
	m.pool.mu.Lock()
	first := !m.closed
	m.closed = true
	for _, s := range slices.Clone(m.pool.ring) {
		if s.model == m {
			m.pool.drop(s)
			s.fail(errClosed)
		}
	}
	m.pool.mu.Unlock()
	m.quit()
	m.background.Wait()
	m.inside.Wait()
	if !first {
		return
	}
	closeRunner(m.engine.runner())
	if m.own {
		m.pool.Close()
	}
}
