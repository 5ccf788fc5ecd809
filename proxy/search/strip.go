package search

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// strip takes out of a hit what it holds only because of the fields that we asked for: their values, the values of theirs that were too
// long or malformed to be indexed, and the members that held nothing else.
//
// A field within a nested object comes as {"users.first": [...]} from OpenSearch, and from Elasticsearch as {"users": [{"first": [...]}]},
// where it stands beside those that the client asked for.
func (p *Response) strip(h hit, w *Widened) []edit {
	s := stripper{p.body, w}
	inner, empty := s.members(h.span, func(m *node) ([]edit, bool) {
		if m.name != "fields" && m.name != "ignored_field_values" {
			return nil, false
		}
		return s.object(span{m.start, m.end}, "")
	})
	_ = empty // a hit that held nothing else would be no hit
	return inner
}

type stripper struct {
	body []byte
	*Widened
}

// object strips an object of values by field name, and reports whether nothing is left of it.
func (s stripper) object(value span, path string) ([]edit, bool) {
	return s.members(value, func(m *node) ([]edit, bool) {
		name := path + m.name
		switch {
		case matches(s.asked, name):
			return nil, false
		case slices.Contains(s.added, name):
			return nil, true
		case slices.ContainsFunc(s.added, func(field string) bool { return strings.HasPrefix(field, name+".") }):
			return s.members(span{m.start, m.end}, func(element *node) ([]edit, bool) {
				return s.object(span{element.start, element.end}, name+".")
			})
		}
		return nil, false
	})
}

// members strips what an object or array holds. strip returns the edits within one of them, and whether to take it out instead. It
// reports whether all there was is to be taken out.
func (s stripper) members(value span, strip func(*node) (edits []edit, drop bool)) ([]edit, bool) {
	all := shallow(s.body, value)
	var edits []edit
	drop := make([]bool, len(all))
	for i := range all {
		var inner []edit
		if inner, drop[i] = strip(&all[i]); !drop[i] {
			edits = append(edits, inner...)
		}
	}
	if !slices.Contains(drop, true) {
		return edits, false
	}
	i := -1
	taken := without(all, func(*node) bool { i++; return drop[i] })
	return append(edits, taken...), !slices.Contains(drop, false)
}

// shallow lists the members or elements of a value, without what they hold themselves.
func shallow(body []byte, value span) []node {
	d := reader{jsontext.NewDecoder(bytes.NewBuffer(value.of(body)), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	kind := d.PeekKind()
	if kind != '{' && kind != '[' {
		return nil
	}
	var all []node
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() != '}' && d.PeekKind() != ']' {
		var n node
		begin := -1
		if kind == '{' {
			var name jsontext.Value
			if name, err = d.ReadValue(); err != nil {
				break
			}
			n.name, begin = unquote(name), value.start+d.offset()-len(name)
		}
		var raw jsontext.Value
		raw, err = d.ReadValue()
		n.end = value.start + d.offset()
		n.start = n.end - len(raw)
		n.begin = n.start
		if begin >= 0 {
			n.begin = begin
		}
		all = append(all, n)
	}
	return all
}
