package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWiden(t *testing.T) {
	need := Need{Window: 50, Fields: []string{"title", "obj.a"}, Widen: true}
	for _, test := range []struct {
		name, rawQuery, body string
		need                 Need
		wantQuery, wantBody  string
		page                 string // Window From Size
	}{
		{"no body", "q=red+shoes&pretty", "", need, "q=red+shoes&pretty&size=50", "", "50 0 10"},
		{"no query string either", "", "", need, "size=50", "", "50 0 10"},
		{"size in the url", "size=5&from=3&q=red", `{"size":7}`, need, "size=50&from=0&q=red", `{"size":7}`, "50 3 5"},
		{"size in the url, twice", "size=5&size=6", "", need, "size=5&size=50", "", "50 0 6"},
		{"size in the body", "", ` { "from" : 20 ,"size":10, "query":{"match_all":{}} } `, need, "", ` { "from" : 0 ,"size":50, "query":{"match_all":{}} } `, "50 20 10"},
		{"size in neither", "", "{\n  \"query\": {}\n}", need, "", "{\"size\":50,\n  \"query\": {}\n}", "50 0 10"},
		{"an empty body", "", "{ }", need, "", `{"size":50 }`, "50 0 10"},
		{"from in the url, size in the body", "from=2", `{"size":3}`, need, "from=0", `{"size":50}`, "50 2 3"},
		{"a page beyond the window", "", `{"from":60,"size":10}`, need, "", `{"from":0,"size":70}`, "50 60 10"},
		{"a page as large as the window", "", `{"size":50}`, need, "", `{"size":50}`, "50 0 50"},
		{"what else there is stays", "", `{"size":9,"query":{"term":{"n":9007199254740993}},"min_score":1.0E-5,"x\u0041":"\u00e9\/\ud83d"}`, need,
			"", `{"size":50,"query":{"term":{"n":9007199254740993}},"min_score":1.0E-5,"x\u0041":"\u00e9\/\ud83d"}`, "50 0 9"},
		{"not to be widened", "", `{"from":20,"size":10}`, Need{Window: 50}, "", `{"from":20,"size":10}`, "10 0 10"},
		{"hybrid", "", `{"query":{"hybrid":{"queries":[]}}}`, need, "", `{"query":{"hybrid":{"queries":[]}}}`, "10 0 10"},
		{"hybrid, deep", "", `{"from":2,"query":{"hybrid":{"queries":[],"pagination_depth":30}}}`, need, "", `{"size":30,"from":0,"query":{"hybrid":{"queries":[],"pagination_depth":30}}}`, "30 2 10"},
		{"a compound retriever", "", `{"size":3,"retriever":{"rrf":{"retrievers":[],"rank_window_size":20}}}`, need, "", `{"size":20,"retriever":{"rrf":{"retrievers":[],"rank_window_size":20}}}`, "20 0 3"},
		{"a page over the end of a compound retriever", "", `{"from":8,"size":10,"retriever":{"rrf":{"retrievers":[],"rank_window_size":12}}}`, need,
			"", `{"from":0,"size":12,"retriever":{"rrf":{"retrievers":[],"rank_window_size":12}}}`, "12 8 10"},
		{"rank", "", `{"rank":{"rrf":{}}}`, need, "", `{"rank":{"rrf":{}}}`, "10 0 10"},
		{"rescored", "", `{"size":10,"rescore":{"window_size":20}}`, need, "", `{"size":20,"rescore":{"window_size":20}}`, "20 0 10"},
		{"a page larger than what is rescored", "", `{"size":30,"rescore":{"window_size":20}}`, need, "", `{"size":30,"rescore":{"window_size":20}}`, "20 0 30"},

		{"no source", "", `{"_source":false,"size":1}`, need, "", `{"fields":["title","obj.a"],"_source":false,"size":50}`, "50 0 1"},
		{"filtered source", "", `{"_source":["title"],"size":50}`, need, "", `{"fields":["title","obj.a"],"_source":["title"],"size":50}`, "50 0 50"},
		{"filtered in the url", "_source_includes=title", `{"size":50,"_source":true}`, need, "_source_includes=title", `{"fields":["title","obj.a"],"size":50,"_source":true}`, "50 0 50"},
		{"the url wins", "_source=true", `{"_source":false,"size":50}`, need, "_source=true", `{"_source":false,"size":50}`, "50 0 50"},
		{"filtered, and no body", "_source=false&size=50", "", need, "_source=false&size=50", `{"fields":["title","obj.a"]}`, "50 0 50"},
		{"the client's own fields", "", `{"_source":false,"size":50,"fields":["body",{"field":"obj.*"}]}`, need, "", `{"_source":false,"size":50,"fields":["body",{"field":"obj.*"},"title"]}`, "50 0 50"},
		{"the client's fields, none", "", `{"_source":false,"size":50,"fields":[ ]}`, need, "", `{"_source":false,"size":50,"fields":[ "title","obj.a"]}`, "50 0 50"},
		{"the client's fields are those", "", `{"_source":false,"size":50,"fields":["*"]}`, need, "", `{"_source":false,"size":50,"fields":["*"]}`, "50 0 50"},
		{"script fields", "", `{"script_fields":{"x":{}},"size":50}`, need, "", `{"fields":["title","obj.a"],"script_fields":{"x":{}},"size":50}`, "50 0 50"},
		{"stored fields", "", `{"stored_fields":["title"],"size":50}`, need, "", `{"fields":["obj.a"],"stored_fields":["title"],"size":50}`, "50 0 50"},
		{"fields that _source never has", "", `{"size":50}`, Need{Window: 50, Fields: []string{"title", "all"}, Unsourced: []string{"all", "other"}, Widen: true},
			"", `{"fields":["all"],"size":50}`, "50 0 50"},
		{"such fields, asked for by the client", "", `{"size":50,"fields":["a*"]}`, Need{Window: 50, Fields: []string{"all"}, Unsourced: []string{"all"}, Widen: true},
			"", `{"size":50,"fields":["a*"]}`, "50 0 50"},
		{"runtime fields", "", `{"size":50,"runtime_mappings":{"title":{"type":"keyword"},"obj":{"type":"composite","fields":{"a":{}}}}}`, need,
			"", `{"fields":["title","obj.a"],"size":50,"runtime_mappings":{"title":{"type":"keyword"},"obj":{"type":"composite","fields":{"a":{}}}}}`, "50 0 50"},
		{"derived fields", "", `{"size":50,"derived":{"obj":{"type":"object"}}}`, need, "", `{"fields":["obj.a"],"size":50,"derived":{"obj":{"type":"object"}}}`, "50 0 50"},
		{"a name to be quoted", "", `{"_source":false,"size":50}`, Need{Window: 50, Fields: []string{"a\"b"}, Widen: true}, "", `{"fields":["a\"b"],"_source":false,"size":50}`, "50 0 50"},

		{"override", "", `{"size":50,"ext":{"rerank":{"window":20}}}`, need, "", `{"size":50}`, "50 0 50"},
		{"override, first and alone", "", `{"ext":{"rerank":{"window":20}}}`, need, "", `{"size":50}`, "50 0 10"},
		{"override, first", "", `{"ext":{"rerank":{"window":20}}, "query":{}}`, need, "", `{"size":50,"query":{}}`, "50 0 10"},
		{"override beside others", "", `{"ext":{"rerank":true,"ltr_log":{}}}`, Need{Window: 10}, "", `{"ext":{"ltr_log":{}}}`, "10 0 10"},
		{"ubi", "", `{"ext":{"ubi":{"query_id":"a"}},"size":50}`, need, "", `{"size":50}`, "50 0 50"},
		{"ubi, first and alone", "", `{"ext":{"ubi":{}}}`, need, "", `{"size":50}`, "50 0 10"},
		{"ubi and an override", "", `{"ext":{"rerank":true,"ubi":{}}}`, need, "", `{"size":50}`, "50 0 10"},
		{"ubi between others", "", `{"size":50,"ext":{"rerank":{"query_context":{}},"ml_inference":{},"ubi":{}, "ltr_log":{}}}`, Need{}, "", `{"size":50,"ext":{"ml_inference":{}, "ltr_log":{}}}`, "0 0 50"},
		{"ubi of a page that is not widened", "", `{"query":{},"ext":{"ubi":{}}}`, Need{}, "", `{"query":{}}`, "0 0 10"},
		{"ubi in the url", "source=%7B%22ext%22:%7B%22ubi%22:%7B%7D%7D,%22size%22:50%7D&source_content_type=application/json", "", need, "", `{"size":50}`, "50 0 50"},
		{"OpenSearch's context", "", `{"size":50,"ext":{"rerank":{"query_context":{}}}}`, need, "", `{"size":50}`, "50 0 50"},

		{"source parameter", "a=1&source=%7B%22size%22%3A5%7D&source_content_type=application/json&b", "", need, "a=1&b", `{"size":50}`, "50 0 5"},
		{"source parameter, size in the url", "size=5&source=%7B%7D&source_content_type=application/json", "", need, "size=50&source=%7B%7D&source_content_type=application/json", "", "50 0 5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := mustParse(t, test.rawQuery, test.body)
			w, err := r.Widen(test.need)
			if err != nil {
				t.Fatal(err)
			}
			if w.RawQuery != test.wantQuery || string(w.Body) != test.wantBody {
				t.Errorf("got  %q %s\nwant %q %s", w.RawQuery, w.Body, test.wantQuery, test.wantBody)
			}
			if got := fmt.Sprint(w.Window, w.From, w.Size); got != test.page {
				t.Errorf("window and page: got %s, want %s", got, test.page)
			}
			if changed := w.RawQuery != test.rawQuery || string(w.Body) != test.body; w.Changed != changed {
				t.Errorf("changed: got %t, want %t", w.Changed, changed)
			}
			if made := test.body == "" && w.Body != nil; (w.ContentType != "") != made {
				t.Errorf("content type %q for a body made by us: %t", w.ContentType, made)
			}
			again := mustParse(t, w.RawQuery, string(w.Body))
			if enlarged := again.From() != r.From() || again.Size() != r.Size(); w.Enlarged != enlarged {
				t.Errorf("enlarged: got %t, want %t", w.Enlarged, enlarged)
			}
		})
	}
}

func TestWidenRefusesFieldsItCannotExtend(t *testing.T) {
	if _, err := mustParse(t, "", `{"_source":false,"fields":"body"}`).Widen(Need{Window: 50, Fields: []string{"title"}}); err == nil {
		t.Error("got no error for fields that are no array")
	}
}

// TestWidenProperty: whatever else a search says, widening sets its page, asks for the fields, takes our override out, and changes
// nothing else; nor does it change the request that it was made from.
func TestWidenProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfDistinct(rapid.SampledFrom([]string{
			`"from":7`, `"size" : 3`, `"_source":false`, `"fields":["body"]`, `"ext":{"rerank":"on"}`, `"ext":{"ubi":{},"rerank":{}}`,
			`"query":{"match":{"title":"red \u00e9 shoes"}}`, "\n \"aggs\":{\"a\":{\"b\":[1e400,0.10]}}", `"min_score":1.50`, `"version":true`,
		}), func(s string) string {
			name, _, _ := strings.Cut(strings.TrimSpace(s), ":")
			return strings.TrimSpace(name)
		}).Draw(t, "members")
		rawQuery := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"from=4", "size=6", "pretty", "_source=true", "q=x;y=%20", ""}), 0, 4).Draw(t, "query"), "&")
		body := "{ " + strings.Join(members, " , ") + "}"
		if len(members) == 0 && rapid.Bool().Draw(t, "no body") {
			body = ""
		}
		before := strings.Clone(body)
		r, err := Parse(rawQuery, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		need := Need{Window: rapid.IntRange(1, 40).Draw(t, "window"), Fields: []string{"title"}, Widen: true}
		w, err := r.Widen(need)
		if err != nil {
			t.Fatal(err)
		}
		if body != before {
			t.Fatalf("the client's body became %s", body)
		}
		got, err := Parse(w.RawQuery, w.Body)
		if err != nil {
			t.Fatalf("%q %s: %v", w.RawQuery, w.Body, err)
		}
		if got.From() != 0 || got.Size() != max(need.Window, r.From()+r.Size()) {
			t.Errorf("%q %s: from %d, size %d", w.RawQuery, w.Body, got.From(), got.Size())
		}
		for _, section := range []string{"rerank", "ubi"} {
			if got.root.get("ext").get(section) != nil {
				t.Errorf("%s: ext.%s left in", w.Body, section)
			}
		}
		if !r.sourceWhole && !matches(got.asked, "title") {
			t.Errorf("%s: title not asked for", w.Body)
		}
		for _, m := range members {
			if name := strings.TrimSpace(m)[:4]; name != `"fro` && name != `"siz` && name != `"fie` && name != `"ext` && !bytes.Contains(w.Body, []byte(strings.TrimSpace(m))) {
				t.Errorf("%s: %s is lost", w.Body, m)
			}
		}
	})
}

// FuzzParse: no search makes Parse panic, and what Widen writes is JSON whenever the search was, with the page that was asked for.
func FuzzParse(f *testing.F) {
	for _, seed := range [][2]string{
		{"q=a:b&size=3;from=1", ""},
		{"", `{"size":5,"query":{"bool":{"must":[{"match":{"t":{"query":"a","boost":"x"}}}],"should":{"dis_max":{"queries":[{}]}}}},"ext":{"rerank":{"window":1}}}`},
		{"", `{"query":{"knn":{"field":"v","query_vector_builder":{"embedding":{"input":["a"]}}}},"sort":[{"_score":{"order":"desc"}}],"rescore":[{}]}`},
		{"source=%7B%22_source%22:false%7D", ""},
		{"", `{"query":{"wrapper":{"query":"eyJtYXRjaCI6eyJhIjoiYiJ9fQ=="}},"fields":[1,{"field":"a*"}],"_source":[]}`},
		{"", `{"query":{"span_near":{"clauses":[{"span_term":{"a":"b"}}]},"intervals":{"a":{"any_of":{"intervals":[{}]}}}}}`},
		{"%", `[`},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, rawQuery string, body []byte) {
		before := bytes.Clone(body)
		r, err := Parse(rawQuery, body)
		if err != nil {
			return
		}
		taken := false
		for _, leaf := range r.WordsWhy() {
			taken = taken || leaf.Taken
			if leaf.Taken == (leaf.Why != "") {
				t.Errorf("%+v is both taken and not", leaf)
			}
		}
		if taken != (r.Words() != "") {
			t.Errorf("words %q, taken %t", r.Words(), taken)
		}
		_, _ = r.Overrides()
		_, original := r.Original()
		w, err := r.Widen(Need{Window: 20, Fields: []string{"title", "a\"b"}, Widen: true})
		if !bytes.Equal(body, before) {
			t.Fatalf("the body became %q", body)
		}
		if err != nil || r.Size() > 1<<20 || r.From() > 1<<20 {
			return
		}
		for _, made := range [][]byte{original, w.Body} {
			if len(bytes.TrimSpace(made)) > 0 && len(bytes.TrimSpace(body)) > 0 && json.Valid(body) && !json.Valid(made) {
				t.Fatalf("%q became %q", body, made)
			}
		}
		again, err := Parse(w.RawQuery, w.Body)
		if err != nil {
			t.Fatalf("%q %q became %q %q: %v", rawQuery, body, w.RawQuery, w.Body, err)
		}
		from, size := 0, max(w.Window, r.From()+r.Size())
		if r.limit > 0 {
			size = min(size, r.limit)
		}
		if r.fixed != "" || r.paged != "" {
			from, size = r.From(), r.Size()
		}
		if again.From() != from || again.Size() != size {
			t.Errorf("%q %q became %q %q: from %d size %d", rawQuery, body, w.RawQuery, w.Body, again.From(), again.Size())
		}
	})
}

// FuzzWiden: whatever a search says and whatever is needed of it, no edits overlap, what is written is JSON where the search was, reading it
// again gives the page that was asked for and the fields, and a search that says nothing to us stays as it is.
func FuzzWiden(f *testing.F) {
	for _, seed := range []struct{ rawQuery, body string }{
		{"q=a:b&size=3;from=1", ""},
		{"source=%7B%22_source%22:false%7D&source_content_type=application/json", ""},
		{"", ` { "size" : 5 , "from":2, "fields":[ ] , "_source":["n"], "ext" : {"rerank":{"window":1}, "ubi":{}} } `},
		{"", `{"ext":{"rerank":{"query_context":{"query_text":"a"},"mode":"on"}},"runtime_mappings":{"title":{}}}`},
		{"", `{"from":8,"size":10,"retriever":{"rrf":{"retrievers":[{"standard":{}}],"rank_window_size":12}}}`},
		{"", `{"query":{"hybrid":{"queries":[],"pagination_depth":30}},"rank":{"rrf":{}},"explain":true}`},
		{"size=2", reranked(`"filter":[{}],"retriever":{"standard":{"query":{"match":{"a":"b"}},"filter":{},"min_score":1,"collapse":{"field":"c"}}}`+readsTitle, `,"from":3`)},
		{"", reranked(`"filter":{},"retriever":{"knn":{"field":"v","k":30,"num_candidates":40,"filter":[{}]}},"rank_window_size":20`+readsTitle, `,"_source":false`)},
		{"", reranked(`"filter":{},"retriever":{"rescorer":{"retriever":{"standard":{}},"rescore":{"window_size":30}}}`+readsTitle, "")},
	} {
		f.Add(seed.rawQuery, []byte(seed.body), 20, true, true)
	}
	f.Fuzz(func(t *testing.T, rawQuery string, body []byte, window int, widen, emulate bool) {
		r, err := Parse(rawQuery, body)
		if err != nil || r.Size() > 1<<20 || r.From() > 1<<20 {
			return
		}
		before := bytes.Clone(body)
		if r.root.get("ext").get("rerank") == nil {
			for _, same := range []func() (string, []byte){r.Original, r.Plain} {
				if query, sent := same(); query != rawQuery || !bytes.Equal(sent, body) {
					t.Fatalf("%q %q became %q %q", rawQuery, body, query, sent)
				}
			}
		}
		need := Need{Window: window%1000 + 1, Fields: []string{"title", "a\"b"}, Unsourced: []string{"a\"b"}, Widen: widen, Emulate: emulate}
		if need.Window < 1 {
			need.Window = 1
		}
		w, err := r.Widen(need)
		if !bytes.Equal(body, before) {
			t.Fatalf("the body became %q", body)
		}
		if err != nil {
			return
		}
		if json.Valid(r.json) && len(w.Body) > 0 && !json.Valid(w.Body) {
			t.Fatalf("%q became %q", body, w.Body)
		}
		again, err := Parse(w.RawQuery, w.Body)
		if err != nil {
			t.Fatalf("%q %q became %q %q: %v", rawQuery, body, w.RawQuery, w.Body, err)
		}
		from, size := r.From(), r.Size()
		switch {
		case emulate && r.Reranker() != nil:
			if from, size = 0, r.Reranker().Window; r.Size() == 0 || r.From() >= r.Reranker().Window {
				size = 0
			}
			if again.Reranker() != nil {
				t.Errorf("%q became %q, with the reranker in it", body, w.Body)
			}
		case widen && r.fixed == "" && r.paged == "":
			if from, size = 0, max(w.Window, r.From()+r.Size()); r.limit > 0 {
				size = min(size, r.limit)
			}
		}
		if again.From() != from || again.Size() != size {
			t.Errorf("%q %q became %q %q: from %d size %d, want %d %d", rawQuery, body, w.RawQuery, w.Body, again.From(), again.Size(), from, size)
		}
		if w.Window > need.Window || w.Window > max(r.Window(need.Window), need.Window) || w.Window < 0 {
			t.Errorf("%q %q: window %d of %d", rawQuery, body, w.Window, need.Window)
		}
		if ext := again.root.get("ext"); ext.get("rerank") != nil || ext.get("ubi") != nil {
			t.Errorf("%q became %q, with what is ours in it", body, w.Body)
		}
		for _, field := range w.added {
			if field != "title" && field != "a\"b" {
				continue // a reranker's own
			}
			if !matches(again.asked, field) {
				t.Errorf("%q became %q, which does not ask for %q", body, w.Body, field)
			}
		}
	})
}

// Elasticsearch 8.19 shows in the hits of a top_hits aggregation the fields that the search asks for, where nobody would take them out.
func TestWidenBesideTopHits(t *testing.T) {
	const aggs = `"aggs":{"c":{"terms":{"field":"c"},"aggs":{"best":{"top_hits":{}}}}}`
	need := Need{Window: 30, Fields: []string{"title"}, Widen: true}
	for body, fails := range map[string]bool{
		`{"query":{"match":{"title":"red shoes"}},"_source":["price"],` + aggs + `}`:                          true,
		`{"query":{"match":{"title":"red shoes"}},` + aggs + `}`:                                              false,
		`{"query":{"match":{"title":"red shoes"}},"_source":false,"fields":["title"],` + aggs + `}`:           false,
		`{"query":{"match":{"title":"red shoes"}},"_source":false,"aggs":{"top_hits":{"max":{"field":"n"}}}}`: true, // a name: let through by nobody, and rare
	} {
		if _, err := mustParse(t, "", body).Widen(need); (err != nil) != fails {
			t.Errorf("%s: got error %v, want one: %t", body, err, fails)
		}
	}
}
