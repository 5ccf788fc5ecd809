package e2e

import (
	"context"
	"fmt"
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
	a, err := c.try(t.Context(), method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// try is do for those who may be left without an answer, or are not the test's own goroutine.
func (c client) try(ctx context.Context, method, path, body string, header ...string) (a answer, err error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, reader)
	if err != nil {
		return a, err
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
		return a, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	a = answer{Status: resp.StatusCode, Header: resp.Header}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		return a, fmt.Errorf("%s %s: reading the answer: %w", method, path, err)
	}
	return a, nil
}

// transport shows answers as they are on the wire: nothing decompressed, no redirect followed.
var transport = &http.Transport{DisableCompression: true}
