package schedule_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/schedule"
	"pgregory.net/rapid"
)

func documents(n, length int) []string {
	docs := make([]string, n)
	for i := range docs {
		docs[i] = strings.Repeat("x", length+i)
	}
	return docs
}

// Alone, a search in the background is scored as any other.
func TestBackgroundAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := schedule.New(&runner{perToken: time.Millisecond}, schedule.Options{Workers: 2})
		defer m.Close()
		scores, err := m.Score(rerank.InBackground(t.Context()), "q", documents(20, 3))
		if err != nil || len(scores) != 20 {
			t.Errorf("got %d scores and %v, want all 20", len(scores), err)
		}
	})
}

// What is in the background is refused where others are under way, and gone when another comes.
func TestBackgroundGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{perToken: time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 2})
		defer m.Close()
		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() {
			_, err := m.Score(rerank.InBackground(t.Context()), "q", documents(100, 9))
			if took := time.Since(start); !errors.Is(err, rerank.ErrBusy) || took != 55*time.Millisecond {
				t.Errorf("got %v after %v, want it to have given way after 55ms", err, took)
			}
		})
		time.Sleep(55 * time.Millisecond)
		if err := m.Admits("other", time.Millisecond); err != nil {
			t.Errorf("a search is turned away because of one that nobody waits for: %v", err)
		}
		wg.Go(func() {
			scores, err := m.Score(t.Context(), "other", documents(20, 3))
			if err != nil || len(scores) != 20 {
				t.Errorf("got %d scores and %v, want all", len(scores), err)
			}
		})
		time.Sleep(time.Millisecond)
		if _, err := m.Score(rerank.InBackground(t.Context()), "third", documents(20, 3)); !errors.Is(err, rerank.ErrBusy) {
			t.Errorf("got %v beside another search, want it refused", err)
		}
		wg.Wait()
	})
}

// Whatever there is in the background, other searches have their scores when they would have them without it. (These have no deadline: what
// fits before one follows from what runs took lately, of which those in the background are some.)
func TestBackgroundIsNotFelt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		workers := rapid.IntRange(1, 3).Draw(rt, "workers")
		calls := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) call {
			return call{
				starts:  rapid.IntRange(0, 60).Draw(t, "starts"),
				lengths: rapid.SliceOfN(rapid.IntRange(0, 9), 1, 15).Draw(t, "lengths"),
			}
		}), 1, 6).Draw(rt, "calls")
		shadows := rapid.SliceOfN(rapid.IntRange(0, 60), 1, 5).Draw(rt, "shadows")
		type outcome struct {
			scored int
			busy   bool
			took   time.Duration
		}
		run := func(shadows []int) []outcome {
			got := make([]outcome, len(calls))
			synctest.Test(t, func(t *testing.T) {
				m := schedule.New(&runner{perToken: time.Millisecond}, schedule.Options{Workers: workers})
				if _, err := m.Warm(t.Context()); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				for i, c := range calls {
					wg.Go(func() {
						time.Sleep(time.Duration(c.starts)*time.Millisecond + time.Duration(i)*time.Microsecond) // never two at one instant
						docs := make([]string, len(c.lengths))
						for k, n := range c.lengths {
							docs[k] = strings.Repeat("x", n)
						}
						start := time.Now()
						scores, err := m.Score(t.Context(), "q", docs)
						got[i] = outcome{len(scores), errors.Is(err, rerank.ErrBusy), time.Since(start)}
					})
				}
				for i, at := range shadows {
					wg.Go(func() {
						time.Sleep(time.Duration(at)*time.Millisecond + time.Duration(500+i)*time.Microsecond)
						m.Score(rerank.InBackground(t.Context()), "shadow", documents(30, 1))
					})
				}
				wg.Wait()
				m.Close()
			})
			return got
		}
		alone, beside := run(nil), run(shadows)
		for i := range calls {
			if alone[i] != beside[i] {
				rt.Errorf("call %d got %+v alone, and %+v beside searches in the background", i, alone[i], beside[i])
			}
		}
	})
}
