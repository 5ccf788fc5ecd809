package backendtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
)

// Open makes the backend under test for c, whose Kind it may set, and closes it at the end of the test.
type Open func(t *testing.T, c config.Cluster) *backends.Backend

// Run checks that the backends that open makes for clusters of this kind forward faithfully: streamed, unchanged, once, to the right
// node, with the right credentials, and with errors that are errors.
func Run(t *testing.T, kind string, open Open) {
	s := suite{kind, open}
	t.Run("memory", s.memory) // alone, for it measures
	for name, check := range map[string]func(*testing.T){
		"request":           s.request,
		"path prefix":       s.prefix,
		"request streamed":  s.requestStreamed,
		"answer":            s.answer,
		"answer streamed":   s.answerStreamed,
		"answer slow":       s.answerSlow,
		"answer of HEAD":    s.head,
		"answer early":      s.answerEarly,
		"gzip":              s.gzip,
		"interim answers":   s.interim,
		"status once":       s.statusOnce,
		"sent once":         s.sentOnce,
		"answer cut":        s.answerCut,
		"answer malformed":  s.malformed,
		"node refused":      s.refused,
		"all refused":       s.allRefused,
		"caller gone":       s.callerGone,
		"caller's body":     s.callersBody,
		"idle connection":   s.idleConnection,
		"credentials":       s.credentials,
		"mappings":          s.mappings,
		"info":              s.info,
		"nodes in turn":     s.inTurn,
		"many at once":      s.manyAtOnce,
		"bodies are closed": s.bodiesClosed,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); check(t) })
	}
}

type suite struct {
	kind string
	open Open
}

// cluster opens a backend for nodes, with no probes, so that what reaches a node is what the test sent.
func (s suite) cluster(t *testing.T, urls ...string) *backends.Backend {
	return s.open(t, config.Cluster{Kind: s.kind, URLs: urls})
}

// request is what a proxy hands on: of the URL, path and query only. target is as on the wire.
func request(t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r := (&http.Request{Method: method, URL: u, Host: "search.example", Header: http.Header{}}).WithContext(t.Context())
	if body != "" {
		r.Body, r.ContentLength = newBody(body), int64(len(body))
	}
	return r
}

// repeatable marks r as one that may be sent twice.
func repeatable(r *http.Request, body string) *http.Request {
	r.Header["X-Idempotency-Key"] = []string{}
	r.GetBody = func() (io.ReadCloser, error) { return newBody(body), nil }
	return r
}

// do sends r and reads the answer to its end. It checks the duty of a RoundTripper to leave the request as it was.
func do(t *testing.T, b *backends.Backend, r *http.Request) (*http.Response, string) {
	t.Helper()
	header, address := r.Header.Clone(), *r.URL
	res, err := b.RoundTrip(r)
	if diff := cmp.Diff(header, r.Header); diff != "" || *r.URL != address || r.Host != "search.example" {
		t.Errorf("the caller's request was changed: now to %s, %s, headers (-before +after):\n%s", r.Host, r.URL, diff)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return res, string(body)
}

// fails sends r, wants an error with this status, and gives it.
func fails(t *testing.T, b *backends.Backend, r *http.Request, status int) error {
	t.Helper()
	res, err := b.RoundTrip(r)
	if err == nil {
		res.Body.Close()
		t.Fatalf("got status %d, want an error", res.StatusCode)
	}
	var with interface{ HTTPStatus() int }
	if !errors.As(err, &with) || with.HTTPStatus() != status {
		t.Errorf("got error %v (status %v), want status %d", err, with, status)
	}
	return err
}

// inUse is how many nodes requests are sent to.
func inUse(b *backends.Backend) int {
	n := 0
	for _, s := range b.Nodes() {
		if s.InUse {
			n++
		}
	}
	return n
}

func (s suite) request(t *testing.T) {
	n := NewNode(t, s.kind, nil)
	b := s.cluster(t, n.URL)
	body := `{"query":{"match":{"title":"red"}}}`
	for _, target := range []string{
		"/", "/_search", "//a//_search", "/idx/_doc/a%2Fb", "/%3Clogs-%7Bnow%2Fd%7D%3E/_search", "/a,b*,-c/_search", "/a/../b", "/%5Fsearch",
		"/caf%C3%A9/_search", "/idx/_search?q=a;b&c=1%zz", "/idx/_search?", "/idx/_search?q=a+b%20c&q=d", "/a'b(c)/_search", "/%41",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"} {
			sent := request(t, method, target, body)
			sent.Header = http.Header{
				"User-Agent": {"a client/1"}, "Accept": {"application/json", "text/plain"}, "Content-Type": {"application/json"},
				"X-Opaque-Id": {"7"}, "Warning": {"a", "b"}, "Accept-Encoding": {"gzip"}, "Te": {"trailers"},
			}
			want := sent.Header.Clone()
			want.Set("Content-Length", fmt.Sprint(len(body)))
			do(t, b, sent)
			all := n.Requests()
			got := all[len(all)-1]
			if diff := cmp.Diff(want, got.Header); diff != "" {
				t.Errorf("%s %s: headers (-sent +received):\n%s", method, target, diff)
			}
			if got.Method != method || got.Target != target || string(got.Body) != body {
				t.Errorf("got %s %s with %q, want %s %s with %q", got.Method, got.Target, got.Body, method, target, body)
			}
			if want := strings.TrimPrefix(n.URL, "http://"); got.Host != want {
				t.Errorf("got Host %s, want the node's own %s", got.Host, want)
			}
		}
	}
	sent := request(t, "POST", "/_bulk", "") // chunked, with trailers, from a client with no User-Agent
	sent.Body, sent.ContentLength = io.NopCloser(strings.NewReader(body)), -1
	sent.Trailer = http.Header{"X-Sum": {"12"}}
	do(t, b, sent)
	all := n.Requests()
	got := all[len(all)-1]
	if string(got.Body) != body || got.Trailer.Get("X-Sum") != "12" {
		t.Errorf("got body %q and trailer %v, want %q and X-Sum 12", got.Body, got.Trailer, body)
	}
	if ua, ok := got.Header["User-Agent"]; ok {
		t.Errorf("got User-Agent %q where the client sent none", ua)
	}
}

func (s suite) prefix(t *testing.T) {
	n := NewNode(t, s.kind, nil)
	for prefix, want := range map[string]string{"/": "", "/es": "/es", "/es/": "/es", "/a%2Fb/c": "/a%2Fb/c", "/%7Etenant": "/%7Etenant"} {
		b := s.cluster(t, n.URL+prefix)
		for _, target := range []string{"/idx/_doc/a%2Fb?x=%2F", "//_search", "/idx/_doc/%7E", "/", "/caf%C3%A9"} {
			do(t, b, request(t, "GET", target, ""))
			all := n.Requests()
			if got := all[len(all)-1].Target; got != want+target {
				t.Errorf("prefix %s: got %s, want %s", prefix, got, want+target)
			}
		}
	}
}

func (s suite) requestStreamed(t *testing.T) {
	arrived := make(chan string)
	n := NewStreamingNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 5)
		io.ReadFull(r.Body, first)
		arrived <- string(first)
		io.Copy(io.Discard, r.Body)
	})
	b := s.cluster(t, n.URL)
	body, more := io.Pipe()
	r := request(t, "POST", "/_bulk", "")
	r.Body, r.ContentLength = body, -1
	go func() {
		io.WriteString(more, "first")
		if got := <-arrived; got != "first" {
			t.Errorf("got %q, want first", got)
		}
		io.WriteString(more, "second") // only now: the node has the first part while this one does not exist yet
		more.Close()
	}()
	do(t, b, r)
}

func (s suite) answer(t *testing.T) {
	n := NewNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Warning"] = []string{`299 a "one"`, `299 a "two"`}
		h.Set("X-Opaque-Id", "7")
		h.Set("Trailer", "X-Sum")
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			h.Set("Etag", `"a"`)
			w.WriteHeader(304)
		case "/302":
			h.Set("Location", "/elsewhere")
			h.Set("Set-Cookie", "a=b")
			w.WriteHeader(302)
		default:
			w.(http.Flusher).Flush()
			io.WriteString(w, "body")
			h.Set("X-Sum", "12")
		}
	})
	b := s.cluster(t, n.URL)
	res, body := do(t, b, request(t, "GET", "/_search", ""))
	if body != "body" || res.ContentLength != -1 || res.Trailer.Get("X-Sum") != "12" {
		t.Errorf("got %q, length %d, trailer %v, want body, -1, X-Sum 12", body, res.ContentLength, res.Trailer)
	}
	if got := res.Header["Warning"]; len(got) != 2 {
		t.Errorf("got Warning %q, want both values", got)
	}
	for _, status := range []int{204, 302, 304} {
		if res, _ := do(t, b, request(t, "GET", fmt.Sprint("/", status), "")); res.StatusCode != status {
			t.Errorf("got status %d, want %d", res.StatusCode, status)
		}
	}
	for _, r := range n.Requests() {
		if r.Target == "/elsewhere" || r.Header.Get("Cookie") != "" {
			t.Errorf("a redirect was followed or a cookie kept: %+v", r)
		}
	}
}

func (s suite) answerStreamed(t *testing.T) {
	read := make(chan bool)
	n := NewNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-read // the caller has the first part while the second does not exist yet
		io.WriteString(w, "second")
	})
	b := s.cluster(t, n.URL)
	res, err := b.RoundTrip(request(t, "GET", "/_search", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(res.Body, first); err != nil {
		t.Fatal(err)
	}
	close(read)
	rest, err := io.ReadAll(res.Body)
	if got := string(first) + string(rest); got != "firstsecond" || err != nil {
		t.Errorf("got %q, %v, want firstsecond", got, err)
	}
}

// answerSlow drips one byte at a time, each only when the one before has been read.
func (s suite) answerSlow(t *testing.T) {
	want := "a slow answer"
	next := make(chan bool)
	n := NewNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(want)))
		for i := range want {
			io.WriteString(w, want[i:i+1])
			w.(http.Flusher).Flush()
			<-next
		}
	})
	b := s.cluster(t, n.URL)
	res, err := b.RoundTrip(request(t, "GET", "/_search", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got []byte
	for range want {
		one := make([]byte, 1)
		if _, err := io.ReadFull(res.Body, one); err != nil {
			t.Fatal(err)
		}
		got = append(got, one...)
		next <- true
	}
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func (s suite) head(t *testing.T) {
	n := NewNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "1234") })
	res, body := do(t, s.cluster(t, n.URL), request(t, "HEAD", "/idx", ""))
	if res.ContentLength != 1234 || res.Header.Get("Content-Length") != "1234" || body != "" {
		t.Errorf("got length %d, header %q and body %q, want 1234 and no body", res.ContentLength, res.Header.Get("Content-Length"), body)
	}
}

// answerEarly is refused before its body was read, as Elasticsearch does with bodies over http.max_content_length.
func (s suite) answerEarly(t *testing.T) {
	n := NewStreamingNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	b := s.cluster(t, n.URL)
	r := request(t, "POST", "/_bulk", "")
	r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeros{}, 64<<20)), 64<<20
	if res, _ := do(t, b, r); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got status %d, want 413", res.StatusCode)
	}
}

func (s suite) gzip(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, `{"hits":[]}`)
	z.Close()
	n := NewNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(packed.Bytes())
	})
	b := s.cluster(t, n.URL)
	sent := request(t, "POST", "/_search", packed.String())
	sent.Header.Set("Content-Encoding", "gzip")
	res, body := do(t, b, sent)
	if res.Header.Get("Content-Encoding") != "gzip" || res.ContentLength != int64(packed.Len()) || body != packed.String() || res.Uncompressed {
		t.Errorf("got coding %q, length %d, want the answer as it was packed", res.Header.Get("Content-Encoding"), res.ContentLength)
	}
	got := n.Requests()[0]
	if string(got.Body) != packed.String() || got.Header.Get("Accept-Encoding") != "" {
		t.Errorf("got body %q and Accept-Encoding %q, want the request as it was", got.Body, got.Header.Get("Accept-Encoding"))
	}
}

// interim is 103 and then the answer: the latter counts.
func (s suite) interim(t *testing.T) {
	n := NewNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTooManyRequests)
	})
	b := s.cluster(t, n.URL)
	r := request(t, "POST", "/_bulk", "body")
	r.Header.Set("Expect", "100-continue")
	if res, _ := do(t, b, r); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("got status %d, want 429", res.StatusCode)
	}
}

// statusOnce checks that a status is the client's to judge: none leads to a second delivery or puts a node out of use.
func (s suite) statusOnce(t *testing.T) {
	var status int
	h := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }
	x, y := NewNode(t, s.kind, h), NewNode(t, s.kind, h)
	b := s.cluster(t, x.URL, y.URL)
	sent := 0
	for _, status = range []int{401, 404, 429, 500, 502, 503, 504} {
		for _, r := range []*http.Request{
			request(t, "GET", "/_search", ""), request(t, "POST", "/_bulk", "{}"), repeatable(request(t, "POST", "/_search", "{}"), "{}"),
		} {
			res, _ := do(t, b, r)
			sent++
			if got := len(x.Requests()) + len(y.Requests()); res.StatusCode != status || got != sent {
				t.Fatalf("got status %d after %d deliveries, want %d after %d", res.StatusCode, got, status, sent)
			}
		}
	}
	if got := inUse(b); got != 2 {
		t.Errorf("got %d nodes in use, want both", got)
	}
}

// sentOnce checks that what reached a node is not sent again, searches included: the node may be at work on it. It has closed a fresh
// connection without an answer, so it is out of use, but not if it is the last.
func (s suite) sentOnce(t *testing.T) {
	for name, fault := range map[string]Fault{"EOF": EOF, "reset": Reset, "headers cut": HeadersCut} {
		for _, r := range []*http.Request{
			request(t, "POST", "/_bulk", "{}"), request(t, "DELETE", "/idx", ""), request(t, "GET", "/_search", ""),
			repeatable(request(t, "POST", "/_search", "{}"), "{}"),
		} {
			x, y := NewBrokenNode(t, fault), NewBrokenNode(t, fault)
			b := s.cluster(t, x.URL, y.URL)
			again := request(t, r.Method, r.URL.Path, "")
			fails(t, b, r, http.StatusBadGateway)
			if got := len(x.Requests()) + len(y.Requests()); got != 1 || inUse(b) != 1 {
				t.Errorf("%s, %s %s: got %d deliveries and %d nodes in use, want 1 and 1", name, r.Method, r.URL, got, inUse(b))
			}
			fails(t, b, again, http.StatusBadGateway)
			if len(x.Requests()) != 1 || len(y.Requests()) != 1 || inUse(b) != 1 {
				t.Errorf("%s: got %d and %d deliveries and %d nodes in use, want 1 each, and the last node in use",
					name, len(x.Requests()), len(y.Requests()), inUse(b))
			}
		}
	}
}

// answerCut checks that an answer that breaks off is an error to its reader, never a clean end, and that no node is out of use for it.
func (s suite) answerCut(t *testing.T) {
	for name, fault := range map[string]Fault{
		"length": LengthTooLong, "chunk": ChunkCut, "chunks": ChunksUnended, "reset": ResetInBody,
	} {
		x, y := NewBrokenNode(t, fault), NewBrokenNode(t, fault)
		b := s.cluster(t, x.URL, y.URL)
		res, err := b.RoundTrip(request(t, "GET", "/_search", ""))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil || !strings.HasPrefix(`{"hits":`, string(body)) {
			t.Errorf("%s: got %q and error %v, want what was sent and an error", name, body, err)
		}
		if got := len(x.Requests()) + len(y.Requests()); got != 1 || inUse(b) != 2 {
			t.Errorf("%s: got %d deliveries and %d nodes in use, want 1 and 2", name, got, inUse(b))
		}
	}
}

func (s suite) malformed(t *testing.T) {
	for name, fault := range map[string]Fault{"garbage": Garbage, "header flood": HeaderFlood(4 << 20)} {
		x, y := NewBrokenNode(t, fault), NewBrokenNode(t, fault)
		b := s.cluster(t, x.URL, y.URL)
		fails(t, b, request(t, "POST", "/_search", "{}"), http.StatusBadGateway)
		if got := len(x.Requests()) + len(y.Requests()); got != 1 {
			t.Errorf("%s: got %d deliveries, want 1", name, got)
		}
	}
}

// refused has one node of two gone. What is repeatable never fails; what is not fails at most once, and then the node is out of use.
func (s suite) refused(t *testing.T) {
	for range 2 { // the turn begins with either
		n := NewNode(t, s.kind, nil)
		b := s.cluster(t, Refused(t), n.URL)
		for range 4 {
			res, body := do(t, b, repeatable(request(t, "POST", "/_search", "{}"), "{}"))
			if res.StatusCode != 200 || body != "{}" {
				t.Errorf("got %d %q, want 200 {}", res.StatusCode, body)
			}
		}
		for i, r := range n.Requests() {
			if string(r.Body) != "{}" {
				t.Errorf("request %d arrived with body %q, want {}", i, r.Body)
			}
		}
		if inUse(b) != 1 {
			t.Errorf("got %d nodes in use, want 1", inUse(b))
		}
	}
	theirs := request(t, "GET", "/_search", "")
	theirs.Header.Set("X-Idempotency-Key", "a client's own") // is no mark of ours
	for _, r := range []*http.Request{request(t, "POST", "/_bulk", "{}"), request(t, "GET", "/_search", ""), theirs} {
		n := NewNode(t, s.kind, nil)
		b := s.cluster(t, Refused(t), n.URL)
		fails(t, b, r, http.StatusServiceUnavailable)
		for range 4 {
			do(t, b, request(t, "POST", "/_bulk", "{}"))
		}
	}
}

func (s suite) allRefused(t *testing.T) {
	b := s.cluster(t, Refused(t), Refused(t), Refused(t))
	for range 5 {
		fails(t, b, repeatable(request(t, "POST", "/_search", "{}"), "{}"), http.StatusServiceUnavailable)
		fails(t, b, request(t, "POST", "/_bulk", "{}"), http.StatusServiceUnavailable)
	}
	if inUse(b) != 1 {
		t.Errorf("got %d nodes in use, want the last one", inUse(b))
	}
	if b.Seen() {
		t.Error("a cluster that never answered counts as seen")
	}
	one := s.cluster(t, Refused(t))
	fails(t, one, repeatable(request(t, "POST", "/_search", "{}"), "{}"), http.StatusServiceUnavailable)
	if nodes := one.Nodes(); nodes[0].Up || !nodes[0].InUse || nodes[0].Err == nil {
		t.Errorf("got %+v, want a node that is down, in use, and says why", nodes[0])
	}
}

// callerGone checks that a caller who leaves gets its own error, at once, and that no node is blamed for it.
func (s suite) callerGone(t *testing.T) {
	arrived := make(chan bool, 8)
	fault := func(c *net.TCPConn) { arrived <- true; Silence(c) }
	b := s.cluster(t, NewBrokenNode(t, fault).URL, NewBrokenNode(t, fault).URL)
	for range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		err := fails(t, b, repeatable(request(t, "POST", "/_search", "{}"), "{}").WithContext(ctx), 499)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := fails(t, b, request(t, "GET", "/_search", "").WithContext(ctx), http.StatusGatewayTimeout); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	if got := inUse(b); got != 2 {
		t.Errorf("got %d nodes in use, want both", got)
	}
	for _, n := range b.Nodes() {
		if !n.Up {
			t.Errorf("%s is not up: %v", n.URL, n.Err)
		}
	}
}

// callersBody breaks off in the caller's body, with the very error that a node's hanging up would give.
func (s suite) callersBody(t *testing.T) {
	x, y := NewNode(t, s.kind, nil), NewNode(t, s.kind, nil)
	b := s.cluster(t, x.URL, y.URL)
	for range 2 {
		r := request(t, "POST", "/_bulk", "")
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{}"), failing{io.ErrUnexpectedEOF}))
		r.ContentLength = 100
		fails(t, b, r, http.StatusBadRequest)
	}
	if got := inUse(b); got != 2 {
		t.Errorf("got %d nodes in use, want both", got)
	}
	if got := len(x.Requests()) + len(y.Requests()); got != 0 {
		t.Errorf("%d requests arrived whole", got)
	}
}

// idleConnection closes each connection after one answer without having said so. A search that meets such a connection is sent on a
// fresh one; a write is not, if any of it may have arrived, but no node is out of use for it.
func (s suite) idleConnection(t *testing.T) {
	fault := raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	x, y := NewBrokenNode(t, fault), NewBrokenNode(t, fault)
	for _, nodes := range [][]string{{x.URL}, {x.URL, y.URL}} {
		b := s.cluster(t, nodes...)
		for range 50 {
			if res, err := b.RoundTrip(request(t, "POST", "/_bulk", "{}")); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			do(t, b, repeatable(request(t, "POST", "/_search", "{}"), "{}"))
		}
		if got := inUse(b); got != len(nodes) {
			t.Errorf("got %d nodes in use of %d", got, len(nodes))
		}
	}
}

// credentials is the whole table: what the client sends × what is configured × who may use it.
func (s suite) credentials(t *testing.T) {
	n := NewNode(t, s.kind, nil)
	client := map[string][]string{
		"none": nil, "basic": {"Basic bWU6cHdk"}, "key": {"ApiKey Y2xpZW50"}, "bearer": {"Bearer client"}, "empty": {""}, "taken off": {},
	}
	configured := map[string]struct {
		c    config.Cluster
		want string
	}{
		"basic":  {config.Cluster{Username: "rerankd", Password: "s:cret"}, "Basic cmVyYW5rZDpzOmNyZXQ="},
		"key":    {config.Cluster{APIKey: "b3Vycw=="}, "ApiKey b3Vycw=="},
		"bearer": {config.Cluster{Token: "ours"}, "Bearer ours"},
	}
	for _, auth := range []string{"", config.AuthPassthrough, config.AuthInjectIfMissing, config.AuthOverride} {
		for have, own := range configured {
			c := own.c
			c.Kind, c.URLs, c.Auth = s.kind, []string{n.URL}, auth
			b := s.open(t, c)
			for sends, header := range client {
				r := request(t, "GET", "/_search", "")
				r.Header["Es-Security-Runas-User"] = []string{"admin"}
				if sends != "none" {
					r.Header["Authorization"] = header
				}
				do(t, b, r)
				all := n.Requests()
				received := all[len(all)-1].Header
				want := header
				injected := auth == config.AuthOverride || auth == config.AuthInjectIfMissing && sends == "none"
				if injected {
					want = []string{own.want}
				}
				got := received["Authorization"]
				if len(got) == 1 { // Elasticsearch and OpenSearch compare schemes without regard to case, as RFC 9110 wants
					got = []string{strings.Replace(got[0], "APIKey ", "ApiKey ", 1)}
				}
				if !slices.Equal(got, want) {
					t.Errorf("auth %q, configured %s, client sends %s: got %q, want %q", auth, have, sends, got, want)
				}
				if _, acts := received["Es-Security-Runas-User"]; acts == injected {
					t.Errorf("auth %q, client sends %s: acting for others with our credentials: %v", auth, sends, acts)
				}
			}
		}
	}
}

func (s suite) mappings(t *testing.T) {
	var status int
	n := NewNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, `{"idx":{"mappings":{}}}`)
	})
	b := s.cluster(t, n.URL+"/es")
	for indices, want := range map[string]string{
		"": "/es/_mapping", "idx": "/es/idx/_mapping", "a,b*,-c": "/es/a,b%2A,-c/_mapping", "<logs-{now/d}>": "/es/%3Clogs-%7Bnow%2Fd%7D%3E/_mapping",
	} {
		status = 200
		credentials := http.Header{"Authorization": {"Basic bWU6cHdk"}, "Accept-Encoding": {"gzip"}, "Content-Length": {"7"}}
		before := credentials.Clone()
		got, err := b.Mappings(t.Context(), indices, credentials)
		if err != nil || string(got) != `{"idx":{"mappings":{}}}` {
			t.Errorf("got %q, %v", got, err)
		}
		all := n.Requests()
		last := all[len(all)-1]
		if last.Method != "GET" || last.Target != want {
			t.Errorf("got %s %s, want GET %s", last.Method, last.Target, want)
		}
		if diff := cmp.Diff(http.Header{"Authorization": {"Basic bWU6cHdk"}}, last.Header); diff != "" {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
		if !maps.EqualFunc(before, credentials, slices.Equal) {
			t.Errorf("the caller's headers were changed: %v", credentials)
		}
	}
	status = 403
	var refused *backends.StatusError
	if _, err := b.Mappings(t.Context(), "idx", nil); !errors.As(err, &refused) || refused.Code != 403 || len(refused.Body) == 0 {
		t.Errorf("got %v, want a StatusError with 403 and the body", err)
	}
	gone := s.cluster(t, Refused(t), n.URL) // a mapping may be asked for twice
	status = 200
	if _, err := gone.Mappings(t.Context(), "idx", nil); err != nil {
		t.Errorf("got %v, want the answer of the other node", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Mappings(ctx, "idx", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func (s suite) info(t *testing.T) {
	n := NewNode(t, s.kind, nil)
	b := s.open(t, config.Cluster{Kind: s.kind, URLs: []string{n.URL}, Auth: config.AuthInjectIfMissing, Token: "ours"})
	info, err := b.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := backends.Info{Engine: backends.Engine{Kind: s.kind, Version: "8.19.16"}, Cluster: "fake", Node: "node-1"}
	if s.kind == config.KindOpenSearch {
		want.Version = "2.19.1"
	}
	if s.kind == config.KindAuto {
		want.Kind = config.KindElasticsearch
	}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	if got := b.Engine(); got != want.Engine {
		t.Errorf("got engine %v, want %v", got, want.Engine)
	}
	if got := n.Requests()[0].Header.Get("Authorization"); got != "Bearer ours" {
		t.Errorf("got Authorization %q, want our own", got)
	}
}

func (s suite) inTurn(t *testing.T) {
	x, y, z := NewNode(t, s.kind, nil), NewNode(t, s.kind, nil), NewNode(t, s.kind, nil)
	b := s.cluster(t, x.URL, y.URL, z.URL)
	for range 9 {
		do(t, b, request(t, "GET", "/_search", ""))
	}
	for _, n := range []*Node{x, y, z} {
		if got := len(n.Requests()); got != 3 {
			t.Errorf("got %d of 9 requests at a node of three, want 3", got)
		}
	}
}

func (s suite) manyAtOnce(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
	b := s.cluster(t, NewNode(t, s.kind, echo).URL, NewNode(t, s.kind, echo).URL, NewBrokenNode(t, EOF).URL)
	done := make(chan bool)
	for i := range 16 {
		go func() {
			defer func() { done <- true }()
			for j := range 20 {
				want := fmt.Sprint(i, "/", j)
				res, err := b.RoundTrip(request(t, "POST", "/_search", want))
				if err != nil {
					continue // the broken node's
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if string(got) != want || err != nil {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			}
		}()
	}
	for range 16 {
		<-done
	}
	if got := inUse(b); got != 2 {
		t.Errorf("got %d nodes in use, want 2", got)
	}
}

// bodiesClosed checks the duty of a RoundTripper to close the request's body whatever happens.
func (s suite) bodiesClosed(t *testing.T) {
	for name, address := range map[string]string{
		"answered": NewNode(t, s.kind, nil).URL, "refused": Refused(t), "EOF": NewBrokenNode(t, EOF).URL,
	} {
		b := s.cluster(t, address)
		r := request(t, "POST", "/_bulk", "")
		body := &closing{Reader: strings.NewReader("{}"), closed: make(chan bool)}
		r.Body, r.ContentLength = body, 2
		if res, err := b.RoundTrip(r); err == nil {
			res.Body.Close()
		}
		select {
		case <-body.closed:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the request's body was not closed", name)
		}
	}
}

// memory streams 256 MiB up and down and watches the heap, which holds the fake node as well.
func (s suite) memory(t *testing.T) {
	const size = 256 << 20
	n := NewStreamingNode(t, s.kind, func(w http.ResponseWriter, r *http.Request) {
		got, err := io.Copy(io.Discard, r.Body)
		if got != size || err != nil {
			t.Errorf("got %d bytes, %v, want %d", got, err, size)
		}
		io.Copy(w, io.LimitReader(zeros{}, size))
	})
	b := s.cluster(t, n.URL)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, peak := heap(), uint64(0)
	watch := func(r io.Reader) io.Reader {
		next := int64(0)
		return readerFunc(func(p []byte, at int64) (int, error) {
			if at >= next {
				next += size / 8
				peak = max(peak, heap())
			}
			return r.Read(p)
		})
	}
	r := request(t, "POST", "/_bulk", "")
	r.Body, r.ContentLength = io.NopCloser(watch(io.LimitReader(zeros{}, size))), -1
	res, err := b.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.Copy(io.Discard, watch(res.Body)); got != size || err != nil {
		t.Errorf("got %d bytes, %v, want %d", got, err, size)
	}
	if grown := int64(peak) - int64(before); grown > 4<<20 {
		t.Errorf("the heap grew by %d KiB at its most, want at most 4 MiB", grown>>10)
	}
}
