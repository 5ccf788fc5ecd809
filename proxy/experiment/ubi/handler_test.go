package ubi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// kept is a Sink that remembers.
type kept struct {
	mu  sync.Mutex
	all []experiment.Record
}

func (k *kept) Keep(r experiment.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, r)
}

// A desk is a Handler with what it keeps, at a time that stands still.
type desk struct {
	*Handler
	*kept
	now time.Time
	r   *prometheus.Registry
}

func newDesk(o Options) *desk {
	d := &desk{kept: &kept{}, now: date("2026-01-31T12:00:00Z"), r: prometheus.NewPedanticRegistry()}
	o.Sink, o.Now = d.kept, func() time.Time { return d.now }
	d.Handler = New(o, d.r)
	return d
}

func (d *desk) Keep(r experiment.Record) { d.Handler.Keep(r) }

// send posts a body, with headers in pairs, and returns the status and the answer.
func (d *desk) send(t *testing.T, path, body string, headers ...string) (*httptest.ResponseRecorder, answer) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return w, a
}

func (d *desk) counts(t *testing.T, want string) {
	t.Helper()
	families, err := d.r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range families {
		for _, m := range f.Metric {
			lines = append(lines, fmt.Sprintf("%s %s %g", m.Label[0].GetValue(), m.Label[1].GetValue(), m.Counter.GetValue()))
		}
	}
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("counted\n%s\nwant\n%s", got, want)
	}
}

func TestHandler(t *testing.T) {
	d := newDesk(Options{})
	d.Keep(experiment.Record{Impression: &experiment.Impression{QueryID: "q1"}})
	w, a := d.send(t, "/ubi_events", `[{"action_name":"click","query_id":"q1","timestamp":"2026-01-31T11:59:00Z"},{"action_name":7},{"query_id":"q1"},
		{"action_name":"click","query_id":"elsewhere","timestamp":"2020-01-01T00:00:00Z"},{"action_name":"click","query_id":"q1","timestamp":"2026-01-31T12:06:00Z"},{"action_name":"leave"}]`)
	want := answer{Accepted: 5, Rejected: []rejected{{2, "action_name is missing: say what was done, such as click"}}}
	if diff := cmp.Diff(want, a); diff != "" || w.Code != http.StatusAccepted {
		t.Errorf("status %d (-want +got)\n%s", w.Code, diff)
	}
	d.counts(t, "kept  1\nkept clock 1\nkept no_query 2\nkept unknown_query 1\nrejected malformed 1")
	now := d.now
	for i, want := range []time.Time{now.Add(-time.Minute), now, now, now, now} {
		if e := d.all[i].Event; !e.Time.Equal(want) || !e.Seen.Equal(now) {
			t.Errorf("event %d: got %v, seen %v, want %v", i, e.Time, e.Seen, want)
		}
	}
	if w, a := d.send(t, "/some/ubi_queries/", `{"query_id":"q1","user_query":"red"}`); w.Code != http.StatusAccepted || a.Accepted != 1 || d.all[5].Query.Words != "red" {
		t.Errorf("a query: got %d %+v", w.Code, a)
	}
}

func TestHandlerRefuses(t *testing.T) {
	d := newDesk(Options{})
	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		err                      string
	}{
		{"another path", "POST", "/ubi", "", nil, 404, "events go to ubi_events"},
		{"another method", "GET", "/ubi_events", "", nil, 405, "send by POST"},
		{"options without origins", "OPTIONS", "/ubi_events", "", []string{"Access-Control-Request-Method", "POST"}, 405, "send by POST"},
		{"nothing", "POST", "/ubi_events", "", nil, 400, "the body is empty"},
		{"too large", "POST", "/ubi_events", strings.Repeat(" ", maxBody+1), nil, 413, "the body has more than 1048576 bytes"},
		{"compressed", "POST", "/ubi_events", "x", []string{"Content-Encoding", "gzip"}, 415, "the body is compressed"},
		{"another's page", "POST", "/ubi_events", "[]", []string{"Origin", "https://other.example"}, 403, "pages of https://other.example may not send here"},
		{"a page of nobody's", "POST", "/ubi_events", "[]", []string{"Origin", "null"}, 403, "pages of null may not send here"},
		{"nothing acceptable", "POST", "/ubi_events", "[1,{}]", nil, 400, ""},
		{"our own page", "POST", "/ubi_events", "[]", []string{"Origin", "http://example.com"}, 202, ""},
		{"an empty list", "POST", "/ubi_events", " [ ] ", nil, 202, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
			for i := 0; i < len(test.headers); i += 2 {
				r.Header.Set(test.headers[i], test.headers[i+1])
			}
			w := httptest.NewRecorder()
			d.ServeHTTP(w, r)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.err) {
				t.Errorf("got %d %s, want %d %q", w.Code, w.Body, test.status, test.err)
			}
			if w.Code == 405 && w.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	broken := httptest.NewRequest(http.MethodPost, "/ubi_events", io.MultiReader(strings.NewReader("["), brokenReader{}))
	w := httptest.NewRecorder()
	d.ServeHTTP(w, broken)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "broke off") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if len(d.all) != 0 {
		t.Errorf("kept %d", len(d.all))
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestHandlerOrigins(t *testing.T) {
	d := newDesk(Options{Origins: []string{"https://shop.example"}})
	r := httptest.NewRequest(http.MethodOptions, "/ubi_events", nil)
	r.Header.Set("Origin", "https://shop.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "https://shop.example" || w.Header().Get("Access-Control-Allow-Methods") != "POST" ||
		!strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Content-Type") || w.Header().Get("Vary") != "Origin" {
		t.Errorf("preflight: got %d %v", w.Code, w.Header())
	}
	if w, _ := d.send(t, "/ubi_events", "[]", "Origin", "https://shop.example"); w.Code != 202 || w.Header().Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if w, _ := d.send(t, "/ubi_events", "[]", "Origin", "https://shop.example.evil"); w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if w, _ := d.send(t, "/ubi_events", "[]"); w.Code != 202 {
		t.Errorf("no browser: got %d", w.Code)
	}
	d.Allow([]string{"https://other.example"})
	for origin, status := range map[string]int{"https://shop.example": 403, "https://other.example": 202} {
		if w, _ := d.send(t, "/ubi_events", "[]", "Origin", origin); w.Code != status {
			t.Errorf("another configuration: %s: got %d, want %d", origin, w.Code, status)
		}
	}
	if w, _ := newDesk(Options{Origins: []string{"*"}}).send(t, "/ubi_events", "[]", "Origin", "https://any.example"); w.Code != 202 {
		t.Errorf("any: got %d", w.Code)
	}
}

// A replay is dropped for ten minutes at least, and whatever differs in what makes an event is none.
func TestHandlerReplays(t *testing.T) {
	d := newDesk(Options{})
	const event = `{"action_name":"click","query_id":"q","client_id":"c","timestamp":"2026-01-31T12:00:00Z","event_attributes":{"object":{"object_id":"o"},"position":{"ordinal":1}}}`
	if _, a := d.send(t, "/ubi_events", "["+event+","+event+"]"); a.Accepted != 1 || a.Dropped != 1 {
		t.Errorf("at once: got %+v", a)
	}
	d.now = d.now.Add(9 * time.Minute)
	if w, a := d.send(t, "/ubi_events", event); a.Accepted != 0 || a.Dropped != 1 || w.Code != http.StatusAccepted {
		t.Errorf("after nine minutes: got %d %+v", w.Code, a)
	}
	for _, other := range [][2]string{{"click", "view"}, {`"q"`, `"q2"`}, {`"c"`, `"c2"`}, {"12:00:00", "12:00:01"}, {`"o"`, `"o2"`}, {":1}", ":2}"}} {
		if _, a := d.send(t, "/ubi_events", strings.Replace(event, other[0], other[1], 1)); a.Accepted != 1 {
			t.Errorf("with %s for %s: got %+v", other[1], other[0], a)
		}
	}
	d.now = d.now.Add(21 * time.Minute)
	if _, a := d.send(t, "/ubi_events", event); a.Accepted != 1 {
		t.Errorf("after half an hour: got %+v", a)
	}
	d.counts(t, "dropped replayed 2\nkept unknown_query 8")
}

func TestHandlerStrict(t *testing.T) {
	d := newDesk(Options{Strict: true})
	d.Keep(experiment.Record{Impression: &experiment.Impression{QueryID: "q1"}})
	if _, a := d.send(t, "/ubi_events", `[{"action_name":"click","query_id":"q1"},{"action_name":"click","query_id":"q2"},{"action_name":"click"}]`); a.Accepted != 1 || a.Dropped != 2 {
		t.Errorf("got %+v", a)
	}
	d.now = d.now.Add(3 * time.Hour)
	if _, a := d.send(t, "/ubi_events", `{"action_name":"view","query_id":"q1"}`); a.Dropped != 1 {
		t.Errorf("after three hours: got %+v", a)
	}
	d.counts(t, "dropped unknown_query 3\nkept  1")
}

func TestHandlerFlooded(t *testing.T) {
	events := func(n, from int, client string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `{"action_name":"click","message":"%d","client_id":"%s"}`+"\n", from+i, client)
		}
		return b.String()
	}
	address := ""
	d := newDesk(Options{Rate: 10, Total: 1000, Address: func(*http.Request) string { return address }})
	address = "one"
	if w, a := d.send(t, "/ubi_events", events(1001, 0, "")); w.Code != 202 || a.Accepted != 1000 || len(a.Rejected) != 1 || a.Rejected[0].Index != 1000 {
		t.Errorf("more than a thousand: got %d, %d kept, %+v", w.Code, a.Accepted, a.Rejected)
	}
	w, _ := d.send(t, "/ubi_events", events(1, 2000, ""))
	if w.Code != 429 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("one more: got %d %v %s", w.Code, w.Header(), w.Body)
	}
	d.now = d.now.Add(time.Second)
	if w, a := d.send(t, "/ubi_events", events(120, 3000, "")); w.Code != 202 || a.Accepted != 100 || len(a.Rejected) != 20 {
		t.Errorf("a second later: got %d, %d kept", w.Code, a.Accepted)
	}
	// One client id from many addresses.
	accepted := 0
	for i := range 20 {
		address = fmt.Sprint("address ", i)
		w, a := d.send(t, "/ubi_events", events(100, 10_000+100*i, "c"))
		if accepted += a.Accepted; a.Accepted == 0 && w.Code != 429 {
			t.Errorf("nothing kept: got %d", w.Code)
		}
	}
	if accepted > 1000 || accepted < 900 {
		t.Errorf("of one client id: kept %d, want 1000", accepted)
	}
	// All together.
	d.now = d.now.Add(time.Second)
	accepted = 0
	for i := range 50 {
		address = fmt.Sprint("more ", i)
		_, a := d.send(t, "/ubi_events", events(100, 20_000+100*i, fmt.Sprint("c", i)))
		accepted += a.Accepted
	}
	if accepted > 2000 {
		t.Errorf("in all: kept %d, want 2000 at most", accepted)
	}
}

// Whatever is sent at the same time, everything is counted once.
func TestHandlerAtOnce(t *testing.T) {
	d := newDesk(Options{Rate: 1e6, Total: 1e6})
	var group sync.WaitGroup
	var mu sync.Mutex
	accepted := 0
	for i := range 16 {
		group.Go(func() {
			for k := range 10 {
				_, a := d.send(t, "/ubi_events", fmt.Sprintf(`[{"action_name":"click","query_id":"%d"},{"action_name":"click","query_id":"%d-%d"}]`, k, i, k))
				mu.Lock()
				accepted += a.Accepted
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if accepted != 10+160 || len(d.all) != accepted {
		t.Errorf("got %d accepted, %d kept, want 170", accepted, len(d.all))
	}
}

func TestRecent(t *testing.T) {
	at := date("2026-01-31T12:00:00Z")
	r := newRecent[int, string](time.Minute, 3)
	for i := range 100 {
		r.put(i, fmt.Sprint(i), at)
		if n := len(r.young) + len(r.old); n > 6 {
			t.Fatalf("%d entries", n)
		}
		if v, ok := r.get(max(0, i-1), at); !ok || v != fmt.Sprint(max(0, i-1)) {
			t.Fatalf("one of the last three that were touched, %d, is gone", max(0, i-1))
		}
	}
	if _, ok := r.get(99, at.Add(59*time.Second)); !ok {
		t.Error("gone before its time")
	}
	if _, ok := r.get(99, at.Add(119*time.Second)); !ok {
		t.Error("gone although it was touched")
	}
	if _, ok := r.get(99, at.Add(10*time.Minute)); ok || len(r.young)+len(r.old) > 0 {
		t.Error("kept beyond its time")
	}
}

// BenchmarkHandler takes in a click as a browser sends it.
func BenchmarkHandler(b *testing.B) {
	d := newDesk(Options{Rate: 1e9, Total: 1e9})
	d.Handler.options.Sink = nothing{}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		d.now = d.now.Add(time.Millisecond)
		body := fmt.Sprintf(`[{"action_name":"click","query_id":"7ae52966-0ac7-4c44-8f9e-1f9b5f3a8d3b","client_id":"a-browser","timestamp":"2026-01-31T12:00:00Z","user_query":"red shoes",
			"event_attributes":{"object":{"object_id":"sku-%d","object_id_field":"sku"},"position":{"ordinal":3}}}]`, i)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/ubi_events", strings.NewReader(body)))
		if w.Code != 202 {
			b.Fatal(w.Code, w.Body)
		}
	}
}

type nothing struct{}

func (nothing) Keep(experiment.Record) {}
