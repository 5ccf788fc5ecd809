package search

import "slices"

// Dear returns what makes each hit dear to the cluster, "" where nothing does: highlighting, scripts, explanations, and searches of their
// own for what is within a hit. A larger window would multiply it.
func (r *Request) Dear() string {
	for _, name := range []string{"highlight", "script_fields"} {
		if r.root.get(name) != nil {
			return name
		}
	}
	switch {
	case r.Explain():
		return "explain"
	case slices.ContainsFunc([]string{"query", "knn", "retriever", "collapse", "sub_searches"}, func(name string) bool { return holds(r.root.get(name), "inner_hits") }):
		return "inner_hits"
	}
	return ""
}

// holds reports whether there is a member of that name anywhere within n.
func holds(n *node, name string) bool {
	if n == nil {
		return false
	}
	for i := range n.children {
		if c := &n.children[i]; c.name == name || holds(c, name) {
			return true
		}
	}
	return false
}
