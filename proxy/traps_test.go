package proxy

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every test in this file is named after a trap between a client and a cluster. All go over real connections.

const plain = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

func TestQueryStringIsKeptAsItIs(t *testing.T) {
	got := make(chan string, 1)
	base, _ := serve(t, &Snapshot{Upstream: wire(t, func(conn net.Conn, head string) {
		got <- strings.SplitN(head, "\r\n", 2)[0]
		io.WriteString(conn, plain)
	})}, Options{})
	for _, target := range []string{
		"/a?q=b;c&a=1%zz", "/a?z=1&a=2&z=0", "/a?", "/a?q=%2F/?x", "/a??", "/a?q=a+b%20c", "/a?flag", "/a?=&&", "/a?q={\"a\":1}", "/a?q=%ff",
		"/_cat/indices?v&h=index,docs.count&s=index:desc", "/a?" + strings.Repeat("p=1&", 9000), "/a?q=x#frag",
	} {
		raw(t, base, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if line, want := <-got, "GET "+target+" HTTP/1.1"; line != want {
			t.Errorf("got %.200q, want %.200q", line, want)
		}
	}
}

func TestPathIsKeptAsItIs(t *testing.T) {
	got := make(chan string, 1)
	base, _ := serve(t, &Snapshot{Upstream: wire(t, func(conn net.Conn, head string) {
		got <- strings.Fields(head)[1]
		io.WriteString(conn, plain)
	})}, Options{})
	for _, tt := range []struct{ name, sent, want string }{
		{"escaped slash", "/idx/_doc/a%2Fb", ""},
		{"double slash", "//idx//_doc/1", ""},
		{"dots", "/a/../b/./c", ""},
		{"date math", "/%3Clogs-%7Bnow%2Fd%7D%3E/_search", ""},
		{"date math, bare", "/<logs-{now%2Fd}>/_count", "/%3Clogs-%7Bnow%2Fd%7D%3E/_count"},
		{"escaped slash beside a bare brace", "/idx/_doc/a%2Fb{c}", "/idx/_doc/a%2Fb%7Bc%7D"},
		{"escaped percent", "/idx/_doc/100%25", ""},
		{"NUL", "/idx/_doc/%00", ""},
		{"plus and comma", "/a,b,-c+d/_count", ""},
		{"lower-case escapes", "/idx/_doc/%c3%a9%2f", ""},
		{"bare UTF-8", "/idx/_doc/é%2F", "/idx/_doc/%C3%A9%2F"},
		{"wildcards", "/foo-*,*:bar/_count", ""},
		{"trailing slash", "/idx/", ""},
		{"absolute form", "http://evil.example/idx/_doc/a%2Fb?x", "/idx/_doc/a%2Fb?x"},
		{"absolute form without a path", "http://evil.example", "/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "" {
				tt.want = tt.sent
			}
			raw(t, base, "GET "+tt.sent+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if got := <-got; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestInformationalStatusIsNotTheFinalOne(t *testing.T) {
	for _, tt := range []struct {
		name, info, final string
		want              int
	}{
		{"103 before 404", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 404 Not Found", 404},
		{"100 before 201", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 201 Created", 201},
		{"102 twice before 429", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 2), "HTTP/1.1 429 Too Many Requests", 429},
		{"103 before 503", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 503 Service Unavailable", 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base, _ := serve(t, &Snapshot{Upstream: wire(t, func(conn net.Conn, _ string) {
				io.WriteString(conn, tt.info+tt.final+"\r\nX-Found: yes\r\nContent-Length: 2\r\n\r\n{}")
			})}, Options{})
			for _, path := range []string{"/idx", "/idx/_search"} {
				res, body, err := do(t, request(t, "GET", base+path, ""))
				if err != nil {
					t.Fatal(err)
				}
				if res.StatusCode != tt.want || body != "{}" || res.Header.Get("X-Found") != "yes" {
					t.Errorf("%s: got %d %q %v, want %d {}", path, res.StatusCode, body, res.Header, tt.want)
				}
			}
		})
	}
}

func TestExpectContinueGivesOneContinueAndTheFinalStatus(t *testing.T) {
	for _, final := range []int{200, 201, 400, 413, 429, 503} {
		c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			if final != 413 { // which a cluster says without reading the body
				io.Copy(io.Discard, r.Body)
			}
			w.WriteHeader(final)
		})
		base, _ := serve(t, &Snapshot{Upstream: c}, Options{})
		var continued int
		req := request(t, "POST", base+"/_bulk", strings.Repeat("{}\n", 1<<16), "Expect", "100-continue")
		req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { continued++; return nil },
		}))
		res, _, err := do(t, req)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 0, false: 1}[final == 413]; res.StatusCode != final || continued != want {
			t.Errorf("got %d after %d times 100, want %d after %d", res.StatusCode, continued, final, want)
		}
	}
}

func TestExpectOtherIsRefused(t *testing.T) {
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, func(http.ResponseWriter, *http.Request) { t.Error("it reached the cluster") })}, Options{})
	if got := raw(t, base, "POST /a HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 417 ") {
		t.Errorf("got %q, want 417", got)
	}
}

func TestNoRequestToAClusterIsRefused(t *testing.T) {
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s reached the cluster", r.Method, r.RequestURI)
	})}, Options{})
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tt := range []struct {
		name, request string
		status        string
	}{
		{"CONNECT", "CONNECT evil:80 HTTP/1.1\r\nHost: evil:80\r\n\r\n" + smuggled, "405"},
		{"CONNECT with a path", "CONNECT /a HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled, "405"},
		{"authority form", "GET evil:80 HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled, "400"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"},
		{"star for GET", "GET * HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled, "400"},
		{"relative path", "GET idx/_search HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled, "400"},
		{"two lengths", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x" + smuggled, "400"},
		{"length with a sign", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}" + smuggled, "400"},
		{"unknown transfer coding", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled, "501"},
		{"chunked not last", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled, "501"},
		{"transfer coding before a blank", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled, "400"},
		{"no host", "GET /a HTTP/1.1\r\n\r\n" + smuggled, "400"},
		{"two hosts", "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + smuggled, "400"},
		{"NUL in a header", "GET /a HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n" + smuggled, "400"},
		{"header flood", "GET /a HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: "+strings.Repeat("a", 1000)+"\r\n", 100) + "\r\n", "431"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := raw(t, base, tt.request)
			if !strings.HasPrefix(got, "HTTP/1.1 "+tt.status+" ") {
				t.Errorf("got %.200q, want %s", got, tt.status)
			}
			if n := strings.Count(got, "HTTP/1.1 "); n != 1 {
				t.Errorf("got %d answers, want 1, and the connection closed:\n%s", n, got)
			}
		})
	}
}

// A length beside chunks is how one request becomes two further on. Go reads the chunks; what leaves must have no length.
func TestLengthBesideChunksLeavesAsChunks(t *testing.T) {
	got := make(chan string, 2)
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- fmt.Sprintf("%s %d %v %q", r.URL.Path, r.ContentLength, r.TransferEncoding, body)
	})}, Options{})
	raw(t, base, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
	if got, want := <-got, `/a -1 [chunked] "{}"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A malformed chunk is the client's fault, and must never end as a complete request.
func TestMalformedChunkIsTheClientsFault(t *testing.T) {
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			t.Errorf("the cluster was given a complete body %q", body)
		}
	})
	base, _ := serve(t, &Snapshot{Upstream: c, Rules: rules(reverse)}, Options{})
	for _, chunk := range []string{"-2\r\n{}\r\n", "0x2\r\n{}\r\n", "2\r\n{}XX", "zz\r\n", "2;" + strings.Repeat("a", 5000) + "\r\n{}\r\n"} {
		for _, path := range []string{"/_bulk", "/shop/_search"} {
			got := raw(t, base, "POST "+path+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n1\r\n{\r\n"+chunk+"0\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, `"status":400`) {
				t.Errorf("%s, chunk %.20q: got %q, want 400", path, chunk, got)
			}
		}
	}
}

func TestUpgradeIsStripped(t *testing.T) {
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
			if got := r.Header.Get(name); got != "" {
				t.Errorf("the cluster has seen %s: %s", name, got)
			}
		}
		io.WriteString(w, "{}")
	})
	base, _ := serve(t, &Snapshot{Upstream: c}, Options{})
	for _, protocol := range []string{"h2c", "websocket"} {
		got := raw(t, base, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: "+protocol+"\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("got %q, want 200", got)
		}
	}
}

// A cluster that switches protocols without having been asked gets no tunnel.
func TestUnaskedSwitchOfProtocolsIsRefused(t *testing.T) {
	base, _ := serve(t, &Snapshot{Upstream: wire(t, func(conn net.Conn, _ string) {
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
	})}, Options{})
	if got := raw(t, base, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("got %q, want 502", got)
	}
}

func TestConnectionHeaderCannotStripCredentials(t *testing.T) {
	c := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "ApiKey abc" {
			t.Errorf("got Authorization %q, want the client's own", got)
		}
		if r.Header.Get("X-Hop") != "" {
			t.Error("a hop-by-hop header was passed on")
		}
	})
	base, _ := serve(t, &Snapshot{Upstream: c}, Options{})
	raw(t, base, "GET /a HTTP/1.1\r\nHost: x\r\nX-Hop: 1\r\nAuthorization: ApiKey abc\r\nConnection: close, authorization, x-hop\r\n\r\n")
}

func TestForwardedHeadersAreOurOwn(t *testing.T) {
	c := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		if got := r.Header.Values("X-Forwarded-For"); !slices.Equal(got, []string{"127.0.0.1"}) {
			t.Errorf("got X-Forwarded-For %v, want the client's address alone", got)
		}
		if got := r.Header.Get("X-Forwarded-Proto"); got != "http" {
			t.Errorf("got X-Forwarded-Proto %q, want http", got)
		}
		if got := r.Header.Get("Forwarded"); got != "" {
			t.Errorf("got Forwarded %q, want none", got)
		}
	})
	base, _ := serve(t, &Snapshot{Upstream: c}, Options{})
	if _, _, err := do(t, request(t, "GET", base+"/", "", "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Proto", "gopher", "Forwarded", "for=1.2.3.4")); err != nil {
		t.Fatal(err)
	}
}

func TestTrailersArriveWithTheirValues(t *testing.T) {
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "{}")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", fmt.Sprint(r.Trailer))
	})
	base, _ := serve(t, &Snapshot{Upstream: c}, Options{})
	for _, tt := range []struct{ name, announced string }{{"announced", "Trailer: X-Digest\r\n"}, {"not announced", ""}} {
		got := raw(t, base, "POST /_bulk HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close, TE\r\nTransfer-Encoding: chunked\r\n"+tt.announced+
			"\r\n2\r\n{}\r\n0\r\nX-Digest: abc\r\n\r\n")
		if !strings.Contains(got, "X-Sum: map[X-Digest:[abc]]") {
			t.Errorf("%s: got %q, want the request's trailer in the response's", tt.name, got)
		}
	}
}

func TestHeadKeepsItsContentLength(t *testing.T) {
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "12345")
		w.WriteHeader(http.StatusOK)
	})
	base, _ := serve(t, &Snapshot{Upstream: c}, Options{})
	for _, path := range []string{"/idx", "/idx/_search"} {
		res, body, err := do(t, request(t, "HEAD", base+path, ""))
		if err != nil || res.ContentLength != 12345 || body != "" {
			t.Errorf("%s: got length %d, body %q, error %v, want 12345", path, res.ContentLength, body, err)
		}
	}
}

func TestOptionsStarIsTheClusters(t *testing.T) {
	base, _ := serve(t, &Snapshot{Upstream: wire(t, func(conn net.Conn, head string) {
		if !strings.HasPrefix(head, "OPTIONS * HTTP/1.1\r\n") {
			t.Errorf("got %q, want OPTIONS *", head)
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n")
	})}, Options{})
	if got := raw(t, base, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.Contains(got, "Allow: GET") {
		t.Errorf("got %q, want the cluster's answer", got)
	}
}

func TestContentTypeIsNotGuessed(t *testing.T) {
	base, _ := serve(t, &Snapshot{Upstream: wire(t, func(conn net.Conn, _ string) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
	})}, Options{})
	res, _, err := do(t, request(t, "GET", base+"/", ""))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := res.Header["Content-Type"]; ok {
		t.Errorf("got Content-Type %v, want none", got)
	}
}

func TestHeadersOfManyValuesSurvive(t *testing.T) {
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Warning"] = []string{`299 Elasticsearch "one"`, `299 Elasticsearch "two"`}
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("X-Opaque-Id", r.Header.Get("X-Opaque-Id"))
		w.Header().Set("Content-Encoding", "zstd") // no business of ours
		io.WriteString(w, "{}")
	})
	base, _ := serve(t, &Snapshot{Upstream: c}, Options{})
	res, _, err := do(t, request(t, "GET", base+"/", "", "X-Opaque-Id", "id"))
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Header.Values("Warning")) != 2 || res.Header.Get("X-Elastic-Product") != "Elasticsearch" || res.Header.Get("X-Opaque-Id") != "id" ||
		res.Header.Get("Content-Encoding") != "zstd" {
		t.Errorf("got %v", res.Header)
	}
}

func TestFirstBytesAreNotHeldBack(t *testing.T) {
	for _, length := range []string{"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", "Content-Length: 10\r\n\r\nfirst"} {
		proceed := make(chan bool)
		base, _ := serve(t, &Snapshot{Upstream: wire(t, func(conn net.Conn, _ string) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+length)
			<-proceed
		})}, Options{})
		res, err := http.Get(base + "/_export")
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 5)
		if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "first" {
			t.Errorf("got %q, error %v, want the first bytes while the cluster still thinks", first, err)
		}
		close(proceed)
		if rest, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("got %q and no error, want an answer that broke off to look broken off", rest)
		}
		res.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
}

func TestLargeBodiesStreamBothWays(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 256 MiB")
	}
	const size = 128 << 20
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		w.Header().Set("X-Got", fmt.Sprintf("%d %x", n, sum.Sum(nil)))
		io.CopyN(w, zeros{}, size)
	})
	base, _ := serve(t, &Snapshot{Upstream: c}, Options{})
	sum := sha256.New()
	io.CopyN(sum, zeros{}, size)
	req := request(t, "POST", base+"/_bulk", "")
	req.Body, req.ContentLength = io.NopCloser(io.LimitReader(zeros{}, size)), size
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, want := res.Header.Get("X-Got"), fmt.Sprintf("%d %x", size, sum.Sum(nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("got %d bytes, error %v, want %d", n, err, size)
	}
	http.DefaultClient.CloseIdleConnections()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A client may be slow as long as it moves.
func TestStandstillIsCutOffAndSlownessIsNot(t *testing.T) {
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprintf(w, "%d", n)
		}
	})
	const idle = 200 * time.Millisecond
	base, _ := serve(t, &Snapshot{Upstream: c, Limits: Limits{Idle: idle}}, Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /_bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
	tick := time.NewTicker(idle / 3)
	defer tick.Stop()
	for range 10 { // more than three times the idle time
		<-tick.C
		fmt.Fprint(conn, "x")
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("got %v, error %v, want 200", res, err)
	}
	io.Copy(io.Discard, res.Body)
	start := time.Now()
	fmt.Fprint(conn, "POST /_bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx")
	res, err = http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("got %v, error %v, want 408", res, err)
	}
	if took := time.Since(start); took > 10*idle {
		t.Errorf("got 408 after %v, want it about %v after the last byte", took, idle)
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	ended := make(chan bool, 1)
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, zeros{})
		ended <- true
	})
	base, _ := serve(t, &Snapshot{Upstream: c, Limits: Limits{Idle: 100 * time.Millisecond}}, Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /_export HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the cluster still sends to a client that reads nothing")
	}
}

// Waiting for the cluster is no standstill of the client's: some requests run for hours.
func TestSlowClusterIsWaitedFor(t *testing.T) {
	const idle = 50 * time.Millisecond
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for range 2 {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(4 * idle):
			}
			io.WriteString(w, "{}")
			w.(http.Flusher).Flush()
		}
	})
	base, _ := serve(t, &Snapshot{Upstream: c, Limits: Limits{Idle: idle}}, Options{})
	res, body, err := do(t, request(t, "POST", base+"/_forcemerge", "{}"))
	if err != nil || body != "{}{}" {
		t.Errorf("got %v %q, error %v, want {}{}", res, body, err)
	}
}

// On HTTP/2 a deadline of a stream resets it whether or not anything is being written.
func TestSlowClusterIsWaitedForOverHTTP2(t *testing.T) {
	const idle = 50 * time.Millisecond
	c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-time.After(4 * idle):
			io.WriteString(w, "{}")
		}
	})
	h := New(&Snapshot{Upstream: c, Limits: Limits{Idle: idle}}, Options{})
	defer h.Close()
	server := httptest.NewUnstartedServer(nil)
	server.Config, server.EnableHTTP2 = NewServer(h, ServerOptions{HTTP2: true}), true
	server.StartTLS()
	defer server.Close()
	res, err := server.Client().Post(server.URL+"/_forcemerge", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "{}" || res.ProtoMajor != 2 {
		t.Errorf("got %s %q, error %v, want {} over HTTP/2", res.Proto, body, err)
	}
}

func TestPanicCostsItsOwnRequest(t *testing.T) {
	base, _ := serve(t, &Snapshot{Upstream: roundTripper(func(*http.Request) (*http.Response, error) { panic("on purpose") })}, Options{})
	for range 2 {
		res, body, err := do(t, request(t, "GET", base+"/", ""))
		if err != nil || res.StatusCode != 500 || !strings.Contains(body, `"status":500`) {
			t.Errorf("got %v %q, error %v, want 500", res, body, err)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type statusError int

func (e statusError) Error() string   { return "status " + http.StatusText(int(e)) }
func (e statusError) HTTPStatus() int { return int(e) }

func TestErrorsOfTheUpstreamAreShapedLikeTheClusters(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{fmt.Errorf("asking: %w", statusError(503)), 503},
		{statusError(504), 504},
		{statusError(502), 502},
		{errors.New("anything else"), 502},
	} {
		base, _ := serve(t, &Snapshot{Upstream: roundTripper(func(*http.Request) (*http.Response, error) { return nil, tt.err })}, Options{})
		for _, path := range []string{"/", "/_search"} {
			res, body, err := do(t, request(t, "GET", base+path, ""))
			if err != nil || res.StatusCode != tt.want || !strings.Contains(body, fmt.Sprintf(`"status":%d`, tt.want)) || !strings.Contains(body, `"root_cause":[{`) {
				t.Errorf("%s: %v: got %v %q, error %v, want %d", path, tt.err, res, body, err, tt.want)
			}
			if strings.Contains(body, tt.err.Error()) {
				t.Errorf("%s: the answer %q tells of the inside", path, body)
			}
		}
	}
}

func TestOnlySearchesMayBeSentTwice(t *testing.T) {
	s := &shop{docs: 100}
	c := upstream(t, s.ServeHTTP)
	twice := make(map[string]bool)
	base, _ := serve(t, &Snapshot{Rules: rules(reverse), Upstream: roundTripper(func(r *http.Request) (*http.Response, error) {
		values, ok := r.Header["X-Idempotency-Key"]
		twice[r.URL.Path] = ok && len(values) == 0 && r.GetBody != nil
		return c.RoundTrip(r)
	})}, Options{})
	for path, want := range map[string]bool{"/shop/_search": true, "/_bulk": false, "/shop/_doc": false, "/shop/_update_by_query": false} {
		do(t, request(t, "POST", base+path, match, "X-Idempotency-Key", ""))
		do(t, request(t, "POST", base+path, match))
		if twice[path] != want {
			t.Errorf("%s: got %v, want %v", path, twice[path], want)
		}
	}
}
