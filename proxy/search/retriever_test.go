package search

import "testing"

func TestRetriever(t *testing.T) {
	const standard = `{"standard":{"query":{"match":{"title":"red shoes"}}}}`
	const knn = `{"knn":{"field":"v","query_vector":[1],"k":30,"num_candidates":90}}`
	for _, test := range []struct {
		name, body string
		want       Reason
		window     int // of 50
	}{
		{"standard", `{"retriever":` + standard + `}`, "", 50},
		{"knn", `{"retriever":` + knn + `}`, "", 30},
		{"knn without k", `{"retriever":{"knn":{"field":"v","query_vector":[1]}}}`, "", 10},
		{"rrf", `{"retriever":{"rrf":{"retrievers":[` + standard + `,` + knn + `],"rank_window_size":40,"rank_constant":60}}}`, "", 40},
		{"rrf, as many as there are by default", `{"retriever":{"rrf":{"retrievers":[` + standard + `]}}}`, "", 10},
		{"rrf, weighted", `{"retriever":{"rrf":{"retrievers":[{"retriever":` + standard + `,"weight":2}],"rank_window_size":"20"}}}`, "", 20},
		{"rrf, simplified", `{"retriever":{"rrf":{"query":"red shoes","fields":["title"]}}}`, "", 10},
		{"linear", `{"retriever":{"linear":{"retrievers":[{"retriever":` + knn + `,"weight":1.5,"normalizer":"minmax"}],"rank_window_size":60}}}`, "", 50},
		{"rule", `{"retriever":{"rule":{"retriever":` + standard + `,"ruleset_ids":["r"],"match_criteria":{"user_query":"x"},"rank_window_size":30}}}`, "", 30},
		{"pinned", `{"retriever":{"pinned":{"retriever":` + standard + `,"ids":["1"]}}}`, "", 10},
		{"diversify", `{"retriever":{"diversify":{"type":"mmr","field":"v","retriever":` + standard + `,"lambda":0.5,"rank_window_size":20}}}`, "", 20},
		{"rescorer", `{"retriever":{"rescorer":{"retriever":` + standard + `,"rescore":[{"window_size":30},{"window_size":20}]}}}`, "", 20},
		{"the outermost counts", `{"retriever":{"rescorer":{"retriever":{"rrf":{"retrievers":[` + standard + `],"rank_window_size":40}},"rescore":{"window_size":30}}}}`, "", 30},
		{"a filter, a name and a least score", `{"retriever":{"rrf":{"retrievers":[],"filter":[],"_name":"n","min_score":1}}}`, "", 10},
		{"k that follows the page", `{"retriever":{"rrf":{"retrievers":[{"standard":{"query":{"knn":{"field":"v","query_vector":[1]}}}}],"rank_window_size":20}},"size":5}`, "", 5},
		{"no size, later", `{"from":5,"retriever":{"rrf":{"retrievers":[],"rank_window_size":20}}}`, "", 0},
		{"a size, later", `{"from":5,"size":5,"retriever":{"rrf":{"retrievers":[],"rank_window_size":20}}}`, "", 20},
		{"no size, and a window smaller than a page", `{"retriever":{"rrf":{"retrievers":[],"rank_window_size":5}}}`, "", 5},

		{"a page of more than the window", `{"size":11,"retriever":{"rrf":{"retrievers":[]}}}`, Unsupported, 0},
		{"a window that is no number", `{"retriever":{"rrf":{"retrievers":[],"rank_window_size":true}}}`, Unsupported, 0},
		{"a rescorer without rescore", `{"retriever":{"rescorer":{"retriever":` + standard + `}}}`, Unsupported, 0},
		{"a reranker", `{"retriever":{"text_similarity_reranker":{"retriever":` + standard + `,"field":"t","inference_text":"x"}}}`, Unsupported, 0},
		{"a reranker within", `{"retriever":{"rrf":{"retrievers":[{"text_similarity_reranker":{"retriever":` + standard + `,"field":"t","inference_text":"x"}}]}}}`, Unsupported, 0},
		{"unknown", `{"retriever":{"quantum":{}}}`, Unsupported, 0},
		{"unknown within", `{"retriever":{"pinned":{"retriever":{"quantum":{}}}}}`, Unsupported, 0},
		{"an unknown option within", `{"retriever":{"linear":{"retrievers":[{"retriever":{"standard":{"quantum":1}}}]}}}`, Unsupported, 0},
		{"sorted within", `{"retriever":{"rrf":{"retrievers":[{"standard":{"sort":["price"]}}]}}}`, Sort, 0},
		{"after within", `{"retriever":{"rrf":{"retrievers":[{"standard":{"search_after":[1]}}]}}}`, SearchAfter, 0},
		{"none", `{"retriever":{}}`, MalformedRequest, 0},
		{"two", `{"retriever":{"standard":{},"knn":{}}}`, MalformedRequest, 0},
		{"none within", `{"retriever":{"pinned":{"retriever":[]}}}`, MalformedRequest, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := mustParse(t, "", test.body)
			if got, detail := r.Pass(); got != test.want {
				t.Fatalf("got %q (%s), want %q", got, detail, test.want)
			}
			if got := r.Window(50); test.want == "" && got != test.window {
				t.Errorf("window: got %d, want %d", got, test.window)
			}
		})
	}
}

func TestDear(t *testing.T) {
	for _, test := range []struct{ rawQuery, body, want string }{
		{"", `{"query":{"match":{"title":"red"}},"aggs":{"a":{"top_hits":{"highlight":{}}}},"docvalue_fields":["n"]}`, ""},
		{"", "", ""},
		{"", `{"highlight":{"fields":{"title":{}}}}`, "highlight"},
		{"", `{"script_fields":{"x":{"script":"1"}}}`, "script_fields"},
		{"explain", "", "explain"},
		{"explain=true", "", "explain"},
		{"explain=false", `{"explain":true}`, ""},
		{"", `{"explain":true}`, "explain"},
		{"", `{"explain":false}`, ""},
		{"", `{"collapse":{"field":"c","inner_hits":[{"name":"x"}]}}`, "inner_hits"},
		{"", `{"query":{"bool":{"should":[{"nested":{"path":"u","query":{},"inner_hits":{}}}]}}}`, "inner_hits"},
		{"", `{"knn":[{"field":"v","inner_hits":{}}]}`, "inner_hits"},
		{"", `{"retriever":{"rrf":{"retrievers":[{"standard":{"query":{"has_child":{"inner_hits":{}}}}}]}}}`, "inner_hits"},
	} {
		if got := mustParse(t, test.rawQuery, test.body).Dear(); got != test.want {
			t.Errorf("%q %s: got %q, want %q", test.rawQuery, test.body, got, test.want)
		}
	}
}
