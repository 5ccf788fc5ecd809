package verdict

import (
	"cmp"
	"slices"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// Clicks count what became of the events.
type Clicks struct {
	Counted  int `json:"counted"`  // clicks on what was shown, within the window, each hit of a search once
	Implicit int `json:"implicit"` // of those, concluded from the traffic

	Duplicate int `json:"duplicate"`   // the same event again
	Repeated  int `json:"repeated"`    // another click on a hit of the same search
	NotShown  int `json:"not_shown"`   // on what was not on the pages of the search
	Early     int `json:"early"`       // before what they are on was shown
	Late      int `json:"late"`        // after the attribution window, or told after it
	NoObject  int `json:"no_object"`   // that do not say on what
	Elsewhere int `json:"elsewhere"`   // of searches that are not in this experiment
	Pages     int `json:"same_pages"`  // impressions that are in the files twice
	Mixed     int `json:"mixed_pages"` // pages of another search than the first that has their query id
}

// A search is a query id: its pages, and the clicks on them in order of time.
type search struct {
	query   uint64
	pages   []*page // in order of time; the first says what the search is assigned to
	clicks  []click
	actions map[string]int // that are not clicks
}

type click struct {
	at      int64
	rank    int // from 1, over all pages
	team    int8
	counted bool // on a page that has both rankings, where that matters
}

func (s *search) page() *page { return s.pages[0] }

// A unit is whoever or whatever had to get one variant.
type unit struct {
	id       uint64
	first    int64 // when it was first seen
	searches []*search
	crossed  bool // has had several variants
}

func (u *unit) page() *page { return u.searches[0].page() }

// joined is an experiment's searches with what became of them.
type joined struct {
	searches []*search // in order of time
	units    []*unit   // in order of their first search
	clicks   Clicks
	orphans  int // see Report
	ahead    Ahead
	end      int64 // when the last thing was recorded, and not later than now
}

// join puts events to the searches that they are of. A search belongs to the experiment of its first page.
func (r *Records) join(name string, o Options) *joined {
	j := &joined{}
	r.events = slices.DeleteFunc(r.events, r.leftOut)
	latest := o.Now.Add(Skew).UnixNano()
	pages, ahead := make([]*page, 0, len(r.pages)), map[uint64]string{} // searches with a page from the future, and of which experiment
	for i := range r.pages {
		p := &r.pages[i]
		if p.at <= latest {
			pages = append(pages, p)
			j.end = max(j.end, p.at)
			continue
		}
		if ahead[p.query] = p.experiment; p.experiment == name {
			j.ahead.add(p.at)
		}
	}
	slices.SortFunc(pages, func(a, b *page) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.query, b.query), cmp.Compare(a.from, b.from))
	})
	type view struct {
		query uint64
		at    int64
		from  int
	}
	searches, views := map[uint64]*search{}, map[view]bool{}
	for _, p := range pages {
		s := searches[p.query]
		if s == nil {
			s = &search{query: p.query}
			searches[p.query] = s
			if p.experiment == name {
				j.searches = append(j.searches, s)
			}
		}
		v := view{p.query, p.at / int64(time.Millisecond), p.from} // which is what a cluster keeps of a time
		if views[v] {
			if s.page0(p).experiment == name {
				j.clicks.Pages++
			}
			continue
		}
		views[v] = true
		if s.page0(p).experiment == name && s.page0(p).another(p) {
			j.clicks.Mixed++
		}
		s.pages = append(s.pages, p)
	}
	ours := func(query uint64) bool { // or nobody knows whose
		if s := searches[query]; s != nil {
			return s.page().experiment == name
		}
		of, known := ahead[query]
		return !known || of == name
	}
	events := make([]*event, 0, len(r.events))
	for i := range r.events {
		e := &r.events[i]
		_, nowhere := ahead[e.query]
		nowhere = nowhere && searches[e.query] == nil
		switch {
		case e.seen <= latest && !nowhere:
			events = append(events, e)
			j.end = max(j.end, e.seen)
		case ours(e.query):
			j.ahead.add(e.seen)
		}
	}
	j.end = min(j.end, o.Now.UnixNano())
	j.attribute(events, searches, name, int64(o.Window))
	j.group()
	return j
}

// page0 is the search's first page, p where it has none yet.
func (s *search) page0(p *page) *page {
	if len(s.pages) == 0 {
		return p
	}
	return s.pages[0]
}

// another says whether a page cannot be of the same search, although it has its query id: somebody else sees it, or it begins the list anew and has
// none of the hits.
func (p *page) another(q *page) bool {
	if q.unit != p.unit {
		return true
	}
	return p.from == 0 && q.from == 0 && len(p.hits) > 0 && len(q.hits) > 0 &&
		!slices.ContainsFunc(q.hits, func(h hit) bool { return slices.ContainsFunc(p.hits, func(o hit) bool { return o.id == h.id }) })
}

// attribute puts clicks to the hits that they are on.
func (j *joined) attribute(events []*event, searches map[uint64]*search, name string, window int64) {
	slices.SortStableFunc(events, func(a, b *event) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seen, b.seen), cmp.Compare(a.object, b.object))
	})
	type key struct {
		query, object uint64
		action        string
	}
	type exact struct {
		key
		at int64
	}
	counted, told := map[key]bool{}, map[exact]bool{}
	for _, e := range events {
		k := key{e.query, e.object, e.action}
		x := exact{k, e.at / int64(time.Millisecond)}
		if told[x] {
			j.clicks.Duplicate++
			continue
		}
		told[x] = true
		s := searches[e.query]
		if s == nil {
			j.orphans++
			continue
		}
		if s.page().experiment != name {
			j.clicks.Elsewhere++
			continue
		}
		if counted[k] {
			j.clicks.Repeated++
			continue
		}
		isClick := e.action == "click"
		var on click
		if e.object != 0 {
			var shown bool
			if on, shown = s.find(e); !shown {
				j.clicks.NotShown++
				continue
			}
		} else if isClick {
			j.clicks.NoObject++
			continue
		} else {
			on.at = s.page().at
		}
		switch {
		case e.at < on.at:
			j.clicks.Early++
			continue
		case e.at > on.at+window, e.seen > on.at+window:
			j.clicks.Late++
			continue
		}
		counted[k] = true
		if !isClick {
			if s.actions == nil {
				s.actions = map[string]int{}
			}
			s.actions[e.action]++
			continue
		}
		j.clicks.Counted++
		if e.implicit {
			j.clicks.Implicit++
		}
		on.at = e.at
		s.clicks = append(s.clicks, on)
	}
}

// find is the hit that an event is about, where it was shown last before the event, or else where it was shown first; at is when.
func (s *search) find(e *event) (on click, shown bool) {
	for _, p := range s.pages {
		if shown && p.at > e.at {
			break
		}
		for place, h := range p.hits {
			if !e.byField && h.id == e.object || !e.byID && h.object == e.object {
				on, shown = click{at: p.at, rank: p.from + place + 1, team: h.team, counted: p.both()}, true
				break
			}
		}
	}
	return on, shown
}

// both says whether an interleaved page is made of both rankings.
func (p *page) both() bool { return p.variant == experiment.Interleaved && p.outcome == "applied" }

// group puts searches to the units that made them. In the shadow everybody has the control: nothing was assigned yet.
func (j *joined) group() {
	units := map[uint64]*unit{}
	shadow := experiment.Step{Shadow: true}.String()
	for _, s := range j.searches {
		p := s.page()
		if p.phase == shadow {
			continue
		}
		u := units[p.unit]
		if u == nil {
			u = &unit{id: p.unit, first: p.at}
			units[p.unit] = u
			j.units = append(j.units, u)
		}
		u.searches = append(u.searches, s)
		if p.variant != u.page().variant {
			u.crossed = true
		}
	}
}

// within is a unit's searches that its score is made of: those of its first hours.
func (u *unit) within(horizon time.Duration) []*search {
	n := 0
	for n < len(u.searches) && u.searches[n].page().at < u.first+int64(horizon) {
		n++
	}
	return u.searches[:max(n, 1)]
}

// reciprocal is the reciprocal rank of the first click, 0 without one.
func (s *search) reciprocal() float64 {
	if len(s.clicks) == 0 {
		return 0
	}
	return 1 / float64(s.clicks[0].rank)
}

// clicked says whether one of the first k hits was.
func (s *search) clicked(k int) bool {
	return slices.ContainsFunc(s.clicks, func(c click) bool { return c.rank <= k })
}

// preference is whose picks were clicked more: 1 the second variant's, -1 the control's, 0 neither's.
func (s *search) preference() int {
	credit := 0
	for _, c := range s.clicks {
		if c.counted {
			credit += int(c.team)
		}
	}
	return cmp.Compare(credit, 0)
}
