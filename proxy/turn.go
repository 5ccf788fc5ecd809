package proxy

import (
	"cmp"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

// A Gate is a Ranker that can tell before there are hits that it would have no time for them within a time from now, or that it is broken:
// [rerank.ErrBusy], or what broke. It is asked before the cluster is, so that under load no window is fetched and read in vain.
type Gate interface {
	Admits(query string, within time.Duration) error
}

var _ Gate = (*rerank.Ranker)(nil)

// planTurn passes a search that would not be ranked for want of time.
func (s *searching) planTurn() bool {
	gate, ok := s.ranker.(Gate)
	if !ok || s.emulated != nil { // whose page is another without a ranking
		return true
	}
	err := gate.Admits(s.words, s.live.answering.expected()+cmp.Or(s.ruled.Budget, defaultBudget))
	switch {
	case err == nil:
		return true
	case errors.Is(err, rerank.ErrBusy):
		s.skip(search.Busy, "", err)
	default:
		s.skip(search.ModelError, "", err)
	}
	return false
}

// An average follows how long something takes, an eighth of the way each time. It is safe for concurrent use.
type average struct{ nanoseconds atomic.Int64 }

func (a *average) observe(took time.Duration) {
	for {
		old := a.nanoseconds.Load()
		if a.nanoseconds.CompareAndSwap(old, old+(int64(took)-old)/8) {
			return
		}
	}
}

func (a *average) expected() time.Duration { return time.Duration(a.nanoseconds.Load()) }
