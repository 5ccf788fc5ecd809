package search

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"slices"
)

// What may differ between the pages of one search: which page it is, what is asked beside the hits of the first one, and how it is written.
var paged = []string{"from", "size", "aggs", "aggregations", "ext", "track_total_hits", "filter_path", "pretty", "human", "error_trace", "source"}

// Unpaged is a digest of the search without what its pages may differ in.
func (r *Request) Unpaged() (digest [sha256.Size]byte) {
	d := sha256.New()
	write := func(s []byte) {
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(s)))
		d.Write(size[:])
		d.Write(s)
	}
	for _, p := range r.params {
		if !slices.Contains(paged, p.name) {
			write([]byte(p.name))
			write([]byte(p.value))
		}
	}
	io.WriteString(d, "\x00")
	if r.root != nil {
		for i := range r.root.children {
			if m := &r.root.children[i]; !slices.Contains(paged, m.name) {
				write([]byte(m.name))
				write(m.raw(r.json))
			}
		}
	}
	d.Sum(digest[:0])
	return digest
}

// ShowsIDs reports whether the client's filter_path lets the hits' ids through, for responses that the cluster has filtered.
func (r *Request) ShowsIDs() bool {
	return r.params.get("filter_path") == nil || r.filter != nil && r.filter.Passes("hits", "hits", "_id")
}

// ShowsIDs is as for [Request.ShowsIDs], in each of the responses.
func (q *MultiQuery) ShowsIDs() bool {
	return q.params.get("filter_path") == nil || q.filter != nil && q.filter.Passes("responses", "hits", "hits", "_id")
}
