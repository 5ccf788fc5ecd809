package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/proxy/search"
)

// compare answers a question by two searches: one with reranking off, and one with. Both are asked for so many hits that it shows where
// a hit of the one list stands in the other.
func (a *searcher) compare(ctx context.Context, q admin.Question, window int) (*admin.Comparison, error) {
	if err := checkIndices(q.Index); err != nil {
		return nil, err
	}
	body, fields, err := a.searchOf(ctx, q)
	if err != nil {
		return nil, err
	}
	c := &admin.Comparison{Index: q.Index, Size: cmp.Or(q.Size, whole(body["size"]), 10)}
	c.Depth = max(c.Size, window)
	body["from"], body["size"] = json.RawMessage("0"), fmt.Appendf(nil, "%d", c.Depth)
	before, err := a.search(ctx, q.Index, body, false)
	if err != nil {
		return nil, err
	}
	after, err := a.search(ctx, q.Index, body, true)
	if err != nil {
		return nil, err
	}
	c.Query = cmp.Or(after.words, q.Words)
	c.Rule, c.Outcome, c.Reason, c.Detail, c.Said = after.rule, after.outcome, string(after.reason), after.detail, after.said
	c.Total, c.Window, c.Scored = after.matches(), after.window, after.scored
	c.Took, c.Added = ms(after.cluster), ms(after.ranking)
	c.Fields = after.fields
	if len(c.Fields) == 0 {
		c.Fields = withoutBoosts(fields)
	}
	c.Cluster, c.Reranked = sides(before.Response, after.Response, c.Size, c.Fields)
	c.Likeness = likeness(before.Response, after.Response, c.Size)
	return c, nil
}

// checkIndices makes sure that a search of an index expression is a search: /_scripts/_search, say, would store a script.
func checkIndices(indices string) error {
	if indices == "" {
		return usageError{errors.New("there is no index to search"), "give --index; rerankd check lists them"}
	}
	for name := range strings.SplitSeq(indices, ",") {
		if name == "" || name == "." || name == ".." || strings.HasPrefix(name, "_") && name != "_all" ||
			strings.ContainsAny(name, "\\ \"?#") || strings.Contains(name, "/") && !strings.HasPrefix(name, "<") { // <logs-{now/d}> has one
			return usageError{fmt.Errorf("%q is not the name of an index", name), "names and patterns, separated by commas"}
		}
	}
	return nil
}

// searchOf is the body of a question's search, and the fields that it says to search in; none where the body says so itself.
func (a *searcher) searchOf(ctx context.Context, q admin.Question) (body map[string]json.RawMessage, fields []string, err error) {
	if q.Body != "" {
		if err := json.Unmarshal([]byte(q.Body), &body); err != nil {
			return nil, nil, hintedError{fmt.Errorf("reading the search's body: %w", err), `it is an object, such as {"query": {"match": {"title": "red shoes"}}}`}
		}
		if body == nil { // it says null
			body = map[string]json.RawMessage{}
		}
		return body, nil, nil
	}
	if fields = q.Fields; len(fields) == 0 {
		mapping, err := a.mapping(ctx, q.Index)
		if err != nil {
			return nil, nil, err
		}
		if fields = proxy.Choose(nil, mapping).Paths(); len(fields) == 0 {
			return nil, nil, fmt.Errorf("%s has no text field to search in", q.Index)
		}
	}
	query, err := json.Marshal(map[string]any{"multi_match": map[string]any{"query": q.Words, "fields": fields, "lenient": true}})
	return map[string]json.RawMessage{"query": query}, fields, err
}

// whole reads a number that is a size; 0 where it is none.
func whole(raw json.RawMessage) int {
	var n int
	if json.Unmarshal(raw, &n) != nil || n < 0 {
		return 0
	}
	return n
}

// sides are the two pages.
func sides(before, after *search.Response, size int, fields []string) (cluster, reranked []admin.Hit) {
	cluster, reranked = side(before, after, size, fields), side(after, before, size, fields)
	for i := range cluster {
		h := &cluster[i]
		h.Move, h.Places = admin.MoveOf(h.Rank, h.Other, size)
	}
	for i := range reranked {
		h := &reranked[i]
		h.Move, h.Places = admin.MoveOf(h.Other, h.Rank, size)
	}
	return cluster, reranked
}

// side is a page of a response, beside another.
func side(r, beside *search.Response, size int, fields []string) []admin.Hit {
	other := placesOf(beside)
	hits := make([]admin.Hit, min(size, r.Hits()))
	for i := range hits {
		hits[i] = admin.Hit{Rank: i + 1, Other: other[named(r, i)], Index: r.Index(i), ID: r.ID(i)}
		if score := r.Score(i); !math.IsNaN(score) {
			hits[i].Score = &score
		}
		hits[i].Title, hits[i].Text = titled(r, i, fields)
	}
	return hits
}

// placesOf are the ranks of a response's hits, from 1.
func placesOf(r *search.Response) map[string]int {
	places := make(map[string]int, r.Hits())
	for i := range r.Hits() {
		places[named(r, i)] = i + 1
	}
	return places
}

// named tells hits apart. A name of an index has no slash.
func named(r *search.Response, i int) string { return r.Index(i) + "/" + r.ID(i) }

// maxShown bounds what is shown of a hit's texts, in bytes.
const maxShown = 4 << 10

// titled are the first of a hit's texts and the others; of a hit without any, its id.
func titled(r *search.Response, i int, fields []string) (title, text string) {
	var rest []string
	for _, field := range fields {
		t := line(r.Text(i, search.FieldsTemplate([]string{field})))
		switch {
		case t == "":
		case title == "":
			title = t
		default:
			rest = append(rest, t)
		}
	}
	return cut(cmp.Or(title, r.ID(i)), maxShown), cut(strings.Join(rest, " · "), maxShown)
}

// cut shortens s to so many bytes, and no character of it.
func cut(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	return strings.ToValidUTF8(s[:bytes], "")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
