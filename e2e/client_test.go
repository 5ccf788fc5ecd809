package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A client sends requests to one side: the cluster, or the program in front of it.
type client struct {
	url           string
	authorization string
}

// An answer is all that a client sees of a response.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// do sends a request. header lines are "Name: value".
func (c client) do(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	if c.authorization != "" {
		req.Header.Set("Authorization", c.authorization)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	a := answer{Status: resp.StatusCode, Header: resp.Header}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return a
}

// transport shows answers as they are on the wire: nothing decompressed, no redirect followed.
var transport = &http.Transport{DisableCompression: true}
