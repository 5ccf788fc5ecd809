package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

type fakeProgram struct {
	waiting []string
	status  Status
}

func (p fakeProgram) Waiting() []string { return p.waiting }
func (p fakeProgram) Status() Status    { return p.status }

func get(t *testing.T, h http.Handler, method, path string) (int, http.Header, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header(), string(body)
}

func TestReady(t *testing.T) {
	for _, test := range []struct {
		name    string
		waiting []string
		code    int
		body    string
	}{
		{"ready", nil, 200, "ready\n"},
		{"not ready", []string{"the model is not warm", "no node has answered"}, 503, "the model is not warm\nno node has answered\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := New(Options{Program: fakeProgram{waiting: test.waiting}})
			if code, _, body := get(t, h, "GET", "/-/ready"); code != test.code || body != test.body {
				t.Errorf("got %d %q, want %d %q", code, body, test.code, test.body)
			}
			if code, _, _ := get(t, h, "GET", "/-/healthy"); code != 200 {
				t.Errorf("healthy: got %d, want 200 whether ready or not", code)
			}
			if code, _, _ := get(t, h, "HEAD", "/-/ready"); code != test.code {
				t.Errorf("HEAD: got %d, want %d", code, test.code)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	want := Status{
		Started:  time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
		Versions: map[string]string{"rerankd": "v1"},
		Models:   []Model{{Name: "small", Digest: "abc", Precision: "int8"}},
		Rules:    []Rule{{Name: "all"}},
		Errors:   []Event{{Message: `<script>"`}},
	}
	code, header, body := get(t, New(Options{Program: fakeProgram{status: want}}), "GET", "/status")
	if code != 200 || header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s, want 200 application/json", code, header.Get("Content-Type"))
	}
	var got Status
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want.Rules, want.Cluster.Nodes = []Rule{{Name: "all", Indices: []string{}, Fields: []string{}}}, []Node{} // null would be one more thing to ask for
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestIndexEscapes(t *testing.T) {
	code, header, body := get(t, New(Options{Program: fakeProgram{waiting: []string{"<b>node</b>"}}}), "GET", "/")
	if code != 200 || strings.Contains(body, "<b>") || !strings.Contains(body, "&lt;b&gt;node") {
		t.Errorf("got %d %s, want a page that shows the text and not the element", code, body)
	}
	if got := header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") {
		t.Errorf("got policy %q", got)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "rerankd_test_total"})
	registry.MustRegister(counter)
	counter.Add(3)
	_, _, body := get(t, New(Options{Program: fakeProgram{}, Gatherer: registry}), "GET", "/metrics")
	if !strings.Contains(body, "rerankd_test_total 3\n") {
		t.Errorf("got %s, want the counter", body)
	}
	if code, _, _ := get(t, New(Options{Program: fakeProgram{}}), "GET", "/metrics"); code != 404 {
		t.Errorf("without a gatherer: got %d, want 404", code)
	}
}

// Nothing can be changed through these pages, so nothing but reading is understood.
func TestOnlyReading(t *testing.T) {
	h := New(Options{Program: fakeProgram{}})
	for _, path := range []string{"/", "/status", "/-/ready", "/-/healthy"} {
		if code, _, _ := get(t, h, "POST", path); code != 405 {
			t.Errorf("POST %s: got %d, want 405", path, code)
		}
	}
	if code, _, _ := get(t, h, "GET", "/_search"); code != 404 {
		t.Errorf("GET /_search: got %d, want 404", code)
	}
}

func TestRecentKeepsTheLastErrors(t *testing.T) {
	var log strings.Builder
	h := NewRecent(slog.NewTextHandler(&log, nil))
	logger := slog.New(h).With("node", "one").WithGroup("g")
	logger.Info("all is well")
	for i := range capacity + 1 {
		logger.Error(fmt.Sprintf("fault %d", i), "error", errors.New("broken"), "query", "what users asked")
	}
	got := h.Events()
	if len(got) != capacity {
		t.Fatalf("got %d events, want %d", len(got), capacity)
	}
	if want := fmt.Sprintf("fault %d: broken", capacity); got[0].Message != want {
		t.Errorf("got %q first, want %q", got[0].Message, want)
	}
	if !strings.Contains(log.String(), "all is well") || !strings.Contains(log.String(), "node=one") {
		t.Errorf("the log is not complete: %s", log.String())
	}
}

func TestRecentIsASlogHandler(t *testing.T) {
	var log strings.Builder
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		log.Reset()
		return NewRecent(slog.NewJSONHandler(&log, nil))
	}, func(t *testing.T) map[string]any {
		var m map[string]any
		if err := json.Unmarshal([]byte(log.String()), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}
