package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/sink"
)

// What a cluster keeps of an experiment is read back from it, each record once, however many were written in one moment, and beside what
// others have in those indices.
func TestRecordsComeBack(t *testing.T) {
	for _, engine := range cluster.Asked(t) {
		t.Run(string(engine), func(t *testing.T) { testRecordsComeBack(t, cluster.Start(t, engine)) })
	}
}

func testRecordsComeBack(t *testing.T, node *cluster.Node) {
	at, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	const queries, events = "e2e-records-queries", "e2e-records-events"
	for _, name := range []string{queries, events} {
		node.Delete(t, name)
		t.Cleanup(func() { node.Delete(t, name) })
	}
	s, err := sink.NewCluster(sink.ClusterOptions{URL: at, Transport: transport, Queries: queries, Events: events})
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var want []experiment.Record
	keep := func(r experiment.Record) {
		s.Keep(r)
		want = append(want, r)
	}
	for i := range 500 {
		moment := noon.Add(time.Duration(i/40) * time.Second) // forty searches in each
		id := fmt.Sprint("q", i/2)                            // of two pages
		keep(experiment.Record{Impression: &experiment.Impression{
			QueryID: id, Time: moment, Experiment: "e", Phase: "10%", Variant: experiment.Interleaved, Unit: fmt.Sprint("u", i%7), From: 10 * (i % 2), Total: 20, Outcome: "applied", Field: "sku",
			Hits:   []experiment.Shown{{ID: "1", Object: "sku-1", Team: experiment.Treated}, {ID: "2", Object: "sku-2"}},
			Design: []experiment.Variant{{Name: "lexical", Share: 0.5}, {Name: "reranked", Share: 0.5}}, Took: 12345 * time.Microsecond, Cluster: 2 * time.Millisecond, Added: 10 * time.Millisecond,
		}})
		keep(experiment.Record{Event: &experiment.Event{Action: "click", QueryID: id, Time: moment.Add(time.Second), Seen: moment.Add(time.Minute), Object: "sku-1", Field: "sku"}})
	}
	keep(experiment.Record{Event: &experiment.Event{Action: "click", Time: noon, Seen: noon, Object: "1"}}) // of no search
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, other := range []struct{ index, text string }{
		{queries, `{"query_id":"theirs","user_query":"boots","timestamp":"2026-03-01T11:00:00Z","query_response_hit_ids":["1"],"query_attributes":{}}`},
		{events, `{"action_name":"click","query_id":"theirs","timestamp":"2026-03-01T11:00:00.5Z","event_attributes":{"object":{"object_id":7},"position":{}}}`},
		{events, `{"action_name":"impression","query_id":"theirs","timestamp":"2026-03-01T11:00:00.5Z"}`},
	} {
		if a := (client{url: node.URL}).do(t, http.MethodPost, "/"+other.index+"/_doc", other.text); a.Status != http.StatusCreated {
			t.Fatalf("got %d %s", a.Status, a.Body)
		}
	}
	theirs := noon.Add(-time.Hour)
	want = append(want, experiment.Record{Query: &experiment.Query{QueryID: "theirs", Time: theirs, Seen: theirs}},
		experiment.Record{Event: &experiment.Event{Action: "click", QueryID: "theirs", Time: theirs.Add(500 * time.Millisecond), Seen: theirs.Add(500 * time.Millisecond), Object: "7"}})
	if a := (client{url: node.URL}).do(t, http.MethodPost, "/"+queries+","+events+"/_refresh", ""); a.Status != http.StatusOK {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
	lines := func(records []experiment.Record) (all []string) {
		for _, r := range records {
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(line))
		}
		slices.Sort(all)
		return all
	}
	for _, page := range []int{3, 7, 50, 1000} {
		from := sink.ClusterSource{URL: at, Transport: transport, Queries: queries, Events: events, Page: page}
		if n, err := from.Documents(t.Context()); err != nil || n != len(want) {
			t.Errorf("got %d documents, %v, want %d", n, err, len(want))
		}
		var got []experiment.Record
		if err := sink.ReadCluster(t.Context(), from, func(r experiment.Record, fault error) error {
			got = append(got, r)
			return fault
		}); err != nil {
			t.Fatalf("by pages of %d: %v", page, err)
		}
		if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
			t.Errorf("by pages of %d: kept (-) and read (+):\n%s", page, diff)
		}
	}
	// Nothing is left open.
	stats := (client{url: node.URL}).do(t, http.MethodGet, "/_nodes/stats/indices/search?filter_path=nodes.*.indices.search.open_contexts", "")
	var open struct {
		Nodes map[string]struct {
			Indices struct {
				Search struct {
					Open int `json:"open_contexts"`
				} `json:"search"`
			} `json:"indices"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(stats.Body, &open); err != nil {
		t.Fatal(err)
	}
	for _, n := range open.Nodes {
		if n.Indices.Search.Open != 0 {
			t.Errorf("%d search contexts are left open", n.Indices.Search.Open)
		}
	}
}
