package search

import (
	"cmp"
	"strings"
)

// vector reads a text that the cluster turns into a vector. Its field holds the vector, which is nothing to read.
func (w *walker) vector(text, q *node, path string, s scope) {
	if value, ok := text.str(w.src); ok {
		w.add(q.name, path, value, false, nil, s)
	}
}

// knn reads Elasticsearch's form, which names its field, and OpenSearch's, {field: {vector, k}}, which has no text. Where Elasticsearch's
// gives no k, k follows the size of the page, so that another size would match other documents.
func (w *walker) knn(q *node, path string, s scope) {
	builder := q.get("query_vector_builder")
	if q.get("query_vector") == nil && builder == nil {
		for i := range q.children {
			w.filter(q.children[i].get("filter"), path+"."+q.children[i].name+".filter", s)
		}
		return
	}
	if q.get("k") == nil {
		w.fixed = cmp.Or(w.fixed, "a knn query whose k follows size")
	}
	w.builder(builder, "knn", path+".query_vector_builder", s)
	w.filter(q.get("filter"), path+".filter", s)
}

// builder reads the text that a vector is built from. A newer one takes several inputs, texts and images, and makes one vector of them.
func (w *walker) builder(n *node, query, path string, s scope) {
	if text, ok := n.get("text_embedding").get("model_text").str(w.src); ok {
		w.add(query, path+".text_embedding.model_text", text, false, nil, s)
	}
	var parts []string
	for _, input := range n.get("embedding").get("input").elements() {
		if kind, ok := input.get("type").str(w.src); ok && kind != "text" {
			continue
		}
		text, ok := input.str(w.src)
		if !ok {
			text, ok = input.get("value").str(w.src)
		}
		if ok {
			parts = append(parts, text)
		}
	}
	if len(parts) > 0 {
		w.add(query, path+".embedding.input", strings.Join(parts, " "), false, nil, s)
	}
}
