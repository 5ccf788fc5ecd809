// Package inside runs the proxy within the test's own process, in front of a real cluster and with a ranking of the test's choice. What is
// between the two, a model excepted, is what the program runs.
package inside

import (
	"context"
	"math"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/rerank"
)

// Options say what the proxy does. The zero value passes every search.
type Options struct {
	Rules     []proxy.Rule           // none: every search passes
	Inference map[string]proxy.Model // by the ids of inference endpoints
}

// Serve runs the proxy until the test ends, and returns its URL.
func Serve(t testing.TB, node *cluster.Node, o Options) string {
	t.Helper()
	c := config.Default()
	c.Cluster.URLs = []string{node.URL}
	backend, err := backends.Open(c.Cluster, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	handler := proxy.New(&proxy.Snapshot{
		Upstream:   backend,
		Mappings:   backend,
		Rules:      o.Rules,
		Inference:  o.Inference,
		OpenSearch: func() bool { return backend.Engine().Kind == config.KindOpenSearch },
		Off:        len(o.Rules) == 0,
		Limits: proxy.Limits{
			Request: int64(c.Limits.Request), Response: int64(c.Limits.Response), Widened: int64(c.Limits.Widened), DearWindow: c.Limits.DearWindow, Buffered: int64(c.Limits.Memory),
			Idle: time.Duration(c.Limits.Idle),
		},
	}, proxy.Options{})
	server := proxy.NewServer(handler, proxy.ServerOptions{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Errorf("stopping the proxy: %v", err)
		}
		if err := <-done; err != http.ErrServerClosed {
			t.Errorf("the proxy ended with %v", err)
		}
		handler.Close()
		backend.Close()
	})
	return "http://" + listener.Addr().String()
}

// Identity keeps the cluster's order and scores, and says that it judged every hit.
var Identity = ranker(func(i, n int, hit rerank.Hit) (place int, score float64) { return i, hit.Score })

// Reversing turns the window round, with scores that fall from 1.
var Reversing = ranker(func(i, n int, hit rerank.Hit) (place int, score float64) { return n - 1 - i, 1 / float64(n-i) })

// ranker puts the i-th of n hits that have a text to the place of another, with a score. Those without keep theirs.
type ranker func(i, n int, hit rerank.Hit) (place int, score float64)

// Rank implements proxy.Ranker.
func (f ranker) Rank(_ context.Context, _ string, hits []rerank.Hit) rerank.Ranking {
	var texts []int
	r := rerank.Ranking{Order: make([]int, len(hits)), Scores: make([]float64, len(hits)), Logits: make([]float64, len(hits))}
	for i, hit := range hits {
		r.Order[i], r.Scores[i], r.Logits[i] = i, hit.Score, math.NaN()
		if hit.Text != "" {
			texts = append(texts, i)
		}
	}
	n := len(texts)
	for k, i := range texts {
		to, score := f(k, n, hits[i])
		place := texts[to]
		r.Order[place], r.Scores[place], r.Logits[place] = i, score, float64(n-to)
	}
	for place := range r.Scores { // those without text show what stands above them, as those of package rerank do
		if math.IsNaN(r.Logits[place]) && n > 0 && n < len(hits) {
			r.Scores[place] = r.Scores[max(place-1, texts[0])]
			if place < texts[0] {
				r.Scores[place] = r.Scores[texts[0]]
			}
		}
	}
	report := rerank.Report{Model: "test", Window: n, Scored: n}
	if n == 0 {
		report.Skipped = rerank.SkippedNoText
	}
	r.Stages = []rerank.Report{report}
	return r
}

// Lengths is a scorer to which a text is the better the longer it is.
var Lengths lengths

type lengths struct{}

// Score implements rerank.Scorer.
func (lengths) Score(_ context.Context, _ string, docs []string) ([]float32, error) {
	logits := make([]float32, len(docs))
	for i, doc := range docs {
		logits[i] = float32(len(doc)) / 100
	}
	return logits, nil
}
