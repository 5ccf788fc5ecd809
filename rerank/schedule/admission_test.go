package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// within scores docs in the time given.
func within(t *testing.T, m *schedule.Model, budget time.Duration, query string, docs []string) ([]float32, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), budget)
	defer cancel()
	start := time.Now()
	scores, err := m.Score(ctx, query, docs)
	if took := time.Since(start); took > budget {
		t.Errorf("got an answer to %q after %v, want it within %v", query, took, budget)
	}
	return scores, err
}

// The example that the admission is explained with.
func TestPromise(t *testing.T) {
	for _, test := range []struct {
		floor int
		want  int // scores; 0: refused
	}{{5, 8}, {8, 8}, {9, 0}} {
		t.Run(fmt.Sprintf("floor of %d", test.floor), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &runner{fixed: 10 * time.Millisecond}
				m := schedule.New(r, schedule.Options{Workers: 1, MinWindow: test.floor})
				defer m.Close()
				if _, err := m.Warm(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.log = nil
				var wg sync.WaitGroup
				for _, docs := range [][]string{named("a", 4), named("b", 8), named("c", 1)} {
					wg.Go(func() {
						if scores, err := m.Score(t.Context(), "q", docs); len(scores) != len(docs) || err != nil {
							t.Errorf("got %v, %v, want %d scores", scores, err, len(docs))
						}
					})
					synctest.Wait() // a1 runs, the others wait
				}
				time.Sleep(10*time.Millisecond - time.Nanosecond) // a1 is all but done
				wg.Go(func() {
					// The run under way is taken to be half done, 5 ms more than the example has.
					scores, err := within(t, m, 205*time.Millisecond, "q", named("d", 50))
					if len(scores) != test.want || errors.Is(err, rerank.ErrBusy) != (test.want == 0) {
						t.Errorf("got %d scores, %v, want %d", len(scores), err, test.want)
					}
				})
				wg.Wait()
				synctest.Wait()
				if s := m.Stats(); int(s.Refused) != 50-test.want || s.Dropped != 0 {
					t.Errorf("got %+v, want %d documents refused, and none dropped that was promised", s, 50-test.want)
				}
			})
		})
	}
}

// A search that has been promised its floor gets it, whatever comes after.
func TestPromisesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: 10 * time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 2, MinWindow: 5})
		defer m.Close()
		if _, err := m.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		answered, refused := 0, 0
		for i := range 100 {
			time.Sleep(3 * time.Millisecond) // a search, and the two workers do less than one of its documents
			wg.Go(func() {
				scores, err := within(t, m, 120*time.Millisecond, "q", named(fmt.Sprint("d", i, "-"), 30))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, rerank.ErrBusy):
					refused++
				case err != nil || len(scores) < 5:
					t.Errorf("got %d scores, %v from search %d, want the floor of 5 at least, or a refusal at the door", len(scores), err, i)
				default:
					answered++
				}
			})
		}
		wg.Wait()
		if answered < 8 || refused < 50 {
			t.Errorf("got %d answered and %d refused, want some 12: 60 documents' time in five and more each", answered, refused)
		}
		t.Logf("%d answered, %d refused, %+v", answered, refused, m.Stats())
	})
}

// At ten times what the model can do, the workers do what they can: what is refused costs them nothing, and hardly a run is in vain.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: 2 * time.Millisecond, perToken: 50 * time.Microsecond}
		m := schedule.New(r, schedule.Options{Workers: 2})
		defer m.Close()
		if _, err := m.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		docs := make([]string, 50)
		for i := range docs {
			docs[i] = strings.Repeat("x", 20+i*67%150)
		}
		const seconds = 5
		const load = 10
		before := m.Stats()
		var wg sync.WaitGroup
		every := 350 * time.Millisecond / 2 / load // 50 documents of 7 ms, and two workers
		for range int(seconds * time.Second / every) {
			wg.Go(func() {
				if scores, err := within(t, m, 300*time.Millisecond, "q", docs); err == nil && len(scores) < 10 {
					t.Errorf("got %d scores, want 10 at least or a refusal", len(scores))
				} else if err != nil && !errors.Is(err, rerank.ErrBusy) {
					t.Error(err)
				}
			})
			time.Sleep(every)
		}
		after := m.Stats()
		useful := time.Duration(after.Scored-before.Scored)*r.fixed + time.Duration(after.Tokens-before.Tokens)*r.perToken
		if share := useful.Seconds() / (2 * seconds); share < 0.9 {
			t.Errorf("got %.0f %% of the workers' time spent on runs that gave a score, want 90 at least", 100*share)
		}
		wg.Wait()
	})
}

// An estimate counts what is queued before, and what is remembered as nothing.
func TestEstimate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: 10 * time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 1, Caches: schedule.NewCaches(1<<20, 1<<20)})
		defer m.Close()
		docs := named("a", 10)
		if got := m.Estimate("q", docs); got != 0 {
			t.Errorf("got %v before anything was measured, want 0", got)
		}
		if _, err := m.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := m.Estimate("q", docs), 100*time.Millisecond; got != want {
			t.Errorf("got %v on an idle model, want %v", got, want)
		}
		go m.Score(t.Context(), "q", named("b", 6))
		synctest.Wait() // one runs, five wait
		if got, want := m.Estimate("q", docs), 155*time.Millisecond; got != want {
			t.Errorf("got %v behind five and a half documents, want %v", got, want)
		}
		time.Sleep(time.Second)
		if _, err := m.Score(t.Context(), "q", docs[:9]); err != nil {
			t.Fatal(err)
		}
		if got, want := m.Estimate("q", docs), 10*time.Millisecond; got != want {
			t.Errorf("got %v with nine remembered, want %v", got, want)
		}
		if got := m.Estimate("q", docs[:9]); got != time.Nanosecond {
			t.Errorf("got %v with all remembered, want next to nothing, and not what means that nothing is known", got)
		}
	})
}

// What would be refused at the door is known before there are documents, but for a query of which something is remembered.
func TestAdmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: 10 * time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 1, MinWindow: 5, Caches: schedule.NewCaches(1<<20, 1<<20)})
		defer m.Close()
		if _, err := m.Score(t.Context(), "known", named("a", 6)); err != nil {
			t.Fatal(err)
		}
		if err := m.Admits("new", time.Millisecond); err != nil {
			t.Errorf("got %v from an idle model, want nothing", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go m.Score(ctx, "q", named("long", 30))
		synctest.Wait()
		if err := m.Admits("new", 99*time.Millisecond); !errors.Is(err, rerank.ErrBusy) {
			t.Errorf("got %v where five documents need 105 ms, want %v", err, rerank.ErrBusy)
		}
		if err := m.Admits("new", 110*time.Millisecond); err != nil {
			t.Errorf("got %v where five documents have 110 ms, want nothing", err)
		}
		if err := m.Admits("known", 99*time.Millisecond); err != nil {
			t.Errorf("got %v for a query of which scores are remembered, want nothing", err)
		}
		cancel()
		synctest.Wait()
		r.fault = func(string) error { return errors.New("broken") }
		for range 3 {
			_, _ = m.Score(t.Context(), "q", named("b", 1))
		}
		if err := m.Admits("new", time.Hour); err == nil || errors.Is(err, rerank.ErrBusy) {
			t.Errorf("got %v from a broken model, want what broke it", err)
		}
	})
}
