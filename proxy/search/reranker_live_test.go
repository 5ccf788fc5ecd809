package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// No cluster here has the text_similarity_reranker retriever. Elasticsearch from 8.17 on has the rescorer retriever, which is the same but for
// what it ranks by: with a rescore query that nothing matches, it leaves its child's order as it is, and so shows what emulating has to show.
func rerankerAndRescorer(members string, window int, beside string) (reranker, rescorer string) {
	reranker = fmt.Sprintf(`{"retriever":{"text_similarity_reranker":{%s,"field":"title","inference_text":"red shoes","rank_window_size":%d}}%s}`, members, window, beside)
	rescorer = fmt.Sprintf(`{"retriever":{"rescorer"                :{%s,"rescore":{"window_size":%d,"query":{"rescore_query":{"match_none":{}}}}}}%s}`, members, window, beside)
	return reranker, rescorer
}

func TestRerankerOnTheCluster(t *testing.T) {
	for _, base := range clusters(t) {
		index := base + "/rerankd-reranker-test"
		call(t, http.MethodDelete, index, nil)
		const mapping = `{"settings":{"number_of_shards":2,"number_of_replicas":0},"mappings":{"properties":{%s"title":{"type":"text"},"n":{"type":"long"},"cat":{"type":"keyword"}}}}`
		vectors := `"v":{"type":"dense_vector","dims":2,"index":true,"similarity":"l2_norm"},`
		if status, _ := call(t, http.MethodPut, index, fmt.Appendf(nil, mapping, vectors)); status != http.StatusOK {
			vectors = ""
			mustCall(t, http.MethodPut, index, fmt.Appendf(nil, mapping, vectors))
		}
		t.Cleanup(func() { call(t, http.MethodDelete, index, nil) })
		var bulk bytes.Buffer
		for i := range 60 {
			vector := ""
			if vectors != "" {
				vector = fmt.Sprintf(`"v":[%d.5,1],`, i)
			}
			fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"%d\"}}\n{%s\"title\":%q,\"n\":%d,\"cat\":\"c%d\"}\n", i, vector, "red "+strings.Repeat("shoes ", i%7), i, i%5)
		}
		mustCall(t, http.MethodPost, index+"/_bulk?refresh=true", bulk.Bytes())
		_, answer := call(t, http.MethodPost, index+"/_search", []byte(`{"retriever":{"rescorer":{"retriever":{"standard":{}},"rescore":{"query":{"rescore_query":{"match_all":{}}}}}}}`))
		rescorers := strings.Contains(string(answer), `"hits"`)
		_, answer = call(t, http.MethodPost, index+"/_search", []byte(`{"retriever":{"standard":{}}}`))
		retrievers := strings.Contains(string(answer), `"hits"`)
		t.Logf("%s has retrievers: %t, the rescorer: %t, vectors: %t", base, retrievers, rescorers, vectors != "")

		const standard = `"retriever":{"standard":{"query":{"match":{"title":"red shoes"}}}}`
		const knn = `"retriever":{"knn":{"field":"v","query_vector":[1,2],"k":30,"num_candidates":50}}`
		for _, test := range []struct {
			name, members string
			window        int
			beside        string
			alone         string // the child by itself as a retriever, with all filters; "" where it is not to be compared
			but           string // what Elasticsearch has otherwise: total, where it counts other documents than those that match; scores, which a ranking replaces
		}{
			{"standard", standard, 20, `,"size":10`, standard, ""},
			{"standard, second page", standard, 20, `,"from":5,"size":5,"aggs":{"a":{"terms":{"field":"cat"}}},"track_total_hits":false`, standard, ""},
			{"a page over the end", standard, 12, `,"from":8`, "", ""},
			{"a page beyond the end", standard, 12, `,"from":12,"size":4,"aggs":{"a":{"terms":{"field":"cat"}}}`, "", ""},
			{"no hits wanted", standard, 12, `,"size":0,"aggs":{"a":{"terms":{"field":"cat"}}}`, standard, ""},
			{"no query", `"retriever":{"standard":{}}`, 12, `,"size":12`, `"retriever":{"standard":{}}`, ""},
			{"filters", `"filter":{"range":{"n":{"lt":40}}},"retriever":{"standard":{"query":{"match":{"title":"red shoes"}},"filter":[{"term":{"cat":"c1"}},{"exists":{"field":"n"}}]}}`, 20, `,"size":20`,
				`"retriever":{"standard":{"query":{"match":{"title":"red shoes"}},"filter":[{"term":{"cat":"c1"}},{"exists":{"field":"n"}},{"range":{"n":{"lt":40}}}]}}`, ""},
			{"a filter alone", `"filter":[{"term":{"cat":"c1"}}],"retriever":{"standard":{}}`, 20, `,"size":10`, `"retriever":{"standard":{"filter":[{"term":{"cat":"c1"}}]}}`, "scores"},
			{"a least score", `"retriever":{"standard":{"query":{"match":{"title":"red shoes"}},"min_score":"0.01"}}`, 20, `,"size":20`, `"retriever":{"standard":{"query":{"match":{"title":"red shoes"}},"min_score":"0.01"}}`, "total"},
			{"groups", `"retriever":{"standard":{"query":{"match":{"title":"red shoes"}},"collapse":{"field":"cat","inner_hits":{"name":"x"}}}}`, 20, "", "", ""},
			{"groups, whose field is asked for", `"retriever":{"standard":{"query":{"match":{"title":"red shoes"}},"collapse":{"field":"cat"}}}`, 20, `,"fields":["cat"],"_source":false`, "", ""},
			{"filtered source", standard, 20, `,"size":10,"_source":["n"],"docvalue_fields":["cat"]`, standard, ""},
			{"knn", knn, 30, `,"size":4`, knn, ""},
			{"knn, filtered", `"filter":{"range":{"n":{"lt":40}}},"retriever":{"knn":{"field":"v","query_vector":[1,2],"k":30,"num_candidates":50,"filter":{"term":{"cat":"c1"}}}}`, 20, `,"size":4`,
				`"retriever":{"knn":{"field":"v","query_vector":[1,2],"k":30,"num_candidates":50,"filter":[{"term":{"cat":"c1"}},{"range":{"n":{"lt":40}}}]}}`, ""},
			{"k that follows the window", `"retriever":{"standard":{"query":{"knn":{"field":"v","query_vector":[1,2]}}}}`, 20, `,"size":4`, "", "total"},
			{"compound", `"filter":{"term":{"cat":"c1"}},"retriever":{"rescorer":{"filter":{"range":{"n":{"lt":40}}},` + standard + `,"rescore":{"window_size":30,"query":{"rescore_query":{"match":{"cat":"c1"}}}}}}`, 20, "", "", ""},
			{"a page as large as the window", standard, 30, "", "", ""},
			{"a page that begins later, of no size", standard, 30, `,"from":12`, "", ""},
			{"compound, of no size", `"retriever":{"rescorer":{` + standard + `,"rescore":{"window_size":30,"query":{"rescore_query":{"match":{"cat":"c1"}}}}}}`, 20, `,"from":5`, "", ""},
			{"fewer than k", `"retriever":{"knn":{"field":"v","query_vector":[1,2],"k":"30","num_candidates":50}}`, 20, `,"aggs":{"a":{"terms":{"field":"cat"}}}`, "", ""},
		} {
			t.Run(test.name, func(t *testing.T) {
				if vectors == "" && strings.Contains(test.members, `"knn"`) || !rescorers && strings.Contains(test.members, `"rescorer"`) {
					t.Skip("unknown to this engine")
				}
				reranker, rescorer := rerankerAndRescorer(test.members, test.window, test.beside)
				r := mustParse(t, "", reranker)
				if reason, detail := r.Reranker().Pass(); reason != "" || r.Reranker().Refusal() != nil {
					t.Fatalf("passed: %s %s, refused: %v", reason, detail, r.Reranker().Refusal())
				}
				w, err := r.Widen(Need{Window: 50, Fields: []string{"title"}, Widen: true, Emulate: true})
				if err != nil {
					t.Fatal(err)
				}
				p, err := ParseResponse(mustCall(t, http.MethodPost, index+"/_search?"+w.RawQuery, w.Body))
				if err != nil {
					t.Fatal(err)
				}
				if p.FailedShards() > 0 || p.Hits() == 0 && w.Window > 0 {
					t.Errorf("%d hits, %d failed shards", p.Hits(), p.FailedShards())
				}
				got, err := p.Splice(Page{From: w.From, Size: w.Size, Order: sequence(p.Hits()), KeepScores: true, Strip: w})
				if err != nil {
					t.Fatal(err)
				}
				if retrievers && test.alone != "" {
					want := mustCall(t, http.MethodPost, index+"/_search", []byte("{"+test.alone+test.beside+"}"))
					if !reflect.DeepEqual(exact(t, got), exact(t, want)) {
						t.Errorf("sent %s\nnot the child by itself: %s", w.Body, cmp.Diff(exact(t, want), exact(t, got)))
					}
				}
				if rescorers {
					want := exact(t, mustCall(t, http.MethodPost, index+"/_search", []byte(rescorer)))
					got := exact(t, got)
					for _, answer := range []map[string]any{want, got} {
						hits := answer["hits"].(map[string]any)
						switch test.but {
						case "total":
							delete(hits, "total")
						case "scores":
							delete(hits, "max_score")
							for _, hit := range hits["hits"].([]any) {
								delete(hit.(map[string]any), "_score")
							}
						}
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("sent %s\n%s", w.Body, diff)
					}
				}
			})
		}

		for _, test := range []struct {
			name, rawQuery, members string
			window                  int
			beside                  string
		}{
			{"unknown", "", `"foo":1`, 10, ""},
			{"unknown, on another line", "", "\n\"_name\":\"\u00e9\",\r\n \"foo\":1", 10, ""},
			{"nearly known", "", `"filte":1`, 10, ""},
			{"another kind of value", "", `"filter":7`, 10, ""},
			{"another kind of name", "", `"_name":true`, 10, ""},
			{"null", "", `"min_score":null`, 10, ""},
			{"no number", "", `"min_score":"x"`, 10, ""},
			{"an empty number", "", `"min_score":""`, 10, ""},
			{"no child", "", `"retriever":{}`, 10, ""},
			{"two children", "", `"retriever":{"standard":{},"knn":{}}`, 10, ""},
			{"a child that is no object", "", `"retriever":"x"`, 10, ""},
			{"unknown within", "", `"retriever":{"standard":{"min_query": 1}}`, 10, ""},
			{"another kind of value within", "", `"retriever":{"standard":{"sort":true}}`, 10, ""},
			{"another kind of vector", "", `"retriever":{"knn":{"query_vector":{}}}`, 10, ""},
			{"missing within", "", `"retriever":{"knn":{"query_vector":[1]}}`, 10, ""},
			{"a page of more than the window", "", standard, 5, `,"size":6`},
			{"scroll", "scroll=1m", standard, 10, `,"from":1`},
			{"beside others", "q=a&terminate_after=1&sort=n", standard, 10, `,"knn":{"field":"v","query_vector":[1,2]},"search_after":[1],"rescore":[]`},
			{"beside a query", "", standard, 10, `,"query":{"match_all":{}},"terminate_after":0,"sort":[],"knn":[]`},
			{"several faults", "scroll=1m", standard, 10, `,"query":{"match_all":{}},"size":20`},
			{"a child of less", "", `"retriever":{"rescorer":{` + standard + `,"rescore":{"window_size":5,"query":{"rescore_query":{"match_all":{}}}}}}`, 12, ""},
			{"a child that stops", "", `"retriever":{"standard":{"terminate_after":3}}`, 10, ""},
			{"a child that goes on", "", `"retriever":{"standard":{"search_after":[3],"sort":["n"]}}`, 10, ""},
		} {
			t.Run("refused: "+test.name, func(t *testing.T) {
				if !rescorers {
					t.Skip("unknown to this engine")
				}
				reranker, rescorer := rerankerAndRescorer(test.members, test.window, test.beside)
				refusal := mustParse(t, test.rawQuery, reranker).Reranker().Refusal()
				if refusal == nil {
					t.Fatal("not refused")
				}
				status, body := call(t, http.MethodPost, index+"/_search?"+test.rawQuery, []byte(rescorer))
				var want, got struct {
					Error struct {
						Reason string `json:"reason"`
						Cause  any    `json:"caused_by"`
					} `json:"error"`
				}
				unmarshal(t, body, &want)
				unmarshal(t, refusal.Body(), &got)
				for name, other := range map[string]string{"[rescorer]": "[text_similarity_reranker]", "[window_size: ": "[rank_window_size: "} {
					if name != "[window_size: " || !strings.Contains(test.members, `"window_size"`) {
						want.Error.Reason = strings.ReplaceAll(want.Error.Reason, name, other)
					}
				}
				if strings.Contains(test.members, `"window_size"`) {
					want.Error.Reason = strings.Replace(want.Error.Reason, "[window_size: 12]", "[rank_window_size: 12]", 1)
				}
				if status != refusal.Status || want.Error.Reason != got.Error.Reason {
					t.Errorf("got  %d %s\nwant %d %s", refusal.Status, got.Error.Reason, status, want.Error.Reason)
				}
				// The rescorer wraps an error of reading once more.
				cause := want.Error.Cause
				if wrapped, ok := cause.(map[string]any); ok && wrapped["type"] == "x_content_parse_exception" {
					cause = wrapped["caused_by"]
				}
				if !reflect.DeepEqual(got.Error.Cause, cause) {
					t.Errorf("caused by: got  %v\nwant %v", got.Error.Cause, cause)
				}
			})
		}
	}
}

func unmarshal(t *testing.T, body []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(body, v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}

// An index that keeps no _source, beside one that does: what is asked for by fields either fails shards, which the proxy never ranks, or
// changes nothing.
func TestUnsourcedOverIndexWithoutSource(t *testing.T) {
	for _, base := range clusters(t) {
		with, without, alias := base+"/rerankd-with-source-test", base+"/rerankd-without-source-test", "rerankd-some-source-test"
		for index, mapping := range map[string]string{with: `{}`, without: `{"_source":{"enabled":false}}`} {
			call(t, http.MethodDelete, index, nil)
			mustCall(t, http.MethodPut, index, []byte(`{"settings":{"number_of_replicas":0},"mappings":`+mapping+`,"aliases":{"`+alias+`":{}}}`))
			t.Cleanup(func() { call(t, http.MethodDelete, index, nil) })
			mustCall(t, http.MethodPost, index+"/_bulk?refresh=true", []byte(`{"index":{}}`+"\n"+`{"title":"red shoes"}`+"\n"+`{"index":{}}`+"\n"+`{"title":"shoes"}`+"\n"))
		}
		r := mustParse(t, "", `{"query":{"match":{"title":"red shoes"}},"size":2}`)
		w, err := r.Widen(Need{Window: 10, Fields: []string{"title"}, Unsourced: []string{"title"}, Widen: true})
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParseResponse(mustCall(t, http.MethodPost, base+"/"+alias+"/_search", w.Body))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d hits, %d failed shards", base, p.Hits(), p.FailedShards())
		if p.FailedShards() > 0 {
			continue
		}
		got, err := p.Splice(Page{From: w.From, Size: w.Size, Order: sequence(p.Hits()), KeepScores: true, Strip: w})
		if err != nil {
			t.Fatal(err)
		}
		want := mustCall(t, http.MethodPost, base+"/"+alias+"/_search", []byte(`{"query":{"match":{"title":"red shoes"}},"size":2}`))
		if !reflect.DeepEqual(exact(t, got), exact(t, want)) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
