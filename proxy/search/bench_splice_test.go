package search

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkParseSplice reads an answer of 100 hits and 126 KB, takes the texts of two fields from each, and writes them in the opposite
// order with new scores: all that is done to an answer beside the ranking.
func BenchmarkParseSplice(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"took":7,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"total":{"value":4711,"relation":"eq"},"max_score":31.4,"hits":[`)
	for i := range 100 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"_index":"products","_id":"p-%d","_score":%g,"_source":{"notes":%q,"price":%d.99,"stock":{"shelf":"A-%d","warehouse":%d},"tags":["a","b","c"],"text":%q,"title":%q}}`,
			i, 31.4-float64(i)/4, strings.Repeat("a note of no use here ", 20), i, i, i, strings.Repeat("waterproof jacket for winter with a hood ", 15), "Jacket for winter, waterproof")
	}
	body.WriteString("]}}")
	answer := []byte(body.String())
	template := FieldsTemplate([]string{"title", "text"})
	order, scores := make([]int, 100), make([]float64, 100)
	for i := range order {
		order[i], scores[i] = 99-i, 1/float64(i+1)
	}
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		p, err := ParseResponse(answer)
		if err != nil {
			b.Fatal(err)
		}
		for _, text := range p.Texts(p.Hits(), template) {
			if text == "" {
				b.Fatal("no text")
			}
		}
		if _, err := p.Splice(Page{Size: 100, Order: order, Scores: scores, AddTook: 9}); err != nil {
			b.Fatal(err)
		}
	}
}
