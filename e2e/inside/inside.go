// Package inside runs the proxy within the test's own process, in front of a real cluster and with a ranking of the test's choice. What is
// between the two, a model excepted, is what the program runs.
package inside

import (
	"context"
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
			Request: int64(c.Limits.Request), Response: int64(c.Limits.Response), Widened: int64(c.Limits.Widened), Buffered: int64(c.Limits.Memory),
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

// ranker puts the i-th of n hits to a place with a score. A hit without text takes part like all others.
type ranker func(i, n int, hit rerank.Hit) (place int, score float64)

// Rank implements proxy.Ranker.
func (f ranker) Rank(_ context.Context, _ string, hits []rerank.Hit) rerank.Ranking {
	n := len(hits)
	r := rerank.Ranking{
		Order: make([]int, n), Scores: make([]float64, n), Logits: make([]float64, n),
		Stages: []rerank.Report{{Model: "test", Window: n, Scored: n}},
	}
	for i, hit := range hits {
		place, score := f(i, n, hit)
		r.Order[place], r.Scores[place], r.Logits[place] = i, score, float64(n-place)
	}
	return r
}
