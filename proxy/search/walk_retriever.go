package search

// retriever reads one retriever: an object with one member, whose name is its type. What it means for the page is judged elsewhere.
func (w *walker) retriever(n *node, path string, s scope) {
	if n == nil || n.kind != '{' {
		return
	}
	for i := range n.children {
		r := &n.children[i]
		at := path + "." + r.name
		switch r.name {
		case "standard":
			w.query(r.get("query"), at+".query", s)
		case "knn":
			w.knn(r, at, s) // with its filter
			continue
		case "rrf", "linear":
			w.text(r.get("query"), r.name, at+".query", names(r.get("fields"), w.src), s)
			w.fused(r.get("retrievers"), at+".retrievers", s)
		case "text_similarity_reranker":
			if text, ok := r.get("inference_text").str(w.src); ok {
				w.add(r.name, at+".inference_text", text, isQuoted(text), names(r.get("field"), w.src), s.outright(asked))
			}
			w.retriever(r.get("retriever"), at+".retriever", s)
		case "rule":
			w.criteria(r.get("match_criteria"), at+".match_criteria", s)
			w.retriever(r.get("retriever"), at+".retriever", s)
		case "pinned":
			w.retriever(r.get("retriever"), at+".retriever", s)
		case "rescorer":
			w.retriever(r.get("retriever"), at+".retriever", s)
			w.rescore(r.get("rescore"), at+".rescore", s)
		case "diversify":
			w.retriever(r.get("retriever"), at+".retriever", s)
			w.builder(r.get("query_vector_builder"), r.name, at+".query_vector_builder", s)
		}
		w.filter(r.get("filter"), at+".filter", s)
	}
}

// fused reads retrievers whose results are put together: each by itself, or with the weight that it has.
func (w *walker) fused(n *node, path string, s scope) {
	for i, r := range n.elements() {
		at, in := n.at(path, i), s
		if weighted := r.get("retriever"); weighted != nil {
			in.boost *= r.get("weight").number(w.src, 1)
			at, r = at+".retriever", *weighted
		}
		w.retriever(&r, at, in)
	}
}

// rescore reads queries that score the first hits again. What a learned ranking is told is its own affair.
func (w *walker) rescore(n *node, path string, s scope) {
	s.tier = max(s.tier, rescored)
	for i, r := range n.elements() {
		at := n.at(path, i)
		w.query(r.get("query").get("rescore_query"), at+".query.rescore_query", s)
		w.parameters(r.get("learning_to_rank").get("params"), "learning_to_rank", at+".learning_to_rank.params", nil, s)
	}
}
