package search

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxSearches bounds how many searches one request may hold. Applications send a few; a cluster runs a handful of them at a time.
const maxSearches = 1 << 13

// Multi is the body of a multi-search (_msearch, _msearch/template): for each search a line with its header, and a line with its body. It
// keeps the slice that it was parsed from.
type Multi struct {
	Searches []OneSearch
	body     []byte
}

// OneSearch is one search of a multi-search.
type OneSearch struct {
	Header  []byte // the line without its line feed; white space alone stands for {}
	Indices string // that the header names, joined by commas; "" where it names none and those of the URL count
	Body    []byte // the line without its line feed
	line    span   // of Body
	reason  Reason
	detail  string
}

// ParseMulti reads the body of a multi-search. An error means that a cluster would refuse all of it, or that clusters differ in how they
// read it; it is to be forwarded as it came. Whether the searches themselves are JSON is for [Parse] to say.
//
// All clusters part the lines by line feeds alone (a carriage return before one is white space), want one after the last line, and leave
// a header without a body at the end unheeded, so that an empty line may follow the last search. They differ in an empty line before the
// first search: Elasticsearch since 8.0 takes it for an empty header, those before it and OpenSearch skip it.
func ParseMulti(body []byte) (*Multi, error) {
	if len(body) == 0 || body[len(body)-1] != '\n' {
		return nil, errors.New("reading the multi-search: no line feed at its end")
	}
	if body[0] == '\n' {
		return nil, errors.New("reading the multi-search: an empty line before the first search")
	}
	m := &Multi{body: body}
	for at := 0; ; {
		header := span{at, at + bytes.IndexByte(body[at:], '\n')}
		start := header.end + 1
		length := bytes.IndexByte(body[min(start, len(body)):], '\n')
		if length < 0 {
			break
		}
		if len(m.Searches) == maxSearches {
			return nil, fmt.Errorf("reading the multi-search: more than %d searches", maxSearches)
		}
		s := OneSearch{Header: header.of(body), line: span{start, start + length}}
		s.Body = s.line.of(body)
		if len(bytes.TrimSpace(s.Body)) == 0 {
			return nil, fmt.Errorf("reading the multi-search: search %d has no body", len(m.Searches))
		}
		s.readHeader()
		m.Searches = append(m.Searches, s)
		if at = s.line.end + 1; at == len(body) {
			break
		}
	}
	if len(m.Searches) == 0 {
		return nil, errors.New("reading the multi-search: no searches in it")
	}
	return m, nil
}

// readHeader reads what the header says, and looks for what forbids reranking the search.
func (s *OneSearch) readHeader() {
	if len(bytes.TrimSpace(s.Header)) == 0 {
		return
	}
	root, err := parseNode(s.Header)
	if err != nil {
		s.forbid(MalformedRequest, "header: "+err.Error())
		return
	}
	if root.kind != '{' {
		s.forbid(Unsupported, "header that is not an object")
	}
	named := false
	for i := range root.children {
		switch m := &root.children[i]; m.name {
		case "index", "indices":
			if named { // which of the two counts is up to a hash table
				s.forbid(Unsupported, "header with index and indices")
			}
			named = true
			s.readIndices(m)
		case "search_type", "searchType":
			if kind, ok := m.str(s.Header); m.kind != 'n' && (!ok || kind != "query_then_fetch" && kind != "dfs_query_then_fetch") {
				s.forbid(Unsupported, "header "+m.name+" "+kind)
			}
		case "allow_no_indices", "allowNoIndices", "allow_partial_search_results", "cancel_after_time_interval", "cancelAfterTimeInterval",
			"ccs_minimize_roundtrips", "ccsMinimizeRoundtrips", "expand_wildcards", "expandWildcards", "ignore_throttled", "ignoreThrottled",
			"ignore_unavailable", "ignoreUnavailable", "preference", "request_cache", "requestCache", "routing":
		default:
			s.forbid(Unsupported, "header "+m.name)
		}
	}
}

// readIndices reads a string of names parted by commas, or an array of names. An empty one stands for all indices, whatever the URL says.
func (s *OneSearch) readIndices(m *node) {
	text, ok := m.str(s.Header)
	if m.kind == '[' {
		var names []string
		ok = json.Unmarshal(m.raw(s.Header), &names) == nil
		for _, name := range names {
			ok = ok && name != "" && !strings.Contains(name, ",") // one name for the cluster, two for who reads Indices
		}
		text = strings.Join(names, ",")
	}
	if !ok {
		s.forbid(Unsupported, "header "+m.name)
	}
	if s.Indices = text; text == "" {
		s.Indices = "_all"
	}
}

func (s *OneSearch) forbid(reason Reason, detail string) {
	if s.reason == "" {
		s.reason, s.detail = reason, detail
	}
}

// Pass returns why the header forbids reranking the search, and a detail for the log, as [Request.Pass] does for the body.
func (s *OneSearch) Pass() (reason Reason, detail string) { return s.reason, s.detail }

// Build writes the multi-search with other bodies: those that are not nil take the place of the searches' own, each made one line. Without
// any, it writes the bytes that it was parsed from.
func (m *Multi) Build(bodies [][]byte) []byte {
	var edits []edit
	for i, body := range bodies[:min(len(bodies), len(m.Searches))] {
		if body != nil {
			s := m.Searches[i]
			edits = append(edits, edit{s.line.start, s.line.end, oneLine(body)})
		}
	}
	return apply(make([]byte, 0, len(m.body)+256*len(edits)), m.body, 0, len(m.body), edits)
}

// oneLine makes spaces of line feeds: there can be none within a JSON string, so that all are white space.
func oneLine(body []byte) string {
	return string(bytes.ReplaceAll(body, []byte{'\n'}, []byte{' '}))
}

// MultiResponse is the response to a multi-search, indexed but not decoded: for each search, in the same order, a response or an error. It
// keeps the slice that it was parsed from.
type MultiResponse struct {
	body  []byte
	took  span
	items []multiItem
}

type multiItem struct {
	span
	status span
	failed bool // it holds an error
}

// ParseMultiResponse indexes the body of the response to a multi-search. An error means that it is not JSON, or not one as we know it; it
// is to be passed on as it came.
func ParseMultiResponse(body []byte) (*MultiResponse, error) {
	m := &MultiResponse{body: body}
	d := reader{jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	found := false
	_, err := d.object(func(name string) error {
		switch name {
		case "took":
			return d.once(&m.took)
		case "error":
			return errors.New("it holds an error")
		case "responses":
			if found {
				return errors.New("responses given twice")
			}
			found = true
			return m.readItems(d)
		}
		return d.SkipValue()
	})
	if err != nil {
		return nil, fmt.Errorf("reading the multi-search's response: %w", err)
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, errors.New("reading the multi-search's response: data after its end")
	}
	if !found {
		return nil, errors.New("reading the multi-search's response: no responses in it")
	}
	return m, nil
}

func (m *MultiResponse) readItems(d reader) error {
	if d.PeekKind() != '[' {
		return errors.New("responses is not an array")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '{' {
		var item multiItem
		var err error
		item.span, err = d.object(func(name string) error {
			switch name {
			case "status":
				return d.once(&item.status)
			case "error":
				item.failed = true
			}
			return d.SkipValue()
		})
		if err != nil {
			return err
		}
		if m.items = append(m.items, item); len(m.items) > maxSearches {
			return fmt.Errorf("more than %d responses", maxSearches)
		}
	}
	if kind := d.PeekKind(); kind != ']' && kind != 0 { // 0 where there is no JSON, for which ReadToken has the word
		return errors.New("a response is not an object")
	}
	_, err := d.ReadToken()
	return err
}

// Items returns how many responses there are.
func (m *MultiResponse) Items() int { return len(m.items) }

// Item returns the bytes of response i, to be read by [ParseResponse] unless it failed. They are a part of the whole, not to be written to.
func (m *MultiResponse) Item(i int) []byte { return slices.Clip(m.items[i].of(m.body)) }

// Status returns the HTTP status that response i would have had by itself, 0 where it does not say.
func (m *MultiResponse) Status(i int) int {
	if s := m.items[i].status; s.has() {
		if status, err := strconv.Atoi(string(s.of(m.body))); err == nil {
			return status
		}
	}
	return 0
}

// Failed reports whether response i is an error instead of a search response.
func (m *MultiResponse) Failed(i int) bool {
	return m.items[i].failed || m.items[i].status.has() && m.Status(i) != 200
}

// Splice writes the response with other items: those that are not nil take the place of the cluster's. ms milliseconds are added to took,
// that of the whole. An error means that there are more items than responses.
func (m *MultiResponse) Splice(replaced [][]byte, ms int) ([]byte, error) {
	if len(replaced) > len(m.items) {
		return nil, fmt.Errorf("splicing %d responses into %d", len(replaced), len(m.items))
	}
	size := len(m.body) + 16
	for i, item := range replaced {
		if item != nil {
			size += len(item) - (m.items[i].end - m.items[i].start)
		}
	}
	dst, at := make([]byte, 0, size), 0
	put := func(s span, text []byte) {
		dst = append(append(dst, m.body[at:s.start]...), text...)
		at = s.end
	}
	took, changed := addTook(m.took, m.body, ms)
	if changed && (len(m.items) == 0 || m.took.start < m.items[0].start) {
		put(m.took, took)
	}
	for i, item := range replaced {
		if item != nil {
			put(m.items[i].span, item)
		}
	}
	if changed && at <= m.took.start {
		put(m.took, took)
	}
	return append(dst, m.body[at:]...), nil
}
