package main

import (
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank/eval"
)

// What two rankings are compared by: the places that everybody sees, and how far people look down a list; with 0.9 the first ten places have
// 86 % of the weight.
const (
	overlapPlaces = 10
	persistence   = 0.9
)

// likeness says how much the two answers to a search have in common.
func likeness(before, after *search.Response, size int) *admin.Likeness {
	a, b := documents(before), documents(after)
	if len(a) == 0 && len(b) == 0 {
		return nil
	}
	l := &admin.Likeness{Overlap: eval.Overlap(a, b, overlapPlaces), RBO: eval.RBO(a, b, persistence)}
	l.Tau, l.Common = eval.KendallTau(a[:min(size, len(a))], b[:min(size, len(b))])
	return l
}

// documents are the hits of a response, by what tells them apart.
func documents(r *search.Response) []string {
	names := make([]string, r.Hits())
	for i := range names {
		names[i] = named(r, i)
	}
	return names
}
