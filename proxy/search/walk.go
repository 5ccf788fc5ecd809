package search

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A found is a text of the query, before it is decided which texts are the words.
type found struct {
	Leaf
	tier   tier
	asks   bool // whether it may be the user's question, other texts aside
	quoted bool // as a whole, by the user
	boosts []float64
	remote bool // its fields are those of other documents
}

// A walker collects the texts of a query tree, and what in it forbids reranking.
type walker struct {
	src     []byte
	policy  Policy
	found   []found
	fixed   string // what makes the hits that match depend on the size of the page
	unknown string // a type of query that we do not know
}

// A scope is what a query inherits from the queries around it.
type scope struct {
	boost    float64
	tier     tier
	why      string // why no text in here is taken; "" where it may be
	remote   bool
	variable bool // within a template query: ${name} is filled in by a pipeline
}

// query reads one query: an object with one member, whose name is its type.
func (w *walker) query(n *node, path string, s scope) {
	if n == nil || n.kind != '{' {
		return
	}
	if len(w.found) > maxTexts {
		w.unknown = cmp.Or(w.unknown, "of more texts than a question has")
		return
	}
	for i := range n.children {
		q := &n.children[i]
		w.clause(q, path+"."+q.name, s)
	}
}

// clause reads the body of one query, a member whose name is its type.
func (w *walker) clause(q *node, path string, s scope) {
	s.boost *= q.get("boost").number(w.src, 1)
	switch q.name {
	// Full text.
	case "match", "match_phrase", "match_phrase_prefix", "match_bool_prefix", "common":
		w.field(q, path, "query", s)
	case "multi_match", "combined_fields":
		w.text(q.get("query"), q.name, path+".query", names(q.get("fields"), w.src), s)
	case "query_string":
		w.queryString(q, path, s)
	case "simple_query_string":
		w.simpleQueryString(q, path, s)
	case "intervals":
		w.intervals(q, path, s)
	case "span_term", "span_near", "span_or", "span_first", "span_not", "span_multi", "span_containing", "span_within", "field_masking_span",
		"span_field_masking":
		w.spans(q, path, s)

	// Meaning: the text is turned into a vector.
	case "semantic":
		w.fixed = cmp.Or(w.fixed, "a semantic query whose k follows size")
		w.vector(q.get("query"), q, path+".query", s)
	case "sparse_vector":
		w.vector(q.get("query"), q, path+".query", s)
	case "knn":
		w.knn(q, path, s)
	case "neural", "neural_sparse":
		for i := range q.children {
			at := path + "." + q.children[i].name
			w.vector(q.children[i].get("query_text"), q, at+".query_text", s)
			w.filter(q.children[i].get("filter"), at+".filter", s)
		}
	case "text_expansion":
		for i := range q.children {
			w.vector(q.children[i].get("model_text"), q, path+"."+q.children[i].name+".model_text", s)
		}
	case "agentic": // a pipeline writes the whole search anew from the text, the page included
		w.vector(q.get("query_text"), q, path+".query_text", s)
		w.unknown = cmp.Or(w.unknown, q.name)

	// Compounds.
	case "bool":
		w.bool(q, path, s)
	case "dis_max":
		w.each(q.get("queries"), path+".queries", s)
	case "hybrid":
		w.fixed = cmp.Or(w.fixed, "a hybrid query: its scores follow the size of the page")
		w.each(q.get("queries"), path+".queries", s)
		w.filter(q.get("filter"), path+".filter", s)
	case "boosting":
		w.query(q.get("positive"), path+".positive", s)
		w.query(q.get("negative"), path+".negative", s.not("negative"))
	case "constant_score":
		w.query(q.get("filter"), path+".filter", s)
	case "function_score":
		w.query(q.get("query"), path+".query", s)
		for i, f := range q.get("functions").elements() {
			w.query(f.get("filter"), fmt.Sprintf("%s.functions[%d].filter", path, i), s.not("filter"))
		}
	case "nested":
		w.query(q.get("query"), path+".query", s)
	case "script_score":
		w.query(q.get("query"), path+".query", s)
		w.parameters(q.get("script").get("params"), q.name, path+".script.params", nil, s)
	case "has_child", "has_parent":
		s.remote = true
		w.query(q.get("query"), path+".query", s)
	case "pinned":
		w.query(q.get("organic"), path+".organic", s)
	case "rule", "rule_query":
		w.criteria(q.get("match_criteria"), path+".match_criteria", s)
		w.query(q.get("organic"), path+".organic", s)
	case "wrapper":
		w.wrapper(q, path, s)
	case "template":
		w.fixed = cmp.Or(w.fixed, "a template query, which a search pipeline fills in")
		s.variable = true
		w.query(q, path, s)

	// Values, not words.
	case "fuzzy", "prefix", "wildcard":
		w.field(q, path, "value", s.below(fragment))
	case "regexp":
		w.field(q, path, "value", s.not("a regular expression"))
	case "term", "terms", "terms_set":
		w.exact(q, path, s)
	case "more_like_this":
		w.likes(q, path, s)
	case "sltr":
		w.learned(q, path, s)

	case "match_all", "match_none", "ids", "exists", "range", "geo_distance", "geo_bounding_box", "geo_polygon", "geo_shape",
		"geo_grid", "shape", "xy_shape", "rank_feature", "distance_feature", "script", "parent_id", "type", "percolate", "weighted_tokens":

	default:
		w.unknown = cmp.Or(w.unknown, q.name)
	}
}

// not returns the scope of a clause whose texts are not the user's question.
func (s scope) not(why string) scope {
	s.why = cmp.Or(s.why, why)
	return s
}

func (w *walker) each(n *node, path string, s scope) {
	for i, q := range n.elements() {
		w.query(&q, n.at(path, i), s)
	}
}

// filter reads queries that only decide which documents match. Their texts are words as a last resort, and only where the policy says so.
func (w *walker) filter(n *node, path string, s scope) {
	if w.policy.Filters {
		s.tier = filtered
	} else {
		s = s.not("filter")
	}
	w.each(n, path, s)
}

// bool reads must before should: beside a must that has words, a should is a nudge.
func (w *walker) bool(q *node, path string, s scope) {
	before := len(w.found)
	w.each(q.get("must"), path+".must", s)
	should := s
	if slices.ContainsFunc(w.found[before:], func(f found) bool { return f.Why == "" && f.tier <= typed }) {
		should.tier = max(s.tier, optional)
	}
	w.each(q.get("should"), path+".should", should)
	w.filter(q.get("filter"), path+".filter", s)
	w.each(q.get("must_not"), path+".must_not", s.not("must_not"))
	w.each(q.get("mustNot"), path+".mustNot", s.not("must_not")) // deprecated, and still read by all of them
}

// field reads a query of the form {field: text} or {field: {key: text}}.
func (w *walker) field(q *node, path, key string, s scope) {
	for i := range q.children {
		f := &q.children[i]
		if f.kind != '{' {
			if f.name != "boost" && f.name != "_name" {
				w.text(f, q.name, path+"."+f.name, []string{f.name}, s)
			}
			continue
		}
		text := f.get(key)
		if text == nil { // older names of the same
			switch q.name {
			case "wildcard":
				key, text = "wildcard", f.get("wildcard")
			case "fuzzy":
				key, text = "term", f.get("term")
			}
		}
		in := s
		in.boost *= f.get("boost").number(w.src, 1)
		w.text(text, q.name, path+"."+f.name+"."+key, []string{f.name}, in)
	}
}

func (w *walker) text(n *node, query, path string, fields []string, s scope) {
	text, ok := n.scalar(w.src)
	if !ok {
		return
	}
	switch {
	case n.kind == '0':
		s = s.below(figure)
	case n.kind != '"':
		s = s.not("true or false")
	}
	if query == "wildcard" {
		text = unwild(text)
	}
	w.add(query, path, text, isQuoted(text), fields, s)
}

// isQuoted reports whether a text is one phrase in quotes.
func isQuoted(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) > 2 && text[0] == '"' && strings.IndexByte(text[1:], '"') == len(text)-2
}

// add records a text. Field names come as the query spells them: title, title^3.
func (w *walker) add(query, path, text string, quoted bool, fields []string, s scope) {
	f := found{Leaf: Leaf{Path: path, Query: query, Text: collapse(bounded(text)), Boost: s.boost, Why: s.why}, tier: s.tier, remote: s.remote}
	f.quoted = quoted
	top := 0.0
	for _, field := range fields {
		name, boost := splitBoost(field)
		f.Fields = append(f.Fields, name)
		f.boosts = append(f.boosts, boost*s.boost)
		top = max(top, boost)
	}
	if len(fields) > 0 {
		f.Boost *= top
	}
	if f.Why == "" && s.variable && strings.Contains(text, "${") {
		f.Why = "a variable that a pipeline fills in"
	}
	if f.Why == "" && len(text) > len(bounded(text)) {
		f.Why = "too long for a question" // and white space of more than that is no question either
	}
	if f.Why == "" {
		f.Why = w.policy.unfit(f.Text, s.tier)
	}
	f.asks = f.Why == ""
	w.found = append(w.found, f)
}

// splitBoost parts title^3 into title and 3.
func splitBoost(field string) (name string, boost float64) {
	name, spelled, ok := strings.Cut(field, "^")
	if !ok {
		return name, 1
	}
	boost, err := strconv.ParseFloat(spelled, 64)
	if err != nil || !(boost >= 0) {
		return name, 1
	}
	return name, boost
}

// names returns the strings of an array, or the one string.
func names(n *node, src []byte) []string {
	var all []string
	for _, e := range n.elements() {
		if name, ok := e.str(src); ok {
			all = append(all, name)
		}
	}
	return all
}

func (w *walker) queryString(q *node, path string, s scope) {
	text, ok := q.get("query").str(w.src)
	if !ok {
		return
	}
	fields := names(q.get("fields"), w.src)
	if len(fields) == 0 {
		fields = names(q.get("default_field"), w.src)
	}
	words, named := cleanQueryString(bounded(text))
	w.add(q.name, path+".query", words, isQuoted(text), append(fields, named...), s)
}

func (w *walker) simpleQueryString(q *node, path string, s scope) {
	text, ok := q.get("query").str(w.src)
	if !ok {
		return
	}
	flags, _ := q.get("flags").str(w.src)
	w.add(q.name, path+".query", cleanSimpleQueryString(bounded(text), flags), isQuoted(text), names(q.get("fields"), w.src), s)
}

// criteria reads what a rule is matched by: texts that the application hands over as what the user typed, under the names that are usual
// for that, among others.
func (w *walker) criteria(n *node, path string, s scope) {
	if n == nil {
		return
	}
	for i := range n.children {
		c := &n.children[i]
		in := s.outright(matched)
		if c.name != "user_query" && !slices.Contains(paramNames, c.name) {
			in = in.not("not known to be the user's words")
		}
		if text, ok := c.str(w.src); ok {
			w.add("rule", path+"."+c.name, text, isQuoted(text), nil, in)
		}
	}
}

// wrapper reads a query within a query, in base64: with or without padding, and in either alphabet, though the clusters know but one.
func (w *walker) wrapper(q *node, path string, s scope) {
	text, _ := q.get("query").str(w.src)
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	inner, err := base64.RawStdEncoding.DecodeString(text)
	if err == nil {
		var n *node
		if n, err = parseNode(inner); err == nil {
			outer := w.src
			w.src = inner
			w.query(n, path+".query", s)
			w.src = outer
			return
		}
	}
	w.unknown = cmp.Or(w.unknown, "wrapper that holds no JSON")
}
