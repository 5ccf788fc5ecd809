package schedule

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/rerankd/rerankd/rerank"
)

// serve is one worker: it takes documents until the model closes.
func (m *Model) serve() {
	for {
		s, i := m.take()
		if s == nil {
			return
		}
		r := m.run(s, i)
		m.give(s, i, r)
	}
}

// take waits for a document, and moves its search to the back of the ring. It returns nil when the model is closed.
func (m *Model) take() (*search, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.ring) == 0 {
		if m.closed {
			return nil, 0
		}
		m.work.Wait()
	}
	s, i := m.ring[0], m.ring[0].next
	m.leave(s)
	s.next++
	if s.next < s.end {
		m.ring = append(m.ring, s)
	}
	s.running++
	m.stats.Queued--
	m.stats.Running++
	return s, i
}

// leave takes s out of the ring.
func (m *Model) leave(s *search) {
	if i := slices.Index(m.ring, s); i >= 0 {
		m.ring = slices.Delete(m.ring, i, i+1)
	}
}

// A result is what became of one document.
type result struct {
	logit      float32
	err        error
	tokens     int
	tokenizing time.Duration
	scoring    time.Duration
}

// errLate means that a run would have ended after the deadline.
var errLate = errors.New("no time left for a run")

// run scores document i of s. A panic of the Runner is an error of this document, and the worker lives on.
func (m *Model) run(s *search, i int) (r result) {
	defer recovered(&r.err)
	start := time.Now()
	query, err := s.query()
	if err != nil {
		return result{err: fmt.Errorf("tokenizing the query: %w", err)}
	}
	doc, err := m.runner.Tokenize(s.docs[i])
	if err != nil {
		return result{err: fmt.Errorf("tokenizing document %d: %w", i+1, err)}
	}
	ready := time.Now()
	r.tokenizing = ready.Sub(start)
	r.tokens = m.tokens(query, doc)
	// The first document always begins. Where the cost was measured on a bad moment, it is what shows that runs take less.
	if deadline, ok := s.ctx.Deadline(); ok && i > 0 && ready.Add(m.expect(r.tokens)).After(deadline) {
		r.err = errLate
		return r
	}
	r.logit, r.err = m.runner.Score(s.ctx, query, doc)
	r.scoring = time.Since(ready)
	return r
}

// give books the result. The search is over when all its documents have theirs, or as soon as one has failed.
func (m *Model) give(s *search, i int, r result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.running--
	m.stats.Running--
	m.stats.Tokenizing += r.tokenizing
	rerank.SpentTokenizing(s.ctx, r.tokenizing)
	m.stats.Scoring += r.scoring
	if r.err != nil {
		m.stats.Dropped++
		m.drop(s) // a hole: what comes after it is of no use
		if !errors.Is(r.err, errLate) && s.ctx.Err() == nil {
			s.fail(r.err)
		}
	} else {
		s.scores[i], s.done[i] = r.logit, true
		m.stats.Scored++
		m.stats.Tokens += uint64(r.tokens)
		m.observe(r)
	}
	if s.next == s.end && s.running == 0 {
		s.finish()
	}
}

// observe lets the moving averages follow what documents take: an eighth of the way each time, so that one odd document does not decide.
func (m *Model) observe(r result) {
	took := r.tokenizing + r.scoring
	if m.turn == 0 {
		m.turn = took
	}
	m.turn += (took - m.turn) / 8
	if planned := m.cost.Document(r.tokens); planned > 0 {
		m.pace += (float64(r.scoring)/float64(planned) - m.pace) / 8
	}
}

// expect returns how long a run of so many tokens will take: the measured cost, at the pace that runs have nowadays.
func (m *Model) expect(tokens int) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Duration(m.pace * float64(m.cost.Document(tokens)))
}

// tokens is the length of a run.
func (m *Model) tokens(query, doc []uint32) int {
	if s, ok := m.runner.(Sizer); ok {
		return s.Tokens(query, doc)
	}
	return len(query) + len(doc)
}

// recovered turns a panic into an error. It is deferred.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = &rerank.PanicError{Value: v, Stack: debug.Stack()}
	}
}

// score is one run outside of any search.
func (m *Model) score(ctx context.Context, query, doc []uint32) (logit float32, err error) {
	defer recovered(&err)
	return m.runner.Score(ctx, query, doc)
}
