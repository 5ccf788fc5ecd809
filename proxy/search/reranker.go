package search

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

const rerankerKind = "text_similarity_reranker"

// Reranker is an outermost retriever.text_similarity_reranker of Elasticsearch's: a search whose child finds the hits that a model then
// ranks. With [Need.Emulate], [Request.Widen] builds the search of the child alone, for any cluster and licence, so that the ranking can
// be ours. The hits beyond Window are nobody's: the page is [From, From+Size) of the window, and empty where From is Window or more.
type Reranker struct {
	Field         string  // the one that the model reads
	InferenceText string  // what it reads it for
	InferenceID   string  // Elasticsearch's name for the model; "" where it does not say
	Window        int     // rank_window_size: hits that are ranked, and hits that there are
	MinScore      float64 // hits with less are left out, totals included; NaN where it does not say
	AllowFailures bool    // whether the child's own order will do where the model fails; else that is an error
	Chunks        int     // passages of a long text that are read, chosen by their words; 0: the text is read from its beginning

	refusal *Refusal
	reason  Reason
	detail  string
	child   *Request // the search of the child, as if the client had sent it; nil where there is a refusal or a reason
	own     string   // a field that only the child's collapsing brings into the hits; "" where there is none
}

// Reranker returns what the search says of reranking by a retriever, nil where it has none at its top.
func (r *Request) Reranker() *Reranker { return r.reranker }

// Refusal returns the error with which Elasticsearch refuses this search, nil where it does not. A cluster without this retriever would
// give another error.
func (k *Reranker) Refusal() *Refusal { return k.refusal }

// Pass returns why the search cannot be emulated exactly, and a detail for the log. The empty Reason means that it can. It takes the place
// of [Request.Pass], which always says that the retriever is unsupported.
func (k *Reranker) Pass() (reason Reason, detail string) { return k.reason, k.detail }

// readReranker reads the outermost retriever where it is a reranker, and makes the search of its child.
func (r *Request) readReranker() {
	outer := r.root.get("retriever")
	m := outer.get(rerankerKind)
	if m == nil || m.kind != '{' || len(outer.children) != 1 {
		return
	}
	k := &Reranker{MinScore: math.NaN(), Window: defaultRankWindow}
	r.reranker = k
	if k.refusal = r.parseReranker(m, k); k.refusal != nil {
		return
	}
	if !r.saysSize() {
		r.size = k.Window // as Elasticsearch takes it since 8.16
	}
	if k.refusal = r.validateReranker(m, k); k.refusal != nil {
		return
	}
	k.reason, k.detail = r.cannotEmulate(m)
	if k.reason == "" {
		r.makeChild(outer, m, k)
	}
}

// parseReranker reads the retriever as Elasticsearch's reader does, and returns the first error that it would give.
func (r *Request) parseReranker(m *node, k *Reranker) *Refusal {
	known := []declared{
		{"retriever", object}, {"inference_id", aString}, {"inference_text", aString}, {"field", aString}, {"rank_window_size", aNumber},
		{"allow_rerank_failures", aBool}, {"chunk_rescorer", object}, {"filter", objects}, {"min_score", aNumber}, {"_name", aString},
	}
	for i := range m.children {
		c := &m.children[i]
		alone := node{children: m.children[i : i+1]}
		if refusal := r.readAs(&alone, rerankerKind, known); refusal != nil {
			return refusal
		}
		text, _ := c.scalar(r.json)
		switch c.name {
		case "retriever":
			if refusal := r.parseHeld(c); refusal != nil {
				return refusal
			}
		case "inference_id":
			k.InferenceID = text
		case "inference_text":
			k.InferenceText = text
		case "field":
			k.Field = text
		case "rank_window_size", "min_score":
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				return r.refuse(c.start, notANumber(text), "[%s] failed to parse field [%s]", rerankerKind, c.name)
			}
			if c.name == "min_score" {
				k.MinScore = value
			} else if n, ok := c.whole(r.json); ok {
				k.Window = n
			} else {
				k.Window = -1
			}
		case "allow_rerank_failures":
			k.AllowFailures = text == "true"
		case "chunk_rescorer":
			k.Chunks = 1
			if size := c.get("size"); size != nil {
				k.Chunks, _ = size.whole(r.json)
			}
		}
	}
	var missing []string
	for _, name := range []string{"retriever", "inference_text", "field"} {
		if m.get(name) == nil {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return illegalArgument("Required [%s]", strings.Join(missing, ", "))
	}
	return nil
}

// notANumber is Java's error.
func notANumber(text string) *Refusal {
	reason := `For input string: "` + text + `"`
	if text == "" {
		reason = "empty String"
	}
	return &Refusal{Type: "number_format_exception", Reason: reason}
}

// parseHeld reads the child, an object that holds one retriever, as far as we take it apart.
func (r *Request) parseHeld(held *node) *Refusal {
	wrap := func(at int, kind string, cause *Refusal) *Refusal {
		return r.refuse(at, r.refuse(at, cause, "[retriever] failed to parse field [%s]", kind), "[%s] failed to parse field [retriever]", rerankerKind)
	}
	switch {
	case len(held.children) == 0:
		at := held.end - 1
		return wrap(at, "retriever", &Refusal{Type: "named_object_not_found_exception", Reason: place(r.json, at) + " unknown field [retriever]"})
	case len(held.children) > 1:
		return r.refuse(held.children[1].begin, nil, "parser for [retriever] did not end on END_OBJECT")
	}
	child := &held.children[0]
	base := []declared{{"filter", objects}, {"min_score", aNumber}, {"_name", aString}}
	var known []declared
	var required []string
	switch child.name {
	case "standard":
		known = []declared{{"query", object}, {"search_after", array}, {"terminate_after", aNumber}, {"sort", `{["`}, {"collapse", object}}
	case "knn":
		known = []declared{
			{"field", aString}, {"query_vector", array + aString}, {"query_vector_builder", object}, {"k", aNumber}, {"num_candidates", aNumber},
			{"visit_percentage", aNumber}, {"similarity", aNumber}, {"rescore_vector", object},
		}
		required = []string{"field", "k", "num_candidates"}
	default:
		return nil // the cluster will read it as it is
	}
	if child.kind != '{' {
		return nil // makeChild passes it on
	}
	for i := range child.children {
		alone := node{children: child.children[i : i+1]}
		if refusal := r.readAs(&alone, child.name, append(known, base...)); refusal != nil {
			return wrap(child.children[i].start, child.name, refusal)
		}
	}
	required = slices.DeleteFunc(required, func(name string) bool { return child.get(name) != nil })
	if len(required) > 0 {
		return wrap(child.end-1, child.name, illegalArgument("Required [%s]", strings.Join(required, ", ")))
	}
	return nil
}

// validateReranker returns what Elasticsearch refuses once it has read the whole request.
func (r *Request) validateReranker(m *node, k *Reranker) *Refusal {
	var faults []string
	if k.Window >= 0 && r.size > k.Window {
		faults = append(faults, fmt.Sprintf("[%s] requires [rank_window_size: %d] be greater than or equal to [size: %d]", rerankerKind, k.Window, r.size))
	}
	scroll := r.params.get("scroll") != nil
	if scroll {
		faults = append(faults, "cannot specify ["+rerankerKind+"] and [scroll]")
	}
	child := &m.get("retriever").children[0]
	if name, window := r.rankWindow(child); name != "" && k.Window > window {
		faults = append(faults, fmt.Sprintf("[%s] requires [rank_window_size: %d] to be smaller than or equal to its sub retriever's %s [%s: %d]",
			rerankerKind, k.Window, child.name, name, window))
	}
	var beside []string
	for _, name := range []string{"query", "knn", "search_after", "terminate_after", "sort", "rank", "rescore"} {
		if r.says(name) {
			beside = append(beside, name)
		}
	}
	if beside != nil {
		faults = append(faults, "cannot specify [retriever] and ["+strings.Join(beside, ", ")+"]")
	}
	if scroll && r.from > 0 {
		faults = append(faults, "using [from] is not allowed in a scroll context")
	}
	if scroll && r.size == 0 {
		faults = append(faults, "[size] cannot be [0] in a scroll context")
	}
	if faults != nil {
		var text strings.Builder
		for i, fault := range faults {
			fmt.Fprintf(&text, "%d: %s;", i+1, fault)
		}
		return &Refusal{Status: 400, Type: "action_request_validation_exception", Reason: "Validation Failed: " + text.String()}
	}
	if size := m.get("chunk_rescorer").get("size"); size != nil {
		if n, ok := size.whole(r.json); ok && n < 1 {
			return illegalArgument("size must be greater than 0, was: %d", n)
		}
	}
	if child.name == "standard" {
		for _, name := range []string{"search_after", "terminate_after"} {
			if n := child.get(name); n != nil && string(n.raw(r.json)) != "0" {
				return illegalArgument("[%s] cannot be used in children of compound retrievers", name)
			}
		}
	}
	return nil
}

// says reports whether the search says what a retriever says too.
func (r *Request) says(name string) bool {
	m := r.root.get(name)
	switch name {
	case "query":
		return m != nil || r.root.get("sub_searches") != nil || r.params.get("q") != nil
	case "knn":
		return m != nil && (m.kind != '[' || len(m.children) > 0)
	case "sort":
		return m != nil || r.params.get("sort") != nil
	case "terminate_after":
		text, _ := m.scalar(r.json)
		if p := r.params.get(name); p != nil {
			text = p.value
		}
		return text != "" && text != "0"
	}
	return m != nil
}

// rankWindow returns the hits that a compound retriever gives, and its name for them; "" where it is none that we know.
func (r *Request) rankWindow(m *node) (name string, window int) {
	switch m.name {
	case "rescorer":
		return "window_size", r.smallestRescore(m.get("rescore"))
	case "rrf", "linear", "rule", "pinned", "diversify":
		window = defaultRankWindow
		if n := m.get("rank_window_size"); n != nil {
			window, _ = n.whole(r.json)
		}
		return "rank_window_size", window
	}
	return "", 0
}

// cannotEmulate returns what would come out otherwise if the child were searched by itself.
func (r *Request) cannotEmulate(m *node) (Reason, string) {
	child := &m.get("retriever").children[0]
	switch k := r.reranker; {
	case k.Window < 0: // or with a fraction, which is cut, or too large: not ours to imitate
		return Unsupported, "rank_window_size"
	case !r.readsBool(m.get("allow_rerank_failures")):
		return MalformedRequest, "allow_rerank_failures"
	case m.get("chunk_rescorer").get("size") != nil && k.Chunks < 1:
		return MalformedRequest, "chunk_rescorer.size"
	case child.get("query").get("hybrid") != nil:
		return Unsupported, "a hybrid query within a reranker"
	case m.get("_name") != nil || child.get("_name") != nil:
		return Unsupported, "a retriever with a name, which its hits show"
	case child.name == rerankerKind:
		return Unsupported, "a reranker within another"
	case child.kind != '{':
		return MalformedRequest, "retriever." + child.name
	case child.get("sort") != nil:
		return Sort, "within a reranker" // the hits would show what they were sorted by
	case child.name == "knn" && child.get("min_score") != nil:
		return Unsupported, "knn.min_score"
	case retrieverOptions(child.name) == nil:
		return Unsupported, "retriever " + child.name
	}
	// These would be done to the child's hits, before the ranking, and not to the ranked ones.
	for _, name := range []string{"collapse", "min_score", "post_filter", "indices_boost"} {
		if r.root.get(name) != nil {
			return Unsupported, name + " beside a reranker"
		}
	}
	if p := r.params.get("search_type"); p != nil && p.value != "query_then_fetch" {
		return Unsupported, "search_type beside a reranker"
	}
	return "", ""
}

// readsBool reports whether Elasticsearch takes n for true or false; where there is none, it does.
func (r *Request) readsBool(n *node) bool {
	text, _ := n.scalar(r.json)
	return n == nil || text == "true" || text == "false"
}

// makeChild writes the search of the child and reads it: the client's body with the child in the place of the retriever, in the form that
// every engine knows where there is one.
func (r *Request) makeChild(outer, m *node, k *Reranker) {
	held := m.get("retriever")
	child := &held.children[0]
	filters := r.filters(m.get("filter"))
	size := "" // said, so that it is not taken for another form's default
	if !r.saysSize() {
		size = fmt.Sprintf(`"size":%d,`, r.size)
	}
	var edits []edit
	switch child.name {
	case "standard":
		edits = []edit{{outer.begin, outer.end, r.standardMembers(child, filters)}}
		if field, ok := child.get("collapse").get("field").str(r.json); ok && !matches(r.asked, field) {
			k.own = field
		}
	case "knn":
		// The knn retriever's members are those of a knn search. Within a reranker, no more documents match than its window has.
		edits = append(r.pushed(child, filters),
			edit{outer.begin, child.start, size + `"knn":`}, edit{child.end, outer.end, ""})
		if n, ok := child.get("k").whole(r.json); ok && n > k.Window {
			edits = append(edits, edit{child.get("k").start, child.get("k").end, strconv.Itoa(max(k.Window, 1))})
		}
	default:
		edits = append(r.pushed(child, filters),
			edit{outer.begin, held.start, size + `"retriever":`}, edit{held.end, outer.end, ""})
	}
	body := apply(make([]byte, 0, len(r.json)+64), r.json, 0, len(r.json), edits)
	rawQuery := r.rawQuery
	if len(r.body) == 0 {
		rawQuery = strings.Trim(string(apply(nil, []byte(rawQuery), 0, len(rawQuery), r.withoutSource())), "&")
	}
	search, err := Parse(rawQuery, body)
	switch {
	case err != nil:
		k.reason, k.detail = MalformedRequest, err.Error()
	case search.paged != "":
		k.reason, k.detail = Unsupported, search.paged+" beside a reranker"
	case search.reason != SizeZero && search.reason != AggregationOnly:
		k.reason, k.detail = search.reason, search.detail
	}
	k.child = search
}

// filters returns the filters that a retriever's filter holds, one or several, as they are spelled.
func (r *Request) filters(m *node) []string {
	var all []string
	for _, f := range m.elements() {
		all = append(all, string(f.raw(r.json)))
	}
	return all
}

// standardMembers writes a standard retriever as the members of a search. Elasticsearch itself runs a filter as that of a bool query, which
// leaves the query's scores as they are.
func (r *Request) standardMembers(m *node, filters []string) string {
	filters = append(r.filters(m.get("filter")), filters...)
	query := `{"match_all":{}}`
	if q := m.get("query"); q != nil {
		query = string(q.raw(r.json))
	}
	if len(filters) > 0 {
		must := ""
		if m.get("query") != nil {
			must = `"must":[` + query + `],`
		}
		query = `{"bool":{` + must + `"filter":[` + strings.Join(filters, ",") + `]}}`
	}
	members := `"query":` + query
	if score := m.get("min_score"); score != nil {
		members += `,"min_score":` + string(score.raw(r.json))
	}
	// What else collapse says is about hits within the hit, which a retriever never gives.
	if field := m.get("collapse").get("field"); field != nil {
		members += `,"collapse":{"field":` + string(field.raw(r.json)) + `}`
	}
	return members
}

// pushed returns the edits that give a retriever more filters.
func (r *Request) pushed(m *node, filters []string) []edit {
	if len(filters) == 0 {
		return nil
	}
	own := m.get("filter")
	if own != nil {
		return []edit{{own.start, own.end, "[" + strings.Join(append(r.filters(own), filters...), ",") + "]"}}
	}
	text := `"filter":[` + strings.Join(filters, ",") + "]"
	if len(m.children) > 0 {
		text += ","
	}
	return []edit{{m.start + 1, m.start + 1, text}}
}

// Child returns the search of the child alone, for the client's page in the child's own order: what is left where nothing can be ranked.
// It is for rerankers that [Reranker.Pass] lets through.
func (r *Request) Child() (rawQuery string, body []byte, err error) {
	k := r.reranker
	if k == nil || k.child == nil || k.reason != "" {
		return "", nil, fmt.Errorf("the %s is not to be emulated", rerankerKind)
	}
	w := &Widened{}
	from := min(r.from, k.Window)
	if err := k.child.write(w, from, min(r.size, k.Window-from), Need{}, r.recorded); err != nil {
		return "", nil, err
	}
	return w.RawQuery, w.Body, nil
}

// widen builds the search of the child that brings the whole window, or no hits where the page is empty. It is not bounded by what follows
// the size of a page: within a reranker, the window is the page.
func (k *Reranker) widen(r *Request, n Need) (*Widened, error) {
	if k.child == nil || k.reason != "" {
		return nil, fmt.Errorf("the %s is not to be emulated", rerankerKind)
	}
	w := &Widened{Window: min(n.Window, k.Window), From: r.from, Size: r.size, Filter: k.child.filter}
	size := k.Window
	if r.size == 0 || r.from >= k.Window {
		w.Window, size = 0, 0
	}
	if err := k.child.write(w, 0, size, n, true); err != nil {
		return nil, err
	}
	w.asked = r.asked
	if k.own != "" && !slices.Contains(w.added, k.own) {
		w.added = append(w.added, k.own)
	}
	if len(r.body) == 0 {
		w.ContentType = "application/json"
	}
	w.Changed, w.Enlarged = true, true
	return w, nil
}
