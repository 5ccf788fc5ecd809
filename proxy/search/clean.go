package search

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxGroups bounds how deep parentheses are followed; deeper ones are read as spaces.
const maxGroups = 64

// A cleaner takes the words out of a query language. It never fails: what the cluster would refuse, the cluster refuses; here it gives
// some words or none. Clauses that are negated, and values that are no words (ranges, regular expressions, existence), are dropped.
type cleaner struct {
	text   string
	at     int
	words  []string
	fields []string // named in the text itself
}

// cleanQueryString returns the words of a text in Lucene's syntax (query_string, and q in the URL), and the fields that it names.
func cleanQueryString(text string) (words string, fields []string) {
	c := cleaner{text: text}
	c.clauses(0, false)
	return strings.Join(c.words, " "), c.fields
}

// clauses reads clauses up to the end of the text, or of the group that it is within.
func (c *cleaner) clauses(depth int, drop bool) {
	negated := false
	for c.at < len(c.text) {
		switch ch := c.text[c.at]; {
		case ch == ')':
			c.at++
			if depth > 0 {
				c.suffix()
				return
			}
		case ch == '(':
			c.at++
			if depth < maxGroups {
				c.clauses(depth+1, drop || negated)
				negated = false
			}
		case ch == '+' || ch == '|' || ch == '&':
			c.at++
		case ch == '-' || ch == '!':
			c.at++
			negated = true
		case ch == '"':
			c.at++
			c.emit(c.until('"'), drop || negated)
			c.suffix()
			negated = false
		case ch == '/' && strings.IndexByte(c.text[c.at+1:], '/') >= 0:
			c.at++
			c.until('/')
			negated = false
		case ch == '[' || ch == '{':
			c.at++
			c.untilAny("]}")
			c.suffix()
			negated = false
		default:
			if r, size := utf8.DecodeRuneInString(c.text[c.at:]); unicode.IsSpace(r) {
				c.at += size
				continue
			}
			negated = c.term(depth, drop, negated)
		}
	}
}

// term reads one term, or a field's name with the clause that follows it. It returns whether what comes next is negated.
func (c *cleaner) term(depth int, drop, negated bool) bool {
	start := c.at
	word, pattern := c.word()
	if c.at == start { // a character that begins nothing: a stray ^, ~, : or ]
		c.at++
		return negated
	}
	spelled := c.text[start:c.at]
	switch spelled {
	case "AND", "OR":
		return negated
	case "NOT":
		return true
	}
	if c.at < len(c.text) && c.text[c.at] == ':' {
		c.at++
		return c.field(word, pattern, negated)
	}
	c.suffix()
	c.emit(word, drop || negated)
	return false
}

// field deals with what follows the colon of a field's name, and returns whether the clause that follows is to be dropped.
func (c *cleaner) field(name string, pattern, negated bool) bool {
	if c.at < len(c.text) && (c.text[c.at] == '<' || c.text[c.at] == '>') || name == "_exists_" {
		c.at += len(c.text[c.at:]) - len(strings.TrimLeft(c.text[c.at:], "<>="))
		if c.at < len(c.text) && c.text[c.at] == '"' {
			c.at++
			c.until('"')
		} else {
			c.word()
		}
		return false
	}
	if !negated && !pattern && name != "" {
		c.fields = append(c.fields, name)
	}
	return negated
}

// word reads up to a character that ends a term, escapes decoded, wildcards left out; pattern is whether there was one.
func (c *cleaner) word() (word string, pattern bool) {
	const ends = "():\"[]{}^~!"
	var b strings.Builder
	for c.at < len(c.text) {
		r, size := utf8.DecodeRuneInString(c.text[c.at:])
		if unicode.IsSpace(r) || strings.ContainsRune(ends, r) {
			break
		}
		c.at += size
		switch {
		case r == '\\' && c.at < len(c.text):
			r, size = utf8.DecodeRuneInString(c.text[c.at:])
			c.at += size
			b.WriteRune(r)
		case r == '*' || r == '?':
			pattern = true
		case r != '\\':
			b.WriteRune(r)
		}
	}
	return b.String(), pattern
}

// until reads up to an unescaped end and past it, escapes decoded.
func (c *cleaner) until(end byte) string {
	var b strings.Builder
	for c.at < len(c.text) {
		ch := c.text[c.at]
		c.at++
		if ch == end {
			break
		}
		if ch == '\\' && c.at < len(c.text) {
			ch = c.text[c.at]
			c.at++
		}
		b.WriteByte(ch)
	}
	return b.String()
}

func (c *cleaner) untilAny(ends string) {
	i := strings.IndexAny(c.text[c.at:], ends)
	if i < 0 {
		c.at = len(c.text)
		return
	}
	c.at += i + 1
}

// suffix skips boosts and fuzziness: ^2, ~, ~0.8, ~3^1.5.
func (c *cleaner) suffix() {
	for c.at < len(c.text) && (c.text[c.at] == '~' || c.text[c.at] == '^') {
		c.at++
		for c.at < len(c.text) && (c.text[c.at] >= '0' && c.text[c.at] <= '9' || c.text[c.at] == '.') {
			c.at++
		}
	}
}

func (c *cleaner) emit(word string, drop bool) {
	if word = collapse(word); word != "" && !drop {
		c.words = append(c.words, word)
	}
}

// collapse trims a text and makes every run of white space in it one space. Control characters count as white space.
func collapse(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}
