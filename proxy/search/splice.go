package search

// Page is what [Response.Splice] writes.
type Page struct {
	From, Size int       // the client's page, as a part of the response's hits: Widened.From and Widened.Size
	Order      []int     // a permutation of the response's hits, best first; nil keeps their order
	Scores     []float64 // to show, in Order's order, never rising; NaN leaves a hit's own score
	KeepScores bool      // show the cluster's scores instead: the i-th place shows what the cluster's i-th hit had
	AddTook    int       // milliseconds to be added to took
	Strip      *Widened  // the request that the response answers: what only we asked for is taken out of the hits; nil takes out nothing
}

// Splice writes the response with the hits in pg's order, cut to pg's page. Only the order of the hits, _score, max_score, took and
// _rank differ from the response's bytes, and what Strip takes out. An error means that pg does not fit the response.
func (p *Response) Splice(pg Page) ([]byte, error) { return nil, nil }
