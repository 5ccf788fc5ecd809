package search

import (
	"cmp"
	"slices"
	"strings"
)

// A phrase is a text that a query spells in parts.
type phrase struct {
	parts, fields []string
	length        int  // of the parts
	whole         bool // whether one of the parts is a whole word, and not the beginning or an approximation of one
}

// say adds a part that is matched against a field, or, where field is "", against one that is known. What is too long to be a question
// need not be longer.
func (p *phrase) say(text, field string, whole bool) {
	if p.length > maxWords {
		return
	}
	p.parts = append(p.parts, text)
	p.length += len(text) + 1
	p.whole = p.whole || whole
	if field != "" && !slices.Contains(p.fields, field) {
		p.fields = append(p.fields, field)
	}
}

func (w *walker) addPhrase(query, path string, p *phrase, s scope) {
	if len(p.parts) == 0 {
		return
	}
	if !p.whole {
		s = s.below(fragment)
	}
	w.add(query, path, strings.Join(p.parts, " "), false, p.fields, s)
}

// intervals reads the texts of match rules in their order, as one text. Parts of words (prefix, wildcard, fuzzy) are another, for want of
// better; regular expressions and ranges are none.
func (w *walker) intervals(q *node, path string, s scope) {
	for i := range q.children {
		field := &q.children[i]
		if field.kind != '{' {
			continue
		}
		in := s
		in.boost *= field.get("boost").number(w.src, 1)
		at := path + "." + field.name
		words, fragments := phrase{fields: []string{field.name}}, phrase{fields: []string{field.name}}
		w.interval(field, at, &words, &fragments, in)
		w.addPhrase(q.name, at, &words, in)
		w.addPhrase(q.name, at, &fragments, in)
	}
}

// interval reads one rule, or several that filter another: an object whose members' names are their types. What must not be there (not_…)
// is only shown.
func (w *walker) interval(n *node, path string, words, fragments *phrase, s scope) {
	if n.kind != '{' {
		return
	}
	for i := range n.children {
		rule := &n.children[i]
		at := path + "." + rule.name
		key := ""
		switch rule.name {
		case "match":
			key = "query"
		case "prefix":
			key = "prefix"
		case "wildcard":
			key = "pattern"
		case "fuzzy":
			key = "term"
		case "all_of", "any_of":
			list := rule.get("intervals")
			for i, inner := range list.elements() {
				w.interval(&inner, list.at(at+".intervals", i), words, fragments, s)
			}
		}
		if text, ok := rule.get(key).str(w.src); ok {
			switch rule.name {
			case "match":
				words.say(text, "", true)
			case "wildcard":
				fragments.say(unwild(text), "", false)
			default:
				fragments.say(text, "", false)
			}
		}
		if filter := rule.get("filter"); filter != nil {
			for i := range filter.children {
				f := &filter.children[i]
				if in := at + ".filter." + f.name; strings.HasPrefix(f.name, "not_") {
					not := phrase{fields: words.fields, whole: true}
					w.interval(f, in, &not, &not, s)
					w.addPhrase("intervals", in, &not, s.not(f.name))
				} else {
					w.interval(f, in, words, fragments, s)
				}
			}
		}
	}
}

// spans reads the terms of a span query in their order, as one text.
func (w *walker) spans(q *node, path string, s scope) {
	var p phrase
	w.span(q, path, &p, s)
	w.addPhrase(q.name, path, &p, s)
}

// span reads one span query, a member whose name is its type.
func (w *walker) span(q *node, path string, p *phrase, s scope) {
	inner := func(name string) {
		n := q.get(name)
		for i, e := range n.elements() {
			for j := range e.children {
				w.span(&e.children[j], n.at(path+"."+name, i)+"."+e.children[j].name, p, s)
			}
		}
	}
	switch q.name {
	case "span_term":
		w.terms(q, p, true, "value", "term")
	case "fuzzy":
		w.terms(q, p, false, "value", "term")
	case "prefix":
		w.terms(q, p, false, "value")
	case "wildcard":
		w.terms(q, p, false, "value", "wildcard")
	case "span_near", "span_or":
		inner("clauses")
	case "span_first", "span_multi":
		inner("match")
	case "span_not":
		inner("include")
		for _, e := range q.get("exclude").elements() {
			for i := range e.children {
				w.spans(&e.children[i], path+".exclude."+e.children[i].name, s.not("exclude"))
			}
		}
	case "span_containing", "span_within":
		inner("big")
		inner("little")
	case "field_masking_span", "span_field_masking":
		inner("query")
	}
}

// terms reads a query of the form {field: term} or {field: {key: term}}, with the first of the keys that is there.
func (w *walker) terms(q *node, p *phrase, whole bool, keys ...string) {
	for i := range q.children {
		field := &q.children[i]
		term := field
		if field.kind == '{' {
			term = nil
			for _, key := range keys {
				term = cmp.Or(term, field.get(key))
			}
		}
		text, ok := term.scalar(w.src)
		if !ok || field.kind != '{' && (field.name == "_name" || field.name == "boost") {
			continue
		}
		if q.name == "wildcard" {
			text = unwild(text)
		}
		p.say(text, field.name, whole)
	}
}

// unwild takes the wildcards out of a pattern.
func unwild(pattern string) string {
	return strings.NewReplacer(`\*`, "*", `\?`, "?", `\\`, `\`, "*", " ", "?", " ").Replace(pattern)
}

// exact reads term, terms and terms_set. Their values are words only in fields that are known to hold text.
func (w *walker) exact(q *node, path string, s scope) {
	for i := range q.children {
		field := &q.children[i]
		in := s.not("exact value")
		if slices.Contains(w.policy.Fields, field.name) {
			in = s.below(value)
		}
		list, at := field, path+"."+field.name
		switch {
		case q.name == "term" && field.kind != '{':
			if field.name != "boost" && field.name != "_name" {
				w.text(field, q.name, at, []string{field.name}, in)
			}
			continue
		case q.name == "term":
			key := "value"
			if field.get(key) == nil {
				key = "term"
			}
			in.boost *= field.get("boost").number(w.src, 1)
			w.text(field.get(key), q.name, at+"."+key, []string{field.name}, in)
			continue
		case q.name == "terms_set":
			list, at = field.get("terms"), at+".terms"
		}
		if list == nil || list.kind != '[' { // a boost, a name, or where the cluster is to look the terms up
			continue
		}
		all := phrase{fields: []string{field.name}}
		for _, term := range list.children {
			if text, ok := term.str(w.src); ok {
				all.say(text, "", true)
			}
		}
		w.addPhrase(q.name, at, &all, in)
	}
}

// likes reads the texts that documents are to be like. Documents are no texts.
func (w *walker) likes(q *node, path string, s scope) {
	if w.policy.MoreLikeThis {
		s = s.below(example)
	} else {
		s = s.not("a document, not a question")
	}
	like := q.get("like")
	for i, l := range like.elements() {
		if text, ok := l.str(w.src); ok {
			w.add(q.name, like.at(path+".like", i), text, isQuoted(text), names(q.get("fields"), w.src), s)
		}
	}
}
