package filterpath

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrEmpty means that the response has an empty object or array into which a path with a - leads further. Elasticsearch 8.19 leaves it,
// the others drop it.
var ErrEmpty = errors.New("engines differ in what becomes of an empty value on the way of an excluded path")

// maxRemembered bounds the names for which it is remembered where they lead. A response of many hits has few names, many times.
const maxRemembered = 1 << 12

// maxGrowth bounds what indentation may make of a response. Engines asked for pretty have mostly indented it by themselves already.
const maxGrowth = 8

// Apply writes what the filter leaves of a response, one that was asked for with the filter [Whole]. What is left stands as it is
// spelled, scalars and names byte for byte; white space between them is what an engine writes: none, or where it is asked for pretty, its
// indentation and a line feed at the end.
//
// The body has to be an object, whole and valid, but for duplicate names and invalid UTF-8. [ErrEmpty] is returned where engines differ.
func (f *Filter) Apply(body []byte, pretty bool) ([]byte, error) {
	// The decoder reads a bytes.Buffer in place, without a copy. It stops at 10,000 levels.
	d := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		if _, err := d.ReadToken(); err != nil {
			return nil, err
		}
		return nil, errors.New("the response is not an object")
	}
	a := applier{Decoder: d, printer: printer{pretty: pretty, limit: maxGrowth*len(body) + 1<<16}}
	written, err := a.value(f.start())
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, errors.New("data after the end of the response")
	}
	if !written { // the outermost object is always there
		a.open('{')
		a.close('}', true)
	}
	if a.over {
		return nil, fmt.Errorf("indented, the response would have more than %d bytes", a.limit)
	}
	if pretty {
		a.out = append(a.out, '\n')
	}
	return a.out, nil
}

type applier struct {
	*jsontext.Decoder
	printer
	remembered int
}

// value reads a value and writes what is left of it. It reports whether that is anything.
func (a *applier) value(s *state) (written bool, err error) {
	kind := a.PeekKind()
	switch {
	case s.whole():
		raw, err := a.ReadValue()
		if err == nil {
			a.raw(raw)
		}
		return true, err
	case kind != '{' && kind != '[': // ahead of where the paths lead
		raw, err := a.ReadValue()
		if err != nil || s.include != nil {
			return false, err
		}
		a.raw(raw)
		return true, nil
	}

	outermost := a.StackDepth() == 0
	if _, err := a.ReadToken(); err != nil {
		return false, err
	}
	if next := a.PeekKind(); (next == '}' || next == ']') && s.include == nil && !outermost {
		return false, ErrEmpty
	}
	before := len(a.out)
	a.open(byte(kind))
	for next := a.PeekKind(); next != '}' && next != ']'; next = a.PeekKind() {
		mark := len(a.out)
		a.comma(written)
		inner := s // an element is filtered as its array is
		if kind == '{' {
			name, err := a.ReadValue()
			if err != nil {
				return false, err
			}
			if inner = a.member(s, name); inner != nil {
				a.name(name)
			}
		}
		kept := false
		if inner == nil {
			err = a.SkipValue()
		} else {
			kept, err = a.value(inner)
		}
		if err != nil {
			return false, err
		}
		if kept {
			written = true
		} else {
			a.out = a.out[:mark]
		}
	}
	end, err := a.ReadToken()
	if err != nil {
		return false, err
	}
	a.close(byte(end.Kind()), !written)
	if !written {
		a.out = a.out[:before]
	}
	return written, nil
}

// member returns the state at a member, by its name as it is spelled.
func (a *applier) member(s *state, raw jsontext.Value) *state {
	name := raw[1 : len(raw)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name, _ = jsontext.AppendUnquote(nil, raw)
	}
	next, known := s.members[string(name)]
	if !known {
		next = s.enter(string(name))
		if a.remembered < maxRemembered {
			if s.members == nil {
				s.members = map[string]*state{}
			}
			s.members[string(name)] = next
			a.remembered++
		}
	}
	return next
}
