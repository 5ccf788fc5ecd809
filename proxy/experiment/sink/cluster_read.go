package sink

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// ClusterSource is where records are read from. URL and Transport are needed.
type ClusterSource struct {
	URL       *url.URL          // of the cluster, or of whatever the Transport makes of it
	Transport http.RoundTripper // authenticates, where that is asked for, as somebody who may read these indices
	Queries   string            // the index of queries; "": ubi_queries
	Events    string            // the index of events; "": ubi_events
	Page      int               // documents of one answer; 0: 1,000
	Progress  func(read int)    // documents, by now; nil: nobody is told
}

// Documents says how many documents [ReadCluster] would read.
func (s ClusterSource) Documents(ctx context.Context) (n int, err error) {
	c := client{s.URL, s.Transport, time.Minute}
	for _, from := range s.indices() {
		body, err := json.Marshal(map[string]any{"query": from.query})
		if err != nil {
			return 0, err
		}
		var said struct {
			Count int `json:"count"`
		}
		if err := c.ask(ctx, http.MethodPost, "/"+from.index+"/_count", "", body, &said); err != nil {
			return 0, readingError(from.index, err)
		}
		n += said.Count
	}
	return n, nil
}

// A reading is an index, which of its documents are read, and how one becomes a record.
type reading struct {
	index  string
	query  map[string]any
	source []string
	record func(json.RawMessage) (experiment.Record, error)
}

func (s ClusterSource) indices() []reading {
	return []reading{{
		cmp.Or(s.Queries, QueriesIndex), map[string]any{"match_all": map[string]any{}},
		[]string{"query_id", "timestamp", "query_response_hit_ids", "query_attributes.rerankd_*"},
		func(text json.RawMessage) (r experiment.Record, err error) {
			var d queryDocument
			if err = json.Unmarshal(text, &d); err != nil {
				return r, err
			}
			return d.record()
		},
	}, {
		// What was seen is in ubi_queries; of the events, those would be the most by far.
		cmp.Or(s.Events, EventsIndex), map[string]any{"bool": map[string]any{"must_not": map[string]any{"term": map[string]any{"action_name": impressionAction}}}},
		[]string{"query_id", "timestamp", "action_name", "message_type", "message", "event_attributes.object", "event_attributes.rerankd_received"},
		func(text json.RawMessage) (r experiment.Record, err error) {
			var d eventDocument
			if err = json.Unmarshal(text, &d); err != nil {
				return r, err
			}
			return d.record()
		},
	}}
}

// ReadCluster hands what the cluster's indices have of searches and of events to take, searches first: what a verdict is made of, and
// neither words nor clients, which are not fetched. A document that is none of what this program or UBI writes goes to take as the error that
// it is, and is passed over; so do documents beyond the 10,000th of one moment and query. An error of take's ends the reading.
//
// It reads by points in time, so that what is written meanwhile changes nothing, a page of documents after the other, on Elasticsearch (7.10 and
// later) and OpenSearch (2.4 and later). The error says which index, and is a *RefusedError where the cluster refused.
func ReadCluster(ctx context.Context, s ClusterSource, take func(r experiment.Record, fault error) error) error {
	c := client{s.URL, s.Transport, time.Minute}
	read := 0
	for _, from := range s.indices() {
		point, err := c.pointInTime(ctx, from.index)
		if err != nil {
			return readingError(from.index, err)
		}
		err = c.page(ctx, point, from, cmp.Or(s.Page, 1000), func(documents []document, fault error) error {
			for _, d := range documents {
				if err := take(from.record(d.Source)); err != nil {
					return err
				}
			}
			if read += len(documents); s.Progress != nil {
				s.Progress(read)
			}
			if fault != nil {
				return take(experiment.Record{}, readingError(from.index, fault))
			}
			return nil
		})
		point.close()
		if err != nil {
			return readingError(from.index, err)
		}
	}
	return nil
}

// A RefusedError says with which status the cluster refused.
type RefusedError struct {
	Status int
	Answer string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Answer) }

func readingError(what string, err error) error { return fmt.Errorf("reading %s: %w", what, err) }

// A point is a point in time of an index.
type point struct {
	id    string
	close func()
}

// keepAlive is how long a point in time outlives the last page that was asked of it.
const keepAlive = "2m"

// pointInTime opens a point in time, for which each engine has a spelling of its own. Which engine it is, is not asked: who may read an index need
// not be one who may ask that.
func (c client) pointInTime(ctx context.Context, index string) (p point, err error) {
	for _, spelled := range []struct {
		path string
		one  func(id string) any
	}{
		{"/_pit", func(id string) any { return map[string]string{"id": id} }},                          // Elasticsearch
		{"/_search/point_in_time", func(id string) any { return map[string][]string{"pit_id": {id}} }}, // OpenSearch
	} {
		var said struct {
			ID  string `json:"id"`
			Pit string `json:"pit_id"`
		}
		err = c.ask(ctx, http.MethodPost, "/"+index+spelled.path, "keep_alive="+keepAlive, nil, &said)
		if refused, ok := errors.AsType[*RefusedError](err); ok && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusMethodNotAllowed) {
			continue // no such thing is known here
		}
		if err != nil {
			return p, err
		}
		if p.id = cmp.Or(said.ID, said.Pit); p.id == "" {
			return p, errors.New("the cluster opened a point in time and did not name it")
		}
		p.close = func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			body, _ := json.Marshal(spelled.one(p.id))                               // of strings
			_ = c.ask(ctx, http.MethodDelete, spelled.path, "", body, new(struct{})) // it ends by itself soon
		}
		return p, nil
	}
	return p, err
}

// A document is a hit.
type document struct {
	Source json.RawMessage   `json:"_source"`
	Sort   []json.RawMessage `json:"sort"`
}

// largestPage is what a cluster gives at once unless told otherwise (index.max_result_window).
const largestPage = 10_000

// page hands over the documents page by page, in the order of their time and query id. These are no key: several documents may share them. So the
// last ones of a page that share them are left for the next page, which begins before them and has them all. Of more than an answer takes, which
// somebody has sent on purpose, the first are handed over with a fault that says so, and the rest is passed over.
func (c client) page(ctx context.Context, p point, from reading, size int, take func(documents []document, fault error) error) error {
	var after []json.RawMessage
	for largest := largestPage; ; {
		body, err := json.Marshal(map[string]any{
			"size": size, "pit": map[string]string{"id": p.id, "keep_alive": keepAlive}, "query": from.query, "_source": from.source, "track_total_hits": false,
			"sort": []any{map[string]any{"timestamp": map[string]string{"order": "asc", "unmapped_type": "date"}}, map[string]any{"query_id": map[string]string{"order": "asc", "unmapped_type": "keyword"}}},
		})
		if err != nil {
			return err
		}
		if after != nil {
			more, err := json.Marshal(after)
			if err != nil {
				return err
			}
			body = slices.Concat(body[:len(body)-1], []byte(`,"search_after":`), more, []byte("}"))
		}
		var said struct {
			Hits struct {
				Hits []document `json:"hits"`
			} `json:"hits"`
		}
		switch err := c.ask(ctx, http.MethodPost, "/_search", "allow_partial_search_results=false", body, &said); {
		case errors.Is(err, errLong) && size > 1:
			size /= 2
			largest = size
			continue
		case err != nil:
			return err
		}
		documents := said.Hits.Hits
		if len(documents) < size { // the last page
			return take(documents, nil)
		}
		n := len(documents) - 1
		for n > 0 && alike(documents[n-1], documents[len(documents)-1]) {
			n--
		}
		if n == 0 && size < largest {
			size = min(2*size, largest)
			continue
		}
		var fault error
		if n == 0 {
			n, fault = len(documents), fmt.Errorf("%d documents or more have the same timestamp and query_id: no more of them are read", size)
		}
		if err := take(documents[:n], fault); err != nil {
			return err
		}
		after = documents[n-1].Sort
	}
}

func alike(a, b document) bool {
	return slices.EqualFunc(a.Sort, b.Sort, func(a, b json.RawMessage) bool { return string(a) == string(b) })
}

// errLong says that an answer is longer than is read.
var errLong = fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)

// ask sends a question and reads the answer into said. A cluster that is busy is asked again, a few times.
func (c client) ask(ctx context.Context, method, path, query string, body []byte, said any) error {
	for wait := 500 * time.Millisecond; ; wait *= 2 {
		status, _, answer, err := c.do(ctx, method, path, query, "application/json", body)
		switch {
		case err != nil:
			return err
		case (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && wait < 5*time.Second:
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(wait):
			}
		case status != http.StatusOK:
			return &RefusedError{status, bounded(answer)}
		case len(answer) == maxAnswer:
			return errLong
		default:
			return json.Unmarshal(answer, said)
		}
	}
}

// record is the impression that the document was made of, or a query of somebody else's.
func (d queryDocument) record() (experiment.Record, error) {
	at, err := readTime(d.Timestamp)
	if err != nil {
		return experiment.Record{}, fmt.Errorf("the timestamp of query %s: %w", d.QueryID, err)
	}
	of := func(name string) string { return d.Attributes[oursPrefix+name] }
	if of("outcome") == "" {
		return experiment.Record{Query: &experiment.Query{QueryID: d.QueryID, Time: at, Seen: at}}, nil
	}
	i := &experiment.Impression{
		QueryID: d.QueryID, Time: at, Experiment: of("experiment"), Phase: of("phase"), Variant: of("variant"), Unit: of("unit"), Index: of("index"), Rule: of("rule"),
		Outcome: of("outcome"), Reason: of("reason"), Field: of("object_id_field"),
		Took: readMilliseconds(of("took_ms")), Cluster: readMilliseconds(of("cluster_ms")), Added: readMilliseconds(of("added_ms")),
	}
	i.From, _ = strconv.Atoi(of("from")) // what we write ourselves
	i.Total, _ = strconv.ParseInt(of("total"), 10, 64)
	for name, share := range pairs(of("design")) {
		s, err := strconv.ParseFloat(share, 64)
		if err != nil {
			return experiment.Record{}, fmt.Errorf("the design of query %s: %w", d.QueryID, err)
		}
		i.Design = append(i.Design, experiment.Variant{Name: name, Share: s})
	}
	var ids, teams []string
	if text := of("ids"); text != "" {
		if err := json.Unmarshal([]byte(text), &ids); err != nil {
			return experiment.Record{}, fmt.Errorf("the ids of query %s: %w", d.QueryID, err)
		}
	}
	if text := of("teams"); text != "" {
		teams = strings.Split(text, ",")
	}
	for k, hit := range d.HitIDs {
		object := string(hit)
		h := experiment.Shown{ID: object}
		switch {
		case k < len(ids):
			if h.ID = ids[k]; h.ID != object {
				h.Object = object
			}
		case i.Field != "" && i.Field != "_id":
			h.ID, h.Object = "", object
		}
		if k < len(teams) {
			h.Team = experiment.Team(teams[k])
		}
		i.Hits = append(i.Hits, h)
	}
	return experiment.Record{Impression: i}, nil
}

// pairs are those of name=value,name=value.
func pairs(text string) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		for pair := range strings.SplitSeq(text, ",") {
			if name, value, ok := strings.Cut(pair, "="); ok && !yield(name, value) {
				return
			}
		}
	}
}

// record is the event that the document was made of, or one of somebody else's. Where nobody says when it came, it came when it happened.
func (d eventDocument) record() (experiment.Record, error) {
	at, err := readTime(d.Timestamp)
	if err != nil {
		return experiment.Record{}, fmt.Errorf("the timestamp of an event of query %s: %w", d.QueryID, err)
	}
	e := &experiment.Event{Action: d.ActionName, QueryID: d.QueryID, Time: at, Seen: at}
	if d.MessageType == implicitType {
		e.Implicit = d.Message
	}
	if a := d.Attributes; a != nil {
		if a.Received != "" {
			if e.Seen, err = readTime(a.Received); err != nil {
				return experiment.Record{}, fmt.Errorf("when an event of query %s came: %w", d.QueryID, err)
			}
		}
		if o := a.Object; o != nil {
			e.Object, e.Field = string(cmp.Or(o.ID, o.InternalID)), o.Field
		}
	}
	return experiment.Record{Event: e}, nil
}

// readTime reads what strict_date_time takes, and milliseconds since 1970, as others write.
func readTime(at scalar) (time.Time, error) {
	if ms, err := strconv.ParseInt(string(at), 10, 64); err == nil {
		return time.UnixMilli(ms).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(at))
	return t.UTC(), err
}

func readMilliseconds(text string) time.Duration {
	ms, _ := strconv.ParseFloat(text, 64) // what we write ourselves
	return time.Duration(math.Round(ms*1000)) * time.Microsecond
}
