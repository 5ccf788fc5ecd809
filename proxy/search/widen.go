package search

// Need is what the ranking wants of a search.
type Need struct {
	Window int      // hits to rerank
	Fields []string // whose texts are to be read; full names, no wildcards
	Widen  bool     // whether to fetch the whole window; without it only the client's own page is fetched
}

// Widened is a request built from another one, and what has to be known to turn its response into the client's.
type Widened struct {
	RawQuery string // of the URL
	Body     []byte // nil where there is none
	// ContentType is to be set on the request where the body is ours (the client sent none, or sent it in the URL); else "", and the
	// client's own header stands.
	ContentType string
	Changed     bool // whether RawQuery or Body differ from the client's
	Enlarged    bool // whether it asks for other hits than the client's page
	Window      int  // hits that may be reranked, counted from the first of the response; the rest keeps its order below them
	From, Size  int  // the client's page, as a part of the response's hits
}

// Widen builds the request that fetches what n needs. It is for requests that [Request.Pass] lets through, and never changes r.
// The client's bytes stay as they are but for from, size, fields, and our own ext.rerank.
func (r *Request) Widen(n Need) (*Widened, error) { return &Widened{Size: 10, Window: n.Window}, nil }
