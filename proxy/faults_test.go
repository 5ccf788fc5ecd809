package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/reranktest"
)

var update = flag.Bool("update", false, "write docs/faults.md anew")

// fault is a row of docs/faults.md.
type fault struct {
	what    string
	cluster func(t *testing.T) http.RoundTripper // nil: a healthy one
	ranker  Ranker                               // nil: one that reverses
	limits  Limits
	request string // body; "": an ordinary search
	headers []string
	raw     string // instead of request: bytes for the connection

	sees     string // as described by sight
	rerank   string // X-Rerank, without the numbers
	when     string // "" means at once
	searches int    // that reach the cluster, where it is a shop; 0: any
}

const (
	faultBudget = 150 * time.Millisecond
	afterBudget = "when the budget is spent"
	afterIdle   = "when the idle time is over"
	soon        = 2 * time.Second // what "at once" may take on a machine under the race detector
)

// What a client can see.
const (
	reranked = "200, the reranked page"
	plainly  = "200, the cluster's own page"
	cut      = "a broken connection, never a short page"
)

// wideOnly makes a shop that is broken for widened requests only.
func wideOnly(answer func(w http.ResponseWriter, page []byte)) func(t *testing.T) http.RoundTripper {
	return func(t *testing.T) http.RoundTripper {
		s := &shop{docs: 100}
		s.intercept = func(w http.ResponseWriter, _ *http.Request, _ []byte, wide bool) bool {
			if wide {
				w.Header().Set("Content-Type", "application/json")
				answer(w, s.page(0, 30))
			}
			return wide
		}
		return upstream(t, s.ServeHTTP)
	}
}

// always answers every request by these bytes, and closes.
func always(answer string) func(t *testing.T) http.RoundTripper {
	return func(t *testing.T) http.RoundTripper {
		return wire(t, func(conn net.Conn, _ string) { io.WriteString(conn, answer) })
	}
}

// bytesFor answers a widened request with these bytes, and the client's own in an orderly way.
func bytesFor(wide func(page string) string) func(t *testing.T) http.RoundTripper {
	return func(t *testing.T) http.RoundTripper {
		s := &shop{docs: 100}
		return wire(t, func(conn net.Conn, head string) {
			if strings.Contains(head, `"size":30`) {
				io.WriteString(conn, wide(string(s.page(0, 30))))
				return
			}
			page := s.page(0, 10)
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
		})
	}
}

func gzipped(r io.Reader) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.Copy(z, r)
	z.Close()
	return b.Bytes()
}

const jsonHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

func scorer(f reranktest.ScorerFunc) Ranker {
	return &rerank.Ranker{Stages: []rerank.Stage{{Model: "m", Scorer: f}}}
}

func faults() []fault {
	bomb := gzipped(io.LimitReader(zeros{}, 64<<20))
	return []fault{
		{what: "nothing: the healthy case", sees: reranked, rerank: "applied", searches: 1},

		// The cluster.
		{what: "the cluster is down", cluster: func(t *testing.T) http.RoundTripper {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			listener.Close()
			return newCluster(t, "http://"+listener.Addr().String())
		}, sees: "503, an error shaped like the cluster's", rerank: "skipped; reason=upstream_status"},
		{what: "the cluster closes the connection without an answer", cluster: always(""),
			sees: "502, an error shaped like the cluster's", rerank: "skipped; reason=upstream_malformed"},
		{what: "the cluster is slow, by more than the budget", cluster: func(t *testing.T) http.RoundTripper {
			s := &shop{docs: 100}
			s.intercept = func(_ http.ResponseWriter, r *http.Request, _ []byte, _ bool) bool {
				select {
				case <-time.After(2 * faultBudget):
				case <-r.Context().Done():
				}
				return false
			}
			return upstream(t, s.ServeHTTP)
		}, sees: reranked, rerank: "applied", when: "when the cluster has answered: its time is not the budget's"},
		{what: "the cluster does not speak HTTP", cluster: always("\x00\x01garbage\r\n\r\n"),
			sees: "502, an error shaped like the cluster's", rerank: "skipped; reason=upstream_malformed"},
		{what: "the cluster floods with headers", cluster: always("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("a", 1<<10)+"\r\n", 1<<10) + "\r\n"),
			sees: "502, an error shaped like the cluster's", rerank: "skipped; reason=upstream_malformed"},
		{what: "the cluster breaks off in the middle of every answer", cluster: always(jsonHead + "Content-Length: 1000\r\n\r\n{\"took\":1"),
			sees: cut, rerank: "skipped; reason=upstream_malformed"},
		{what: "the cluster is overloaded: 429 to everything", cluster: always("HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"status\":429}"),
			sees: "429, the cluster's own answer", rerank: "skipped; reason=upstream_status"},

		// The answer to a widened request.
		{what: "the widened request is refused: 400, as above index.max_result_window", cluster: wideOnly(func(w http.ResponseWriter, _ []byte) { w.WriteHeader(400) }),
			sees: plainly, rerank: "skipped; reason=upstream_status"},
		{what: "the widened answer breaks off, by its Content-Length", cluster: bytesFor(func(page string) string {
			return fmt.Sprintf(jsonHead+"Content-Length: %d\r\n\r\n%s", len(page)+100, page)
		}), sees: plainly, rerank: "skipped; reason=upstream_malformed"},
		{what: "the widened answer goes on after its Content-Length", cluster: bytesFor(func(page string) string {
			return fmt.Sprintf(jsonHead+"Content-Length: %d\r\n\r\n%s", len(page)-100, page)
		}), sees: plainly, rerank: "skipped; reason=upstream_malformed"},
		{what: "the widened answer breaks off between chunks", cluster: bytesFor(func(page string) string {
			return fmt.Sprintf(jsonHead+"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(page), page)
		}), sees: plainly, rerank: "skipped; reason=upstream_malformed"},
		{what: "the widened answer has a malformed chunk", cluster: bytesFor(func(page string) string {
			return fmt.Sprintf(jsonHead+"Transfer-Encoding: chunked\r\n\r\n-%x\r\n%s\r\n0\r\n\r\n", len(page), page)
		}), sees: plainly, rerank: "skipped; reason=upstream_malformed"},
		{what: "the widened answer is not JSON", cluster: wideOnly(func(w http.ResponseWriter, _ []byte) { io.WriteString(w, "it works!") }),
			sees: plainly, rerank: "skipped; reason=upstream_malformed"},
		{what: "the widened answer is JSON, ten million levels deep", cluster: wideOnly(func(w http.ResponseWriter, _ []byte) {
			w.Write(bytes.Repeat([]byte("["), 10<<20))
		}), sees: plainly, rerank: "skipped; reason=upstream_malformed"},
		{what: "the widened answer is HTML", cluster: wideOnly(func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<html>")
		}), sees: plainly, rerank: "skipped; reason=format"},
		{what: "the widened answer is larger than the limit", cluster: wideOnly(func(w http.ResponseWriter, _ []byte) { io.CopyN(w, zeros{}, 20<<20) }),
			sees: plainly, rerank: "skipped; reason=too_large"},
		{what: "the widened answer is a gzip bomb", headers: []string{"Accept-Encoding", "gzip"}, cluster: wideOnly(func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb)
		}), sees: plainly, rerank: "skipped; reason=too_large"},
		{what: "the widened answer is gzip that breaks off", headers: []string{"Accept-Encoding", "gzip"}, cluster: wideOnly(func(w http.ResponseWriter, page []byte) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzipped(bytes.NewReader(page))
			w.Write(z[:len(z)/2])
		}), sees: plainly, rerank: "skipped; reason=upstream_malformed"},
		{what: "the widened answer comes in a coding that was not asked for", cluster: wideOnly(func(w http.ResponseWriter, page []byte) {
			w.Header().Set("Content-Encoding", "zstd")
			w.Write(page)
		}), sees: plainly, rerank: "skipped; reason=format"},
		{what: "shards fail in the widened answer", cluster: wideOnly(func(w http.ResponseWriter, page []byte) {
			w.Write(bytes.Replace(page, []byte(`"failed":0`), []byte(`"failed":1`), 1))
		}), sees: plainly, rerank: "skipped; reason=upstream_partial"},

		// The request.
		{what: "the request's body is larger than the limit", request: `{"query":{"match":{"title":"` + strings.Repeat("blue shoes ", 1<<17) + `"}}}`,
			sees: plainly, rerank: "skipped; reason=too_large", searches: 1},
		{what: "the request is not JSON", request: "blue shoes", sees: plainly, rerank: "skipped; reason=malformed_request", searches: 1},
		{what: "the request's body is a gzip bomb", request: string(gzipped(io.LimitReader(zeros{}, 64<<20))), headers: []string{"Content-Encoding", "gzip"},
			sees: plainly, rerank: "skipped; reason=format", searches: 1},
		{what: "the request's body has a malformed chunk", sees: "400, an error shaped like the cluster's", rerank: "skipped; reason=malformed_request",
			raw: "POST /shop/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"},
		{what: "the request's body stops coming", sees: "408, an error shaped like the cluster's", rerank: "skipped; reason=malformed_request", when: afterIdle,
			raw: "POST /shop/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", limits: Limits{Idle: faultBudget}},
		{what: "CONNECT", sees: "405, an error shaped like the cluster's, and the connection closed", raw: "CONNECT evil:80 HTTP/1.1\r\nHost: evil:80\r\n\r\n"},
		{what: "no memory is left for bodies", limits: Limits{Buffered: 10}, sees: plainly, rerank: "skipped; reason=busy", searches: 1},
		{what: "no memory is left for the widened answer", limits: Limits{Buffered: 2000}, sees: plainly, rerank: "skipped; reason=busy"},

		// The model.
		{what: "the model panics", ranker: scorer(func(context.Context, string, []string) ([]float32, error) { panic("on purpose") }),
			sees: plainly, rerank: "skipped; reason=model_error", searches: 1},
		{what: "the model fails", ranker: scorer(func(context.Context, string, []string) ([]float32, error) { return nil, errors.New("out of order") }),
			sees: plainly, rerank: "skipped; reason=model_error", searches: 1},
		{what: "the model gives NaN", ranker: scorer(func(_ context.Context, _ string, docs []string) ([]float32, error) {
			scores := make([]float32, len(docs))
			scores[len(docs)/2] = float32(math.NaN())
			return scores, nil
		}), sees: plainly, rerank: "skipped; reason=model_error", searches: 1},
		{what: "the model gives more scores than documents", ranker: scorer(func(_ context.Context, _ string, docs []string) ([]float32, error) {
			return make([]float32, len(docs)+1), nil
		}), sees: plainly, rerank: "skipped; reason=model_error", searches: 1},
		{what: "words or texts are in a language that the model was not made for", ranker: scorer(func(context.Context, string, []string) ([]float32, error) { return nil, rerank.ErrLanguage }),
			sees: plainly, rerank: "skipped; reason=language", searches: 1},
		{what: "the model's queue is full", ranker: scorer(func(context.Context, string, []string) ([]float32, error) { return nil, rerank.ErrBusy }),
			sees: plainly, rerank: "skipped; reason=busy", searches: 1},
		{what: "it is known beforehand that the model has no time", ranker: shut{rerank.ErrBusy}, sees: plainly, rerank: "skipped; reason=busy", searches: 1},
		{what: "the model is left alone after failures", ranker: shut{errors.New("out of order")}, sees: plainly, rerank: "skipped; reason=model_error", searches: 1},
		{what: "the model is slow, and scores nothing in time", ranker: scorer(func(ctx context.Context, _ string, _ []string) ([]float32, error) {
			<-ctx.Done()
			return nil, nil
		}), sees: plainly, rerank: "skipped; reason=timeout", when: afterBudget, searches: 1},
		{what: "the model hangs, and does not heed its deadline", ranker: scorer(func(ctx context.Context, _ string, _ []string) ([]float32, error) {
			<-ctx.Done()
			time.Sleep(4 * rankerGrace)
			return nil, nil
		}), sees: plainly, rerank: "skipped; reason=timeout", when: afterBudget + ", and 50 ms", searches: 1},
		{what: "a ranking loses a hit and doubles another", ranker: rankerFunc(func(_ context.Context, _ string, hits []rerank.Hit) rerank.Ranking {
			return rerank.Ranking{Order: make([]int, len(hits)), Scores: make([]float64, len(hits)), Stages: []rerank.Report{{Scored: len(hits)}}}
		}), sees: plainly, rerank: "skipped; reason=model_error", searches: 1},
		{what: "a ranking panics", ranker: rankerFunc(func(context.Context, string, []rerank.Hit) rerank.Ranking { panic("on purpose") }),
			sees: plainly, rerank: "skipped; reason=model_error", searches: 1},
	}
}

// sight says in words what a client has got.
func sight(res *http.Response, body string, err error) string {
	if err != nil {
		return cut
	}
	s := &shop{docs: 100}
	if res.Header.Get("Content-Encoding") == "gzip" {
		z, _ := gzip.NewReader(strings.NewReader(body))
		plain, _ := io.ReadAll(z)
		body = string(plain)
	}
	switch {
	case res.StatusCode == 200 && body == string(s.page(0, 10)):
		return plainly
	case res.StatusCode == 200 && strings.Contains(body, `"_id":"29"`) && strings.Count(body, `"_id"`) == 10:
		return reranked
	case strings.Contains(body, `"root_cause":[{"type":`) && strings.Contains(body, fmt.Sprintf(`"status":%d`, res.StatusCode)):
		seen := fmt.Sprintf("%d, an error shaped like the cluster's", res.StatusCode)
		if res.StatusCode == http.StatusMethodNotAllowed && res.Close {
			seen += ", and the connection closed"
		}
		return seen
	case res.StatusCode != 200:
		return fmt.Sprintf("%d, the cluster's own answer", res.StatusCode)
	}
	return fmt.Sprintf("%d %.200q", res.StatusCode, body)
}

func TestFaults(t *testing.T) {
	list := faults()
	before := descriptors(t)
	for _, f := range list {
		t.Run(f.what, func(t *testing.T) {
			s := &shop{docs: 100}
			var c http.RoundTripper
			if f.cluster != nil {
				c = f.cluster(t)
			} else {
				c = upstream(t, s.ServeHTTP)
			}
			if f.ranker == nil {
				f.ranker = reverse
			}
			rule := rules(f.ranker)
			rule[0].Budget = faultBudget
			base, _ := serve(t, &Snapshot{Upstream: c, Rules: rule, Limits: f.limits}, Options{})
			if f.request == "" {
				f.request = match
			}
			req := request(t, "POST", base+"/shop/_search", f.request, f.headers...)
			start := time.Now()
			var res *http.Response
			var body string
			var err error
			if f.raw != "" {
				res, body, err = exchangeRaw(t, base, f.raw)
			} else {
				res, body, err = do(t, req)
			}
			took := time.Since(start)
			if got := sight(res, body, err); got != f.sees {
				t.Errorf("the client sees %s, want %s", got, f.sees)
			}
			if res != nil && err == nil {
				got := res.Header.Get("X-Rerank")
				if strings.HasPrefix(got, "applied") {
					got = "applied"
				}
				if got != f.rerank {
					t.Errorf("got X-Rerank %q, want %q", got, f.rerank)
				}
			}
			atLeast := time.Duration(0)
			if f.when != "" {
				atLeast = faultBudget
			}
			if took < atLeast || took > atLeast+soon {
				t.Errorf("got an answer after %v, want it between %v and %v", took, atLeast, atLeast+soon)
			}
			if got := len(s.searches()); f.searches > 0 && got != f.searches {
				t.Errorf("got %d searches at the cluster, want %d", got, f.searches)
			}
		})
	}

	if after := descriptors(t); after > before {
		t.Errorf("got %d open descriptors, want no more than the %d from before", after, before)
	}
	doc := faultTable(list)
	const file = "../docs/faults.md"
	if *update {
		if err := os.WriteFile(file, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(written), doc); diff != "" {
		t.Errorf("%s is not what the test holds; go test ./proxy -run TestFaults -update (-file +test):\n%s", file, diff)
	}
}

// descriptors counts what this process has open, where the system tells.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	return len(list)
}

func faultTable(list []fault) string {
	var b strings.Builder
	b.WriteString(`# What a client sees when something breaks

Written by TestFaults in proxy/faults_test.go, which breaks each of these over real connections. "At once" means that nothing is waited for;
the budget is a rule's, and the idle time is limits.idle. For a widened request that brings nothing of use, the client's own request is
sent once: its answer is what the client gets, an error included.

| what breaks | the client sees | X-Rerank | how fast |
|---|---|---|---|
`)
	for _, f := range list {
		when := f.when
		if when == "" {
			when = "at once"
		}
		word := "`" + f.rerank + "`"
		if f.rerank == "" {
			word = "none: it is no search"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.what, f.sees, word, when)
	}
	b.WriteString(`
A client that goes away, at whatever stage, ends the cluster's work and the ranking at once: TestClientGone. Requests that are no HTTP, or two
requests in one, are refused and their connection is closed: TestNoRequestToAClusterIsRefused.
`)
	return b.String()
}

// exchangeRaw sends bytes and reads a response.
func exchangeRaw(t *testing.T, base, request string) (*http.Response, string, error) {
	t.Helper()
	answer := raw(t, base, request)
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

// A client that goes away is noticed at every stage: the cluster's work and the ranking end, and nothing is blamed on anybody.
func TestClientGone(t *testing.T) {
	for _, tt := range []struct {
		stage   string
		request string
		setup   func(reached, ended chan bool) (http.HandlerFunc, Ranker)
	}{
		{"uploading", "POST /_bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{}\n", func(reached, ended chan bool) (http.HandlerFunc, Ranker) {
			return func(_ http.ResponseWriter, r *http.Request) {
				reached <- true
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					ended <- true
				}
			}, reverse
		}},
		{"the cluster thinks", "GET /_cat/indices HTTP/1.1\r\nHost: x\r\n\r\n", func(reached, ended chan bool) (http.HandlerFunc, Ranker) {
			return func(_ http.ResponseWriter, r *http.Request) { reached <- true; <-r.Context().Done(); ended <- true }, reverse
		}},
		{"the cluster thinks about a covered search", searchFor(match), func(reached, ended chan bool) (http.HandlerFunc, Ranker) {
			return func(_ http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				reached <- true
				<-r.Context().Done()
				ended <- true
			}, reverse
		}},
		{"the cluster is in the middle of the widened answer", searchFor(match), func(reached, ended chan bool) (http.HandlerFunc, Ranker) {
			return func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, `{"took":1,`)
				w.(http.Flusher).Flush()
				reached <- true
				<-r.Context().Done()
				ended <- true
			}, reverse
		}},
		{"ranking", searchFor(match), func(reached, ended chan bool) (http.HandlerFunc, Ranker) {
			return (&shop{docs: 100}).ServeHTTP, rankerFunc(func(ctx context.Context, _ string, hits []rerank.Hit) rerank.Ranking {
				reached <- true
				<-ctx.Done()
				if errors.Is(ctx.Err(), context.Canceled) {
					ended <- true
				}
				return rerank.Ranking{Order: count(0, len(hits), 1), Scores: make([]float64, len(hits)),
					Stages: []rerank.Report{{Skipped: rerank.SkippedCanceled}}}
			})
		}},
	} {
		t.Run(tt.stage, func(t *testing.T) {
			reached, ended, closed := make(chan bool), make(chan bool), make(chan bool, 1)
			handler, ranker := tt.setup(reached, ended)
			var asked int
			c := upstream(t, func(w http.ResponseWriter, r *http.Request) { asked++; handler(w, r) })
			rule := rules(ranker)
			rule[0].Budget = time.Minute
			base, h := serve(t, &Snapshot{Upstream: c, Rules: rule, Close: func() { closed <- true }}, Options{})
			conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, tt.request)
			<-reached
			conn.Close()
			start := time.Now()
			<-ended
			if took := time.Since(start); took > time.Second {
				t.Errorf("it ended %v after the client had gone", took)
			}
			h.Close()
			<-closed // nothing is left of the request
			if asked != 1 {
				t.Errorf("the cluster was asked %d times, want once", asked)
			}
			if len(h.pages.entries) != 0 {
				t.Error("an order that nobody has seen was kept")
			}
		})
	}
}

func searchFor(body string) string {
	return fmt.Sprintf("POST /shop/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}
