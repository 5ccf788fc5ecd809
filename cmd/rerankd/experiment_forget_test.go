package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// In a cluster a client is forgotten by the name and password of the URL, its searches' events before its searches.
func TestForgetInACluster(t *testing.T) {
	var asked []string
	searches := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "reader" || password != "a:b" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.URL.Path+" "+string(body))
		switch {
		case strings.HasSuffix(r.URL.Path, "/_search") && searches == 0:
			searches++
			io.WriteString(w, `{"hits":{"hits":[{"_source":{"query_id":"q1"}}]}}`)
		case strings.HasSuffix(r.URL.Path, "/_search"):
			io.WriteString(w, `{}`)
		default:
			io.WriteString(w, `{"deleted":2,"failures":[]}`)
		}
	}))
	defer server.Close()
	var stdout, stderr bytes.Buffer
	e := &environment{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, lookup: func(string) (string, bool) { return "", false }}
	run := func(cluster string) int {
		return e.run(t.Context(), []string{"experiment", "forget", "--client", "mallory", "--queries-index", "q", "--cluster", cluster})
	}
	if code := run(strings.Replace(server.URL, "://", "://reader:a%3Ab@", 1)); code != exitOK || stdout.String() != "8 documents deleted from the cluster\n" {
		t.Errorf("got %d: %s %s", code, &stdout, &stderr)
	}
	want := []string{
		`/q/_search {"_source":["query_id"],"query":{"terms":{"client_id":["mallory"]}},"size":1000}`,
		`/ubi_events/_delete_by_query {"query":{"terms":{"query_id":["q1"]}}}`,
		`/q/_delete_by_query {"query":{"terms":{"query_id":["q1"]}}}`,
		`/q/_search {"_source":["query_id"],"query":{"terms":{"client_id":["mallory"]}},"size":1000}`,
		`/ubi_events/_delete_by_query {"query":{"terms":{"client_id":["mallory"]}}}`,
		`/q/_delete_by_query {"query":{"terms":{"client_id":["mallory"]}}}`,
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
	}
	if code := run(server.URL); code != exitFailed || !strings.Contains(stderr.String(), "rerankd: error: searching q: status 401") {
		t.Errorf("got %d: %s", code, &stderr)
	}
}
