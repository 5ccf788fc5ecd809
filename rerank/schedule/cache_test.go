package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// What was scored once is not scored again, and what was tokenised is not tokenised again.
func TestRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: time.Millisecond}
		c := schedule.NewCaches(1<<20, 1<<20)
		m := schedule.New(r, schedule.Options{Workers: 1, Caches: c, Identity: "one"})
		defer m.Close()
		docs := named("a", 20)
		first, err := m.Score(t.Context(), "q", docs)
		if err != nil {
			t.Fatal(err)
		}
		r.log, r.tokens = nil, nil
		start := time.Now()
		again, err := m.Score(t.Context(), "q", docs)
		if err != nil || !slices.Equal(again, first) || len(r.log) != 0 || time.Since(start) != 0 {
			t.Errorf("got %v, %v after %v and the runs %q, want %v at once", again, err, time.Since(start), r.log, first)
		}
		if _, err := m.Score(t.Context(), "another", docs); err != nil || len(r.log) != 20 {
			t.Errorf("got %d runs, %v for another query, want 20", len(r.log), err)
		}
		if got := strings.Join(r.tokens, " "); got != "another" {
			t.Errorf("got %q tokenised for another query, want the query alone", got)
		}
		r.log = nil
		mixed := append(named("b", 2), docs...)
		scores, err := m.Score(t.Context(), "q", mixed)
		if err != nil || len(scores) != 22 || strings.Join(r.log, " ") != "b1 b2" {
			t.Errorf("got %v, %v and the runs %q, want those of the new documents", scores, err, r.log)
		}
		for i, score := range scores {
			if int(score) != len(mixed[i]) {
				t.Errorf("got %v for %q, want %d", score, mixed[i], len(mixed[i]))
			}
		}
		if s := m.Stats(); s.Remembered != 40 || s.Scored != 42 {
			t.Errorf("got %+v, want 40 documents remembered and 42 scored", s)
		}
		if s := c.Scores(); s.Hits != 40 || s.Misses != 42 || s.Bytes == 0 {
			t.Errorf("got %+v of scores, want 40 hits and 42 misses", s)
		}
		// Tokens: 20 found under the other query, and "q" under the mixed one; missed were 20 and two documents, and two queries.
		if s := c.Tokens(); s.Hits != 21 || s.Misses != 24 || s.Bytes == 0 {
			t.Errorf("got %+v of tokens, want 21 hits and 24 misses", s)
		}
	})
}

// Models share tokens where their vocabulary is the same, and never scores.
func TestSharing(t *testing.T) {
	c := schedule.NewCaches(1<<20, 1<<20)
	small, large := &runner{}, &runner{}
	a := schedule.New(small, schedule.Options{Caches: c, Identity: "small"})
	defer a.Close()
	b := schedule.New(large, schedule.Options{Caches: c, Identity: "large"})
	defer b.Close()
	docs := named("a", 20)
	for _, m := range []*schedule.Model{a, b} {
		if scores, err := m.Score(t.Context(), "q", docs); len(scores) != 20 || err != nil {
			t.Fatalf("got %v, %v, want 20 scores", scores, err)
		}
	}
	if len(small.tokens) != 21 || len(large.tokens) != 0 || len(large.log) != 20 {
		t.Errorf("got %d and %d texts tokenised and %d runs of the second model, want 21, 0 and 20", len(small.tokens), len(large.tokens), len(large.log))
	}
}

// Where enough scores are remembered a search is answered though the queue is full, and though the model is broken.
func TestRememberedOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{fixed: 10 * time.Millisecond}
		m := schedule.New(r, schedule.Options{Workers: 1, Caches: schedule.NewCaches(1<<20, 1<<20), MinWindow: 5})
		defer m.Close()
		known := named("a", 6)
		if _, err := m.Score(t.Context(), "q", known); err != nil {
			t.Fatal(err)
		}
		go m.Score(t.Context(), "q", named("long", 30))
		synctest.Wait()
		scores, err := within(t, m, 9*time.Millisecond, "q", append(slices.Clone(known), named("b", 20)...))
		if len(scores) != 6 || err != nil {
			t.Errorf("got %v, %v behind a long queue, want the 6 that are remembered", scores, err)
		}
		if _, err := within(t, m, 9*time.Millisecond, "q", append(slices.Clone(known[:4]), named("b", 20)...)); !errors.Is(err, rerank.ErrBusy) {
			t.Errorf("got %v with 4 remembered, want %v", err, rerank.ErrBusy)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		r.fault = func(string) error { return errors.New("broken") }
		for range 3 {
			if _, err := m.Score(t.Context(), "q", named("c", 1)); err == nil {
				t.Error("got no error from a broken model")
			}
		}
		scores, err = m.Score(t.Context(), "q", append(slices.Clone(known), named("b", 20)...))
		if len(scores) != 6 || err != nil {
			t.Errorf("got %v, %v from a broken model, want the 6 that are remembered", scores, err)
		}
	})
}

// Nothing of a search that failed is remembered.
func TestFailuresAreNotRemembered(t *testing.T) {
	r := &runner{fault: func(text string) error {
		if text == "score a9" {
			return errors.New("broken")
		}
		return nil
	}}
	m := schedule.New(r, schedule.Options{Workers: 1, Caches: schedule.NewCaches(1<<20, 1<<20)})
	defer m.Close()
	for range 2 {
		r.log = nil
		if scores, err := m.Score(t.Context(), "q", named("a", 12)); err == nil || len(r.log) < 9 {
			t.Errorf("got %v, %v and %d runs, want a failure at the ninth", scores, err, len(r.log))
		}
	}
}

// However much is remembered, it stays within its limits: by the caches' own account, and by what the heap says.
func TestCachesAreBounded(t *testing.T) {
	const limit = 4 << 20
	c := schedule.NewCaches(limit, limit)
	m := schedule.New(letters{}, schedule.Options{Workers: 1, Caches: c})
	defer m.Close()
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	for i := range 300 {
		docs := make([]string, 200)
		for k := range docs {
			docs[k] = fmt.Sprintf("%d %d %s", i, k, strings.Repeat("x", k%90))
		}
		if _, err := m.Score(context.Background(), "q", docs); err != nil {
			t.Fatal(err)
		}
	}
	grown := int64(heap()) - int64(before)
	for _, s := range []schedule.CacheStats{c.Tokens(), c.Scores()} {
		if s.Bytes > limit || s.Bytes < limit/2 || s.Evictions == 0 || s.Limit != limit {
			t.Errorf("got %+v, want it full and within %d bytes", s, limit)
		}
	}
	if grown > 2*limit*11/10 {
		t.Errorf("got a heap that grew by %d bytes, want at most the two limits of %d, and a tenth", grown, limit)
	}
	c.Resize(limit/2, 0)
	if _, err := m.Score(context.Background(), "q", named("one more", 300)); err != nil {
		t.Fatal(err)
	}
	runtime.Gosched()
	deadline := time.Now().Add(5 * time.Second)
	for c.Tokens().Bytes > limit/2 || c.Scores().Bytes > 1 {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v and %+v after the limits were lowered, want half and none", c.Tokens(), c.Scores())
		}
		time.Sleep(time.Millisecond)
	}
}

// letters is a model whose tokens are bytes, and which keeps no log.
type letters struct{ instant }

func (letters) Tokenize(text string) ([]uint32, error) { return make([]uint32, len(text)), nil }

// foreigner is a model whose tokenizer knows no byte above "z".
type foreigner struct{ *runner }

func (foreigner) Unknown() (uint32, bool) { return 'z' + 1, true }

func (f foreigner) Tokenize(text string) ([]uint32, error) {
	ids, err := f.runner.Tokenize(text)
	for i := range ids {
		ids[i] = min(ids[i], 'z'+1)
	}
	return ids, err
}

// A query or a page of documents that the tokenizer does not know is left alone; some of it is not.
func TestLanguage(t *testing.T) {
	pages := func(foreign, known int) []string {
		docs := make([]string, 0, foreign+known)
		for i := range foreign {
			docs = append(docs, strings.Repeat("я", i+5))
		}
		return append(docs, named("known document ", known)...)
	}
	for _, test := range []struct {
		name  string
		query string
		docs  []string
		fails bool
	}{
		{"a known query and page", "shoes", pages(0, 20), false},
		{"a foreign query", "обувь", pages(0, 20), true},
		{"a query with a foreign word", "what does the word я mean", pages(0, 20), false},
		{"a foreign page", "shoes", pages(20, 0), true},
		{"a foreign page of few", "shoes", pages(3, 0), true},
		{"a page with two foreign hits", "shoes", pages(2, 18), false},
		{"foreign hits behind a known page", "shoes", append(pages(0, 20), pages(4, 0)...), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := schedule.New(foreigner{&runner{}}, schedule.Options{Workers: 1, Caches: schedule.NewCaches(1<<20, 1<<20)})
			defer m.Close()
			for range 5 { // the answer is the same each time: no breaker opens, and nothing comes back from a cache
				scores, err := m.Score(t.Context(), test.query, test.docs)
				if errors.Is(err, rerank.ErrLanguage) != test.fails || !test.fails && len(scores) != len(test.docs) {
					t.Fatalf("got %d scores, %v, want failure %v", len(scores), err, test.fails)
				}
			}
			if m.Stats().Broken {
				t.Error("the model is called broken")
			}
		})
	}
}

// Whoever says that any language will do is believed.
func TestAnyLanguage(t *testing.T) {
	m := schedule.New(foreigner{&runner{}}, schedule.Options{Workers: 1, AnyLanguage: true})
	defer m.Close()
	if scores, err := m.Score(t.Context(), "обувь", named("док", 20)); len(scores) != 20 || err != nil {
		t.Errorf("got %d scores, %v, want all", len(scores), err)
	}
}

// A text of which no model could see the end costs no more than its beginning.
func TestEndlessText(t *testing.T) {
	r := &runner{}
	m := schedule.New(r, schedule.Options{Workers: 1, Caches: schedule.NewCaches(1<<20, 1<<20)})
	defer m.Close()
	endless := strings.Repeat("ж", 25<<20)
	if _, err := m.Score(t.Context(), endless, []string{endless}); err != nil {
		t.Fatal(err)
	}
	for _, text := range r.tokens {
		if len(text) != 1<<20 {
			t.Errorf("got %d bytes tokenised, want a mebibyte", len(text))
		}
	}
}

// BenchmarkRemembered measures the same query again: 100 documents of 600 bytes whose scores are known.
func BenchmarkRemembered(b *testing.B) {
	m := schedule.New(letters{}, schedule.Options{Caches: schedule.NewCaches(64<<20, 32<<20)})
	defer m.Close()
	docs := make([]string, 100)
	for i := range docs {
		docs[i] = fmt.Sprintf("%d %s", i, strings.Repeat("six hundred ", 50))
	}
	for b.Loop() {
		if scores, err := m.Score(b.Context(), "what was asked before", docs); len(scores) != len(docs) || err != nil {
			b.Fatalf("got %v, %v, want %d scores", scores, err, len(docs))
		}
	}
}
