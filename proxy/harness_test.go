package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rerankd/rerankd/rerank"
)

// TestMain looks for goroutines that were left behind. It looks for longer than goleak by itself: on a connection that it closes before the
// client does, net/http's server lingers for half a second (rstAvoidanceDelay).
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(3 * time.Second); code == 0; {
		err := goleak.Find()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// cluster is an upstream of one address, as thin as can be.
type cluster struct {
	base *url.URL
	*http.Transport
}

func newCluster(t *testing.T, base string) *cluster {
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{u, &http.Transport{DisableCompression: true, ExpectContinueTimeout: time.Second, MaxResponseHeaderBytes: 64 << 10}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func (c *cluster) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.WithContext(req.Context())
	u := *req.URL
	u.Scheme, u.Host = c.base.Scheme, c.base.Host
	out.URL = &u
	res, err := c.Transport.RoundTrip(out)
	if dial := new(net.OpError); errors.As(err, &dial) && dial.Op == "dial" {
		return nil, statusError(http.StatusServiceUnavailable)
	}
	return res, err
}

// serve starts the whole proxy in front of what s says, and returns its address.
func serve(t *testing.T, s *Snapshot, o Options) (base string, h *Handler) {
	t.Helper()
	h = New(s, o)
	server := NewServer(h, ServerOptions{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Close()
		h.Close()
	})
	return "http://" + listener.Addr().String(), h
}

// upstream starts a cluster made of a handler.
func upstream(t *testing.T, h http.HandlerFunc) *cluster {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return newCluster(t, server.URL)
}

// wire starts a cluster that speaks bytes: every connection is handed to talk after the first request on it was read to the end of its
// headers, which are given.
func wire(t *testing.T, talk func(conn net.Conn, head string)) *cluster {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() { listener.Close(); group.Wait() })
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				stop := context.AfterFunc(t.Context(), func() { conn.Close() })
				defer stop()
				r := bufio.NewReader(conn)
				var head strings.Builder
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					head.WriteString(line)
					if line == "\r\n" {
						break
					}
				}
				if _, rest, ok := strings.Cut(head.String(), "Content-Length: "); ok {
					n, _ := strconv.Atoi(rest[:strings.Index(rest, "\r")])
					io.CopyN(&head, r, int64(n))
				}
				talk(conn, head.String())
			})
		}
	})
	return newCluster(t, "http://"+listener.Addr().String())
}

// raw sends bytes to an address and returns all that comes until the other side closes, or the time is up.
func raw(t *testing.T, base, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// do sends a request by a client of its own, and reads the answer.
func do(t testing.TB, req *http.Request) (*http.Response, string, error) {
	t.Helper()
	tr := &http.Transport{DisableCompression: true, ExpectContinueTimeout: 5 * time.Second}
	defer tr.CloseIdleConnections()
	res, err := tr.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func request(t testing.TB, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

// shop is a fake cluster that answers searches: documents 0…n-1 match everything, with falling scores.
type shop struct {
	docs int
	// intercept answers instead where it returns true; wide says whether the search asks for more than ten hits.
	intercept func(w http.ResponseWriter, r *http.Request, body []byte, wide bool) bool

	mu   sync.Mutex
	seen []string // "METHOD path?query body" of all searches
}

const shopMapping = `{"shop":{"mappings":{"properties":{"body":{"type":"text"},"sku":{"type":"keyword"},"title":{"type":"text"}}}}}`

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	s.mu.Lock()
	s.seen = append(s.seen, fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body))
	s.mu.Unlock()
	var search struct {
		From int
		Size *int
	}
	json.Unmarshal(body, &search)
	size := 10
	if search.Size != nil {
		size = *search.Size
	}
	if s.intercept != nil && s.intercept(w, r, body, size > 10) {
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Write(s.page(search.From, size))
}

func (s *shop) page(from, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"took":1,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},`+
		`"hits":{"total":{"value":%d,"relation":"eq"},"max_score":%s,"hits":[`, s.docs, shopScore(0))
	for i := from; i < min(from+size, s.docs); i++ {
		if i > from {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"_index":"shop","_id":"%d","_score":%s,"_source":{"title":"Document %d","price":12345678901234567890,"sku":"A-%d"}}`,
			i, shopScore(i), i, i)
	}
	b.WriteString("]}}")
	return b.Bytes()
}

func shopScore(i int) string { return strconv.FormatFloat(20-float64(i)*0.125, 'f', 3, 64) }

func (s *shop) searches() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// rankerFunc is a Ranker made of a function.
type rankerFunc func(ctx context.Context, query string, hits []rerank.Hit) rerank.Ranking

func (f rankerFunc) Rank(ctx context.Context, query string, hits []rerank.Hit) rerank.Ranking {
	return f(ctx, query, hits)
}

// reverse ranks the last hit first.
var reverse = rankerFunc(func(_ context.Context, _ string, hits []rerank.Hit) rerank.Ranking {
	r := rerank.Ranking{Stages: []rerank.Report{{Model: "reverse", Window: len(hits), Scored: len(hits), Tokenizing: time.Millisecond}}}
	for i := range hits {
		r.Order = append(r.Order, len(hits)-1-i)
		r.Scores = append(r.Scores, 1/float64(i+1))
	}
	return r
})

// identity keeps the cluster's order, and says that it judged.
var identity = rankerFunc(func(_ context.Context, _ string, hits []rerank.Hit) rerank.Ranking {
	r := rerank.Ranking{Stages: []rerank.Report{{Model: "identity", Window: len(hits), Scored: len(hits)}}}
	for i, hit := range hits {
		r.Order = append(r.Order, i)
		r.Scores = append(r.Scores, hit.Score)
	}
	return r
})

func rules(r Ranker) []Rule {
	return []Rule{{Name: "shop", Fields: []string{"title"}, Window: 30, Budget: 5 * time.Second, Ranker: r, Version: "1"}}
}

// ids are the documents of a page, in order.
func ids(t testing.TB, body string) []int {
	t.Helper()
	var page struct {
		Hits struct {
			Hits []struct {
				ID string `json:"_id"`
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatalf("reading the page %.200q: %v", body, err)
	}
	var list []int
	for _, hit := range page.Hits.Hits {
		id, err := strconv.Atoi(hit.ID)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, id)
	}
	return list
}

func count(from, to, step int) (list []int) {
	for i := from; i != to; i += step {
		list = append(list, i)
	}
	return list
}

const match = `{"query":{"match":{"title":"blue shoes"}}}`
