package proxy

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/reranktest"
)

// later is a Scorer to which a document is the better the later the cluster has it: of n documents the scores are 0, 1, … n-1, less half of n.
var later = reranktest.ScorerFunc(func(_ context.Context, _ string, docs []string) ([]float32, error) {
	logits := make([]float32, len(docs))
	for i := range docs {
		logits[i] = float32(i) - float32(len(docs))/2
	}
	return logits, nil
})

func reranker(options, page string) string {
	return `{"retriever":{"text_similarity_reranker":{"retriever":{"standard":{"query":{"match":{"title":"shoes"}}}},` +
		`"field":"title","inference_text":"blue shoes"` + options + `}}` + page + `}`
}

func TestEmulatedReranker(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		scorer     reranktest.ScorerFunc
		want       []int
		rerank     string
		upstream   string
	}{
		{"its window is what there is", reranker("", ""), later, count(9, -1, -1), `applied; model="small"; window=10; scored=10`,
			""},
		{"a larger window, a page of it", reranker(`,"rank_window_size":20,"inference_id":"mine"`, `,"from":5,"size":5`), later, count(14, 9, -1), "applied", `"size":20`},
		{"the last page", reranker(`,"rank_window_size":20`, `,"from":18,"size":5`), later, []int{1, 0}, "applied", `"size":20`},
		{"beyond the window there is nothing", reranker(`,"rank_window_size":20`, `,"from":20,"size":5`), later, nil, "skipped; reason=no_hits", `"size":0`},
		{"a least score", reranker(`,"rank_window_size":10,"min_score":2`, ""), later, []int{9, 8, 7}, "applied", ""},
		{"a filter", reranker(`,"filter":{"term":{"a":1}}`, ""), later, count(9, -1, -1), "applied",
			`{"query":{"bool":{"must":[{"match":{"title":"shoes"}}],"filter":[{"term":{"a":1}}]}}`},
		{"the child's order where the model breaks", reranker("", ""), reranktest.ScorerFunc(func(context.Context, string, []string) ([]float32, error) { panic("boom") }),
			count(0, 10, 1), "skipped; reason=model_error", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &shop{docs: 100}
			snapshot := inferenceSnapshot(upstream(t, s.ServeHTTP), tt.scorer)
			snapshot.Rules = rules(reverse)
			base, _ := serve(t, snapshot, Options{})
			res, body, err := do(t, request(t, "POST", base+"/shop/_search", tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := ids(t, body); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, tt.rerank) {
				t.Errorf("got X-Rerank %q, want %s", got, tt.rerank)
			}
			if seen := s.searches(); strings.Contains(seen[0], "retriever") || !strings.Contains(seen[0], tt.upstream) {
				t.Errorf("the cluster saw %q, want the child alone, with %s", seen, tt.upstream)
			}
		})
	}
}

// The scores are Elasticsearch's: max(s, 0) + min(e^s, 1).
func TestEmulatedScores(t *testing.T) {
	s := &shop{docs: 100}
	snapshot := inferenceSnapshot(upstream(t, s.ServeHTTP), later)
	snapshot.Rules = rules(reverse)
	snapshot.Rules[0].KeepScores = true // the rule's own affair
	base, _ := serve(t, snapshot, Options{})
	_, body, err := do(t, request(t, "POST", base+"/shop/_search", reranker(`,"rank_window_size":4`, `,"size":4`)))
	if err != nil {
		t.Fatal(err)
	}
	for _, score := range []string{`"max_score":2.0,`, `"_score":2.0,`, `"_score":1.0,`, `"_score":0.36787945,`, `"_score":0.13533528,`} {
		if !strings.Contains(body, score) {
			t.Errorf("got %s, want %s in it", body, score)
		}
	}
}

// What Elasticsearch refuses is refused in its words, and what is not ours to run is the cluster's.
func TestEmulatedRefusals(t *testing.T) {
	s := &shop{docs: 100}
	c := upstream(t, s.ServeHTTP)
	snapshot := inferenceSnapshot(c, later)
	snapshot.Rules = rules(reverse)
	base, _ := serve(t, snapshot, Options{})
	res, body, err := do(t, request(t, "POST", base+"/shop/_search", reranker(`,"rank_window_size":10`, `,"size":20`)))
	if err != nil {
		t.Fatal(err)
	}
	const reason = "[text_similarity_reranker] requires [rank_window_size: 10] be greater than or equal to [size: 20]"
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, reason) || len(s.searches()) != 0 {
		t.Errorf("got %d %s, with %d searches, want Elasticsearch's refusal", res.StatusCode, body, len(s.searches()))
	}
	if got := res.Header.Get("X-Elastic-Product"); got != "Elasticsearch" {
		t.Errorf("got X-Elastic-Product %q", got)
	}

	snapshot = &Snapshot{Upstream: c, Rules: rules(reverse), Inference: map[string]Model{"mine": {Stage: rerank.Stage{Model: "small", Scorer: later}}}}
	base, _ = serve(t, snapshot, Options{})
	for _, id := range []string{"", `,"inference_id":"other"`} {
		body := reranker(id, "")
		res, _, err := do(t, request(t, "POST", base+"/shop/_search", body))
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("X-Rerank"); got != "skipped; reason=unsupported" {
			t.Errorf("got X-Rerank %q of an id that nobody configured", got)
		}
		if seen := s.searches(); !strings.HasSuffix(seen[len(seen)-1], body) {
			t.Errorf("the cluster saw %q, want what the client sent", seen)
		}
	}
}

// In a multi-search, a refusal is the error of its own search.
func TestEmulatedInMultiSearch(t *testing.T) {
	s := &shops{shop: shop{docs: 100}}
	snapshot := inferenceSnapshot(upstream(t, s.ServeHTTP), later)
	snapshot.Rules = rules(reverse)
	base, _ := serve(t, snapshot, Options{})
	lines := "{}\n" + reranker("", "") + "\n{}\n" + reranker("", `,"size":20`) + "\n{}\n" + match + "\n"
	res, pages, body := multiSearch(t, base, lines)
	if !slices.Equal(pages[0], count(9, -1, -1)) || pages[1] != nil || !slices.Equal(pages[2], count(29, 19, -1)) {
		t.Errorf("got %v", pages)
	}
	if !strings.Contains(body, "requires [rank_window_size: 10]") {
		t.Errorf("got %s, want Elasticsearch's refusal in it", body)
	}
	if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, "applied; searches=3; reranked=2") {
		t.Errorf("got X-Rerank %q", got)
	}
	if seen := s.searches(); strings.Contains(seen[0], "retriever") { // for which a cluster without it would refuse all three
		t.Errorf("the cluster saw %q", seen)
	}
}
