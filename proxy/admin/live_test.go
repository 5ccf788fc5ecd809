package admin

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

func applied(at time.Time, words string) Search {
	return Search{
		Time: at, Endpoint: "_search", Search: 1, Searches: 1, Indices: "shop", Rule: "default", Words: words, Status: 200, Outcome: "applied",
		Window: 40, Scored: 38, Hits: 10, Moved: 7, Climb: 12,
		Cluster: 20 * time.Millisecond, Widening: 100 * time.Microsecond, Ranking: 200 * time.Millisecond, Splicing: time.Millisecond, Total: 222 * time.Millisecond,
	}
}

func everything(*Search) bool { return true }

func TestLiveKeepsTheLast(t *testing.T) {
	l := new(Live)
	at := time.Now()
	for i := range recentSearches + 5 {
		l.Observe(applied(at, fmt.Sprint("query ", i+1)))
	}
	got, last := l.since(0, 2*recentSearches, everything)
	if len(got) != recentSearches || last != recentSearches+5 {
		t.Fatalf("got %d searches, the last %d; want %d, the last %d", len(got), last, recentSearches, recentSearches+5)
	}
	if got[0].Words != "query 1005" || got[0].Seq != 1005 || got[len(got)-1].Words != "query 6" {
		t.Errorf("got %q … %q, want the newest first and the oldest gone", got[0].Words, got[len(got)-1].Words)
	}
	if got, _ := l.since(1003, 100, everything); len(got) != 2 {
		t.Errorf("got %d searches after 1003, want 2", len(got))
	}
	if got, _ := l.since(0, 3, func(s *Search) bool { return s.Seq%2 == 0 }); len(got) != 3 || got[0].Seq != 1004 || got[2].Seq != 1000 {
		t.Errorf("got %+v, want three even ones", got)
	}
	l.ForgetWords()
	if got, _ := l.since(0, 1, everything); got[0].Words != "" {
		t.Errorf("got %q, want it forgotten", got[0].Words)
	}
}

// What is kept is bounded, whatever is said: in number, and each text in bytes.
func TestLiveIsBounded(t *testing.T) {
	l := new(Live)
	long := strings.Repeat("é", 10_000)
	s := applied(time.Now(), long)
	s.Detail, s.Indices = long, long
	l.Observe(s)
	got, _ := l.since(0, 1, everything)
	for _, text := range []string{got[0].Words, got[0].Detail, got[0].Indices} {
		if len(text) > maxText+len("…") || !strings.HasSuffix(text, "é…") {
			t.Errorf("got %d bytes: %q", len(text), text)
		}
	}
	if unsafe.Sizeof(*l) > 2<<20 {
		t.Errorf("it takes %d bytes", unsafe.Sizeof(*l))
	}
}

// A quantile of the histogram is within a bin of the true one.
func TestQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Float64Range(0.2, 50_000), 1, 200).Draw(t, "ms")
		share := rapid.SampledFrom([]float64{0.5, 0.95, 1}).Draw(t, "share")
		var h histogram
		for _, ms := range times {
			h[binOf(time.Duration(ms*float64(time.Millisecond)))]++
		}
		slices.Sort(times)
		want := times[int(math.Ceil(share*float64(len(times))))-1]
		if got := h.quantile(share); math.Abs(got/want-1) > 0.05 {
			t.Fatalf("got %v of %v, want %v within 5 %%", got, times, want)
		}
	})
	var h histogram
	if got := h.quantile(0.5); !math.IsNaN(got) {
		t.Errorf("got %v of nothing, want NaN", got)
	}
	for _, d := range []time.Duration{-time.Second, 0, time.Nanosecond, time.Hour, math.MaxInt64} {
		h[binOf(d)]++ // no time is beyond the bins
	}
}

func TestLiveBuckets(t *testing.T) {
	l := new(Live)
	at := time.Unix(1_800_000_000, 0) // a span begins
	for range 10 {
		l.Observe(applied(at, ""))
	}
	skipped := applied(at.Add(bucketSpan), "")
	skipped.Outcome, skipped.Ranking, skipped.Widening, skipped.Splicing = "skipped", 0, 0, 0
	second := skipped
	second.Search, second.Searches = 2, 2 // of the same request, whose time counts once
	l.Observe(skipped)
	l.Observe(second)
	b := l.between(at.Add(-bucketSpan), at.Add(2*bucketSpan))
	if len(b) != 4 || b[0].count() != 0 || b[1].applied != 10 || b[2].skipped != 2 || b[3].count() != 0 {
		t.Fatalf("got %d buckets with %d, %d applied, %d skipped", len(b), b[0].count(), b[1].applied, b[2].skipped)
	}
	if b[2].cluster.count() != 1 || b[2].added.count() != 0 || b[1].added.count() != 10 {
		t.Errorf("got %d cluster times and %d, %d of ranking; want 1, 0, 10", b[2].cluster.count(), b[2].added.count(), b[1].added.count())
	}
	// An hour later the place is another's.
	l.Observe(applied(at.Add(time.Hour), ""))
	if b := l.between(at, at); len(b) != 1 || b[0].count() != 0 {
		t.Errorf("got %d of an hour ago, want it gone", b[0].count())
	}
	l.Observe(applied(at, "")) // of a clock that was set back
	if b := l.between(at.Add(time.Hour), at.Add(time.Hour)); b[0].applied != 1 {
		t.Errorf("got %d, want what a clock that was set back says left out", b[0].applied)
	}
	if got := len(l.between(at.Add(-48*time.Hour), at)); got != bucketsKept {
		t.Errorf("got %d buckets of two days, want the %d of an hour", got, bucketsKept)
	}
}

func TestLivePage(t *testing.T) {
	l := new(Live)
	words := true
	h := New(Options{Program: fakeProgram{}, Live: l, Words: func() bool { return words }, Comparer: &fakeComparer{}})
	expect(t, ask(t, h, "GET", "/live", "").Body.String(), "No search has come yet.")
	s := applied(time.Now(), `<b>red</b> shoes`)
	l.Observe(s)
	sorted := applied(time.Now(), "boots")
	sorted.Experiment, sorted.Variant = "small-vs-large", "large"
	sorted.Outcome, sorted.Reason, sorted.Detail, sorted.Moved, sorted.Climb, sorted.Ranking = "skipped", "sort", "by price", 0, 0, 0
	l.Observe(sorted)

	page := ask(t, h, "GET", "/live", "").Body.String()
	expect(t, page, `&lt;b&gt;red&lt;/b&gt; shoes</a>`, `href="/compare?index=shop&amp;q=%3Cb%3Ered`, `7 <small>of 10</small>`, `▲ 12`, `38 <small>of 40</small>`,
		`<span title="by price">sort</span>`, `<b>222</b>`, `data-last="2"`)
	if strings.Index(page, "boots") > strings.Index(page, "shoes") {
		t.Error("the newest is not first")
	}
	page = ask(t, h, "GET", "/live?outcome=skipped&minutes=60", "").Body.String()
	if strings.Contains(page, "shoes") || !strings.Contains(page, "boots") {
		t.Errorf("of those skipped got %s", page)
	}
	expect(t, page, `data-feed="/live/feed?minutes=60&amp;outcome=skipped"`)
	expect(t, ask(t, h, "GET", "/live?q=SORT", "").Body.String(), "boots")
	expect(t, page, `<td>large <small>small-vs-large</small></td>`)
	if page := ask(t, h, "GET", "/live?q=large", "").Body.String(); strings.Contains(page, "shoes") || !strings.Contains(page, "boots") {
		t.Errorf("of a variant got %s", page)
	}
	expect(t, ask(t, h, "GET", "/live?q=nothing", "").Body.String(), "No search of late is like that.")
	expect(t, ask(t, h, "GET", "/live?minutes=x&outcome=x", "").Body.String(), "boots", "shoes")
	words = false
	expect(t, ask(t, h, "GET", "/live", "").Body.String(), "What was searched for is not kept")
	if w := ask(t, h, "GET", "/live", "", "Host", "evil.example"); w.Code != 421 {
		t.Errorf("under another name: got %d", w.Code)
	}
}

func TestFeed(t *testing.T) {
	l := new(Live)
	h := New(Options{Program: fakeProgram{}, Live: l})
	at := time.Now().Add(-2 * bucketSpan)
	for range 5 {
		l.Observe(applied(at, "shoes"))
	}
	var got struct {
		Last   uint64
		Rows   string
		Spans  string
		Times  []int64
		Series map[string][]*float64
	}
	w := ask(t, h, "GET", "/live/feed?minutes=5&after=3", "")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if got.Last != 5 || strings.Count(got.Rows, "<tr") != 2 || strings.Count(got.Spans, "<tr") != 3 {
		t.Errorf("got the last %d, rows %q, spans %q; want 5, two, three", got.Last, got.Rows, got.Spans)
	}
	if len(got.Times) != 60 || len(got.Series) != 7 {
		t.Fatalf("got %d times and %d series, want 60 and 7", len(got.Times), len(got.Series))
	}
	for name, values := range got.Series {
		if len(values) != len(got.Times) {
			t.Errorf("%s has %d values for %d times", name, len(values), len(got.Times))
		}
	}
	i := slices.Index(got.Times, at.Unix()/5*5)
	if i < 0 {
		t.Fatalf("got no time %d among %v", at.Unix()/5*5, got.Times)
	}
	if v := got.Series["applied"][i]; v == nil || *v != 1 {
		t.Errorf("got %v a second, want 1", v)
	}
	if v := got.Series["cluster50"][i]; v == nil || math.Abs(*v/20-1) > 0.05 {
		t.Errorf("got a median of %v ms, want 20", v)
	}
	if v := got.Series["added95"][0]; v != nil {
		t.Errorf("got %v where there were none, want null", *v)
	}
	w = ask(t, h, "GET", fmt.Sprintf("/live/feed?minutes=5&after=5&since=%d", got.Times[58]), "")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Rows != "" || len(got.Times) > 3 {
		t.Errorf("got %d times and rows %q, want the last times and none: %v", len(got.Times), got.Rows, err)
	}
}

func TestLiveConcurrently(t *testing.T) {
	l := new(Live)
	h := New(Options{Program: fakeProgram{}, Live: l})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 200 {
				l.Observe(applied(time.Now(), fmt.Sprint(i)))
			}
		})
		group.Go(func() {
			for range 10 {
				ask(t, h, "GET", "/live/feed", "")
				l.ForgetWords()
			}
		})
	}
	group.Wait()
	if _, last := l.since(0, 1, everything); last != 800 {
		t.Errorf("got %d, want 800", last)
	}
}

func BenchmarkObserve(b *testing.B) {
	l := new(Live)
	s := applied(time.Now(), "red shoes for running in the rain")
	for b.Loop() {
		l.Observe(s)
	}
}
