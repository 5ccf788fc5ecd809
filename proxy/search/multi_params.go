package search

import (
	"bytes"
	"fmt"

	"github.com/rerankd/rerankd/proxy/filterpath"
)

// MultiQuery is the query string of a multi-search's URL, which speaks for all of its searches.
type MultiQuery struct {
	rawQuery string
	params   params
	filter   *filterpath.Filter
	reason   Reason
	detail   string
}

// ParseMultiQuery reads the query string of a multi-search as it stands on the wire. An error means that it cannot be read.
func ParseMultiQuery(rawQuery string) (*MultiQuery, error) {
	q := &MultiQuery{rawQuery: rawQuery}
	var err error
	if q.params, err = parseParams(rawQuery); err != nil {
		return nil, fmt.Errorf("reading the query string: %w", err)
	}
	for _, p := range q.params {
		switch p.name {
		case "allow_no_indices", "cancel_after_time_interval", "ccs_minimize_roundtrips", "error_trace", "expand_wildcards", "filter_path", "human",
			"ignore_throttled", "ignore_unavailable", "include_named_queries_score", "max_concurrent_searches", "max_concurrent_shard_requests",
			"phase_took", "pre_filter_shard_size", "pretty", "project_routing", "rest_total_hits_as_int", "routing", "typed_keys":
		case "format":
			if p.value != "json" {
				q.forbid(Format, "format="+p.value)
			}
		case "search_type":
			if p.value != "query_then_fetch" && p.value != "dfs_query_then_fetch" {
				q.forbid(Unsupported, "search_type="+p.value)
			}
		default:
			q.forbid(Unsupported, "parameter "+p.name)
		}
	}
	if p := q.params.get("filter_path"); p != nil {
		if q.filter, err = filterpath.Parse(p.value); err != nil {
			q.forbid(Format, "filter_path: "+err.Error())
		} else if q.filter != nil && !q.filter.Passes("responses", "hits", "hits") {
			q.forbid(Format, "filter_path lets no hits through")
		}
	}
	return q, nil
}

func (q *MultiQuery) forbid(reason Reason, detail string) {
	if q.reason == "" {
		q.reason, q.detail = reason, detail
	}
}

// Pass returns why it forbids reranking all of the searches, and a detail for the log, as [Request.Pass] does.
func (q *MultiQuery) Pass() (reason Reason, detail string) { return q.reason, q.detail }

// Filter returns the client's filter_path, to be applied to the whole response; nil where there is none.
func (q *MultiQuery) Filter() *filterpath.Filter { return q.filter }

// Pretty reports whether the client wants the response indented.
func (q *MultiQuery) Pretty() bool { return q.params.pretty() }

// Whole returns the query string with which the response comes whole.
func (q *MultiQuery) Whole() string {
	if q.filter == nil {
		return q.rawQuery
	}
	return string(apply(nil, []byte(q.rawQuery), 0, len(q.rawQuery), q.params.whole()))
}

// Select writes a multi-search of some of the searches, in that order, with other bodies as for [Multi.Build].
func (m *Multi) Select(some []int, bodies [][]byte) []byte {
	var b bytes.Buffer
	for k, i := range some {
		b.Write(m.Searches[i].Header)
		b.WriteByte('\n')
		if bodies[k] != nil {
			b.WriteString(oneLine(bodies[k]))
		} else {
			b.Write(m.Searches[i].Body)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
