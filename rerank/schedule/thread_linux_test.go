package schedule

import (
	"context"
	"syscall"
	"testing"
)

// nicenessRunner notes the priority of the threads that run it.
type nicenessRunner struct{ got chan int }

func (nicenessRunner) Vocabulary() string                { return "" }
func (nicenessRunner) Tokenize(string) ([]uint32, error) { return []uint32{1}, nil }
func (r nicenessRunner) Score(context.Context, []uint32, []uint32) (float32, error) {
	now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		return 0, err
	}
	r.got <- 20 - now
	return 0, nil
}

// Runs stand back behind the rest of the program, and only they.
func TestWorkersStandBack(t *testing.T) {
	now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	mine := 20 - now
	r := nicenessRunner{make(chan int, 1)}
	m := New(r, Options{Workers: 1})
	defer m.Close()
	if _, err := m.Score(t.Context(), "q", []string{"d"}); err != nil {
		t.Fatal(err)
	}
	if got, want := <-r.got, min(mine+niceness, 19); got != want {
		t.Errorf("got a niceness of %d in a run, want %d", got, want)
	}
	if now, _ := syscall.Getpriority(syscall.PRIO_PROCESS, 0); 20-now != mine {
		t.Errorf("got a niceness of %d outside of runs, want %d as before", 20-now, mine)
	}
}
