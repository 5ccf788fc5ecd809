package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
)

// clusters returns the base URLs of the clusters to compare with: those that RERANKD_TEST_ELASTICSEARCH and RERANKD_TEST_OPENSEARCH name.
func clusters(t *testing.T) (urls []string) {
	t.Helper()
	for _, variable := range []string{"RERANKD_TEST_ELASTICSEARCH", "RERANKD_TEST_OPENSEARCH"} {
		if url := os.Getenv(variable); url != "" {
			urls = append(urls, url)
		}
	}
	if len(urls) == 0 {
		t.Skip("set RERANKD_TEST_ELASTICSEARCH or RERANKD_TEST_OPENSEARCH to the URL of a running cluster")
	}
	return urls
}

// TestSameAsTheCluster sends searches of many shapes to real clusters twice: as they are, and widened. The widened answer, put together
// again in the cluster's own order, has to be the answer to the search as it was, but for the time that it took.
func TestSameAsTheCluster(t *testing.T) {
	const words = `"query":{"multi_match":{"query":"red shoes","fields":["title^2","body"]}}`
	for _, base := range clusters(t) {
		index := base + "/rerankd-search-test"
		call(t, http.MethodDelete, index, nil)
		const mapping = `{"settings":{"number_of_shards":2,"number_of_replicas":0},"mappings":{"properties":{%s
			"title":{"type":"text","store":true,"copy_to":"all","fields":{"raw":{"type":"keyword","ignore_above":14}}},"body":{"type":"text","copy_to":"all"},
			"all":{"type":"text"},"also":{"type":"alias","path":"title"},"n":{"type":"long"},
			"cat":{"type":"keyword"},"when":{"type":"date"},"obj":{"properties":{"a":{"type":"text"}}},
			"users":{"type":"nested","properties":{"first":{"type":"text"},"last":{"type":"text"}}}}}}`
		// Vectors are no part of every engine.
		vectors := `"v":{"type":"dense_vector","dims":2,"index":true,"similarity":"l2_norm"},`
		if status, _ := call(t, http.MethodPut, index, fmt.Appendf(nil, mapping, vectors)); status != http.StatusOK {
			vectors = ""
			mustCall(t, http.MethodPut, index, fmt.Appendf(nil, mapping, vectors))
		}
		t.Cleanup(func() { call(t, http.MethodDelete, index, nil) })
		var bulk bytes.Buffer
		for i := range 60 {
			fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"%d\"}}\n", i)
			vector := ""
			if vectors != "" {
				vector = fmt.Sprintf(`"v":[%d.5,1],`, i)
			}
			fmt.Fprintf(&bulk, `{`+vector+`"title":%q,"body":%q,"n":%d,"cat":"c%d","when":"2026-01-%02d","obj":{"a":"inner %d"},"users":[{"first":"Ann","last":"Lee%d"},{"first":"Bob"}]}`+"\n",
				"red "+strings.Repeat("shoes ", i%7)+fmt.Sprint(i), strings.Repeat("words ", i)+"red shoes", 9007199254740993+i, i%5, 1+i%28, i, i)
		}
		mustCall(t, http.MethodPost, index+"/_bulk?refresh=true", bulk.Bytes())

		for _, shape := range []struct {
			rawQuery, body string
			unsourced      []string // fields that are not in _source
			some           bool     // whether only some engines know this
		}{
			{"", `{` + words + `}`, nil, false},
			{"pretty", `{` + words + `,"from":3,"size":4}`, nil, false},
			{"size=7&from=2", `{` + words + `,"from":30,"size":4}`, nil, false},
			{"from=70", `{` + words + `}`, nil, false},
			{"from=70&pretty", `{` + words + `}`, nil, false},
			{"q=title:red+shoes&size=5", "", nil, false},
			{"q=red;size=5;_source=false", "", nil, false},
			{"source=" + url.QueryEscape(`{`+words+`,"_source":["n"],"size":3}`) + "&source_content_type=application%2Fjson&pretty", "", nil, false},
			{"", `{` + words + `,"size":60}`, nil, false},
			{"rest_total_hits_as_int=true&typed_keys&human", `{` + words + `,"aggs":{"cats":{"terms":{"field":"cat"}}},"size":3}`, nil, false},
			{"", `{` + words + `,"track_total_hits":false,"sort":["_score"],"version":true,"seq_no_primary_term":true,"min_score":0.1}`, nil, false},
			{"sort=_score:desc", `{` + words + `,"track_scores":true}`, nil, false},
			{"", `{` + words + `,"_source":false}`, nil, false},
			{"_source_excludes=body,title", `{` + words + `,"from":2,"size":3}`, nil, false},
			{"_source=n,users.*", `{` + words + `}`, nil, false},
			{"", `{` + words + `,"_source":{"excludes":["*"]},"fields":["cat",{"field":"when","format":"yyyy"},"users.last"]}`, nil, false},
			{"", `{` + words + `,"_source":false,"fields":["users.*","tit*"]}`, nil, false},
			{"", `{` + words + `,"_source":false,"docvalue_fields":["cat",{"field":"when","format":"epoch_millis"}]}`, nil, false},
			{"docvalue_fields=n", `{` + words + `,"_source":false}`, nil, false},
			{"", `{` + words + `,"stored_fields":["title"]}`, nil, false},
			{"stored_fields=title", `{` + words + `,"_source":["n"]}`, nil, false},
			{"", `{` + words + `,"_source":false,"collapse":{"field":"cat","inner_hits":{"name":"more","size":2,"_source":["n"]}}}`, nil, false},
			{"", `{` + words + `,"highlight":{"fields":{"title":{},"body":{}}},"suggest":{"s":{"text":"shoos","term":{"field":"body"}}}}`, nil, false},
			{"", `{"query":{"nested":{"path":"users","query":{"match":{"users.first":"Ann"}},"inner_hits":{}}},"_source":"n"}`, nil, false},
			{"", `{` + words + `,"post_filter":{"term":{"cat":"c1"}},"indices_boost":[{"*":1.5}]}`, nil, false},
			{"", `{` + words + `,"rescore":{"window_size":20,"query":{"rescore_query":{"match_phrase":{"body":"red shoes"}}}},"size":5}`, nil, false},
			{"", `{` + words + `,"rescore":{"window_size":6,"query":{"rescore_query":{"match_phrase":{"body":"red shoes"}},"query_weight":0.1}},"size":12}`, nil, false},
			{"search_type=dfs_query_then_fetch&preference=x", `{` + words + `,"terminate_after":1000,"timeout":"10s"}`, nil, false},
			{"", ` {"ext" : {"rerank":{"window":30}}, ` + words + `} `, nil, false},
			{"", `{"query":{"bool":{"filter":{"term":{"cat":"c2"}},"must":{"match":{"title":"red"}}}},"_source":[]}`, nil, false},
			{"", `{"query":{"match":{"title":"nothing"}}}`, nil, false},
			{"explain", `{` + words + `,"size":3}`, nil, false},
			{"", `{` + words + `,"explain":true,"from":2,"size":3,"_source":false}`, nil, false},
			{"", `{` + words + `}`, []string{"also", "all", "title.raw"}, false},
			{"", `{` + words + `,"fields":["also"],"size":3}`, []string{"also", "all"}, false},
			{"", `{` + words + `,"fields":["a*"],"_source":["n"]}`, []string{"also", "all"}, false},
			{"_source=true", `{` + words + `,"docvalue_fields":["cat"],"from":1}`, []string{"also"}, false},
			{"", `{` + words + `,"collapse":{"field":"cat"},"size":3}`, []string{"cat", "also"}, false},
			{"", `{` + words + `,"runtime_mappings":{"obj.a":{"type":"keyword"},"made":{"type":"keyword"}}}`, nil, true},
			{"", `{` + words + `,"derived":{"obj":{"type":"object","script":{"source":"emit('{}')"}}}}`, nil, true},
			{"", `{"retriever":{"standard":{` + words + `,"filter":{"term":{"cat":"c1"}},"collapse":{"field":"n"}}},"from":1,"size":3,"_source":["n"]}`, nil, true},
			{"", `{"retriever":{"knn":{"field":"v","query_vector":[1,2],"k":30,"num_candidates":50}},"size":4}`, nil, true},
			{"", `{"retriever":{"knn":{"field":"v","query_vector":[1,2],"k":5,"num_candidates":50}},"from":3}`, nil, true},
			{"", `{"knn":{"field":"v","query_vector":[1,2]},"size":4,"aggs":{"cats":{"terms":{"field":"cat"}}}}`, nil, true},
			{"", `{` + words + `,"knn":{"field":"v","query_vector":[1,2],"k":5,"num_candidates":50},"size":4}`, nil, true},
			{"", `{"retriever":{"rescorer":{"retriever":{"standard":{` + words + `}},"rescore":{"window_size":30,"query":{"rescore_query":{"match_phrase":{"body":"red shoes"}}}}}},"size":4,"aggs":{"cats":{"terms":{"field":"cat"}}}}`, nil, true},
			{"", `{"retriever":{"rescorer":{"retriever":{"standard":{` + words + `}},"rescore":{"window_size":12,"query":{"rescore_query":{"match_phrase":{"body":"red shoes"}}}}}},"from":8,"_source":false}`, nil, true},
			{"", `{"retriever":{"rescorer":{"retriever":{"standard":{"query":{"knn":{"field":"v","query_vector":[1,2]}}}},"rescore":{"window_size":12,"query":{"rescore_query":{"match_all":{}}}}}},"size":2}`, nil, true},
		} {
			t.Run(shape.rawQuery+" "+shape.body, func(t *testing.T) {
				r := mustParse(t, shape.rawQuery, shape.body)
				if reason, detail := r.Pass(); reason != "" {
					t.Fatalf("passed: %s %s", reason, detail)
				}
				rawQuery, body := r.Original()
				status, want := call(t, http.MethodGet, index+"/_search?"+rawQuery, body)
				if status == http.StatusBadRequest && shape.some {
					t.Skip("unknown to this engine")
				}
				if status != http.StatusOK {
					t.Fatalf("got %d %s", status, want)
				}
				need := Need{Window: 40, Fields: []string{"title", "title.raw", "body", "obj.a", "users.first"}, Unsourced: shape.unsourced, Widen: true}
				need.Fields = append(need.Fields, shape.unsourced...)
				w, err := r.Widen(need)
				if err != nil {
					t.Fatal(err)
				}
				p, err := ParseResponse(mustCall(t, http.MethodGet, index+"/_search?"+w.RawQuery, w.Body))
				if err != nil {
					t.Fatal(err)
				}
				for i := range p.Hits() {
					if p.Text(i, FieldsTemplate([]string{"title", "body"})) == "" && !matches(r.asked, "title") {
						t.Errorf("hit %d has no text", i)
					}
				}
				got, err := p.Splice(Page{From: w.From, Size: w.Size, Order: sequence(p.Hits()), KeepScores: true, Strip: w})
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(exact(t, got), exact(t, want)) {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			})
		}
	}
}

// exact returns a response as Go values, numbers as they are spelled, without the time that it took.
func exact(t *testing.T, body []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	delete(v, "took")
	return v
}

func mustCall(t *testing.T, method, url string, body []byte) []byte {
	t.Helper()
	status, answer := call(t, method, url, body)
	if status/100 != 2 {
		t.Fatalf("%s %s %s: got %d %s", method, url, body, status, answer)
	}
	return answer
}

func call(t *testing.T, method, url string, body []byte) (int, []byte) {
	t.Helper()
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}
