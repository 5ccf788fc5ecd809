package schedule

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"github.com/rerankd/rerankd/rerank"
)

// A result is what became of one document.
type result struct {
	logit      float32
	err        error
	read       bool // it was tokenised
	doc        int  // its own tokens
	unknown    int  // those of them that the tokenizer does not know
	tokens     int  // of the run
	tokenizing time.Duration
	scoring    time.Duration
}

// errLate means that a run would have ended after the deadline.
var errLate = errors.New("no time left for a run")

// run scores document i of s. A panic of the Runner is an error of this document, and the worker lives on.
func (m *Model) run(s *search, i int) (r result) {
	defer recovered(&r.err)
	if err := s.ctx.Err(); err != nil {
		return result{err: err} // the caller left while the document waited for this worker
	}
	start := time.Now()
	query, err := s.query()
	if err != nil {
		return result{err: fmt.Errorf("tokenizing the query: %w", err)}
	}
	if n := m.countUnknown(query); foreign(n, len(query)) {
		return result{err: fmt.Errorf("%d of the query's %d tokens are unknown: %w", n, len(query), rerank.ErrLanguage)}
	}
	doc, err := m.tokenize(s.docs[i], s.digests[i])
	if err != nil {
		return result{err: fmt.Errorf("tokenizing document %d: %w", i+1, err)}
	}
	ready := time.Now()
	r.tokenizing = ready.Sub(start)
	r.read, r.doc, r.unknown, r.tokens = true, len(doc), m.countUnknown(doc), m.tokens(query, doc)
	// The first document always begins. Where the cost was measured at a bad moment, it is what shows that runs take less.
	if s.bounded && i > s.left[0] && ready.Add(m.expect(r.tokens)).After(s.deadline) {
		r.err = errLate
		return r
	}
	r.logit, r.err = m.engine.runner().Score(s.ctx, query, doc)
	r.scoring = time.Since(ready)
	if r.err == nil && (math.IsNaN(float64(r.logit)) || math.IsInf(float64(r.logit), 0)) {
		r.err = fmt.Errorf("the score of document %d is %v", i+1, r.logit)
	}
	return r
}

// give books the result. The search is over when all its documents have theirs, or as soon as one has failed.
func (m *Model) give(s *search, i int, r result) {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	s.running--
	m.pool.running--
	m.stats.Running--
	defer m.inside.Done()
	m.stats.Tokenizing += r.tokenizing
	rerank.SpentTokenizing(s.ctx, r.tokenizing)
	m.stats.Scoring += r.scoring
	if r.read {
		m.weigh(len(s.docs[i]), r.doc)
		s.read++
		s.tokens += r.doc
		s.unknown += r.unknown
	}
	if r.err == nil {
		s.scores[i], s.done[i] = r.logit, true
		m.stats.Scored++
		m.stats.Tokens += uint64(r.tokens)
		m.observe(r)
		if s.read >= min(enough, len(s.left)) && foreign(s.unknown, s.tokens) {
			m.pool.drop(s)
			s.fail(fmt.Errorf("%d of %d tokens in %d documents are unknown: %w", s.unknown, s.tokens, s.read, rerank.ErrLanguage))
		}
	} else {
		m.stats.Dropped++
		m.pool.drop(s) // a hole: what comes after it is of no use
		switch {
		case s.ctx.Err() != nil:
			m.costs.interrupted(r.tokens, r.scoring)
		case !errors.Is(r.err, errLate):
			s.fail(r.err)
		}
	}
	if s.next == s.end && s.running == 0 {
		s.finish()
	}
}

// observe learns what documents take.
func (m *Model) observe(r result) {
	follow(&m.turn, r.tokenizing+r.scoring)
	follow(&m.pool.turn, r.tokenizing+r.scoring)
	m.costs.observe(r.tokens, r.scoring)
}

// weigh learns how many tokens a byte of text makes.
func (m *Model) weigh(bytes, tokens int) {
	if bytes > 0 && bytes < longest {
		m.density += (float64(tokens)/float64(bytes) - m.density) / 32
	}
}

// expect returns how long a run of so many tokens will take.
func (m *Model) expect(tokens int) time.Duration {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	return m.costs.expect(tokens)
}

// tokens is the length of a run.
func (m *Model) tokens(query, doc []uint32) int {
	if s, ok := m.engine.runner().(Sizer); ok {
		return s.Tokens(query, doc)
	}
	return len(query) + len(doc)
}

// A model made for other languages than a text's does not see the text: it sees unknown tokens. A page of such hits is better left
// in the cluster's order. Some unknown tokens are no sign of it (an emoji, a rare name), and neither is a single document.
const enough = 8 // documents to judge by

// foreign says whether too many tokens are unknown: a third of them.
func foreign(unknown, tokens int) bool { return 3*unknown > tokens }

// countUnknown counts the tokens that stand for something that the tokenizer does not know.
func (m *Model) countUnknown(ids []uint32) int {
	if !m.hasUnknown {
		return 0
	}
	n := 0
	for _, id := range ids {
		if id == m.unknown {
			n++
		}
	}
	return n
}

// recovered turns a panic into an error. It is deferred.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = &rerank.PanicError{Value: v, Stack: debug.Stack()}
	}
}
