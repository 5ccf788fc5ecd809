package search

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// find returns the value that a JSON pointer (RFC 6901) names within n, nil where there is none.
func (n *node) find(src []byte, pointer string) *node {
	for n != nil && pointer != "" {
		if pointer[0] != '/' {
			return nil
		}
		var token string
		token, pointer = pointer[1:], ""
		if end := strings.IndexByte(token, '/'); end >= 0 {
			token, pointer = token[:end], token[end:]
		}
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		if n.kind == '[' {
			n = n.index(src, token)
		} else {
			n = n.get(token)
		}
	}
	return n
}

// index returns the element of an array that a pointer's token names. Numbers count, though [node] leaves them out, and cannot be found.
func (n *node) index(src []byte, token string) *node {
	i, err := strconv.Atoi(token)
	if err != nil || i < 0 || token != strconv.Itoa(i) {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(n.raw(src)), jsontext.AllowInvalidUTF8(true))
	d.ReadToken()
	for ; i > 0 && d.PeekKind() != ']'; i-- {
		if d.SkipValue() != nil {
			return nil
		}
	}
	value, err := d.ReadValue()
	if err != nil {
		return nil
	}
	start := n.start + int(d.InputOffset()) - len(value)
	for i := range n.children {
		if n.children[i].start == start {
			return &n.children[i]
		}
	}
	return nil
}

// pointers reads what the configured pointers name in the body whose root is given.
func (w *walker) pointers(root *node, s scope) {
	s.tier = pointed
	for _, pointer := range w.policy.Pointers {
		text, ok := root.find(w.src, pointer).words(w.src)
		if !ok {
			continue
		}
		quoted := isQuoted(text)
		switch { // the one syntax that a text may be in is known by where it stands
		case strings.HasSuffix(pointer, "/simple_query_string/query"):
			text = cleanSimpleQueryString(bounded(text), "")
		case strings.HasSuffix(pointer, "/query_string/query"):
			text, _ = cleanQueryString(bounded(text))
		}
		if w.add("pointer", pointer, text, quoted, nil, s); w.found[len(w.found)-1].Why == "" {
			s = s.not("an earlier pointer names the words")
		}
	}
}

// words returns the text of a string or a number: who types 1984 may be asking for a book.
func (n *node) words(src []byte) (string, bool) {
	if n == nil || n.kind != '"' && n.kind != '0' {
		return "", false
	}
	return n.scalar(src)
}
