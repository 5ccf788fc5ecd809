package search

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The cases were tried on OpenSearch 2.19 and Elasticsearch 8.19: what is an error here is a 400 there.
func TestPage(t *testing.T) {
	for _, test := range []struct {
		name, rawQuery, body string
		from, size           int
		err                  string
	}{
		{"defaults", "", "", 0, 10, ""},
		{"body", "", `{"from":5,"size":20}`, 5, 20, ""},
		{"url", "from=5&size=20", "", 5, 20, ""},
		{"the url wins", "size=3", `{"from":5,"size":20}`, 5, 3, ""},
		{"the last of two in the url wins", "size=3&size=4", "", 0, 4, ""},
		{"semicolons part parameters", "size=3;from=1", "", 1, 3, ""},
		{"escaped", "%73ize=%2B3", "", 0, 3, ""},
		{"strings", "", `{"from":"5","size":"20"}`, 5, 20, ""},
		{"escaped name", "", `{"\u0073ize":7}`, 0, 7, ""},
		{"source parameter", "source=%7B%22size%22:4%7D&source_content_type=application/json", "", 0, 4, ""},

		{"null", "", `{"size":null}`, 0, 0, "no count"},
		{"negative", "", `{"size":-1}`, 0, 0, "no count"},
		{"fraction", "", `{"size":1.5}`, 0, 0, "no count"}, // taken for 1 by the clusters; not ours to imitate
		{"too large", "size=99999999999", "", 0, 0, "no count"},
		{"empty in the url", "size=", `{"size":1}`, 0, 0, "no count"},
		{"twice in the body", "", `{"size":1,"size":2}`, 0, 0, "duplicate"},
		{"twice in the body, spelled otherwise", "", `{"size":1,"\u0073ize":2}`, 0, 0, "duplicate"},
		{"white space", "q=a", " \n", 0, 0, "reading the body"}, // an error for the clusters, unless it is dropped on the way
		{"empty source", "q=a&source=&source_content_type=application/json", "", 0, 0, "reading the body"},
		{"not JSON", "", `{"size":1,}`, 0, 0, "reading the body"},
		{"YAML", "", "size: 1\n", 0, 0, "reading the body"},
		{"more than JSON", "", `{"size":1} x`, 0, 0, "reading the body"},
		{"an array", "", `[]`, 0, 0, "not an object"},
		{"deep", "", strings.Repeat(`{"a":`, 5000), 0, 0, "levels deep"},
		{"many values", "", `{"a":[` + strings.Repeat(`"",`, maxNodes) + `""]}`, 0, 0, "values"},
		{"broken escape", "size=%zz", "", 0, 0, "query string"},
		{"source and body", "source=%7B%7D&source_content_type=application/json", "{}", 0, 0, "another"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var body []byte
			if test.body != "" {
				body = []byte(test.body)
			}
			r, err := Parse(test.rawQuery, body)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got error %v, want %q in it", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.From() != test.from || r.Size() != test.size {
				t.Errorf("got from %d size %d, want %d %d", r.From(), r.Size(), test.from, test.size)
			}
		})
	}
}

func TestPass(t *testing.T) {
	for _, test := range []struct {
		name, rawQuery, body string
		want                 Reason
	}{
		{"everything that may be reranked", "preference=x&routing=y&pretty&human&typed_keys&rest_total_hits_as_int=true&error_trace&timeout=1s&track_total_hits=true",
			`{"track_total_hits":false,"aggs":{},"highlight":{},"suggest":{},"post_filter":{},"collapse":{"field":"c"},"version":true,"profile":true,
			"min_score":1,"stored_fields":[],"docvalue_fields":[],"script_fields":{},"runtime_mappings":{},"indices_boost":[],"track_scores":true,
			"terminate_after":1,"timeout":"1s","stats":[],"_source":false,"fields":["a"],"seq_no_primary_term":true,"explain":false}`, ""},
		{"sort by score", "", `{"sort":"_score"}`, ""},
		{"sort by score, in an array", "", `{"sort":["_score"]}`, ""},
		{"sort by score, falling", "", `{"sort":{"_score":"DESC"}}`, ""},
		{"sort by score, long", "", `{"sort":[{"_score":{"order":"desc"}}]}`, ""},
		{"sort by score, no options", "", `{"sort":[{"_score":{}}]}`, ""},
		{"sort by nothing", "", `{"sort":[]}`, ""},
		{"sort by score, url", "sort=_score:desc", "", ""},
		{"sort by a field", "", `{"sort":"price"}`, Sort},
		{"sort by score, rising", "", `{"sort":{"_score":"asc"}}`, Sort},
		{"sort by score, rising, long", "", `{"sort":[{"_score":{"order":"asc"}}]}`, Sort},
		{"sort by a field, long", "", `{"sort":[{"price":{"order":"desc","missing":"_last"}}]}`, Sort},
		{"sort by score, then a field", "", `{"sort":["_score",{"id":"asc"}]}`, Sort},
		{"sort by score, spelled as in urls", "", `{"sort":"_score:desc"}`, ""}, // a 400, or a field of that name
		{"sort by a field, url", "sort=price:asc", "", Sort},
		{"sort of the url comes after the body's", "sort=_score", `{"sort":"price"}`, Sort},
		{"sort by score, twice", "sort=_score", `{"sort":"_score"}`, Sort},
		{"search_after", "", `{"search_after":[1],"sort":"_score"}`, SearchAfter},
		{"scroll", "scroll=1m", "", Scroll},
		{"pit", "", `{"pit":{"id":"x"}}`, PIT},
		{"slice", "", `{"slice":{"id":0,"max":2}}`, PIT},
		{"size 0", "size=0", "", SizeZero},
		{"aggregations alone", "", `{"size":0,"aggs":{"a":{}}}`, AggregationOnly},
		{"yaml", "format=yaml", "", Format},
		{"json", "format=json", "", ""},
		{"filter_path that lets hits through", "filter_path=hits", "", ""},
		{"filter_path within hits", "filter_path=took,**._id", "", ""},
		{"empty filter_path", "filter_path=", "", ""},
		{"filter_path without hits", "filter_path=took,hits.total", "", Format},
		{"filter_path that excludes hits", "filter_path=-hits", "", Format},
		{"the last of two", "filter_path=hits&filter_path=took", "", Format},
		{"filter_path that engines read otherwise", "filter_path=hits..hits", "", Format},
		{"cbor source", "source=%7B%7D&source_content_type=application/cbor", "", Format},
		{"source of no type", "source=%7B%7D", "", MalformedRequest}, // an error, unless its text moves to the body
		{"explain", "explain", `{"explain":true}`, ""},
		{"rank by rrf", "", `{"rank":{"rrf":{"rank_window_size":20}},"sub_searches":[{"query":{}}]}`, ""},
		{"rank by something else", "", `{"rank":{"quantum":{}}}`, Unsupported},
		{"standard retriever", "", `{"retriever":{"standard":{"query":{"match_all":{}},"min_score":1}}}`, ""},
		{"standard retriever, sorted", "", `{"retriever":{"standard":{"sort":["price"]}}}`, Sort},
		{"standard retriever, after", "", `{"retriever":{"standard":{"search_after":[1]}}}`, SearchAfter},
		{"stored_fields _none_", "", `{"stored_fields":"_none_"}`, Unsupported},
		{"stored_fields _none_, url", "stored_fields=_none_", "", Unsupported},
		{"unknown member", "", `{"quantum":true}`, Unsupported},
		{"unknown parameter", "quantum=true", "", Unsupported},
		{"indices in the url", "index=other", "", Unsupported},
		{"unknown query", "", `{"query":{"bool":{"filter":{"quantum":{}}}}}`, Unsupported},
		{"unknown extension", "", `{"ext":{"quantum":{}}}`, Unsupported},
		{"an extension by which an answer is generated", "", `{"ext":{"generative_qa_parameters":{}}}`, Unsupported},
		{"extensions by which the order is another", "", `{"ext":{"mmr":{}}}`, Unsupported},
		{"extensions that add to the hits", "", `{"ext":{"ltr_log":{},"ml_inference":{},"ubi":{}}}`, ""},
		{"a pipeline that reranks", "search_pipeline=p", `{"ext":{"rerank":{"query_context":{"query_text":"x1"}}}}`, Unsupported},
		{"unusual search type", "search_type=count", "", Unsupported},
		{"known search type", "search_type=dfs_query_then_fetch", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, detail := mustParse(t, test.rawQuery, test.body).Pass(); got != test.want {
				t.Errorf("got %q (%s), want %q", got, detail, test.want)
			}
		})
	}
}

func TestReasonsAreDistinct(t *testing.T) {
	seen := map[Reason]bool{}
	for _, reason := range Reasons() {
		if reason == "" || seen[reason] {
			t.Errorf("%q is empty or there twice", reason)
		}
		seen[reason] = true
	}
}

func TestWindow(t *testing.T) {
	for _, test := range []struct {
		name, rawQuery, body string
		want                 int // of 50
	}{
		{"plain", "", `{"size":10}`, 50},
		{"rescored", "", `{"rescore":{"window_size":30}}`, 30},
		{"rescored twice", "", `{"rescore":[{"window_size":30},{"window_size":20}]}`, 20},
		{"rescored by default", "", `{"rescore":{"query":{}}}`, 10},
		{"hybrid", "", `{"size":20,"query":{"hybrid":{"queries":[]}}}`, 20},
		{"hybrid, second page", "", `{"size":20,"from":10,"query":{"hybrid":{"queries":[]}}}`, 0},
		{"hybrid, deep", "", `{"size":20,"query":{"hybrid":{"queries":[],"pagination_depth":30}}}`, 30},
		{"hybrid, deep, second page", "", `{"size":20,"from":10,"query":{"hybrid":{"queries":[],"pagination_depth":"30"}}}`, 30},
		{"hybrid, not deep enough for the page", "", `{"size":20,"from":11,"query":{"hybrid":{"queries":[],"pagination_depth":30}}}`, 0},
		{"hybrid, deep, in a pipeline", "search_pipeline=p", `{"size":20,"query":{"hybrid":{"queries":[],"pagination_depth":30}}}`, 20},
		{"rank", "", `{"size":5,"rank":{"rrf":{"window_size":40}}}`, 5},
		{"rank, second page", "", `{"from":5,"size":5,"rank":{"rrf":{}}}`, 0},
		{"sub_searches", "", `{"size":5,"sub_searches":[]}`, 5},
		{"an extension that logs", "", `{"size":5,"ext":{"ltr_log":{}}}`, 5},
		{"pipeline", "search_pipeline=p", "", 10},
		{"pipeline, body", "", `{"search_pipeline":{"response_processors":[]}}`, 10},
		{"no pipeline", "search_pipeline=_none", "", 50},
		{"semantic", "", `{"query":{"semantic":{"field":"f","query":"x1"}}}`, 10},
		{"knn without k", "", `{"knn":{"field":"v","query_vector":[1]}}`, 10},
		{"knn with k", "", `{"knn":{"field":"v","query_vector":[1],"k":5}}`, 50},
		{"knn without k in a filter", "", `{"query":{"bool":{"filter":{"knn":{"field":"v","query_vector":[1]}}}}}`, 10},
		{"OpenSearch's knn", "", `{"query":{"knn":{"v":{"vector":[1],"k":5}}}}`, 50},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := mustParse(t, test.rawQuery, test.body).Window(50); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestOverrides(t *testing.T) {
	for _, test := range []struct {
		ext  string
		want Override
		err  string
	}{
		{`"off"`, Override{Mode: "off"}, ""},
		{`false`, Override{Mode: "off"}, ""},
		{`true`, Override{Mode: "on"}, ""},
		{`{}`, Override{}, ""},
		{`{"mode":"on","query":"red shoes","window":20}`, Override{"on", "red shoes", 20}, ""},
		{`{"query_context":{"query_text":"red"}}`, Override{Query: "red"}, ""},
		{`{"query_context":{"query_text":"red"},"query":"blue"}`, Override{Query: "blue"}, ""},
		{`{"query_context":{"query_text_path":"query.bool.must.0.match.t.query"}}`, Override{Query: "a shoe"}, ""},
		{`{"query_context":{"query_text_path":"query.bool.filter.1.term.c"}}`, Override{Query: "d"}, ""},
		{`{"query_context":[]}`, Override{}, "query_context must be a map"},
		{`{"query_context":{}}`, Override{}, `Must specify either "query_text" or "query_text_path"`},
		{`{"query_context":{"query_text":"red","query_text_path":"query.x"}}`, Override{}, `Cannot specify both "query_text" and "query_text_path"`},
		{`{"query_context":{"query_text":7}}`, Override{}, "query_text must be a string"},
		{`{"query_context":{"query_text_path":"query.x"}}`, Override{}, "query_text_path must point to a string field"},
		{`{"query_context":{"query_text_path":"query.bool.filter.2.term.c"}}`, Override{}, "query_text_path must point to a string field"},
		{`{"query_context":{"query_text_path":"` + strings.Repeat("a", 1001) + `"}}`, Override{}, "query_text_path exceeded the maximum path length of 1000 characters"},
		{`"maybe"`, Override{}, `"maybe" is neither on nor off`},
		{`{"mode":1}`, Override{}, "1 is neither on nor off"},
		{`{"window":0}`, Override{}, "ext.rerank.window: 0"},
		{`{"window":"many"}`, Override{}, "ext.rerank.window"},
		{`{"query":["red"]}`, Override{}, "ext.rerank.query"},
		{`{"host":"http://evil"}`, Override{}, `unknown name "host"`},
		{`null`, Override{}, "null is neither"},
	} {
		t.Run(test.ext, func(t *testing.T) {
			r := mustParse(t, "", `{"query":{"bool":{"must":{"match":{"t":"a shoe"}},"filter":[{"term":{"c":"b"}},{"term":{"c":"d"}}]}},"ext":{"rerank":`+test.ext+`}}`)
			got, err := r.Overrides()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got error %v, want %q in it", err, test.err)
			}
			if reason, detail := r.Pass(); reason != "" {
				t.Errorf("got to pass: %s %s", reason, detail)
			}
		})
	}
}

// The error of OpenSearch's own section can be shown to the client as OpenSearch would write it.
func TestOverridesRefusal(t *testing.T) {
	_, err := mustParse(t, "", `{"ext":{"rerank":{"query_context":{}}}}`).Overrides()
	refusal := new(Refusal)
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a Refusal", err)
	}
	const want = `{"error":{"root_cause":[{"type":"illegal_argument_exception","reason":"Must specify either \"query_text\" or \"query_text_path\""}],` +
		`"type":"illegal_argument_exception","reason":"Must specify either \"query_text\" or \"query_text_path\""},"status":400}`
	if got := string(refusal.Body()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := mustParse(t, "", `{"ext":{"rerank":7}}`).Overrides(); errors.As(err, &refusal) {
		t.Error("got a Refusal for a section that is ours")
	}
}

func TestPlain(t *testing.T) {
	for _, test := range []struct{ name, rawQuery, body, wantQuery, wantBody string }{
		{"nothing of ours", "", ` { "ext" : {} } `, "", ` { "ext" : {} } `},
		{"OpenSearch's goes too", "", `{"size":1,"ext":{"rerank":{"query_context":{"query_text":"a"}}}}`, "", `{"size":1}`},
		{"beside others", "", `{"ext":{"rerank":{"query_context":{},"mode":"on"},"ubi":{}}}`, "", `{"ext":{"ubi":{}}}`},
		{"in the url", "source=%7B%22ext%22:%7B%22rerank%22:%7B%22query_context%22:%7B%7D%7D%7D%7D&b=2", "", "source=%7B%7D&b=2", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			query, body := mustParse(t, test.rawQuery, test.body).Plain()
			if query != test.wantQuery || string(body) != test.wantBody {
				t.Errorf("got %q %s, want %q %s", query, body, test.wantQuery, test.wantBody)
			}
		})
	}
}

func TestOriginal(t *testing.T) {
	for _, test := range []struct{ name, rawQuery, body, wantQuery, wantBody string }{
		{"no override", "q=a;b&&c", ` {"size" : 1e0} `[:0], "q=a;b&&c", ""},
		{"untouched", "", ` { "size" : 1 , "ext" : {} } `, "", ` { "size" : 1 , "ext" : {} } `},
		{"alone", "", `{"size":1,"ext":{"rerank":"off"}}`, "", `{"size":1}`},
		{"first", "", `{ "ext" : {"rerank":"off"} , "size" : 1 }`, "", `{ "size" : 1 }`},
		{"all there is", "", `{"ext":{"rerank":"off"}}`, "", `{}`},
		{"beside others", "", `{"ext":{"ubi":{},"rerank":"off"},"size":1}`, "", `{"ext":{"ubi":{}},"size":1}`},
		{"OpenSearch's stays", "", `{"ext":{"rerank":{"query_context":{"query_text":"a"}}}}`, "", `{"ext":{"rerank":{"query_context":{"query_text":"a"}}}}`},
		{"OpenSearch's stays, ours goes", "", `{"ext":{"rerank":{"mode":"on","query_context":{"query_text":"a"},"window":3}}}`, "", `{"ext":{"rerank":{"query_context":{"query_text":"a"}}}}`},
		{"in the url", "a=1&source=%7B%22ext%22:%7B%22rerank%22:true%7D%7D&b=2", "", "a=1&source=%7B%7D&b=2", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			query, body := mustParse(t, test.rawQuery, test.body).Original()
			if query != test.wantQuery || string(body) != test.wantBody {
				t.Errorf("got %q %s, want %q %s", query, body, test.wantQuery, test.wantBody)
			}
		})
	}
}
