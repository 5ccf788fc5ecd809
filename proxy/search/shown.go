package search

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Shown is one hit of a page as it is shown.
type Shown struct {
	Hit    int // of the response
	Index  string
	ID     string
	Object string // the value of the field that was asked for; "" where the hit does not show one
}

// Shown returns the hits that [Response.Splice] shows for a page, in that order. field is the documents' own id (see [UBI.ObjectIDField]);
// "" and _id ask for none. Its value is read from _source, and from fields where _source has none: the first string, number or boolean
// that its path leads to, a number as it is spelled. An error means that pg does not fit the response.
func (p *Response) Shown(pg Page, field string) ([]Shown, error) {
	if err := p.check(pg); err != nil {
		return nil, err
	}
	places := pg.cut(pg.kept(len(p.hits)))
	all := make([]Shown, len(places))
	index := "" // mostly one for all
	for k, place := range places {
		i := pg.hit(place)
		h := p.hits[i]
		if raw := h.index.of(p.body); len(raw) < 2 || index != string(raw[1:len(raw)-1]) {
			index = p.Index(i)
		}
		all[k] = Shown{Hit: i, Index: index, ID: p.ID(i)}
		if field != "" && field != "_id" {
			if all[k].Object = find(p.body, h.source, field); all[k].Object == "" {
				all[k].Object = find(p.body, h.fields, field)
			}
		}
	}
	return all, nil
}

// Total returns how many hits match, or at least match, as the cluster says; -1 where it does not.
func (p *Response) Total() int64 {
	s := p.total
	if s.has() && p.body[s.start] == '{' {
		value := named(shallow(p.body, s), "value")
		if value == nil {
			return -1
		}
		s = span{value.start, value.end}
	}
	if s.has() {
		if n, err := strconv.ParseInt(string(s.of(p.body)), 10, 64); err == nil {
			return n
		}
	}
	return -1
}

// find returns the first scalar that a path leads to within an object, as [Response.Text] follows it; "" where there is none. It looks at no
// more bytes than it has to, as this is done for every hit that is shown: the whole response was read without an error, and so is its JSON
// in order here.
func find(body []byte, object span, path string) string {
	if !object.has() || body[object.start] != '{' {
		return ""
	}
	raw, _ := first(body[object.start:object.end], 0, path)
	switch {
	case len(raw) == 0:
		return ""
	case raw[0] == '"':
		return unquote(raw)
	}
	return string(raw)
}

// first looks through the value that begins at a place for the first scalar at the end of the path. It returns where it stopped.
func first(b []byte, at int, path string) (raw jsontext.Value, end int) {
	kind := b[at]
	if kind != '{' && kind != '[' {
		if end = skip(b, at); path != "" || kind == 'n' {
			return nil, end
		}
		return b[at:end], end
	}
	for at = next(b, at+1); b[at] != '}' && b[at] != ']'; at = next(b, at) {
		rest, leads := path, path != "" || kind == '['
		if kind == '{' {
			name := at
			at = skip(b, at)
			rest, leads = along(b[name:at], path)
			at = next(b, at)
		}
		if !leads {
			at = skip(b, at)
		} else if raw, at = first(b, at, rest); raw != nil {
			return raw, at
		}
	}
	return nil, at + 1
}

// next skips what stands between values: white space, commas and colons.
func next(b []byte, at int) int {
	for b[at] <= ' ' || b[at] == ',' || b[at] == ':' {
		at++
	}
	return at
}

// skip returns where the value that begins at a place ends.
func skip(b []byte, at int) int {
	depth := 0
	for ; ; at++ {
		switch b[at] {
		case '"':
			at = skipString(b, at) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ' ', '\t', '\r', '\n', ',', ':':
			continue
		default:
			for at+1 < len(b) && b[at+1] > ' ' && b[at+1] != ',' && b[at+1] != '}' && b[at+1] != ']' {
				at++
			}
		}
		if depth == 0 {
			return at + 1
		}
	}
}

// skipString returns where a string ends: at the first quote that no odd number of backslashes stands before.
func skipString(b []byte, at int) int {
	for at++; ; at++ {
		at += bytes.IndexByte(b[at:], '"')
		before := at
		for b[before-1] == '\\' {
			before--
		}
		if (at-before)%2 == 0 {
			return at + 1
		}
	}
}

// along takes the step of a path that a member's name is, and returns the rest.
func along(raw jsontext.Value, path string) (rest string, leads bool) {
	name := raw[1 : len(raw)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name, _ = jsontext.AppendUnquote(nil, raw)
	}
	if path == "" || len(name) == 0 || len(path) < len(name) || path[:len(name)] != string(name) {
		return "", false
	}
	if rest = path[len(name):]; rest == "" {
		return "", true
	}
	return strings.CutPrefix(rest, ".")
}
