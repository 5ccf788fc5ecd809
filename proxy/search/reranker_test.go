package search

import (
	"math"
	"strings"
	"testing"
)

// reranked returns a search by a reranker with those members, and those of the body.
func reranked(members, beside string) string {
	return `{"retriever":{"text_similarity_reranker":{` + members + `}}` + beside + `}`
}

const readsTitle = `,"field":"title","inference_text":"red shoes"`

func TestReranker(t *testing.T) {
	r := mustParse(t, "", reranked(`"retriever":{"standard":{}},"field":"title","inference_text":"red shoes","inference_id":"m","rank_window_size":30,
		"min_score":"0.5","allow_rerank_failures":true,"chunk_rescorer":{"size":3,"chunking_settings":{}}`, ""))
	k := r.Reranker()
	if k == nil || k.Refusal() != nil {
		t.Fatalf("got %+v", k)
	}
	if reason, detail := k.Pass(); reason != "" {
		t.Errorf("got to pass: %s %s", reason, detail)
	}
	if k.Field != "title" || k.InferenceText != "red shoes" || k.InferenceID != "m" || k.Window != 30 || k.MinScore != 0.5 || !k.AllowFailures || k.Chunks != 3 {
		t.Errorf("got %+v", k)
	}
	k = mustParse(t, "", reranked(`"retriever":{"standard":{}}`+readsTitle, "")).Reranker()
	if k.InferenceID != "" || k.Window != 10 || !math.IsNaN(k.MinScore) || k.AllowFailures || k.Chunks != 0 {
		t.Errorf("by default: got %+v", k)
	}
	for _, body := range []string{`{}`, `{"retriever":{"standard":{}}}`, `{"retriever":7}`, `{"retriever":{"text_similarity_reranker":7}}`} {
		if k := mustParse(t, "", body).Reranker(); k != nil {
			t.Errorf("%s: got %+v", body, k)
		}
	}
	if _, err := mustParse(t, "", reranked("", "")).Widen(Need{Emulate: true}); err == nil {
		t.Error("emulated what is refused")
	}
}

// What Elasticsearch 8.19 says in these cases. Where it has no text_similarity_reranker, its rescorer retriever was asked, which shares the
// code; the live test compares what it can.
func TestRerankerRefusal(t *testing.T) {
	const standard = `"retriever":{"standard":{}}`
	parsing := func(reason string) string {
		return `{"error":{"root_cause":[{"type":"x_content_parse_exception","reason":"` + reason + `"}],"type":"x_content_parse_exception","reason":"` + reason + `"},"status":400}`
	}
	illegal := func(reason string) string {
		return `{"error":{"root_cause":[{"type":"illegal_argument_exception","reason":"` + reason + `"}],"type":"illegal_argument_exception","reason":"` + reason + `"},"status":400}`
	}
	invalid := func(reason string) string {
		reason = "Validation Failed: " + reason
		return `{"error":{"root_cause":[{"type":"action_request_validation_exception","reason":"` + reason + `"}],"type":"action_request_validation_exception","reason":"` + reason + `"},"status":400}`
	}
	within := func(at, kind, root, cause string) string {
		return `{"error":{"root_cause":[` + root + `],"type":"x_content_parse_exception","reason":"[` + at + `] [text_similarity_reranker] failed to parse field [retriever]",` +
			`"caused_by":{"type":"x_content_parse_exception","reason":"[` + at + `] [retriever] failed to parse field [` + kind + `]","caused_by":` + cause + `}},"status":400}`
	}
	for _, test := range []struct{ name, rawQuery, body, want string }{
		{"unknown", "", reranked(`"foo":1,`+standard+readsTitle, ""), parsing("[1:43] [text_similarity_reranker] unknown field [foo]")},
		{"unknown, after line ends", "", reranked("\r\n \"inference_text\":\"é\",\"foo\":1,"+standard, ""), parsing("[2:24] [text_similarity_reranker] unknown field [foo]")},
		{"nearly known", "", reranked(`"fields":1`, ""), parsing("[1:43] [text_similarity_reranker] unknown field [fields] did you mean [field]?")},
		{"nearly two known", "", reranked(`"inference_tid":1`, ""), parsing("[1:43] [text_similarity_reranker] unknown field [inference_tid] did you mean any of [inference_id, inference_text]?")},
		{"another kind of value", "", reranked(`"field":["a"]`, ""), parsing("[1:51] [text_similarity_reranker] field doesn't support values of type: START_ARRAY")},
		{"null", "", reranked(`"min_score":null`, ""), parsing("[1:55] [text_similarity_reranker] min_score doesn't support values of type: VALUE_NULL")},
		{"no number", "", reranked(`"rank_window_size":"x"`, ""), `{"error":{"root_cause":[{"type":"x_content_parse_exception","reason":"[1:62] [text_similarity_reranker] failed to parse field [rank_window_size]"}],` +
			`"type":"x_content_parse_exception","reason":"[1:62] [text_similarity_reranker] failed to parse field [rank_window_size]",` +
			`"caused_by":{"type":"number_format_exception","reason":"For input string: \"x\""}},"status":400}`},
		{"all missing", "", reranked("", ""), illegal("Required [retriever, inference_text, field]")},
		{"one missing", "", reranked(standard+`,"field":"t"`, ""), illegal("Required [inference_text]")},
		{"the first fault counts", "", reranked(`"foo":1,"bar":2`, `,"query":{}`), parsing("[1:43] [text_similarity_reranker] unknown field [foo]")},

		{"unknown within", "", reranked(`"retriever":{"standard":{"foo":1}}`, ""),
			within("1:74", "standard", `{"type":"x_content_parse_exception","reason":"[1:68] [standard] unknown field [foo]"}`, `{"type":"x_content_parse_exception","reason":"[1:68] [standard] unknown field [foo]"}`)},
		{"missing within", "", reranked(`"retriever":{"knn":{"k":1}}`, ""),
			within("1:68", "knn", `{"type":"x_content_parse_exception","reason":"[1:68] [retriever] failed to parse field [knn]"}`, `{"type":"illegal_argument_exception","reason":"Required [field, num_candidates]"}`)},
		{"empty within", "", reranked(`"retriever":{}`, ""),
			within("1:56", "retriever", `{"type":"named_object_not_found_exception","reason":"[1:56] unknown field [retriever]"}`, `{"type":"named_object_not_found_exception","reason":"[1:56] unknown field [retriever]"}`)},
		{"two within", "", reranked(`"retriever":{"standard":{},"knn":{}}`, ""), parsing("[1:70] parser for [retriever] did not end on END_OBJECT")},

		{"a page of more than the window", "", reranked(standard+readsTitle, `,"size":11`), invalid("1: [text_similarity_reranker] requires [rank_window_size: 10] be greater than or equal to [size: 11];")},
		{"scroll", "scroll=1m", reranked(standard+readsTitle, `,"from":1`), invalid("1: cannot specify [text_similarity_reranker] and [scroll];2: using [from] is not allowed in a scroll context;")},
		{"beside others", "q=a&terminate_after=1&sort=b", reranked(standard+readsTitle, `,"knn":{},"search_after":[1],"rank":{},"rescore":[]`),
			invalid("1: cannot specify [retriever] and [query, knn, search_after, terminate_after, sort, rank, rescore];")},
		{"beside one, in the body", "", reranked(standard+readsTitle, `,"query":{"match_all":{}},"terminate_after":0,"knn":[]`), invalid("1: cannot specify [retriever] and [query];")},
		{"several faults", "scroll=1m", reranked(standard+readsTitle, `,"size":20,"query":{}`), invalid("1: [text_similarity_reranker] requires [rank_window_size: 10] be greater than or equal to [size: 20];" +
			"2: cannot specify [text_similarity_reranker] and [scroll];3: cannot specify [retriever] and [query];")},
		{"a child of less", "", reranked(`"retriever":{"rescorer":{"retriever":{"standard":{}},"rescore":{"window_size":5}}},"rank_window_size":12`+readsTitle, ""),
			invalid("1: [text_similarity_reranker] requires [rank_window_size: 12] to be smaller than or equal to its sub retriever's rescorer [window_size: 5];")},
		{"a child that stops", "", reranked(`"retriever":{"standard":{"terminate_after":3}}`+readsTitle, ""), illegal("[terminate_after] cannot be used in children of compound retrievers")},
		{"a child that goes on", "", reranked(`"retriever":{"standard":{"search_after":[3],"sort":["n"]}}`+readsTitle, ""), illegal("[search_after] cannot be used in children of compound retrievers")},
		{"no chunks", "", reranked(standard+readsTitle+`,"chunk_rescorer":{"size":0}`, ""), illegal("size must be greater than 0, was: 0")},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := mustParse(t, test.rawQuery, test.body)
			refusal := r.Reranker().Refusal()
			if refusal == nil || refusal.Status != 400 {
				t.Fatalf("got %+v, want a refusal", refusal)
			}
			if got := string(refusal.Body()); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if reason, _ := r.Pass(); reason == "" {
				t.Error("and yet it is not to pass")
			}
		})
	}
}

func TestRerankerPass(t *testing.T) {
	const standard = `"retriever":{"standard":{}}` + readsTitle
	for _, test := range []struct {
		name, rawQuery, body string
		want                 Reason
	}{
		{"sorted child", "", reranked(`"retriever":{"standard":{"sort":["n"]}}`+readsTitle, ""), Sort},
		{"a name", "", reranked(standard+`,"_name":"x"`, ""), Unsupported},
		{"a child with a name", "", reranked(`"retriever":{"standard":{"_name":"x"}}`+readsTitle, ""), Unsupported},
		{"a reranker within", "", reranked(`"retriever":{"text_similarity_reranker":{`+standard+`}}`+readsTitle, ""), Unsupported},
		{"an unknown child", "", reranked(`"retriever":{"quantum":{}}`+readsTitle, ""), Unsupported},
		{"an unknown query", "", reranked(`"retriever":{"standard":{"query":{"quantum":{}}}}`+readsTitle, ""), Unsupported},
		{"an unknown option of a compound child", "", reranked(`"retriever":{"rrf":{"quantum":{}}}`+readsTitle, ""), Unsupported},
		{"a fraction of a window", "", reranked(standard+`,"rank_window_size":20.7`, ""), Unsupported},
		{"a child that is no object", "", reranked(`"retriever":{"standard":7}`+readsTitle, ""), MalformedRequest},
		{"neither true nor false", "", reranked(standard+`,"allow_rerank_failures":"maybe"`, ""), MalformedRequest},
		{"collapsed after ranking", "", reranked(standard, `,"collapse":{"field":"c"}`), Unsupported},
		{"filtered after ranking", "", reranked(standard, `,"post_filter":{}`), Unsupported},
		{"a least score after ranking", "", reranked(standard, `,"min_score":1`), Unsupported},
		{"boosted indices", "", reranked(standard, `,"indices_boost":[]`), Unsupported},
		{"dfs", "search_type=dfs_query_then_fetch", reranked(standard, ""), Unsupported},
		{"a pipeline", "search_pipeline=p", reranked(standard, ""), Unsupported},
		{"hybrid", "", reranked(`"retriever":{"standard":{"query":{"hybrid":{"queries":[]}}}}`+readsTitle, ""), Unsupported},
		{"a point in time", "", reranked(standard, `,"pit":{"id":"x"}`), PIT},
		{"no hits wanted", "", reranked(standard, `,"size":0,"aggs":{}`), ""},
		{"query_then_fetch", "search_type=query_then_fetch", reranked(standard, ""), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := mustParse(t, test.rawQuery, test.body)
			k := r.Reranker()
			if k.Refusal() != nil {
				t.Fatalf("refused: %v", k.Refusal())
			}
			if got, detail := k.Pass(); got != test.want {
				t.Errorf("got %q (%s), want %q", got, detail, test.want)
			}
			if _, err := r.Widen(Need{Emulate: true}); (err != nil) != (test.want != "") {
				t.Errorf("widening: %v", err)
			}
		})
	}
}

func TestRerankerWiden(t *testing.T) {
	need := Need{Window: 50, Fields: []string{"title"}, Widen: true, Emulate: true}
	const query = `{"match":{"title":"red"}}`
	const filter = `{"term":{"c":"d"}}`
	for _, test := range []struct {
		name, rawQuery, body string
		wantQuery, wantBody  string
		window, from, size   int
	}{
		{"standard", "", ` { "size" : 3 , "retriever" : {"text_similarity_reranker":{"retriever":{"standard":{"query": ` + query + ` }}` + readsTitle + `}} , "from":2 } `,
			"", ` { "size" : 10 , "query":` + query + ` , "from":0 } `, 10, 2, 3},
		{"no query", "", reranked(`"retriever":{"standard":{}}`+readsTitle, `,"size":10`), "", `{"query":{"match_all":{}},"size":10}`, 10, 0, 10},
		{"a window", "", reranked(`"retriever":{"standard":{}},"rank_window_size":100`+readsTitle, ""), "", `{"size":100,"query":{"match_all":{}}}`, 50, 0, 100},
		{"filters", "", reranked(`"retriever":{"standard":{"query":`+query+`,"filter":[`+filter+`,{}]}},"filter":`+filter+readsTitle, `,"size":10`),
			"", `{"query":{"bool":{"must":[` + query + `],"filter":[` + filter + `,{},` + filter + `]}},"size":10}`, 10, 0, 10},
		{"a filter alone", "", reranked(`"retriever":{"standard":{"filter":`+filter+`}}`+readsTitle, `,"size":10`), "", `{"query":{"bool":{"filter":[` + filter + `]}},"size":10}`, 10, 0, 10},
		{"a least score and groups", "", reranked(`"retriever":{"standard":{"min_score":1.50,"collapse":{"field":"c","inner_hits":{"name":"x"}}}}`+readsTitle, `,"size":10`),
			"", `{"query":{"match_all":{}},"min_score":1.50,"collapse":{"field":"c"},"size":10}`, 10, 0, 10},
		{"knn", "", reranked(`"retriever":{"knn":{"field":"v","query_vector":[1.0,2],"k":5,"num_candidates":9}}`+readsTitle, `,"size":10`),
			"", `{"knn":{"field":"v","query_vector":[1.0,2],"k":5,"num_candidates":9},"size":10}`, 10, 0, 10},
		{"knn, filtered", "", reranked(`"retriever":{"knn":{"field":"v","query_vector":[1],"k":5,"num_candidates":9}},"filter":[`+filter+`]`+readsTitle, `,"size":10`),
			"", `{"knn":{"filter":[` + filter + `],"field":"v","query_vector":[1],"k":5,"num_candidates":9},"size":10}`, 10, 0, 10},
		{"knn, filtered twice", "", reranked(`"filter":{},"retriever":{"knn":{"field":"v","filter":`+filter+`,"query_vector":[1],"k":5,"num_candidates":9}}`+readsTitle, `,"size":10`),
			"", `{"knn":{"field":"v","filter":[` + filter + `,{}],"query_vector":[1],"k":5,"num_candidates":9},"size":10}`, 10, 0, 10},
		{"compound", "", reranked(`"retriever":{"rrf":{"retrievers":[{"standard":{}}],"rank_window_size":20}},"filter":`+filter+readsTitle, `,"size":10`),
			"", `{"retriever":{"rrf":{"filter":[` + filter + `],"retrievers":[{"standard":{}}],"rank_window_size":20}},"size":10}`, 10, 0, 10},
		{"k that follows the window", "", reranked(`"retriever":{"standard":{"query":{"semantic":{"field":"s","query":"red"}}}},"rank_window_size":30`+readsTitle, `,"size":2`),
			"", `{"query":{"semantic":{"field":"s","query":"red"}},"size":30}`, 30, 0, 2},
		{"a page over the end", "", reranked(`"retriever":{"standard":{}}`+readsTitle, `,"from":8`), "", `{"query":{"match_all":{}},"from":0}`, 10, 8, 10},
		{"a page beyond the end", "", reranked(`"retriever":{"standard":{}}`+readsTitle, `,"from":10,"size":5`), "", `{"query":{"match_all":{}},"from":0,"size":0}`, 0, 10, 5},
		{"no hits wanted", "", reranked(`"retriever":{"standard":{}}`+readsTitle, `,"size":0,"aggs":{}`), "", `{"query":{"match_all":{}},"size":0,"aggs":{}}`, 0, 0, 0},
		{"fields", "pretty", reranked(`"retriever":{"standard":{}}`+readsTitle, `,"size":10,"_source":false,"ext":{"rerank":{"window":3}}`), "pretty", `{"fields":["title"],"query":{"match_all":{}},"size":10,"_source":false}`, 10, 0, 10},
		{"in the url", "pretty&size=2&source=%7B%22retriever%22:%7B%22text_similarity_reranker%22:%7B%22retriever%22:%7B%22standard%22:%7B%7D%7D,%22field%22:%22title%22,%22inference_text%22:%22x%22%7D%7D%7D&source_content_type=application/json", "",
			"pretty&size=10", `{"query":{"match_all":{}}}`, 10, 0, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := strings.Clone(test.body)
			r := mustParse(t, test.rawQuery, test.body)
			if reason, detail := r.Reranker().Pass(); reason != "" || r.Reranker().Refusal() != nil {
				t.Fatalf("passed: %s %s, refused: %v", reason, detail, r.Reranker().Refusal())
			}
			w, err := r.Widen(need)
			if err != nil {
				t.Fatal(err)
			}
			if w.RawQuery != test.wantQuery || string(w.Body) != test.wantBody {
				t.Errorf("got  %q %s\nwant %q %s", w.RawQuery, w.Body, test.wantQuery, test.wantBody)
			}
			if w.Window != test.window || w.From != test.from || w.Size != test.size || !w.Changed || !w.Enlarged {
				t.Errorf("got %+v", w)
			}
			if (w.ContentType != "") != (test.body == "") {
				t.Errorf("content type %q", w.ContentType)
			}
			if test.body != before {
				t.Errorf("the client's body became %s", test.body)
			}
		})
	}
}
