package schedule_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/rerank/schedule"
)

// closing is a runner that notes that it was closed.
type closing struct {
	*runner
	closed *atomic.Int32
}

func (c closing) Close() error { c.closed.Add(1); return nil }

// A model that fails three searches in a row is left alone, loaded anew, and used again.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var closed, opened atomic.Int32
		broken := func(text string) error { panic("ouch") }
		r := &runner{fault: broken, fixed: time.Millisecond}
		fresh := &runner{fixed: time.Millisecond}
		m := schedule.New(closing{r, &closed}, schedule.Options{
			Workers: 2,
			Logger:  slog.New(slog.NewTextHandler(&log, nil)),
			Reopen: func(context.Context) (schedule.Runner, error) {
				opened.Add(1)
				time.Sleep(2 * time.Second)
				return closing{fresh, &closed}, nil
			},
		})
		score := func() error {
			_, err := m.Score(t.Context(), "q", named("a", 12))
			return err
		}
		for range 3 {
			if err := score(); err == nil || !strings.Contains(err.Error(), "panic: ouch") {
				t.Fatalf("got %v, want the panic", err)
			}
		}
		runs := len(r.tokens)
		if err := score(); err == nil || !strings.Contains(err.Error(), "panic: ouch") || len(r.tokens) != runs {
			t.Errorf("got %v and %d more texts tokenised, want a refusal that gives the cause, at once", err, len(r.tokens)-runs)
		}
		if !m.Stats().Broken {
			t.Error("the model is not called broken")
		}
		time.Sleep(3 * time.Second)
		if opened.Load() != 1 || closed.Load() != 1 {
			t.Errorf("got it loaded %d times and %d closed, want once each", opened.Load(), closed.Load())
		}
		if err := score(); err == nil {
			t.Error("got scores while the model rests")
		}
		time.Sleep(3 * time.Second)
		if err := score(); err != nil || m.Stats().Broken || len(fresh.log) == 0 {
			t.Errorf("got %v after the rest, want scores from the model that was loaded anew", err)
		}
		m.Close()
		m.Close()
		if closed.Load() != 2 {
			t.Errorf("got %d closed at the end, want both, once", closed.Load())
		}
		for _, want := range []string{"the model fails and is left alone", "the model was loaded anew", "the model works again"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("got no %q in the log:\n%s", want, &log)
			}
		}
	})
}

// A model that cannot be loaded anew, or does not work when it is, is tried again after each rest.
func TestBreakerStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fault: func(text string) error { return errors.New("no such operator") }}
		var closed, opened atomic.Int32
		m := schedule.New(closing{r, &closed}, schedule.Options{
			Workers: 1,
			Reopen: func(context.Context) (schedule.Runner, error) {
				if opened.Add(1)%2 == 0 {
					panic("no memory")
				}
				return closing{r, &closed}, nil // as broken as before
			},
		})
		for range 100 {
			if _, err := m.Score(t.Context(), "q", named("a", 1)); err == nil || !strings.Contains(err.Error(), "no such operator") {
				t.Fatalf("got %v, want the cause", err)
			}
			time.Sleep(time.Second)
		}
		if n := opened.Load(); n < 10 || n > 25 {
			t.Errorf("got it loaded %d times in 100 s, want about once in each rest", n)
		}
		m.Close()
		if closed.Load() != (opened.Load()+1)/2+1 {
			t.Errorf("got %d closed, want each that was opened and the first", closed.Load())
		}
	})
}

// One bad text is no reason to leave a model alone.
func TestBreakerForgets(t *testing.T) {
	r := &runner{fault: func(text string) error {
		if strings.HasPrefix(text, "score bad") {
			return errors.New("broken")
		}
		return nil
	}}
	m := schedule.New(r, schedule.Options{Workers: 1})
	defer m.Close()
	for range 10 {
		for range 2 {
			if _, err := m.Score(t.Context(), "q", named("bad", 1)); err == nil {
				t.Error("got no error for a bad text")
			}
		}
		if _, err := m.Score(t.Context(), "q", named("good", 3)); err != nil {
			t.Errorf("got %v, want scores", err)
		}
	}
}

// Closing gives up what is being loaded.
func TestCloseWhileLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := schedule.New(&runner{fault: func(string) error { return errors.New("broken") }}, schedule.Options{
			Workers: 1,
			Reopen: func(ctx context.Context) (schedule.Runner, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		for range 3 {
			_, _ = m.Score(t.Context(), "q", named("a", 1))
		}
		synctest.Wait()
		m.Close()
	})
}
