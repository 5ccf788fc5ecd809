package schedule

import (
	"fmt"
	"slices"

	"github.com/rerankd/rerankd/rerank"
)

// A search in the background ([rerank.InBackground]) is there only while no other is: it is let in where nothing waits and nothing runs, and
// the first other search that comes finds it gone, its runs aborted. So no promise has to reckon with one, and none is made to it. What the
// ring holds is either such searches alone, or none.

// admitBehind lets s into the ring while nobody else is there.
func (m *Model) admitBehind(s *search) error {
	p := m.pool
	mine := 0
	for _, other := range p.behind {
		mine += other.running
	}
	switch {
	case len(p.ring) > 0 && !p.ring[0].background, p.running > mine:
		m.stats.Refused += uint64(len(s.left))
		return fmt.Errorf("in the background of %d documents: %w", p.queued+p.running, rerank.ErrBusy)
	case m.stats.Queued > 0 && m.stats.Queued+s.end > m.limit:
		m.stats.Refused += uint64(len(s.left))
		return fmt.Errorf("queueing %d documents behind %d: %w", s.end, m.stats.Queued, rerank.ErrBusy)
	}
	p.behind = append(p.behind, s)
	return nil
}

// giveWay ends the searches in the background.
func (p *Pool) giveWay() {
	for _, s := range p.behind {
		p.drop(s)
		s.fail(fmt.Errorf("gave way to a search that somebody waits for: %w", rerank.ErrBusy))
		s.cancel()
	}
	p.behind = nil
}

// leaveBehind takes a search that is over out of those in the background.
func (p *Pool) leaveBehind(s *search) {
	if i := slices.Index(p.behind, s); i >= 0 {
		p.behind = slices.Delete(p.behind, i, i+1)
	}
}
