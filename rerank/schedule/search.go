package schedule

import (
	"context"
	"slices"
	"sync"
)

// A search is one Score call under way. Its documents before next have begun, those from next up to end wait, and it stands in the ring
// as long as some wait. All but ctx, query and docs is guarded by the Model's mutex.
type search struct {
	ctx    context.Context // ends with the caller's, and when Score returns: that aborts its runs
	cancel context.CancelFunc
	query  func() ([]uint32, error) // tokenises the query once, in whichever worker comes first
	docs   []string

	next, end int
	running   int
	scores    []float32
	done      []bool // which documents have their score
	err       error  // what made it fail
	over      chan struct{}
	closed    bool // over is
}

func newSearch(ctx context.Context, r Runner, query string, docs []string) *search {
	s := &search{
		docs:   docs,
		end:    len(docs),
		query:  sync.OnceValues(func() ([]uint32, error) { return r.Tokenize(query) }),
		scores: make([]float32, len(docs)),
		done:   make([]bool, len(docs)),
		over:   make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// prefix returns the scores up to the first hole: with several workers a later document may be ready before an earlier one.
func (s *search) prefix() []float32 {
	n := slices.Index(s.done, false)
	if n < 0 {
		n = len(s.docs)
	}
	return s.scores[:n:n]
}

// fail ends the search at once.
func (s *search) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.finish()
}

// finish wakes Score.
func (s *search) finish() {
	if !s.closed {
		s.closed = true
		close(s.over)
	}
}
