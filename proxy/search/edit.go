package search

import (
	"cmp"
	"slices"
)

// An edit puts text in the place of the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

// apply appends the bytes of src from start to end to dst, with the edits made. The edits lie within and do not overlap.
func apply(dst, src []byte, start, end int, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	for _, e := range edits {
		dst = append(dst, src[start:e.start]...)
		dst = append(dst, e.text...)
		start = e.end
	}
	return append(dst, src[start:end]...)
}

// without returns the edits that take those members out of an object for which drop says so, each with the one comma that it frees.
func without(members []node, drop func(*node) bool) []edit {
	var edits []edit
	kept := false
	for i := range members {
		m := &members[i]
		switch {
		case !drop(m):
			kept = true
		case kept:
			edits = append(edits, edit{start: members[i-1].end, end: m.end})
		case i+1 < len(members):
			edits = append(edits, edit{start: m.begin, end: members[i+1].begin})
		default: // the last, and none before it is kept
			edits = append(edits, edit{start: m.begin, end: m.end})
		}
	}
	return edits
}
