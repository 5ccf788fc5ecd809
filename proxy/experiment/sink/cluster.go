package sink

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// ClusterOptions say where and how much. URL and Transport are needed.
type ClusterOptions struct {
	URL       *url.URL          // of the cluster, or of whatever the Transport makes of it
	Transport http.RoundTripper // authenticates, where that is asked for, as whoever may write to these indices
	Queries   string            // the index of queries; "": ubi_queries
	Events    string            // the index of events; "": ubi_events
	// Ranks are the hits of a page, from its first, of each of which an event tells that it was seen: what OpenSearch's Search Relevance
	// Workbench reckons judgments from. 0: 20, -1: none.
	Ranks   int
	Queue   int           // records that wait to be sent; 0: 8,192
	Batch   int           // bytes of one request; 0: 1 MiB
	Timeout time.Duration // of one request; 0: 30 s
	Privacy Privacy
	Counter *prometheus.CounterVec // see NewCounter; nil: nothing is counted
	Logger  *slog.Logger           // nil: nothing is logged
}

// The indices that UBI's plugin makes.
const (
	QueriesIndex = "ubi_queries"
	EventsIndex  = "ubi_events"
)

// Cluster keeps records in the cluster's own indices, as the UBI plugin would: an impression as a document of ubi_queries, and an event
// for each of its first hits, and events as documents of ubi_events. No plugin is needed; the indices are made where they are not there,
// with the plugin's mappings. Shadows are nothing that UBI has a word for, and are left to other sinks.
//
// What the cluster does not take is sent again, later and later, up to a minute apart, or as it asks for itself; meanwhile the queue fills,
// and what finds no room in it is dropped.
type Cluster struct {
	*queue
	options ClusterOptions
	client  client
	stop    context.CancelFunc // of what is being sent when the time to end is over
	ending  chan struct{}      // closed when nothing more is let in
	done    chan struct{}

	// Of the one that sends.
	lines   []line
	bytes   int
	ids     string // of this process, and then a number
	made    uint64
	checked time.Time // when the indices were last seen to be there
	failed  int       // tries in a row
	last    bool      // the last of them was, as the program ends
}

var _ experiment.Sink = (*Cluster)(nil)

const (
	recheck   = 10 * time.Minute // an index that somebody deletes would be made again by the cluster, without the mapping
	firstWait = time.Second
	lastWait  = time.Minute
)

// NewCluster starts sending. The cluster is not asked for anything before there is something to send.
func NewCluster(o ClusterOptions) (*Cluster, error) {
	if o.URL == nil || o.Transport == nil {
		return nil, errors.New("keeping records in a cluster: neither an address nor a transport may be missing")
	}
	if err := o.Privacy.Check(); err != nil {
		return nil, fmt.Errorf("keeping records in a cluster: %w", err)
	}
	o.Queries, o.Events = cmp.Or(o.Queries, QueriesIndex), cmp.Or(o.Events, EventsIndex)
	o.Ranks, o.Queue, o.Batch, o.Timeout = cmp.Or(o.Ranks, 20), cmp.Or(o.Queue, 8192), cmp.Or(o.Batch, 1<<20), cmp.Or(o.Timeout, 30*time.Second)
	ctx, stop := context.WithCancel(context.Background())
	c := &Cluster{
		queue: newQueue("cluster", o.Queue, o.Counter, o.Logger), options: o, client: client{o.URL, o.Transport, o.Timeout},
		stop: stop, ending: make(chan struct{}), done: make(chan struct{}), ids: rand.Text(),
	}
	go c.run(ctx)
	return c, nil
}

// Close sends what is left, and waits for that until ctx is done. A cluster that is failing is asked once more, and not waited for.
func (c *Cluster) Close(ctx context.Context) error {
	c.end()
	select {
	case <-c.ending:
	default:
		close(c.ending)
	}
	defer c.stop()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		c.stop()
		<-c.done
		return ctx.Err()
	}
}

func (c *Cluster) run(ctx context.Context) {
	defer close(c.done)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case r, ok := <-c.records:
			if !ok {
				c.send(ctx)
				c.lose(closed)
				return
			}
			if c.add(r); c.bytes >= c.options.Batch {
				c.send(ctx)
			}
		case <-second.C:
			c.send(ctx)
		}
	}
}

// add makes documents of a record.
func (c *Cluster) add(r experiment.Record) {
	r = c.options.Privacy.apply(r)
	switch {
	case r.Impression != nil:
		i := r.Impression
		c.document(c.options.Queries, ofImpression(i), true)
		for k := range i.Hits[:max(0, min(len(i.Hits), c.options.Ranks))] {
			if i.Hits[k].ID != "" { // ids are dropped
				c.document(c.options.Events, ofHit(i, k), false)
			}
		}
	case r.Query != nil:
		c.document(c.options.Queries, ofQuery(r.Query), true)
	case r.Event != nil:
		c.document(c.options.Events, ofEvent(r.Event), true)
	}
}

func (c *Cluster) document(index string, d any, record bool) {
	c.made++
	l, err := newLine(index, fmt.Sprintf("%s-%d", c.ids, c.made), d, record)
	if err != nil { // strings and integers alone: there is nothing that could not be written
		c.drop(1, refused)
		return
	}
	c.lines = append(c.lines, l)
	c.bytes += len(l.text)
}

// send sends what there is, again and again until it is taken, or the program ends.
func (c *Cluster) send(ctx context.Context) {
	for len(c.lines) > 0 && !c.last {
		wait, err := c.try(ctx)
		if err == nil && wait == 0 {
			c.failed = 0
			continue
		}
		c.failed++
		if err != nil {
			c.complain("records of experiments are not taken by the cluster, which is tried again", "error", err, "records", records(c.lines), "tries", c.failed)
		}
		backoff := min(firstWait<<min(c.failed-1, 10), lastWait)
		backoff += time.Duration(mathrand.Int64N(int64(backoff)/4)) - backoff/8 // copies that failed at once do not come back at once
		timer := time.NewTimer(max(wait, backoff))
		select {
		case <-timer.C:
		case <-c.ending: // and so at once, and for the last time
			timer.Stop()
			if _, err := c.try(ctx); err != nil {
				c.last = true
			}
		}
	}
}

// try makes one request, of what fits into it. wait is how long the cluster asks to be left alone.
func (c *Cluster) try(ctx context.Context) (wait time.Duration, err error) {
	if time.Since(c.checked) > recheck {
		for index, mapping := range map[string]string{c.options.Queries: queriesMapping, c.options.Events: eventsMapping} {
			if err := c.client.ensure(ctx, index, mapping); err != nil {
				return 0, fmt.Errorf("making the index %s: %w", index, err)
			}
		}
		c.checked = time.Now()
	}
	n, size := 0, 0
	for n < len(c.lines) && (n == 0 || size+len(c.lines[n].text) <= c.options.Batch) {
		size += len(c.lines[n].text)
		n++
	}
	body := make([]byte, 0, size)
	for _, l := range c.lines[:n] {
		body = append(body, l.text...)
	}
	status, header, answer, err := c.client.do(ctx, http.MethodPost, "/_bulk", "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason", "application/x-ndjson", body)
	switch {
	case err != nil:
		return 0, err
	case status == http.StatusRequestEntityTooLarge && n > 1:
		c.options.Batch = max(size/2, 1)
		return 0, nil
	case status == http.StatusOK:
		return c.settle(n, answer)
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge: // nothing of it will ever be taken
		c.complain("records of experiments are refused by the cluster", "status", status, "answer", bounded(answer))
		c.drop(records(c.lines[:n]), refused)
		c.forget(n)
		return 0, nil
	}
	return asked(header.Get("Retry-After")), fmt.Errorf("status %d: %s", status, bounded(answer))
}

// asked is how long a Retry-After asks to be left alone, an hour at most; 0 where it cannot be read.
func asked(text string) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(seconds, 3600)) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	return max(0, min(wait, time.Hour))
}

// settle goes through what became of the first n documents. Those that may be taken later stay.
func (c *Cluster) settle(n int, answer []byte) (time.Duration, error) {
	var said struct {
		Errors bool                  `json:"errors"`
		Items  []map[string]itemSaid `json:"items"`
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return 0, fmt.Errorf("reading what became of the documents: %w", err)
	}
	if len(said.Items) != n {
		return 0, fmt.Errorf("reading what became of the documents: %d answers to %d", len(said.Items), n)
	}
	var again []line
	var first itemSaid
	for i, item := range said.Items {
		for _, it := range item {
			record := records(c.lines[i : i+1])
			switch {
			case it.Status < 300, it.Status == http.StatusConflict: // it came the first time, and the answer did not
				c.kept(record)
			case it.Status == http.StatusTooManyRequests, it.Status >= 500:
				again, first = append(again, c.lines[i]), it
			default:
				c.drop(record, refused)
				c.complain("a record of an experiment is refused by the cluster", "status", it.Status, "type", it.Error.Type, "reason", bounded([]byte(it.Error.Reason)))
			}
		}
	}
	c.forget(n)
	if len(again) == 0 {
		return 0, nil
	}
	c.lines = append(again, c.lines...)
	for _, l := range again {
		c.bytes += len(l.text)
	}
	return firstWait, fmt.Errorf("%d of %d documents: status %d: %s", len(again), n, first.Status, first.Error.Type)
}

type itemSaid struct {
	Status int `json:"status"`
	Error  struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"error"`
}

// forget takes off the first n documents.
func (c *Cluster) forget(n int) {
	for _, l := range c.lines[:n] {
		c.bytes -= len(l.text)
	}
	c.lines = append([]line(nil), c.lines[n:]...)
}

// lose counts what is left as dropped.
func (c *Cluster) lose(reason string) {
	c.drop(records(c.lines), reason)
	c.lines, c.bytes = nil, 0
}

// records counts those that documents were made of.
func records(lines []line) (n int) {
	for _, l := range lines {
		if l.record {
			n++
		}
	}
	return n
}

func bounded(text []byte) string {
	return strings.ToValidUTF8(string(text[:min(len(text), 300)]), "")
}

// A client asks a cluster.
type client struct {
	url       *url.URL
	transport http.RoundTripper
	timeout   time.Duration
}

// maxAnswer bounds what is read of an answer; of a bulk request it is some 100 bytes a document.
const maxAnswer = 16 << 20

func (c client) do(ctx context.Context, method, path, query, kind string, body []byte) (status int, h http.Header, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	at := *c.url
	at.Path, at.RawPath, at.RawQuery = strings.TrimRight(c.url.Path, "/")+path, "", query
	at.User = nil // the transport's affair
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	if body == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	} else {
		req.Header.Set("Content-Type", kind)
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, res.Header, answer, err
}

// ensure makes an index unless it is there. Of the types that an engine may know, the first that it does is taken.
func (c client) ensure(ctx context.Context, index, mapping string) error {
	status, _, _, err := c.do(ctx, http.MethodHead, "/"+index, "", "", nil)
	if err != nil || status == http.StatusOK || status == http.StatusForbidden { // who may write need not be one who may ask what there is
		return err
	}
	for _, bag := range bags {
		text := mapping
		if strings.Contains(mapping, "%s") {
			text = fmt.Sprintf(mapping, bag)
		}
		status, _, answer, err := c.do(ctx, http.MethodPut, "/"+index, "", "application/json", []byte(`{"mappings":`+text+`}`))
		switch {
		case err != nil:
			return err
		case status < 300, strings.Contains(string(answer), "resource_already_exists_exception"), strings.Contains(string(answer), "invalid_alias_name_exception"):
			return nil // another copy was faster
		case status == http.StatusBadRequest && text != mapping && strings.Contains(string(answer), "mapper_parsing_exception"):
			continue
		}
		return fmt.Errorf("status %d: %s", status, bounded(answer))
	}
	return errors.New("the cluster knows none of the types that query_attributes may have")
}
