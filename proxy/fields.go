package proxy

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Field is a field whose text a model is to read.
type Field struct {
	Path string // its full name, as in _source
	Why  string // "named by the query", "title-like" or "text"
}

// Fields are in the order in which they are read.
type Fields []Field

// Paths returns the fields' names.
func (f Fields) Paths() []string {
	paths := make([]string, len(f))
	for i, field := range f {
		paths[i] = field.Path
	}
	return paths
}

// maxFields bounds what is read where nobody said what to read. A model sees a few hundred tokens: what comes after eight fields is cut.
const maxFields = 8

// Choose picks the fields that a model is to read where a rule does not name them: first the text fields that the query itself names
// (wildcards allowed), then title-like ones, then the other text fields of the mapping, at most 8. mapping is the body of GET
// /{index}/_mapping, of one index or several. A field's multi-fields hold the same text again, and so does a field that others are copied
// to: the query's are read as what they come from, and the mapping's are left out. Without a mapping (nil, or one that cannot be read),
// the query's own fields have to do, wildcards left out.
func Choose(queryFields []string, mapping []byte) Fields {
	m, err := parseMapping(mapping)
	if err != nil {
		m = nil
	}
	return m.choose(queryFields)
}

// mapping is what is kept of a cluster's mapping.
type mapping struct {
	indices []string            // their names
	texts   []string            // text fields with their full names, in order of appearance, without multi-fields and targets of copy_to
	unseen  map[string]bool     // fields that _source does not show: aliases, targets of copy_to, runtime fields
	from    map[string][]string // what a query may name instead: multi-field, alias or target of copy_to → the fields its text comes from
}

func (m *mapping) choose(queryFields []string) Fields {
	var chosen Fields
	add := func(path, why string) {
		if len(chosen) < maxFields && !slices.ContainsFunc(chosen, func(f Field) bool { return f.Path == path }) {
			chosen = append(chosen, Field{path, why})
		}
	}
	for _, name := range queryFields {
		if m == nil {
			if !strings.Contains(name, "*") {
				add(name, "named by the query")
			}
			continue
		}
		for _, path := range m.texts {
			if matches(name, path) {
				add(path, "named by the query")
			}
		}
		if !strings.Contains(name, "*") {
			for _, path := range m.from[name] {
				add(path, "named by the query")
			}
		}
	}
	if m == nil {
		return chosen
	}
	for _, path := range m.texts {
		if titleLike(path) {
			add(path, "title-like")
		}
	}
	for _, path := range m.texts {
		add(path, "text")
	}
	return chosen
}

// made returns those of the fields that _source does not show.
func (m *mapping) made(fields []string) []string {
	if m == nil {
		return nil
	}
	var made []string
	for _, field := range fields {
		if m.unseen[field] {
			made = append(made, field)
		}
	}
	return made
}

func titleLike(path string) bool {
	name := strings.ToLower(path[strings.LastIndexByte(path, '.')+1:])
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' }) {
		switch word {
		case "title", "name", "headline", "subject", "heading", "label", "caption", "summary":
			return true
		}
	}
	return false
}

// parseMapping reads {"index": {"mappings": {"properties": {…}}}, …}. Only what it needs is kept of a document that may run to megabytes.
func parseMapping(body []byte) (*mapping, error) {
	m := &mapping{from: make(map[string][]string), unseen: make(map[string]bool)}
	r := mappingReader{dec: jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)), m: m}
	err := r.object(func(index string) error {
		m.indices = append(m.indices, index)
		return r.object(func(name string) error {
			if name != "mappings" {
				return r.dec.SkipValue()
			}
			return r.object(func(name string) error {
				switch name {
				case "properties":
					return r.properties("")
				case "runtime":
					return r.object(func(name string) error {
						m.unseen[name] = true
						return r.dec.SkipValue()
					})
				}
				return r.dec.SkipValue()
			})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading a mapping: %w", err)
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		return nil, fmt.Errorf("reading a mapping: something follows it")
	}
	for _, target := range r.targets {
		m.unseen[target] = true
	}
	for alias := range r.aliases {
		m.unseen[alias] = true
	}
	m.texts = slices.DeleteFunc(m.texts, func(path string) bool { return slices.Contains(r.targets, path) })
	for alias, path := range r.aliases {
		if from, ok := m.from[path]; ok {
			m.from[alias] = from
		} else if slices.Contains(m.texts, path) {
			m.from[alias] = []string{path}
		}
	}
	return m, nil
}

type mappingReader struct {
	dec     *jsontext.Decoder
	m       *mapping
	seen    map[string]bool   // texts already
	targets []string          // of copy_to
	aliases map[string]string // alias → path
}

// object calls member for every name, to read its value. Anything but an object is skipped.
func (r *mappingReader) object(member func(name string) error) error {
	if r.dec.PeekKind() != '{' {
		return r.dec.SkipValue()
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for r.dec.PeekKind() != '}' {
		name, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		if err := member(name.String()); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// strings reads a string or an array of them.
func (r *mappingReader) strings() (list []string, err error) {
	switch r.dec.PeekKind() {
	case '"':
		t, err := r.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		return []string{t.String()}, nil
	case '[':
		if _, err := r.dec.ReadToken(); err != nil {
			return nil, err
		}
		for r.dec.PeekKind() != ']' {
			more, err := r.strings()
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
		_, err := r.dec.ReadToken()
		return list, err
	}
	return nil, r.dec.SkipValue()
}

// properties reads the fields of an object whose full name is prefix.
func (r *mappingReader) properties(prefix string) error {
	return r.object(func(name string) error {
		path := name
		if prefix != "" {
			path = prefix + "." + name
		}
		return r.field(path)
	})
}

func (r *mappingReader) field(path string) error {
	var kind, alias string
	var multi, copies []string
	err := r.object(func(name string) error {
		switch name {
		case "type":
			list, err := r.strings()
			if len(list) > 0 {
				kind = list[0]
			}
			return err
		case "path":
			list, err := r.strings()
			if len(list) > 0 {
				alias = list[0]
			}
			return err
		case "copy_to":
			var err error
			copies, err = r.strings()
			return err
		case "fields":
			return r.object(func(name string) error {
				multi = append(multi, path+"."+name)
				return r.dec.SkipValue()
			})
		case "properties":
			return r.properties(path)
		}
		return r.dec.SkipValue()
	})
	if err != nil {
		return err
	}
	if kind == "alias" {
		if r.aliases == nil {
			r.aliases = make(map[string]string)
		}
		r.aliases[path] = alias
		return nil
	}
	r.targets = append(r.targets, copies...)
	if !textual(kind) {
		return nil
	}
	if !r.seen[path] {
		if r.seen == nil {
			r.seen = make(map[string]bool)
		}
		r.seen[path] = true
		r.m.texts = append(r.m.texts, path)
	}
	for _, other := range append(multi, copies...) {
		if !slices.Contains(r.m.from[other], path) {
			r.m.from[other] = append(r.m.from[other], path)
		}
	}
	return nil
}

// textual reports whether a field of this type holds prose. Keywords hold names, codes and states, which a model reads as noise.
func textual(kind string) bool {
	switch kind {
	case "text", "match_only_text", "search_as_you_type", "annotated_text", "semantic_text", "semantic":
		return true
	}
	return false
}
