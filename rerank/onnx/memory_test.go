//go:build cgo && linux

package onnx

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestMemoryIsFlat runs models 10,000 times on pairs of mixed lengths, two at once, and compares the memory of the process after the first
// fifth with that at the end. The embedded model takes about a minute, and is left out but where RERANKD_E2E is set.
func TestMemoryIsFlat(t *testing.T) {
	models := map[string]*Model{"bert": openGolden(t, "bert", Options{})}
	if os.Getenv("RERANKD_E2E") != "" {
		models["embedded"] = openEmbedded(t)
	}
	for name, m := range models {
		t.Run(name, func(t *testing.T) {
			const runs = 10_000
			run := func(n int) {
				var next atomic.Int64
				var running sync.WaitGroup
				for range 2 {
					running.Go(func() {
						for i := next.Add(1); i <= int64(n); i = next.Add(1) {
							// Lengths of 5 to 132 in no order, and every hundredth the longest there is.
							length := int(i*2654435761%128) + 1
							if i%100 == 0 {
								length = m.maxLength
							}
							if _, err := m.Score(t.Context(), m.sample(1), m.sample(length)); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				running.Wait()
			}
			run(runs / 5)
			before := resident(t)
			run(runs - runs/5)
			after := resident(t)
			t.Logf("%.1f MB after %d runs, %.1f MB after %d", float64(before)/1e6, runs/5, float64(after)/1e6, runs)
			if float64(after) > 1.05*float64(before) {
				t.Errorf("got %d bytes of memory after %d runs, and %d after %d: more than 5 %% more", after, runs, before, runs/5)
			}
		})
	}
}

// resident is the process's memory in bytes, without what Go's own collector has not given back yet.
func resident(t *testing.T) int64 {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
