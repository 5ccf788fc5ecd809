//go:build cgo

package onnx

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkScore is one run of the embedded model at a time, by the length of the pair: ns/op is for a document.
func BenchmarkScore(b *testing.B) {
	m := openEmbedded(b)
	query := tokenize(b, m, "tool to edit audio files")
	for _, length := range []int{32, 64, 128, 256, 512} {
		b.Run(fmt.Sprintf("%dtokens", length), func(b *testing.B) {
			doc := document(b, m, length-len(query)-m.template.added)
			if got := m.Tokens(query, doc); got != length {
				b.Fatalf("got a pair of %d tokens, want %d", got, length)
			}
			for b.Loop() {
				if _, err := m.Score(context.Background(), query, doc); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*length), "µs/token")
		})
	}
}

// BenchmarkWindow is what a search costs: a query and 50 documents of 120 tokens, tokenised and scored by as many goroutines as there
// are processors. ms/document is wall time.
func BenchmarkWindow(b *testing.B) {
	const documents = 50
	m := openEmbedded(b)
	query := tokenize(b, m, "tool to edit audio files")
	text := strings.Repeat("a library for reading and writing audio files, ", 12)
	for b.Loop() {
		var next atomic.Int64
		var running sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			running.Go(func() {
				for next.Add(1) <= documents {
					doc, err := m.Tokenize(text)
					if err == nil {
						_, err = m.Score(context.Background(), query, doc)
					}
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		running.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N*documents), "ms/document")
}

// BenchmarkTokenize is the reading of one text, by its length in bytes.
func BenchmarkTokenize(b *testing.B) {
	m := openEmbedded(b)
	for _, size := range []int{100, 1000, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("%dbytes", size), func(b *testing.B) {
			text := strings.Repeat("a library for reading and writing audio files, ", size/47+1)[:size]
			for b.Loop() {
				if _, err := m.Tokenize(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// document is one of n tokens.
func document(b *testing.B, m *Model, n int) []uint32 {
	ids := tokenize(b, m, strings.Repeat("a library for reading and writing audio files, ", n/8+1))
	return ids[:n]
}
