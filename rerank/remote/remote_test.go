package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/breaker"
	"github.com/rerankd/rerankd/rerank/reranktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logitFor is the score that the servers below give: it depends on the pair alone.
func logitFor(query, doc string) float64 {
	h := fnv.New32()
	io.WriteString(h, query+"|"+strings.ToValidUTF8(doc, "\ufffd"))
	return float64(h.Sum32()%2000)/100 - 10
}

func probabilityFor(query, doc string) float64 { return 1 / (1 + math.Exp(-logitFor(query, doc))) }

// A call is what a server was asked, in any dialect.
type call struct {
	path, authorization string
	body                map[string]json.RawMessage
}

func (c call) text(name string) (s string) {
	json.Unmarshal(c.body[name], &s)
	return s
}

func (c call) texts(name string) (s []string) {
	json.Unmarshal(c.body[name], &s)
	return s
}

// names are the members of the request's body.
func (c call) names() string {
	var names []string
	for name := range c.body {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func read(t *testing.T, r *http.Request) call {
	t.Helper()
	c := call{path: r.URL.Path, authorization: r.Header.Get("Authorization")}
	if err := json.NewDecoder(r.Body).Decode(&c.body); err != nil {
		t.Errorf("the request is not JSON: %v", err)
	}
	return c
}

// A server of each dialect, as its documentation has it: results best first, with what else there is in them.
var servers = []struct {
	protocol  Protocol
	wantPath  string
	wantAuth  string
	wantNames string
	documents string // the member with the texts
	answer    func(query string, docs []string) any
}{
	{TEI, "/rerank", "Bearer s3cret", "query raw_scores texts truncate", "texts", func(query string, docs []string) any {
		return sorted(docs, func(i int) map[string]any { return map[string]any{"index": i, "score": logitFor(query, docs[i])} }, "score")
	}},
	{Cohere, "/v1/rerank", "Bearer s3cret", "documents model query top_n", "documents", func(query string, docs []string) any {
		return map[string]any{"id": "1", "meta": map[string]any{"billed_units": map[string]any{"search_units": 1}}, "results": sorted(docs, func(i int) map[string]any {
			return map[string]any{"index": i, "relevance_score": probabilityFor(query, docs[i]), "document": map[string]any{"text": docs[i]}}
		}, "relevance_score")}
	}},
	{Voyage, "/v1/rerank", "Bearer s3cret", "documents model query top_k", "documents", func(query string, docs []string) any {
		return map[string]any{"object": "list", "model": "m", "usage": map[string]any{"total_tokens": 9}, "data": sorted(docs, func(i int) map[string]any {
			return map[string]any{"index": i, "relevance_score": probabilityFor(query, docs[i])}
		}, "relevance_score")}
	}},
	{Mixedbread, "/v1/reranking", "Bearer s3cret", "input model query top_k", "input", func(query string, docs []string) any {
		return map[string]any{"object": "list", "model": "m", "top_k": len(docs), "data": sorted(docs, func(i int) map[string]any {
			return map[string]any{"index": i, "score": probabilityFor(query, docs[i]), "object": "rank_result"}
		}, "score")}
	}},
	{Elastic, "/_inference/rerank/m", "ApiKey s3cret", "input query task_settings", "input", func(query string, docs []string) any {
		return map[string]any{"rerank": sorted(docs, func(i int) map[string]any {
			return map[string]any{"index": i, "relevance_score": float32(probabilityFor(query, docs[i]))}
		}, "relevance_score")}
	}},
}

func sorted(docs []string, result func(int) map[string]any, by string) []map[string]any {
	results := make([]map[string]any, len(docs))
	for i := range docs {
		results[i] = result(i)
	}
	slices.SortFunc(results, func(a, b map[string]any) int {
		return cmp.Compare(fmt.Sprintf("%v", b[by]), fmt.Sprintf("%v", a[by])) // any order but ours
	})
	return results
}

// serve starts a server and a Scorer that asks it.
func serve(t *testing.T, o Options, handler http.HandlerFunc) *Scorer {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o.URL = server.URL + o.URL
	o.Protocol = cmp.Or(o.Protocol, TEI)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// answering is a TEI that does as it should.
func answering(t *testing.T, w http.ResponseWriter, r *http.Request) {
	c := read(t, r)
	json.NewEncoder(w).Encode(servers[0].answer(c.text("query"), c.texts("texts")))
}

func numbered(n int) []string {
	docs := make([]string, n)
	for i := range docs {
		docs[i] = fmt.Sprintf("document %d", i)
	}
	return docs
}

func TestDialects(t *testing.T) {
	for _, server := range servers {
		t.Run(string(server.protocol), func(t *testing.T) {
			var largest atomic.Int32
			s := serve(t, Options{Protocol: server.protocol, Model: "m", Key: "s3cret", Batch: 4}, func(w http.ResponseWriter, r *http.Request) {
				c := read(t, r)
				docs := c.texts(server.documents)
				if c.path != server.wantPath || c.authorization != server.wantAuth || c.names() != server.wantNames || r.Method != "POST" {
					t.Errorf("got %s %s with %q and %s, want POST %s with %q and %s", r.Method, c.path, c.authorization, c.names(),
						server.wantPath, server.wantAuth, server.wantNames)
				}
				largest.Store(max(largest.Load(), int32(len(docs))))
				json.NewEncoder(w).Encode(server.answer(c.text("query"), docs))
			})
			docs := numbered(11)
			scores, err := s.Score(t.Context(), "q", docs)
			if err != nil || len(scores) != len(docs) {
				t.Fatalf("got %d scores and %v, want %d", len(scores), err, len(docs))
			}
			for i, got := range scores {
				if want := logitFor("q", docs[i]); math.Abs(float64(got)-want) > 2e-3 {
					t.Errorf("got %v for document %d, want %v", got, i, want)
				}
			}
			if largest.Load() != 4 {
				t.Errorf("got batches of up to %d documents, want 4", largest.Load())
			}
			if stats := s.Stats(); stats.Scored != 11 || stats.Queued != 0 || stats.Running != 0 || stats.Dropped != 0 || s.Pace() <= 0 {
				t.Errorf("got %+v and a pace of %v", stats, s.Pace())
			}
			t.Run("the suite", func(t *testing.T) { reranktest.TestScorer(t, s) })
		})
	}
}

// Whatever the batches and the order of results, each document gets its own score.
func TestEachDocumentGetsItsScore(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answering(t, w, r) }))
	defer server.Close()
	rapid.Check(t, func(rt *rapid.T) {
		s, err := New(Options{URL: server.URL, Protocol: TEI, Batch: rapid.IntRange(1, 7).Draw(rt, "batch"), Concurrency: rapid.IntRange(1, 3).Draw(rt, "concurrency")})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		docs := rapid.SliceOfN(rapid.String(), 0, 20).Draw(rt, "docs")
		scores, err := s.Score(t.Context(), "q", docs)
		if err != nil || len(scores) != len(docs) {
			rt.Fatalf("got %d scores, %v, want %d", len(scores), err, len(docs))
		}
		for i := range docs {
			if want := float32(logitFor("q", docs[i])); scores[i] != want {
				rt.Fatalf("got %v for %q, want %v", scores[i], docs[i], want)
			}
		}
	})
}

// Answers that are no scores of these documents.
func TestAnswersThatCannotBeUsed(t *testing.T) {
	for _, test := range []struct{ name, answer, want string }{
		{"no JSON", `<!doctype html>`, "invalid character '<'"},
		{"nothing", ``, "unexpected end"},
		{"cut", `[{"index":0,"score":1},{"index":1,"sc`, "unexpected end"},
		{"an error with status 200", `{"error":"no such model"}`, "it has 0 results for 2 documents: {\"error\":\"no such model\"}"},
		{"too few", `[{"index":0,"score":1}]`, "it has 1 results for 2 documents"},
		{"too many", `[{"index":0,"score":1},{"index":1,"score":1},{"index":2,"score":1}]`, "it has 3 results for 2 documents"},
		{"one twice", `[{"index":1,"score":1},{"index":1,"score":2}]`, "two results for document 1"},
		{"beyond the last", `[{"index":0,"score":1},{"index":2,"score":1}]`, "a result for document 2 of 2"},
		{"before the first", `[{"index":0,"score":1},{"index":-1,"score":1}]`, "a result for document -1 of 2"},
		{"no index", `[{"score":1},{"score":2}]`, "lacks its index or score"},
		{"no score", `[{"index":0,"score":1},{"index":1,"score":null}]`, "lacks its index or score"},
		{"not a number", `[{"index":0,"score":NaN},{"index":1,"score":1}]`, "invalid character 'N'"},
		{"a number as a text", `[{"index":0,"score":"1"},{"index":1,"score":1}]`, "cannot unmarshal string"},
		{"infinite", `[{"index":0,"score":1e39},{"index":1,"score":1}]`, "the score 1e+39 is out of range"},
		{"beyond any number", `[{"index":0,"score":1e999},{"index":1,"score":1}]`, "cannot unmarshal number 1e999"},
		{"ten megabytes", `[` + strings.Repeat(" ", 10<<20) + `]`, "it is longer than 10"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, test.answer) })
			scores, err := s.Score(t.Context(), "q", numbered(2))
			answer, ok := errors.AsType[*AnswerError](err)
			if !ok || scores != nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 600 {
				t.Fatalf("got %v, %v, want an AnswerError with %q", scores, err, test.want)
			}
			if answer.Hint() == "" {
				t.Error("got no hint")
			}
		})
	}
	t.Run("a logit for a probability", func(t *testing.T) {
		logits := func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"results":[{"index":0,"relevance_score":4.5},{"index":1,"relevance_score":-1}]}`)
		}
		s := serve(t, Options{Protocol: Cohere}, logits)
		if _, err := s.Score(t.Context(), "q", numbered(2)); err == nil || !strings.Contains(err.Error(), "the score 4.5 is no probability") {
			t.Errorf("got %v", err)
		}
		s = serve(t, Options{Protocol: Cohere, Scores: Logits}, logits)
		if scores, err := s.Score(t.Context(), "q", numbered(2)); err != nil || !slices.Equal(scores, []float32{4.5, -1}) {
			t.Errorf("got %v, %v, want the logits", scores, err)
		}
	})
}

func TestCutConnections(t *testing.T) {
	for name, cut := range map[string]http.HandlerFunc{
		"before the answer": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"in the answer": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `[{"index":0,`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Options{}, cut)
			scores, err := s.Score(t.Context(), "q", numbered(2))
			if err == nil || scores != nil || !strings.HasPrefix(err.Error(), "asking "+s.URL()+": ") || !strings.Contains(err.Error(), "EOF") {
				t.Errorf("got %v, %v, want an error that says that the answer ended", scores, err)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		s := serve(t, Options{}, func(http.ResponseWriter, *http.Request) {})
		gone := httptest.NewServer(nil)
		s.url = gone.URL
		gone.Close()
		if _, err := s.Score(t.Context(), "q", numbered(2)); err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Count(err.Error(), s.url) != 1 {
			t.Errorf("got %v, want an error that names the URL once", err)
		}
	})
}

// A server that restarts closes connections that are kept: the request on one of them is sent again, and no search notices.
func TestAClosedConnectionIsOpenedAgain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answering(t, w, r) }))
	defer server.Close()
	s, err := New(Options{URL: server.URL, Protocol: TEI})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 5 {
		if _, err := s.Score(t.Context(), "q", numbered(2)); err != nil {
			t.Fatal(err)
		}
		server.CloseClientConnections()
	}
}

func TestStatuses(t *testing.T) {
	for _, test := range []struct {
		code       int
		want, hint string
	}{
		{401, "answered 401 Unauthorized: the key *** is unknown", "api_key"},
		{403, "answered 403 Forbidden", "api_key"},
		{404, "answered 404 Not Found", "protocol and model"},
		{413, "answered 413 Request Entity Too Large", "batch"},
		{422, "answered 422 Unprocessable Entity", "batch"},
		{424, "answered 424 Failed Dependency", ""},
		{500, "answered 500 Internal Server Error", ""},
	} {
		s := serve(t, Options{Key: "s3cret"}, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(test.code)
			io.WriteString(w, "the key s3cret is\n unknown\x1b[2J"+strings.Repeat("x", 1000))
		})
		_, err := s.Score(t.Context(), "q", numbered(2))
		status, ok := errors.AsType[*StatusError](err)
		if !ok || status.Code != test.code || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret") || len(err.Error()) > 400 {
			t.Errorf("%d: got %v, want it to say %q, and not the key", test.code, err, test.want)
		} else if !strings.Contains(status.Hint(), test.hint) || test.hint == "" && status.Hint() != "" {
			t.Errorf("%d: got hint %q, want %q", test.code, status.Hint(), test.hint)
		}
	}
}

// The texts and the key stay with the server that was named.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	for _, code := range []int{301, 302, 307, 308} {
		s := serve(t, Options{Key: "s3cret"}, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/rerank", code) })
		_, err := s.Score(t.Context(), "q", numbered(2))
		if err == nil || !strings.Contains(err.Error(), "to "+other.URL+"/rerank") {
			t.Errorf("%d: got %v, want an error that says where to", code, err)
		}
	}
}

// A server that is busy is not asked again before it wants to be; that is no failure of its.
func TestBusy(t *testing.T) {
	for _, code := range []int{429, 503} {
		var asked atomic.Int32
		s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
		})
		for range 5 {
			if scores, err := s.Score(t.Context(), "q", numbered(2)); !errors.Is(err, rerank.ErrBusy) || scores != nil {
				t.Errorf("%d: got %v, %v, want %v", code, scores, err, rerank.ErrBusy)
			}
		}
		if asked.Load() != 1 || s.Stats().Broken || s.Stats().Refused != 8 {
			t.Errorf("%d: got %d requests and %+v, want one, and 8 documents refused", code, asked.Load(), s.Stats())
		}
		if left := time.Until(time.Unix(0, s.pause.Load())); left < 5*time.Second || left > 7*time.Second {
			t.Errorf("%d: got a pause of %v, want 7s", code, left)
		}
		s.pause.Store(time.Now().UnixNano())
		s.Score(t.Context(), "q", numbered(2))
		if asked.Load() != 2 {
			t.Errorf("%d: got %d requests after the pause, want another one", code, asked.Load())
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": shortPause, "0": shortPause, "-5": shortPause, "soon": shortPause, "5": 5 * time.Second, "86400": longPause, "99999999999999999": longPause,
		now.Add(3 * time.Second).Format(http.TimeFormat): 3 * time.Second, now.Add(-time.Hour).Format(http.TimeFormat): shortPause,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

// A server that fails is left alone, until one search finds that it works again.
func TestFailing(t *testing.T) {
	var asked atomic.Int32
	var broken atomic.Bool
	broken.Store(true)
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if broken.Load() {
			http.Error(w, "out of memory", http.StatusInternalServerError)
			return
		}
		answering(t, w, r)
	})
	for i := range 6 {
		_, err := s.Score(t.Context(), "q", numbered(2))
		if err == nil || errors.Is(err, rerank.ErrBusy) || !strings.Contains(err.Error(), "out of memory") {
			t.Errorf("%d: got %v, want what failed", i, err)
		}
	}
	if asked.Load() != breaker.Failures || !s.Stats().Broken {
		t.Errorf("got %d requests and %+v, want %d and then none", asked.Load(), s.Stats(), breaker.Failures)
	}
	broken.Store(false)
	for deadline := time.Now().Add(2 * breaker.Rest); ; time.Sleep(50 * time.Millisecond) {
		if scores, err := s.Score(t.Context(), "q", numbered(2)); err == nil && len(scores) == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server is never asked again")
		}
	}
	if s.Stats().Broken {
		t.Error("still left alone after it answered")
	}
}

// At the deadline there are the scores of the batches that came before it, and of none behind one that did not.
func TestPrefixAtTheDeadline(t *testing.T) {
	s := serve(t, Options{Batch: 2, Concurrency: 8}, func(w http.ResponseWriter, r *http.Request) {
		c := read(t, r)
		if docs := c.texts("texts"); docs[0] == "document 4" { // the third batch of five
			<-r.Context().Done()
			return
		}
		json.NewEncoder(w).Encode(servers[0].answer("q", c.texts("texts")))
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	scores, err := s.Score(ctx, "q", numbered(10))
	if err != nil || len(scores) != 4 {
		t.Errorf("got %d scores, %v, want those of two batches", len(scores), err)
	}
	for i, got := range scores {
		if want := float32(logitFor("q", fmt.Sprintf("document %d", i))); got != want {
			t.Errorf("got %v for document %d, want %v", got, i, want)
		}
	}
	if took := time.Since(began); took > 600*time.Millisecond {
		t.Errorf("got an answer after %v, want it at the deadline of 300ms", took)
	}
}

// A server that hangs costs a few searches their budget, and no more.
func TestHanging(t *testing.T) {
	var asked atomic.Int32
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.Copy(io.Discard, r.Body) // so that the client's leaving is noticed
		<-r.Context().Done()
	})
	for i := range breaker.Failures {
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		if scores, err := s.Score(ctx, "q", numbered(3)); len(scores) != 0 || err != nil && !errors.Is(err, rerank.ErrBusy) {
			t.Errorf("%d: got %v, %v, want nothing, which is no error", i, scores, err)
		}
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	before := asked.Load()
	if _, err := s.Score(ctx, "q", numbered(3)); err == nil || !strings.Contains(err.Error(), errSilent.Error()) {
		t.Errorf("got %v, want it left alone", err)
	}
	if asked.Load() != before || !s.Stats().Broken {
		t.Errorf("got %d requests and %+v, want %d, and no more", asked.Load(), s.Stats(), before)
	}
}

// Without a deadline of the search, the request has one.
func TestTimeout(t *testing.T) {
	s := serve(t, Options{Timeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	if _, err := s.Score(t.Context(), "q", numbered(1)); err == nil || !strings.HasSuffix(err.Error(), "no answer within 50ms") {
		t.Errorf("got %v, want it to say for how long was waited", err)
	}
}

// No more requests are under way than is allowed, however many searches there are.
func TestConcurrency(t *testing.T) {
	var now, most atomic.Int32
	s := serve(t, Options{Batch: 1, Concurrency: 3}, func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		answering(t, w, r)
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if scores, err := s.Score(t.Context(), "q", numbered(6)); err != nil || len(scores) != 6 {
				t.Errorf("got %d scores, %v", len(scores), err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 || most.Load() < 2 {
		t.Errorf("got %d requests at once, want 3", most.Load())
	}
}

// Batches are as large as will be answered before the deadline, once it is known how fast the server is; and a search for which it has no
// time is refused.
func TestBatchesFitTheDeadline(t *testing.T) {
	const each = 5 * time.Millisecond
	var sizes sync.Map
	s := serve(t, Options{Concurrency: 1}, func(w http.ResponseWriter, r *http.Request) {
		c := read(t, r)
		n := len(c.texts("texts"))
		sizes.Store(n, true)
		select {
		case <-time.After(time.Duration(n) * each):
			json.NewEncoder(w).Encode(servers[0].answer("q", c.texts("texts")))
		case <-r.Context().Done():
		}
	})
	if _, err := s.Score(t.Context(), "q", numbered(4)); err != nil {
		t.Fatal(err)
	}
	if estimate := s.Estimate("q", numbered(10)); estimate < 10*each || estimate > 40*each {
		t.Errorf("got an estimate of %v for 10 documents, want about %v", estimate, 10*each)
	}
	// 32 documents, a batch, take 160 ms: in 120 there would be none of them.
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	if scores, err := s.Score(ctx, "q", numbered(32)); err != nil || len(scores) < 5 || len(scores) > 24 {
		t.Errorf("got %d scores, %v, want as many as fit", len(scores), err)
	}
	s.pending.Add(1000)
	ctx, cancel = context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	if _, err := s.Score(ctx, "q", numbered(3)); !errors.Is(err, rerank.ErrBusy) {
		t.Errorf("got %v behind 1000 documents, want %v", err, rerank.ErrBusy)
	}
	s.pending.Add(-1000)
	s.pace.heard = time.Now().Add(-stale - time.Second)
	if got := s.Estimate("q", numbered(10)); got != 0 {
		t.Errorf("got an estimate of %v from long ago, want none", got)
	}
}

// Batches that were never answered in time shrink until they are.
func TestBatchesShrink(t *testing.T) {
	var p pace
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	sizes := []int{p.batch(ctx, 32)}
	for range 4 {
		p.tooLong(200*time.Millisecond, sizes[len(sizes)-1])
		sizes = append(sizes, p.batch(ctx, 32))
	}
	for i, size := range sizes[1:] {
		if size > max(sizes[i]/2, 1) {
			t.Errorf("got batches of %v, want each half of the one before", sizes)
		}
	}
	p.tooLong(time.Millisecond, 1) // nothing can be learned from a deadline that was too short for anybody
	before := p.document()
	if p.tooLong(2*time.Millisecond, 1); p.document() != before {
		t.Errorf("got %v, want %v", p.document(), before)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	s := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		c := read(t, r)
		for _, text := range append(c.texts("texts"), c.text("query")) {
			if len(text) > maxText || strings.ContainsRune(text, '\ufffd') {
				t.Errorf("got a text of %d bytes, want whole characters and %d at most", len(text), maxText)
			}
		}
		io.WriteString(w, `[{"index":0,"score":1}]`)
	})
	long := strings.Repeat("щ", maxText)
	if _, err := s.Score(t.Context(), "x"+long, []string{"x" + long}); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		o    Options
		want string // the URL, or the error
	}{
		{Options{URL: "http://tei:8080", Protocol: TEI}, "http://tei:8080/rerank"},
		{Options{URL: "http://tei:8080/", Protocol: TEI}, "http://tei:8080/rerank"},
		{Options{URL: "https://gate/tei/rerank", Protocol: TEI}, "https://gate/tei/rerank"},
		{Options{URL: "https://api.cohere.com/v2/rerank", Protocol: Cohere, Model: "m"}, "https://api.cohere.com/v2/rerank"},
		{Options{URL: "http://es:9200", Protocol: Elastic, Model: "my/id"}, "http://es:9200/_inference/rerank/my%2Fid"},
		{Options{URL: "http://es:9200", Protocol: Elastic}, "needs the name of a model"},
		{Options{URL: "https://api.voyageai.com", Protocol: Voyage}, "needs the name of a model"},
		{Options{URL: "tei:8080", Protocol: TEI}, "must be http or https"},
		{Options{URL: "ftp://tei", Protocol: TEI}, "must be http or https"},
		{Options{URL: "http://me:secret@tei", Protocol: TEI}, "must not contain credentials"},
		{Options{URL: "http://tei?key=secret", Protocol: TEI}, "must end with the path"},
		{Options{URL: "http://tei", Protocol: "grpc"}, `no protocol "grpc": it may be cohere, elastic, mixedbread, tei, voyage`},
		{Options{URL: "http://tei", Protocol: TEI, Scores: "percent"}, `not "percent"`},
	} {
		s, err := New(test.o)
		switch {
		case err != nil && !strings.Contains(err.Error(), test.want), err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%+v: got error %v, want %q and no secret", test.o, err, test.want)
		case err == nil && s.URL() != test.want:
			t.Errorf("%+v: got %s, want %s", test.o, s.URL(), test.want)
		}
	}
}

func TestLogits(t *testing.T) {
	for _, logit := range []float64{-12, -3, 0, 0.5, 9} {
		if got := logitOf(1 / (1 + math.Exp(-logit))); math.Abs(float64(got)-logit) > 1e-4 {
			t.Errorf("got %v, want %v", got, logit)
		}
	}
	if a, b := logitOf(0), logitOf(1); a != -b || a > -16 || a < -17 {
		t.Errorf("got %v and %v for the ends, want about 16.6", a, b)
	}
}

// Whatever a server answers: no panic, and scores only if there is a finite one for each document.
func FuzzAnswer(f *testing.F) {
	for _, server := range servers {
		answer, _ := json.Marshal(server.answer("q", numbered(3)))
		f.Add(answer, 3, server.protocol != TEI)
	}
	f.Add([]byte(`{"data":[{"index":0,"score":1}],"results":[{"index":1,"relevance_score":0}]}`), 2, true)
	f.Fuzz(func(t *testing.T, answer []byte, n int, probabilities bool) {
		if n < 0 || n > 100 {
			return
		}
		s := &Scorer{scores: Logits}
		if probabilities {
			s.scores = Probabilities
		}
		scores := make([]float32, n)
		for i := range scores {
			scores[i] = float32(math.NaN())
		}
		results, err := parse(answer)
		if err != nil || s.place(results, scores) != nil {
			return
		}
		for i, score := range scores {
			if math.IsNaN(float64(score)) || math.IsInf(float64(score), 0) {
				t.Errorf("got %v for document %d of %s", score, i, strconv.Quote(string(answer)))
			}
		}
	})
}

// A search that nobody waits for is let in while no other is under way, and ends with its requests when one comes.
func TestBackground(t *testing.T) {
	asked := make(chan string, 10)
	gone := make(chan struct{})
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := read(t, r)
		asked <- c.text("query")
		if c.text("query") == "shadow" {
			<-r.Context().Done()
			close(gone)
			return
		}
		<-release
		json.NewEncoder(w).Encode([]map[string]any{{"index": 0, "score": 1}})
	}))
	defer server.Close()
	s, err := New(Options{URL: server.URL, Protocol: TEI, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ended := make(chan error)
	go func() {
		_, err := s.Score(rerank.InBackground(t.Context()), "shadow", []string{"a"})
		ended <- err
	}()
	if got := <-asked; got != "shadow" {
		t.Fatalf("got %q asked first", got)
	}
	if n := s.Estimate("search", []string{"a"}); n != 0 {
		t.Errorf("got an estimate of %v behind a search in the background", n)
	}
	live := make(chan error)
	go func() {
		scores, err := s.Score(t.Context(), "search", []string{"a"})
		if err == nil && len(scores) != 1 {
			err = fmt.Errorf("got %d scores", len(scores))
		}
		live <- err
	}()
	if err := <-ended; !errors.Is(err, rerank.ErrBusy) {
		t.Errorf("got %v, want the search in the background to have given way", err)
	}
	<-gone
	if got := <-asked; got != "search" {
		t.Errorf("got %q asked, want the other search", got)
	}
	if _, err := s.Score(rerank.InBackground(t.Context()), "shadow", []string{"a"}); !errors.Is(err, rerank.ErrBusy) {
		t.Errorf("got %v beside another search, want it refused", err)
	}
	close(release)
	if err := <-live; err != nil {
		t.Errorf("the other search: %v", err)
	}
}
