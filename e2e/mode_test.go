package e2e

import "sync/atomic"

// A mode is in which way a server of these tests serves at present. Its changes wake those that hang in the one before.
type mode struct {
	way  atomic.Int32
	wake atomic.Pointer[chan struct{}]
}

func newMode() *mode {
	m := new(mode)
	wake := make(chan struct{})
	m.wake.Store(&wake)
	return m
}

func (m *mode) set(way int32) {
	m.way.Store(way)
	wake := make(chan struct{})
	close(*m.wake.Swap(&wake))
}

// now is the way, and what is closed when another one is set.
func (m *mode) now() (way int32, wake <-chan struct{}) {
	wake = *m.wake.Load() // first: whoever hangs is woken, if only too early
	return m.way.Load(), wake
}
