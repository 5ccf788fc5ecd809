package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
)

// Records go to the cluster that is searched. Whatever becomes of them there, searches do not feel it, and it is counted.
func TestSinkInTheCluster(t *testing.T) {
	for _, engine := range cluster.Asked(t) {
		t.Run(string(engine), func(t *testing.T) { testSink(t, cluster.Start(t, engine)) })
	}
}

func testSink(t *testing.T, node *cluster.Node) {
	for _, name := range []string{"ubi_queries", "ubi_events"} {
		node.Delete(t, name)
		t.Cleanup(func() { node.Delete(t, name) })
	}
	node.Index(t, shop, shopMapping, shopDocuments())
	front := newFront(t, node)
	p := program.Serve(t, &cluster.Node{Engine: node.Engine, URL: front.URL}, fmt.Sprintf(`
rules: [{ name: shop, indices: [%s], fields: [title, body], stages: [{ model: small, window: 10 }], budget: 60s }]
events: { sink: cluster, listen_on_proxy: true, rate: 100000 }
`, shop))
	s := &sinkTest{t: t, front: front, through: client{url: p.URL}, admin: client{url: p.Admin}, records: recordsOf{node, &http.Transport{}}}
	defer s.records.transport.CloseIdleConnections()
	awaitWarm(t, s.through, "/"+shop+"/_search", body(match("tea")))

	// Both listeners take clicks, and the indices are the plugin's, as far as the engine has the types.
	s.click(s.admin, "/ubi_events", "on-admin", 1)
	s.click(s.through, "/ubi_events", "on-proxy", 1)
	if a := s.through.do(t, http.MethodPost, "/ubi_queries", `[{"query_id":"told","user_query":"hot tea","timestamp":"2026-01-31T12:00:00Z"}]`); a.Status != http.StatusAccepted {
		t.Errorf("a query told on the proxy's listener: got %d %s", a.Status, a.Body)
	}
	for _, id := range []string{"on-admin", "on-proxy"} {
		s.await("ubi_events", fmt.Sprintf(`{"term":{"query_id":%q}}`, id), 1)
	}
	s.await("ubi_queries", `{"term":{"query_id":"told"}}`, 1)
	t.Run("mappings", s.mappings)

	usual := s.searches(nil)
	t.Logf("usually 200 searches take %v in the median, %v at most", usual.median, usual.most)
	for _, trouble := range []struct {
		name      string
		mode      int32
		blocks    string // of the index of events
		recovered bool   // what came meanwhile is there afterwards
	}{
		{"429", frontBusy, "", true},
		{"503", frontBroken, "", true},
		{"hangs", frontHangs, "", true},
		{"cut off", frontCutsOff, "", true},
		{"the disk is full", frontPasses, "index.blocks.read_only_allow_delete", true}, // 429: it may have room again
		{"read only", frontPasses, "index.blocks.write", false},                        // 403: somebody meant it
	} {
		t.Run(trouble.name, func(t *testing.T) {
			s := *s
			s.t = t
			id := strings.ReplaceAll("during "+trouble.name, " ", "-")
			s.rest()
			refused, kept := s.counted("dropped", "refused"), s.counted("kept", "")
			s.front.set(trouble.mode)
			if trouble.blocks != "" {
				s.block(trouble.blocks, "true")
			}
			got := s.searches(func(i int) { s.click(s.admin, "/ubi_events", id, i) })
			t.Logf("200 searches took %v in the median, %v at most", got.median, got.most)
			if got.median > 3*usual.median+20*time.Millisecond || got.most > time.Second {
				t.Errorf("searches feel it: %v in the median, %v at most; usually %v and %v", got.median, got.most, usual.median, usual.most)
			}
			if trouble.blocks == "" && s.counted("kept", "") != kept {
				t.Error("records are counted as kept")
			}
			if !trouble.recovered {
				s.awaitCounted("dropped", "refused", refused+200)
			}
			s.front.set(frontPasses)
			if trouble.blocks != "" {
				s.block(trouble.blocks, "null")
			}
			want := 0
			if trouble.recovered {
				want = 200
			}
			s.await("ubi_events", fmt.Sprintf(`{"bool":{"filter":[{"term":{"query_id":%q}},{"term":{"action_name":"click"}}]}}`, id), want)
		})
	}
	t.Run("a flood", func(t *testing.T) {
		s := *s
		s.t = t
		s.flood(usual)
	})
}

type sinkTest struct {
	t              *testing.T
	front          *front
	through, admin client
	records        recordsOf
}

// click sends the n-th click on what a search has shown.
func (s *sinkTest) click(to client, path, id string, n int) {
	s.t.Helper()
	a := to.do(s.t, http.MethodPost, path, fmt.Sprintf(`[{"action_name":"click","query_id":%q,"client_id":"client-%d","timestamp":%q,
		"event_attributes":{"object":{"object_id":"%d"},"position":{"ordinal":1}}}]`, id, n, time.Now().UTC().Format(time.RFC3339Nano), n))
	if a.Status != http.StatusAccepted || !strings.Contains(string(a.Body), `"accepted":1`) {
		s.t.Fatalf("a click: got %d %s", a.Status, a.Body)
	}
}

type times struct{ median, most time.Duration }

// searches are 200, with something after each. Each is reranked, and answered with its query's id.
func (s *sinkTest) searches(after func(i int)) times {
	s.t.Helper()
	var took []time.Duration
	for i := range 200 {
		start := time.Now()
		a := s.through.do(s.t, http.MethodPost, "/"+shop+"/_search", body(match(words[i%len(words)])))
		took = append(took, time.Since(start))
		if h := a.Header.Get("X-Rerank"); a.Status != http.StatusOK || !strings.HasPrefix(h, "applied") || a.Header.Get("X-Rerank-Query-Id") == "" {
			s.t.Fatalf("got %d, X-Rerank %q, query id %q", a.Status, h, a.Header.Get("X-Rerank-Query-Id"))
		}
		if after != nil {
			after(i)
		}
	}
	slices.Sort(took[len(words):]) // the first of each was scored
	took = took[len(words):]
	return times{took[len(took)/2], took[len(took)-1]}
}

func (s *sinkTest) counted(outcome, reason string) float64 {
	s.t.Helper()
	return metric(s.t, s.admin, fmt.Sprintf(`rerankd_records_total{outcome=%q,reason=%q,sink="cluster"}`, outcome, reason))
}

// rest waits until everything is written that came before.
func (s *sinkTest) rest() {
	s.t.Helper()
	for before := -1.0; before != s.counted("kept", ""); time.Sleep(1500 * time.Millisecond) { // what waits is sent each second
		before = s.counted("kept", "")
	}
}

func (s *sinkTest) awaitCounted(outcome, reason string, n float64) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); s.counted(outcome, reason) < n; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%v records are %s (%s), want %v", s.counted(outcome, reason), outcome, reason, n)
		}
	}
}

// await waits until so many documents are in the index: a sink that failed tries again after a minute at most.
func (s *sinkTest) await(index, query string, n int) {
	s.t.Helper()
	for deadline := time.Now().Add(100 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		s.records.do(s.t, http.MethodPost, "/_refresh", "")
		got := 0
		if s.records.has(s.t, index) {
			got = s.records.count(s.t, index, query)
		}
		if got == n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s has %d of %s, want %d", index, got, query, n)
		}
	}
}

func (s *sinkTest) block(name, value string) {
	s.t.Helper()
	s.records.do(s.t, http.MethodPut, "/ubi_events/_settings", fmt.Sprintf(`{%q:%s}`, name, value))
}

// mappings holds the indices to what the UBI plugin makes (1.3.0), where the engine has the types.
func (s *sinkTest) mappings(t *testing.T) {
	bag := "flat_object"
	if s.records.Engine.Elasticsearch() {
		bag = "flattened"
	}
	keyword := func(above int) map[string]any {
		if above == 0 {
			return map[string]any{"type": "keyword"}
		}
		return map[string]any{"type": "keyword", "ignore_above": float64(above)}
	}
	for index, want := range map[string]map[string]any{
		"ubi_queries": {
			"timestamp": map[string]any{"type": "date", "format": "strict_date_time"}, "query_id": keyword(100), "user_query": keyword(0), "client_id": keyword(100), "application": keyword(100),
			"query_response_id": keyword(100), "query_response_hit_ids": keyword(0), "query_attributes": map[string]any{"type": bag},
		},
		"ubi_events": {
			"timestamp":   map[string]any{"type": "date", "format": "strict_date_time", "ignore_malformed": true},
			"action_name": keyword(100), "client_id": keyword(100), "query_id": keyword(100), "message_type": keyword(100), "application": keyword(256), "message": keyword(1024), "user_query": keyword(0),
			"event_attributes.object.object_id": keyword(256), "event_attributes.object.object_id_field": keyword(100), "event_attributes.object.internal_id": keyword(0),
			"event_attributes.position.ordinal": map[string]any{"type": "integer"},
		},
	} {
		var said map[string]struct{ Mappings map[string]any }
		unmarshal(t, s.records.do(t, http.MethodGet, "/"+index+"/_mapping", ""), &said)
		for field, is := range want {
			at := any(said[index].Mappings)
			for part := range strings.SplitSeq(field, ".") {
				inner, _ := at.(map[string]any)
				properties, _ := inner["properties"].(map[string]any)
				at = properties[part]
			}
			got, _ := at.(map[string]any)
			if bagged, _ := is.(map[string]any); bagged["type"] == bag { // with what of its settings an engine tells
				got = map[string]any{"type": got["type"]}
			}
			if diff := cmp.Diff(is, any(got)); diff != "" {
				t.Errorf("%s.%s (-want +got):\n%s", index, field, diff)
			}
		}
	}
}

// flood has many send all they can while the cluster takes nothing. What is too much is refused or dropped, each with a count that adds up, and
// searches are answered.
func (s *sinkTest) flood(usual times) {
	s.front.set(frontHangs)
	defer s.front.set(frontPasses)
	full := s.counted("dropped", "queue_full")
	ctx, cancel := context.WithCancel(s.t.Context())
	var all sync.WaitGroup
	var sent, taken, refused atomic.Int64
	for sender := range 4 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				var b strings.Builder
				for i := range 500 {
					fmt.Fprintf(&b, `{"action_name":"click","query_id":"flood","client_id":"client-%d-%d","event_attributes":{"object":{"object_id":"%d"}}}`+"\n", sender, i%50, n)
				}
				a, err := s.admin.try(context.WithoutCancel(ctx), http.MethodPost, "/ubi_events", b.String())
				if err != nil {
					s.t.Errorf("sending many: %v", err)
					return
				}
				sent.Add(1)
				switch a.Status {
				case http.StatusAccepted:
					taken.Add(1)
				case http.StatusTooManyRequests:
					refused.Add(1)
				default:
					s.t.Errorf("sending many: got %d %.200s", a.Status, a.Body)
				}
			}
		})
	}
	got := s.searches(nil)
	cancel()
	all.Wait()
	s.t.Logf("beside %d requests with 500 events each, of which %d were taken and %d refused, searches took %v in the median, %v at most", sent.Load(), taken.Load(), refused.Load(), got.median, got.most)
	if got.median > 10*usual.median+100*time.Millisecond { // four others have this machine's cores too
		s.t.Errorf("searches took %v in the median, usually %v", got.median, usual.median)
	}
	if s.counted("dropped", "queue_full") == full {
		s.t.Error("nothing was dropped: this was no flood")
	}
}

// A front is a cluster that searches as the one behind it does, and takes records as it is told to.
type front struct {
	URL string
	*mode
}

const (
	frontPasses = iota
	frontBusy
	frontBroken
	frontHangs
	frontCutsOff
)

func newFront(t *testing.T, node *cluster.Node) *front {
	t.Helper()
	at, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{mode: newMode()}
	behind := &http.Transport{MaxIdleConnsPerHost: 20}
	t.Cleanup(behind.CloseIdleConnections)
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }, Transport: behind}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/_bulk") {
			pass.ServeHTTP(w, r)
			return
		}
		switch way, wake := f.now(); way {
		case frontBusy:
			w.Header().Set("Retry-After", "1")
			http.Error(w, `{"error":{"type":"es_rejected_execution_exception"},"status":429}`, http.StatusTooManyRequests)
		case frontBroken:
			http.Error(w, "nobody is there", http.StatusServiceUnavailable)
		case frontHangs:
			select {
			case <-wake:
			case <-r.Context().Done():
			}
			panic(http.ErrAbortHandler)
		case frontCutsOff:
			panic(http.ErrAbortHandler)
		default:
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { f.set(frontPasses) })
	f.URL = server.URL
	return f
}
