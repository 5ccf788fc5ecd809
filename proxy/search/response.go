package search

import "math"

// Response is a search response, indexed but not decoded. It keeps the slice that it was parsed from.
type Response struct{}

// ParseResponse indexes the body of a search response. An error means that it is not JSON, or not a search response as we know it (no
// hits, one of the names that we would have to change given twice); it is to be passed on as it came.
func ParseResponse(body []byte) (*Response, error) { return &Response{}, nil }

// Hits returns how many hits the response holds.
func (p *Response) Hits() int { return 0 }

// Score returns the cluster's score of hit i, NaN where it gives none.
func (p *Response) Score(i int) float64 { return math.NaN() }

// Held reports whether hit i is pinned to its place: pinned queries and rules give it a score of 2^127 or more.
func (p *Response) Held(i int) bool { return false }

// Index returns the _index of hit i as the response spells it, and ID its _id; "" where it has none.
func (p *Response) Index(i int) string { return "" }

// ID returns the _id of hit i; see [Response.Index].
func (p *Response) ID(i int) string { return "" }

// Took returns the milliseconds that the cluster says it took, 0 where it does not say.
func (p *Response) Took() int { return 0 }

// TimedOut reports whether the cluster cut the search short: the hits are some of those that match.
func (p *Response) TimedOut() bool { return false }

// FailedShards returns how many shards failed.
func (p *Response) FailedShards() int { return 0 }

// Text returns what the model is to read of hit i, "" where none of t's fields has a text. It is read from _source, and from fields where
// _source has nothing.
func (p *Response) Text(i int, t Template) string { return "" }
