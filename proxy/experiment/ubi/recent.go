package ubi

import "time"

// recent is a map that forgets: what was not touched for one to two periods, or what was touched longest ago where more came than it
// holds. It keeps two generations, and drops the older one whole, so that nothing is ever searched for what is over.
type recent[K comparable, V any] struct {
	period time.Duration
	most   int // entries of one generation

	young, old map[K]V
	since      time.Time // of the young generation
}

func newRecent[K comparable, V any](period time.Duration, most int) *recent[K, V] {
	return &recent[K, V]{period: period, most: most, young: make(map[K]V)}
}

// get touches an entry.
func (r *recent[K, V]) get(key K, now time.Time) (value V, ok bool) {
	r.turn(now)
	if value, ok = r.young[key]; ok {
		return value, true
	}
	if value, ok = r.old[key]; ok {
		r.put(key, value, now)
	}
	return value, ok
}

func (r *recent[K, V]) put(key K, value V, now time.Time) {
	if _, ok := r.young[key]; !ok && len(r.young) >= r.most {
		r.old, r.young, r.since = r.young, make(map[K]V), now
	}
	r.turn(now)
	r.young[key] = value
}

// turn lets a generation grow old when its time is over.
func (r *recent[K, V]) turn(now time.Time) {
	switch age := now.Sub(r.since); {
	case age < r.period:
		return
	case age < 2*r.period && len(r.young) > 0:
		r.old, r.young = r.young, make(map[K]V)
	case len(r.young)+len(r.old) > 0:
		r.old, r.young = nil, make(map[K]V)
	}
	r.since = now
}
