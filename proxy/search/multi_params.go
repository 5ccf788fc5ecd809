package search

import (
	"bytes"
	"fmt"
)

// JudgeMulti says why the query string of a multi-search forbids reranking all of its searches, and a detail for the log; "" where it does
// not. What an error tells is that it cannot be read.
func JudgeMulti(rawQuery string) (Reason, string, error) {
	all, err := parseParams(rawQuery)
	if err != nil {
		return "", "", fmt.Errorf("reading the query string: %w", err)
	}
	for _, p := range all {
		switch p.name {
		case "allow_no_indices", "cancel_after_time_interval", "ccs_minimize_roundtrips", "error_trace", "expand_wildcards", "human", "ignore_throttled",
			"ignore_unavailable", "include_named_queries_score", "max_concurrent_searches", "max_concurrent_shard_requests", "phase_took",
			"pre_filter_shard_size", "pretty", "project_routing", "rest_total_hits_as_int", "routing", "typed_keys":
		case "format":
			if p.value != "json" {
				return Format, "format=" + p.value, nil
			}
		case "filter_path":
			return Format, "filter_path", nil
		case "search_type":
			if p.value != "query_then_fetch" && p.value != "dfs_query_then_fetch" {
				return Unsupported, "search_type=" + p.value, nil
			}
		default:
			return Unsupported, "parameter " + p.name, nil
		}
	}
	return "", "", nil
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
