package search

import (
	"bytes"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rerankd/rerankd/proxy/filterpath"
)

// Need is what the ranking wants of a search.
type Need struct {
	Window int      // hits to rerank
	Fields []string // whose texts are to be read; full names, no wildcards
	// Unsourced are those of Fields that _source does not show even where it comes whole: runtime fields, aliases, targets of copy_to.
	// (A _source that is disabled helps nobody: OpenSearch, and Elasticsearch before 8.3, refuse to give fields without it, and later
	// Elasticsearch gives none.) Fields that the request itself makes up are known without being named here.
	Unsourced []string
	Widen     bool // whether to fetch the whole window; without it only the client's own page is fetched
	Emulate   bool // whether to search for the child of a [Reranker] alone; without a Reranker it counts for nothing
}

// Widened is a request built from another one, and what has to be known to turn its response into the client's.
type Widened struct {
	RawQuery string // of the URL
	Body     []byte // nil where there is none
	// ContentType is to be set on the request where the body is ours (the client sent none, or sent it in the URL); else "", and the
	// client's own header stands. Elasticsearch wants the version that an Accept header may carry repeated there: that is up to the caller.
	ContentType string
	Changed     bool // whether RawQuery or Body differ from the client's
	Enlarged    bool // whether it asks for other hits than the client's page
	Window      int  // hits that may be reranked, counted from the first of the response; the rest keeps its order below them
	From, Size  int  // the client's page, as a part of the response's hits

	// Filter is the client's filter_path, to be applied to what is spliced, as the response itself comes whole; nil: there is none.
	Filter *filterpath.Filter

	added []string // fields that only we asked for
	asked []string // patterns of those that the client asked for
}

// Widen builds the request that fetches what n needs. It is for requests that [Request.Pass], or [Reranker.Pass] with n.Emulate, lets
// through, and never changes r. The client's bytes stay as they are but for from, size, fields, ext.rerank and ext.ubi.
func (r *Request) Widen(n Need) (*Widened, error) {
	if n.Emulate && r.reranker != nil {
		return r.reranker.widen(r, n)
	}
	w := &Widened{Window: r.Window(n.Window), From: 0, Size: r.size, Filter: r.filter}
	from, size := r.from, r.size
	if n.Widen && r.fixed == "" && r.paged == "" {
		from, size = 0, max(w.Window, r.from+r.size)
		if r.limit > 0 {
			size = min(size, r.limit)
		}
		w.From = r.from
	} else {
		w.Window = min(w.Window, r.size)
	}
	w.Enlarged = from != r.from || size != r.size
	return w, r.write(w, from, size, n, true)
}

// write writes the request for so many hits, with the fields that are needed, and without ext.ubi where that is asked for.
func (r *Request) write(w *Widened, from, size int, n Need, ubi bool) error {
	var query, body []edit
	var insert []string // members for the body
	r.setCount("from", r.from, from, &query, &body, &insert)
	r.setCount("size", r.size, size, &query, &body, &insert)
	if err := r.addFields(w, n, &body, &insert); err != nil {
		return err
	}
	if len(insert) > 0 {
		body = append(body, r.insertion(insert, ubi))
	}
	body = append(body, r.withoutExt(whole, ubi)...)
	w.RawQuery, w.Body = r.rawQuery, r.body
	if len(body) > 0 {
		base := r.json
		if base == nil {
			base = []byte("{}")
		}
		w.Body = apply(make([]byte, 0, len(base)+256), base, 0, len(base), body)
		if len(r.body) == 0 {
			w.ContentType = "application/json"
			query = append(query, r.withoutSource()...)
		}
	}
	if w.Filter != nil {
		query = append(query, r.params.whole()...)
	}
	if len(query) > 0 {
		w.RawQuery = strings.Trim(string(apply(nil, []byte(r.rawQuery), 0, len(r.rawQuery), query)), "&")
	}
	w.Changed = len(query) > 0 || len(body) > 0
	return nil
}

// Original returns the query string and the body that the cluster is to see where the search is not reranked: the client's own bytes,
// less our members of ext.rerank, which a cluster would refuse. OpenSearch's own query_context stays, and so does ext.ubi unless the search
// is [Request.Recorded].
func (r *Request) Original() (rawQuery string, body []byte) {
	return r.less(func(m *node) bool { return m.name != "query_context" })
}

// Plain returns the same without any ext.rerank, for clusters that do not know it: Elasticsearch refuses every section of ext that it does
// not know, and so does OpenSearch without the plugin.
func (r *Request) Plain() (rawQuery string, body []byte) { return r.less(whole) }

// whole drops a section with all that it holds.
func whole(*node) bool { return true }

// less returns the search without those members of ext.rerank for which drop says so, and where it is recorded without ext.ubi.
func (r *Request) less(drop func(*node) bool) (rawQuery string, body []byte) {
	edits := r.withoutExt(drop, r.recorded)
	if len(edits) == 0 {
		return r.rawQuery, r.body
	}
	body = apply(make([]byte, 0, len(r.json)), r.json, 0, len(r.json), edits)
	if len(r.body) > 0 {
		return r.rawQuery, body
	}
	source := r.params.get("source")
	return r.rawQuery[:source.valueStart] + url.QueryEscape(string(body)) + r.rawQuery[source.end:], nil
}

// setCount puts a new value where the client's stands: in the URL, which wins, else in the body, else in the body as a new member, and
// where there is no body in the URL.
func (r *Request) setCount(name string, old, value int, query, body *[]edit, insert *[]string) {
	if value == old {
		return
	}
	text := strconv.Itoa(value)
	if p := r.params.get(name); p != nil {
		*query = append(*query, edit{p.valueStart, p.end, text})
	} else if n := r.root.get(name); n != nil {
		*body = append(*body, edit{n.start, n.end, text})
	} else if r.root != nil {
		*insert = append(*insert, `"`+name+`":`+text)
	} else {
		*query = append(*query, edit{len(r.rawQuery), len(r.rawQuery), "&" + name + "=" + text})
	}
}

// addFields asks for the fields that the documents will not show, and that the client has not asked for itself.
func (r *Request) addFields(w *Widened, n Need, body *[]edit, insert *[]string) error {
	w.asked = r.asked
	var spelled []string
	for _, field := range n.Fields {
		if r.sourceWhole && !slices.Contains(n.Unsourced, field) && !r.makesUp(field) {
			continue
		}
		if slices.Contains(w.added, field) || matches(r.asked, field) {
			continue
		}
		quoted, err := jsontext.AppendQuote(nil, field)
		if err != nil {
			return errors.New("a field's name is not UTF-8")
		}
		w.added = append(w.added, field)
		spelled = append(spelled, string(quoted))
	}
	list := r.root.get("fields")
	switch {
	case len(spelled) == 0:
	case holds(r.root.get("aggs"), "top_hits") || holds(r.root.get("aggregations"), "top_hits"):
		return errors.New("top_hits, whose hits would show the fields that are asked for (Elasticsearch 8.19)")
	case list == nil:
		*insert = append(*insert, `"fields":[`+strings.Join(spelled, ",")+"]")
	case list.kind != '[':
		return errors.New("fields is not an array")
	default:
		text := strings.Join(spelled, ",")
		if len(bytes.TrimSpace(r.json[list.start+1:list.end-1])) > 0 {
			text = "," + text
		}
		*body = append(*body, edit{list.end - 1, list.end - 1, text})
	}
	return nil
}

// makesUp reports whether the request itself says how the values of a field are made: no document holds them.
func (r *Request) makesUp(field string) bool {
	return slices.ContainsFunc(r.unsourced, func(name string) bool { return field == name || strings.HasPrefix(field, name+".") })
}

// insertion puts new members at the head of the body.
func (r *Request) insertion(members []string, ubi bool) edit {
	text := strings.Join(members, ",")
	if r.root == nil {
		return edit{1, 1, text} // into {}
	}
	stay := len(r.root.children)
	if all, _ := r.leaves(whole, ubi); all {
		stay-- // ext
	}
	if stay > 0 {
		text += ","
	}
	return edit{r.root.start + 1, r.root.start + 1, text}
}

// withoutExt takes those members out of ext.rerank for which drop says so, all of it where none would be left, ext.ubi where that is asked
// for, and ext with them where it holds nothing else.
func (r *Request) withoutExt(drop func(*node) bool, ubi bool) []edit {
	all, some := r.leaves(drop, ubi)
	if all {
		return without(r.root.children, func(m *node) bool { return m.name == "ext" })
	}
	ext := r.root.get("ext")
	if ext == nil {
		return nil
	}
	edits := without(ext.children, some)
	if rerank := ext.get("rerank"); rerank != nil && !some(rerank) && rerank.kind == '{' {
		edits = append(edits, without(rerank.children, drop)...)
	}
	return edits
}

// leaves says which members of ext go as a whole, and whether that is all there are.
func (r *Request) leaves(drop func(*node) bool, ubi bool) (all bool, some func(*node) bool) {
	some = func(m *node) bool {
		switch m.name {
		case "ubi":
			return ubi
		case "rerank":
			return m.kind != '{' || !slices.ContainsFunc(m.children, func(c node) bool { return !drop(&c) })
		}
		return false
	}
	ext := r.root.get("ext")
	stays := func(m node) bool { return !some(&m) }
	return ext != nil && ext.kind == '{' && len(ext.children) > 0 && !slices.ContainsFunc(ext.children, stays), some
}

// withoutSource takes the body that has moved out of the URL.
func (r *Request) withoutSource() []edit {
	return r.params.without(r.rawQuery, "source", "source_content_type")
}

// matches reports whether one of the patterns, with * for any run of characters, stands for the name.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return glob(pattern, name) })
}

func glob(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, ok := strings.Cut(name, part)
		if !ok {
			return false
		}
		name = rest
	}
	return true
}
