package differential

import (
	"bytes"
	"encoding/json"
	"io"
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

// TestSecrets: what a client may not read through the cluster it does not learn through rerankd, whatever a client with more rights has
// searched for before: neither documents, nor texts, nor the names of fields. Elasticsearch 8.14 is the engine here with API keys.
func TestSecrets(t *testing.T) {
	if !slices.Contains(cluster.Asked(t), cluster.Elasticsearch814) {
		t.Skip("needs Elasticsearch 8.14: RERANKD_E2E=matrix")
	}
	node := cluster.StartSecured(t, cluster.Elasticsearch814)
	mapping := func(field string) string {
		return `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{"` + field + `":{"type":"text"}}},"aliases":{"differential-any":{}}}`
	}
	documents := func(field string) string {
		var b strings.Builder
		for i := range 20 {
			b.WriteString("{\"index\":{}}\n{\"" + field + "\":\"the quick report " + strings.Repeat("report ", i%4) + "\"}\n")
		}
		return b.String()
	}
	node.Index(t, "differential-open", mapping("title"), documents("title"))
	node.Index(t, "differential-secret", mapping("codename"), documents("codename"))

	do := func(t *testing.T, base, method, path, body, authorization string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Rerank-Debug", "true")
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		res, err := wire.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, string(answer)
	}
	_, _, answer := do(t, node.URL, "POST", "/_security/api_key", `{"name":"narrow","role_descriptors":{"r":{"indices":[{"names":["differential-open"],"privileges":["read","view_index_metadata"]}]}}}`, node.Authorization())
	var key struct{ ID, Encoded string }
	if err := json.Unmarshal([]byte(answer), &key); err != nil || key.Encoded == "" {
		t.Fatalf("no API key: %s", answer)
	}
	narrow := "ApiKey " + key.Encoded

	// No rule names a field, so that all that is known of them comes from the cluster.
	through := inside.Serve(t, node, inside.Options{
		Rules:     []proxy.Rule{{Name: "all", Window: window, Budget: time.Minute, Ranker: inside.Identity, KeepScores: true, Version: "1"}},
		Inference: map[string]proxy.Model{"mine": {Stage: rerank.Stage{Model: "test", Scorer: inside.Lengths}, Version: "1"}},
	})
	const search = `{"query":{"query_string":{"query":"quick report"}},"size":5}`
	requests := []struct{ path, body string }{
		{"/differential-secret/_search", search},
		{"/differential-open/_search", search},
		{"/differential-*/_search", search},
		{"/_search", search},
		{"/differential-any/_search", search},
		{"/differential-open,differential-secret/_search", search},
		{"/differential-open,differential-secret/_search?ignore_unavailable=true", search},
		{"/differential-secret/_search?q=codename:report", ""},
		{"/_msearch", "{\"index\":\"differential-secret\"}\n" + search + "\n{\"index\":\"differential-open\"}\n" + search + "\n"},
	}
	for _, who := range []struct{ name, authorization string }{{"one who may read all", node.Authorization()}, {"one who may not", narrow}, {"nobody", ""}, {"a stranger", "ApiKey bm9ib2R5Om5vdGhpbmc="}} {
		t.Run(who.name, func(t *testing.T) {
			for range 2 { // cold, and with all that is remembered by then
				for _, r := range requests {
					status, header, want := do(t, node.URL, "POST", r.path, r.body, who.authorization)
					gotStatus, gotHeader, got := do(t, through, "POST", r.path, r.body, who.authorization)
					for end := time.Now().Add(10 * time.Second); strings.Contains(gotHeader.Get("X-Rerank"), "warming") && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
						gotStatus, gotHeader, got = do(t, through, "POST", r.path, r.body, who.authorization)
					}
					if gotStatus != status || !sameBody(shape{}, []byte(want), []byte(got)) {
						t.Errorf("%s: got %d %.500s, want %d %.500s", r.path, gotStatus, got, status, want)
					}
					if got, want := gotHeader.Get("Www-Authenticate"), header.Get("Www-Authenticate"); got != want {
						t.Errorf("%s: got WWW-Authenticate %q, want %q", r.path, got, want)
					}
					for name, values := range gotHeader {
						named := strings.Contains(r.path, "codename") // by the client itself
						if text := strings.Join(values, " "); !named && who.authorization != node.Authorization() && strings.Contains(text, "codename") {
							t.Errorf("%s: the header %s names a field that the client may not see: %s", r.path, name, text)
						}
					}
				}
			}
			// The inference endpoint is for those whom the cluster lets in.
			wanted := http.StatusOK
			if who.name == "nobody" || who.name == "a stranger" {
				wanted = http.StatusUnauthorized
			}
			if status, _, body := do(t, through, "POST", "/_inference/rerank/mine", `{"query":"q","input":["a","bb"]}`, who.authorization); status != wanted {
				t.Errorf("inference: got %d %s, want %d", status, body, wanted)
			}
		})
	}

	// A key that is revoked is refused at once for searches.
	do(t, node.URL, "DELETE", "/_security/api_key", `{"ids":["`+key.ID+`"]}`, node.Authorization())
	status, _, want := do(t, node.URL, "POST", "/differential-open/_search", search, narrow)
	if gotStatus, _, got := do(t, through, "POST", "/differential-open/_search", search, narrow); status != http.StatusUnauthorized || gotStatus != status || got != want {
		t.Errorf("revoked: got %d %s, want %d %s", gotStatus, got, status, want)
	}
}
