package main

import "sync"

// A shared keeps one value for each key as long as somebody uses it. What two configurations have in common, a loaded model or the
// connections to a cluster, is the same value for both, and goes when the last search under the last of them has been answered.
type shared[K comparable, V any] struct {
	close func(V)

	mu    sync.Mutex
	items map[K]*item[V]
}

type item[V any] struct {
	value V
	users int // guarded by shared.mu
}

func newShared[K comparable, V any](close func(V)) *shared[K, V] {
	return &shared[K, V]{close: close, items: map[K]*item[V]{}}
}

// acquire returns the value of key, opening it if nobody has. release must be called when it is no longer used; calls after the first do
// nothing. The lock is not held while a value is opened, which may take seconds; where two open the same one, the first stays.
func (s *shared[K, V]) acquire(key K, open func() (V, error)) (value V, release func(), err error) {
	if value, release, ok := s.again(key); ok {
		return value, release, nil
	}
	if value, err = open(); err != nil {
		return value, nil, err
	}
	s.mu.Lock()
	i, ok := s.items[key]
	if !ok {
		i = &item[V]{value: value}
		s.items[key] = i
	}
	i.users++
	s.mu.Unlock()
	if ok {
		s.close(value)
	}
	return i.value, s.releaser(key), nil
}

// again is acquire for a value that is open already.
func (s *shared[K, V]) again(key K) (value V, release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.items[key]
	if !ok {
		return value, nil, false
	}
	i.users++
	return i.value, s.releaser(key), true
}

func (s *shared[K, V]) releaser(key K) func() {
	return sync.OnceFunc(func() {
		s.mu.Lock()
		i := s.items[key]
		i.users--
		last := i.users == 0
		if last {
			delete(s.items, key)
		}
		s.mu.Unlock()
		if last {
			s.close(i.value)
		}
	})
}
