package search

import (
	"bytes"
	"strings"

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
	if len(t.fields) == 0 {
		return ""
	}
	h := p.hits[i]
	g := gatherer{texts: make([][]byte, len(t.fields))}
	g.gather(h.source, p.body, t.fields)
	g.gather(h.fields, p.body, t.fields)
	texts := make([]string, len(t.fields))
	for i, text := range g.texts {
		// The limit may have cut a character in two. Nothing else is invalid by now: it has become U+FFFD.
		texts[i] = strings.ToValidUTF8(string(bytes.TrimSpace(text)), "")
	}
	return t.render(texts)
}

// A gatherer collects the texts of several fields in one walk.
type gatherer struct {
	texts [][]byte
	stack []want
}

// A want is a field that is looked for within a value, and what remains of its path; "" means that the value is it.
type want struct {
	field int
	path  string
}

// gather reads those fields that have no text yet from an object.
func (g *gatherer) gather(object span, body []byte, fields []string) {
	g.stack = g.stack[:0]
	for i, field := range fields {
		if len(g.texts[i]) == 0 && field != "" {
			g.stack = append(g.stack, want{i, field})
		}
	}
	if !object.has() || body[object.start] != '{' || len(g.stack) == 0 {
		return
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(object.of(body)), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	// The whole response was read without an error, and so is a part of it.
	_ = g.value(d, 0, len(g.stack))
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
	var name string
	named := false
	for i := from; i < to; i++ {
		w := g.stack[i]
		if w.path == "" {
			g.stack = append(g.stack, w)
			continue
		}
		if !named {
			name, named = nameOf(raw), true
		}
		switch rest, ok := strings.CutPrefix(w.path, name); {
		case !ok || name == "":
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
