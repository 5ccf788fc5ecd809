package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/reranktest"
	"github.com/rerankd/rerankd/rerank/schedule"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A runner is a model whose tokens are bytes, whose runs take time, and whose scores are lengths. Its log is the order in which runs began.
type runner struct {
	fixed    time.Duration
	perToken time.Duration
	stubborn bool                    // does not abort its runs
	fault    func(text string) error // met by Tokenize and Score; may panic

	mu     sync.Mutex
	log    []string
	tokens []string // what was tokenised
	most   int      // runs at once
	inside int
}

func (r *runner) Vocabulary() string { return "bytes" }

func (r *runner) Tokenize(text string) ([]uint32, error) {
	r.mu.Lock()
	r.tokens = append(r.tokens, text)
	r.mu.Unlock()
	tokens := make([]uint32, len(text))
	for i := range tokens {
		tokens[i] = uint32(text[i])
	}
	if r.fault != nil {
		return tokens, r.fault("tokenize " + text)
	}
	return tokens, nil
}

func (r *runner) Score(ctx context.Context, query, doc []uint32) (float32, error) {
	text := make([]byte, len(doc))
	for i, t := range doc {
		text[i] = byte(t)
	}
	r.mu.Lock()
	r.log = append(r.log, string(text))
	r.inside++
	r.most = max(r.most, r.inside)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.inside--
		r.mu.Unlock()
	}()
	if took := r.fixed + r.perToken*time.Duration(len(query)+len(doc)); took > 0 {
		done := ctx.Done()
		if r.stubborn {
			done = nil
		}
		select {
		case <-time.After(took):
		case <-done:
			return 0, ctx.Err()
		}
	}
	if r.fault != nil {
		if err := r.fault("score " + string(text)); err != nil {
			return 0, err
		}
	}
	return float32(len(doc)), nil
}

// named returns n documents that bear the search's name: a1, a2, ...
func named(name string, n int) []string {
	docs := make([]string, n)
	for i := range docs {
		docs[i] = fmt.Sprint(name, i+1)
	}
	return docs
}

func TestModelIsAScorer(t *testing.T) {
	for _, workers := range []int{1, 2, 8} {
		m := schedule.New(&runner{}, schedule.Options{Workers: workers})
		defer m.Close()
		reranktest.TestScorer(t, m)
	}
}

// The worker takes one document of each search in turn, and each search's documents in rank order.
func TestFairTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 1})
		defer m.Close()
		var wg sync.WaitGroup
		for i, docs := range [][]string{named("a", 6), named("b", 3), named("c", 1)} {
			wg.Go(func() {
				time.Sleep(time.Duration(i)*time.Millisecond + time.Duration(i)*time.Microsecond) // b comes during a's second run, c during the third
				if scores, err := m.Score(t.Context(), "q", docs); len(scores) != len(docs) || err != nil {
					t.Errorf("got %v, %v, want %d scores", scores, err, len(docs))
				}
			})
		}
		wg.Wait()
		if got, want := strings.Join(r.log, " "), "a1 a2 a3 b1 a4 c1 b2 a5 b3 a6"; got != want {
			t.Errorf("got order %q, want %q", got, want)
		}
		if got := slices.Index(r.tokens, "q"); got != 0 || slices.Index(r.tokens[1:4], "q") >= 0 {
			t.Errorf("got %q tokenised, want each query once, before its first document", r.tokens)
		}
	})
}

// A long search goes on at one document a round, however many short ones keep coming; and a short one does not wait for the long one.
func TestNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := schedule.New(&runner{fixed: time.Millisecond}, schedule.Options{Workers: 1})
		defer m.Close()
		var wg sync.WaitGroup
		var done atomic.Bool
		wg.Go(func() {
			start := time.Now()
			if scores, err := m.Score(t.Context(), "q", named("long", 20)); len(scores) != 20 || err != nil {
				t.Errorf("got %v, %v, want 20 scores", scores, err)
			}
			done.Store(true)
			if took := time.Since(start); took > 50*time.Millisecond {
				t.Errorf("got the long search done after %v, want at most twice its 20 ms and a bit, at half of the worker", took)
			}
		})
		for i := 0; !done.Load(); i++ { // one comes each two milliseconds: half of what the worker can do
			time.Sleep(2 * time.Millisecond)
			wg.Go(func() {
				start := time.Now()
				if scores, err := m.Score(t.Context(), "q", named("short", 1)); len(scores) != 1 || err != nil {
					t.Errorf("got %v, %v, want a score", scores, err)
				}
				if took := time.Since(start); took > 3*time.Millisecond {
					t.Errorf("got short search %d done after %v, want at most a run under way, one of the long search, and its own", i, took)
				}
			})
		}
		wg.Wait()
	})
}

func TestAllWorkersWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 4})
		defer m.Close()
		start := time.Now()
		scores, err := m.Score(t.Context(), "q", named("a", 10))
		if len(scores) != 10 || err != nil || time.Since(start) != 3*time.Millisecond || r.most != 4 {
			t.Errorf("got %v, %v after %v with %d runs at once, want 10 scores after 3ms with 4", scores, err, time.Since(start), r.most)
		}
	})
}

// At the deadline the caller gets the prefix without a hole, at once, and what ran is aborted.
func TestDeadline(t *testing.T) {
	slow := strings.Repeat("x", 100)
	for _, test := range []struct {
		name    string
		runner  *runner
		workers int
		docs    []string
		want    int
		took    time.Duration
	}{
		{"one worker", &runner{fixed: 4 * time.Millisecond}, 1, named("a", 9), 2, 10 * time.Millisecond},
		{"a worker that will not stop", &runner{fixed: 4 * time.Millisecond, stubborn: true}, 1, named("a", 9), 2, 10 * time.Millisecond},
		{"a hole", &runner{perToken: time.Millisecond}, 2, []string{"a", slow, "c", "d"}, 1, 10 * time.Millisecond},
		{"a hole at the start", &runner{perToken: time.Millisecond}, 2, []string{slow, "b", "c"}, 0, 10 * time.Millisecond},
		{"nothing reached", &runner{fixed: time.Second}, 3, named("a", 9), 0, 10 * time.Millisecond},
		{"all reached", &runner{fixed: time.Millisecond}, 3, named("a", 9), 9, 3 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := schedule.New(test.runner, schedule.Options{Workers: test.workers})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				start := time.Now()
				scores, err := m.Score(ctx, "q", test.docs)
				if took := time.Since(start); len(scores) != test.want || err != nil || took != test.took {
					t.Errorf("got %d scores, error %v after %v, want %d after %v", len(scores), err, took, test.want, test.took)
				}
				for i, score := range scores {
					if int(score) != len(test.docs[i]) {
						t.Errorf("got score %v for document %d, want %d", score, i, len(test.docs[i]))
					}
				}
				m.Close()
				if stats := m.Stats(); stats.Queued != 0 || stats.Running != 0 || int(stats.Scored+stats.Dropped) != len(test.docs) {
					t.Errorf("got %+v, want all %d documents scored or dropped", stats, len(test.docs))
				}
				if took := time.Since(start); !test.runner.stubborn && took != test.took {
					t.Errorf("got the workers free after %v, want them aborted after %v", took, test.took)
				}
			})
		})
	}
}

// Once the cost is known, nothing begins that would end too late, and the caller does not wait for what cannot come.
func TestNothingBeginsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: 3 * time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 1})
		defer m.Close()
		if _, err := m.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.log = nil
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Millisecond)
		defer cancel()
		start := time.Now()
		scores, err := m.Score(ctx, "q", named("a", 9))
		if took := time.Since(start); len(scores) != 3 || err != nil || took != 9*time.Millisecond || len(r.log) != 3 {
			t.Errorf("got %d scores, error %v after %v with runs %q, want 3 runs and scores after 9ms", len(scores), err, took, r.log)
		}
	})
}

// A cost measured at a bad moment, ten times what runs take, is put right by the runs themselves: of the first search at least one
// document is scored, and soon as many as fit.
func TestCostMeasuredAtABadMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: 100 * time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 1})
		defer m.Close()
		if _, err := m.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.fixed = 10 * time.Millisecond
		scored := func() int {
			ctx, cancel := context.WithTimeout(t.Context(), 95*time.Millisecond) // less than one run is thought to take
			defer cancel()
			scores, err := m.Score(ctx, "q", named("d", 20))
			if err != nil {
				t.Fatal(err)
			}
			return len(scores)
		}
		if got := scored(); got < 1 {
			t.Errorf("got %d documents scored, want the first to begin whatever the cost says", got)
		}
		for range 20 {
			scored()
		}
		if got := scored(); got < 8 {
			t.Errorf("got %d documents scored, want at least 8 of 10 ms in 95 ms", got)
		}
	})
}

// The time that workers spend on tokenising reaches the report of the stage.
func TestTokenizingIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(text string) error {
			if strings.HasPrefix(text, "tokenize") {
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		m := schedule.New(&runner{fault: slow}, schedule.Options{Workers: 1})
		defer m.Close()
		ranker := rerank.Ranker{Stages: []rerank.Stage{{Model: "m", Scorer: m}}}
		got := ranker.Rank(t.Context(), "q", []rerank.Hit{{Text: "a", Score: 2}, {Text: "b", Score: 1}})
		if want := 3 * time.Millisecond; got.Stages[0].Tokenizing != want {
			t.Errorf("got %v of tokenising, want %v: the query once and two documents", got.Stages[0].Tokenizing, want)
		}
	})
}

// A search whose caller left is out of the queue at once: the next one has the worker to itself.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 1})
		defer m.Close()
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			scores, err := m.Score(ctx, "q", named("a", 100))
			if len(scores) != 0 {
				t.Errorf("got %v, want no scores for a caller who left", scores)
			}
			left <- err
		}()
		time.Sleep(2500 * time.Microsecond)
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		if stats := m.Stats(); stats.Queued != 0 {
			t.Errorf("got %d documents waiting, want none", stats.Queued)
		}
		start := time.Now()
		if scores, err := m.Score(t.Context(), "q", named("b", 1)); len(scores) != 1 || err != nil || time.Since(start) != time.Millisecond {
			t.Errorf("got %v, %v after %v, want a score after 1ms", scores, err, time.Since(start))
		}
		if got, want := strings.Join(r.log, " "), "a1 a2 a3 b1"; got != want {
			t.Errorf("got runs %q, want %q", got, want)
		}
	})
}

// It need not wait for a worker to find out.
func TestCancelWhileOthersWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := schedule.New(&runner{fixed: time.Second}, schedule.Options{Workers: 1})
		defer m.Close()
		go m.Score(t.Context(), "q", named("a", 1))
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		go m.Score(ctx, "q", named("b", 9))
		synctest.Wait()
		if s := m.Stats(); s.Queued != 9 {
			t.Errorf("got %+v, want 9 documents waiting", s)
		}
		cancel()
		synctest.Wait()
		if s := m.Stats(); s.Queued != 0 || s.Running != 1 || s.Dropped != 9 {
			t.Errorf("got %+v after the caller left, want none waiting while the other search runs", s)
		}
		time.Sleep(time.Second)
	})
}

func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: 10 * time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 1, Queue: 5})
		defer m.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			if scores, err := m.Score(t.Context(), "q", named("a", 7)); len(scores) != 7 || err != nil {
				t.Errorf("got %v, %v from an idle model, want 7 scores although the queue is for 5", scores, err)
			}
		})
		time.Sleep(25 * time.Millisecond) // a1 and a2 are done, a3 runs, four wait
		synctest.Wait()
		if _, err := m.Score(t.Context(), "q", named("b", 2)); !errors.Is(err, rerank.ErrBusy) {
			t.Errorf("got %v for two documents where one has room, want %v", err, rerank.ErrBusy)
		}
		short, cancel := context.WithTimeout(t.Context(), 9*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := m.Score(short, "q", named("b", 1)); !errors.Is(err, rerank.ErrBusy) || time.Since(start) != 0 {
			t.Errorf("got %v after %v behind a search with runs of 10 ms, want %v at once", err, time.Since(start), rerank.ErrBusy)
		}
		long, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if scores, err := m.Score(long, "q", named("b", 1)); len(scores) != 1 || err != nil {
			t.Errorf("got %v, %v with time enough, want a score", scores, err)
		}
		wg.Wait()
	})
}

// The estimate of the wait starts from the warm-up's long documents and follows what comes.
func TestBusyFollowsTheDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := schedule.New(&runner{perToken: time.Millisecond}, schedule.Options{Workers: 1})
		defer m.Close()
		if _, err := m.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		go m.Score(t.Context(), "", strings.Split(strings.Repeat("x", 100), "")) // runs of 1 ms
		synctest.Wait()
		score := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_, err := m.Score(ctx, "", []string{"x"})
			return err
		}
		if err := score(); !errors.Is(err, rerank.ErrBusy) {
			t.Errorf("got %v when documents are thought to take 128 ms, want %v", err, rerank.ErrBusy)
		}
		time.Sleep(50 * time.Millisecond)
		if err := score(); err != nil {
			t.Errorf("got %v when they were seen to take 1 ms, want a score", err)
		}
		time.Sleep(100 * time.Millisecond)
	})
}

// What breaks for one search breaks for that one only, and the worker lives on.
func TestFaults(t *testing.T) {
	broken := errors.New("broken")
	fails := func(text string) error { return broken }
	panics := func(text string) error { panic("ouch") }
	for _, test := range []struct {
		name  string
		at    string
		fault func(string) error
		want  string
	}{
		{"the query's tokens", "tokenize bad query", fails, "tokenizing the query: broken"},
		{"a document's tokens", "tokenize bad3", fails, "tokenizing document 3: broken"},
		{"a run", "score bad3", fails, "broken"},
		{"a panic over the query", "tokenize bad query", panics, "panic: ouch"},
		{"a panic over a document", "tokenize bad3", panics, "panic: ouch"},
		{"a panic in a run", "score bad3", panics, "panic: ouch"},
		{"a deadline that is not the search's", "score bad3", func(string) error { return context.DeadlineExceeded }, "deadline exceeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &runner{fixed: time.Millisecond, fault: func(text string) error {
					if text == test.at {
						return test.fault(text)
					}
					return nil
				}}
				m := schedule.New(r, schedule.Options{Workers: 2})
				defer m.Close()
				var wg sync.WaitGroup
				wg.Go(func() {
					scores, err := m.Score(t.Context(), "bad query", named("bad", 9))
					if err == nil || !strings.Contains(err.Error(), test.want) || len(scores) != 0 {
						t.Errorf("got %v, %v, want error %q", scores, err, test.want)
					}
				})
				wg.Go(func() {
					if scores, err := m.Score(t.Context(), "good query", named("good", 9)); len(scores) != 9 || err != nil {
						t.Errorf("got %v, %v for the search beside it, want 9 scores", scores, err)
					}
				})
				wg.Wait()
				if scores, err := m.Score(t.Context(), "good query", named("good", 9)); len(scores) != 9 || err != nil {
					t.Errorf("got %v, %v for the search after it, want 9 scores", scores, err)
				}
				synctest.Wait()
				if stats := m.Stats(); stats.Queued != 0 || stats.Running != 0 || stats.Scored+stats.Dropped != 27 {
					t.Errorf("got %+v, want all 27 documents scored or dropped", stats)
				}
			})
		})
	}
}

// A search that has failed keeps no worker: its other runs are aborted.
func TestFaultAbortsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := schedule.New(&runner{perToken: time.Millisecond, fault: func(text string) error {
			if text == "score b" {
				return errors.New("broken")
			}
			return nil
		}}, schedule.Options{Workers: 2})
		defer m.Close()
		start := time.Now()
		_, err := m.Score(t.Context(), "q", []string{strings.Repeat("a", 100), "b", "c"})
		synctest.Wait()
		if s := m.Stats(); err == nil || s.Running != 0 || s.Queued != 0 || time.Since(start) != 2*time.Millisecond {
			t.Errorf("got %v and %+v after %v, want an error and both workers free after 2ms", err, s, time.Since(start))
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := schedule.New(&runner{fixed: time.Millisecond}, schedule.Options{Workers: 1})
		go func() {
			if scores, err := m.Score(t.Context(), "q", named("a", 9)); err == nil {
				t.Errorf("got %v, want an error for a search that waits when the model closes", scores)
			}
		}()
		synctest.Wait()
		m.Close()
		if scores, err := m.Score(t.Context(), "q", named("b", 1)); err == nil {
			t.Errorf("got %v, want an error from a closed model", scores)
		}
		m.Close() // twice does no harm
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := schedule.New(&runner{fixed: time.Millisecond}, schedule.Options{Workers: 2})
		defer m.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Microsecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { m.Score(ctx, "q", named("a", 9)) })
		synctest.Wait()
		if got, want := m.Stats(), (schedule.Stats{Queued: 7, Running: 2}); got != want {
			t.Errorf("got %+v at the start, want %+v", got, want)
		}
		wg.Wait()
		synctest.Wait()
		if got, want := m.Stats(), (schedule.Stats{Scored: 2, Dropped: 7, Tokens: 6, Scoring: 3 * time.Millisecond}); got != want {
			t.Errorf("got %+v at the end, want %+v", got, want)
		}
	})
}

// BenchmarkModel measures what a document costs beside its run.
func BenchmarkModel(b *testing.B) {
	m := schedule.New(instant{}, schedule.Options{})
	defer m.Close()
	docs := named("a", 100)
	for b.Loop() {
		if scores, err := m.Score(b.Context(), "q", docs); len(scores) != len(docs) || err != nil {
			b.Fatalf("got %v, %v, want %d scores", scores, err, len(docs))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(docs)), "ns/document")
}

// instant is a model that takes no time.
type instant struct{}

func (instant) Vocabulary() string                                         { return "none" }
func (instant) Tokenize(string) ([]uint32, error)                          { return nil, nil }
func (instant) Score(context.Context, []uint32, []uint32) (float32, error) { return 0, nil }
