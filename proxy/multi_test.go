package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/rerank"
)

// shops is a fake cluster that answers multi-searches: each of them as the shop answers a search.
type shops struct {
	shop
	requests atomic.Int64
	// fail gives the error of a search instead of its answer, "" for none.
	fail func(header, body string, size int) string
}

func (s *shops) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/_msearch") {
		s.shop.ServeHTTP(w, r)
		return
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.requests.Add(1)
	s.mu.Lock()
	s.seen = append(s.seen, string(text))
	s.mu.Unlock()
	var responses []string
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		var search struct {
			From int
			Size *int
		}
		json.Unmarshal([]byte(lines[i+1]), &search)
		size := 10
		if search.Size != nil {
			size = *search.Size
		}
		if s.fail != nil {
			if failure := s.fail(lines[i], lines[i+1], size); failure != "" {
				responses = append(responses, failure)
				continue
			}
		}
		page := string(s.page(search.From, size))
		responses = append(responses, strings.TrimSuffix(page, "}")+`,"status":200}`)
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"took":3,"responses":[%s]}`, strings.Join(responses, ","))
}

// multiSearch sends lines and takes the answer apart: the documents of each page, nil where it is an error.
func multiSearch(t *testing.T, base, lines string, headers ...string) (res *http.Response, pages [][]int, body string) {
	t.Helper()
	res, body, err := do(t, request(t, "POST", base+"/shop/_msearch", lines, append([]string{"Content-Type", "application/x-ndjson"}, headers...)...))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Took      int
		Responses []json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, raw := range answer.Responses {
		if strings.HasPrefix(string(raw), `{"error"`) {
			pages = append(pages, nil)
		} else {
			pages = append(pages, ids(t, string(raw)))
		}
	}
	return res, pages, body
}

// facets are the searches of a faceted page: the page, another page, what is not reranked, and what only counts.
const facets = "{}\n" + `{"query":{"match":{"title":"blue shoes"}},"size":4}` + "\n" +
	`{"index":"shop"}` + "\n" + `{"query":{"match":{"title":"blue shoes"}},"from":4,"size":4}` + "\n" +
	"{}\n" + `{"query":{"match":{"title":"blue shoes"}},"size":3,"sort":["price"]}` + "\n" +
	"{}\n" + `{"query":{"match":{"title":"blue shoes"}},"size":0,"aggs":{}}` + "\n"

func TestMultiSearch(t *testing.T) {
	s := &shops{shop: shop{docs: 100}}
	calls := new(atomic.Int64)
	ranker := rankerFunc(func(ctx context.Context, query string, hits []rerank.Hit) rerank.Ranking {
		calls.Add(1)
		return reverse(ctx, query, hits)
	})
	base, h := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(ranker)}, Options{})
	res, pages, body := multiSearch(t, base, facets)
	for i, want := range [][]int{count(29, 25, -1), count(25, 21, -1), count(0, 3, 1), nil} {
		if !slices.Equal(pages[i], want) {
			t.Errorf("search %d: got %v, want %v", i, pages[i], want)
		}
	}
	if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, `applied; searches=4; reranked=2; model="reverse"; window=60; scored=60; ms=`) {
		t.Errorf("got X-Rerank %q", got)
	}
	if got := s.requests.Load(); got != 1 {
		t.Errorf("got %d requests to the cluster, want one for all searches", got)
	}
	if calls.Load() != 1 {
		t.Errorf("the window of two pages was ranked %d times, want once", calls.Load())
	}
	if !strings.Contains(body, `"status":200`) {
		t.Errorf("a status got lost: %s", body)
	}
	for reason, want := range map[string]float64{"": 2, "sort": 1, "aggregation_only": 1} {
		outcome := "skipped"
		if reason == "" {
			outcome = "applied"
		}
		if got := counted(t, h.metrics.searches.WithLabelValues("shop", outcome, reason)); got != want {
			t.Errorf("reason %q: counted %v searches, want %v", reason, got, want)
		}
	}
}

// A multi-search of which nothing is reranked is the cluster's own, byte for byte.
func TestMultiSearchPasses(t *testing.T) {
	for name, tt := range map[string]struct{ lines, query, reason string }{
		"nothing to rerank":       {"{}\n{\"query\":{\"match_all\":{}}}\n{}\n{\"query\":{\"match\":{\"a\":\"b c\"}},\"sort\":[\"p\"]}\n", "", "no_query; searches=2; reranked=0"},
		"one that cannot be read": {"{}\n" + match + "\n{}\n{\"query\":\n", "", "malformed_request; searches=2; reranked=0"},
		"no line feed":            {"{}\n{\"query\":{\"match\":{\"a\":\"b c\"}}}", "", "malformed_request; searches=1; reranked=0"},
		"a strange option":        {"{}\n{\"query\":{\"match\":{\"a\":\"b c\"}}}\n", "?what=ever", "unsupported; searches=1; reranked=0"},
		"a strange header":        {"{\"what\":1}\n{\"query\":{\"match\":{\"a\":\"b c\"}}}\n", "", "unsupported; searches=1; reranked=0"},
		"another format":          {"{}\n{\"query\":{\"match\":{\"a\":\"b c\"}}}\n", "?format=yaml", "format; searches=1; reranked=0"},
		"no rule":                 {"{\"index\":\".secret\"}\n{\"query\":{\"match\":{\"a\":\"b c\"}}}\n", "", "no_rule; searches=1; reranked=0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shops{shop: shop{docs: 100}}
			base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
			res, _, err := do(t, request(t, "POST", base+"/_msearch"+tt.query, tt.lines, "Content-Type", "application/x-ndjson"))
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Header.Get("X-Rerank"); got != "skipped; reason="+tt.reason {
				t.Errorf("got X-Rerank %q, want reason %s", got, tt.reason)
			}
			if seen := s.searches(); len(seen) != 1 || seen[0] != tt.lines {
				t.Errorf("the cluster saw %q, want what the client sent", seen)
			}
		})
	}
}

// A search that fails when widened is asked for again as it came, and alone; the others keep their new order.
func TestMultiSearchAsksAgain(t *testing.T) {
	const window = `{"error":{"root_cause":[],"reason":"Result window is too large, from + size must be less than or equal to: [12] but was [30]."},"status":400}`
	s := &shops{shop: shop{docs: 100}}
	s.fail = func(header, _ string, size int) string {
		switch {
		case strings.Contains(header, "small") && size > 12:
			return window
		case strings.Contains(header, "gone"):
			return `{"error":{"reason":"no such index [gone]"},"status":404}`
		}
		return ""
	}
	base, h := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	lines := "{}\n" + match + "\n{\"index\":\"small\"}\n" + match + "\n{\"index\":\"gone\"}\n" + match + "\n"
	res, pages, _ := multiSearch(t, base, lines)
	if !slices.Equal(pages[0], count(29, 19, -1)) || !slices.Equal(pages[1], count(0, 10, 1)) || pages[2] != nil {
		t.Errorf("got %v, want the first reversed, the second as the cluster has it, the third an error", pages)
	}
	if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, "applied; searches=3; reranked=1") {
		t.Errorf("got X-Rerank %q", got)
	}
	if seen := s.searches(); len(seen) != 2 || seen[1] != "{\"index\":\"small\"}\n"+match+"\n" {
		t.Errorf("the cluster saw %q, want the second search once more", seen)
	}
	if got := counted(t, h.metrics.again.WithLabelValues("upstream_status")); got != 1 {
		t.Errorf("counted %v repetitions, want 1", got)
	}
	// The cluster's limit is known now.
	if _, pages, _ = multiSearch(t, base, lines); !slices.Equal(pages[1], count(11, 1, -1)) || s.requests.Load() != 3 {
		t.Errorf("got %v after %d requests, want the second search reranked within its 12 hits, and nothing asked again", pages, s.requests.Load())
	}
}

// Whatever comes back for the widened request that is no answer to it, the client's own request is sent and its answer given.
func TestMultiSearchFallsBack(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter)
		reason string
	}{
		"overload":    {func(w http.ResponseWriter) { w.WriteHeader(503); io.WriteString(w, `{"status":503}`) }, "upstream_status"},
		"one too few": {func(w http.ResponseWriter) { io.WriteString(w, `{"took":1,"responses":[]}`) }, "upstream_malformed"},
		"truncated":   {func(w http.ResponseWriter) { io.WriteString(w, `{"took":1,"responses":[{"hits":`) }, "upstream_malformed"},
		"another kind": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/yaml")
			io.WriteString(w, "---\n")
		}, "format"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shops{shop: shop{docs: 100}}
			requests := new(atomic.Int64)
			base, _ := serve(t, &Snapshot{Rules: rules(reverse), Upstream: upstream(t, func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) == 1 {
					w.Header().Set("Content-Type", "application/json")
					tt.answer(w)
					return
				}
				s.ServeHTTP(w, r)
			})}, Options{})
			lines := "{}\n" + match + "\n{}\n" + match + "\n"
			res, pages, _ := multiSearch(t, base, lines)
			if !slices.Equal(pages[0], count(0, 10, 1)) || !slices.Equal(pages[1], count(0, 10, 1)) {
				t.Errorf("got %v, want the cluster's own pages", pages)
			}
			if got := res.Header.Get("X-Rerank"); got != "skipped; reason="+tt.reason+"; searches=2; reranked=0" {
				t.Errorf("got X-Rerank %q", got)
			}
			if seen := s.searches(); len(seen) != 1 || seen[0] != lines {
				t.Errorf("the cluster saw %q, want what the client sent", seen)
			}
		})
	}
}

// All searches share one budget, and are ranked side by side.
func TestMultiSearchHasOneBudget(t *testing.T) {
	s := &shops{shop: shop{docs: 100}}
	slow := rankerFunc(func(ctx context.Context, query string, hits []rerank.Hit) rerank.Ranking {
		<-ctx.Done()
		r := reverse(ctx, query, hits)
		r.Stages = skipped("timeout", ctx.Err()).Stages
		return r
	})
	rule := rules(slow)
	rule[0].Budget = 200 * time.Millisecond
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rule}, Options{})
	var lines strings.Builder
	for i := range 20 {
		fmt.Fprintf(&lines, "{}\n{\"query\":{\"match\":{\"title\":\"shoes of kind %c\"}}}\n", 'a'+i)
	}
	start := time.Now()
	res, pages, _ := multiSearch(t, base, lines.String())
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v, want the budget once", took)
	}
	if got := res.Header.Get("X-Rerank"); got != "skipped; reason=timeout; searches=20; reranked=0" || len(pages) != 20 {
		t.Errorf("got X-Rerank %q and %d pages", got, len(pages))
	}
}

// What a search says to us in its body is for us alone, and for itself alone.
func TestMultiSearchOverrides(t *testing.T) {
	s := &shops{shop: shop{docs: 100}}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	off := `{"ext":{"rerank":"off"},"query":{"match":{"title":"blue shoes"}}}`
	_, pages, _ := multiSearch(t, base, "{}\n"+off+"\n{}\n"+match+"\n")
	if !slices.Equal(pages[0], count(0, 10, 1)) || !slices.Equal(pages[1], count(29, 19, -1)) {
		t.Errorf("got %v, want the second alone reversed", pages)
	}
	if seen := s.searches(); strings.Contains(seen[0], "rerank") {
		t.Errorf("the cluster saw %q", seen)
	}
}

// Whatever searches fail, widened or as they came: a client sees of each the cluster's own answer, or its hits in another order.
func TestMultiSearchUnderRandomFailures(t *testing.T) {
	var seed atomic.Uint64
	s := &shops{shop: shop{docs: 25}}
	failing := []string{
		`{"error":{"reason":"x"},"status":500}`, `{"error":{"reason":"x"},"status":429}`, `{"error":"x"}`,
		`{"status":200}`, `{"hits":{"hits":[]},"status":503}`, `{"hits":null,"status":200}`,
		`{"took":1,"timed_out":false,"_shards":{"total":2,"successful":1,"failed":1},"hits":{"hits":[]},"status":200}`,
	}
	s.fail = func(header, body string, size int) string {
		if n := int(crc32.ChecksumIEEE([]byte(header+body)) ^ uint32(seed.Load()*2654435761)); size > 5 && n%3 == 0 {
			return failing[n/3%len(failing)]
		}
		return ""
	}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	rapid.Check(t, func(r *rapid.T) {
		seed.Add(1)
		var lines strings.Builder
		var sizes [][2]int
		for range rapid.IntRange(1, 8).Draw(r, "searches") {
			from, size := rapid.IntRange(0, 30).Draw(r, "from"), rapid.IntRange(0, 5).Draw(r, "size")
			sizes = append(sizes, [2]int{from, size})
			fmt.Fprintf(&lines, "{\"preference\":\"%d\"}\n{\"query\":{\"match\":{\"title\":\"shoes %d\"}},\"from\":%d,\"size\":%d}\n",
				rapid.IntRange(0, 1000).Draw(r, "preference"), seed.Load(), from, size)
		}
		_, pages, body := multiSearch(t, base, lines.String())
		if len(pages) != len(sizes) {
			r.Fatalf("got %d pages for %d searches: %s", len(pages), len(sizes), body)
		}
		for i, page := range pages {
			from, end := min(sizes[i][0], 25), min(sizes[i][0]+sizes[i][1], 25)
			direct, reversed := count(from, end, 1), count(24-from, 24-end, -1)
			if !slices.Equal(page, direct) && !slices.Equal(page, reversed) {
				r.Fatalf("page %d is %v, want %v or %v", i, page, direct, reversed)
			}
		}
	})
}
