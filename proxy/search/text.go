package search

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxText bounds what is read of one field, in bytes. No cross-encoder reads a tenth of it.
const maxText = 32 << 10

// Text returns what the model is to read of hit i, "" where none of t's fields has a text. It is read from _source, and from fields where
// _source has nothing.
//
// A field's name is a path through objects and arrays, whose names may hold dots themselves: a.b stands for {"a": {"b": …}} and for
// {"a.b": …}. What remains of the path at a string is the name of a multi-field, whose text is that string. Several values are joined by
// a space, objects give all that is in them, numbers and booleans their spelling. No field gives more than 32 KiB.
func (p *Response) Text(i int, t Template) string {
	return newGatherer(t).text(p.hits[i], p.body)
}

// Texts returns the texts of the first n hits, as Text does one by one.
func (p *Response) Texts(n int, t Template) []string {
	texts := make([]string, n)
	g := newGatherer(t)
	for i := range texts {
		texts[i] = g.text(p.hits[i], p.body)
	}
	return texts
}

// TextOf returns what the model is to read of one JSON object, as [Response.Text] reads it from a hit's _source; "" where none of t's
// fields has a text, or object is none.
func TextOf(object []byte, t Template) string {
	return newGatherer(t).text(hit{source: span{0, len(object)}}, object)
}

// A gatherer collects the texts of several fields of one hit after the other. What it needs for that is made once.
type gatherer struct {
	template Template
	texts    [][]byte // of the template's fields
	stack    []want
	source   bytes.Buffer
	decoder  *jsontext.Decoder
	rendered []byte
}

func newGatherer(t Template) *gatherer {
	g := &gatherer{template: t, texts: make([][]byte, len(t.fields))}
	g.decoder = jsontext.NewDecoder(&g.source)
	return g
}

// A want is a field that is looked for within a value, and what remains of its path; "" means that the value is it.
type want struct {
	field int
	path  string
}

func (g *gatherer) text(h hit, body []byte) string {
	if len(g.texts) == 0 {
		return ""
	}
	for i := range g.texts {
		g.texts[i] = g.texts[i][:0]
	}
	g.gather(h.source, body)
	g.gather(h.fields, body)
	for i, text := range g.texts {
		text = bytes.TrimSpace(text)
		if !utf8.Valid(text) { // the limit has cut a character in two: what was invalid before has become U+FFFD
			text = bytes.ToValidUTF8(text, nil)
		}
		g.texts[i] = text
	}
	g.rendered = g.template.render(g.rendered[:0], g.texts)
	return string(g.rendered)
}

// gather reads those fields that have no text yet from an object.
func (g *gatherer) gather(object span, body []byte) {
	g.stack = g.stack[:0]
	for i, field := range g.template.fields {
		if len(g.texts[i]) == 0 && field != "" {
			g.stack = append(g.stack, want{i, field})
		}
	}
	if !object.has() || body[object.start] != '{' || len(g.stack) == 0 {
		return
	}
	g.source = *bytes.NewBuffer(object.of(body))
	g.decoder.Reset(&g.source, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	// The whole response was read without an error, and so is a part of it.
	_ = g.value(g.decoder, 0, len(g.stack))
}

// value reads one value, in which the wants stack[from:to] are looked for.
func (g *gatherer) value(d *jsontext.Decoder, from, to int) error {
	switch d.PeekKind() {
	case '{':
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		for d.PeekKind() != '}' {
			raw, err := d.ReadValue()
			if err != nil {
				return err
			}
			g.push(raw, from, to)
			if len(g.stack) == to {
				err = d.SkipValue()
			} else {
				err = g.value(d, to, len(g.stack))
			}
			if err != nil {
				return err
			}
			g.stack = g.stack[:to]
		}
		_, err := d.ReadToken()
		return err
	case '[':
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		for d.PeekKind() != ']' {
			if err := g.value(d, from, to); err != nil {
				return err
			}
		}
		_, err := d.ReadToken()
		return err
	case 'n':
		return d.SkipValue()
	}
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	for _, w := range g.stack[from:to] {
		g.texts[w.field] = appendText(g.texts[w.field], raw)
	}
	return nil
}

// push puts on the stack what stack[from:to] look for within a member of that name.
func (g *gatherer) push(raw jsontext.Value, from, to int) {
	name := raw[1 : len(raw)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name, _ = jsontext.AppendUnquote(nil, raw)
	}
	for i := from; i < to; i++ {
		w := g.stack[i]
		if w.path == "" {
			g.stack = append(g.stack, w)
			continue
		}
		if len(name) == 0 || len(w.path) < len(name) || w.path[:len(name)] != string(name) {
			continue
		}
		switch rest := w.path[len(name):]; {
		case rest == "":
			g.stack = append(g.stack, want{w.field, ""})
		case rest[0] == '.':
			g.stack = append(g.stack, want{w.field, rest[1:]})
		}
	}
}

// appendText adds a value to the text of a field.
func appendText(text []byte, raw jsontext.Value) []byte {
	if len(text) >= maxText {
		return text
	}
	if len(text) > 0 {
		text = append(text, ' ')
	}
	before := len(text)
	// No more is decoded than can be of use: a character takes six bytes at most for each byte that becomes of it.
	raw = raw[:min(len(raw), 1+6*maxText)]
	if raw[0] != '"' {
		text = append(text, raw...)
	} else {
		text, _ = jsontext.AppendUnquote(text, raw)
	}
	if len(text) == before && before > 0 { // an empty string
		text = text[:before-1]
	}
	return text[:min(len(text), maxText)]
}
