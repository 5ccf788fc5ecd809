package proxy

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// A client may take as long as it likes, but not stand still: every read from it and every write to it has a deadline of its own. Fixed
// timeouts of a whole request would cut off a bulk load or an export that is merely long.

// clientBody is the body of a client's request. It remembers how reading it failed, as opposed to sending it on: net/http's Transport
// gives one error for both.
type clientBody struct {
	io.ReadCloser
	control *http.ResponseController
	idle    time.Duration

	mu  sync.Mutex // the transport may still be reading when the error handler asks
	err error
}

func (b *clientBody) Read(p []byte) (int, error) {
	b.control.SetReadDeadline(time.Now().Add(b.idle))
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		// From here on the server reads on to learn when the client goes away. A deadline would look like that.
		b.control.SetReadDeadline(time.Time{})
	} else if err != nil {
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

// failed returns what ended the body before its end, nil if nothing did.
func (b *clientBody) failed() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// responseWriter is the way back to the client.
type responseWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	idle    time.Duration
	stream  bool            // of HTTP/2, which a deadline would reset though nothing is being written: there the server's WriteByteTimeout has to do
	status  int             // 0 until there is one
	client  context.Context // ends when the client leaves
	missed  bool            // it left before the answer began, or did not take all of it; who has it all may leave at once
}

// Unwrap lets http.ResponseController flush.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.missed = status, w.client.Err() != nil
	}
	if _, ok := w.Header()["Content-Type"]; !ok {
		w.Header()["Content-Type"] = nil // or net/http would guess one that the cluster did not say
	}
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.extend()
	n, err := w.ResponseWriter.Write(p)
	w.missed = w.missed || err != nil
	return n, err
}

// extend gives the client the whole idle time again to take what is written next.
func (w *responseWriter) extend() {
	if !w.stream {
		w.control.SetWriteDeadline(time.Now().Add(w.idle))
	}
}
