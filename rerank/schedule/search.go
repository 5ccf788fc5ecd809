package schedule

import (
	"context"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rerankd/rerankd/rerank"
)

// A search is one Score call under way. What waits of it are the documents left[next:end], and it stands in the ring as long as there are
// some. What changes after it was admitted is guarded by the Pool's mutex.
type search struct {
	model *Model
	texts
	ctx        context.Context // ends with the caller's, and when Score returns: that aborts its runs
	cancel     context.CancelFunc
	deadline   time.Time // the caller's, if bounded
	bounded    bool
	background bool                     // nobody waits for it
	query      func() ([]uint32, error) // tokenises the query once, in whichever worker comes first

	floor     int           // documents without which a ranking is not worth its name
	each      time.Duration // what a document of left is expected to take; 0 = not known
	next, end int
	running   int

	scores []float32
	done   []bool // which documents have their score
	err    error  // what made it fail
	over   chan struct{}
	closed bool // over is

	read, tokens, unknown int // documents tokenised, their tokens, and those of them that the tokenizer does not know
}

func (m *Model) newSearch(ctx context.Context, query string, docs []string) *search {
	s := &search{
		model:  m,
		texts:  m.texts(query, docs),
		scores: make([]float32, len(docs)),
		done:   make([]bool, len(docs)),
		over:   make(chan struct{}),
		floor:  min(m.minWindow, len(docs)),
	}
	for i, d := range s.digests {
		if s.scores[i], s.done[i] = m.caches.findScore(key{s.scope, d}); !s.done[i] {
			m.unscored(&s.texts, i)
		}
	}
	s.query = sync.OnceValues(func() ([]uint32, error) { return m.tokenize(s.asked, digestOf(s.asked)) })
	s.deadline, s.bounded = ctx.Deadline()
	s.background = rerank.Background(ctx)
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// waiting is how many documents have yet to begin.
func (s *search) waiting() int { return s.end - s.next }

// needs is how many of those that wait it takes to reach the floor.
func (s *search) needs() int {
	n, _ := slices.BinarySearch(s.left[s.next:s.end], s.floor)
	return n
}

// promised is how many documents will have scores if all goes well.
func (s *search) promised() int {
	if s.end == len(s.left) {
		return len(s.docs)
	}
	return s.left[s.end]
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

// texts are what a search is about, as far as it is read.
type texts struct {
	asked   string
	scope   digest // of the model and the query: with a document's digest it is the key of a score
	docs    []string
	digests []digest
	left    []int // the documents whose score is not remembered, in rank order
	lengths []int // of those: in tokens where they are remembered, else the bytes as a negative number
}

func (m *Model) texts(query string, docs []string) texts {
	t := texts{
		asked:   beginning(query),
		docs:    make([]string, len(docs)),
		digests: make([]digest, len(docs)),
	}
	t.scope = m.scope(t.asked)
	for i, doc := range docs {
		t.docs[i] = beginning(doc)
		t.digests[i] = digestOf(t.docs[i])
	}
	return t
}

// unscored notes that document i has to be scored.
func (m *Model) unscored(t *texts, i int) {
	length := m.caches.countTokens(key{m.vocabulary, t.digests[i]})
	if length < 0 {
		length = -len(t.docs[i])
	}
	t.left, t.lengths = append(t.left, i), append(t.lengths, length)
}

// scope is what the scores of a query belong to.
func (m *Model) scope(query string) digest { return digestOf(m.identity, "\x00", query) }

// longest is the part of a text that is read: no model's length reaches as far.
const longest = 1 << 20

// beginning is the part of a text that is read.
func beginning(text string) string {
	if len(text) <= longest {
		return text
	}
	end := longest
	for end > longest-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// tokenize returns a text's tokens, from memory where they are there.
func (m *Model) tokenize(text string, d digest) ([]uint32, error) {
	k := key{m.vocabulary, d}
	if ids, ok := m.caches.findTokens(k); ok {
		return ids, nil
	}
	ids, err := m.engine.runner().Tokenize(text)
	if err == nil {
		m.caches.keepTokens(k, ids)
	}
	return ids, err
}

// remember keeps what runs have given. It is done when Score returns, and only where the search did not fail: what was found unfit as a
// whole must not come back in part.
func (m *Model) remember(s *search, scores []float32) {
	if len(scores) > 0 {
		m.caches.keepScore(key{scope: s.scope}, 0) // for Admits: something is remembered of this query
	}
	for _, i := range s.left {
		if i >= len(scores) {
			return
		}
		m.caches.keepScore(key{s.scope, s.digests[i]}, scores[i])
	}
}
