package filterpath

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkApply filters fifty hits of a kilobyte and a half each.
func BenchmarkApply(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"took":3,"_shards":{"total":1},"hits":{"total":{"value":50},"hits":[`)
	for i := range 50 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"_index":"shop","_id":"%d","_score":1.0,"_source":{"title":"red shoes","body":%q,"tags":["a","b"],"maker":{"name":"n","city":"c"}}}`,
			i, strings.Repeat("words and \"words\" ", 80))
	}
	body.WriteString("]}}")
	response := []byte(body.String())
	for _, filter := range []string{"*", "hits.hits._id,hits.hits._score", "-hits.hits._source.body", "**.name"} {
		for _, pretty := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/pretty=%t", filter, pretty), func(b *testing.B) {
				f := mustParse(b, filter)
				b.SetBytes(int64(len(response)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := f.Apply(response, pretty); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
