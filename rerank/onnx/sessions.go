//go:build cgo

package onnx

import (
	"errors"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// sessions are one graph, loaded once for each run that goes on at once.
//
// A session is safe for concurrent use, but it keeps its buffers in one arena: what a run gives back, the next one takes. Among several
// threads that one is likely to be on another core, and each line of the buffer has then to be fetched from there. Where the cores share a
// cache that costs nothing, and where they do not a third of a run's time; on a virtual machine that changes from minute to minute. Without
// an arena (malloc has one a thread) the same is saved, but each run then waits for new pages.
type sessions struct {
	mu    sync.Mutex
	all   []*session
	given uint64 // how often one was given back
}

// A session is one loaded graph.
type session struct {
	*ort.DynamicAdvancedSession
	running int
	used    uint64 // when it was given back last, by the count of sessions
}

// spareBytes is how large the files are, together, of the graphs that may be in memory beside the first. A large model takes so long to run
// that sharing matters less, and so much memory that copies would matter more.
const spareBytes = 256 << 20

// copies is how often a graph of so many bytes is loaded for so many runs at once.
func copies(runs, size int) int {
	return max(1, min(runs, 1+spareBytes/max(size, 1)))
}

// loadSessions loads a graph n times. It fails where the first fails: where memory is short, fewer do.
func loadSessions(n int, load func() (*ort.DynamicAdvancedSession, error)) (*sessions, error) {
	first, err := load()
	if err != nil {
		return nil, err
	}
	s := &sessions{all: []*session{{DynamicAdvancedSession: first}}}
	var loading sync.WaitGroup
	for range n - 1 {
		loading.Go(func() {
			if another, err := load(); err == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.all = append(s.all, &session{DynamicAdvancedSession: another})
			}
		})
	}
	loading.Wait()
	return s, nil
}

// take returns the session that is least busy, and among those the one that was given back last: most likely by the same thread. Give it back.
func (s *sessions) take() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	best := s.all[0]
	for _, x := range s.all[1:] {
		if x.running < best.running || x.running == best.running && x.used > best.used {
			best = x
		}
	}
	best.running++
	return best
}

func (s *sessions) give(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given++
	x.running, x.used = x.running-1, s.given
}

// destroy frees them all. None may be in use.
func (s *sessions) destroy() (err error) {
	for _, x := range s.all {
		err = errors.Join(err, x.Destroy())
	}
	s.all = nil
	return err
}
