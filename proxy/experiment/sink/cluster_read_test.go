package sink

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// A library stands for a cluster that is read: it opens points in time and gives what is in its indices page by page, as its engine does.
type library struct {
	*node
	openSearch bool
	limit      int // documents of an answer that it can give; 0: any number
	busy       int // answers of 429 before it gives one
	open       map[string]string
	asked      []string // bodies of searches
}

func (l *library) RoundTrip(r *http.Request) (*http.Response, error) {
	opens := map[bool]string{false: "/_pit", true: "/_search/point_in_time"}[l.openSearch]
	path := strings.TrimPrefix(r.URL.Path, "/p")
	index, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return nil, err
	case l.busy > 0:
		l.busy--
		return says(429, "busy"), nil
	case strings.HasSuffix(path, "/_count"):
		return says(200, fmt.Sprintf(`{"count":%d}`, len(l.docs[index]))), nil
	case path == opens && r.Method == http.MethodDelete:
		var closing struct {
			ID  string   `json:"id"`
			Pit []string `json:"pit_id"`
		}
		if err := json.Unmarshal(body, &closing); err != nil || (closing.ID != "") == l.openSearch {
			return says(400, "which?"), nil
		}
		delete(l.open, append(closing.Pit, closing.ID)[0])
		return says(200, "{}"), nil
	case strings.HasSuffix(path, opens) && r.Method == http.MethodPost && r.URL.Query().Get("keep_alive") != "":
		if l.docs[index] == nil {
			return says(404, `{"error":{"type":"index_not_found_exception"}}`), nil
		}
		id := fmt.Sprint("point-", len(l.open))
		l.open[id] = index
		return says(200, map[bool]string{false: `{"id":"` + id + `"}`, true: `{"pit_id":"` + id + `"}`}[l.openSearch]), nil
	case path == "/_search":
		l.asked = append(l.asked, string(body))
		return l.page(body), nil
	}
	return says(400, "no such thing"), nil
}

func (l *library) page(body []byte) *http.Response {
	var asked struct {
		Size  int
		Pit   struct{ ID string }
		Query map[string]json.RawMessage
		After []string `json:"search_after"`
	}
	if json.Unmarshal(body, &asked) != nil || l.open[asked.Pit.ID] == "" {
		return says(400, "malformed, or no such point")
	}
	type found struct{ at, query, text string }
	var all []found
	for _, text := range l.docs[l.open[asked.Pit.ID]] {
		var d struct {
			Timestamp  string `json:"timestamp"`
			QueryID    string `json:"query_id"`
			ActionName string `json:"action_name"`
		}
		if json.Unmarshal([]byte(text), &d) != nil {
			return says(500, "")
		}
		if f := (found{d.Timestamp, d.QueryID, text}); d.ActionName != impressionAction && (asked.After == nil || slices.Compare([]string{f.at, f.query}, asked.After) > 0) {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(strings.Compare(a.at, b.at), strings.Compare(a.query, b.query), strings.Compare(a.text, b.text))
	})
	var hits []string
	for _, f := range all[:min(len(all), asked.Size)] {
		hits = append(hits, fmt.Sprintf(`{"_source":%s,"sort":[%q,%q]}`, f.text, f.at, f.query))
	}
	if l.limit > 0 && len(hits) > l.limit {
		return says(200, strings.Repeat(" ", maxAnswer+1))
	}
	return says(200, `{"hits":{"hits":[`+strings.Join(hits, ",")+`]}}`)
}

func (l *library) source(page int) ClusterSource {
	return ClusterSource{URL: &url.URL{Scheme: "http", Host: "cluster", Path: "/p"}, Transport: l, Page: page}
}

// Whatever is kept in a cluster comes out again as far as a verdict is made of it, each record once, however many share a moment and
// however the pages fall; and no point in time is left open.
func TestReadCluster(t *testing.T) {
	ids := rapid.StringMatching(`[a-z]{0,3}`)
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return noon.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "ms")) * time.Millisecond)
	})
	took := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(0, 1e7).Draw(t, "µs")) * time.Microsecond
	})
	records := rapid.Custom(func(t *rapid.T) experiment.Record {
		if rapid.Bool().Draw(t, "event") {
			e := &experiment.Event{Action: rapid.SampledFrom([]string{"click", "purchase"}).Draw(t, "action"), QueryID: ids.Draw(t, "query"), Time: at.Draw(t, "time"), Seen: at.Draw(t, "seen")}
			if e.Object = ids.Draw(t, "object"); e.Object != "" {
				e.Field = rapid.SampledFrom([]string{"", "_id", "sku"}).Draw(t, "field")
			}
			if e.Action == "click" && rapid.Bool().Draw(t, "concluded") {
				e.Implicit = "get"
			}
			return experiment.Record{Event: e}
		}
		i := &experiment.Impression{
			QueryID: ids.Draw(t, "query"), Time: at.Draw(t, "time"), Experiment: ids.Draw(t, "experiment"), Phase: "10%", Variant: ids.Draw(t, "variant"), Unit: ids.Draw(t, "unit"),
			From: rapid.IntRange(0, 100).Draw(t, "from"), Total: rapid.Int64Range(-1, 100).Draw(t, "total"), Outcome: "applied", Reason: ids.Draw(t, "reason"),
			Took: took.Draw(t, "took"), Cluster: took.Draw(t, "cluster"), Added: took.Draw(t, "added"),
			Field: rapid.SampledFrom([]string{"", "sku"}).Draw(t, "field"),
		}
		for v := range rapid.IntRange(0, 3).Draw(t, "variants") {
			i.Design = append(i.Design, experiment.Variant{Name: fmt.Sprint("v-", v), Share: rapid.Float64Range(0, 1).Draw(t, "share")})
		}
		for k := range rapid.IntRange(0, 4).Draw(t, "hits") {
			h := experiment.Shown{ID: fmt.Sprint(k, ",", ids.Draw(t, "id")), Team: rapid.SampledFrom([]experiment.Team{"", "a", "b"}).Draw(t, "team")}
			if i.Field != "" {
				h.Object = fmt.Sprint("sku-", k)
			}
			i.Hits = append(i.Hits, h)
		}
		return experiment.Record{Impression: i}
	})
	rapid.Check(t, func(rt *rapid.T) {
		l := &library{node: newNode(), openSearch: rapid.Bool().Draw(rt, "OpenSearch"), open: map[string]string{}}
		c := openCluster(t, l.node, ClusterOptions{})
		want := rapid.SliceOfN(records, 0, 30).Draw(rt, "records")
		for _, r := range want {
			c.Keep(r)
		}
		closeCluster(t, c)
		for _, index := range []string{"ubi_queries", "ubi_events"} {
			if l.docs[index] == nil {
				l.docs[index] = map[string]string{}
			}
		}
		l.limit = rapid.IntRange(0, 3).Draw(rt, "limit")
		var got []experiment.Record
		read := 0
		s := l.source(rapid.IntRange(1, 8).Draw(rt, "page"))
		s.Progress = func(n int) { read = n }
		if err := ReadCluster(t.Context(), s, func(r experiment.Record, fault error) error {
			got = append(got, r)
			return fault
		}); err != nil {
			// More documents than an answer takes share a moment and a query.
			if l.limit > 0 {
				return
			}
			rt.Fatal(err)
		}
		text := func(r experiment.Record) string {
			b, err := json.Marshal(r)
			if err != nil {
				rt.Fatal(err)
			}
			return string(b)
		}
		order := cmpopts.SortSlices(func(a, b experiment.Record) bool { return text(a) < text(b) })
		if diff := gocmp.Diff(want, got, order, cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("kept (-) and read (+):\n%s", diff)
		}
		if len(l.open) > 0 {
			rt.Fatalf("left open: %v", l.open)
		}
		if of, err := s.Documents(t.Context()); err != nil || read != len(want) || of < read {
			rt.Fatalf("said %d of %d documents, %v; want %d", read, of, err, len(want))
		}
	})
}

// What others write is read as well as it can be, and what cannot be is told and passed over.
func TestReadClusterOfOthers(t *testing.T) {
	l := &library{node: newNode(), open: map[string]string{}, busy: 1}
	l.docs = map[string]map[string]string{
		"queries": {"1": `{"query_id":"q","timestamp":"2026-01-31T12:00:00.250Z","user_query":"shoes","query_response_hit_ids":["1"]}`},
		"ubi_events": {
			"1": `{"action_name":"click","query_id":"q","timestamp":"2026-01-31T12:00:01+00:00","event_attributes":{"object":{"object_id":17}}}`,
			"2": `{"action_name":"click","query_id":"q","timestamp":"1769860801000","event_attributes":{"object":{"internal_id":"17"}}}`,
			"3": `{"action_name":"click","query_id":"q","timestamp":"yesterday"}`,
		},
	}
	s := l.source(0)
	s.Queries = "queries"
	var got []experiment.Record
	var faults []string
	if err := ReadCluster(t.Context(), s, func(r experiment.Record, fault error) error {
		if fault != nil {
			faults = append(faults, fault.Error())
			return nil
		}
		got = append(got, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	second := time.Date(2026, 1, 31, 12, 0, 1, 0, time.UTC)
	want := []experiment.Record{
		{Query: &experiment.Query{QueryID: "q", Time: noon, Seen: noon}},
		{Event: &experiment.Event{Action: "click", QueryID: "q", Time: second, Seen: second, Object: "17"}},
		{Event: &experiment.Event{Action: "click", QueryID: "q", Time: second, Seen: second, Object: "17"}},
	}
	slices.SortFunc(got[1:], func(a, b experiment.Record) int { return strings.Compare(a.Event.Object, b.Event.Object) })
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(faults) != 1 || !strings.HasPrefix(faults[0], "the timestamp of an event of query q: ") {
		t.Errorf("got the faults %q", faults)
	}
}

// Who sends more events of one moment and query than a cluster gives at once, which anybody can, does not keep the others from being read.
func TestReadClusterPastAClump(t *testing.T) {
	l := &library{node: newNode(), open: map[string]string{}}
	clicks := map[string]string{"after": `{"action_name":"click","query_id":"r","timestamp":"2026-01-31T12:00:02Z","event_attributes":{"object":{"object_id":"1"}}}`}
	for n := range largestPage + 50 {
		clicks[fmt.Sprint(n)] = fmt.Sprintf(`{"action_name":"click","query_id":"q","timestamp":"2026-01-31T12:00:01Z","event_attributes":{"object":{"object_id":"%d"}}}`, n)
	}
	l.node.docs = map[string]map[string]string{"ubi_queries": {}, "ubi_events": clicks}
	read, last := 0, ""
	var faults []string
	if err := ReadCluster(t.Context(), l.source(0), func(r experiment.Record, fault error) error {
		if fault != nil {
			faults = append(faults, fault.Error())
			return nil
		}
		read, last = read+1, r.Event.QueryID
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if read != largestPage+1 || last != "r" {
		t.Errorf("read %d events, the last of %q; want %d, and what comes after", read, last, largestPage+1)
	}
	if len(faults) != 1 || faults[0] != "reading ubi_events: 10000 documents or more have the same timestamp and query_id: no more of them are read" {
		t.Errorf("got the faults %q", faults)
	}
}

// Refusals are told with the index; who takes may end it; who gives up is not held.
func TestReadClusterFails(t *testing.T) {
	l := &library{node: newNode(), open: map[string]string{}}
	nothing := func(experiment.Record, error) error { return nil }
	err := ReadCluster(t.Context(), l.source(0), nothing)
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Status != 404 || !strings.HasPrefix(err.Error(), "reading ubi_queries: status 404: ") {
		t.Errorf("without the indices got %v", err)
	}
	l.docs = map[string]map[string]string{"ubi_queries": {"1": `{"query_id":"q","timestamp":"2026-01-31T12:00:00Z"}`}, "ubi_events": {}}
	enough := errors.New("enough")
	if err := ReadCluster(t.Context(), l.source(0), func(experiment.Record, error) error { return enough }); !errors.Is(err, enough) || len(l.open) > 0 {
		t.Errorf("got %v with %v open, want it to end there", err, l.open)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	l.busy = 1
	if err := ReadCluster(gone, l.source(0), nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to be given up", err)
	}
	l.busy = 100
	if err := ReadCluster(t.Context(), l.source(0), nothing); err == nil || !strings.Contains(err.Error(), "status 429") {
		t.Errorf("of a cluster that stays busy got %v", err)
	}
}
