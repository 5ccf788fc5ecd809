package search

import (
	"slices"
	"strings"
)

// intervals reads the texts of match rules in their order, as one text.
func (w *walker) intervals(q *node, path string, s scope) {
	for i := range q.children {
		field := &q.children[i]
		var parts []string
		w.intervalTexts(field, &parts)
		if len(parts) > 0 {
			w.add(q.name, path+"."+field.name, strings.Join(parts, " "), false, []string{field.name}, s)
		}
	}
}

func (w *walker) intervalTexts(rule *node, parts *[]string) {
	if text, ok := rule.get("match").get("query").str(w.src); ok {
		*parts = append(*parts, text)
	}
	for _, all := range []string{"all_of", "any_of"} {
		for _, inner := range rule.get(all).get("intervals").elements() {
			w.intervalTexts(&inner, parts)
		}
	}
}

// spans reads the terms of a span query in their order, as one text.
func (w *walker) spans(q *node, path string, s scope) {
	var parts, fields []string
	w.spanTerms(q, &parts, &fields)
	if len(parts) > 0 {
		w.add(q.name, path, strings.Join(parts, " "), false, fields, s)
	}
}

// spanTerms reads one span query, a member whose name is its type.
func (w *walker) spanTerms(q *node, parts, fields *[]string) {
	inner := func(n *node) {
		for _, e := range n.elements() {
			for i := range e.children {
				w.spanTerms(&e.children[i], parts, fields)
			}
		}
	}
	switch q.name {
	case "span_term":
		for i := range q.children {
			field := &q.children[i]
			value := field
			if field.kind == '{' {
				value = field.get("value")
			}
			if text, ok := value.str(w.src); ok {
				*parts = append(*parts, text)
				if !slices.Contains(*fields, field.name) {
					*fields = append(*fields, field.name)
				}
			}
		}
	case "span_near", "span_or":
		inner(q.get("clauses"))
	case "span_first":
		inner(q.get("match"))
	case "span_not":
		inner(q.get("include"))
	case "span_containing", "span_within":
		inner(q.get("big"))
		inner(q.get("little"))
	case "field_masking_span":
		inner(q.get("query"))
	}
}
