package search

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Refusal is an engine's own error for a search that it would refuse, for those searches that we answer in its place.
type Refusal struct {
	Status int    // of the response
	Type   string // x_content_parse_exception
	Reason string
	Cause  *Refusal // what it was caused by; its Status counts for nothing; nil where there is nothing
}

func (f *Refusal) Error() string { return f.Reason }

// Body returns the response's body, as Elasticsearch 8 and OpenSearch write it.
func (f *Refusal) Body() []byte {
	root := f
	for root.Cause != nil && strings.HasPrefix(root.Type, "x_content") && root.Cause.parses() {
		root = root.Cause
	}
	b := append([]byte(`{"error":{"root_cause":[{`), root.says()...)
	b = append(b, `}],`...)
	depth := 0
	for f := f; f != nil; f = f.Cause {
		if depth++; depth > 1 {
			b = append(b, `,"caused_by":{`...)
		}
		b = append(b, f.says()...)
	}
	b = append(b, strings.Repeat("}", depth)...)
	return fmt.Appendf(b, `,"status":%d}`, f.Status)
}

// parses reports whether this is an error of reading, which the engines follow down to the first one.
func (f *Refusal) parses() bool {
	return f.Type == "x_content_parse_exception" || f.Type == "named_object_not_found_exception"
}

func (f *Refusal) says() []byte {
	b := append([]byte(`"type":`), quote(f.Type)...)
	b = append(b, `,"reason":`...)
	return append(b, quote(f.Reason)...)
}

// quote spells a text as a JSON string; what is no valid UTF-8 becomes U+FFFD.
func quote(text string) []byte {
	b, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(text, "\uFFFD"))
	return b
}

// refuse makes the errors of Elasticsearch's reader, which name the place in the request that they speak of.
func (r *Request) refuse(at int, cause *Refusal, format string, args ...any) *Refusal {
	return &Refusal{Status: 400, Type: "x_content_parse_exception", Reason: place(r.json, at) + " " + fmt.Sprintf(format, args...), Cause: cause}
}

func illegalArgument(format string, args ...any) *Refusal {
	return &Refusal{Status: 400, Type: "illegal_argument_exception", Reason: fmt.Sprintf(format, args...)}
}

// place spells the line and the column of an offset, both counted from 1, columns in bytes. \r, \n and \r\n end a line.
func place(src []byte, offset int) string {
	before := src[:offset]
	line := 1 + bytes.Count(before, []byte("\n")) + bytes.Count(before, []byte("\r")) - bytes.Count(before, []byte("\r\n"))
	return fmt.Sprintf("[%d:%d]", line, offset-bytes.LastIndexAny(before, "\r\n"))
}

// A declared is a member that a reader of Elasticsearch's knows, and what kinds of values it takes.
type declared struct{ name, kinds string }

// Kinds of values, as jsontext spells them.
const (
	aString = `"`
	aNumber = `0"`
	aBool   = `tf"`
	object  = `{`
	objects = `{[`
	array   = `[`
)

// readAs holds an object to what Elasticsearch knows of its kind, and returns the first error that it would give.
func (r *Request) readAs(m *node, kind string, known []declared) *Refusal {
	for i := range m.children {
		c := &m.children[i]
		at := slices.IndexFunc(known, func(d declared) bool { return d.name == c.name })
		switch {
		case at < 0:
			return r.refuse(c.begin, nil, "[%s] unknown field [%s]%s", kind, c.name, suggest(c.name, known))
		case !strings.Contains(known[at].kinds, string(c.kind)):
			return r.refuse(c.start, nil, "[%s] %s doesn't support values of type: %s", kind, c.name, tokenName(c.kind))
		}
	}
	return nil
}

// tokenName returns Elasticsearch's name for the kind of a value.
func tokenName(kind jsontext.Kind) string {
	switch kind {
	case '{':
		return "START_OBJECT"
	case '[':
		return "START_ARRAY"
	case '"':
		return "VALUE_STRING"
	case '0':
		return "VALUE_NUMBER"
	case 'n':
		return "VALUE_NULL"
	}
	return "VALUE_BOOLEAN"
}

// suggest returns what Elasticsearch adds to an error about a name that is near to one it knows: more than half of the longer of the two
// is left as it is.
func suggest(name string, known []declared) string {
	type near struct {
		name     string
		likeness float64
	}
	var all []near
	for _, d := range known {
		longest := max(utf8.RuneCountInString(name), utf8.RuneCountInString(d.name))
		if likeness := 1 - float64(distance(name, d.name))/float64(longest); name != "" && likeness > 0.5 {
			all = append(all, near{d.name, likeness})
		}
	}
	slices.SortFunc(all, func(a, b near) int {
		return cmp.Or(cmp.Compare(b.likeness, a.likeness), strings.Compare(a.name, b.name))
	})
	switch len(all) {
	case 0:
		return ""
	case 1:
		return " did you mean [" + all[0].name + "]?"
	}
	var names []string
	for _, n := range all {
		names = append(names, n.name)
	}
	return " did you mean any of [" + strings.Join(names, ", ") + "]?"
}

// distance counts the characters to be put in, taken out or replaced that make b of a (Levenshtein). b is short; of a no more than a few
// hundred characters are looked at, as no name that is longer is near to b.
func distance(a, b string) int {
	if len(a) > 256 {
		return len(a)
	}
	other := []rune(b)
	row := make([]int, len(other)+1)
	for j := range row {
		row[j] = j
	}
	i := 0
	for _, c := range a {
		i++
		diagonal := row[0]
		row[0] = i
		for j, d := range other {
			replaced := diagonal
			if c != d {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(other)]
}
