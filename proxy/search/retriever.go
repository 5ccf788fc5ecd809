package search

import (
	"cmp"
	"fmt"
	"slices"
)

// defaultRankWindow is the rank_window_size of Elasticsearch's compound retrievers where they do not say.
const defaultRankWindow = 10

// retrieverOptions returns what one of Elasticsearch's retrievers may say, but for the retrievers that it holds and what forbids
// reranking; nil where we do not know it.
func retrieverOptions(kind string) []string {
	switch kind {
	case "standard":
		return []string{"query", "collapse", "terminate_after"}
	case "knn":
		return []string{"field", "query_vector", "query_vector_builder", "k", "num_candidates", "similarity", "rescore_vector", "visit_percentage"}
	case "rrf":
		return []string{"rank_window_size", "rank_constant", "query", "fields"}
	case "linear":
		return []string{"rank_window_size", "normalizer", "query", "fields"}
	case "rule":
		return []string{"rank_window_size", "ruleset_ids", "match_criteria"}
	case "pinned":
		return []string{"rank_window_size", "ids", "docs"}
	case "rescorer":
		return []string{"rescore"}
	case "diversify":
		return []string{"rank_window_size", "type", "field", "size", "query_vector", "query_vector_builder", "lambda"}
	}
	return nil
}

// judgeRetriever bounds the window by what the outermost retriever gives: a compound one ranks its rank_window_size, and refuses to be
// asked for more; a rescorer its window; knn its k.
func (r *Request) judgeRetriever(m *node) {
	if m.kind != '{' || len(m.children) != 1 {
		r.forbid(MalformedRequest, "retriever")
		return
	}
	outermost := &m.children[0]
	r.judgeInner(outermost, "retriever."+outermost.name)
	window := defaultRankWindow
	switch outermost.name {
	case "standard":
		return
	case "knn":
		k := outermost.get("k")
		if k == nil {
			r.fixed = cmp.Or(r.fixed, "a knn query whose k follows size")
		} else if n, ok := k.whole(r.json); ok {
			r.rescored = n
		}
		return
	case "rescorer":
		window = r.smallestRescore(outermost.get("rescore"))
	default:
		if n := outermost.get("rank_window_size"); n != nil {
			window, _ = n.whole(r.json)
		}
	}
	if !r.saysSize() {
		// All of the window since Elasticsearch 8.16, 10 hits before: without from, either is what comes.
		r.size = window
		if r.from > 0 {
			r.paged = cmp.Or(r.paged, "a retriever's page whose size is not said")
		}
	}
	if window <= 0 || r.size > window {
		r.forbid(Unsupported, "retriever: size is more than its window") // an error that the cluster is to explain
	}
	r.limit = window
	// The hits are those of its window, but what is counted follows the page.
	if followsSize(outermost) {
		r.fixed = cmp.Or(r.fixed, "a query whose k follows size")
	}
}

// followsSize reports whether a knn or a semantic query anywhere within n leaves it to the page's size how many documents match.
func followsSize(n *node) bool {
	if n.kind == '{' && (n.name == "semantic" || n.name == "knn" && n.get("k") == nil) {
		return true
	}
	return slices.ContainsFunc(n.children, func(c node) bool { return followsSize(&c) })
}

// saysSize reports whether the search says how many hits its page has.
func (r *Request) saysSize() bool { return r.params.get("size") != nil || r.root.get("size") != nil }

// judgeInner judges one retriever, a member whose name is its type, and those within.
func (r *Request) judgeInner(m *node, path string) {
	options := retrieverOptions(m.name)
	if options == nil {
		r.forbid(Unsupported, "retriever "+m.name)
		return
	}
	for i := range m.children {
		option := &m.children[i]
		at := path + "." + option.name
		switch option.name {
		case "filter", "min_score", "_name":
		case "retriever":
			r.judgeHeld(option, at)
		case "retrievers":
			for i, held := range option.elements() {
				if weighted := held.get("retriever"); weighted != nil {
					held = *weighted
				}
				r.judgeHeld(&held, fmt.Sprintf("%s[%d]", at, i))
			}
		case "search_after":
			r.forbid(SearchAfter, "")
		case "sort":
			r.forbid(Sort, at)
		default:
			if !slices.Contains(options, option.name) {
				r.forbid(Unsupported, at)
			}
		}
	}
}

// judgeHeld judges the one retriever that an object holds.
func (r *Request) judgeHeld(m *node, path string) {
	if m.kind != '{' || len(m.children) != 1 {
		r.forbid(MalformedRequest, path)
		return
	}
	r.judgeInner(&m.children[0], path+"."+m.children[0].name)
}
