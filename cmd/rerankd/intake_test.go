package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy/experiment"
)

// Only what the configuration wishes for is concluded from the traffic, and a reload forgets nothing.
func TestImplied(t *testing.T) {
	now := time.Now()
	page := func(id, words string, from int, at time.Time) *experiment.Impression {
		return &experiment.Impression{QueryID: id, Words: words, From: from, Time: at, Index: "shop", Hits: []experiment.Shown{{Index: "shop", ID: "1"}}}
	}
	for _, tt := range []struct{ implicit, want []string }{
		{nil, nil},
		{[]string{"get"}, []string{"get"}},
		{[]string{"page"}, []string{"page"}},
		{[]string{"get", "page", "reformulation"}, []string{"page", "get", "reformulation"}},
	} {
		c := config.Default().Events
		c.Implicit = tt.implicit
		first := impliedBy(c, nil)
		if first == nil {
			if tt.want != nil {
				t.Errorf("%v: nothing is concluded", tt.implicit)
			}
			continue
		}
		var got []string
		note := func(e experiment.Event, ok bool) {
			if ok {
				got = append(got, e.Implicit)
			}
		}
		note(first.Shown(1, 1, page("a", "blue shoes", 0, now)))
		i := impliedBy(c, &assembly{implied: first})
		note(i.Shown(1, 1, page("b", "blue shoes", 10, now.Add(time.Second))))
		note(i.Fetched(1, "shop", "1", now.Add(2*time.Second)))
		note(i.Shown(1, 2, page("c", "red hats", 0, now.Add(9*time.Second))))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: concluded (-want +got):\n%s", tt.implicit, diff)
		}
		c.Window = config.Duration(time.Hour)
		if other := impliedBy(c, &assembly{implied: first}); other.tracker == first.tracker {
			t.Error("another window is followed by the tracker of the one before")
		}
	}
}

// startEvents starts the program with so much said of events. Its stop must follow.
func startEvents(t *testing.T, events string) *service {
	t.Helper()
	p := newTestProgram(t)
	c, err := p.load("admin: { listen: '127.0.0.1:0' }\nlisten: 127.0.0.1:0\nevents: { " + events + " }")()
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{lookup: func(string) (string, bool) { return "", false }, open: p.program.open}
	s, err := startService(t.Context(), e, c, p.program.logger, p.program.recent)
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	return s
}

// Pages of an application send events to the admin listener, from the origins that the configuration names, where all else that comes from
// elsewhere is refused.
func TestEventsFromElsewhere(t *testing.T) {
	s := startEvents(t, "sink: file, directory: "+t.TempDir()+", origins: ['https://shop.example']")
	defer s.stop(0, time.Second)
	const click = `[{"action_name":"click","query_id":"q","timestamp":"2026-01-31T12:00:00Z"}]`
	for origin, want := range map[string]int{"https://shop.example": http.StatusAccepted, "https://other.example": http.StatusForbidden} {
		req, err := http.NewRequest("POST", s.adminURL+"/ubi_events", strings.NewReader(click))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("from %s: got %d, want %d", origin, res.StatusCode, want)
		}
	}
}

// A client is where a request comes from, behind proxies that are known and no further: what others write into the header is not believed.
func TestForwarded(t *testing.T) {
	var trusted [2]config.Network
	for i, text := range []string{"10.0.0.0/8", "192.0.2.1"} {
		if err := trusted[i].UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	of := forwarded(trusted[:])
	for _, tt := range []struct{ connection, header, want string }{
		{"10.1.1.1:5", "203.0.113.7", "203.0.113.7"},
		{"10.1.1.1:5", "203.0.113.7, 192.0.2.1", "203.0.113.7"},
		{"10.1.1.1:5", "127.0.0.1, 203.0.113.7, 10.2.2.2", "203.0.113.7"},
		{"10.1.1.1:5", "", "10.1.1.1"},
		{"203.0.113.9:5", "127.0.0.1", "203.0.113.9"},
		{"127.0.0.1:5", "203.0.113.7", "127.0.0.1"},
	} {
		r := &http.Request{RemoteAddr: tt.connection, Header: http.Header{}}
		if tt.header != "" {
			r.Header.Set("X-Forwarded-For", tt.header)
		}
		if got := of(r); got != tt.want {
			t.Errorf("from %s, for %q: got %s, want %s", tt.connection, tt.header, got, tt.want)
		}
	}
}

// What the configuration says of events holds for those that come.
func TestEventsAsConfigured(t *testing.T) {
	directory := t.TempDir()
	s := startEvents(t, "sink: file, directory: "+directory+", rate: 6, trusted_proxies: [127.0.0.1], first_position: 0, unknown: keep")
	send := func(from, body string) (accepted int) {
		req, err := http.NewRequest("POST", s.adminURL+"/ubi_events", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", from)
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer struct{ Accepted int }
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer.Accepted
	}
	const click = `{"action_name":"click","query_id":"q","event_attributes":{"object":{"object_id":"a"},"position":{"ordinal":0}}}`
	times := func(n int, query string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.Replace(click, `"q"`, fmt.Sprintf("%q", fmt.Sprint(query, i)), 1) + "\n")
		}
		return b.String()
	}
	if send("203.0.113.1", click) != 1 || send("203.0.113.2", times(1000, "a")) != 1000 {
		t.Fatal("an event was not taken")
	}
	if first, second := send("203.0.113.2", times(100, "b")), send("203.0.113.3", times(100, "c")); first == 100 || second != 100 {
		t.Errorf("of a hundred events more got %d taken from where a thousand came, and %d from elsewhere; want less, and all: behind a proxy they are not the same", first, second)
	}
	s.stop(0, time.Second)
	files, err := filepath.Glob(filepath.Join(directory, "*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("got %q, %v", files, err)
	}
	kept, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(kept), `"position":1`) {
		t.Errorf("got %.300s, %v; want the first place, which the application calls 0, as 1", kept, err)
	}
}
