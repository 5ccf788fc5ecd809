package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/rerankd/rerankd/proxy/search"
)

// The goals for reading a search and for writing its answer.
const (
	goalPlan   = 60  // µs, for a search body of 2 KB
	goalSplice = 600 // µs, for an answer of 100 hits and 126 KB
	goalAllocs = 3   // a hit
)

// wire measures the reading of a search and the splicing of its answer, in this process: what a reranked search costs beside the model.
func wire(_ context.Context, out io.Writer, _ string, o options) error {
	body, answer := searchBody(), wideAnswer()
	fmt.Fprintf(out, "\n### Reading a search, splicing its answer\n\n")
	fmt.Fprintln(out, "| what | µs | goal | allocations |")
	fmt.Fprintln(out, "|---|---|---|---|")
	for _, m := range []struct {
		name string
		goal float64
		per  int // of what allocations are counted
		run  func() error
	}{
		{fmt.Sprintf("parse and plan a search of %.1f KB", float64(len(body))/1e3), goalPlan, 1, func() error { return plan(body) }},
		{fmt.Sprintf("parse, read and splice an answer of 100 hits, %.0f KB", float64(len(answer))/1e3), goalSplice, 100, func() error { return splice(answer) }},
	} {
		if err := m.run(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		var micros series
		var allocs int64
		for range o.rounds {
			r := testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := m.run(); err != nil {
						b.Fatal(err)
					}
				}
			})
			micros, allocs = append(micros, float64(r.NsPerOp())/1e3), r.AllocsPerOp()
		}
		counted := fmt.Sprint(allocs)
		if m.per > 1 {
			a := float64(allocs) / float64(m.per)
			counted = fmt.Sprintf("%s a hit (goal ≤ %d: %s)", figure(a), goalAllocs, against(a, goalAllocs))
		}
		fmt.Fprintf(out, "| %s | %s | ≤ %s: %s | %s |\n", m.name, micros, figure(m.goal), against(micros.median(), m.goal), counted)
	}
	return nil
}

// plan is what is done to a search before the cluster is asked.
func plan(body []byte) error {
	r, err := search.Parse("typed_keys=true", body)
	if err != nil {
		return err
	}
	if reason, detail := r.Pass(); reason != "" || r.Words() == "" {
		return fmt.Errorf("passed for %s %s", reason, detail)
	}
	_, err = r.Widen(search.Need{Window: 50, Fields: []string{"title", "text"}, Widen: true})
	return err
}

// splice is what is done to an answer beside the ranking: the hits come in the opposite order, with new scores.
func splice(answer []byte) error {
	p, err := search.ParseResponse(answer)
	if err != nil {
		return err
	}
	template := search.FieldsTemplate([]string{"title", "text"})
	order, scores := make([]int, p.Hits()), make([]float64, p.Hits())
	for i, text := range p.Texts(p.Hits(), template) {
		if text == "" {
			return fmt.Errorf("hit %d has no text", i)
		}
		order[i], scores[i] = len(order)-1-i, 1/float64(i+1)
	}
	_, err = p.Splice(search.Page{Size: p.Hits(), Order: order, Scores: scores, AddTook: 100})
	return err
}

// searchBody is a search as a shop's page sends it: one text against several fields, filters, facets, highlights.
func searchBody() []byte {
	terms := func(field string, values ...string) map[string]any {
		return map[string]any{"terms": map[string]any{field: values}}
	}
	facets := map[string]any{}
	for _, field := range []string{"brand", "category", "colour", "size", "material", "rating", "season", "fit"} {
		facets[field] = map[string]any{
			"filter": map[string]any{"bool": map[string]any{"filter": []any{terms("in_stock", "true"), terms("country", "de", "fr", "nl")}}},
			"aggs":   map[string]any{field: map[string]any{"terms": map[string]any{"field": field + ".keyword", "size": 20}}},
		}
	}
	body, err := json.Marshal(map[string]any{
		"from": 0, "size": 24, "track_total_hits": true, "aggs": facets,
		"_source": []string{"title", "text", "price", "image", "url"},
		"query": map[string]any{"function_score": map[string]any{
			"query": map[string]any{"bool": map[string]any{
				"must": []any{map[string]any{"multi_match": map[string]any{
					"query": "waterproof winter jacket with a hood", "fields": []string{"title^3", "text", "brand^2"}, "type": "cross_fields", "operator": "and",
				}}},
				"should": []any{map[string]any{"match_phrase": map[string]any{"title": map[string]any{"query": "waterproof winter jacket with a hood", "boost": 2}}}},
				"filter": []any{terms("brand.keyword", "alpha", "beta", "gamma"), terms("category.keyword", "jackets", "coats"),
					map[string]any{"range": map[string]any{"price": map[string]any{"gte": 20, "lte": 400}}}},
			}},
			"functions": []any{map[string]any{"field_value_factor": map[string]any{"field": "popularity", "modifier": "log1p"}}},
		}},
	})
	if err != nil {
		panic(err) // Nothing in it can fail to marshal.
	}
	return body
}

// wideAnswer is an answer of 100 hits whose documents hold more than is read of them.
func wideAnswer() []byte {
	j := texts(2)
	docs := append(j[0].Docs, j[1].Docs...)
	var b strings.Builder
	b.WriteString(`{"took":7,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"total":{"value":4711,"relation":"eq"},"max_score":31.4,"hits":[`)
	for i, doc := range docs {
		if i > 0 {
			b.WriteByte(',')
		}
		source, err := json.Marshal(map[string]any{
			"title": doc[:40], "text": doc, "price": 19.99 + float64(i), "image": strings.Repeat("/images", 12), "url": "https://shop.example/p/" + doc[:8],
			"tags": strings.Fields(doc)[:12], "stock": map[string]any{"warehouse": i, "shelf": "A-" + doc[:3]}, "notes": docs[(i+7)%len(docs)],
		})
		if err != nil {
			panic(err) // Nothing in it can fail to marshal.
		}
		fmt.Fprintf(&b, `{"_index":"products","_id":"p-%d","_score":%g,"_source":%s}`, i, 31.4-float64(i)/4, source)
	}
	b.WriteString("]}}")
	return []byte(b.String())
}
