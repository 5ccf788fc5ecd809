package proxy

import (
	"slices"
	"sync"
	"time"
)

// bounded remembers at most limit values, each for the same time. As all live equally long, the oldest entry is at once the next to
// expire and the one to give way, so that a queue is all the order it needs.
type bounded[K comparable, V any] struct {
	limit int
	kept  time.Duration
	now   func() time.Time

	mu      sync.Mutex
	entries map[K]V
	queue   []dated[K] // oldest first; its keys are those of entries
}

type dated[K comparable] struct {
	key K
	end time.Time
}

func newBounded[K comparable, V any](limit int, kept time.Duration, now func() time.Time) *bounded[K, V] {
	return &bounded[K, V]{limit: limit, kept: kept, now: now, entries: make(map[K]V)}
}

func (b *bounded[K, V]) get(key K) (V, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(b.limit)
	v, ok := b.entries[key]
	return v, ok
}

// keep remembers value unless there is one for key already, and returns the one that is remembered now.
func (b *bounded[K, V]) keep(key K, value V) V {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire(b.limit)
	if v, ok := b.entries[key]; ok {
		return v
	}
	b.expire(b.limit - 1)
	b.entries[key] = value
	b.queue = append(b.queue, dated[K]{key, b.now().Add(b.kept)})
	return value
}

// forget makes room for another value of key.
func (b *bounded[K, V]) forget(key K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.entries[key]; ok {
		delete(b.entries, key)
		b.queue = slices.DeleteFunc(b.queue, func(d dated[K]) bool { return d.key == key })
	}
}

// expire drops what is over its time, and the oldest down to so many entries.
func (b *bounded[K, V]) expire(down int) {
	now, n := b.now(), 0
	for n < len(b.queue) && (len(b.queue)-n > down || !now.Before(b.queue[n].end)) {
		delete(b.entries, b.queue[n].key)
		n++
	}
	b.queue = b.queue[n:] // append moves the rest to a new array when this one's end is reached
}
