package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// filter_path is the client's: the cluster is asked for the whole response, and what the client gets is what the engine would have left
// of the reranked one.
func TestFilterPath(t *testing.T) {
	for _, tt := range []struct{ query, want, rerank string }{
		{"filter_path=hits.hits._id", `{"hits":{"hits":[{"_id":"29"}]}}`, "applied"},
		{"pretty&filter_path=hits.hits._id", "{\n  \"hits\" : {\n    \"hits\" : [\n      {\n        \"_id\" : \"29\"\n      }\n    ]\n  }\n}\n", "applied"},
		{"filter_path=-took,-_shards,-hits.hits._source,-hits.hits._index", `{"timed_out":false,"hits":{"total":{"value":100,"relation":"eq"},"max_score":1.0,"hits":[{"_id":"29","_score":1.0}]}}`, "applied"},
		{"filter_path=hits.hits._source.nowhere", `{}`, "applied"},
	} {
		s := &shop{docs: 100}
		base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
		res, body, err := do(t, request(t, "POST", base+"/shop/_search?"+tt.query, `{"query":{"match":{"title":"blue shoes"}},"size":1}`))
		if err != nil {
			t.Fatal(err)
		}
		if body != tt.want || !strings.HasPrefix(res.Header.Get("X-Rerank"), tt.rerank) {
			t.Errorf("%s: got %s, X-Rerank %q, want %s", tt.query, body, res.Header.Get("X-Rerank"), tt.want)
		}
		if seen := s.searches(); !strings.Contains(seen[0], "filter_path=* ") {
			t.Errorf("the cluster saw %q, want it asked for all", seen)
		}
	}
}

func TestFilterPathOfMultiSearch(t *testing.T) {
	s := &shops{shop: shop{docs: 100}}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	lines := "{}\n" + `{"query":{"match":{"title":"blue shoes"}},"size":1}` + "\n{}\n" + `{"query":{"match_all":{}},"size":1}` + "\n"
	res, body, err := do(t, request(t, "POST", base+"/shop/_msearch?filter_path=responses.hits.hits._id", lines, "Content-Type", "application/x-ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"responses":[{"hits":{"hits":[{"_id":"29"}]}},{"hits":{"hits":[{"_id":"0"}]}}]}`; body != want || !strings.HasPrefix(res.Header.Get("X-Rerank"), "applied") {
		t.Errorf("got %s, X-Rerank %q, want %s", body, res.Header.Get("X-Rerank"), want)
	}
}

// Engines differ in what becomes of an empty value into which an excluded path leads: the cluster's own answer it is, and the reason is the
// filter, not an answer that could not be read.
func TestFilterPathThatEnginesApplyOtherwise(t *testing.T) {
	s := &shops{shop: shop{docs: 100}}
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !strings.Contains(r.URL.RawQuery, "filter_path=*") {
			w.Write([]byte(`{"filtered by":"the cluster"}`))
			return
		}
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, r)
		w.Write([]byte(strings.ReplaceAll(answer.Body.String(), `"price":12345678901234567890`, `"tags":[]`)))
	})
	base, _ := serve(t, &Snapshot{Upstream: c, Rules: rules(reverse)}, Options{})
	search := `{"query":{"match":{"title":"blue shoes"}},"size":1}`
	for _, tt := range []struct{ path, body, kind string }{
		{"/shop/_search?filter_path=-hits.hits._source.tags.x", search, "application/json"},
		{"/shop/_msearch?filter_path=-responses.hits.hits._source.tags.x", "{}\n" + search + "\n", "application/x-ndjson"},
	} {
		res, body, err := do(t, request(t, "POST", base+tt.path, tt.body, "Content-Type", tt.kind))
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, "skipped; reason=format") || body != `{"filtered by":"the cluster"}` {
			t.Errorf("%s: got %s, X-Rerank %q, want the cluster's answer for the reason format", tt.path, body, got)
		}
	}
}
