package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// A node stands for a cluster: it has indices, takes documents in bulk, and can be told to fail.
type node struct {
	flattened bool // of the types, it knows that one

	mu       sync.Mutex
	indices  map[string]string            // definitions
	docs     map[string]map[string]string // by index and id
	order    []string                     // ids as they came
	requests []string
	fail     func(r *http.Request, n int) *http.Response // by the number of the bulk request, from 0; nil: it does not
	item     func(id string, n int) int                  // the status of one document; 0: it is taken
	bulks    int
	at       []time.Time
}

func newNode() *node {
	return &node{indices: map[string]string{}, docs: map[string]map[string]string{}}
}

func (c *node) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r.Method+" "+r.URL.Path)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	index := strings.TrimPrefix(r.URL.Path, "/p/")
	switch {
	case r.URL.Path == "/p/_bulk":
		n := c.bulks
		c.bulks++
		c.at = append(c.at, time.Now())
		if c.fail != nil {
			if res := c.fail(r, n); res != nil {
				return res, nil
			}
		}
		return c.bulk(body, n), nil
	case r.Method == http.MethodHead:
		if c.indices[index] == "" {
			return says(404, ""), nil
		}
		return says(200, ""), nil
	case r.Method == http.MethodPut:
		if bytes.Contains(body, []byte(`"flat_object"`)) && c.flattened {
			return says(400, `{"error":{"type":"mapper_parsing_exception","reason":"The mapper type [flat_object] declared on field [query_attributes] does not exist"}}`), nil
		}
		if !json.Valid(body) || c.indices[index] != "" {
			return says(400, `{"error":{"type":"resource_already_exists_exception"}}`), nil
		}
		c.indices[index] = string(body)
		return says(200, "{}"), nil
	}
	return says(500, ""), nil
}

func (c *node) bulk(body []byte, n int) *http.Response {
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	var items []string
	for i := 0; i < len(lines); i += 2 {
		var meta struct {
			Create struct{ Index, ID string } `json:"create"`
		}
		var m map[string]map[string]string
		if json.Unmarshal([]byte(lines[i]), &m) != nil {
			return says(400, "malformed")
		}
		meta.Create.Index, meta.Create.ID = m["create"]["_index"], m["create"]["_id"]
		status := 201
		if c.item != nil {
			status = max(status, c.item(meta.Create.ID, n))
		}
		if c.docs[meta.Create.Index] == nil {
			c.docs[meta.Create.Index] = map[string]string{}
		}
		switch _, there := c.docs[meta.Create.Index][meta.Create.ID]; {
		case status >= 300:
		case there:
			status = 409
		default:
			c.docs[meta.Create.Index][meta.Create.ID] = lines[i+1]
			c.order = append(c.order, meta.Create.Index+" "+lines[i+1])
		}
		items = append(items, fmt.Sprintf(`{"create":{"status":%d}}`, status))
	}
	return says(200, `{"errors":true,"items":[`+strings.Join(items, ",")+`]}`)
}

func says(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// count returns how many documents an index has.
func (c *node) count(index string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.docs[index])
}

func openCluster(t testing.TB, transport http.RoundTripper, o ClusterOptions) *Cluster {
	t.Helper()
	o.URL, o.Transport = &url.URL{Scheme: "http", Host: "cluster", Path: "/p"}, transport
	if o.Counter == nil {
		o.Counter = NewCounter(nil)
	}
	c, err := NewCluster(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closeCluster(t testing.TB, c *Cluster) {
	t.Helper()
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		n.flattened = true
		c := openCluster(t, n, ClusterOptions{Ranks: 1})
		c.Keep(experiment.Record{Impression: &experiment.Impression{
			QueryID: "q", Time: noon, Experiment: "x", Phase: "10%", Variant: experiment.Interleaved, Unit: "u", Client: "c", Application: "app", Index: "shop", Rule: "r", Words: "red <shoes>",
			Attributes: map[string]string{"page": "home"}, Field: "sku", From: 10, Total: 12, Outcome: "applied", Took: 12 * time.Millisecond, Cluster: 4500 * time.Microsecond, Added: 7 * time.Millisecond,
			Design: []experiment.Variant{{Name: "a", Share: 0.25}, {Name: "b", Share: 0.75}}, Hits: []experiment.Shown{{ID: "1", Object: "sku-1", Team: experiment.Treated}, {ID: "2"}},
		}})
		c.Keep(experiment.Record{Event: &experiment.Event{Action: "click", QueryID: "q", Time: noon, Seen: noon.Add(time.Second), Client: "c", Session: "s", Words: "red", Object: "sku-1", Field: "sku", Position: 11, MessageType: "CLICK", Message: "m"}})
		c.Keep(experiment.Record{Event: &experiment.Event{Action: "page", QueryID: "q", Time: noon, Implicit: "page"}})
		c.Keep(experiment.Record{Query: &experiment.Query{QueryID: "q2", Time: noon, Words: "blue", Hits: []string{"7"}}})
		c.Keep(experiment.Record{Shadow: &experiment.Shadow{QueryID: "q"}})
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		want := []string{
			`ubi_queries {"application":"app","query_id":"q","client_id":"c","user_query":"red <shoes>","query_attributes":{"page":"home","rerankd_added_ms":"7","rerankd_cluster_ms":"4.5","rerankd_design":"a=0.25,b=0.75",` +
				`"rerankd_experiment":"x","rerankd_from":"10","rerankd_ids":"[\"1\",\"2\"]","rerankd_index":"shop",` +
				`"rerankd_object_id_field":"sku","rerankd_outcome":"applied","rerankd_phase":"10%","rerankd_rule":"r","rerankd_teams":"b,","rerankd_took_ms":"12","rerankd_total":"12","rerankd_unit":"u","rerankd_variant":"interleaved"},` +
				`"timestamp":"2026-01-31T12:00:00.250Z","query_response_hit_ids":["sku-1","2"]}`,
			`ubi_events {"application":"app","action_name":"impression","query_id":"q","client_id":"c","timestamp":"2026-01-31T12:00:00.250Z","user_query":"red <shoes>","event_attributes":{"position":{"ordinal":11},"object":{"object_id":"sku-1","object_id_field":"sku","internal_id":"1"}}}`,
			`ubi_events {"action_name":"click","query_id":"q","session_id":"s","client_id":"c","timestamp":"2026-01-31T12:00:00.250Z","message_type":"CLICK","message":"m","user_query":"red","event_attributes":{"position":{"ordinal":11},"object":{"object_id":"sku-1","object_id_field":"sku"},"rerankd_received":"2026-01-31T12:00:01.250Z"}}`,
			`ubi_events {"action_name":"page","query_id":"q","timestamp":"2026-01-31T12:00:00.250Z","message_type":"implicit","message":"page","event_attributes":{}}`,
			`ubi_queries {"query_id":"q2","user_query":"blue","timestamp":"2026-01-31T12:00:00.250Z","query_response_hit_ids":["7"]}`,
		}
		if diff := cmp.Diff(want, n.order); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if !strings.Contains(n.indices["ubi_queries"], `"flattened"`) || !strings.Contains(n.indices["ubi_events"], `"ordinal"`) || len(n.indices) != 2 {
			t.Errorf("got the indices %v", n.indices)
		}
		closeCluster(t, c)
		closeCluster(t, c)
		c.Keep(impression(1, "c"))
		if kept, dropped := counted(t, c.counted, "cluster", "kept"), counted(t, c.counted, "cluster", closed); kept != 4 || dropped != 1 {
			t.Errorf("counted %d kept, %d dropped", kept, dropped)
		}
		before := len(n.requests)
		c = openCluster(t, n, ClusterOptions{Ranks: -1, Queries: "q"})
		closeCluster(t, c)
		if len(n.requests) != before {
			t.Errorf("asked %v although there was nothing to send", n.requests[before:])
		}
	})
}

// Indices that are there are left as they are.
func TestClusterFindsIndices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		n.indices["ubi_queries"], n.indices["ubi_events"] = "own", "own"
		c := openCluster(t, n, ClusterOptions{})
		c.Keep(impression(1, "c"))
		closeCluster(t, c)
		if n.indices["ubi_queries"] != "own" || n.count("ubi_queries") != 1 || slices.ContainsFunc(n.requests, func(r string) bool { return strings.HasPrefix(r, "PUT") }) {
			t.Errorf("got %v, requests %v", n.indices, n.requests)
		}
	})
}

// What may be taken later is sent again, later and later, and is there once; what is refused for good is counted.
func TestClusterTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		var log bytes.Buffer
		n.fail = func(r *http.Request, i int) *http.Response {
			switch {
			case i == 0:
				res := says(429, "slow down")
				res.Header.Set("Retry-After", "20")
				return res
			case i < 4:
				return says(503, "no master")
			}
			return nil
		}
		n.item = func(id string, i int) int {
			switch {
			case strings.HasSuffix(id, "-2") && i < 6:
				return 429
			case strings.HasSuffix(id, "-3"):
				return 400
			}
			return 0
		}
		c := openCluster(t, n, ClusterOptions{Ranks: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 4 {
			c.Keep(impression(i, "c"))
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n.count("ubi_queries") != 3 || counted(t, c.counted, "cluster", "kept") != 3 || counted(t, c.counted, "cluster", refused) != 1 {
			t.Errorf("%d are there, %d counted, %d refused", n.count("ubi_queries"), counted(t, c.counted, "cluster", "kept"), counted(t, c.counted, "cluster", refused))
		}
		var waits []time.Duration
		for i := 1; i < len(n.at); i++ {
			waits = append(waits, n.at[i].Sub(n.at[i-1]).Round(time.Second))
		}
		if len(waits) != 6 || waits[0] != 20*time.Second || waits[1] < time.Second || waits[2] < 3*time.Second || waits[3] < 7*time.Second {
			t.Errorf("waited %v", waits)
		}
		if lines := strings.Count(log.String(), "\n"); lines == 0 || lines > 2 {
			t.Errorf("logged %d lines: %s", lines, log.String())
		}
		closeCluster(t, c)
	})
}

// The answer to a request that was carried out is lost: nothing is there twice.
func TestClusterLosesAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		lost := 0
		c := openCluster(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			res, err := n.RoundTrip(r)
			if strings.HasSuffix(r.URL.Path, "_bulk") && lost < 2 {
				lost++
				return nil, errors.New("connection reset")
			}
			return res, err
		}), ClusterOptions{Ranks: -1})
		for i := range 10 {
			c.Keep(impression(i, "c"))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n.count("ubi_queries") != 10 || counted(t, c.counted, "cluster", "kept") != 10 {
			t.Errorf("%d are there, %d counted", n.count("ubi_queries"), counted(t, c.counted, "cluster", "kept"))
		}
		closeCluster(t, c)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Requests are of a bounded size, and smaller where the cluster says so.
func TestClusterBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		var sizes []int64
		n.fail = func(r *http.Request, _ int) *http.Response {
			sizes = append(sizes, r.ContentLength)
			if r.ContentLength > 2000 {
				return says(413, "too large")
			}
			return nil
		}
		c := openCluster(t, n, ClusterOptions{Ranks: -1, Batch: 10_000})
		for i := range 200 {
			c.Keep(impression(i, "c"))
		}
		closeCluster(t, c)
		if n.count("ubi_queries") != 200 {
			t.Errorf("%d are there", n.count("ubi_queries"))
		}
		if big := slices.Max(sizes); big > 11_000 {
			t.Errorf("a request of %d bytes", big)
		}
		large := slices.DeleteFunc(slices.Clone(sizes), func(n int64) bool { return n <= 2000 })
		if len(large) > 4 {
			t.Errorf("%d requests of more than the cluster takes: %v", len(large), sizes)
		}
		// One document that is too large for it is refused, and the others are not.
		c = openCluster(t, n, ClusterOptions{Ranks: -1})
		c.Keep(impression(1, "c"))
		c.Keep(impression(2, strings.Repeat("c", 3000)))
		c.Keep(impression(3, "c"))
		closeCluster(t, c)
		if counted(t, c.counted, "cluster", refused) != 1 || n.count("ubi_queries") != 202 {
			t.Errorf("%d refused, %d there", counted(t, c.counted, "cluster", refused), n.count("ubi_queries"))
		}
	})
}

// A cluster that never answers keeps nobody waiting: neither Keep, nor Close beyond its context; everything is counted.
func TestClusterHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		c := openCluster(t, hang, ClusterOptions{Queue: 100})
		start := time.Now()
		for i := range 10_000 {
			c.Keep(impression(i, "c"))
		}
		if waited := time.Since(start); waited != 0 { // of the bubble's clock: nothing waited for anything
			t.Errorf("Keep waited %v", waited)
		}
		time.Sleep(10 * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start = time.Now()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 6*time.Second {
			t.Errorf("Close: got %v after %v", err, time.Since(start))
		}
		full, lost := counted(t, c.counted, "cluster", queueFull), counted(t, c.counted, "cluster", closed)
		if full+lost != 10_000 || full < 9000 {
			t.Errorf("%d found no room, %d were lost at the end", full, lost)
		}
	})
}

// A cluster that is down when the program ends is asked once more, and does not hold it up.
func TestClusterDownAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		c := openCluster(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			tries++
			return nil, errors.New("connection refused")
		}), ClusterOptions{})
		c.Keep(impression(1, "c"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		before, start := tries, time.Now()
		closeCluster(t, c)
		if tries > before+1 || time.Since(start) > time.Second || counted(t, c.counted, "cluster", closed) != 1 {
			t.Errorf("%d tries more, after %v, %d lost", tries-before, time.Since(start), counted(t, c.counted, "cluster", closed))
		}
	})
}

func TestClusterOptions(t *testing.T) {
	for _, o := range []ClusterOptions{{}, {URL: &url.URL{}, Transport: newNode(), Privacy: Privacy{Objects: Hashed}}} {
		if _, err := NewCluster(o); err == nil {
			t.Errorf("%+v: got no error", o)
		}
	}
}

func TestAsked(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "99999": time.Hour, "soon": 0, "Sat, 31 Jan 2026 12:00:00 GMT": 0} {
		if got := asked(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
