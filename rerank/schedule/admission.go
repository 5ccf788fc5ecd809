package schedule

import (
	"fmt"
	"iter"
	"time"

	"github.com/rerankd/rerankd/rerank"
)

// What a search is promised when it comes.
//
// Each search is told at the door how many of its documents will be scored: as many as are expected to be ready before its deadline when
// all the searches in the ring have their turns. Three searches with documents of 10 ms on one worker, and a fourth with a budget of 200 ms:
//
//	ring      A: 3 wait    B: 8 wait    C: 1 waits        D comes with 50
//	turns     D's 1st comes after 3 of others, its 2nd and 3rd after 2 (C is done), its 4th to 8th after 1 (A is done)
//	          D's k-th document is ready after 40, 70, 100, 120, 140, 160, 180, 200 ms
//	promised  8 documents
//
// Too few are not worth having: to reorder three hits of fifty is noise. So a search that cannot have a floor of documents is refused at
// once ([rerank.ErrBusy]) and takes nothing from the others; and neither is one let in that would keep another from the floor that it was
// promised. Remembered scores cost nothing and count in full: where enough are remembered, the search is answered however long the queue.
//
// A model that nothing waits for makes no promise: it lets the whole search in, whose deadline tells how far it comes. So a cost that was measured at a
// bad moment cannot shut out every search.

// admit lets s into the ring, or says why it must not wait there.
func (m *Model) admit(s *search) error {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	if m.closed {
		return errClosed
	}
	s.end, s.each = len(s.left), m.each(s.texts)
	if s.background {
		if err := m.admitBehind(s); err != nil {
			return err
		}
	} else if m.pool.giveWay(); m.pool.queued > 0 {
		if err := m.promise(s); err != nil {
			m.stats.Refused += uint64(len(s.left))
			return err
		}
	}
	m.stats.Remembered += uint64(len(s.docs) - len(s.left))
	m.stats.Refused += uint64(len(s.left) - s.end)
	if s.end == 0 {
		s.finish()
		return nil
	}
	m.inside.Add(s.end)
	m.pool.join(s)
	return nil
}

// promise sets how many documents of s will be scored beside those of others, or says why it must not wait.
func (m *Model) promise(s *search) error {
	if s.bounded {
		left := time.Until(s.deadline)
		for k, ready := range m.turns(s) {
			if ready > left {
				s.end = k - 1
				break
			}
		}
	}
	switch got := s.promised(); {
	case got < s.floor:
		return fmt.Errorf("%d of %d documents would be ready in time behind %d of %d searches: %w", got, len(s.docs), m.pool.queued, len(m.pool.ring), rerank.ErrBusy)
	case m.stats.Queued > 0 && m.stats.Queued+s.end > m.limit:
		return fmt.Errorf("queueing %d documents behind %d: %w", s.end, m.stats.Queued, rerank.ErrBusy)
	case m.harms(s):
		return fmt.Errorf("queueing %d documents would leave too few in time to one of %d searches: %w", s.end, len(m.pool.ring), rerank.ErrBusy)
	}
	return nil
}

// Admits says whether a search that comes now and has so long would be promised its floor: nil, [rerank.ErrBusy], or why the model is left
// alone. Where anything is remembered of the query, the answer is nil: only the documents can tell.
func (m *Model) Admits(query string, within time.Duration) error {
	if m.caches.hasScore(key{scope: m.scope(beginning(query))}) {
		return nil
	}
	if err := m.engine.breaker.Resting(); err != nil {
		return err
	}
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	if m.pool.queued == 0 || len(m.pool.behind) > 0 {
		return nil
	}
	s := &search{
		texts:    texts{docs: make([]string, m.minWindow), left: make([]int, m.minWindow)},
		deadline: time.Now().Add(within), bounded: true,
		floor: m.minWindow, end: m.minWindow, each: m.turn,
	}
	for i := range s.left {
		s.left[i] = i
	}
	err := m.promise(s)
	if err != nil {
		m.stats.Refused += uint64(s.floor)
	}
	return err
}

// turns yields for each document of s that is left, counted from 1, how long from now it will be ready if s joined the ring.
func (m *Model) turns(s *search) iter.Seq2[int, time.Duration] {
	return func(yield func(int, time.Duration) bool) {
		before := m.pool.underWay() // all that begins before the k-th
		for k := 1; k <= len(s.left); k++ {
			for _, other := range m.pool.ring {
				if other.waiting() >= k && !other.background {
					before += other.each
				}
			}
			if !yield(k, before/time.Duration(m.pool.workers)+s.each) {
				return
			}
			before += s.each
		}
	}
}

// harms says whether a search that would have its floor in time would not if s joined the ring.
func (m *Model) harms(s *search) bool {
	for _, one := range m.pool.ring {
		need := one.needs()
		if !one.bounded || need == 0 {
			continue
		}
		alone := m.pool.underWay() + time.Duration(need-1)*one.each // all that begins before the last of them
		for _, other := range m.pool.ring {
			if other != one {
				alone += time.Duration(min(need, other.waiting())) * other.each
			}
		}
		beside := alone + time.Duration(min(need, s.end))*s.each
		left := (time.Until(one.deadline) - one.each) * time.Duration(m.pool.workers)
		if alone <= left && beside > left {
			return true
		}
	}
	return false
}

// each is what a document of those left is expected to take; 0 = not known.
func (m *Model) each(t texts) time.Duration {
	if len(t.left) == 0 {
		return 0
	}
	if m.costs.cost == (Cost{}) {
		return m.turn
	}
	asked := m.density * float64(len(t.asked))
	sum := time.Duration(0)
	for _, length := range t.lengths {
		tokens := float64(length)
		if tokens < 0 {
			tokens *= -m.density
		}
		tokens += asked + framing
		if m.longest > 0 {
			tokens = min(tokens, float64(m.longest))
		}
		sum += m.costs.expect(int(tokens))
	}
	return sum / time.Duration(len(t.left))
}

// framing is the special tokens of a pair: three or four.
const framing = 3

// Estimate is how long it will take from now until all of docs have their scores, what is queued before them included; next to nothing where
// all are remembered, and 0 where the cost is not known.
func (m *Model) Estimate(query string, docs []string) time.Duration {
	s := &search{texts: m.texts(query, docs)}
	for i, d := range s.digests {
		if !m.caches.hasScore(key{s.scope, d}) {
			m.unscored(&s.texts, i)
		}
	}
	if len(s.left) == 0 {
		return time.Nanosecond
	}
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	s.each = m.each(s.texts)
	if s.each == 0 {
		return 0
	}
	last := time.Duration(0)
	for _, last = range m.turns(s) {
	}
	return last
}
