package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/sink"
)

// Records are kept in a real cluster without any plugin, are found again by what they say, and are gone when somebody is forgotten.
func TestRecordsInACluster(t *testing.T) {
	for _, engine := range cluster.Asked(t) {
		t.Run(string(engine), func(t *testing.T) {
			node := cluster.Start(t, engine)
			const queries, events = "records_test_queries", "records_test_events"
			for _, index := range []string{queries, events} {
				node.Delete(t, index)
				t.Cleanup(func() { node.Delete(t, index) })
			}
			at, err := url.Parse(node.URL)
			if err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			s, err := sink.NewCluster(sink.ClusterOptions{URL: at, Transport: transport, Queries: queries, Events: events, Ranks: 3})
			if err != nil {
				t.Fatal(err)
			}
			now := time.Now().UTC()
			for n := range 40 {
				s.Keep(experiment.Record{Impression: &experiment.Impression{
					QueryID: fmt.Sprint("q", n), Time: now, Experiment: "boots", Phase: "50%", Variant: []string{"lexical", "reranked"}[n%2], Client: fmt.Sprint("client-", n%4),
					Words: "hiking boots", Attributes: map[string]string{"page.kind": "search", "sort": "relevance"}, Index: "shop", Outcome: "applied", Total: 99,
					Field: "sku", Hits: []experiment.Shown{{ID: "3", Object: "sku-3", Team: experiment.Treated}, {ID: "1", Object: "sku-1"}, {ID: "2", Object: "sku-2"}, {ID: "4", Object: "sku-4"}},
				}})
				s.Keep(experiment.Record{Event: &experiment.Event{
					Action: "click", QueryID: fmt.Sprint("q", n), Time: now, Client: fmt.Sprint("client-", n%4), Session: "s", Words: "hiking boots", Object: "sku-1", Field: "sku", Position: 2,
				}})
			}
			s.Keep(experiment.Record{Query: &experiment.Query{QueryID: "long", Time: now, Words: strings.Repeat("𝒳", 9000), Attributes: map[string]string{"long": strings.Repeat("é", 1024)}}})
			s.Keep(experiment.Record{Event: &experiment.Event{Action: "leave", Time: now, Message: strings.Repeat("𝒳", 1024)}})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := s.Close(ctx); err != nil {
				t.Fatal(err)
			}
			c := recordsOf{node, transport}
			c.do(t, http.MethodPost, "/"+queries+","+events+"/_refresh", "")
			for _, test := range []struct {
				index, query string
				want         int
			}{
				{queries, `{"match_all":{}}`, 41},
				{queries, `{"term":{"query_id":"q7"}}`, 1},
				{queries, `{"term":{"user_query":"hiking boots"}}`, 40},
				{queries, `{"term":{"query_response_hit_ids":"sku-4"}}`, 40},
				{queries, `{"term":{"query_attributes.rerankd_variant":"reranked"}}`, 20},
				{queries, `{"term":{"query_attributes.rerankd_phase":"50%"}}`, 40},
				{queries, `{"term":{"query_attributes.sort":"relevance"}}`, 40},
				{queries, `{"range":{"timestamp":{"gte":"now-1h","lte":"now+1m"}}}`, 41},
				{events, `{"match_all":{}}`, 40*4 + 1},
				{events, `{"term":{"action_name":"impression"}}`, 120},
				{events, `{"bool":{"filter":[{"term":{"action_name":"impression"}},{"term":{"event_attributes.position.ordinal":1}},{"term":{"event_attributes.object.object_id":"sku-3"}}]}}`, 40},
				{events, `{"bool":{"filter":[{"term":{"action_name":"click"}},{"term":{"event_attributes.position.ordinal":2}},{"term":{"client_id":"client-1"}}]}}`, 10},
				{events, `{"range":{"timestamp":{"gte":"now-1h"}}}`, 161},
			} {
				if got := c.count(t, test.index, test.query); got != test.want {
					t.Errorf("%s %s: got %d, want %d", test.index, test.query, got, test.want)
				}
			}
			var found struct {
				Hits struct {
					Hits []struct {
						Source struct {
							IDs []string `json:"query_response_hit_ids"`
						} `json:"_source"`
					} `json:"hits"`
				} `json:"hits"`
			}
			unmarshal(t, c.do(t, http.MethodPost, "/"+queries+"/_search", `{"query":{"term":{"query_id":"q0"}}}`), &found)
			if got := found.Hits.Hits[0].Source.IDs; !slices.Equal(got, []string{"sku-3", "sku-1", "sku-2", "sku-4"}) {
				t.Errorf("the hits in the order shown: got %v", got)
			}
			bag := "flat_object"
			if engine.Elasticsearch() {
				bag = "flattened"
			}
			if mapping := string(c.do(t, http.MethodGet, "/"+queries+"/_mapping", "")); !strings.Contains(mapping, `"query_attributes":{"type":"`+bag) {
				t.Errorf("the mapping: %s", mapping)
			}

			if engine == cluster.Elasticsearch819 || engine == cluster.Elasticsearch717 {
				t.Log("this build of the engine has no module for _delete_by_query, which every published one has: forgetting is tested on the others")
				return
			}
			deleted, err := sink.ForgetInCluster(ctx, at, transport, queries, events, "client-1", nil)
			if err != nil || deleted != 10*5 {
				t.Errorf("forgot %d documents, %v, want 50", deleted, err)
			}
			for _, index := range []string{queries, events} {
				if got := c.count(t, index, `{"term":{"client_id":"client-1"}}`); got != 0 {
					t.Errorf("%s still has %d of the forgotten client", index, got)
				}
			}
			if got := c.count(t, queries, `{"match_all":{}}`) + c.count(t, events, `{"match_all":{}}`); got != 41+161-50 {
				t.Errorf("%d documents are left", got)
			}
			if deleted, err := sink.ForgetInCluster(ctx, at, transport, "no_such_index", "nor_this", "client-1", nil); err != nil || deleted != 0 {
				t.Errorf("where there is nothing: %d, %v", deleted, err)
			}
		})
	}
}

type recordsOf struct {
	*cluster.Node
	transport *http.Transport
}

func (c recordsOf) do(t *testing.T, method, path, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if res.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(answer), "no_shard_available") && t.Context().Err() == nil {
		time.Sleep(2 * time.Second) // an index was made just now
		return c.do(t, method, path, body)
	}
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %.500s %v", method, path, res.Status, answer, err)
	}
	return answer
}

// has reports whether there is such an index, and waits for its shards: one that was made just now answers no search.
func (c recordsOf) has(t *testing.T, index string) bool {
	t.Helper()
	if !strings.Contains(string(c.do(t, http.MethodGet, "/_cat/indices?h=index", "")), index) {
		return false
	}
	c.do(t, http.MethodGet, "/_cluster/health/"+index+"?wait_for_status=yellow&timeout=30s", "")
	return true
}

func (c recordsOf) count(t *testing.T, index, query string) int {
	t.Helper()
	var said struct{ Count int }
	if err := json.Unmarshal(c.do(t, http.MethodPost, "/"+index+"/_count", `{"query":`+query+`}`), &said); err != nil {
		t.Fatal(err)
	}
	return said.Count
}

// A cluster that is down, or takes connections and never answers, keeps nobody waiting: a hundred thousand records are handed over in less
// time than one request may take.
func TestRecordsOfAClusterThatIsDown(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // nobody accepts: the backlog takes the connection, and nothing answers
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, address := range map[string]net.Addr{"down": gone.Addr(), "silent": silent.Addr()} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			counter := sink.NewCounter(nil)
			s, err := sink.NewCluster(sink.ClusterOptions{URL: &url.URL{Scheme: "http", Host: address.String()}, Transport: transport, Counter: counter})
			if err != nil {
				t.Fatal(err)
			}
			const all = 100_000
			start, longest := time.Now(), time.Duration(0)
			for n := range all {
				before := time.Now()
				s.Keep(experiment.Record{Event: &experiment.Event{Action: "click", QueryID: fmt.Sprint(n)}})
				longest = max(longest, time.Since(before))
			}
			t.Logf("%d records handed over in %v, one in %v at most", all, time.Since(start), longest)
			if longest > time.Second {
				t.Errorf("Keep took %v", longest)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := s.Close(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
}
