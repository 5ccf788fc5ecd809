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
	f := finder{body: p.body}
	index := "" // mostly one for all
	for k, place := range places {
		i := pg.hit(place)
		h := p.hits[i]
		if raw := h.index.of(p.body); len(raw) < 2 || index != string(raw[1:len(raw)-1]) {
			index = p.Index(i)
		}
		all[k] = Shown{Hit: i, Index: index, ID: p.ID(i)}
		if field != "" && field != "_id" {
			if all[k].Object = f.find(h.source, field); all[k].Object == "" {
				all[k].Object = f.find(h.fields, field)
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

// A finder looks for a value in the hits' documents. What it needs for that is made once.
type finder struct {
	body    []byte
	source  bytes.Buffer
	decoder *jsontext.Decoder
}

// find returns the first scalar that a path leads to, as [Response.Text] follows it; "" where there is none. It reads no further.
func (f *finder) find(object span, path string) string {
	if !object.has() || f.body[object.start] != '{' {
		return ""
	}
	f.source = *bytes.NewBuffer(object.of(f.body))
	if f.decoder == nil {
		f.decoder = jsontext.NewDecoder(&f.source)
	}
	f.decoder.Reset(&f.source, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	raw, _ := first(f.decoder, path) // the whole response was read without an error, and so is a part of it
	switch {
	case len(raw) == 0:
		return ""
	case raw[0] == '"':
		return unquote(raw)
	}
	return string(raw)
}

// first reads a value up to the first scalar at the end of the path.
func first(d *jsontext.Decoder, path string) (jsontext.Value, error) {
	kind := d.PeekKind()
	switch kind {
	case 'n':
		return nil, d.SkipValue()
	case '{', '[':
	default:
		raw, err := d.ReadValue()
		if path != "" {
			raw = nil
		}
		return raw, err
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for next := d.PeekKind(); next != '}' && next != ']'; next = d.PeekKind() {
		rest, leads := path, path != "" || kind == '['
		if kind == '{' {
			name, err := d.ReadValue()
			if err != nil {
				return nil, err
			}
			rest, leads = along(name, path)
		}
		if !leads {
			if err := d.SkipValue(); err != nil {
				return nil, err
			}
			continue
		}
		if raw, err := first(d, rest); raw != nil || err != nil {
			return raw, err
		}
	}
	_, err := d.ReadToken()
	return nil, err
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
