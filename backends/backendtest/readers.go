package backendtest

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
)

// body is one of a request: it can be read once, until it is closed.
type body struct {
	*strings.Reader
	closed atomic.Bool
}

func newBody(s string) *body { return &body{Reader: strings.NewReader(s)} }

func (b *body) Close() error { b.closed.Store(true); return nil }

func (b *body) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, errors.New("reading a closed body")
	}
	return b.Reader.Read(p)
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// failing gives nothing but its error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// closing tells when it is closed.
type closing struct {
	io.Reader
	closed chan bool
}

func (c *closing) Close() error { close(c.closed); return nil }

// readerFunc makes a Reader of a function that is told how much was read before.
func readerFunc(read func(p []byte, at int64) (int, error)) io.Reader {
	return &countingReader{read: read}
}

type countingReader struct {
	read func([]byte, int64) (int, error)
	at   int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.read(p, c.at)
	c.at += int64(n)
	return n, err
}
