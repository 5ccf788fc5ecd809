package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/rerank"
)

// atHand is a cluster without a network: its pages are made before.
type atHand struct{ page, window []byte }

func (c atHand) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	page := c.page
	if bytes.Contains(body, []byte(`"size":50`)) {
		page = c.window
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(page)), ContentLength: int64(len(page)),
	}, nil
}

// nowhere is where a benchmark's records go.
type nowhere struct{}

func (nowhere) Keep(experiment.Record) {}

// BenchmarkExperiment is what an experiment adds to a search, cluster and model aside: a window of 50 hits with 200 bytes of text, of which 10
// are shown. The order is remembered from the first search on, so that no ranking is in it; "none" and "none, lexical" are without one.
func BenchmarkExperiment(b *testing.B) {
	s := &shop{docs: 1000}
	long := strings.NewReplacer(`"title":"Document`, `"title":"`+strings.Repeat("blue shoes for long walks ", 8)+"Document")
	cluster := atHand{[]byte(long.Replace(string(s.page(0, 10)))), []byte(long.Replace(string(s.page(0, 50))))}
	order := rankerFunc(func(ctx context.Context, q string, hits []rerank.Hit) rerank.Ranking { return reverse(ctx, q, hits) })
	rule := rules(order)
	rule[0].Window = 50
	in := func(change ...func(*Experiment)) *Snapshot {
		s := against(order, change...)
		s.Rules[0].Experiment.Rules[1].Window = 50
		return s
	}
	all := func(variant int) func(*Experiment) {
		return func(e *Experiment) { e.Experiment.Variants[1-variant].Share = 0 }
	}
	off := rules(nil)
	for _, bb := range []struct {
		name string
		s    *Snapshot
		says string
	}{
		{"none, lexical", &Snapshot{Rules: off}, "skipped; reason=disabled"},
		{"lexical", in(all(0)), "skipped; reason=variant"},
		{"none", &Snapshot{Rules: rule}, "applied"},
		{"reranked", in(all(1)), "applied"},
		{"interleaved", in(interleaved), "applied"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			bb.s.Upstream, bb.s.Rules[0].Fields = cluster, []string{"title"}
			if bb.s.Sink != nil {
				bb.s.Sink = nowhere{}
			}
			h := New(bb.s, Options{})
			defer h.Close()
			body := `{"query":{"match":{"title":"blue shoes"}},"ext":{"ubi":{"client_id":"someone","query_id":"4fb7b4f1"}}}`
			if bb.s.Sink == nil {
				body = match
			}
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", "/shop/_search", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("X-User", "ada")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if said := w.Header().Get("X-Rerank"); w.Code != http.StatusOK || !strings.HasPrefix(said, bb.says) {
					b.Fatalf("got %d, X-Rerank %q, %s", w.Code, said, w.Body)
				}
			}
		})
	}
}
