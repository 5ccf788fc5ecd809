package search

import (
	"bytes"
	"strings"
	"testing"
)

// BenchmarkMulti reads a multi-search of 10 and writes it with other bodies, and does the same with an answer of 10 pages of 126 KB.
func BenchmarkMulti(b *testing.B) {
	const n = 10
	request := []byte(strings.Repeat("{\"index\":\"products\",\"preference\":\"x\"}\n"+strings.ReplaceAll(typicalSearch, "\n", " ")+"\n", n))
	bodies, items := make([][]byte, n), make([][]byte, n)
	page := largeResponse()
	for i := range n {
		bodies[i], items[i] = []byte(typicalSearch), page
	}
	answer := []byte(`{"took":30,"responses":[` + strings.TrimSuffix(strings.Repeat(string(page)+",", n), ",") + `]}`)
	b.Run("request", func(b *testing.B) {
		b.SetBytes(int64(len(request)))
		b.ReportAllocs()
		for b.Loop() {
			m, err := ParseMulti(request)
			if err != nil {
				b.Fatal(err)
			}
			if built := m.Build(bodies); len(built) == 0 {
				b.Fatal("nothing built")
			}
		}
	})
	b.Run("response", func(b *testing.B) {
		b.SetBytes(int64(len(answer)))
		b.ReportAllocs()
		for b.Loop() {
			m, err := ParseMultiResponse(answer)
			if err != nil {
				b.Fatal(err)
			}
			if got, err := m.Splice(items, 0); err != nil || !bytes.Equal(got, answer) {
				b.Fatal(err)
			}
		}
	})
}
