package schedule_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/schedule"
	"pgregory.net/rapid"
)

// A call is one search of a drawn timetable, in milliseconds.
type call struct {
	starts, budget, leaves int // budget and leaves: 0 = none
	lengths                []int
}

// Whatever comes when: a result is a prefix of the right scores, never after its deadline, and complete where there was none; no document
// is forgotten; and no worker idles while something waits.
func TestModelProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		workers := rapid.IntRange(1, 4).Draw(rt, "workers")
		queue := rapid.SampledFrom([]int{0, 10}).Draw(rt, "queue")
		warm := rapid.Bool().Draw(rt, "warm")
		calls := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) call {
			return call{
				starts:  rapid.IntRange(0, 50).Draw(t, "starts"),
				budget:  rapid.SampledFrom([]int{0, 1, 5, 20, 50}).Draw(t, "budget"),
				leaves:  rapid.SampledFrom([]int{0, 0, 0, 3, 10}).Draw(t, "leaves"),
				lengths: rapid.SliceOfN(rapid.IntRange(0, 9), 0, 12).Draw(t, "lengths"),
			}
		}), 1, 8).Draw(rt, "calls")

		synctest.Test(t, func(t *testing.T) {
			r := &runner{perToken: time.Millisecond} // a run takes 1 ms for the query and 1 for each byte of the document
			m := schedule.New(r, schedule.Options{Workers: workers, Queue: queue})
			if warm {
				if _, err := m.Warm(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var wg sync.WaitGroup
			for _, c := range calls {
				wg.Go(func() { c.make(t, m) })
			}
			for range 60 {
				time.Sleep(time.Millisecond)
				synctest.Wait() // for all that happens at this instant
				if s := m.Stats(); s.Queued > 0 && s.Running < workers {
					t.Errorf("got %+v with %d workers, want none idle while documents wait", s, workers)
				}
			}
			wg.Wait()
			m.Close()
			if s := m.Stats(); s.Queued != 0 || s.Running != 0 || r.most > workers {
				t.Errorf("got %+v and %d runs at once at the end, want nothing left and at most %d", s, r.most, workers)
			}
		})
		if t.Failed() {
			rt.Fatalf("failed with %+v", calls)
		}
	})
}

// make carries the call out, and checks what it got.
func (c call) make(t *testing.T, m *schedule.Model) {
	time.Sleep(time.Duration(c.starts) * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	limit := time.Hour
	if c.leaves > 0 {
		limit = time.Duration(c.leaves) * time.Millisecond
		defer time.AfterFunc(limit, cancel).Stop()
	}
	if c.budget > 0 {
		budget := time.Duration(c.budget) * time.Millisecond
		limit = min(limit, budget)
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, budget)
		defer stop()
	}
	docs := make([]string, len(c.lengths))
	for i, n := range c.lengths {
		docs[i] = strings.Repeat("x", n)
	}
	start := time.Now()
	scores, err := m.Score(ctx, "q", docs)
	took := time.Since(start)
	switch {
	case took > limit:
		t.Errorf("got an answer to %+v after %v, want it within %v", c, took, limit)
	case errors.Is(err, rerank.ErrBusy):
		if took != 0 {
			t.Errorf("got %v for %+v after %v, want it at once", err, c, took)
		}
	case err != nil:
		if c.leaves == 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v for %+v, want scores", err, c)
		}
	case len(scores) < len(docs) && c.budget == 0:
		t.Errorf("got %d scores for %+v, want all", len(scores), c)
	}
	for i, score := range scores {
		if int(score) != c.lengths[i] {
			t.Errorf("got score %v for document %d of %+v, want %d", score, i, c, c.lengths[i])
		}
	}
}

// Many callers at once, with deadlines and departures in real time: for the race detector.
func TestModelUnderLoad(t *testing.T) {
	r := &runner{fixed: 50 * time.Microsecond}
	m := schedule.New(r, schedule.Options{Workers: 4, Queue: 200})
	var wg sync.WaitGroup
	for caller := range 16 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(caller)))
			for range 30 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(5000))*time.Microsecond)
				if random.IntN(4) == 0 {
					time.AfterFunc(time.Duration(random.IntN(2000))*time.Microsecond, cancel)
				}
				docs := named("a", random.IntN(30))
				scores, err := m.Score(ctx, "q", docs)
				cancel()
				if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, rerank.ErrBusy) {
					t.Errorf("got %v, want scores, a cancellation or %v", err, rerank.ErrBusy)
				}
				for i, score := range scores {
					if int(score) != len(docs[i]) {
						t.Errorf("got score %v for %q, want %d", score, docs[i], len(docs[i]))
					}
				}
			}
		})
	}
	wg.Wait()
	m.Close()
	if s := m.Stats(); s.Queued != 0 || s.Running != 0 || s.Scored == 0 {
		t.Errorf("got %+v, want something scored and nothing left", s)
	}
}
