//go:build cgo

package onnx

import (
	"errors"
	"slices"
	"sync"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

func TestCopies(t *testing.T) {
	for _, c := range []struct{ runs, size, want int }{
		{runs: 2, size: 23 << 20, want: 2},
		{runs: 64, size: 23 << 20, want: 12},
		{runs: 2, size: 87 << 20, want: 2},
		{runs: 16, size: 87 << 20, want: 3},
		{runs: 16, size: 643 << 20, want: 1},
		{runs: 4, size: 0, want: 4},
		{runs: 0, size: 1, want: 1},
	} {
		if got := copies(c.runs, c.size); got != c.want {
			t.Errorf("got %d copies of %d bytes for %d runs at once, want %d", got, c.size, c.runs, c.want)
		}
	}
}

// TestSessionsStayWithTheirThread takes and gives back as threads do that run one pair after the other.
func TestSessionsStayWithTheirThread(t *testing.T) {
	s := &sessions{all: []*session{{}, {}, {}}}
	a := s.take()
	b := s.take()
	if a == b {
		t.Fatal("two runs at once have one session, want each its own")
	}
	for range 10 {
		s.give(a)
		if again := s.take(); again != a {
			t.Fatal("a thread got another session than the one it had just given back")
		}
		s.give(b)
		if again := s.take(); again != b {
			t.Fatal("a thread got another session than the one it had just given back")
		}
	}
	c := s.take()
	var all []*session
	for range 3 {
		all = append(all, s.take())
	}
	for _, x := range []*session{a, b, c} {
		if !slices.Contains(all, x) {
			t.Errorf("six runs at once are not spread evenly over three sessions")
		}
	}
}

// TestSessionsThatCannotBeHad has loading fail at some time: the first must be there, the others need not.
func TestSessionsThatCannotBeHad(t *testing.T) {
	var mu sync.Mutex
	left := 0
	load := func() (*ort.DynamicAdvancedSession, error) {
		mu.Lock()
		defer mu.Unlock()
		if left--; left < 0 {
			return nil, errors.New("no memory")
		}
		return &ort.DynamicAdvancedSession{}, nil
	}
	if _, err := loadSessions(3, load); err == nil {
		t.Error("got no error where none could be loaded")
	}
	for have := 1; have <= 4; have++ {
		left = have
		s, err := loadSessions(3, load)
		if err != nil || len(s.all) != min(have, 3) {
			t.Errorf("got %v and %v where %d could be loaded", s, err, have)
		}
	}
}

// TestRunsAtOnce has as many runs at once as there are sessions, and more: scores are those of one run after the other, to the bit.
func TestRunsAtOnce(t *testing.T) {
	m := openGolden(t, "bert", Options{Workers: 3})
	if len(m.sessions.all) != 3 {
		t.Fatalf("got %d sessions for 3 workers, want each its own", len(m.sessions.all))
	}
	query := m.sample(5)
	want := make([]float32, 60)
	for i := range want {
		var err error
		if want[i], err = m.Score(t.Context(), query, m.sample(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	var running sync.WaitGroup
	for w := range 7 {
		running.Go(func() {
			for i := w; i < len(want); i++ {
				if got, err := m.Score(t.Context(), query, m.sample(i+1)); err != nil || got != want[i] {
					t.Errorf("got %v and %v for %d tokens, want %v", got, err, i+1, want[i])
				}
			}
		})
	}
	running.Wait()
	for _, x := range m.sessions.all {
		if x.running != 0 {
			t.Errorf("got %d runs that never ended", x.running)
		}
	}
}
