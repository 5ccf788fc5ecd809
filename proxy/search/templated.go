package search

import (
	"errors"
	"fmt"
	"slices"
)

// paramNames are the names that applications give the user's words as a parameter, the likeliest first.
var paramNames = []string{"query", "q", "query_string", "query_text", "search_term", "text"}

// Templated is a search whose query is made by a template that is kept in the cluster, read for its words.
type Templated struct {
	words  string
	lookup bool
	found  []found
}

// ParseTemplated reads the body of a _search/template, or of a search application's _search, for the words in its params: those that p's
// pointers name, in the body or within the params, and else those of the first of the names query, q, query_string, query_text,
// search_term and text that has some. What the template makes of them is not known; where the cluster can say (_render/template), the
// search itself is better read. An error means that the body is not JSON, or no such search.
func (p Policy) ParseTemplated(body []byte) (*Templated, error) {
	root, err := parseNode(body)
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	if root.kind != '{' {
		return nil, errors.New("reading the body: not an object")
	}
	params := root.get("params")
	if params != nil && params.kind != '{' && params.kind != 'n' {
		return nil, errors.New("reading the body: params is not an object")
	}
	w := walker{src: body, policy: p}
	all := scope{boost: 1, tier: typed}
	w.pointers(root, all)
	if len(w.found) == 0 {
		w.pointers(params, all)
	}
	w.parameters(params, "params", "params", paramNames, all)
	t := &Templated{words: choose(w.found, p)}
	t.lookup = !p.Lookups && isLookup(w.found, t.words)
	t.found = w.found
	return t, nil
}

// Words returns the user's own words, "" where there are none.
func (t *Templated) Words() string { return t.words }

// Lookup reports whether the words name one thing, as [Request.Lookup] does.
func (t *Templated) Lookup() bool { return t.lookup }

// WordsWhy returns every text among the parameters, with what became of it.
func (t *Templated) WordsWhy() []Leaf { return leaves(t.found) }

// parameters reads the words out of an object of parameters: the first of those names that has some. Other texts are only shown.
func (w *walker) parameters(n *node, query, path string, known []string, s scope) {
	others := s.not("not known to be the user's words")
	for _, name := range known {
		text, ok := n.get(name).words(w.src)
		if !ok {
			continue
		}
		quoted := isQuoted(text)
		if name == "query_string" { // what templates of search applications hand to a query of that name
			text, _ = cleanQueryString(bounded(text))
		}
		if w.add(query, path+"."+name, text, quoted, nil, s); w.found[len(w.found)-1].Why == "" {
			s = s.not("another parameter has the words")
		}
	}
	if n == nil || n.kind != '{' {
		return
	}
	for i := range n.children {
		if text, ok := n.children[i].str(w.src); ok && !slices.Contains(known, n.children[i].name) {
			w.add(query, path+"."+n.children[i].name, text, isQuoted(text), nil, others)
		}
	}
}

// learned reads what a learned ranking is told: keywords, as the plugin's documentation has it, or another usual name, or else the first
// text of any name.
func (w *walker) learned(q *node, path string, s scope) {
	params := q.get("params")
	known := append([]string{"keywords"}, paramNames...)
	if params != nil && !slices.ContainsFunc(known, func(name string) bool { return params.get(name) != nil }) {
		for i := range params.children {
			if params.children[i].kind == '"' {
				known = append(known, params.children[i].name)
				break
			}
		}
	}
	w.parameters(params, q.name, path+".params", known, s.below(parameter))
}
