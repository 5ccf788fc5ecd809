package search

import (
	"errors"
	"slices"
	"strings"
)

// Template says how the text of a hit is made of its fields. The zero Template reads nothing.
type Template struct {
	fields []string
	pieces []piece // nil: the fields that have a text, with the separator between them

	separator string
}

// A piece is a literal, or the text of a field.
type piece struct {
	literal string
	field   int // index in fields, -1 for a literal
}

// ParseTemplate reads a template like "{title}. {description}": a field's full name in braces, everything else literal; {{ and }} stand
// for the braces themselves.
func ParseTemplate(s string) (Template, error) {
	var t Template
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			t.pieces = append(t.pieces, piece{literal.String(), -1})
			literal.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "{{"), strings.HasPrefix(s[i:], "}}"):
			literal.WriteByte(s[i])
			i++
		case s[i] == '}':
			return Template{}, errors.New("reading the template: } without {; write }} for the character")
		case s[i] == '{':
			name, _, closed := strings.Cut(s[i+1:], "}")
			field := strings.TrimSpace(name)
			if !closed || field == "" || strings.ContainsAny(field, "{*") {
				return Template{}, errors.New("reading the template: { without a field's name and }; write {{ for the character")
			}
			flush()
			at := slices.Index(t.fields, field)
			if at < 0 {
				at = len(t.fields)
				t.fields = append(t.fields, field)
			}
			t.pieces = append(t.pieces, piece{field: at})
			i += len(name) + 1
		default:
			literal.WriteByte(s[i])
		}
	}
	flush()
	if len(t.fields) == 0 {
		return Template{}, errors.New("reading the template: it names no field; write one as {name}")
	}
	return t, nil
}

// FieldsTemplate joins the texts of the fields that have one, each on a line.
func FieldsTemplate(fields []string) Template { return JoinedTemplate(fields, "\n") }

// JoinedTemplate joins the texts of the fields that have one, with a separator between them.
func JoinedTemplate(fields []string, separator string) Template {
	t := Template{separator: separator}
	for _, field := range fields {
		if !slices.Contains(t.fields, field) {
			t.fields = append(t.fields, field)
		}
	}
	return t
}

// Fields returns the names of the fields that the template reads, each once, in order of appearance.
func (t Template) Fields() []string { return slices.Clone(t.fields) }

// render appends the fields' texts in their places. Literals alone are no text.
func (t Template) render(dst []byte, texts [][]byte) []byte {
	if !slices.ContainsFunc(texts, func(s []byte) bool { return len(s) > 0 }) {
		return dst
	}
	if t.pieces == nil {
		for _, text := range texts {
			if len(text) == 0 {
				continue
			}
			if len(dst) > 0 {
				dst = append(dst, t.separator...)
			}
			dst = append(dst, text...)
		}
		return dst
	}
	for _, p := range t.pieces {
		if p.field < 0 {
			dst = append(dst, p.literal...)
		} else {
			dst = append(dst, texts[p.field]...)
		}
	}
	return dst
}
