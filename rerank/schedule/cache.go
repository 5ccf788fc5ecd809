package schedule

import (
	"crypto/sha256"
	"math"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
)

// Caches remember what searches have in common. The same documents come up under many queries: their tokens are kept, for all models
// with one vocabulary. And the same query brings the same documents: the scores of pairs are kept, for each model by itself. A score is a
// function of its pair alone, so a remembered one is the one that a run would give.
//
// Keys are digests, so a text is kept nowhere, and no entry can be taken for another's. What is forgotten first is what is used least.
// Caches are safe for concurrent use; nil remembers nothing.
type Caches struct {
	tokens *otter.Cache[key, []uint32]
	scores *otter.Cache[key, float32]
}

// A key is what an entry belongs to (a vocabulary, or a model and a query) and a text.
type key struct{ scope, text digest }

// A digest is the first half of a SHA-256: 128 bits, of which no two texts are found to have the same.
type digest [16]byte

func digestOf(parts ...string) digest {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return digest(h.Sum(nil)[:16])
}

// CacheStats are the gauges and counters of one cache.
type CacheStats struct {
	Bytes     uint64 // held now, the cache's own bookkeeping included, as estimated
	Limit     uint64 // bytes
	Hits      uint64
	Misses    uint64
	Evictions uint64
}

// What an entry takes beside its value: a node with its key, its place in the table and in the order of eviction.
const overhead = 160

// NewCaches returns caches of at most so many bytes each; 0 = none.
func NewCaches(tokens, scores int64) *Caches {
	return &Caches{
		tokens: newCache(tokens, func(_ key, ids []uint32) uint32 {
			return uint32(min(overhead+4*len(ids), math.MaxUint32))
		}),
		scores: newCache(scores, func(key, float32) uint32 { return overhead }),
	}
}

func newCache[V any](bytes int64, weigh func(key, V) uint32) *otter.Cache[key, V] {
	return otter.Must(&otter.Options[key, V]{MaximumWeight: atLeastOne(bytes), Weigher: weigh, StatsRecorder: stats.NewCounter()})
}

// atLeastOne makes of "none" a limit under which no entry fits: 0 would be no limit.
func atLeastOne(bytes int64) uint64 { return uint64(max(bytes, 1)) }

// Resize sets the limits anew, and forgets what no longer fits.
func (c *Caches) Resize(tokens, scores int64) {
	c.tokens.SetMaximum(atLeastOne(tokens))
	c.scores.SetMaximum(atLeastOne(scores))
}

// Tokens returns the counters of the documents' tokens.
func (c *Caches) Tokens() CacheStats { return cacheStats(c.tokens) }

// Scores returns the counters of the pairs' scores.
func (c *Caches) Scores() CacheStats { return cacheStats(c.scores) }

func cacheStats[V any](c *otter.Cache[key, V]) CacheStats {
	s := c.Stats()
	return CacheStats{Bytes: c.WeightedSize(), Limit: c.GetMaximum(), Hits: s.Hits, Misses: s.Misses, Evictions: s.Evictions}
}

// countTokens is how many tokens are kept, -1 where none are. It does not count as a use.
func (c *Caches) countTokens(k key) int {
	if c == nil {
		return -1
	}
	if e, ok := c.tokens.GetEntryQuietly(k); ok {
		return len(e.Value)
	}
	return -1
}

// hasScore does not count as a use either.
func (c *Caches) hasScore(k key) bool {
	if c == nil {
		return false
	}
	_, ok := c.scores.GetEntryQuietly(k)
	return ok
}

func (c *Caches) findTokens(k key) (ids []uint32, ok bool) {
	if c == nil {
		return nil, false
	}
	return c.tokens.GetIfPresent(k)
}

func (c *Caches) keepTokens(k key, ids []uint32) {
	if c != nil {
		c.tokens.Set(k, ids)
	}
}

func (c *Caches) findScore(k key) (logit float32, ok bool) {
	if c == nil {
		return 0, false
	}
	return c.scores.GetIfPresent(k)
}

func (c *Caches) keepScore(k key, logit float32) {
	if c != nil {
		c.scores.Set(k, logit)
	}
}
