package search

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rerankd/rerankd/proxy/filterpath"
)

// forbid records why the search must pass; the first reason stands.
func (r *Request) forbid(reason Reason, detail string) {
	if r.reason == "" {
		r.reason, r.detail = reason, detail
	}
}

// judge goes through everything that the search says and looks for what forbids reranking it. What it does not know forbids it too.
func (r *Request) judge() {
	if hybrid := r.root.get("query").get("hybrid"); hybrid != nil {
		r.judgeHybrid(hybrid)
	}
	for i := range r.params {
		r.judgeParam(&r.params[i])
	}
	if r.params.get("source") != nil && r.params.get("source_content_type") == nil {
		r.forbid(MalformedRequest, "source without source_content_type")
	}
	if r.root != nil {
		for i := range r.root.children {
			r.judgeMember(&r.root.children[i])
		}
	}
	r.judgeSort()
	r.judgeFilter()
	r.judgeTermination()
	if r.size == 0 {
		if r.root.get("aggs") != nil || r.root.get("aggregations") != nil {
			r.forbid(AggregationOnly, "")
		}
		r.forbid(SizeZero, "")
	}
}

func (r *Request) judgeParam(p *param) {
	switch p.name {
	case "allow_no_indices", "allow_partial_search_results", "analyze_wildcard", "analyzer", "batched_reduce_size", "cancel_after_time_interval",
		"ccs_minimize_roundtrips", "default_operator", "df", "docvalue_fields", "error_trace", "expand_wildcards", "explain",
		"force_synthetic_source", "from",
		"human", "ignore_throttled", "ignore_unavailable", "include_named_queries_score", "lenient", "max_concurrent_shard_requests",
		"min_compatible_shard_node", "phase_took", "pre_filter_shard_size", "preference", "pretty", "project_routing", "q", "request_cache",
		"rest_total_hits_as_int", "routing", "seq_no_primary_term", "size", "sort", "source", "_source", "_source_excludes",
		"_source_exclude_vectors", "_source_includes", "stats", "suggest_field", "suggest_mode", "suggest_size", "suggest_text", "terminate_after",
		"timeout", "track_scores", "track_total_hits", "typed_keys", "version":

	case "stored_fields":
		r.judgeStored(r.params.list(p.name))
	case "filter_path": // see judgeFilter
	case "format":
		if p.value != "json" {
			r.forbid(Format, "format="+p.value)
		}
	case "source_content_type":
		if media, _, _ := strings.Cut(p.value, ";"); media != "application/json" {
			r.forbid(Format, "source_content_type="+p.value)
		}
	case "scroll":
		r.forbid(Scroll, "")
	case "search_pipeline":
		r.judgePipeline(p.value)
	case "search_type":
		if p.value != "query_then_fetch" && p.value != "dfs_query_then_fetch" {
			r.forbid(Unsupported, "search_type="+p.value)
		}
	default:
		r.forbid(Unsupported, "parameter "+p.name)
	}
}

func (r *Request) judgeMember(m *node) {
	switch m.name {
	case "_source", "aggregations", "aggs", "collapse", "derived", "docvalue_fields", "explain", "fields", "from", "highlight", "include_named_queries_score",
		"indices_boost", "knn", "min_score", "post_filter", "profile", "query", "runtime_mappings", "script_fields", "seq_no_primary_term", "size",
		"sort", "stats", "suggest", "terminate_after", "timeout", "track_scores", "track_total_hits", "version":

	case "stored_fields":
		r.judgeStored(names(m, r.json))
	case "ext":
		for i := range m.children {
			r.judgeExt(&m.children[i])
		}
	case "pit", "slice":
		r.forbid(PIT, "")
	case "rank":
		r.judgeRank(m)
	case "rescore":
		r.rescored = r.smallestRescore(m)
	case "retriever":
		r.judgeRetriever(m)
	case "search_after":
		r.forbid(SearchAfter, "")
	case "search_pipeline":
		name, _ := m.str(r.json)
		r.judgePipeline(name)
	case "sub_searches":
		r.paged = cmp.Or(r.paged, "sub_searches")
	default:
		r.forbid(Unsupported, m.name)
	}
}

// judgeTermination keeps the page as it is where the search may end early: how many documents a shard looks at before it has enough hits, and
// so whether it ends early, follows how many are asked for.
func (r *Request) judgeTermination() {
	text := ""
	for _, n := range []*node{r.root.get("terminate_after"), r.root.get("retriever").get("standard").get("terminate_after")} {
		if said, ok := n.scalar(r.json); ok {
			text = said
		}
	}
	if p := r.params.get("terminate_after"); p != nil {
		text = p.value
	}
	if text != "" && text != "0" {
		r.paged = cmp.Or(r.paged, "terminate_after")
	}
}

// judgeFilter reads filter_path. Where the filter lets no hits through there is nothing to rerank, and where engines differ in what it
// leaves, we cannot do as they do.
func (r *Request) judgeFilter() {
	p := r.params.get("filter_path")
	if p == nil {
		return
	}
	var err error
	if r.filter, err = filterpath.Parse(p.value); err != nil {
		r.forbid(Format, "filter_path: "+err.Error())
	} else if r.filter != nil && !r.filter.Passes("hits", "hits") {
		r.forbid(Format, "filter_path lets no hits through")
	}
}

// judgeStored forbids _none_, with which the clusters refuse to give fields.
func (r *Request) judgeStored(fields []string) {
	if slices.Contains(fields, "_none_") {
		r.forbid(Unsupported, "stored_fields _none_")
	}
}

// judgeExt knows the sections that only add to a response: what a pipeline's processors are told (ml_inference), the features of each hit
// (ltr_log). They may cost what they like for each hit, so that they see the client's page and no more. Others change the order that the
// client is to see (mmr, personalize_request_parameters), or what is generated from it (generative_qa_parameters).
func (r *Request) judgeExt(section *node) {
	switch section.name {
	case "rerank", "ubi":
	case "ml_inference", "ltr_log":
		r.paged = cmp.Or(r.paged, "ext."+section.name)
	default:
		r.forbid(Unsupported, "ext."+section.name)
	}
}

// judgePipeline keeps the page as it is where OpenSearch processes the response further: what a processor does may cost, or mean, another
// thing for more hits. _none switches the index's own pipeline off.
func (r *Request) judgePipeline(name string) {
	switch {
	case name == "_none":
	case r.queryContext:
		r.forbid(Unsupported, "a search pipeline that reranks")
	default:
		r.paged = cmp.Or(r.paged, "a search pipeline")
	}
}

// judgeHybrid lets a hybrid query be asked for as many hits as each of its queries is said to give (OpenSearch 2.19 and later). Where it
// does not say, they give as many as the page has, and another size would make other scores.
func (r *Request) judgeHybrid(m *node) {
	depth, ok := m.get("pagination_depth").whole(r.json)
	if ok && r.from+r.size <= depth {
		r.fixed, r.limit = "", depth
	}
}

// judgeRank keeps the page as it is where Elasticsearch 8.8 to 8.16 fuses the ranks of several searches.
func (r *Request) judgeRank(m *node) {
	for _, kind := range m.children {
		if kind.name != "rrf" {
			r.forbid(Unsupported, "rank."+kind.name)
		}
	}
	r.paged = cmp.Or(r.paged, "rank")
}

// smallestRescore returns how many hits all of the rescorers treat alike; hits after them carry scores of another kind.
func (r *Request) smallestRescore(m *node) int {
	smallest := 0
	for _, rescore := range m.elements() {
		size := 10
		if n := rescore.get("window_size"); n != nil {
			var ok bool
			if size, ok = n.whole(r.json); !ok || size <= 0 {
				r.forbid(Unsupported, "rescore.window_size")
			}
		}
		if smallest == 0 || size < smallest {
			smallest = size
		}
	}
	return smallest
}

// judgeSort forbids every order but the one by falling score. The URL's keys come after the body's, they do not replace them. Sorted by
// score and something else, pages follow each other by search_after, which a new order would break.
func (r *Request) judgeSort() {
	var keys []string
	for _, key := range r.root.get("sort").elements() {
		switch key.kind {
		case '"':
			name, _ := key.str(r.json)
			keys = append(keys, name)
		case '{':
			for _, m := range key.children {
				keys = append(keys, m.name+":"+order(&m, r.json))
			}
		default:
			keys = append(keys, string(key.raw(r.json)))
		}
	}
	keys = append(keys, r.params.list("sort")...)
	for i, key := range keys {
		if i > 0 || key != "_score" && !strings.EqualFold(key, "_score:desc") {
			r.forbid(Sort, strings.Join(keys, ","))
		}
	}
}

// order returns the direction of one sort key of the body: {"_score": "asc"} or {"_score": {"order": "asc"}}; what else there may be in
// it is returned as a direction that there is not.
func order(m *node, src []byte) string {
	if direction, ok := m.str(src); ok {
		return direction
	}
	if m.kind == '{' && len(m.children) == 0 {
		return "desc"
	}
	if direction, ok := m.get("order").str(src); ok && len(m.children) == 1 {
		return direction
	}
	return string(m.raw(src))
}

// readSource finds out whether the documents come whole, and what the client gets in the hits' fields.
func (r *Request) readSource() {
	source := r.root.get("_source")
	r.sourceWhole = source == nil && r.root.get("script_fields") == nil || source != nil && source.kind == 't'
	if p := r.params.get("_source"); p != nil {
		r.sourceWhole = p.value == "true"
	}
	for _, filter := range []string{"_source_includes", "_source_excludes"} {
		if r.params.get(filter) != nil {
			r.sourceWhole = false
		}
	}
	if r.root.get("stored_fields") != nil || r.params.get("stored_fields") != nil {
		r.sourceWhole = false
	}
	for _, list := range []string{"runtime_mappings", "derived"} {
		if m := r.root.get(list); m != nil && m.kind == '{' {
			for _, field := range m.children {
				r.unsourced = append(r.unsourced, field.name)
			}
		}
	}
	for _, list := range []string{"fields", "docvalue_fields", "stored_fields"} {
		for _, field := range r.root.get(list).elements() {
			if field.kind == '{' {
				field = *cmp.Or(field.get("field"), &field)
			}
			if name, ok := field.str(r.json); ok {
				r.asked = append(r.asked, name)
			}
		}
		r.asked = append(r.asked, r.params.list(list)...)
	}
	if scripts := r.root.get("script_fields"); scripts != nil {
		for _, script := range scripts.children {
			r.asked = append(r.asked, script.name)
		}
	}
	for _, collapse := range []*node{r.root.get("collapse"), r.root.get("retriever").get("standard").get("collapse")} {
		if field, ok := collapse.get("field").str(r.json); ok {
			r.asked = append(r.asked, field)
		}
	}
}
