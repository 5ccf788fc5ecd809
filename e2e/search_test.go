package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
)

// testOrder: a window that is scored to its end comes back whole, in another order.
func testOrder(t *testing.T, direct, through client) {
	moved := 0
	for _, w := range words {
		search := body(match(w), "size", 40, "aggs", map[string]any{"c": map[string]any{"terms": map[string]any{"field": "category"}}})
		want, got := direct.search(t, "/"+shop+"/_search", search), through.search(t, "/"+shop+"/_search", search)
		checkReranked(t, want, got)
		if scored := got.rerank.params["scored"]; scored != strconv.Itoa(len(want.ids)) {
			t.Errorf("%q: got X-Rerank %q, want all %d hits scored", w, got.rerank, len(want.ids))
		}
		if !slices.Equal(want.ids, got.ids) {
			moved++
		}
		again := through.search(t, "/"+shop+"/_search", search)
		if !slices.Equal(got.ids, again.ids) || !slices.Equal(got.scores, again.scores) {
			t.Errorf("%q: the same search a second time is ordered otherwise: got %v, want %v", w, again.ids, got.ids)
		}
	}
	if moved < len(words)/2 {
		t.Errorf("got %d of %d searches in another order than the cluster's, want most", moved, len(words))
	}
}

// testTail: hits beyond the window follow it in the cluster's order.
func testTail(t *testing.T, direct, through client) {
	const window = 40
	search := body(match(words[0]), "size", 60)
	want, got := direct.search(t, "/"+shop+"/_search", search), through.search(t, "/"+shop+"/_search", search)
	checkReranked(t, want, got)
	if len(want.ids) != 60 {
		t.Fatalf("got %d hits, want a search that finds 60", len(want.ids))
	}
	if !slices.Equal(slices.Sorted(slices.Values(got.ids[:window])), slices.Sorted(slices.Values(want.ids[:window]))) {
		t.Errorf("the window holds other hits than the cluster's first %d: got %v, want %v", window, got.ids[:window], want.ids[:window])
	}
	if !slices.Equal(got.ids[window:], want.ids[window:]) {
		t.Errorf("got tail %v, want the cluster's %v", got.ids[window:], want.ids[window:])
	}
}

// testPages: pages are cut from one order, whatever a deadline did to the scoring of the first of them.
func testPages(t *testing.T, direct, through client) {
	const size = 9
	for _, index := range append(hurries, shop) {
		for i, w := range words {
			w := fmt.Sprintf("%s %s", w, strings.TrimPrefix(index, "e2e-shop")) // no page of this search has been asked for before
			whole := direct.search(t, "/"+index+"/_search", body(match(w), "size", 144))
			var pages []string
			for from := 0; from < len(whole.ids); from += size {
				p := through.search(t, "/"+index+"/_search", body(match(w), "from", from, "size", size))
				if len(p.ids) > size {
					t.Errorf("%s, %q: got %d hits from %d, want a page of %d", index, w, len(p.ids), from, size)
				}
				pages = append(pages, p.ids...)
			}
			if !slices.Equal(slices.Sorted(slices.Values(pages)), slices.Sorted(slices.Values(whole.ids))) {
				t.Errorf("%s, %q: the pages together are not the cluster's hits: got %v, want %v in some order", index, w, pages, whole.ids)
			}
			if i > 0 {
				continue // one large page is enough
			}
			one := through.search(t, "/"+index+"/_search", body(match(w), "size", 144))
			if !slices.Equal(pages, one.ids) {
				t.Errorf("%s, %q: the pages together differ from one large page: got %v, want %v", index, w, pages, one.ids)
			}
			checkSamePage(t, whole, one)
		}
	}
}

// testFields: what a client asked to see of a hit, and nothing else, is what it sees.
func testFields(t *testing.T, e cluster.Engine, direct, through client) {
	shapes := map[string][]any{
		"no source":               {"_source", false},
		"one field":               {"_source", "title"},
		"other fields":            {"_source", []string{"price", "stock"}},
		"excludes":                {"_source", map[string]any{"excludes": []string{"body", "title"}}},
		"includes and excludes":   {"_source", map[string]any{"includes": []string{"*"}, "excludes": []string{"b*"}}},
		"fields without source":   {"_source", false, "fields", []string{"category"}},
		"fields that are read":    {"_source", false, "fields", []string{"title"}},
		"docvalue fields":         {"_source", false, "docvalue_fields", []string{"stock", "title.raw"}},
		"stored fields":           {"stored_fields", []string{"title"}},
		"versions":                {"version", true, "seq_no_primary_term", true},
		"highlight":               {"highlight", map[string]any{"fields": map[string]any{"body": map[string]any{}}}},
		"explicit score sort":     {"sort", []any{"_score"}},
		"second page":             {"_source", false, "from", 5, "size", 5},
		"totals not counted":      {"track_total_hits", false},
		"totals counted to three": {"track_total_hits", 3},
	}
	for name, more := range shapes {
		t.Run(name, func(t *testing.T) {
			// The window is wider than what the search finds, so that both sides give the same hits.
			query := map[string]any{"bool": map[string]any{"must": match("walking at night"), "filter": map[string]any{"term": map[string]any{"category": "camping"}}}}
			if !slices.Contains(more, any("size")) {
				more = append(more, "size", 40)
			}
			want := direct.search(t, "/"+shop+"/_search", body(query, more...))
			got := through.search(t, "/"+shop+"/_search", body(query, more...))
			if name == "second page" { // of another order, so with other hits
				if got.rerank.done != "applied" || len(got.ids) != len(want.ids) || strings.Contains(got.hits[got.ids[0]], "_source") || strings.Contains(got.hits[got.ids[0]], "fields") {
					t.Errorf("got %v, X-Rerank %q, want five hits without source and fields", got.hits, got.rerank)
				}
				return
			}
			if got.rerank.done == "skipped" && strings.Contains(" unsupported sort ", " "+got.rerank.params["reason"]+" ") {
				if !slices.Equal(want.ids, got.ids) {
					t.Errorf("passed with X-Rerank %q and yet in another order: got %v, want %v", got.rerank, got.ids, want.ids)
				}
				return
			}
			checkReranked(t, want, got)
		})
	}
}

// testErrors: an error of the cluster is the client's to see, as it was written.
func testErrors(t *testing.T, direct, through client) {
	for _, r := range []struct {
		name, method, path, body string
		status                   int // 0: versions differ, and one takes it for no error at all
	}{
		{"no such index", "POST", "/e2e-nowhere/_search", body(match("tea")), 404},
		{"no such query", "POST", "/" + shop + "/_search", `{"query":{"mtach":{"title":"tea"}}}`, 400},
		{"not JSON", "POST", "/" + shop + "/_search", `{"query":`, 0},
		{"two keys alike", "POST", "/" + shop + "/_search", `{"size":1,"size":2}`, 400},
		{"unknown key", "POST", "/" + shop + "/_search", `{"query":{"match":{"title":"tea"}},"sise":1}`, 400},
		{"unknown parameter", "GET", "/" + shop + "/_search?q=tea&sise=1", "", 400},
		{"window too large", "POST", "/" + shop + "/_search", body(match("tea"), "from", 10_000, "size", 10), 400},
		{"negative size", "POST", "/" + shop + "/_search", body(match("tea"), "size", -1), 0},
		{"no such method", "PUT", "/" + shop + "/_search", body(match("tea")), 405},
		{"no such document", "GET", "/" + shop + "/_doc/none", "", 404},
		{"broken bulk", "POST", "/_bulk", "{\"index\":{\"_index\":\"e2e-none\"}}\n{\"a\":", 400},
	} {
		t.Run(r.name, func(t *testing.T) {
			got := checkSameBytes(t, direct, through, r.method, r.path, r.body)
			if r.status != 0 && got.Status != r.status {
				t.Errorf("got status %d, want %d: %s", got.Status, r.status, got.Body)
			}
		})
	}
}

// testOff: a client can decline, and an operator can; both then have the cluster's bytes.
func testOff(t *testing.T, direct, through client) {
	for _, r := range []struct{ name, index, header string }{
		{"by the client", shop, "X-Rerank: off"},
		{"by the rule", "e2e-shop-off", "X-Opaque-Id: off"},
	} {
		t.Run(r.name, func(t *testing.T) {
			for _, w := range words {
				got := checkSameBytes(t, direct, through, "POST", "/"+r.index+"/_search?pretty", body(match(w)), r.header)
				if o := outcomeOf(got.Header); o.done != "skipped" || o.params["reason"] != "disabled" {
					t.Errorf("got X-Rerank %q, want skipped; reason=disabled", o)
				}
			}
		})
	}
}

// testPassed: a search that must not be reranked is the cluster's own, byte for byte, and says why.
func testPassed(t *testing.T, e cluster.Engine, direct, through client) {
	tea := match("hot tea on a cold night")
	for _, r := range []struct {
		name, path, body string
		reasons          string
	}{
		{"another order", "", body(tea, "sort", []any{map[string]any{"price": "asc"}}), "sort"},
		{"no hits wanted", "", body(tea, "size", 0), "size_zero"},
		{"aggregations only", "", body(tea, "size", 0, "aggs", map[string]any{"c": map[string]any{"terms": map[string]any{"field": "category"}}}), "size_zero aggregation_only"},
		{"no words", "", body(map[string]any{"match_all": map[string]any{}}), "no_query"},
		{"a filter", "", body(map[string]any{"term": map[string]any{"category": "camping"}}), "no_query"},
		{"a scroll", "?scroll=1m", body(tea), "scroll"},
		{"a cursor", "", body(tea, "sort", []any{"_score", map[string]any{"price": "asc"}}, "search_after", []any{3.0, 100.0}), "search_after sort"},
		{"beyond the window", "", body(tea, "from", 40, "size", 10), "beyond_window"},
		{"nothing found", "", body(match("zzyzx")), "no_hits"},
		{"another format", "?format=yaml", body(tea), "format"},
	} {
		t.Run(r.name, func(t *testing.T) {
			got := checkSameBytes(t, direct, through, "POST", "/"+shop+"/_search"+r.path, r.body)
			o := outcomeOf(got.Header)
			if o.done != "skipped" || !slices.Contains(strings.Fields(r.reasons), o.params["reason"]) {
				t.Errorf("got X-Rerank %q, want skipped for one of: %s", o, r.reasons)
			}
		})
	}
}

// testOthers: everything that is no search goes through as it is, both ways.
func testOthers(t *testing.T, e cluster.Engine, direct, through client) {
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/", ""},
		{"HEAD", "/" + shop, ""},
		{"GET", "/" + shop + "/_mapping", ""},
		{"GET", "/_cat/aliases/e2e-shop*?v&s=alias", ""},
		{"GET", "/" + shop + "/_doc/3", ""},
		{"HEAD", "/" + shop + "/_doc/3", ""},
		{"GET", "/" + shop + "/_doc/%33", ""},
		{"GET", "/" + shop + "/_source/3?_source=title", ""},
		{"POST", "/" + shop + "/_count", body(match("tea"))},
		{"POST", "/" + shop + "/_mget", `{"ids":["1","2","none"]}`},
		{"POST", "/" + shop + "/_explain/3", body(match("tea"))},
		{"POST", "/" + shop + "/_validate/query", body(match("tea"))},
		{"POST", "/" + shop + "/_field_caps?fields=title,price", ""},
		{"POST", "/_analyze", `{"analyzer":"standard","text":"Hot tea"}`},
		{"OPTIONS", "/", ""},
	} {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			checkSameBytes(t, direct, through, r.method, r.path, r.body, "X-Opaque-Id: e2e")
		})
	}
	t.Run("_msearch", func(t *testing.T) {
		lines := fmt.Sprintf("{\"index\":%q}\n%s\n{}\n%s\n", shop, body(match("tea")), body(match("boots")))
		checkSameBytes(t, direct, through, "POST", "/_msearch", lines, "Content-Type: application/x-ndjson", "X-Rerank: off")
	})
	t.Run("writing", func(t *testing.T) {
		const index = "e2e-written"
		drop := func() { direct.do(t, "DELETE", "/"+index+"?ignore_unavailable=true", "") }
		drop()
		defer drop()
		lines := strings.Repeat("{\"index\":{}}\n{\"title\":\"tea\"}\n", 5000)
		a := through.do(t, "POST", "/"+index+"/_bulk?refresh=true", lines, "Content-Type: application/x-ndjson")
		if a.Status != http.StatusOK || strings.Contains(string(a.Body[:200]), `"errors":true`) {
			t.Errorf("bulk: got %d: %.300s", a.Status, a.Body)
		}
		count := direct.do(t, "GET", "/"+index+"/_count?filter_path=count", "")
		if string(count.Body) != `{"count":5000}` {
			t.Errorf("got %s, want 5000 documents", count.Body)
		}
	})
}

// testMulti: searches that come in one request are ranked as they are by themselves, and what cannot be ranked beside them stays as it is.
func testMulti(t *testing.T, direct, through client) {
	var lines strings.Builder
	for _, w := range words {
		fmt.Fprintf(&lines, "{\"index\":%q}\n%s\n", shop, body(match(w), "size", 9))
	}
	fmt.Fprintf(&lines, "{\"index\":%q}\n%s\n{\"index\":\"e2e-nowhere\"}\n%s\n", shop, body(match("tea"), "size", 3, "sort", []any{"price"}), body(match("tea")))
	read := func(a answer) (responses []json.RawMessage) {
		var v struct{ Responses []json.RawMessage }
		unmarshal(t, a.Body, &v)
		return v.Responses
	}
	want := read(direct.do(t, "POST", "/_msearch", lines.String(), "Content-Type: application/x-ndjson"))
	together := through.do(t, "POST", "/_msearch", lines.String(), "Content-Type: application/x-ndjson")
	got := read(together)
	if len(got) != len(words)+2 || len(want) != len(got) {
		t.Fatalf("got %d responses, want %d", len(got), len(words)+2)
	}
	for i, w := range words {
		alone := through.search(t, "/"+shop+"/_search", body(match(w), "size", 9))
		if among := pageOf(t, got[i]); !slices.Equal(alone.ids, among.ids) || !slices.Equal(alone.scores, among.scores) {
			t.Errorf("%q: got %v among others, by itself %v", w, among.ids, alone.ids)
		}
	}
	for i := len(words); i < len(got); i++ {
		if masked(got[i]) != masked(want[i]) {
			t.Errorf("got %s, want the cluster's %s", got[i], want[i])
		}
	}
	if o := outcomeOf(together.Header); o.done != "applied" || o.params["searches"] != strconv.Itoa(len(got)) || o.params["reranked"] != strconv.Itoa(len(words)) {
		t.Errorf("got X-Rerank %q", o)
	}
}

// testRerankers: what applications say to Elasticsearch's own reranking is answered with the program's model, on any engine.
func testRerankers(t *testing.T, direct, through client) {
	for _, w := range words {
		child := direct.search(t, "/"+shop+"/_search", body(match(w), "size", 20))
		search := fmt.Sprintf(`{"retriever":{"text_similarity_reranker":{"retriever":{"standard":{"query":%s}},"field":"body","inference_id":"mine","inference_text":%q,"rank_window_size":20}},"size":20}`,
			marshal(t, match(w)), w)
		checkReranked(t, child, through.search(t, "/"+shop+"/_search", search))
	}
	a := through.do(t, "POST", "/_inference/rerank/mine", `{"query":"hot tea","input":["a bicycle lock","a flask that keeps tea hot"]}`)
	var got struct {
		Rerank []struct {
			Index int
			Score float64 `json:"relevance_score"`
			Text  string
		}
	}
	unmarshal(t, a.Body, &got)
	if len(got.Rerank) != 2 || got.Rerank[0].Index != 1 || got.Rerank[0].Score <= got.Rerank[1].Score || got.Rerank[0].Text != "a flask that keeps tea hot" {
		t.Errorf("got %d %s, want the flask first", a.Status, a.Body)
	}
	checkSameBytes(t, direct, through, "POST", "/_inference/rerank/theirs", `{"query":"hot tea","input":["a"]}`)
}

// testZeroConfig: with no rule at all, searches that name fields and searches that name none are reranked, once the mapping has been read.
func testZeroConfig(t *testing.T, node *cluster.Node, direct client) {
	through := client{url: program.Serve(t, node, "").URL}
	for _, search := range []struct{ path, body string }{
		{"/" + shop + "/_search?q=" + "warm+jacket&size=9", ""},
		{"/" + shop + "/_search", body(match("warm jacket"), "size", 9)},
		{"/e2e-shop-now/_search", body(map[string]any{"query_string": map[string]any{"query": "warm jacket"}}, "size", 9)},
		{"/e2e-sh*/_search", body(map[string]any{"match": map[string]any{"body": "warm jacket"}}, "size", 9)},
	} {
		if got := awaitWarm(t, through, search.path, search.body); got.rerank.done != "applied" {
			t.Errorf("%s: got X-Rerank %q, want it applied", search.path, got.rerank)
		}
	}
}

// awaitWarm repeats a search for as long as rerankd still reads the mapping that it needs, which no search waits for.
func awaitWarm(t *testing.T, through client, path, body string) resultPage {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		got := through.search(t, path, body)
		if got.rerank.params["reason"] != "warming" {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still warming after 20 s", path)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// testSecured: who may not see an index does not see it through rerankd either, and who may has it reranked.
func testSecured(t *testing.T, node *cluster.Node) {
	url := program.Serve(t, node, shopRules()).URL
	search := body(match(words[0]), "size", 40)
	anonymous := func(u string) client { return client{url: u} }
	stranger := func(u string) client { return client{url: u, authorization: "Basic ZWxhc3RpYzp3cm9uZw=="} }
	known := func(u string) client { return client{url: u, authorization: node.Authorization()} }

	refused := func(name string, who func(string) client) {
		t.Helper()
		got := checkSameBytes(t, who(node.URL), who(url), "POST", "/"+shop+"/_search", search)
		if got.Status != http.StatusUnauthorized || got.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%s: got %d with WWW-Authenticate %q, want 401 and how to authenticate", name, got.Status, got.Header.Get("Www-Authenticate"))
		}
	}
	refused("anonymous", anonymous)
	refused("stranger", stranger)
	awaitWarm(t, known(url), "/"+shop+"/_search", search)
	checkReranked(t, known(node.URL).search(t, "/"+shop+"/_search", search), known(url).search(t, "/"+shop+"/_search", search))
	// What one client was shown is not shown to the next.
	refused("anonymous, after one who may", anonymous)
	refused("stranger, after one who may", stranger)
}
