package backends

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// An exchange is one request to one node and what came of it. It travels in the context of the stub that a vendor's transport is given,
// past that transport, to the stash below.
type exchange struct {
	node    *node
	req     *http.Request // the caller's own, never changed
	started time.Time
	trace   bool // whether to find out if the connection was reused, which matters where a node may be blamed or the request repeated

	sent   bool // the stash has been reached: what follows is the network's doing
	reused bool // the connection had served before
	body   *watchedBody
	res    *http.Response
	err    error
}

type exchangeKey struct{}

func newExchange(n *node, req *http.Request, trace bool) *exchange {
	return &exchange{node: n, req: req, trace: trace, started: time.Now()}
}

// stub is what the vendor's transport sees of the request: that there is one, with no body to hold, compress or send again, and no path
// to join. Of the headers it sees none but Authorization, which is the one that it may add, and only if inject says so: the vendors add
// credentials exactly where that key is absent, so its presence, with no values, holds them back.
func (x *exchange) stub(inject bool) *http.Request {
	header := http.Header{}
	if !inject {
		header["Authorization"] = []string{}
	}
	stub := &http.Request{Method: x.req.Method, URL: &url.URL{}, Header: header}
	return stub.WithContext(context.WithValue(x.req.Context(), exchangeKey{}, x))
}

// outgoing is the request as it goes to the node: the caller's own but for the address, which is the node's, and the credentials, if
// the vendor was free to add some. Nothing else that a vendor's transport did to the stub is taken over: not its User-Agent, and not
// what the variable ELASTIC_CLIENT_APIVERSIONING makes opensearch-go do to Accept and Content-Type.
func (x *exchange) outgoing(dressed http.Header) *http.Request {
	ctx := x.req.Context()
	if x.trace {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { x.reused = c.Reused }})
	}
	out := x.req.WithContext(ctx)
	out.URL = x.node.url(x.req.URL)
	out.Host = "" // the URL's: a client's Host names this proxy

	authorization := dressed.Get("Authorization")
	_, named := out.Header["User-Agent"]
	if authorization != "" || !named {
		out.Header = maps.Clone(out.Header)
		if out.Header == nil {
			out.Header = http.Header{}
		}
	}
	if authorization != "" {
		out.Header["Authorization"] = []string{authorization}
		for _, name := range impersonation {
			delete(out.Header, name)
		}
	}
	if !named {
		out.Header["User-Agent"] = []string{""} // or net/http would name itself
	}
	if out.Body != nil && out.Body != http.NoBody {
		x.body = &watchedBody{ReadCloser: out.Body}
		out.Body = x.body
	}
	return out
}

// impersonation are the headers by which one who may act for others says for whom. A client that is given our credentials is not given
// that right with them.
var impersonation = []string{"Es-Security-Runas-User", "Opendistro_security_impersonate_as"}

// bodyBroke reports whether the caller's body could not be read to its end.
func (x *exchange) bodyBroke() bool { return x.body != nil && x.body.broke.Load() }

// watchedBody notes when a request's body breaks, which is not the node's fault. It is read by another goroutine than RoundTrip's.
type watchedBody struct {
	io.ReadCloser
	broke atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.broke.Store(true)
	}
	return n, err
}

// stash lies under the vendors' transports, where they look for the network. It sends the request that the stub stands for and puts the
// answer aside, and hands up an empty one. So nothing can be held, retried or blamed above it:
//
//   - opensearch-go 2.3.0 reads every answer to its end before it gives it out, and if that breaks gives it out as whole;
//   - it also sends a request again on a bare io.EOF, with retries disabled or not;
//   - both mark a node dead when a caller hangs up, for a minute or more.
type stash struct{ next http.RoundTripper }

func (s stash) RoundTrip(stub *http.Request) (*http.Response, error) {
	x, ok := stub.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("a request that did not come through RoundTrip")
	}
	if x.sent {
		return nil, errors.New("a request was about to be sent twice")
	}
	x.sent = true
	x.res, x.err = s.next.RoundTrip(x.outgoing(stub.Header))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: stub}, nil
}
