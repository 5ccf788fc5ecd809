package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rerankd/rerankd/rerank"
)

// behind are the searches in the background ([rerank.InBackground]): they are let in while no other search is under way, and end when one
// comes, with the requests that they have sent.
type behind struct {
	mu   sync.Mutex
	ends map[*byte]context.CancelCauseFunc
}

// errGaveWay is the cause of the end of a search in the background.
var errGaveWay = fmt.Errorf("gave way to a search that somebody waits for: %w", rerank.ErrBusy)

// enter returns the context of a search in the background; leave has to be called.
func (b *behind) enter(ctx context.Context) (_ context.Context, leave func()) {
	ctx, end := context.WithCancelCause(ctx)
	me := new(byte)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ends == nil {
		b.ends = map[*byte]context.CancelCauseFunc{}
	}
	b.ends[me] = end
	return ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.ends, me)
		end(nil)
	}
}

// giveWay ends them all.
func (b *behind) giveWay() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, end := range b.ends {
		end(errGaveWay)
	}
}

// scoreBehind is Score for a search that nobody waits for.
func (s *Scorer) scoreBehind(ctx context.Context, query string, docs []string) ([]float32, error) {
	ctx, leave := s.behind.enter(ctx)
	defer leave()
	if n := s.pending.Load(); n > 0 {
		return nil, fmt.Errorf("in the background of %d documents: %w", n, rerank.ErrBusy)
	}
	scores, err := s.score(ctx, query, docs)
	if errors.Is(context.Cause(ctx), errGaveWay) {
		return nil, errGaveWay
	}
	return scores, err
}
