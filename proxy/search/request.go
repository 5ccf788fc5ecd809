package search

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/rerankd/rerankd/proxy/filterpath"
)

// Request is a search as a client sent it, read but not changed. It keeps the slices that it was parsed from.
type Request struct {
	rawQuery string
	params   params
	body     []byte // as sent
	json     []byte // the search itself: the body, or the URL's source parameter; nil where there is neither
	root     *node  // of json; nil where that is nil

	from, size   int
	words        string
	lookup       bool
	found        []found
	fields       []string
	reason       Reason
	detail       string
	fixed        string   // a query whose hits follow the size of the page; "" where there is none
	paged        string   // what else must see the client's page and no more; "" where nothing does
	rescored     int      // hits that the cluster itself treats alike; 0 where that is all of them
	limit        int      // hits that may be asked for at most; 0 where there is no such limit
	sourceWhole  bool     // _source comes unfiltered
	unsourced    []string // fields that the request itself makes up
	asked        []string // patterns of what the client gets in the hits' fields without us
	override     Override
	overrideErr  error
	queryContext bool // ext.rerank has OpenSearch's section
	recorded     bool // ext.ubi is ours, as ext.rerank is
	reranker     *Reranker
	filter       *filterpath.Filter // of the response; nil: it comes whole
}

// Parse reads a search: the query string of its URL as it stands on the wire, and its body, nil where there is none. An error means that
// this is not JSON, or not a search that a cluster would accept; it is to be forwarded as it came.
func Parse(rawQuery string, body []byte) (*Request, error) { return parse(Policy{}, rawQuery, body) }

func parse(p Policy, rawQuery string, body []byte) (*Request, error) {
	r := &Request{rawQuery: rawQuery, body: body, size: 10}
	var err error
	if r.params, err = parseParams(rawQuery); err != nil {
		return nil, fmt.Errorf("reading the query string: %w", err)
	}
	source := r.params.get("source")
	switch {
	case source != nil && len(body) > 0:
		return nil, errors.New("a body, and another in the source parameter")
	case source != nil:
		r.json = []byte(source.value)
	case len(body) > 0:
		r.json = body
	}
	if r.json != nil {
		if r.root, err = parseNode(r.json); err != nil {
			return nil, fmt.Errorf("reading the body: %w", err)
		}
		if r.root.kind != '{' {
			return nil, errors.New("reading the body: not an object")
		}
	}
	if err := r.readPage(); err != nil {
		return nil, err
	}
	r.readExt()
	r.readWords(p)
	r.readSource()
	r.judge()
	r.readReranker()
	return r, nil
}

// readPage reads from and size. The URL's win over the body's.
func (r *Request) readPage() error {
	for _, v := range []struct {
		name string
		to   *int
	}{{"from", &r.from}, {"size", &r.size}} {
		if p := r.params.get(v.name); p != nil {
			n, err := strconv.ParseInt(p.value, 10, 32)
			if err != nil || n < 0 {
				return fmt.Errorf("reading %s: %q is no count", v.name, p.value)
			}
			*v.to = int(n)
		} else if n := r.root.get(v.name); n != nil {
			count, ok := n.whole(r.json)
			if !ok || count < 0 {
				return fmt.Errorf("reading %s: %s is no count", v.name, n.raw(r.json))
			}
			*v.to = count
		}
	}
	return nil
}

// From returns how many hits precede the client's page; the cluster's default is 0.
func (r *Request) From() int { return r.from }

// Size returns how many hits the client's page has at most; the cluster's default is 10.
func (r *Request) Size() int { return r.size }

// Window returns how many of the first hits may be reranked where want are wished for. It is less than want where the cluster itself
// treats only so many hits alike (a rescore window) or gives no more (a retriever's rank_window_size, a hybrid query's pagination_depth),
// or where asking for more hits would change which ones match, or what is made of them (a knn search whose k follows size, a hybrid query,
// ranks that are fused, a search pipeline); then it is the first page, and 0 for the others. A page that begins at Window or after it is
// beyond the window.
func (r *Request) Window(want int) int {
	for _, most := range []int{r.rescored, r.limit} {
		if most > 0 {
			want = min(want, most)
		}
	}
	if r.fixed != "" || r.paged != "" {
		if r.from > 0 {
			return 0
		}
		want = min(want, r.size)
	}
	return max(want, 0)
}

// Words returns the user's own words, with the syntax of query languages taken off and white space collapsed, or "" where there are none.
// What the body says outright (ext.rerank, ext.ubi, a reranker's inference_text, a rule's match_criteria) comes before what the query says,
// and that before what is only in a rescore query or a filter.
func (r *Request) Words() string { return r.words }

// Lookup reports whether the words name one thing: a single token with a digit in it, an e-mail address or a URL, or a query that is
// quoted as a whole. The exact match is what such a search wants, and a model that reads for meaning tends to lose it.
func (r *Request) Lookup() bool { return r.lookup }

// WordsWhy returns every text of the search in the order in which they are considered, with what became of it.
func (r *Request) WordsWhy() []Leaf { return leaves(r.found) }

// Fields returns the fields that the query's own texts are matched against, boosts taken off and wildcards kept, the highest boost
// first, then in order of appearance. Fields of other documents (has_child, has_parent) and vectors are not among them.
func (r *Request) Fields() []string { return r.fields }

// Pass returns why this search must reach the cluster as [Request.Original] says, and a detail for the log. The empty Reason means that
// it may be reranked. It judges the request's form, not its words: [Request.Words] may still be empty.
func (r *Request) Pass() (reason Reason, detail string) { return r.reason, r.detail }

// Filtered reports whether the client wants but a part of the response, by filter_path; see [Widened.Filter].
func (r *Request) Filtered() bool { return r.filter != nil }

// Pretty reports whether the client wants the response indented.
func (r *Request) Pretty() bool { return r.params.pretty() }

// Explain reports whether the search asks for an explanation of each hit's score.
func (r *Request) Explain() bool {
	if p := r.params.get("explain"); p != nil {
		return p.value != "false"
	}
	return r.root.get("explain").isTrue(r.json)
}
