package search

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds how deep a request may nest. Clusters stop at some 30 queries within each other; this only has to be out of their way.
const maxDepth = 256

// maxNodes bounds how many values a request may hold: a terms query may have 65,536.
const maxNodes = 1 << 17

// A node is one value of a request's body: where it stands, and what it holds. Text is copied only where it is asked for.
type node struct {
	kind       jsontext.Kind
	name       string // of a member of an object
	begin      int    // where the member begins, its name included; start where the node is no member
	start, end int
	children   []node // members or elements; numbers within arrays are left out: a vector has hundreds, and none is of use here
}

// parseNode reads a whole JSON text. Duplicate names are an error, as they are for the clusters.
func parseNode(src []byte) (*node, error) {
	p := nodeParser{jsontext.NewDecoder(bytes.NewBuffer(src), jsontext.AllowInvalidUTF8(true)), 0, nil}
	root, err := p.read(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.ReadToken(); err != io.EOF {
		return nil, errors.New("data after the end of the JSON text")
	}
	return &root, nil
}

type nodeParser struct {
	*jsontext.Decoder
	nodes int    // read so far
	open  []node // the children, so far, of what is being read: each list of them is made once, when its length is known
}

func (p *nodeParser) read(depth int) (node, error) {
	if depth > maxDepth {
		return node{}, fmt.Errorf("more than %d levels deep", maxDepth)
	}
	if p.nodes++; p.nodes > maxNodes {
		return node{}, fmt.Errorf("more than %d values", maxNodes)
	}
	n := node{kind: p.PeekKind()}
	if n.kind != '{' && n.kind != '[' {
		value, err := p.ReadValue()
		n.end = int(p.InputOffset())
		n.start = n.end - len(value)
		n.begin = n.start
		return n, err
	}
	if _, err := p.ReadToken(); err != nil {
		return n, err
	}
	n.start = int(p.InputOffset()) - 1
	n.begin = n.start
	first := len(p.open)
	for next := p.PeekKind(); next != '}' && next != ']'; next = p.PeekKind() {
		if n.kind == '[' && next == '0' {
			if err := p.SkipValue(); err != nil {
				return n, err
			}
			continue
		}
		var name jsontext.Value
		begin := 0
		if n.kind == '{' {
			var err error
			if name, err = p.ReadValue(); err != nil {
				return n, err
			}
			begin = int(p.InputOffset()) - len(name)
		}
		child, err := p.read(depth + 1)
		if err != nil {
			return n, err
		}
		if n.kind == '{' {
			child.name, child.begin = unquote(name), begin
		}
		p.open = append(p.open, child)
	}
	n.children = slices.Clone(p.open[first:])
	p.open = p.open[:first]
	_, err := p.ReadToken()
	n.end = int(p.InputOffset())
	return n, err
}

// get returns the member of that name, nil where there is none or n is no object.
func (n *node) get(name string) *node {
	if n == nil || n.kind != '{' {
		return nil
	}
	for i := range n.children {
		if n.children[i].name == name {
			return &n.children[i]
		}
	}
	return nil
}

// elements returns what an array holds, or n itself where it is something else: the clusters take one value for a list of one.
func (n *node) elements() []node {
	switch {
	case n == nil:
		return nil
	case n.kind == '[':
		return n.children
	}
	return []node{*n}
}

func (n *node) raw(src []byte) []byte { return src[n.start:n.end] }

// str returns the text of a string, and whether n is one.
func (n *node) str(src []byte) (string, bool) {
	if n == nil || n.kind != '"' {
		return "", false
	}
	return unquote(n.raw(src)), true
}

// scalar returns the text of a string, a number or a boolean.
func (n *node) scalar(src []byte) (string, bool) {
	if n == nil {
		return "", false
	}
	switch n.kind {
	case '"':
		return unquote(n.raw(src)), true
	case '0', 't', 'f':
		return string(n.raw(src)), true
	}
	return "", false
}

// number returns the value of a number or of a string that spells one, otherwise, and where n is nil, def.
func (n *node) number(src []byte, def float64) float64 {
	text, ok := n.scalar(src)
	if !ok {
		return def
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) {
		return def
	}
	return v
}

// whole returns a number that is written as an integer, or a string that spells one: a number with a fraction is cut by the clusters,
// which is not for us to imitate.
func (n *node) whole(src []byte) (int, bool) {
	if n == nil || n.kind != '"' && n.kind != '0' {
		return 0, false
	}
	text, _ := n.scalar(src)
	v, err := strconv.ParseInt(text, 10, 32)
	return int(v), err == nil
}

// isTrue reports whether n says yes: true, or "true".
func (n *node) isTrue(src []byte) bool {
	text, _ := n.scalar(src)
	return text == "true"
}

// unquote decodes a JSON string. What is no valid UTF-8, or half a surrogate pair, becomes U+FFFD.
func unquote(raw []byte) string {
	if len(raw) >= 2 && bytes.IndexByte(raw, '\\') < 0 && isASCII(raw) {
		return string(raw[1 : len(raw)-1])
	}
	text, _ := jsontext.AppendUnquote(nil, raw)
	return string(text)
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
