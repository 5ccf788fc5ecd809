package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
)

// Error is a request that got no answer.
type Error struct {
	Node string // the URL of the node that was asked
	Err  error

	status  int
	refused bool // no connection could be made, so nothing was sent
	stale   bool // the connection had served before, and was found closed
}

// Error says which node did what.
func (e *Error) Error() string { return fmt.Sprintf("asking %s: %v", e.Node, e.Err) }

// Unwrap gives the cause: the context's error where that had ended.
func (e *Error) Unwrap() error { return e.Err }

// HTTPStatus is the status to answer the client with: 503 where no connection could be made, so that nothing was sent; 504 where the
// time for an answer ran out; 499 (nginx's "client closed request") where the client had gone; 400 where the client's own body could
// not be read to its end; 502 for all else.
func (e *Error) HTTPStatus() int { return e.status }

// statusClientGone is nginx's; nobody is there to see it, and logs and metrics must not show a client's hanging up as a server's fault.
const statusClientGone = 499

// errDial marks the errors of dialling. The type of net's own error would not do: it also comes from reads and writes.
type errDial struct{ error }

func (e errDial) Unwrap() error { return e.error }

// Causes of leaving out a node; values of a metric's label.
const (
	causeDial  = "dial"  // a connection could not be made
	causeEOF   = "eof"   // a fresh connection was closed or reset without an answer
	causeProbe = "probe" // probes were not answered in time
)

// judge turns the error of an exchange into one for the caller, and says what the node is to be blamed for, if anything.
//
// Nothing is blamed on a node when the caller went away or its body broke, when the answer was late or garbled, or when an idle
// connection turned out to be closed: that one was old, and says nothing of the node.
func (x *exchange) judge() (failure *Error, cause string) {
	failure = &Error{Node: x.node.name, Err: x.err, status: http.StatusBadGateway}
	var timeout interface{ Timeout() bool }
	switch ended := x.req.Context().Err(); {
	case ended != nil:
		failure.status = statusClientGone
		if errors.Is(ended, context.DeadlineExceeded) {
			failure.status = http.StatusGatewayTimeout
		}
		if !errors.Is(x.err, ended) { // net/http gives the cause, where one was set
			failure.Err = fmt.Errorf("%w: %w", ended, x.err)
		}
	case x.bodyBroke():
		failure.status = http.StatusBadRequest
	case errors.As(x.err, new(errDial)):
		failure.status, failure.refused, cause = http.StatusServiceUnavailable, true, causeDial
	case errors.As(x.err, &timeout) && timeout.Timeout():
		failure.status = http.StatusGatewayTimeout
	case hungUp(x.err) && x.reused:
		failure.stale = true // net/http itself tries again where it reads the end, but not where it fails to write
	case hungUp(x.err):
		cause = causeEOF
	}
	return failure, cause
}

// hungUp reports whether err is a connection's end, orderly or not. (net.ErrClosed is what a write meets when net/http has read the end
// meanwhile.)
func hungUp(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// StatusError is an answer other than 200 to a question of rerankd's own.
type StatusError struct {
	Code int
	Body []byte // its beginning, at most 4 KiB
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the cluster answered %d %s: %s", e.Code, http.StatusText(e.Code), e.Body)
}
