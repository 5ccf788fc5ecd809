package proxy

import (
	"crypto/sha256"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/search"
)

// Two variants of an experiment may share each page. The window is fetched once and each ranks it, at the same time and with a budget of its
// own; the page is drafted from both orders. As an order is remembered for the pages that follow, and the draft is a function of both orders
// and a seed that all pages of a search have in common, page 2 goes on where page 1 ended.
//
// Where one of the rankings is missing there is nothing to be drafted: the page is the control's, and its impression says so.

// compete makes a rival of each variant: a search for the same, which its rule governs.
func (s *searching) compete(e *Experiment) []*searching {
	rivals := make([]*searching, 2)
	for i, r := range e.Rules[:2] {
		rivals[i] = &searching{
			exchange: s.exchange, record: &record{indices: s.indices, rule: s.rule, words: s.words},
			parsed: s.parsed, ruled: r, asItComes: s.asItComes, rival: true,
		}
		if r.reranks() {
			rivals[i].follow(r, s.live.variants[s.covering][i])
		}
	}
	return rivals
}

// planRivals plans both, and lets the search fetch what either needs.
func (s *searching) planRivals(override search.Override) bool {
	for _, r := range s.rivals {
		if r.ruled.reranks() && r.reason == "" && r.planHits(override) {
			s.depth = max(s.depth, r.depth)
			s.fields = union(s.fields, r.fields)
		}
	}
	control, other := s.rivals[0], s.rivals[1]
	alone := control.reason != "" || other.reason != ""
	switch {
	case !alone && s.depth == 0:
		s.skip(search.Variant, "both have the cluster's order", nil)
	case !alone && s.parsed.From() >= s.depth:
		s.skip(search.BeyondWindow, "", nil)
	case !alone:
		return true
	case control.reason == "" && control.ruled.reranks() && s.parsed.From() < control.depth:
		s.trial.spoiled, s.rivals = other.reason, nil
		s.follow(control.ruled, templateOrErr{Template: control.template})
		s.depth, s.fields = control.depth, control.fields
		return true
	}
	s.skip(control.reason, control.detail, control.err)
	s.skip(other.reason, other.detail, other.err)
	s.trial.spoiled, s.rivals = s.reason, nil
	return false
}

func union(a, b []string) []string {
	for _, name := range b {
		if !slices.Contains(a, name) {
			a = append(slices.Clip(a), name)
		}
	}
	return a
}

// offerRivals makes the window of each.
func (s *searching) offerRivals() bool {
	d := sha256.New()
	for _, r := range s.rivals {
		wide := *s.wide
		wide.Window = min(wide.Window, r.depth)
		r.wide, r.hits = &wide, s.hits
		if !r.ruled.reranks() {
			number(d, 0)
			continue
		}
		if !r.offer() {
			s.skip(r.reason, r.detail, r.err)
			s.trial.spoiled = r.reason
			return false
		}
		number(d, 1)
		d.Write(r.window[:])
	}
	number(d, s.seed)
	d.Sum(s.window[:0])
	return true
}

// rankRivals finds both orders, and drafts the page of them. Where both would rank alike, they have one ranking.
func (s *searching) rankRivals(received time.Time) {
	control, other := s.rivals[0], s.rivals[1]
	alike := control.ruled.reranks() && other.ruled.reranks() && control.window == other.window
	var group sync.WaitGroup
	for _, r := range s.rivals {
		if r.ruled.reranks() && !(alike && r == other) {
			group.Go(func() { r.rank(received) })
		}
	}
	group.Wait()
	if alike {
		other.adopt(control)
	}
	s.stages = slices.Concat(control.stages, other.stages)
	if control.reason == "" && other.reason == "" {
		s.draft()
		return
	}
	// Alone, the control: its own order, or the cluster's where it has none.
	s.order, s.applied, s.remembered, s.ruled = control.order, control.applied, control.remembered, control.ruled
	s.trial.spoiled = control.reason
	if s.trial.spoiled == "" {
		s.trial.spoiled = other.reason
	}
	if !s.applied {
		s.skip(control.reason, control.detail, control.err)
		s.skip(other.reason, other.detail, other.err)
	}
}

// draft makes one order of both. Its scores are those of the rank scale, as values of two rankings cannot stand beside each other.
func (s *searching) draft() {
	control, other := s.rivals[0], s.rivals[1]
	window := min(s.wide.Window, s.hits.Hits())
	order, teams := experiment.Draft(control.whole(window), other.whole(window), s.seed)
	r := &ranked{order: make([]int32, window), scores: make([]float32, window), judged: make([]judged, window), stages: s.stages}
	ours, theirs := control.judgements(window, 0), other.judgements(window, len(control.stages))
	for place, hit := range order {
		r.order[place], r.scores[place] = int32(hit), float32(1/float64(place+1))
		if r.judged[place] = theirs[hit]; teams[place] == experiment.Control {
			r.judged[place] = ours[hit]
		}
	}
	s.order, s.teams, s.applied = r, teams, true
	s.remembered = (control.remembered || control.order == nil) && (other.remembered || other.order == nil)
}

// whole is the order of the first hits, of which a rival may have ranked fewer; the cluster's where it ranks none.
func (s *searching) whole(hits int) []int {
	order := make([]int, hits)
	for i := range order {
		order[i] = i
		if s.order != nil && i < len(s.order.order) {
			order[i] = int(s.order.order[i])
		}
	}
	return order
}

// judgements are how a rival judged the first hits, by hit; its stages follow on so many others.
func (s *searching) judgements(hits, stages int) []judged {
	nan := float32(math.NaN())
	all := slices.Repeat([]judged{{logit: nan, value: nan, stage: -1}}, hits)
	if s.order == nil {
		return all
	}
	for place, j := range s.order.judged {
		if j.stage >= 0 {
			j.stage += int8(stages)
		}
		all[s.order.order[place]] = j
	}
	return all
}
