package main

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/rerank/eval"
)

// Whatever a user types, the search is JSON, and the words arrive as they were typed.
func TestSearchBodyHoldsAnyWords(t *testing.T) {
	templates := []string{
		`{"query": {"match": {"title": "{{query}}"}}, "size": 3}`,
		`{"query": {"match": {"title": "%SearchText%"}}}`,
		`{"query": {"match": {"title": "#$query##"}}, "note": "<&>"}`,
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.String().Draw(t, "words")
		if strings.ContainsAny(words, "{%#") {
			return // which might be a placeholder itself
		}
		size := rapid.IntRange(0, 20).Draw(t, "size")
		b, err := readSearchBody("f", []byte(rapid.SampledFrom(templates).Draw(t, "template")), size)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Query struct{ Match struct{ Title string } }
			Size  int
		}
		if err := json.Unmarshal(b.of(words, nil), &got); err != nil {
			t.Fatal(err)
		}
		if got.Query.Match.Title != strings.ToValidUTF8(words, "\ufffd") || size > 0 && (got.Size != size || b.size != size) {
			t.Errorf("got %+v, want the words %q, %d hits", got, words, size)
		}
	})
}

func TestSearchBodyFaults(t *testing.T) {
	for _, text := range []string{``, `{}`, `{"query": {{query}}}`, `{{query}}`, `"{{query}}"`, `{"a": "{{query}}", "size": 0}`, `{"a": "{{query}}", "size": "many"}`, `{"a": "{{query}}"`} {
		if b, err := readSearchBody("f", []byte(text), 0); err == nil {
			t.Errorf("%s: got %+v, want an error", text, b)
		}
	}
}

func TestParseArm(t *testing.T) {
	a, err := parseArm("window=20, model=./mine,fusion=replace,weight=0.5,budget=1s,index=i,name=mine")
	want := armSetting{rerank: "on", window: 20, index: "i", settings: armConfig{model: "./mine", fusion: "replace", weight: 0.5, budget: time.Second}}
	if err != nil || a.name != "mine" || a.armSetting != want {
		t.Errorf("got %+v (%v), want %+v", a, err, want)
	}
	for _, text := range []string{"", "of", "window=0", "window=x", "window", "weight=2", "weight=NaN", "budget=-1s", "budget=fast", "run=a,window=2", "run=a,model=b", "url=http://x,model=b", "name="} {
		if a, err := parseArm(text); err == nil {
			t.Errorf("%q: got %+v, want an error", text, a)
		}
	}
}

func TestArms(t *testing.T) {
	names := func(o evalOptions) (names []string) {
		arms, err := o.arms()
		if err != nil {
			return []string{err.Error()}
		}
		for _, a := range arms {
			names = append(names, a.name)
		}
		return names
	}
	for _, test := range []struct {
		o    evalOptions
		want []string
	}{
		{evalOptions{baseline: "off"}, []string{"off", "on"}},
		{evalOptions{baseline: "off", depth: []int{10, 20}}, []string{"off", "10", "20"}},
		{evalOptions{baseline: "on", against: []string{"weight=0.7,name=a", "fusion=replace"}}, []string{"on", "a", "fusion=replace"}},
		{evalOptions{baseline: "on"}, []string{`two ways to search are called "on"`}},
		{evalOptions{baseline: "off", depth: []int{0}}, []string{"there is no window of 0 hits"}},
		{evalOptions{baseline: "off", depth: []int{1}, against: []string{"on", "off"}}, []string{"--depth tries the windows of one way to search"}},
		{evalOptions{baseline: "off", url: "http://x", against: []string{"model=a"}}, []string{`"model=a" needs a rerankd of its own, and --url names one`}},
	} {
		if got := names(test.o); !slices.Equal(got, test.want) {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// What was asked before somebody had enough is printed, marked, and nothing stays behind.
func TestEvalInterrupted(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	asked := make(chan struct{}, 1)
	var searches atomic.Int32
	cluster := (&fakeCluster{indices: map[string][]string{"i": {`{"title":"red shoes"}`, `{"title":"boots"}`}}}).handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/_search") && searches.Add(1) > 4 {
			io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
			asked <- struct{}{}
			<-r.Context().Done()
			return
		}
		cluster.ServeHTTP(w, r)
	}))
	defer server.Close()
	queries := filepath.Join(t.TempDir(), "q.txt")
	if err := os.WriteFile(queries, []byte("red\nshoes\nboots\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said strings.Builder
	e := &environment{stdin: strings.NewReader(""), stdout: &out, stderr: &said, lookup: func(string) (string, bool) { return "", false }, open: openFake}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	go func() { <-asked; interrupt() }()
	code := e.run(ctx, []string{"eval", "--queries", queries, "--url", server.URL, "--index", "i", "--html", filepath.Join(t.TempDir(), "page.html")})
	if code != exitFailed || !strings.Contains(out.String(), "PARTIAL: interrupted after 2 of 3 queries") || !strings.Contains(said.String(), "interrupted: 2 of 3 queries were asked") {
		t.Errorf("got code %d and\n%s%s", code, out.String(), said.String())
	}
	if !strings.Contains(out.String(), "the answers have no X-Rerank header") { // a cluster's own do not
		t.Errorf("nothing is said of a URL without a rerankd:\n%s", out.String())
	}
}

// A search that fails counts as one without results, is told, and ends the command with an error; the others go on. Where all fail it is
// not the queries' fault.
func TestEvalOfFailingSearches(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cluster := (&fakeCluster{indices: map[string][]string{"i": {`{"title":"red shoes"}`}}}).handler()
	var every atomic.Bool
	var searches atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/_search") && (searches.Add(1) == 3 || every.Load()) {
			http.Error(w, `{"error":"no"}`, http.StatusBadRequest)
			return
		}
		cluster.ServeHTTP(w, r)
	}))
	defer server.Close()
	queries := filepath.Join(t.TempDir(), "q.txt")
	if err := os.WriteFile(queries, []byte(strings.Join(strings.Split("abcdefghijklmnop", ""), "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() (int, string) {
		var out strings.Builder
		e := &environment{stdin: strings.NewReader(""), stdout: &out, stderr: &out, lookup: func(string) (string, bool) { return "", false }, open: openFake}
		return e.run(t.Context(), []string{"eval", "--queries", queries, "--url", server.URL, "--index", "i", "--concurrency", "1"}), out.String()
	}
	if code, out := run(); code != exitFailed || !strings.Contains(out, "1 searches FAILED") || !strings.Contains(out, "16 queries in i") {
		t.Errorf("got code %d and\n%s", code, out)
	}
	every.Store(true)
	if code, out := run(); code != exitFailed || !strings.Contains(out, "20 searches in a row failed") {
		t.Errorf("got code %d and\n%s", code, out)
	}
}

func TestTimes(t *testing.T) {
	var took []time.Duration
	for i := range 100 {
		took = append(took, time.Duration(100-i)*time.Millisecond)
	}
	if got, want := *times(took), (timeReport{50, 95}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := times(nil); got != nil || got.Median() != "" {
		t.Errorf("got %+v of nothing", got)
	}
}

// A plot's axis holds every value between round ends, with a handful of ticks.
func TestAxis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-5000, 5000), 1, 20).Draw(t, "values")
		a := newAxis(0, 100, values...)
		for _, v := range values {
			if at := a.at(v); at < -0.01 || at > 100.01 || math.IsNaN(at) {
				t.Errorf("%v is at %v of an axis from %v to %v", v, at, a.low, a.high)
			}
		}
		if n := len(a.ticks("%g")); n < 2 || n > 12 {
			t.Errorf("%d ticks from %v to %v", n, a.low, a.high)
		}
	})
}

// The page says what is in the report, and takes what users typed for what it is.
func TestPageIsOfText(t *testing.T) {
	r := &evalReport{Asked: 1, Of: 1, Index: "i", Size: 10, Relevant: 1, Format: "trec", measures: []eval.Measure{{Kind: eval.NDCG, K: 10}}}
	r.Arms = []armReport{{Name: "off", Means: map[string]float64{"ndcg@10": 1}}, {Name: "<on>", Means: map[string]float64{"ndcg@10": 0}}}
	r.Queries = []queryReport{{Query: eval.Query{ID: "1", Text: "<script>alert(1)</script>"}, Values: map[string][]float64{"ndcg@10": {1, 0}}, RBO: []float64{0.5}}}
	r.Against = []pairReport{{Name: "<on>", Differences: []differenceReport{{"ndcg@10", eval.Compare([]float64{1}, []float64{0})}},
		Losses: []lossReport{{r.Queries[0].Query, 1, 0}}, differences: []float64{-1}}}
	name := filepath.Join(t.TempDir(), "page.html")
	if err := writeHTML(name, r); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(page); strings.Contains(text, "<script") || strings.Contains(text, "<on>") || !strings.Contains(text, "&lt;script&gt;") || !strings.Contains(text, "-1.0000") {
		t.Errorf("got %s", text)
	}
}
