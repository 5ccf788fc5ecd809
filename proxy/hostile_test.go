package proxy

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// Bodies that are made to hurt reach the cluster as they are, and its answer the client, with the reason; memory stays bounded.
func TestHostileRequests(t *testing.T) {
	const words = `"query":{"match":{"title":"blue shoes"}}`
	for _, tt := range []struct{ name, body, rerank string }{
		{"twenty million levels deep", `{"a":` + strings.Repeat("[", 20_000_000), "skipped; reason=malformed_request"},
		{"a key twice", `{"size":1,"size":2,` + words + `}`, "skipped; reason=malformed_request"},
		{"numbers beyond 2^53", `{"size":9007199254740993,` + words + `}`, "skipped; reason=malformed_request"},
		{"truncated", `{` + words, "skipped; reason=malformed_request"},
		{"NUL", "{\x00" + words + "}", "skipped; reason=malformed_request"},
		{"invalid UTF-8 in the words", "{\"query\":{\"match\":{\"title\":\"blue \xff\xfe shoes\"}},\"size\":3}", "applied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sum atomic.Pointer[string]
			s := &shop{docs: 100}
			c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				d := sha256.New()
				r.Body = io.NopCloser(io.TeeReader(r.Body, d))
				s.ServeHTTP(w, r)
				seen := fmt.Sprintf("%x", d.Sum(nil))
				sum.Store(&seen)
			})
			base, _ := serve(t, &Snapshot{Upstream: c, Rules: rules(reverse), Limits: Limits{Request: 64 << 20, Buffered: 512 << 20}}, Options{})
			res, body, err := do(t, request(t, "POST", base+"/shop/_search", tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, tt.rerank) || res.StatusCode != http.StatusOK || len(ids(t, body)) == 0 {
				t.Errorf("got %d, X-Rerank %q, %.200s", res.StatusCode, got, body)
			}
			if want := fmt.Sprintf("%x", sha256.Sum256([]byte(tt.body))); tt.rerank != "applied" && *sum.Load() != want {
				t.Error("the cluster saw other bytes than the client sent")
			}
		})
	}
}

// A hit of a hundred megabytes goes through to the client, whole, and is not held.
func TestHugeHit(t *testing.T) {
	const size = 100 << 20
	page := func(w io.Writer, sum hash.Hash) {
		out := io.MultiWriter(w, sum)
		io.WriteString(out, `{"took":1,"hits":{"max_score":1.0,"hits":[{"_id":"0","_score":1.0,"_source":{"title":"`)
		block := []byte(strings.Repeat("blue shoes ", 1<<10))
		for n := 0; n < size; n += len(block) {
			out.Write(block)
		}
		io.WriteString(out, `"}}]}}`)
	}
	want := sha256.New()
	page(io.Discard, want)
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		page(w, sha256.New())
	})
	// Were more than the limit held of it, the pool for all bodies would be empty, and the reason another.
	base, _ := serve(t, &Snapshot{Upstream: c, Rules: rules(reverse), Limits: Limits{Response: 16 << 20, Buffered: 20 << 20}}, Options{})
	res, err := http.DefaultTransport.RoundTrip(request(t, "POST", base+"/shop/_search", match))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := sha256.New()
	if _, err := io.Copy(got, res.Body); err != nil {
		t.Fatal(err)
	}
	if string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Error("the hit is not what the cluster sent")
	}
	if got := res.Header.Get("X-Rerank"); got != "skipped; reason=too_large" {
		t.Errorf("got X-Rerank %q", got)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
