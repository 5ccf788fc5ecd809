package proxy

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// How many hits an index gives is learned from its refusal, for a while and for the client that was refused.
func TestReachIsLearned(t *testing.T) {
	s := &shop{docs: 100}
	s.intercept = func(w http.ResponseWriter, r *http.Request, body []byte, wide bool) bool {
		if !strings.Contains(string(body), `"size":30`) {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":{"root_cause":[{"type":"illegal_argument_exception","reason":"Result window is too large, from + size must be less than or equal to: [20] but was [30]."}]},"status":400}`)
		return true
	}
	now := time.Now()
	base, h := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{Now: func() time.Time { return now }})
	for i, step := range []struct {
		body, user, rerank string
		want               []int
		searches           int
	}{
		{match, "a", "skipped; reason=upstream_status", count(0, 10, 1), 2},
		{match, "a", "applied", count(19, 9, -1), 3},
		{`{"query":{"match":{"title":"blue shoes"}},"from":10}`, "a", "applied", count(9, -1, -1), 4},
		{`{"query":{"match":{"title":"blue shoes"}},"from":11}`, "a", "skipped; reason=upstream_status", count(11, 21, 1), 5},
		{match, "b", "skipped; reason=upstream_status", count(0, 10, 1), 7}, // who has learned for himself
		{match, "b", "applied", count(19, 9, -1), 8},
	} {
		res, body, err := do(t, request(t, "POST", base+"/shop/_search", step.body, "Authorization", step.user))
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(t, body); !slices.Equal(got, step.want) || !strings.HasPrefix(res.Header.Get("X-Rerank"), step.rerank) || len(s.searches()) != step.searches {
			t.Errorf("step %d: got %v, X-Rerank %q, %d searches, want %v, %q, %d", i, got, res.Header.Get("X-Rerank"), len(s.searches()), step.want, step.rerank, step.searches)
		}
	}
	now = now.Add(learnedKept + time.Second)
	if _, _, err := do(t, request(t, "POST", base+"/shop/_search", match, "Authorization", "a")); err != nil {
		t.Fatal(err)
	}
	if got := counted(t, h.metrics.again.WithLabelValues("upstream_status")); got != 3 {
		t.Errorf("counted %v repetitions, want one more after the time is up", got)
	}
}

// A search that is refused for some other reason when widened is not widened again for a while.
func TestUnfitSearchIsRemembered(t *testing.T) {
	s := &shop{docs: 100}
	s.intercept = func(w http.ResponseWriter, r *http.Request, body []byte, wide bool) bool {
		if wide {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":{"reason":"something else"},"status":400}`)
		}
		return wide
	}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	for i, searches := range []int{2, 3, 4} {
		res, body, err := do(t, request(t, "POST", base+"/shop/_search", match))
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("X-Rerank"); got != "skipped; reason=upstream_status" || !slices.Equal(ids(t, body), count(0, 10, 1)) || len(s.searches()) != searches {
			t.Errorf("time %d: got X-Rerank %q, %s, %d searches, want %d", i, got, body, len(s.searches()), searches)
		}
	}
}

// Where hits are large, the window is smaller: already for the answer that shows it, and from then on for what is asked for.
func TestLargeHitsMakeTheWindowSmaller(t *testing.T) {
	s := &shop{docs: 100}
	each := len(s.page(0, 1)) // bytes; hits are of some 100, which a power of two stands for
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse), Limits: Limits{Widened: 16 * 128}}, Options{})
	if each < 128 || each > 512 {
		t.Fatalf("a page of one hit has %d bytes; the numbers below are not meant for that", each)
	}
	for i, want := range []string{`"size":30`, `"size":16`, `"size":16`} {
		res, body, err := do(t, request(t, "POST", base+"/shop/_search", match))
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(t, body); !slices.Equal(got, count(15, 5, -1)) || !strings.Contains(res.Header.Get("X-Rerank"), "window=16") {
			t.Errorf("time %d: got %v, X-Rerank %q, want the first 16 hits reversed", i, got, res.Header.Get("X-Rerank"))
		}
		if seen := s.searches(); !strings.Contains(seen[i], want) {
			t.Errorf("time %d: the cluster saw %q, want %s", i, seen[i], want)
		}
	}
}

func TestDearHitsMakeTheWindowSmaller(t *testing.T) {
	s := &shop{docs: 100}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse), Limits: Limits{DearWindow: 12}}, Options{})
	for _, tt := range []struct {
		more   string
		window int
	}{{"", 30}, {`,"highlight":{"fields":{"title":{}}}`, 12}, {`,"collapse":{"field":"cat","inner_hits":{"name":"more"}}`, 12}} {
		res, _, err := do(t, request(t, "POST", base+"/shop/_search", `{"query":{"match":{"title":"blue shoes"}}`+tt.more+`}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("X-Rerank"); !strings.Contains(got, fmt.Sprintf("window=%d;", tt.window)) {
			t.Errorf("%s: got X-Rerank %q, want a window of %d", tt.more, got, tt.window)
		}
	}
}

// Only the cluster's own words teach: a refusal also repeats what a user typed, and may be about the search's own window. The messages are
// those of Elasticsearch 7.17 to 8.19 and OpenSearch 2.19.
func TestReachOf(t *testing.T) {
	const es = `Result window is too large, from + size must be less than or equal to: [12] but was [30]. See the scroll api for a more efficient way`
	for refusal, want := range map[string]int{
		`{"error":{"root_cause":[{"type":"illegal_argument_exception","reason":"` + es + `"}]},"status":400}`:                                   12,
		"{\n  \"error\" : {\n    \"reason\" : \"" + es + "\"\n  }\n}":                                                                           12,
		`{"error":{"reason":"Validation Failed: 1: [rrf] requires [rank_window_size: 20] be greater than or equal to [size: 30];"}}`:            20,
		`{"error":{"reason":"[rank] requires [rank_window_size: 20] be greater than or equal to [size: 30]"}}`:                                  20,
		`{"error":{"reason":"Failed to parse query [x/ from + size must be less than or equal to: [1] but was [2]]"}}`:                          0,
		`{"error":{"reason":"Failed to parse query [\"reason\":\"` + es + `]"}}`:                                                                0,
		`{"error":{"reason":"Failed to parse query [[rrf] requires [rank_window_size: 1] be greater than or equal to [size: 9]]"}}`:             0,
		`{"error":{"reason":"Result window is too large, from + size must be less than or equal to: [0] but was [30]."}}`:                       0,
		`{"error":{"reason":"Result window is too large, from + size must be less than or equal to: [99999999999999999999999] but was [30]."}}`: 0,
		`{"error":{"reason":"Result window is too large, from + size must be less than or equal to: [-1] but was [30]."}}`:                      0,
	} {
		if got, ok := reachOf([]byte(refusal)); got != want || ok != (want > 0) {
			t.Errorf("%s: got %d, %v, want %d", refusal, got, ok, want)
		}
	}
}

// A limit that the widened search had kept within teaches nothing that would help the next one.
func TestUselessReachIsNotLearned(t *testing.T) {
	s := &shop{docs: 100}
	s.intercept = func(w http.ResponseWriter, r *http.Request, body []byte, wide bool) bool {
		if wide {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":{"reason":"Result window is too large, from + size must be less than or equal to: [1000000] but was [30]."},"status":400}`)
		}
		return wide
	}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	for range 3 {
		if _, _, err := do(t, request(t, "POST", base+"/shop/_search", match)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.searches()); got != 4 {
		t.Errorf("got %d searches for 3 of the client's, want only the first repeated", got)
	}
}

// An answer that was too large for a whole window is so the next time too: the search is not widened again for a while.
func TestTooLargeIsRemembered(t *testing.T) {
	for path, body := range map[string]string{"/shop/_search": match, "/shop/_msearch": "{}\n" + match + "\n"} {
		s := &shops{shop: shop{docs: 100}}
		base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse), Limits: Limits{Response: 3000}}, Options{})
		for i := range 3 {
			res, _, err := do(t, request(t, "POST", base+path, body))
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, "skipped; reason=too_large") {
				t.Errorf("%s, time %d: got X-Rerank %q", path, i, got)
			}
		}
		if got := len(s.searches()); got != 4 {
			t.Errorf("%s: got %d requests for 3 of the client's, want only the first repeated", path, got)
		}
	}
}
