package search

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// pinned is the least score of a pinned hit: pinned queries and rules lift theirs to 2^127 and more, where no other score comes to.
const pinned = 1 << 127

// maxHits bounds what is kept of a response: a cluster gives 10,000 hits at most unless it is told otherwise.
const maxHits = 1 << 16

// Response is a search response, indexed but not decoded. It keeps the slice that it was parsed from.
type Response struct {
	body     []byte
	took     span
	total    span
	maxScore span
	ext      span
	tail     int  // where the last member ends, the status of an item of a multi-search aside; 0: there is none
	array    span // of the hits, brackets included
	hits     []hit
	timedOut bool
	failed   int
}

// A span is where a value stands. No value stands at 0, so the zero span means that there is none.
type span struct{ start, end int }

func (s span) has() bool             { return s.end > 0 }
func (s span) of(body []byte) []byte { return body[s.start:s.end] }

type hit struct {
	span
	index, id, score, rank, source, fields, ignored, sort, explanation span
}

// ParseResponse indexes the body of a search response. An error means that it is not JSON, or not a search response as we know it (no
// hits, or one of the names that we would have to change given twice); it is to be passed on as it came.
func ParseResponse(body []byte) (*Response, error) {
	p, err := readResponse(body)
	if err != nil {
		return nil, err
	}
	if !p.array.has() {
		return nil, errors.New("reading the response: no hits in it")
	}
	return p, nil
}

func readResponse(body []byte) (*Response, error) {
	p := &Response{body: body}
	// The decoder reads a bytes.Buffer in place, without a copy. It stops at 10,000 levels.
	d := reader{jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	if err := p.read(d); err != nil {
		return nil, fmt.Errorf("reading the response: %w", err)
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, errors.New("reading the response: data after its end")
	}
	return p, nil
}

func (p *Response) read(d reader) error {
	_, err := d.object(func(name string) error {
		err := p.readMember(d, name)
		if name != "status" || p.tail == 0 {
			p.tail = d.offset()
		}
		return err
	})
	return err
}

func (p *Response) readMember(d reader, name string) error {
	switch name {
	case "took":
		return d.once(&p.took)
	case "timed_out":
		value, err := d.ReadValue()
		p.timedOut = string(value) == "true"
		return err
	case "_shards":
		return p.readShards(d)
	case "hits":
		return p.readHits(d)
	case "ext":
		return d.last(&p.ext)
	case "error":
		return errors.New("it holds an error")
	}
	return d.SkipValue()
}

func (p *Response) readShards(d reader) error {
	_, err := d.object(func(name string) error {
		if name != "failed" {
			return d.SkipValue()
		}
		value, err := d.ReadValue()
		if err == nil {
			p.failed, err = strconv.Atoi(string(value))
		}
		return err
	})
	return err
}

func (p *Response) readHits(d reader) error {
	if p.array.has() {
		return errors.New("hits given twice")
	}
	_, err := d.object(func(name string) error {
		switch name {
		case "total":
			return d.last(&p.total)
		case "max_score":
			return d.once(&p.maxScore)
		case "hits":
			if p.array.has() {
				return errors.New("hits.hits given twice")
			}
			return p.readArray(d)
		}
		return d.SkipValue()
	})
	return err
}

func (p *Response) readArray(d reader) error {
	if d.PeekKind() != '[' {
		return errors.New("hits.hits is not an array")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	start := d.offset() - 1
	for d.PeekKind() == '{' {
		h, err := readHit(d)
		if err != nil {
			return err
		}
		if p.hits = append(p.hits, h); len(p.hits) > maxHits {
			return fmt.Errorf("more than %d hits", maxHits)
		}
	}
	if kind := d.PeekKind(); kind != ']' && kind != 0 { // 0 where there is no JSON, for which ReadToken has the word
		return errors.New("a hit is not an object")
	}
	_, err := d.ReadToken()
	p.array = span{start, d.offset()}
	return err
}

func readHit(d reader) (h hit, err error) {
	h.span, err = d.object(func(name string) error {
		switch name {
		case "_index":
			return d.once(&h.index)
		case "_id":
			return d.once(&h.id)
		case "_score":
			return d.once(&h.score)
		case "_rank":
			return d.once(&h.rank)
		case "_source":
			return d.once(&h.source)
		case "fields":
			return d.once(&h.fields)
		case "ignored_field_values":
			return d.once(&h.ignored)
		case "sort":
			return d.once(&h.sort)
		case "_explanation":
			return d.once(&h.explanation)
		}
		return d.SkipValue()
	})
	return h, err
}

// A reader walks over JSON and notes where values stand.
type reader struct{ *jsontext.Decoder }

func (d reader) offset() int { return int(d.InputOffset()) }

// object reads an object, or anything else in its place as if it were empty. member is called before each value, and reads it.
func (d reader) object(member func(name string) error) (span, error) {
	if d.PeekKind() != '{' {
		return span{}, d.SkipValue()
	}
	if _, err := d.ReadToken(); err != nil {
		return span{}, err
	}
	start := d.offset() - 1
	for d.PeekKind() != '}' {
		raw, err := d.ReadValue()
		if err != nil {
			return span{}, err
		}
		if err := member(nameOf(raw)); err != nil {
			return span{}, err
		}
	}
	_, err := d.ReadToken()
	return span{start, d.offset()}, err
}

// responseNames are the names that are of use here, each as it is mostly spelled.
var responseNames = []string{
	"took", "timed_out", "_shards", "failed", "hits", "max_score", "error", "responses", "status", "total", "ext",
	"_index", "_id", "_score", "_source", "fields", "_rank", "ignored_field_values", "sort", "_explanation",
}

// nameOf returns a member's name, without a copy where that is of use here; "" where a name that is spelled without escapes is of none.
func nameOf(raw jsontext.Value) string {
	if bytes.IndexByte(raw, '\\') >= 0 {
		return unquote(raw)
	}
	for _, name := range responseNames {
		if string(raw[1:len(raw)-1]) == name {
			return name
		}
	}
	return ""
}

// once reads a value and notes where it stands. The same name again is an error: clients differ in which of two they believe.
func (d reader) once(s *span) error {
	if s.has() {
		return errors.New("a name given twice")
	}
	return d.last(s)
}

// last reads a value and notes where it stands. Of several, the last counts: nothing that is to be changed in every response.
func (d reader) last(s *span) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	end := d.offset()
	*s = span{end - len(value), end}
	return nil
}

// Hits returns how many hits the response holds.
func (p *Response) Hits() int { return len(p.hits) }

// Score returns the cluster's score of hit i, NaN where it gives none.
func (p *Response) Score(i int) float64 { return p.number(p.hits[i].score) }

func (p *Response) number(s span) float64 {
	if s.has() {
		if v, err := strconv.ParseFloat(string(s.of(p.body)), 64); err == nil {
			return v
		}
	}
	return math.NaN()
}

// Held reports whether hit i is pinned to its place: pinned queries and rules give it a score of 2^127 or more.
func (p *Response) Held(i int) bool { return p.Score(i) >= pinned }

// Index returns the _index of hit i, "" where it has none.
func (p *Response) Index(i int) string { return p.string(p.hits[i].index) }

// ID returns the _id of hit i, "" where it has none.
func (p *Response) ID(i int) string { return p.string(p.hits[i].id) }

func (p *Response) string(s span) string {
	if !s.has() || p.body[s.start] != '"' {
		return ""
	}
	return unquote(s.of(p.body))
}

// Took returns the milliseconds that the cluster says it took, 0 where it does not say.
func (p *Response) Took() int {
	if !p.took.has() {
		return 0
	}
	ms, err := strconv.Atoi(string(p.took.of(p.body)))
	if err != nil {
		return 0
	}
	return ms
}

// Sorted reports whether the hits are sorted by something else than their score alone: where it is that, no cluster gives sort values.
func (p *Response) Sorted() bool {
	return slices.ContainsFunc(p.hits, func(h hit) bool { return h.sort.has() })
}

// TimedOut reports whether the cluster cut the search short: the hits are some of those that match.
func (p *Response) TimedOut() bool { return p.timedOut }

// FailedShards returns how many shards failed.
func (p *Response) FailedShards() int { return p.failed }
