package proxy

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
)

// A ranking that failed is what the pages after it follow; whoever begins anew gets another try, and then both follow that one.
func TestFailedRankingIsTriedAnew(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	flaky := scorer(func(_ context.Context, _ string, docs []string) ([]float32, error) {
		if broken.Load() {
			return nil, errors.New("out of order")
		}
		scores := make([]float32, len(docs))
		for i := range scores {
			scores[i] = float32(i)
		}
		return scores, nil
	})
	s := &shop{docs: 100}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(flaky)}, Options{})
	page := func(from string) string {
		res, _, err := do(t, request(t, "POST", base+"/shop/_search?from="+from, match))
		if err != nil {
			t.Fatal(err)
		}
		said, _, _ := strings.Cut(res.Header.Get("X-Rerank"), "; model")
		return said
	}
	const failed, applied = "skipped; reason=model_error", "applied"
	for _, step := range []struct{ from, want string }{{"0", failed}, {"10", failed}} {
		if got := page(step.from); got != step.want {
			t.Errorf("from %s with a broken model: got %q, want %q", step.from, got, step.want)
		}
	}
	broken.Store(false)
	for _, step := range []struct{ from, want string }{{"10", failed}, {"0", applied}, {"10", applied}, {"0", applied}} {
		if got := page(step.from); got != step.want {
			t.Errorf("from %s when the model works again: got %q, want %q", step.from, got, step.want)
		}
	}
}
