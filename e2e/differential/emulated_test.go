package differential

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/inside"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/rerank"
)

// emulated is what testEmulated tries, for the table.
var emulated = []shape{
	{group: "Run by rerankd", feature: "retriever.text_similarity_reranker", how: "where the configuration names its inference id: the child is searched for, and ranked here; rank_window_size and min_score are honoured"},
	{group: "Run by rerankd", feature: "POST /_inference/rerank/{id}", how: "answered for the ids that the configuration names"},
}

// testEmulated: a text_similarity_reranker is run by rerankd on an engine that has none. The scorer is the length of a text, so that the
// order is known: the cluster's own answer to the child, sorted by it.
func testEmulated(t *testing.T, node *cluster.Node) {
	through := inside.Serve(t, node, inside.Options{
		Rules:     []proxy.Rule{{Name: "all", Indices: []string{"differential-*"}, Fields: []string{"title"}, Window: window, Budget: time.Minute, Ranker: inside.Identity, Version: "1"}},
		Inference: map[string]proxy.Model{"mine": {Stage: rerank.Stage{Model: "lengths", Scorer: inside.Lengths}, Version: "1"}},
	})
	s := &sides{direct: node.URL}
	child := shape{body: `{"query":{"bool":{"must":[{"match":{"body":"outdoors"}}],"filter":[{"term":{"category":"camping"}}]}},"size":12}`}
	type hit struct {
		ID     string                `json:"_id"`
		Source struct{ Body string } `json:"_source"`
		Score  float64               `json:"_score"`
	}
	var answer struct {
		Hits struct {
			Total json.RawMessage
			Hits  []hit
		}
	}
	whole := s.send(t, s.direct, child)
	if err := json.Unmarshal(whole.body, &answer); err != nil || len(answer.Hits.Hits) != 12 {
		t.Fatalf("%v: %.300s", err, whole.body)
	}
	expected := answer.Hits.Hits
	slices.SortStableFunc(expected, func(a, b hit) int { return len(b.Source.Body) - len(a.Source.Body) })
	total := string(answer.Hits.Total)
	logit := func(i int) float64 { return float64(float32(len(expected[i].Source.Body)) / 100) }
	median := (logit(5) + logit(6)) / 2

	reranker := func(options, page string) shape {
		return shape{body: `{"retriever":{"text_similarity_reranker":{"retriever":{"standard":{"query":{"match":{"body":"outdoors"}},"filter":{"term":{"category":"camping"}}}},` +
			`"field":"body","inference_id":"mine","inference_text":"` + words + `"` + options + `}}` + page + `}`}
	}
	for _, tt := range []struct {
		name     string
		sh       shape
		from, to int
	}{
		{"the window", reranker(`,"rank_window_size":12`, `,"size":12`), 0, 12},
		{"a page of it", reranker(`,"rank_window_size":12`, `,"from":5,"size":4`), 5, 9},
		{"its end", reranker(`,"rank_window_size":12`, `,"from":10,"size":10`), 10, 12},
		{"beyond it", reranker(`,"rank_window_size":12`, `,"from":12,"size":10`), 12, 12},
		{"a least score", reranker(fmt.Sprintf(`,"rank_window_size":12,"min_score":%g`, median), `,"size":12`), 0, slices.IndexFunc(expected, func(h hit) bool { return float64(float32(len(h.Source.Body))/100) < median })},
		{"without _source", reranker(`,"rank_window_size":12`, `,"size":12,"_source":false`), 0, 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := s.send(t, through, tt.sh)
			answer.Hits.Hits = nil
			if err := json.Unmarshal(got.body, &answer); err != nil || got.status != http.StatusOK {
				t.Fatalf("%d %v: %.300s", got.status, err, got.body)
			}
			if tt.from < tt.to && !strings.HasPrefix(got.header.Get("X-Rerank"), `applied; model="lengths"; window=12; scored=12`) {
				t.Errorf("got X-Rerank %q", got.header.Get("X-Rerank"))
			}
			if len(answer.Hits.Hits) != tt.to-tt.from {
				t.Fatalf("got %d hits, want %d", len(answer.Hits.Hits), tt.to-tt.from)
			}
			for i, hit := range answer.Hits.Hits {
				want := expected[tt.from+i]
				if hit.ID != want.ID {
					t.Errorf("place %d: got %s, want %s", i, hit.ID, want.ID)
				}
				if score := logit(tt.from+i) + 1; math.Abs(hit.Score-score) > 1e-6 { // all are positive
					t.Errorf("place %d: got score %v, want Elasticsearch's, %v", i, hit.Score, score)
				}
			}
			if string(answer.Hits.Total) != total {
				t.Errorf("got total %s, want %s", answer.Hits.Total, total)
			}
			if strings.Contains(string(got.body), `"fields"`) {
				t.Errorf("what was asked for the texts is still there: %.300s", got.body)
			}
		})
	}

	t.Run("inference", func(t *testing.T) {
		got := s.send(t, through, shape{path: "../_inference/rerank/mine", body: `{"query":"q","input":["a","` + strings.Repeat("b", 50) + `"],"return_documents":false}`})
		if want := `{"rerank":[{"index":1,"relevance_score":0.62245935},{"index":0,"relevance_score":0.5025}]}`; got.status != http.StatusOK || string(got.body) != want {
			t.Errorf("got %d %s, want %s", got.status, got.body, want)
		}
	})
}
