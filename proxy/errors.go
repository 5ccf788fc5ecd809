package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
)

// failure is an answer in the cluster's place, in the shape of the cluster's own errors so that client libraries can read it.
type failure struct {
	status int
	kind   string // a name in the style of the engines' exceptions
	reason string // for a person; names nothing inside the network
}

func (f failure) write(w http.ResponseWriter, r *http.Request) {
	b := f.body()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		w.Write(b)
	}
}

// response is the failure as what a cluster would have sent.
func (f failure) response(req *http.Request) *http.Response { return answerOf(req, f.status, f.body()) }

func (f failure) body() []byte {
	type cause struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	}
	var body struct {
		Error struct {
			RootCause []cause `json:"root_cause"`
			cause
		} `json:"error"`
		Status int `json:"status"`
	}
	body.Error.cause = cause{f.kind, f.reason}
	body.Error.RootCause = []cause{body.Error.cause}
	body.Status = f.status
	b, _ := json.Marshal(body) // strings and a number always can be
	return b
}

// statusClientGone is nginx's number for a client that left before the answer. Nobody sees it but metrics and logs, where a 5xx would
// tell the operator of a fault that there was not.
const statusClientGone = 499

// explain finds whose fault it was that there is no answer.
func explain(c *call, err error) failure {
	body := c.body.failed()
	if errors.Is(body, os.ErrDeadlineExceeded) { // first, as net/http takes every failure of the connection for the client's leaving
		return failure{http.StatusRequestTimeout, "request_timeout_exception", "the request's body stopped coming"}
	}
	if c.ctx.Err() != nil {
		return failure{statusClientGone, "client_gone", "the client closed the connection"}
	}
	if body != nil {
		var limit *http.MaxBytesError
		switch {
		case errors.As(body, &limit):
			return failure{http.StatusRequestEntityTooLarge, "content_too_long_exception", "the request's body is too large"}
		case errors.Is(body, io.ErrUnexpectedEOF):
			return failure{http.StatusBadRequest, "illegal_argument_exception", "the request's body ended early"}
		}
		return failure{http.StatusBadRequest, "illegal_argument_exception", "the request's body is not well-formed"}
	}
	var status interface{ HTTPStatus() int }
	code := http.StatusBadGateway
	if errors.As(err, &status) {
		code = status.HTTPStatus()
	} else if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		code = http.StatusGatewayTimeout
	}
	switch code {
	case http.StatusServiceUnavailable:
		return failure{code, "no_node_available_exception", "no node of the cluster can be reached"}
	case http.StatusGatewayTimeout:
		return failure{code, "timeout_exception", "the cluster did not answer in time"}
	}
	return failure{http.StatusBadGateway, "bad_gateway_exception", "the cluster's answer could not be read"}
}

// fail answers where there is nothing to forward: ReverseProxy's error handler.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r.Context())
	f := explain(c, err)
	level := slog.LevelWarn
	if f.status < 500 {
		level = slog.LevelDebug
	}
	h.log.LogAttrs(c.ctx, level, "request not forwarded", slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()),
		slog.Int("status", f.status), slog.Any("error", err))
	if c.body.failed() != nil {
		w.Header().Set("Connection", "close") // nobody knows where in the body we are
	}
	if c.journey != nil {
		w.Header().Set(headerRerank, c.journey.header())
	}
	f.write(w, r)
}
