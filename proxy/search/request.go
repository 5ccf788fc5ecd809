package search

// Request is a search as a client sent it, read but not changed. It keeps the slices that it was parsed from.
type Request struct{}

// Parse reads a search: the query string of its URL as it stands on the wire, and its body, nil where there is none. An error means that
// this is not JSON, or not a search that a cluster would accept; it is to be forwarded as it came.
func Parse(rawQuery string, body []byte) (*Request, error) { return &Request{}, nil }

// From returns how many hits precede the client's page; the cluster's default is 0.
func (r *Request) From() int { return 0 }

// Size returns how many hits the client's page has at most; the cluster's default is 10.
func (r *Request) Size() int { return 10 }

// Window returns how many of the first hits may be reranked where want are wished for. It is less than want where the cluster itself
// treats only so many hits alike (a rescore window), or where asking for more hits would change which ones match (a knn search whose k
// follows size, a hybrid query, a search pipeline); then it is the page. A page that begins at Window or after it is beyond the window.
func (r *Request) Window(want int) int { return want }

// Words returns the user's own words, with the syntax of query languages taken off and white space collapsed, or "" where there are none.
func (r *Request) Words() string { return "" }

// Lookup reports whether the words name one thing: a single token with a digit in it, an e-mail address or a URL, or a query that is
// quoted as a whole. The exact match is what such a search wants, and a model that reads for meaning tends to lose it.
func (r *Request) Lookup() bool { return false }

// WordsWhy returns every text of the query in the order of the body, with what became of it.
func (r *Request) WordsWhy() []Leaf { return nil }

// Fields returns the fields that the query's own texts are matched against, boosts taken off and wildcards kept, the highest boost
// first, then in order of appearance. Fields of other documents (has_child, has_parent) and vectors are not among them.
func (r *Request) Fields() []string { return nil }

// Pass returns why this search must reach the cluster untouched, and a detail for the log. The empty Reason means that it may be reranked.
// It judges the request's form, not its words: [Request.Words] may still be empty.
func (r *Request) Pass() (reason Reason, detail string) { return "", "" }

// Original returns the query string and the body that the cluster is to see where the search is not reranked: the client's own bytes,
// less our override in ext.rerank, which a cluster would refuse as an unknown section.
func (r *Request) Original() (rawQuery string, body []byte) { return "", nil }

// Overrides returns what the body says to us, in ext.rerank. An error means that it is there but says nothing we understand.
func (r *Request) Overrides() (Override, error) { return Override{}, nil }

// Override is what one search may say to us in its body:
//
//	"ext": {"rerank": "off"}
//	"ext": {"rerank": {"mode": "on", "query": "words to rank by", "window": 20}}
//
// OpenSearch's own form, {"query_context": {"query_text": …}} or {"query_context": {"query_text_path": …}}, gives Query too.
type Override struct {
	Mode   string // "on", "off", or "" where it says neither
	Query  string // to rank by instead of the query's own words; "" where it does not say
	Window int    // hits to rerank; 0 where it does not say
}

// Leaf is one text in a query, with what became of it.
type Leaf struct {
	Path   string   // where it stands in the body, query.bool.must[0].match.title, or q for the URL's
	Query  string   // the type of the query that holds it: match, query_string, knn
	Fields []string // what it is matched against, as the query names it, boosts taken off
	Text   string   // cleaned of syntax, white space collapsed
	Boost  float64  // the product of its own boost and of those around it; of its fields the highest
	Taken  bool     // whether it is (part of) the words
	Why    string   // why it was not taken; "" where it was
}
