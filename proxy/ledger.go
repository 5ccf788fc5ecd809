package proxy

import (
	"errors"
	"io"

	"golang.org/x/sync/semaphore"
)

// ledger counts the bytes that one request keeps in memory against the pool for all of them. It is used by one goroutine at a time.
type ledger struct {
	pool *semaphore.Weighted
	held int64
}

func (l *ledger) take(n int64) bool {
	if !l.pool.TryAcquire(n) {
		return false
	}
	l.held += n
	return true
}

// release gives everything back.
func (l *ledger) release() {
	if l.held > 0 {
		l.pool.Release(l.held)
		l.held = 0
	}
}

// What ends read apart from the reader's own errors. What was read until then is returned with them.
var (
	errTooLarge = errors.New("larger than the limit")
	errNoMemory = errors.New("no memory left for bodies")
)

// read reads r to its end, at most limit bytes of it. expected is how many there will be, or -1. Memory is taken as it is needed, in
// steps that double, so that a claim of a large length costs nothing until the bytes come.
func (l *ledger) read(r io.Reader, expected, limit int64) ([]byte, error) {
	if expected > limit {
		return nil, errTooLarge
	}
	first := min(limit, 4<<10)
	if expected >= 0 {
		first = min(expected, 1<<20)
	}
	first++ // room in which to see the end
	if !l.take(first) {
		return nil, errNoMemory
	}
	buf := make([]byte, 0, first)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return buf, errTooLarge
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, err
		case len(buf) == cap(buf):
			more := min(int64(cap(buf)), limit+1-int64(cap(buf)))
			if !l.take(more) {
				return buf, errNoMemory
			}
			buf = append(make([]byte, 0, int64(cap(buf))+more), buf...)
		}
	}
}
