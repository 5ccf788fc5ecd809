package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/reranktest"
)

// longest is a Scorer to which a text is the better the longer it is.
var longest = reranktest.ScorerFunc(func(_ context.Context, _ string, docs []string) ([]float32, error) {
	logits := make([]float32, len(docs))
	for i, doc := range docs {
		logits[i] = float32(len(doc)) - 3
	}
	return logits, nil
})

// gate is a cluster that lets in who has the password, and counts who asks.
func gate(t *testing.T, asked *atomic.Int64) *cluster {
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") == "Basic wrong" {
			w.Header().Set("WWW-Authenticate", "Basic realm=cluster")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusMethodNotAllowed) // as a cluster without security
		fmt.Fprintf(w, `{"error":"Incorrect HTTP method for uri [%s]","status":405}`, r.URL.Path)
	})
}

func inferenceSnapshot(c *cluster, s rerank.Scorer) *Snapshot {
	return &Snapshot{Upstream: c, Inference: map[string]Model{"mine": {Stage: rerank.Stage{Model: "small", Scorer: s}, Version: "1"}, "*": {Stage: rerank.Stage{Model: "small", Scorer: s}, Version: "1"}}}
}

func TestInference(t *testing.T) {
	asked := new(atomic.Int64)
	base, _ := serve(t, inferenceSnapshot(gate(t, asked), longest), Options{})
	for _, tt := range []struct{ body, want string }{
		{`{"query":"q","input":["abc","","abcde"]}`,
			`{"rerank":[{"index":2,"relevance_score":0.8807971,"text":"abcde"},{"index":0,"relevance_score":0.5,"text":"abc"},{"index":1,"relevance_score":0.047425874,"text":""}]}`},
		{`{"query":"q","input":["a","b","abc"],"return_documents":false}`,
			`{"rerank":[{"index":2,"relevance_score":0.5},{"index":0,"relevance_score":0.11920292},{"index":1,"relevance_score":0.11920292}]}`},
		{`{"query":"q","input":["abc","abcd"],"top_n":1,"task_settings":{"top_n":2,"return_documents":false}}`, `{"rerank":[{"index":1,"relevance_score":0.7310586}]}`},
		{`{"query":"q","input":"abc","return_documents":false}`, `{"rerank":[{"index":0,"relevance_score":0.5}]}`},
		{`{"query":"q","input":[123,true],"return_documents":true}`,
			`{"rerank":[{"index":1,"relevance_score":0.7310586,"text":"true"},{"index":0,"relevance_score":0.5,"text":"123"}]}`},
	} {
		res, body, err := do(t, request(t, "POST", base+"/_inference/rerank/mine?timeout=5s", tt.body, "Accept", "application/vnd.elasticsearch+json;compatible-with=8"))
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK || body != tt.want {
			t.Errorf("%s: got %d %s, want %s", tt.body, res.StatusCode, body, tt.want)
		}
		if got := res.Header.Get("X-Elastic-Product"); got != "Elasticsearch" {
			t.Errorf("got X-Elastic-Product %q, without which Elasticsearch's clients refuse an answer", got)
		}
		if got := res.Header.Get("Content-Type"); got != "application/vnd.elasticsearch+json;compatible-with=8" {
			t.Errorf("got Content-Type %q, want the version that the client asked for", got)
		}
		if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, `applied; model="small"; window=`) {
			t.Errorf("got X-Rerank %q", got)
		}
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("the cluster was asked %d times whether it lets the client in, want once a minute", got)
	}
}

// The error bodies are those that Elasticsearch 8.14.1 writes, but for where in the text the parser stood.
func TestInferenceRefusesAsElasticsearchDoes(t *testing.T) {
	base, _ := serve(t, inferenceSnapshot(gate(t, new(atomic.Int64)), longest), Options{})
	for _, tt := range []struct {
		url, body, kind, reason string
		status                  int
	}{
		{"", ``, "parse_exception", "request body is required", 400},
		{"", `{"query":"a"}`, "action_request_validation_exception", "Validation Failed: 1: Field [input] cannot be null;", 400},
		{"", `{"input":["a"]}`, "action_request_validation_exception", "Validation Failed: 1: Field [query] cannot be null for task type [rerank];", 400},
		{"", `{"query":"","input":["a"]}`, "action_request_validation_exception", "Validation Failed: 1: Field [query] cannot be empty for task type [rerank];", 400},
		{"", `{"query":"a","input":[]}`, "action_request_validation_exception", "Validation Failed: 1: Field [input] cannot be an empty array;", 400},
		{"", `{"query":"a","input":5}`, "x_content_parse_exception", "[cluster:monitor/xpack/inference] input doesn't support values of type: VALUE_NUMBER", 400},
		{"", `{"query":5,"input":"a"}`, "x_content_parse_exception", "[cluster:monitor/xpack/inference] query doesn't support values of type: VALUE_NUMBER", 400},
		{"", `{"query":"a","input":"a","sise":1}`, "x_content_parse_exception", "[cluster:monitor/xpack/inference] unknown field [sise]", 400},
		{"", `{"query":"a","input":"a","top_n":0}`, "action_request_validation_exception", "Validation Failed: 1: Field [top_n] must be a positive integer;", 400},
		{"", `{"query":"a"`, "x_content_parse_exception", "[cluster:monitor/xpack/inference] unexpected end of JSON input", 400},
		{"?timeout=abc", `{"query":"a","input":"a"}`, "illegal_argument_exception", "failed to parse setting [timeout] with value [abc] as a time value: unit is missing or unrecognized", 400},
		{"?foo=1", `{"query":"a","input":"a"}`, "illegal_argument_exception", "request [/_inference/rerank/mine] contains unrecognized parameter: [foo]", 400},
		{"", `{"query":"a","input":"` + strings.Repeat("a", 2<<20) + `"}`, "content_too_long_exception", "the request's body is larger than limits.request allows", 413},
	} {
		res, body, err := do(t, request(t, "POST", base+"/_inference/rerank/mine"+tt.url, tt.body))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(map[string]any{"status": tt.status, "error": map[string]any{"type": tt.kind, "reason": tt.reason, "root_cause": []any{map[string]any{"type": tt.kind, "reason": tt.reason}}}})
		var got, wanted any
		json.Unmarshal([]byte(body), &got)
		json.Unmarshal(want, &wanted)
		if diff := cmp.Diff(wanted, got); diff != "" || res.StatusCode != tt.status {
			t.Errorf("%.100s: got %d (-want +got)\n%s", tt.body, res.StatusCode, diff)
		}
	}
}

func TestInferenceFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		scorer rerank.Scorer
		status int
		kind   string
	}{
		"busy": {reranktest.ScorerFunc(func(context.Context, string, []string) ([]float32, error) { return nil, rerank.ErrBusy }), 429, "es_rejected_execution_exception"},
		"late": {reranktest.ScorerFunc(func(ctx context.Context, _ string, docs []string) ([]float32, error) {
			<-ctx.Done()
			return make([]float32, len(docs)-1), nil
		}), 408, "status_exception"},
		"broken": {reranktest.ScorerFunc(func(context.Context, string, []string) ([]float32, error) { return nil, errors.New("boom") }), 500, "status_exception"},
		"panic":  {reranktest.ScorerFunc(func(context.Context, string, []string) ([]float32, error) { panic("boom") }), 500, "status_exception"},
		"no score": {reranktest.ScorerFunc(func(_ context.Context, _ string, docs []string) ([]float32, error) {
			return []float32{float32(math.NaN())}, nil
		}), 500, "status_exception"},
	} {
		t.Run(name, func(t *testing.T) {
			base, _ := serve(t, inferenceSnapshot(gate(t, new(atomic.Int64)), tt.scorer), Options{})
			res, body, err := do(t, request(t, "POST", base+"/_inference/rerank/mine?timeout=50ms", `{"query":"a","input":["a"]}`))
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.status || !strings.Contains(body, `"type":"`+tt.kind+`"`) || strings.Contains(body, "boom") {
				t.Errorf("got %d %s, want %d %s", res.StatusCode, body, tt.status, tt.kind)
			}
		})
	}
}

// Who may not enter the cluster gets the cluster's own answer; ids that are not ours are the cluster's.
func TestInferenceAsksTheClusterFirst(t *testing.T) {
	asked := new(atomic.Int64)
	now := time.Now()
	clock := func() time.Time { return now }
	base, _ := serve(t, inferenceSnapshot(gate(t, asked), longest), Options{Now: clock})
	const body = `{"query":"a","input":["a"]}`
	call := func(path, authorization string) int {
		t.Helper()
		res, _, err := do(t, request(t, "POST", base+path, body, "Authorization", authorization))
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") == "" {
			t.Error("got a 401 that does not say how to authenticate")
		}
		return res.StatusCode
	}
	for i, step := range []struct {
		path, authorization string
		status              int
		asked               int64
	}{
		{"/_inference/rerank/mine", "Basic right", 200, 1},
		{"/_inference/rerank/mine", "Basic right", 200, 1},
		{"/_inference/rerank/mine", "Basic wrong", 401, 2}, // another client's yes is not this one's
		{"/_inference/rerank/mine", "Basic wrong", 401, 3}, // and a no is not kept
		{"/_inference/rerank/other", "Basic right", 405, 4},
		{"/_inference/rerank/*", "Basic right", 405, 5},
	} {
		if got := call(step.path, step.authorization); got != step.status || asked.Load() != step.asked {
			t.Errorf("step %d: got %d with %d questions to the cluster, want %d with %d", i, got, asked.Load(), step.status, step.asked)
		}
	}
	now = now.Add(2 * time.Minute)
	if call("/_inference/rerank/mine", "Basic right"); asked.Load() != 6 {
		t.Errorf("got %d questions, want one more after a minute", asked.Load())
	}
}

// Only a cluster's answers are a yes, not a login page's or another gate's; and what a client shows beside its token is asked for too.
func TestInferenceLetsNobodyElseIn(t *testing.T) {
	for status, want := range map[int]int{200: 200, 400: 200, 404: 200, 405: 200, 302: 302, 407: 407, 429: 429, 500: 500} {
		base, _ := serve(t, inferenceSnapshot(upstream(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Es-Client-Authentication") != "SharedSecret s" {
				status = http.StatusUnauthorized
			}
			w.WriteHeader(status)
		}), longest), Options{})
		res, _, err := do(t, request(t, "POST", base+"/_inference/rerank/mine", `{"query":"a","input":["a"]}`, "ES-Client-Authentication", "SharedSecret s"))
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != want {
			t.Errorf("the cluster said %d: got %d, want %d", status, res.StatusCode, want)
		}
	}
}

// No memory left is nothing that the client did wrong: it may come again.
func TestInferenceWithoutMemory(t *testing.T) {
	snapshot := inferenceSnapshot(gate(t, new(atomic.Int64)), longest)
	snapshot.Limits.Buffered = 64
	base, _ := serve(t, snapshot, Options{})
	res, body, err := do(t, request(t, "POST", base+"/_inference/rerank/mine", `{"query":"a","input":["`+strings.Repeat("a", 200)+`"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusTooManyRequests || !strings.Contains(body, "es_rejected_execution_exception") {
		t.Errorf("got %d %s, want 429", res.StatusCode, body)
	}
}

// A model that does not end when its time is over is left behind.
func TestInferenceLeavesAStuckModel(t *testing.T) {
	release := make(chan struct{})
	stuck := reranktest.ScorerFunc(func(_ context.Context, _ string, docs []string) ([]float32, error) {
		<-release
		return make([]float32, len(docs)), nil
	})
	base, _ := serve(t, inferenceSnapshot(gate(t, new(atomic.Int64)), stuck), Options{})
	t.Cleanup(func() { close(release) })
	for i := range maxStuck + 1 {
		want := http.StatusRequestTimeout
		if i == maxStuck {
			want = http.StatusTooManyRequests
		}
		res, body, err := do(t, request(t, "POST", base+"/_inference/rerank/mine?timeout=1ms", `{"query":"a","input":["a"]}`))
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != want {
			t.Fatalf("request %d: got %d %s, want %d", i+1, res.StatusCode, body, want)
		}
	}
}
