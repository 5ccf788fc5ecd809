package search

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// UBI is what a search says of itself to User Behavior Insights 1.3.0:
//
//	"ext": {"ubi": {"query_id": "…", "user_query": "…", "client_id": "…", "application": "…", "object_id_field": "…", "query_attributes": {"…": "…"}}}
//
// All of it is optional, and "" where it is not said. Whoever sends the section wants to be told the query's id: see [Page.QueryID].
type UBI struct {
	QueryID       string
	UserQuery     string
	ClientID      string
	Application   string
	ObjectIDField string // of the documents, that events will name them by; "" and _id both mean the _id
	Attributes    map[string]string
}

// What the schema allows, in characters, and what is kept of attributes, for which it has no limit.
const (
	maxUBI            = 100
	maxAttributes     = 64
	maxAttributeValue = 1024
)

// UBI returns what the body says in ext.ubi; nil where there is no such section. An error names what cannot be read, or is longer than
// the schema allows: it is left out, and the rest stands. A search with such a section is no worse a search.
func (r *Request) UBI() (*UBI, error) {
	section := r.root.get("ext").get("ubi")
	if section == nil {
		return nil, nil
	}
	u := &UBI{}
	if section.kind != '{' {
		return u, errors.New("reading ext.ubi: not an object")
	}
	var faults []error
	for i := range section.children {
		m := &section.children[i]
		var err error
		switch m.name {
		case "query_id":
			u.QueryID, err = r.bounded(m, maxUBI)
		case "user_query":
			u.UserQuery, err = r.bounded(m, maxText)
		case "client_id":
			u.ClientID, err = r.bounded(m, maxUBI)
		case "application":
			u.Application, err = r.bounded(m, maxUBI)
		case "object_id_field":
			u.ObjectIDField, err = r.bounded(m, maxUBI)
		case "query_attributes":
			u.Attributes, err = r.attributes(m)
		default:
			err = errors.New("unknown name")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("reading ext.ubi.%.100s: %w", m.name, err))
		}
	}
	return u, errors.Join(faults...)
}

// bounded returns a string of so many characters at most. A number or a boolean counts as its spelling, and null as nothing.
func (r *Request) bounded(n *node, most int) (string, error) {
	text, ok := n.scalar(r.json)
	switch {
	case n.kind == 'n':
		return "", nil
	case !ok:
		return "", errors.New("not a string")
	case utf8.RuneCountInString(text) > most:
		return "", fmt.Errorf("more than %d characters", most)
	}
	return text, nil
}

// attributes reads an object of strings.
func (r *Request) attributes(n *node) (map[string]string, error) {
	switch {
	case n.kind == 'n':
		return nil, nil
	case n.kind != '{':
		return nil, errors.New("not an object")
	}
	all := make(map[string]string, min(len(n.children), maxAttributes))
	var faults []error
	for i := range n.children {
		m := &n.children[i]
		if len(all) == maxAttributes {
			faults = append(faults, fmt.Errorf("more than %d", maxAttributes))
			break
		}
		value, err := r.bounded(m, maxAttributeValue)
		if err == nil && utf8.RuneCountInString(m.name) > maxUBI {
			err = fmt.Errorf("a name of more than %d characters", maxUBI)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%.100q: %w", m.name, err))
			continue
		}
		all[m.name] = value
	}
	return all, errors.Join(faults...)
}

// Recorded returns the search for whoever keeps its page himself: [Request.Original] and [Request.Plain] leave ext.ubi out too, so that the
// cluster's plugin does not keep it a second time, and a cluster without the plugin does not refuse it. [Request.Widen] always leaves it
// out: the plugin would keep hits that nobody sees, in an order that nobody sees.
func (r *Request) Recorded() *Request {
	recorded := *r
	recorded.recorded = true
	return &recorded
}

// ShowsQueryID reports whether the client's filter_path lets ext.ubi.query_id through, for responses that the cluster has filtered.
func (r *Request) ShowsQueryID() bool {
	return r.params.get("filter_path") == nil || r.filter != nil && r.filter.Passes("ext", "ubi", "query_id")
}

// ShowsQueryID is as for [Request.ShowsQueryID], in each of the responses.
func (q *MultiQuery) ShowsQueryID() bool {
	return q.params.get("filter_path") == nil || q.filter != nil && q.filter.Passes("responses", "ext", "ubi", "query_id")
}
