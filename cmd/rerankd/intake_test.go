package main

import (
	"net/http"
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

// Pages of an application send events to the admin listener, from the origins that the configuration names, where all else that comes from
// elsewhere is refused.
func TestEventsFromElsewhere(t *testing.T) {
	p := newTestProgram(t)
	c, err := p.load("admin: { listen: '127.0.0.1:0' }\nlisten: 127.0.0.1:0\nevents: { sink: file, directory: " + t.TempDir() + ", origins: ['https://shop.example'] }")()
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{lookup: func(string) (string, bool) { return "", false }, open: p.program.open}
	s, err := startService(t.Context(), e, c, p.program.logger, p.program.recent)
	if err != nil {
		t.Fatal(err)
	}
	p.close()
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
