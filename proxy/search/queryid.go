package search

import (
	"bytes"
	"errors"
	"strings"
)

// AddQueryID writes a response with the id of its query, as the UBI plugin answers it:
//
//	"ext": {"ubi": {"query_id": "…"}}
//
// What the response says in ext already stays beside it, indentation is that of the response, and all else keeps its bytes. It is for
// responses that need not show their hits, as a filter has left them; see [Page.QueryID] for those that are spliced. An error means that
// this is no response of a search, or of one that failed.
func AddQueryID(body []byte, id string) ([]byte, error) {
	p, err := readResponse(body)
	if err != nil {
		return nil, err
	}
	if bytes.TrimLeft(body, " \t\r\n")[0] != '{' {
		return nil, errors.New("reading the response: not an object")
	}
	return apply(make([]byte, 0, len(body)+len(id)+64), body, 0, len(body), []edit{p.queryID(id)}), nil
}

// queryID is the edit that puts the id where it belongs: in the place of another, or as a new member of the innermost of the objects ext
// and ubi that there is. ext comes last, as from the plugin, but before the status of an item of a multi-search.
func (p *Response) queryID(id string) edit {
	root := bytes.IndexByte(p.body, '{')
	l, value := layoutOf(p.body[root:]), string(quote(id))
	ubi := l.object(1, "query_id", value)
	ext := l.object(0, "ubi", ubi)
	switch {
	case !p.ext.has() && p.tail == 0:
		return edit{root + 1, root + 1 + bytes.IndexByte(p.body[root+1:], '}'), l.member(0, "ext", ext)}
	case !p.ext.has():
		return edit{p.tail, p.tail, "," + l.member(0, "ext", ext)}
	case p.body[p.ext.start] != '{':
		return edit{p.ext.start, p.ext.end, ext}
	}
	outer := shallow(p.body, p.ext)
	old := named(outer, "ubi")
	switch {
	case len(outer) == 0:
		return edit{p.ext.start, p.ext.end, ext}
	case old == nil:
		return edit{outer[0].begin, outer[0].begin, strings.TrimLeft(l.member(1, "ubi", ubi), "\n ") + "," + l.line(1)}
	case p.body[old.start] != '{':
		return edit{old.start, old.end, ubi}
	}
	inner := shallow(p.body, span{old.start, old.end})
	id0 := named(inner, "query_id")
	switch {
	case len(inner) == 0:
		return edit{old.start, old.end, ubi}
	case id0 == nil:
		return edit{inner[0].begin, inner[0].begin, strings.TrimLeft(l.member(2, "query_id", value), "\n ") + "," + l.line(2)}
	}
	return edit{id0.start, id0.end, value}
}

// named returns the last member of that name, which is the one that most readers take; nil where there is none.
func named(members []node, name string) *node {
	for i := len(members) - 1; i >= 0; i-- {
		if members[i].name == name {
			return &members[i]
		}
	}
	return nil
}

// A layout is the white space before each member of a response's outermost object: a line feed and an indentation, or nothing.
type layout string

func layoutOf(object []byte) layout {
	inside := object[1:]
	if gap := inside[:len(inside)-len(bytes.TrimLeft(inside, " \t\r\n"))]; bytes.IndexByte(gap, '\n') >= 0 && inside[len(gap)] != '}' {
		return layout(gap)
	}
	return ""
}

// line begins a member so many levels further in.
func (l layout) line(depth int) string {
	if l == "" {
		return ""
	}
	return string(l) + strings.Repeat("  ", depth)
}

func (l layout) member(depth int, name, value string) string {
	colon := ":"
	if l != "" {
		colon = " : "
	}
	return l.line(depth) + `"` + name + `"` + colon + value
}

// object is the value of a member at that depth, with one member of its own.
func (l layout) object(depth int, name, value string) string {
	return "{" + l.member(depth+1, name, value) + l.line(depth) + "}"
}
