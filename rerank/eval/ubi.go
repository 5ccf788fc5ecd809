package eval

import (
	"fmt"
	"strconv"
	"strings"
)

// An export of User Behavior Insights 1.3 tells what was shown and what was clicked: ubi_queries which hits a search had, in order
// (query_response_hit_ids), ubi_events what happened to them. clicks.go makes judgments of it.

// A shown is a search whose hits somebody saw.
type shown struct {
	words string
	hits  []shownHit
}

// A shownHit is one of its documents.
type shownHit struct {
	document string
	other    string // what else it is called: its _id, or the value of another field; ""
	place    int    // from 1; 0: nobody says where it was, or that it was shown at all
	clicked  bool
}

// hit is the search's own of a document, which may have two names. Where it is first said to be, there it was: the order of a response comes
// before what events say.
func (s *shown) hit(document, other string, place int) *shownHit {
	for i := range s.hits {
		h := &s.hits[i]
		if h.document != document && h.document != other && (h.other == "" || h.other != document && h.other != other) {
			continue
		}
		if h.place == 0 {
			h.place = place
		}
		if h.other == "" && other != "" {
			h.other = other
			if h.document == other {
				h.other = document
			}
		}
		return h
	}
	s.hits = append(s.hits, shownHit{document: document, other: other, place: place})
	return &s.hits[len(s.hits)-1]
}

// readUBI reads lines of an export of ubi_queries: the searches, of which those with the same words are one query.
func (s *QuerySet) readUBI(l *lineReader) error {
	s.shown = map[string]*shown{}
	seen := map[string]bool{}
	for l.next() {
		var o struct {
			QueryID    string `json:"query_id"`
			UserQuery  string `json:"user_query"`
			Hits       []any  `json:"query_response_hit_ids"`
			Attributes struct {
				From string `json:"rerankd_from"` // the place of the first hit, from 0, of a page that is not the first
			} `json:"query_attributes"`
		}
		if err := l.object(&o); err != nil {
			return err
		}
		text := words(o.UserQuery)
		if text == "" {
			continue // browsing: nothing was searched for
		}
		if !seen[text] {
			seen[text] = true
			s.Queries = append(s.Queries, Query{text, text})
		}
		if o.QueryID == "" {
			o.QueryID = fmt.Sprint("line ", l.number) // nothing can have been clicked, and all was shown
		}
		if s.shown[o.QueryID] == nil {
			s.shown[o.QueryID] = &shown{words: text}
		}
		from, _ := strconv.Atoi(o.Attributes.From)
		for i, hit := range o.Hits {
			if id := identifier(hit); id != "" {
				s.shown[o.QueryID].hit(id, "", max(from, 0)+i+1)
			}
		}
	}
	return l.err
}

// readEvents reads lines of an export of ubi_events. queries are the searches that they belong to; without them only events count that have
// the words themselves, as those of UBI 1.3 may.
func readEvents(l *lineReader, queries *QuerySet, model Clicks) (*Judgments, error) {
	j := &Judgments{Qrels: Qrels{}}
	var order []string // of the queries
	known := map[string]bool{}
	name := func(query string) {
		if !known[query] {
			known[query] = true
			order = append(order, query)
		}
	}
	all := map[string]*shown{}
	if queries != nil {
		for _, q := range queries.Queries {
			name(q.Text)
		}
		for id, s := range queries.shown {
			all[id] = &shown{s.words, append([]shownHit(nil), s.hits...)}
		}
	}
	for l.next() {
		var o struct {
			Action     string `json:"action_name"`
			QueryID    string `json:"query_id"`
			UserQuery  string `json:"user_query"`
			Attributes struct {
				Object struct {
					ObjectID   any `json:"object_id"`
					InternalID any `json:"internal_id"` // the _id, where object_id is another field
				} `json:"object"`
				Position struct {
					Ordinal any `json:"ordinal"` // from 1; UBI 1.2 had {"index": 1}
				} `json:"position"`
			} `json:"event_attributes"`
		}
		if err := l.object(&o); err != nil {
			return nil, err
		}
		if o.Action == "" {
			return nil, l.fault("judgments by UBI are ubi_events; ubi_queries are --queries", "has no action_name")
		}
		action := strings.ToLower(o.Action)
		if action != "click" && action != "impression" {
			continue
		}
		id, other := identifier(o.Attributes.Object.InternalID), identifier(o.Attributes.Object.ObjectID)
		if id == "" {
			id, other = other, ""
		}
		s := all[o.QueryID]
		if s == nil {
			s = &shown{words: words(o.UserQuery)}
		}
		if s.words == "" || id == "" {
			j.Left++
			continue
		}
		if o.QueryID == "" {
			o.QueryID = fmt.Sprint("event ", l.number)
		}
		all[o.QueryID] = s
		name(s.words)
		place := 0
		if action == "impression" {
			place = ordinal(o.Attributes.Position.Ordinal)
		}
		if h := s.hit(id, other, place); action == "click" {
			h.clicked = true
		}
	}
	if l.err != nil {
		return nil, l.err
	}
	model.judge(all, j)
	for _, query := range order {
		j.Queries = append(j.Queries, Query{query, query})
	}
	return j, nil
}

// ordinal is a place counted from 1, as a number or as {"index": 1}; 0: it is not said.
func ordinal(v any) int {
	switch v := v.(type) {
	case map[string]any:
		return ordinal(v["index"])
	case float64:
		return int(min(max(v, 0), 1<<30))
	}
	return 0
}
