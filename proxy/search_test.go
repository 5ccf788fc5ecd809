package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/reranktest"
)

// ask searches and returns the answer, which has to be a 200.
func ask(t testing.TB, base, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	res, answer, err := do(t, request(t, "POST", base+"/shop/_search", body, headers...))
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("got %d %s, want 200", res.StatusCode, answer)
	}
	return res, answer
}

func counted(t testing.TB, m prometheus.Metric) float64 {
	t.Helper()
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetCounter().GetValue()
}

func TestReversedWindowComesBackReversed(t *testing.T) {
	s := &shop{docs: 100}
	registry := prometheus.NewRegistry()
	base, h := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{Registerer: registry})
	res, body := ask(t, base, match)
	if diff := cmp.Diff(count(29, 19, -1), ids(t, body)); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
	if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, `applied; model="reverse"; window=30; scored=30; ms=`) {
		t.Errorf("got X-Rerank %q", got)
	}
	for _, stage := range []string{"cluster", "widening", "tokenising", "ranking", "splicing"} {
		if got := res.Header.Get("Server-Timing"); !strings.Contains(got, stage+";dur=") {
			t.Errorf("got Server-Timing %q, want %s in it", got, stage)
		}
	}
	if got := res.Header.Get("X-Elastic-Product"); got != "Elasticsearch" {
		t.Errorf("got X-Elastic-Product %q, want it kept", got)
	}
	if !strings.Contains(body, "12345678901234567890") {
		t.Error("a large integer was not kept")
	}
	if got := counted(t, h.metrics.searches.WithLabelValues("shop", "applied", "")); got != 1 {
		t.Errorf("got %v searches counted as applied, want 1", got)
	}
	if families, err := registry.Gather(); err != nil || len(families) < 4 {
		t.Errorf("got %d families of metrics, error %v", len(families), err)
	}
	if got := len(s.searches()); got != 1 {
		t.Errorf("got %d searches at the cluster, want 1", got)
	}
}

func TestIdentityGivesIdenticalBytes(t *testing.T) {
	s := &shop{docs: 100}
	rule := rules(identity)
	rule[0].KeepScores = true
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rule}, Options{})
	for _, from := range []int{0, 5, 25} {
		body := fmt.Sprintf(`{"from":%d,"query":{"match":{"title":"blue shoes"}}}`, from)
		_, direct := ask(t, base, body, "X-Rerank", "off")
		res, reranked := ask(t, base, body)
		if !strings.HasPrefix(res.Header.Get("X-Rerank"), "applied") {
			t.Fatalf("got X-Rerank %q, want applied", res.Header.Get("X-Rerank"))
		}
		// took may have grown by what the ranking took, where that is a millisecond or more.
		if direct[strings.Index(direct, ","):] != reranked[strings.Index(reranked, ","):] {
			t.Errorf("from %d: got %s, want %s", from, reranked, direct)
		}
	}
}

// Pages put end to end hold every hit of the window once, in one order, though every page's scoring is cut at another place.
func TestPagesAgreeUnderRandomDeadlines(t *testing.T) {
	s := &shop{docs: 64}
	hurried := rankerFunc(func(ctx context.Context, query string, hits []rerank.Hit) rerank.Ranking {
		r := rerank.Ranking{Order: count(0, len(hits), 1), Scores: make([]float64, len(hits))}
		scored := rand.IntN(len(hits) + 1)
		slices.Reverse(r.Order[:scored])
		for i := range r.Scores {
			r.Scores[i] = 1 / float64(i+1)
		}
		r.Stages = []rerank.Report{{Model: "hurried", Window: len(hits), Scored: scored}}
		if scored == 0 {
			r.Stages[0].Skipped = rerank.SkippedTimeout
		}
		return r
	})
	base, h := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(hurried)}, Options{})
	rapid.Check(t, func(rt *rapid.T) {
		words := rapid.StringMatching(`[a-z]{4} [a-z]{4}`).Draw(rt, "words")
		size := rapid.IntRange(1, 12).Draw(rt, "size")
		var all []int
		for from := 0; from < 30; from += size {
			_, body := ask(t, base, fmt.Sprintf(`{"from":%d,"size":%d,"query":{"match":{"title":%q}}}`, from, size, words))
			all = append(all, ids(t, body)...)
		}
		got := slices.Clone(all)
		slices.Sort(got)
		if diff := cmp.Diff(count(0, len(all), 1), got); diff != "" {
			rt.Fatalf("pages of %d: hits lost or doubled (-want +got):\n%s\nin order: %v", size, diff, all)
		}
	})
	if len(h.pages.entries) == 0 {
		t.Error("no order was kept")
	}
}

func TestInstructionsAreForUsAlone(t *testing.T) {
	s := &shop{docs: 100}
	var header http.Header
	s.intercept = func(_ http.ResponseWriter, r *http.Request, _ []byte, _ bool) bool { header = r.Header; return false }
	var asked string
	spy := rankerFunc(func(ctx context.Context, query string, hits []rerank.Hit) rerank.Ranking {
		asked = fmt.Sprintf("%s/%d", query, len(hits))
		return reverse(ctx, query, hits)
	})
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(spy)}, Options{})
	for _, tt := range []struct {
		name    string
		body    string
		headers []string
		asked   string
		says    string
	}{
		{"nothing", match, nil, "blue shoes/30", "applied"},
		{"off", match, []string{"X-Rerank", "off"}, "", "skipped; reason=disabled"},
		{"other words", match, []string{"X-Rerank-Query", "red hats"}, "red hats/30", "applied"},
		{"smaller window", match, []string{"X-Rerank-Window", "12"}, "blue shoes/12", "applied"},
		{"window above the rule's", match, []string{"X-Rerank-Window", "1000"}, "blue shoes/30", "applied"},
		{"off in the body", `{"query":{"match":{"title":"blue shoes"}},"ext":{"rerank":"off"}}`, nil, "", "skipped; reason=disabled"},
		{"words for nothing", `{"query":{"match_all":{}}}`, []string{"X-Rerank-Query", "red hats"}, "red hats/30", "applied"},
		{"an identifier", `{"query":{"match":{"title":"ab-12"}}}`, nil, "", "skipped; reason=lookup"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked = ""
			tt.headers = append(tt.headers, "X-Rerank-Debug", "true", "X-Opaque-Id", "mine")
			res, body := ask(t, base, tt.body, tt.headers...)
			if asked != tt.asked && !strings.Contains(res.Header.Get("X-Rerank"), "remembered") {
				t.Errorf("got %q ranked, want %q", asked, tt.asked)
			}
			if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, tt.says) {
				t.Errorf("got X-Rerank %q, want %s", got, tt.says)
			}
			if res.Header.Get("X-Rerank-Debug") == "" {
				t.Error("no X-Rerank-Debug")
			}
			for name := range header {
				if strings.HasPrefix(name, "X-Rerank") {
					t.Errorf("the cluster has seen %s", name)
				}
			}
			if header.Get("X-Opaque-Id") != "mine" {
				t.Error("the cluster has not seen X-Opaque-Id")
			}
			if len(ids(t, body)) != 10 {
				t.Errorf("got %d hits, want 10", len(ids(t, body)))
			}
			for _, search := range s.searches() {
				if strings.Contains(search, "rerank") {
					t.Errorf("the cluster has seen %s", search)
				}
			}
		})
	}
}

func TestKillSwitch(t *testing.T) {
	s := &shop{docs: 100}
	c := upstream(t, s.ServeHTTP)
	closed := make(chan string, 2)
	base, h := serve(t, &Snapshot{Upstream: c, Rules: rules(reverse), Close: func() { closed <- "first" }}, Options{})
	if res, _ := ask(t, base, match); !strings.HasPrefix(res.Header.Get("X-Rerank"), "applied") {
		t.Fatalf("got X-Rerank %q, want applied", res.Header.Get("X-Rerank"))
	}
	h.Swap(&Snapshot{Upstream: c, Rules: rules(reverse), Off: true, Close: func() { closed <- "second" }})
	if got := <-closed; got != "first" {
		t.Errorf("got the %s snapshot closed, want the first", got)
	}
	res, body := ask(t, base, match, "X-Rerank", "on")
	if got := res.Header.Get("X-Rerank"); got != "skipped; reason=disabled" {
		t.Errorf("got X-Rerank %q, want skipped; reason=disabled", got)
	}
	if diff := cmp.Diff(count(0, 10, 1), ids(t, body)); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
}

// A snapshot is closed after the last search that began under it, not before.
func TestSnapshotOutlivesItsSearches(t *testing.T) {
	s := &shop{docs: 100}
	c := upstream(t, s.ServeHTTP)
	ranking, proceed, closed := make(chan bool), make(chan bool), make(chan bool, 1)
	slow := rankerFunc(func(ctx context.Context, query string, hits []rerank.Hit) rerank.Ranking {
		ranking <- true
		<-proceed
		select {
		case <-closed:
			t.Error("the snapshot was closed under a search")
		default:
		}
		return reverse(ctx, query, hits)
	})
	base, h := serve(t, &Snapshot{Upstream: c, Rules: rules(slow), Close: func() { closed <- true }}, Options{})
	done := make(chan string)
	go func() {
		_, body, err := do(t, request(t, "POST", base+"/shop/_search", match))
		if err != nil {
			t.Error(err)
		}
		done <- body
	}()
	<-ranking
	h.Swap(&Snapshot{Upstream: c, Rules: rules(reverse)})
	close(proceed)
	if diff := cmp.Diff(count(29, 19, -1), ids(t, <-done)); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
	<-closed
}

func TestCompressedAnswersStayCompressed(t *testing.T) {
	s := &shop{docs: 100}
	var accepted string
	s.intercept = func(w http.ResponseWriter, r *http.Request, _ []byte, wide bool) bool {
		accepted = r.Header.Get("Accept-Encoding")
		if accepted != "gzip" {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		z.Write(s.page(0, map[bool]int{false: 10, true: 30}[wide]))
		return true
	}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	for _, tt := range []struct{ accepts, asks, coding string }{
		{"", "", ""},
		{"identity", "identity", ""},
		{"br, zstd", "identity", ""},
		{"gzip, deflate, br, zstd", "gzip", "gzip"},
		{"gzip;q=0, *", "identity", ""},
		{"*", "gzip", "gzip"},
	} {
		var headers []string
		if tt.accepts != "" {
			headers = []string{"Accept-Encoding", tt.accepts}
		}
		res, body := ask(t, base, match, headers...)
		if accepted != tt.asks {
			t.Errorf("client accepts %q: got %q asked of the cluster, want %q", tt.accepts, accepted, tt.asks)
		}
		if got := res.Header.Get("Content-Encoding"); got != tt.coding {
			t.Errorf("client accepts %q: got an answer in %q, want %q", tt.accepts, got, tt.coding)
		}
		if got := res.Header.Get("Vary"); got != "Accept-Encoding" {
			t.Errorf("got Vary %q, want Accept-Encoding", got)
		}
		if tt.coding == "gzip" {
			z, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			body = string(plain)
		}
		if diff := cmp.Diff(count(29, 19, -1), ids(t, body)); diff != "" {
			t.Errorf("client accepts %q: the page (-want +got):\n%s", tt.accepts, diff)
		}
	}
}

func TestCompressedRequestIsRead(t *testing.T) {
	s := &shop{docs: 100}
	var coding string
	s.intercept = func(_ http.ResponseWriter, r *http.Request, _ []byte, _ bool) bool {
		coding = r.Header.Get("Content-Encoding")
		return false
	}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, match)
	z.Close()
	res, body := ask(t, base, b.String(), "Content-Encoding", "gzip")
	if diff := cmp.Diff(count(29, 19, -1), ids(t, body)); diff != "" {
		t.Errorf("%s: the page (-want +got):\n%s", res.Header.Get("X-Rerank"), diff)
	}
	if coding != "" {
		t.Errorf("got a widened request in %q, want it plain", coding)
	}
	ask(t, base, b.String(), "Content-Encoding", "gzip", "X-Rerank", "off")
	if got := s.searches(); coding != "gzip" || !strings.HasSuffix(got[len(got)-1], b.String()) {
		t.Errorf("got %q in %q, want what the client sent", got[len(got)-1], coding)
	}
}

func TestLogSpeaksTheHeadersWord(t *testing.T) {
	s := &shop{docs: 100}
	var log bytes.Buffer
	o := Options{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	closed := make(chan bool) // after the last line of the searches under a snapshot
	quiet := &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse), Close: func() { closed <- true }}
	base, h := serve(t, quiet, o)
	res, _ := ask(t, base, `{"sort":["price"],"query":{"match":{"title":"blue shoes"}}}`)
	if got := res.Header.Get("X-Rerank"); got != "skipped; reason=sort" {
		t.Errorf("got X-Rerank %q, want skipped; reason=sort", got)
	}
	ask(t, base, match)
	loud := *quiet
	loud.LogQueries, loud.SlowSearch = true, time.Nanosecond
	go h.Swap(&loud)
	<-closed
	ask(t, base, match)
	go h.Close()
	<-closed
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %d lines, want 3:\n%s", len(lines), log.String())
	}
	for i, want := range [][]string{
		{`"level":"DEBUG"`, `"msg":"search"`, `"reason":"sort"`, `"outcome":"skipped"`},
		{`"level":"DEBUG"`, `"reason":""`, `"outcome":"applied"`, `"ranking":`},
		{`"level":"WARN"`, `"msg":"slow search"`, `"query":"blue shoes"`, `"splicing":`},
	} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("got line %s, want %s in it", lines[i], part)
			}
		}
		if i < 2 && strings.Contains(lines[i], "blue") {
			t.Errorf("got %s: the user's words in it", lines[i])
		}
	}
	if got := counted(t, h.metrics.searches.WithLabelValues("shop", "skipped", "sort")); got != 1 {
		t.Errorf("got %v searches counted as skipped for sort, want 1", got)
	}
}

// What can be told without a look at the cluster is told, and the cluster sees what the client sent.
func TestSearchesThatAreNotOurs(t *testing.T) {
	s := &shop{docs: 100}
	off := Rule{Name: "off", Indices: []string{"archive"}, Off: true, Ranker: reverse, Fields: []string{"title"}}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: append([]Rule{off}, rules(reverse)...)}, Options{})
	for _, tt := range []struct {
		name, path, body string
		headers          []string
		want             string
	}{
		{"a system index", "/.kibana/_search", match, nil, "no_rule"},
		{"Kibana's own", "/shop/_search", match, []string{"X-Elastic-Product-Origin", "kibana"}, "no_rule"},
		{"a rule that is off", "/archive/_search", match, nil, "disabled"},
		{"a rule that is off, the client insists", "/archive/_search", match, []string{"X-Rerank", "on"}, "disabled"},
		{"signed", "/shop/_search", match, []string{"Authorization", "AWS4-HMAC-SHA256 Credential=x"}, "unsupported"},
		{"CBOR", "/shop/_search", match, []string{"Content-Type", "application/cbor"}, "format"},
		{"YAML wanted", "/shop/_search", match, []string{"Accept", "application/yaml"}, "format"},
		{"beyond the window", "/shop/_search?from=30", match, nil, "beyond_window"},
		{"no words", "/shop/_search", `{"query":{"match_all":{}}}`, nil, "no_query"},
		{"no hits wanted", "/shop/_search?size=0", match, nil, "size_zero"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, _, err := do(t, request(t, "POST", base+tt.path, tt.body, tt.headers...))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := res.Header.Get("X-Rerank"), "skipped; reason="+tt.want; got != want {
				t.Errorf("got X-Rerank %q, want %q", got, want)
			}
			seen := s.searches()
			if got, want := seen[len(seen)-1], "POST "+tt.path+" "+tt.body; got != want {
				t.Errorf("the cluster has seen %q, want %q", got, want)
			}
		})
	}
}

// A page that holds the end of the window goes on behind it, with falling scores.
func TestTailFollowsTheWindow(t *testing.T) {
	s := &shop{docs: 100}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	_, body := ask(t, base, `{"from":25,"size":10,"query":{"match":{"title":"blue shoes"}}}`)
	if diff := cmp.Diff([]int{4, 3, 2, 1, 0, 30, 31, 32, 33, 34}, ids(t, body)); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
	var page struct {
		Hits struct {
			Hits []struct {
				Score float64 `json:"_score"`
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	for i, hit := range page.Hits.Hits {
		if want := float32(1 / float64(26+i)); math.Abs(hit.Score-float64(want)) > 1e-6 {
			t.Errorf("got score %v at place %d, want %v", hit.Score, 25+i, want)
		}
	}
}

// Elasticsearch refuses a body that speaks another version than the answer that is asked for, and its clients always say which one.
func TestBodyOfOursSpeaksTheClientsVersion(t *testing.T) {
	const v8 = "application/vnd.elasticsearch+json; compatible-with=8"
	for _, test := range []struct{ accept, contentType, want string }{
		{"", "", "application/json"},
		{"application/json", "", "application/json"},
		{v8, "", v8},
		{v8 + ",text/plain", "", v8},
		{"text/plain, " + v8, "application/json", v8},
		{"*/*", v8, "application/json"},
	} {
		s := &shop{docs: 100}
		var got string
		s.intercept = func(_ http.ResponseWriter, r *http.Request, body []byte, _ bool) bool {
			if len(body) > 0 {
				got = r.Header.Get("Content-Type")
			}
			return false
		}
		rule := rules(reverse)
		rule[0].Fields = []string{"title"}
		base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rule}, Options{})
		req := request(t, "GET", base+"/shop/_search?q=red+shoes&_source=false", "")
		for name, value := range map[string]string{"Accept": test.accept, "Content-Type": test.contentType} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		if _, _, err := do(t, req); err != nil {
			t.Fatal(err)
		}
		if got != test.want {
			t.Errorf("Accept %q: got Content-Type %q for our body, want %q", test.accept, got, test.want)
		}
	}
}

// total bounds the cluster's time and the ranking together: after a slow answer there is no time left to rank.
func TestTotalBoundsClusterAndRanking(t *testing.T) {
	s := &shop{docs: 100}
	s.intercept = func(http.ResponseWriter, *http.Request, []byte, bool) bool {
		time.Sleep(60 * time.Millisecond)
		return false
	}
	rule := rules(&rerank.Ranker{Stages: []rerank.Stage{{Model: "m", Scorer: reranktest.ScorerFunc(
		func(_ context.Context, _ string, docs []string) ([]float32, error) {
			return make([]float32, len(docs)), nil
		},
	)}}})
	rule[0].Total = 50 * time.Millisecond
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rule}, Options{})
	if res, _ := ask(t, base, match); res.Header.Get("X-Rerank") != "skipped; reason=timeout" {
		t.Errorf("got X-Rerank %q, want skipped; reason=timeout", res.Header.Get("X-Rerank"))
	}
}

// A hit on a shard that failed for what we added to the request must not be lost, so an answer with failed shards is never ranked. The same
// search is not asked twice again, which would double the load on a cluster in trouble; another one, which may fail for another reason, is.
func TestFailedShardsAreNeverRanked(t *testing.T) {
	s := &shop{docs: 100}
	s.intercept = func(w http.ResponseWriter, _ *http.Request, _ []byte, wide bool) bool {
		w.Header().Set("Content-Type", "application/json")
		w.Write(bytes.Replace(s.page(0, map[bool]int{false: 10, true: 30}[wide]), []byte(`"failed":0`), []byte(`"failed":1`), 1))
		return true
	}
	base, h := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
	other := `{"query":{"match":{"title":"brown shoes"}}}`
	for i, step := range []struct {
		body     string
		searches int // at the cluster, from the first step on
	}{{match, 2}, {match, 3}, {other, 5}, {other, 6}} {
		res, body := ask(t, base, step.body)
		if got := res.Header.Get("X-Rerank"); got != "skipped; reason=upstream_partial" || len(s.searches()) != step.searches {
			t.Errorf("step %d: got X-Rerank %q after %d searches, want it skipped after %d", i, got, len(s.searches()), step.searches)
		}
		if diff := cmp.Diff(count(0, 10, 1), ids(t, body)); diff != "" {
			t.Errorf("step %d: the page (-want +got):\n%s", i, diff)
		}
	}
	if got := counted(t, h.metrics.again.WithLabelValues("upstream_partial")); got != 2 {
		t.Errorf("got %v counted as asked again, want 2", got)
	}
}

// Who is refused for who they are is refused whatever they ask for: a second try would only bring the account nearer to being locked.
func TestRefusedClientIsNotTriedTwice(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		s := &shop{docs: 100}
		s.intercept = func(w http.ResponseWriter, _ *http.Request, _ []byte, _ bool) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			io.WriteString(w, `{"error":"who are you?"}`)
			return true
		}
		base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{})
		res, body, err := do(t, request(t, "POST", base+"/shop/_search", match))
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != status || body != `{"error":"who are you?"}` || res.Header.Get("X-Rerank") != "skipped; reason=upstream_status" {
			t.Errorf("got %d %s, X-Rerank %q, want the cluster's own %d", res.StatusCode, body, res.Header.Get("X-Rerank"), status)
		}
		if got := len(s.searches()); got != 1 {
			t.Errorf("%d: got %d searches at the cluster, want 1", status, got)
		}
	}
}

// Rankers that do not end pile up only so far.
func TestRankersThatHangAreBounded(t *testing.T) {
	s := &shop{docs: 100}
	proceed := make(chan bool)
	hang := rankerFunc(func(context.Context, string, []rerank.Hit) rerank.Ranking { <-proceed; return rerank.Ranking{} })
	rule := rules(hang)
	rule[0].Budget = time.Millisecond
	closed := make(chan bool, 1)
	base, h := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rule, Close: func() { closed <- true }}, Options{})
	for i := range maxStuck + 2 {
		res, _ := ask(t, base, fmt.Sprintf(`{"query":{"match":{"title":"word%c shoes"}}}`, 'a'+i))
		want := "skipped; reason=timeout"
		if i >= maxStuck {
			want = "skipped; reason=busy"
		}
		if got := res.Header.Get("X-Rerank"); got != want {
			t.Errorf("search %d: got X-Rerank %q, want %q", i, got, want)
		}
	}
	go h.Close()
	select {
	case <-closed:
		t.Error("the snapshot was closed under a ranker")
	case <-time.After(50 * time.Millisecond):
	}
	close(proceed)
	<-closed
}

func TestRememberedOrderIsNotRankedAgain(t *testing.T) {
	s := &shop{docs: 100}
	now := time.Unix(0, 0)
	calls := 0
	counting := rankerFunc(func(ctx context.Context, query string, hits []rerank.Hit) rerank.Ranking {
		calls++
		return reverse(ctx, query, hits)
	})
	c := upstream(t, s.ServeHTTP)
	base, h := serve(t, &Snapshot{Upstream: c, Rules: rules(counting)}, Options{Now: func() time.Time { return now }})
	search := func(what, body string, want int, remembered bool, headers ...string) {
		t.Helper()
		res, _ := ask(t, base, body, headers...)
		if got := strings.HasSuffix(res.Header.Get("X-Rerank"), "; remembered"); calls != want || got != remembered {
			t.Errorf("%s: got %d rankings and X-Rerank %q, want %d", what, calls, res.Header.Get("X-Rerank"), want)
		}
	}
	search("first", match, 1, false)
	search("again", match, 1, true)
	search("page 2", `{"from":10,"query":{"match":{"title":"blue shoes"}}}`, 1, true)
	search("other words", `{"query":{"match":{"title":"red shoes"}}}`, 2, false)
	search("another window", match, 3, false, "X-Rerank-Window", "20")
	now = now.Add(pagesKept)
	search("a minute later", match, 4, false)
	rule := rules(counting)
	rule[0].Version = "2"
	h.Swap(&Snapshot{Upstream: c, Rules: rule})
	search("another model", match, 5, false)
}

// What bodies are held in memory is given back, however the search went.
func TestMemoryIsGivenBack(t *testing.T) {
	s := &shop{docs: 100}
	const all = 1 << 20
	closed := make(chan bool)
	snapshot := &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse), Limits: Limits{Buffered: all, Request: 100}, Close: func() { closed <- true }}
	base, h := serve(t, snapshot, Options{})
	l := h.live.Load()
	for _, body := range []string{match, `{"sort":["price"]}`, "{", `{"query":{"match":{"title":"` + strings.Repeat("blue ", 100) + `"}}}`} {
		ask(t, base, body)
	}
	raw(t, base, "POST /shop/_search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nzz\r\n")
	go h.Close()
	<-closed
	if !l.buffered.TryAcquire(all) {
		t.Error("some of it is still held")
	}
}

// An OpenSearch may have a pipeline that reads ext.rerank.query_context, or know nothing of it: where it refuses a search that is not
// reranked, the search is sent without, and from then on all of them.
func TestQueryContextWithoutThePlugin(t *testing.T) {
	const search = `{"query":{"match":{"title":"blue shoes"}},"sort":["price"],"ext":{"rerank":{"query_context":{"query_text":"words"}}}}`
	s := &shop{docs: 100}
	s.intercept = func(w http.ResponseWriter, r *http.Request, body []byte, wide bool) bool {
		if !strings.Contains(string(body), "query_context") {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":{"reason":"unknown named object category"},"status":400}`)
		return true
	}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse), OpenSearch: func() bool { return true }}, Options{})
	for i, searches := range []int{2, 3} {
		res, body, err := do(t, request(t, "POST", base+"/shop/_search", search))
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK || len(s.searches()) != searches || res.Header.Get("X-Rerank") != "skipped; reason=sort" {
			t.Errorf("time %d: got %d %s, X-Rerank %q, %d searches, want 200 with %d", i, res.StatusCode, body, res.Header.Get("X-Rerank"), len(s.searches()), searches)
		}
	}

	// Who is refused for something else sees that refusal.
	s.intercept = func(w http.ResponseWriter, r *http.Request, body []byte, wide bool) bool {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":{"reason":"something else"},"status":400}`)
		return true
	}
	base, _ = serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse), OpenSearch: func() bool { return true }}, Options{})
	res, body, err := do(t, request(t, "POST", base+"/shop/_search", search))
	if err != nil || res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "something else") {
		t.Errorf("got %v %s, %v", res, body, err)
	}
}
