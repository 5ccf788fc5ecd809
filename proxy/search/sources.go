package search

import "strconv"

// readWords collects the texts of the search from everywhere that the user's words may stand, those first that say outright what they
// are, and decides which are the words. A q in the URL takes the place of the body's query.
func (r *Request) readWords(p Policy) {
	w := walker{src: r.json, policy: p}
	all := scope{boost: 1, tier: typed}
	ext := r.root.get("ext")
	if r.override.Query != "" {
		w.add("ext", "ext.rerank", r.override.Query, isQuoted(r.override.Query), nil, all.outright(override))
	}
	if user, ok := ext.get("ubi").get("user_query").str(r.json); ok {
		w.add("ext", "ext.ubi.user_query", user, isQuoted(user), nil, all.outright(observed))
	}
	if question, ok := ext.get("generative_qa_parameters").get("llm_question").str(r.json); ok {
		w.add("ext", "ext.generative_qa_parameters.llm_question", question, isQuoted(question), nil, all.outright(generated))
	}
	w.pointers(r.root, all)

	query := all
	if q := r.params.get("q"); q != nil {
		text, named := cleanQueryString(bounded(q.value))
		w.add("query_string", "q", text, isQuoted(q.value), append(r.params.list("df"), named...), all)
		query = all.not("q in the URL takes its place")
	}
	w.query(r.root.get("query"), "query", query)
	w.retriever(r.root.get("retriever"), "retriever", all)
	knn := r.root.get("knn")
	for i, search := range knn.elements() {
		w.knn(&search, knn.at("knn", i), all)
	}
	searches := r.root.get("sub_searches")
	for i, search := range searches.elements() {
		w.query(search.get("query"), searches.at("sub_searches", i)+".query", all)
	}
	w.rescore(r.root.get("rescore"), "rescore", all)

	r.words = choose(w.found, p)
	r.lookup = !p.Lookups && isLookup(w.found, r.words)
	r.fields = chosenFields(w.found)
	r.found, r.fixed = w.found, w.fixed
	if w.unknown != "" {
		r.forbid(Unsupported, "query "+w.unknown)
	}
}

// at returns the path of an element that [node.elements] gave.
func (n *node) at(path string, i int) string {
	if n.kind == '[' {
		return path + "[" + strconv.Itoa(i) + "]"
	}
	return path
}
