package search

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t testing.TB, rawQuery, body string) *Request {
	t.Helper()
	var b []byte
	if body != "" {
		b = []byte(body)
	}
	r, err := Parse(rawQuery, b)
	if err != nil {
		t.Fatalf("parsing %q %s: %v", rawQuery, body, err)
	}
	return r
}

func TestWords(t *testing.T) {
	wrapped := base64.StdEncoding.EncodeToString([]byte(`{"match":{"title":"red shoes"}}`))
	for _, test := range []struct {
		name, query string // of the body
		want        string
		fields      string // comma-separated
	}{
		{"match, short", `{"match":{"title":"red  shoes"}}`, "red shoes", "title"},
		{"match, long", `{"match":{"title":{"query":"red shoes","operator":"and"}}}`, "red shoes", "title"},
		{"match, decoded", `{"match":{"title":"caf\u00e9 \"na\u00efve\"\n\ud83d\udc5f"}}`, "café \"naïve\" 👟", "title"},
		{"match, a number alone", `{"match":{"title":{"query":2020}}}`, "2020", "title"},
		{"match, true", `{"match":{"sold":true}}`, "", ""},
		{"match_phrase", `{"match_phrase":{"title":"red shoes"}}`, "red shoes", "title"},
		{"match_phrase_prefix", `{"match_phrase_prefix":{"title":{"query":"red sh"}}}`, "red sh", "title"},
		{"match_bool_prefix", `{"match_bool_prefix":{"title":"red sh"}}`, "red sh", "title"},
		{"multi_match", `{"multi_match":{"query":"red shoes","fields":["body","title^3","tags^0.5"]}}`, "red shoes", "title,body,tags"},
		{"multi_match, all fields", `{"multi_match":{"query":"red shoes"}}`, "red shoes", ""},
		{"multi_match, one field", `{"multi_match":{"query":"red shoes","fields":"title*"}}`, "red shoes", "title*"},
		{"combined_fields", `{"combined_fields":{"query":"red shoes","fields":["title","body"]}}`, "red shoes", "title,body"},
		{"query_string", `{"query_string":{"query":"title:(red AND shoes) -boots","default_field":"body"}}`, "red shoes", "body,title"},
		{"simple_query_string", `{"simple_query_string":{"query":"red + -boots shoes*","fields":["title^2","body"]}}`, "red shoes", "title,body"},
		{"intervals", `{"intervals":{"body":{"all_of":{"ordered":true,"intervals":[{"match":{"query":"my favorite food"}},
			{"any_of":{"intervals":[{"match":{"query":"hot water"}},{"prefix":{"prefix":"co"}}]}}]}}}}`, "my favorite food hot water", "body"},
		{"span_near", `{"span_near":{"clauses":[{"span_term":{"body":"red"}},{"span_or":{"clauses":[{"span_term":{"body":{"value":"shoes"}}}]}}],"slop":1}}`, "red shoes", "body"},
		{"span_not", `{"span_not":{"include":{"span_term":{"body":"red"}},"exclude":{"span_term":{"body":"shoes"}}}}`, "red", "body"},
		{"semantic", `{"semantic":{"field":"inference","query":"red shoes"}}`, "red shoes", ""},
		{"sparse_vector", `{"sparse_vector":{"field":"v","inference_id":"e","query":"red shoes"}}`, "red shoes", ""},
		{"text_expansion", `{"text_expansion":{"v":{"model_id":"e","model_text":"red shoes"}}}`, "red shoes", ""},
		{"knn", `{"knn":{"field":"v","k":5,"query_vector_builder":{"text_embedding":{"model_id":"e","model_text":"red shoes"}}}}`, "red shoes", ""},
		{"knn, newer", `{"knn":{"field":"v","k":5,"query_vector_builder":{"embedding":{"input":{"type":"text","value":"red shoes"}}}}}`, "red shoes", ""},
		{"knn, a vector", `{"knn":{"field":"v","k":5,"query_vector":[1,2]}}`, "", ""},
		{"knn, OpenSearch", `{"knn":{"v":{"vector":[1,2],"k":5}}}`, "", ""},
		{"neural", `{"neural":{"v":{"query_text":"red shoes","model_id":"e","k":5}}}`, "red shoes", ""},
		{"neural_sparse", `{"neural_sparse":{"v":{"query_text":"red shoes"}}}`, "red shoes", ""},
		{"hybrid", `{"hybrid":{"queries":[{"match":{"title":"red shoes"}},{"neural":{"v":{"query_text":"red shoes"}}}]}}`, "red shoes", "title"},

		{"bool", `{"bool":{"must":[{"match":{"title":"red shoes"}}],"filter":{"match":{"body":"in stock"}},"must_not":{"match":{"body":"boots"}}}}`, "red shoes", "title"},
		{"bool, one clause", `{"bool":{"must":{"match":{"title":"red shoes"}}}}`, "red shoes", "title"},
		{"bool, should alone", `{"bool":{"should":[{"match":{"title":"red shoes"}},{"match":{"body":"red shoes"}}]}}`, "red shoes", "title,body"},
		{"bool, should beside a must", `{"bool":{"should":[{"match":{"brand":{"query":"Nike","boost":9}}}],"must":{"match":{"title":"red shoes"}}}}`, "red shoes", "title"},
		{"bool, should beside a must without words", `{"bool":{"should":[{"match":{"title":"red shoes"}}],"must":{"match_all":{}}}}`, "red shoes", "title"},
		{"bool, filter alone", `{"bool":{"filter":{"match":{"title":"red shoes"}}}}`, "", ""},
		{"dis_max", `{"dis_max":{"queries":[{"match":{"title":"Red shoes"}},{"match":{"body":"red shoes"}}]}}`, "Red shoes", "title,body"},
		{"boosting", `{"boosting":{"positive":{"match":{"title":"red shoes"}},"negative":{"match":{"title":"boots"}},"negative_boost":0.5}}`, "red shoes", "title"},
		{"constant_score", `{"constant_score":{"filter":{"match":{"title":"red shoes"}}}}`, "red shoes", "title"},
		{"function_score", `{"function_score":{"query":{"match":{"title":"red shoes"}},"functions":[{"filter":{"match":{"title":"sale"}},"weight":2}]}}`, "red shoes", "title"},
		{"script_score", `{"script_score":{"query":{"match":{"title":"red shoes"}},"script":{"source":"_score"}}}`, "red shoes", "title"},
		{"nested", `{"nested":{"path":"users","query":{"match":{"users.first":"Ann"}}}}`, "Ann", "users.first"},
		{"has_child", `{"has_child":{"type":"answer","query":{"match":{"text":"red shoes"}}}}`, "red shoes", ""},
		{"pinned", `{"pinned":{"ids":["1"],"organic":{"match":{"title":"red shoes"}}}}`, "red shoes", "title"},
		{"rule", `{"rule":{"ruleset_ids":["r"],"match_criteria":{"user_query":"shoes, red","country":"France"},"organic":{"match":{"title":"red shoe"}}}}`, "shoes, red", "title"},
		{"wrapper", `{"wrapper":{"query":"` + wrapped + `"}}`, "red shoes", "title"},

		{"fuzzy", `{"fuzzy":{"title":{"value":"shoos"}}}`, "shoos", "title"},
		{"prefix beside words", `{"bool":{"should":[{"prefix":{"title":"sho"}},{"match":{"title":"red shoes"}}]}}`, "red shoes", "title"},
		{"wildcard", `{"wildcard":{"title":{"wildcard":"*sho?s*"}}}`, "sho s", "title"},
		{"term", `{"term":{"status":"published"}}`, "", ""},
		{"number beside words", `{"bool":{"must":[{"match":{"title":"red shoes"}},{"match":{"year":2020}}]}}`, "red shoes", "title"},
		{"more_like_this", `{"more_like_this":{"fields":["title"],"like":"some long text"}}`, "", ""},
		{"match_all", `{"match_all":{}}`, "", ""},

		{"part of a longer one", `{"bool":{"must":[{"match":{"title":"shoes"}},{"match":{"body":"red shoes for running"}}]}}`, "red shoes for running", "title,body"},
		{"not part of a longer word", `{"bool":{"must":[{"match":{"a":"shoe"}},{"match":{"b":"shoes"}}]}}`, "shoe shoes", "a,b"},
		{"more fields", `{"bool":{"must":[{"match":{"cat":"sale"}},{"multi_match":{"query":"red shoes","fields":["a","b"]}}]}}`, "red shoes", "cat,a,b"},
		{"more boost", `{"bool":{"must":[{"match":{"a":"sale"}},{"match":{"b":{"query":"red shoes","boost":3}}}]}}`, "red shoes", "b,a"},
		{"boosts multiply", `{"bool":{"boost":4,"must":[{"match":{"a":{"query":"x1"}}}],"should":{"bool":{"must":{"match":{"b":"x1"}}}}}}`, "x1", "a"},
		{"equal weight", `{"bool":{"must":[{"match":{"title":"red shoes"}},{"match":{"brand":"Nike"}}]}}`, "red shoes Nike", "title,brand"},
		{"at most four", `{"bool":{"must":[{"match":{"a":"a1"}},{"match":{"a":"b1"}},{"match":{"a":"c1"}},{"match":{"a":"d1"}},{"match":{"a":"e1"}}]}}`, "a1 b1 c1 d1", "a"},

		{"empty", `{"match":{"title":"  "}}`, "", ""},
		{"star", `{"query_string":{"query":"*"}}`, "", ""},
		{"punctuation", `{"match":{"title":"?!"}}`, "", ""},
		{"one letter", `{"match":{"title":"r"}}`, "", ""},
		{"one character that is a word", `{"match":{"title":"鞋"}}`, "鞋", "title"},
		{"a document", `{"match":{"title":"` + strings.Repeat("word ", 1000) + `"}}`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := mustParse(t, "", `{"query":`+test.query+`}`)
			if got := r.Words(); got != test.want {
				t.Errorf("words: got %q, want %q\n%+v", got, test.want, r.WordsWhy())
			}
			if got := strings.Join(r.Fields(), ","); got != test.fields {
				t.Errorf("fields: got %q, want %q", got, test.fields)
			}
			if reason, detail := r.Pass(); reason != "" {
				t.Errorf("got to pass: %s %s", reason, detail)
			}
		})
	}
}

func TestWordsOutsideTheQuery(t *testing.T) {
	for _, test := range []struct{ name, rawQuery, body, want, fields string }{
		{"q", "q=title:red+shoes&df=body", "", "red shoes", "body,title"},
		{"q takes the query's place", "q=boots", `{"query":{"match":{"title":"red shoes"}}}`, "boots", ""},
		{"q, empty", "q=", `{"query":{"match":{"title":"red shoes"}}}`, "", ""},
		{"q, the last one", "q=a1&q=b1", "", "b1", ""},
		{"source", "source=%7B%22query%22:%7B%22match%22:%7B%22title%22:%22red+shoes%22%7D%7D%7D&source_content_type=application/json", "", "red shoes", "title"},
		{"knn", "", `{"knn":[{"field":"v","k":5,"query_vector_builder":{"text_embedding":{"model_text":"red shoes"}}}]}`, "red shoes", ""},
		{"retriever", "", `{"retriever":{"standard":{"query":{"match":{"title":"red shoes"}},"filter":{"match":{"title":"boots"}}}}}`, "red shoes", "title"},
		{"ubi", "", `{"query":{"match":{"title":"red shoe"}},"ext":{"ubi":{"user_query":"Red Shoes!"}}}`, "Red Shoes!", "title"},
		{"override", "", `{"query":{"match":{"title":"red shoe"}},"ext":{"rerank":{"query":"shoes, red"}}}`, "shoes, red", "title"},
		{"override before ubi before a rule", "", `{"query":{"rule":{"match_criteria":{"user_query":"c1"}}},"ext":{"ubi":{"user_query":"b1"},"rerank":{"query":"a1"}}}`, "a1", ""},
		{"ubi before a rule", "", `{"query":{"rule":{"match_criteria":{"user_query":"c1"}}},"ext":{"ubi":{"user_query":"b1"}}}`, "b1", ""},
		{"query_text", "", `{"query":{"match":{"title":"red shoe"}},"ext":{"rerank":{"query_context":{"query_text":"shoes, red"}}}}`, "shoes, red", "title"},
		{"query_text_path", "", `{"query":{"match":{"a.b":"red shoe"}},"ext":{"rerank":{"query_context":{"query_text_path":"query.match.a.b.query"}}}}`, "red shoe", "a.b"},
		{"query_text_path to nothing", "", `{"query":{"match":{"a":"red shoe"}},"ext":{"rerank":{"query_context":{"query_text_path":"query.x"}}}}`, "red shoe", "a"},
		{"not from other places", "", `{"post_filter":{"match":{"a":"x1"}},"highlight":{"highlight_query":{"match":{"a":"x1"}}},"suggest":{"text":"x1"},"aggs":{"f":{"filter":{"match":{"a":"x1"}}}}}`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := mustParse(t, test.rawQuery, test.body)
			if got := r.Words(); got != test.want {
				t.Errorf("words: got %q, want %q\n%+v", got, test.want, r.WordsWhy())
			}
			if got := strings.Join(r.Fields(), ","); got != test.fields {
				t.Errorf("fields: got %q, want %q", got, test.fields)
			}
		})
	}
}

func TestWordsWhy(t *testing.T) {
	r := mustParse(t, "", `{"query":{"bool":{
		"must": [{"multi_match": {"query": "red shoes", "fields": ["title^3", "body"], "boost": 2}}],
		"should": {"match_phrase": {"title": {"query": "Red Shoes", "boost": 5}}},
		"filter": [{"term": {"status": "published"}}, {"match": {"body": "in stock"}}],
		"must_not": {"match": {"title": "boots"}}}}}`)
	want := []Leaf{
		{Path: "query.bool.must[0].multi_match.query", Query: "multi_match", Fields: []string{"title", "body"}, Text: "red shoes", Boost: 6, Taken: true, Tier: "full text"},
		{Path: "query.bool.should.match_phrase.title.query", Query: "match_phrase", Fields: []string{"title"}, Text: "Red Shoes", Boost: 5, Why: "optional, beside a must that has words"},
		{Path: "query.bool.filter[0].term.status", Query: "term", Fields: []string{"status"}, Text: "published", Boost: 1, Why: "filter"},
		{Path: "query.bool.filter[1].match.body", Query: "match", Fields: []string{"body"}, Text: "in stock", Boost: 1, Why: "filter"},
		{Path: "query.bool.must_not.match.title", Query: "match", Fields: []string{"title"}, Text: "boots", Boost: 1, Why: "must_not"},
	}
	if diff := cmp.Diff(want, r.WordsWhy()); diff != "" {
		t.Error(diff)
	}
	for _, leaf := range r.WordsWhy() {
		if leaf.Taken == (leaf.Why != "") {
			t.Errorf("%s: taken %t, and why not %q", leaf.Path, leaf.Taken, leaf.Why)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, test := range []struct {
		text string
		want bool
	}{
		{"SKU-12345", true},
		{"ann@example.com", true},
		{"https://example.com/a", true},
		{`\"red shoes\"`, true},
		{"red shoes", false},
		{"shoes", false},
		{"shoes 42", false},
		{`\"red\" or \"blue\"`, false},
	} {
		if got := mustParse(t, "", `{"query":{"match":{"title":"`+test.text+`"}}}`).Lookup(); got != test.want {
			t.Errorf("match %s: got %t, want %t", test.text, got, test.want)
		}
	}
	if !mustParse(t, "q=%22red+shoes%22", "").Lookup() {
		t.Error("a quoted q is no lookup")
	}
	if mustParse(t, "q=%22red+shoes%22+boots", "").Lookup() {
		t.Error("a q that is quoted in part is a lookup")
	}
}
