package schedule_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/rerank/schedule"
)

func TestCostWindow(t *testing.T) {
	small := schedule.Cost{Fixed: time.Millisecond, PerToken: 120 * time.Microsecond, Workers: 2} // 15.4 ms for 120 tokens
	for _, test := range []struct {
		name   string
		cost   schedule.Cost
		budget time.Duration
		tokens int
		want   int
	}{
		{"two cores", small, 300 * time.Millisecond, 120, 30}, // 15 on each in 240 ms
		{"no room for one", small, 15 * time.Millisecond, 120, 0},
		{"no budget", small, 0, 120, 0},
		{"a negative budget", small, -time.Second, 120, 0},
		{"not measured", schedule.Cost{}, time.Second, 120, 0},
		{"an endless budget", schedule.Cost{Fixed: time.Second, Workers: 1}, math.MaxInt64, 120, 7378697629},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.cost.Window(test.budget, test.tokens); got != test.want {
				t.Errorf("got %d documents, want %d", got, test.want)
			}
		})
	}
}

// truncating is a runner that has a longest input, as real models do.
type truncating struct {
	*runner
	longest int
}

func (r truncating) Tokens(query, doc []uint32) int { return min(len(query)+len(doc), r.longest) }

func (r truncating) Score(ctx context.Context, query, doc []uint32) (float32, error) {
	return r.runner.Score(ctx, query, doc[:r.Tokens(query, doc)-len(query)])
}

func TestWarmMeasures(t *testing.T) {
	for _, test := range []struct {
		name     string
		fixed    time.Duration
		perToken time.Duration
		longest  int
		want     schedule.Cost
	}{
		{"a line", 2 * time.Millisecond, 100 * time.Microsecond, 512, schedule.Cost{Fixed: 2 * time.Millisecond, PerToken: 100 * time.Microsecond, Workers: 3}},
		{"no fixed part", 0, 100 * time.Microsecond, 512, schedule.Cost{PerToken: 100 * time.Microsecond, Workers: 3}},
		{"a short model", 2 * time.Millisecond, 100 * time.Microsecond, 64, schedule.Cost{Fixed: 2 * time.Millisecond, PerToken: 100 * time.Microsecond, Workers: 3}},
		{"a model of one length", 2 * time.Millisecond, 100 * time.Microsecond, 24, schedule.Cost{Fixed: 4400 * time.Microsecond, Workers: 3}},
		{"a large model", time.Second, 10 * time.Millisecond, 512, schedule.Cost{Fixed: time.Second, PerToken: 10 * time.Millisecond, Workers: 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &runner{fixed: test.fixed, perToken: test.perToken}
				m := schedule.New(truncating{r, test.longest}, schedule.Options{Workers: 3})
				defer m.Close()
				if got := m.Cost(); got != (schedule.Cost{}) {
					t.Errorf("got cost %+v before, want none", got)
				}
				got, err := m.Warm(t.Context())
				if got != test.want || err != nil {
					t.Errorf("got %+v, %v, want %+v", got, err, test.want)
				}
				if m.Cost() != got {
					t.Errorf("got cost %+v after, want %+v", m.Cost(), got)
				}
				if r.most != 3 {
					t.Errorf("got %d runs at once, want all 3 workers busy", r.most)
				}
			})
		})
	}
}

// bent is a model with attention: its runs grow faster than their lengths.
type bent struct{ *runner }

func (b bent) took(tokens int) time.Duration {
	n := time.Duration(tokens)
	return n*80*time.Microsecond + n*n*200*time.Nanosecond // 40 % of a run of 256 is attention
}

func (b bent) Score(_ context.Context, query, doc []uint32) (float32, error) {
	time.Sleep(b.took(len(query) + len(doc)))
	return 0, nil
}

// The curve is found wherever documents are, the short ones included.
func TestWarmFollowsTheBend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bent{&runner{}}
		m := schedule.New(b, schedule.Options{Workers: 1})
		defer m.Close()
		cost, err := m.Warm(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if cost.Fixed < 0 || cost.PerToken < 0 {
			t.Errorf("got %+v, want nothing negative", cost)
		}
		for _, tokens := range []int{32, 64, 128, 256} {
			if got, want := cost.Document(tokens), b.took(tokens); got < want*99/100 || got > want*101/100 {
				t.Errorf("got %v for %d tokens, want %v give or take a hundredth", got, tokens, want)
			}
		}
	})
}

// interrupted is a model on a machine where something else has its turn at every third run, and the whole first round.
type interrupted struct {
	*runner
	runs *int
}

func (i interrupted) Score(ctx context.Context, query, doc []uint32) (float32, error) {
	if *i.runs++; *i.runs%3 == 0 || *i.runs <= 4 {
		time.Sleep(50 * time.Millisecond)
	}
	return i.runner.Score(ctx, query, doc)
}

func TestWarmSeesThroughInterruptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := schedule.New(interrupted{&runner{fixed: time.Millisecond, perToken: 100 * time.Microsecond}, new(int)}, schedule.Options{Workers: 1})
		defer m.Close()
		got, err := m.Warm(t.Context())
		if want := (schedule.Cost{Fixed: time.Millisecond, PerToken: 100 * time.Microsecond, Workers: 1}); got != want || err != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestWarmFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault func(text string) error
		want  string
	}{
		{"tokenizer", func(string) error { return errors.New("no vocabulary") }, "warming: tokenizing: no vocabulary"},
		{"run", func(text string) error {
			if strings.HasPrefix(text, "score") {
				return errors.New("no such operator")
			}
			return nil
		}, "warming: no such operator"},
		{"panic", func(text string) error {
			if strings.HasPrefix(text, "score") {
				panic("ouch")
			}
			return nil
		}, "warming: panic: ouch"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := schedule.New(&runner{fault: test.fault}, schedule.Options{Workers: 2})
			defer m.Close()
			if cost, err := m.Warm(t.Context()); err == nil || err.Error() != test.want || cost != (schedule.Cost{}) {
				t.Errorf("got %+v, %v, want %s", cost, err, test.want)
			}
		})
	}
	t.Run("cancellation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := schedule.New(&runner{fixed: time.Minute}, schedule.Options{Workers: 2})
			defer m.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			if _, err := m.Warm(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("got %v after %v, want %v after 1s", err, time.Since(start), context.DeadlineExceeded)
			}
		})
	})
	t.Run("empty tokenizer", func(t *testing.T) {
		m := schedule.New(instant{}, schedule.Options{})
		defer m.Close()
		if _, err := m.Warm(t.Context()); err == nil {
			t.Error("got no error from a tokenizer without tokens")
		}
	})
	t.Run("not a number", func(t *testing.T) {
		m := schedule.New(lost{&runner{}}, schedule.Options{Workers: 1})
		defer m.Close()
		if _, err := m.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), "not a number") {
			t.Errorf("got %v, want a refusal of a score that is not a number", err)
		}
	})
}

// lost is a model whose weights have overflowed.
type lost struct{ *runner }

func (lost) Score(context.Context, []uint32, []uint32) (float32, error) {
	return float32(math.NaN()), nil
}

// A machine that becomes ten times slower is noticed though none of its runs ends in time; and when it recovers that is noticed too.
func TestCostFollowsTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 1})
		defer m.Close()
		if _, err := m.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.fixed = 10 * time.Millisecond
		for range 40 {
			if _, err := within(t, m, 5*time.Millisecond, "q", named("a", 3)); err != nil {
				t.Fatal(err)
			}
		}
		if got := m.Estimate("q", named("a", 1)); got < 4*time.Millisecond {
			t.Errorf("got an estimate of %v while runs of 10 ms are given up after 5, want about 5 ms", got)
		}
		synctest.Wait() // for the last run to be given up
		r.fixed = time.Millisecond
		if _, err := m.Score(t.Context(), "q", named("a", 30)); err != nil {
			t.Fatal(err)
		}
		if got := m.Estimate("q", named("a", 1)); got > 1200*time.Microsecond {
			t.Errorf("got an estimate of %v after thirty runs of 1 ms", got)
		}
	})
}

// What the warm-up got wrong, hundreds of runs put right, for lengths that come often and for those that are rare.
func TestCostLearnsTheShape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &flexible{runner: &runner{}, took: func(tokens int) time.Duration { return time.Duration(tokens) * 100 * time.Microsecond }}
		m := schedule.New(r, schedule.Options{Workers: 1})
		defer m.Close()
		if _, err := m.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.took = func(tokens int) time.Duration {
			n := time.Duration(tokens)
			return 3*time.Millisecond + n*50*time.Microsecond + n*n*150*time.Nanosecond
		}
		for i := range 100 {
			docs := make([]string, 30)
			for k := range docs {
				docs[k] = strings.Repeat("x", 20+(i*37+k*61)%200)
			}
			if _, err := m.Score(t.Context(), "q", docs); err != nil {
				t.Fatal(err)
			}
		}
		cost := m.Cost()
		for _, tokens := range []int{16, 32, 64, 128, 256, 448} {
			if got, want := cost.Document(tokens), r.took(tokens); got < want*80/100 || got > want*120/100 {
				t.Errorf("got %v for %d tokens, want %v give or take a fifth: %+v", got, tokens, want, cost)
			}
		}
	})
}

// flexible is a model whose runs take what the test says.
type flexible struct {
	*runner
	took func(tokens int) time.Duration
}

func (f *flexible) Score(_ context.Context, query, doc []uint32) (float32, error) {
	time.Sleep(f.took(len(query) + len(doc)))
	return 0, nil
}
