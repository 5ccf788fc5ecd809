package search

import (
	"strings"
	"unicode/utf8"
)

// A simpleCleaner takes the words out of the syntax of simple_query_string, whose reader never complains: an operator that makes no sense is
// a character like others. All of this is what the clusters do, tried on them with random texts, but for one thing: they end a word at
// a plus, and we leave c++ whole.
type simpleCleaner struct {
	text    string
	closing []int           // for each opening parenthesis, where it is closed; 0 where it is not
	flags   map[string]bool // the operators that are allowed; nil where all are
	words   []string
}

// cleanSimpleQueryString returns the words of a text in the syntax of simple_query_string; flags are the operators that it allows, as the
// query spells them, "" for all.
func cleanSimpleQueryString(text, flags string) string {
	c := simpleCleaner{text: text, closing: make([]int, len(text))}
	if flags != "" {
		c.flags = map[string]bool{}
		for flag := range strings.SplitSeq(strings.ToUpper(flags), "|") {
			c.flags[flag] = true
		}
	}
	var open []int
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if c.allows("ESCAPE") {
				i++
			}
		case '(':
			open = append(open, i)
		case ')':
			if len(open) > 0 {
				c.closing[open[len(open)-1]] = i
				open = open[:len(open)-1]
			}
		}
	}
	c.clauses(0, len(text), 0, false)
	return strings.Join(c.words, " ")
}

func (c *simpleCleaner) allows(operator string) bool {
	return c.flags == nil || c.flags["ALL"] || c.flags[operator]
}

// clauses reads the text from at to end.
func (c *simpleCleaner) clauses(at, end, depth int, drop bool) {
	negated := false
	for at < end {
		switch ch := c.text[at]; {
		case ch == '-' && c.allows("NOT"):
			negated = !negated
			at++
			continue // whatever else follows but a clause, and be it a space, takes the minus back
		case ch == '(' && c.allows("PRECEDENCE"):
			if closing := c.closing[at]; closing > 0 && depth < maxGroups {
				c.clauses(at+1, closing, depth+1, drop || negated)
				at = closing
			}
			at++
		case ch == '"' && c.allows("PHRASE"):
			phrase, next := c.read(at+1, end, func(at int) bool { return c.text[at] == '"' })
			if next == end { // never closed
				at++
				break
			}
			c.emit(phrase, drop || negated)
			if at = next + 1; at < end && c.text[at] == '~' && (c.allows("NEAR") || c.allows("SLOP")) {
				_, at = c.read(at, end, c.ends)
			}
		case c.ends(at):
			at++
		default:
			var word string
			start := at
			word, at = c.read(at, end, func(i int) bool {
				return i > start && (c.ends(i) && c.text[i] != '+' || c.text[i] == '~' && c.allows("FUZZY"))
			})
			if at < end && c.text[at] == '~' {
				_, at = c.read(at, end, c.ends)
			}
			if c.allows("PREFIX") {
				word = strings.ReplaceAll(word, "*", "")
			}
			c.emit(word, drop || negated)
		}
		negated = false
	}
}

// ends reports whether the character at that place ends a word.
func (c *simpleCleaner) ends(at int) bool {
	switch c.text[at] {
	case ' ', '\t', '\n', '\r':
		return c.allows("WHITESPACE")
	case '"':
		return c.allows("PHRASE")
	case '|':
		return c.allows("OR")
	case '+':
		return c.allows("AND")
	case '(', ')':
		return c.allows("PRECEDENCE")
	}
	return false
}

// read reads up to where stop says, or to the end, escapes decoded, and returns where that is.
func (c *simpleCleaner) read(at, end int, stop func(at int) bool) (text string, next int) {
	var b strings.Builder
	for at < end && !stop(at) {
		if c.text[at] == '\\' && at+1 < end && c.allows("ESCAPE") {
			at++
		}
		_, size := utf8.DecodeRuneInString(c.text[at:end])
		b.WriteString(c.text[at : at+size])
		at += size
	}
	return b.String(), at
}

func (c *simpleCleaner) emit(word string, drop bool) {
	if word = collapse(word); word != "" && !drop {
		c.words = append(c.words, word)
	}
}
