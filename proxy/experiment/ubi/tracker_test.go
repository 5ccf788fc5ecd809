package ubi

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// shows is a page of a search, so long after noon.
func shows(id, words string, from int, after time.Duration, hits ...string) *experiment.Impression {
	i := &experiment.Impression{QueryID: id, Words: words, From: from, Time: date("2026-01-31T12:00:00Z").Add(after), Index: "shop,other", Client: "c", Application: "app"}
	for _, hit := range hits {
		i.Hits = append(i.Hits, experiment.Shown{Index: "shop-v2", ID: hit})
	}
	return i
}

func TestTrackerClicks(t *testing.T) {
	noon := date("2026-01-31T12:00:00Z")
	for _, test := range []struct {
		name, index, id string
		client          uint64
		after           time.Duration
		position        int // 0: no click
	}{
		{"a hit of the first page", "shop-v2", "b", 1, time.Minute, 2},
		{"a hit of the second page", "shop-v2", "d", 1, time.Minute, 11},
		{"by a name that was searched", "shop", "a", 1, time.Minute, 1},
		{"of another index", "users", "a", 1, time.Minute, 0},
		{"what was not shown", "shop-v2", "z", 1, time.Minute, 0},
		{"another client's", "shop-v2", "a", 2, time.Minute, 0},
		{"nobody's", "shop-v2", "a", 0, time.Minute, 0},
		{"too late", "shop-v2", "a", 1, 31 * time.Minute, 0},
		{"before it was shown", "shop-v2", "a", 1, -time.Second, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := NewTracker(TrackerOptions{})
			tr.Shown(1, 7, shows("q1", "red", 0, 0, "a", "b", "c"))
			tr.Shown(1, 7, shows("q2", "red", 10, 5*time.Second, "d", "e"))
			e, ok := tr.Fetched(test.client, test.index, test.id, noon.Add(test.after))
			if ok != (test.position > 0) || e.Position != test.position {
				t.Fatalf("got %+v, %t, want position %d", e, ok, test.position)
			}
			if !ok {
				return
			}
			if e.Action != "click" || e.Implicit != "get" || e.Object != test.id || e.QueryID != map[bool]string{true: "q2", false: "q1"}[test.position > 10] || e.Client != "c" || e.Words != "red" || e.Application != "app" {
				t.Errorf("got %+v", e)
			}
			if again, ok := tr.Fetched(test.client, test.index, test.id, noon.Add(test.after)); ok {
				t.Errorf("twice: got %+v", again)
			}
		})
	}
}

func TestTrackerFollows(t *testing.T) {
	for _, test := range []struct {
		name string
		next *experiment.Impression
		of   uint64 // what is searched for; 7 before
		want string
	}{
		{"the next page", shows("q2", "red", 10, 20*time.Minute), 7, "page"},
		{"a page further on", shows("q2", "red", 40, time.Second), 7, "page"},
		{"the same page", shows("q2", "red", 0, time.Second), 7, ""},
		{"the next page, late", shows("q2", "red", 10, 40*time.Minute), 7, ""},
		{"other words", shows("q2", "blue", 0, 29*time.Second), 8, "reformulation"},
		{"more words", shows("q2", "red shoes", 0, 10*time.Second), 8, "reformulation"},
		{"more letters, typed", shows("q2", "red sh", 0, time.Second), 8, ""},
		{"fewer letters, typed", shows("q2", "re", 0, time.Second), 8, ""},
		{"other words, late", shows("q2", "blue", 0, 31*time.Second), 8, ""},
		{"the same words, filtered", shows("q2", " Red ", 0, 10*time.Second), 8, ""},
		{"no words", shows("q2", "", 0, 10*time.Second), 8, ""},
		{"another's second page", shows("q2", "blue", 10, 10*time.Second), 8, ""},
		{"a clock that runs back", shows("q2", "blue", 0, -time.Second), 8, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := NewTracker(TrackerOptions{})
			if e, ok := tr.Shown(1, 7, shows("q1", "red", 0, 0, "a")); ok {
				t.Errorf("the first page: got %+v", e)
			}
			e, ok := tr.Shown(1, test.of, test.next)
			if ok != (test.want != "") || e.Implicit != test.want {
				t.Fatalf("got %+v, %t, want %q", e, ok, test.want)
			}
			if ok && (e.QueryID != "q1" || !e.Time.Equal(test.next.Time) || e.Object != "" || e.Action != test.want) {
				t.Errorf("got %+v", e)
			}
			if e, ok := tr.Shown(2, test.of, test.next); ok {
				t.Errorf("another client: got %+v", e)
			}
			if e, ok := tr.Shown(0, test.of, test.next); ok {
				t.Errorf("nobody: got %+v", e)
			}
		})
	}
}

// A reload under the same query id makes no second click of a hit that was fetched.
func TestTrackerReload(t *testing.T) {
	tr := NewTracker(TrackerOptions{})
	noon := date("2026-01-31T12:00:00Z")
	tr.Shown(1, 7, shows("q", "red", 0, 0, "a"))
	if _, ok := tr.Fetched(1, "shop", "a", noon); !ok {
		t.Fatal("no click")
	}
	tr.Shown(1, 7, shows("q", "red", 0, time.Second, "a"))
	if e, ok := tr.Fetched(1, "shop", "a", noon.Add(time.Minute)); ok {
		t.Errorf("got %+v", e)
	}
	tr.Shown(1, 7, shows("q2", "red", 0, time.Minute, "a"))
	if e, ok := tr.Fetched(1, "shop", "a", noon.Add(time.Minute)); !ok || e.QueryID != "q2" {
		t.Errorf("under another id: got %+v, %t", e, ok)
	}
}

// TestTrackerProperty: of whatever happens, every click is of a hit that this client was shown within the window, and no hit of a page is
// clicked twice; memory stays bounded.
func TestTrackerProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const clients = 3
		tr := NewTracker(TrackerOptions{Window: time.Minute, Clients: 4})
		now := date("2026-01-31T12:00:00Z")
		shown := map[string]time.Time{} // by client, query and document
		clicked := map[string]bool{}
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			client := uint64(rapid.IntRange(1, clients).Draw(t, "client"))
			if rapid.Bool().Draw(t, "shows") {
				i := shows(fmt.Sprint("q", step), rapid.SampledFrom([]string{"red", "blue", ""}).Draw(t, "words"), 10*rapid.IntRange(0, 2).Draw(t, "page"), 0)
				i.Time = now
				for _, id := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4, rapid.ID).Draw(t, "hits") {
					i.Hits = append(i.Hits, experiment.Shown{Index: "shop", ID: id})
					shown[fmt.Sprint(client, i.QueryID, id)] = now
				}
				if e, ok := tr.Shown(client, uint64(len(i.Words)), i); ok && e.QueryID == i.QueryID {
					t.Fatalf("%+v follows from itself", e)
				}
			} else if e, ok := tr.Fetched(client, "shop", rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "id"), now); ok {
				key := fmt.Sprint(client, e.QueryID, e.Object)
				at, was := shown[key]
				if !was || now.Sub(at) > time.Minute || clicked[key] {
					t.Fatalf("%+v: shown %t at %v, clicked %t, now %v", e, was, at, clicked[key], now)
				}
				clicked[key] = true
			}
			if n := len(tr.clients.young) + len(tr.clients.old); n > 4 {
				t.Fatalf("%d clients are remembered", n)
			}
		}
	})
}

// BenchmarkTracker notes a page of 24 hits among 10,000 clients, and a fetch of its last hit.
func BenchmarkTracker(b *testing.B) {
	tr := NewTracker(TrackerOptions{})
	var hits []string
	for i := range 24 {
		hits = append(hits, fmt.Sprint("document-", i))
	}
	i := shows("7ae52966-0ac7-4c44-8f9e-1f9b5f3a8d3b", "waterproof hiking boots", 0, 0, hits...)
	b.Run("shown", func(b *testing.B) {
		b.ReportAllocs()
		n := uint64(0)
		for b.Loop() {
			n++
			i.Time = i.Time.Add(time.Microsecond)
			tr.Shown(n%10_000+1, n, i)
		}
	})
	b.Run("fetched", func(b *testing.B) {
		b.ReportAllocs()
		n := uint64(0)
		for b.Loop() {
			n++
			tr.Fetched(n%10_000+1, "another", "document-23", i.Time)
		}
	})
}
