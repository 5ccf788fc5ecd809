package search

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Override is what one search may say to us in its body:
//
//	"ext": {"rerank": "off"}
//	"ext": {"rerank": {"mode": "on", "query": "words to rank by", "window": 20}}
//
// OpenSearch's own form, {"query_context": {"query_text": …}} or {"query_context": {"query_text_path": …}}, gives Query too.
type Override struct {
	Mode   string // "on", "off", or "" where it says neither
	Query  string // to rank by instead of the query's own words; "" where it does not say
	Window int    // hits to rerank; 0 where it does not say
}

// Overrides returns what the body says to us, in ext.rerank. An error means that it is there but says nothing we understand; where it is
// OpenSearch's section that is at fault, the error is a [*Refusal] with OpenSearch's own words.
func (r *Request) Overrides() (Override, error) { return r.override, r.overrideErr }

func (r *Request) readExt() {
	ext := r.root.get("ext").get("rerank")
	if ext == nil {
		return
	}
	r.queryContext = ext.get("query_context") != nil
	r.override, r.overrideErr = r.parseOverride(ext)
	if r.overrideErr != nil {
		r.override = Override{}
	}
}

func (r *Request) parseOverride(ext *node) (Override, error) {
	var o Override
	if ext.kind != '{' {
		return o, o.setMode(ext, r.json)
	}
	for i := range ext.children {
		m := &ext.children[i]
		ok := true
		switch m.name {
		case "mode":
			if err := o.setMode(m, r.json); err != nil {
				return o, err
			}
		case "query":
			o.Query, ok = m.str(r.json)
		case "window":
			o.Window, ok = m.whole(r.json)
			ok = ok && o.Window > 0
		case "query_context":
			text, refusal := r.contextText(m)
			if refusal != nil {
				return o, refusal
			}
			o.Query = cmp.Or(o.Query, text)
		default:
			return o, fmt.Errorf("reading ext.rerank: unknown name %q", m.name)
		}
		if !ok {
			return o, fmt.Errorf("reading ext.rerank.%s: %s", m.name, m.raw(r.json))
		}
	}
	return o, nil
}

func (o *Override) setMode(n *node, src []byte) error {
	switch text, _ := n.scalar(src); text {
	case "on", "true":
		o.Mode = "on"
	case "off", "false":
		o.Mode = "off"
	default:
		return fmt.Errorf("reading ext.rerank: %s is neither on nor off", n.raw(src))
	}
	return nil
}

const (
	queryText     = "query_text"
	queryTextPath = "query_text_path"
	maxPath       = 1000 // characters of a query_text_path
)

// contextText reads the words out of OpenSearch's query_context. Its path leads through the request as OpenSearch would write it, where
// {"match": {"title": "words"}} is spelled out as {"match": {"title": {"query": "words"}}}, and one clause as a list of one.
func (r *Request) contextText(context *node) (string, *Refusal) {
	text, path := context.get(queryText), context.get(queryTextPath)
	switch {
	case context.kind != '{':
		return "", illegalArgument("query_context must be a map")
	case text != nil && path != nil:
		return "", illegalArgument("Cannot specify both %q and %q", queryText, queryTextPath)
	case text != nil:
		words, ok := text.str(r.json)
		if !ok {
			return "", illegalArgument("%s must be a string", queryText) // OpenSearch's cast fails, in words of its own
		}
		return words, nil
	case path == nil:
		return "", illegalArgument("Must specify either %q or %q", queryText, queryTextPath)
	}
	steps, _ := path.str(r.json)
	if utf8.RuneCountInString(steps) > maxPath {
		return "", illegalArgument("%s exceeded the maximum path length of %d characters", queryTextPath, maxPath)
	}
	at := r.root
	for steps != "" && at != nil {
		if _, isText := at.str(r.json); isText && steps == "query" {
			break
		}
		at, steps = at.along(steps)
	}
	words, ok := at.str(r.json)
	if !ok {
		return "", illegalArgument("%s must point to a string field", queryTextPath)
	}
	return words, nil
}

// along takes one step down a dotted path: the longest that a member's name allows, or a place in a list. It returns the rest of the path.
func (n *node) along(path string) (*node, string) {
	for name := path; ; {
		if next := n.get(name); next != nil {
			return next, strings.TrimPrefix(path[len(name):], ".")
		}
		cut := strings.LastIndexByte(name, '.')
		if cut < 0 {
			break
		}
		name = name[:cut]
	}
	first, rest, _ := strings.Cut(path, ".")
	if i, err := strconv.Atoi(first); err == nil && i >= 0 && i < len(n.elements()) {
		return &n.elements()[i], rest
	}
	return nil, ""
}
