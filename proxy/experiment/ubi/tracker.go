package ubi

import (
	"cmp"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// A Tracker concludes from the traffic what nobody tells: that a hit was fetched by its id soon after it was shown, that the next page
// was asked for, that another query followed at once. It remembers a few pages of each client for as long as something may follow from
// them, and nothing of who the client is but a number.
//
// It is for traffic in which a client is a person: where an application's server fetches every hit of every page by its id, the
// conclusions are worth nothing. It is safe for concurrent use.
type Tracker struct {
	options TrackerOptions
	seed    maphash.Seed

	mu      sync.Mutex
	clients *recent[uint64, *trail]
}

// TrackerOptions says how long and how much is remembered. The zero value has the defaults.
type TrackerOptions struct {
	Window  time.Duration // within which what follows a page is taken to follow from it; 0: 30 minutes
	Soon    time.Duration // within which another query is a reformulation; 0: 30 seconds
	Clients int           // remembered at once, the longest ago gone first; 0: 20,000
}

// What is remembered of one client.
const (
	maxPages   = 3
	maxOfAPage = 100 // hits
)

// typing is within how much time a query that goes on where the last one ended is one that is still being written, as instant search
// sends it: not a reformulation.
const typing = 2 * time.Second

// NewTracker makes a Tracker.
func NewTracker(o TrackerOptions) *Tracker {
	o.Window = cmp.Or(o.Window, 30*time.Minute)
	o.Soon = cmp.Or(o.Soon, 30*time.Second)
	o.Clients = cmp.Or(o.Clients, 20_000)
	return &Tracker{options: o, seed: maphash.MakeSeed(), clients: newRecent[uint64, *trail](o.Window, max(o.Clients/2, 1))}
}

// A trail is the pages that a client was shown last, the last one at [0].
type trail struct{ pages [maxPages]page }

type page struct {
	of     experiment.Impression // without its hits
	search uint64
	hits   []fetchable
}

// fetchable is a hit that was not fetched yet, by digests of its id and its index.
type fetchable struct{ id, index uint64 }

// Shown notes a page. It returns what follows from it of the page before: that more of the same search was wanted (page), or something
// else (reformulation); ok is false where nothing does. client stands for whoever asks, 0 for nobody known, and search for what was asked
// but for the page: the same for every page of one search.
func (t *Tracker) Shown(client, search uint64, i *experiment.Impression) (e experiment.Event, ok bool) {
	if client == 0 {
		return e, false
	}
	next := page{of: *i, search: search, hits: make([]fetchable, min(len(i.Hits), maxOfAPage))}
	next.of.Hits, next.of.Design, next.of.Attributes = nil, nil, nil
	for k := range next.hits {
		next.hits[k] = fetchable{t.digest(i.Hits[k].ID), t.digest(i.Hits[k].Index)}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	of, known := t.clients.get(client, i.Time)
	if !known {
		of = &trail{}
		t.clients.put(client, of, i.Time)
	}
	before := of.pages[0]
	switch {
	case !known || before.search != search || before.of.From != i.From:
		copy(of.pages[1:], of.pages[:])
	case before.of.QueryID == i.QueryID: // a reload: what was fetched stays fetched
		return e, false
	}
	of.pages[0] = next
	if !known {
		return e, false
	}
	since := i.Time.Sub(before.of.Time)
	switch {
	case since < 0 || since > t.options.Window:
		return e, false
	case before.search == search && i.From > before.of.From:
		return before.event("page", "page", i.Time), true
	case before.search != search && i.From == 0 && since <= t.options.Soon && reformulated(before.of.Words, i.Words, since):
		return before.event("reformulation", "reformulation", i.Time), true
	}
	return e, false
}

// reformulated reports whether the words differ in more than having been typed further.
func reformulated(before, now string, since time.Duration) bool {
	before, now = normal(before), normal(now)
	if before == "" || now == "" || before == now {
		return false
	}
	return since > typing || !strings.HasPrefix(now, before) && !strings.HasPrefix(before, now)
}

func normal(words string) string { return strings.ToLower(strings.Join(strings.Fields(words), " ")) }

// Fetched tells of a document that was fetched by its id, GET /{index}/_doc/{id}. It returns the click that it is where the client was
// shown that document lately, found in that index, or by a search of an index of that name. Fetched again, it is no other click.
func (t *Tracker) Fetched(client uint64, index, id string, now time.Time) (e experiment.Event, ok bool) {
	if client == 0 {
		return e, false
	}
	wanted := fetchable{t.digest(id), t.digest(index)}
	t.mu.Lock()
	defer t.mu.Unlock()
	of, known := t.clients.get(client, now)
	if !known {
		return e, false
	}
	for k := range of.pages {
		p := &of.pages[k]
		since := now.Sub(p.of.Time)
		if p.of.QueryID == "" || since < 0 || since > t.options.Window {
			continue
		}
		for i, hit := range p.hits {
			if hit.id != wanted.id || hit.index != wanted.index && !names(p.of.Index, index) {
				continue
			}
			p.hits[i] = fetchable{}
			e = p.event("click", "get", now)
			e.Object, e.Position = id, p.of.From+i+1
			return e, true
		}
	}
	return e, false
}

// names reports whether an index expression names that index as it stands.
func names(expression, index string) bool {
	for name := range strings.SplitSeq(expression, ",") {
		if name == index {
			return true
		}
	}
	return false
}

// digest is never 0, which is a hit that was fetched.
func (t *Tracker) digest(s string) uint64 { return maphash.String(t.seed, s) | 1 }

// event is what became of the page.
func (p *page) event(action, implicit string, now time.Time) experiment.Event {
	return experiment.Event{
		Action: action, Implicit: implicit, QueryID: p.of.QueryID, Time: now, Seen: now,
		Client: p.of.Client, Application: p.of.Application, Words: p.of.Words,
	}
}
