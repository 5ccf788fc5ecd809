// Package backendtest is a fake search cluster, and the suite that every backend passes.
//
// The nodes are real listeners on the loopback interface, since what a proxy gets wrong it gets wrong on the wire: [NewNode] serves a
// handler and remembers what reached it, [NewBrokenNode] reads requests properly and answers with a [Fault], and [Refused] is the address
// of a node that is not there. [Run] is the suite.
package backendtest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/rerankd/rerankd/config"
)

// A Node is one node of a fake cluster. It ends with the test.
type Node struct {
	URL string // http://127.0.0.1:port

	mu       sync.Mutex
	requests []Request
}

// A Request is one that reached a node, as it stood on the wire.
type Request struct {
	Method  string
	Target  string // path and query, not decoded
	Host    string
	Header  http.Header
	Body    []byte
	Trailer http.Header
}

// Requests are those that reached the node so far, in the order in which their bodies ended.
func (n *Node) Requests() []Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Request(nil), n.requests...)
}

func (n *Node) record(r *http.Request, body []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests = append(n.requests, Request{r.Method, r.RequestURI, r.Host, r.Header.Clone(), body, r.Trailer.Clone()})
}

// NewNode is a node that answers as h does, with kind's headers. Requests are remembered after their bodies were read to memory, and h
// reads them from there. A nil h answers 200 with an empty object, and GET / as kind does.
func NewNode(tb testing.TB, kind string, h http.HandlerFunc) *Node {
	n := &Node{}
	if h == nil {
		h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Path == "/" {
				io.WriteString(w, banner(kind))
				return
			}
			io.WriteString(w, "{}")
		}
	}
	n.serve(tb, kind, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // an upload that broke off is no request
		}
		n.record(r, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(w, r)
	})
	return n
}

// NewStreamingNode is a node whose handler reads the request's body from the connection. It remembers nothing.
func NewStreamingNode(tb testing.TB, kind string, h http.HandlerFunc) *Node {
	n := &Node{}
	n.serve(tb, kind, h)
	return n
}

func (n *Node) serve(tb testing.TB, kind string, h http.HandlerFunc) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind == config.KindElasticsearch {
			w.Header().Set("X-Elastic-Product", "Elasticsearch")
		}
		h(w, r)
	}))
	tb.Cleanup(s.Close)
	n.URL = s.URL
}

// banner is the body of GET /, less what nobody reads. OpenSearch 2 can be told from Elasticsearch by nothing else.
func banner(kind string) string {
	if kind == config.KindOpenSearch {
		return `{"name":"node-1","cluster_name":"fake","version":{"distribution":"opensearch","number":"2.19.1"},` +
			`"tagline":"The OpenSearch Project: https://opensearch.org/"}`
	}
	return `{"name":"node-1","cluster_name":"fake","version":{"number":"8.19.16","build_flavor":"default"},"tagline":"You Know, for Search"}`
}

// Refused is the URL of a node where nothing listens: connections are refused. The port is the near end of a connection to elsewhere,
// bound to it as a server would be, which keeps it from being handed out to anyone until the test ends.
func Refused(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}).Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	other, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { other.Close() })
	return "http://" + conn.LocalAddr().String()
}

// A Fault is what a broken node does with a connection when it has read a request from it. The connection is closed afterwards.
type Fault func(conn *net.TCPConn)

// Faults that take a request and give no answer, or not a whole one.
var (
	// EOF closes the connection without an answer.
	EOF Fault = func(*net.TCPConn) {}
	// Reset resets it without an answer.
	Reset Fault = func(c *net.TCPConn) { c.SetLinger(0) }
	// Garbage answers with something that is not HTTP.
	Garbage Fault = raw("SSH-2.0-OpenSSH_9.2p1\r\n")
	// HeadersCut stops in the middle of the headers.
	HeadersCut Fault = raw("HTTP/1.1 200 OK\r\nContent-Type: applica")
	// LengthTooLong announces more than it sends.
	LengthTooLong Fault = raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"hits\":")
	// ChunkCut stops in the middle of a chunk.
	ChunkCut Fault = raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"hits\":")
	// ChunksUnended sends whole chunks, but not the last, empty one.
	ChunksUnended Fault = raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"hits\":\r\n")
	// ResetInBody resets the connection in the middle of the body.
	ResetInBody Fault = func(c *net.TCPConn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"hits\":")
		c.SetLinger(0)
	}
)

// raw answers with these bytes.
func raw(answer string) Fault {
	return func(c *net.TCPConn) { io.WriteString(c, answer) }
}

// HeaderFlood answers with size bytes of headers.
func HeaderFlood(size int) Fault {
	return func(c *net.TCPConn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for sent := 0; sent < size; {
			n, err := fmt.Fprintf(c, "X-%d: %1000d\r\n", sent, 0)
			if err != nil {
				return
			}
			sent += n
		}
		io.WriteString(c, "Content-Length: 0\r\n\r\n")
	}
}

// Silence answers nothing until the other side gives up.
var Silence Fault = func(c *net.TCPConn) { io.Copy(io.Discard, c) }

// NewBrokenNode is a node that reads and remembers each request, and then does what fault says.
func NewBrokenNode(tb testing.TB, fault Fault) *Node {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	n := &Node{URL: "http://" + l.Addr().String()}
	var open sync.Map
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(conn, true)
			served.Go(func() {
				defer open.Delete(conn)
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				n.record(r, body)
				fault(conn.(*net.TCPConn))
			})
		}
	})
	tb.Cleanup(func() {
		l.Close()
		open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		served.Wait()
	})
	return n
}
