// Package backends is a search cluster as an [http.RoundTripper].
//
// [Open] gives a [Backend] for an Elasticsearch or OpenSearch cluster of one or more nodes. What is sent through it reaches one node as
// it was given, streamed, and the answer comes back as the node gave it, streamed: no body is held, no write is sent twice, no status
// is treated as a reason to try again. What the Backend adds is the choice of the node, the path prefix of that node's URL and, only
// where the configuration says so, credentials.
//
// # One request, followed
//
//	RoundTrip ─► pool.pick          a node that is up, in turn                                          pool.go
//	             └► vendor.Perform  go-elasticsearch's or opensearch-go's transport: address, credentials  elasticsearch.go opensearch.go
//	                 └► stash       the caller's own request, to that node, and its answer kept aside    stash.go
//	                     └► http.Transport                                                              transport.go
//
// The vendors' transports were made for clients: left alone they hold bodies, send writes again, replace the User-Agent and blame a
// node when a client hangs up. Here each of them sees a bodiless copy of a request and a bodiless answer, dresses the one, and is done.
//
// Nodes are judged by connections alone. One that refuses a connection, or closes a fresh one without an answer, is left out for ten
// seconds or more, until it answers a probe; any HTTP answer will do, 401, 405 and 503 included. The last node is never left out.
package backends

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rerankd/rerankd/config"
)

// Options of a Backend; the zero value is usable.
type Options struct {
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: metrics are kept and not shown
}

// A Backend sends requests to the nodes of one cluster. It is safe for concurrent use.
type Backend struct {
	auth      string // one of config.Auth…
	pool      *pool
	engine    engine
	transport *http.Transport
	budget    budget
	metrics   *metrics
	logger    *slog.Logger

	stop context.CancelFunc // ends the prober
	done sync.WaitGroup
}

var _ http.RoundTripper = (*Backend)(nil)

// Open makes a Backend. It does not wait for the cluster, which may be down; with c.Probe above 0 it starts to ask for it at once.
// Zero values of c's timeouts mean config.Default's. A node's URL must not hold credentials: it could not tell whom they are for.
//
// Close must follow the last request.
func Open(c config.Cluster, o Options) (*Backend, error) {
	transport, err := newTransport(c)
	if err != nil {
		return nil, err
	}
	return open(c, o, transport, transport)
}

// open is Open with the network replaced by next, for tests that have none.
func open(c config.Cluster, o Options, transport *http.Transport, next http.RoundTripper) (*Backend, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	credentials, err := newCredentials(c)
	if err != nil {
		return nil, err
	}
	b := &Backend{auth: c.Auth, transport: transport, logger: o.Logger}
	if err := b.engine.settle(c.Kind); err != nil {
		return nil, err
	}
	nodes, err := newNodes(c, credentials, stash{next: next})
	if err != nil {
		return nil, err
	}
	if b.metrics, err = newMetrics(o.Registerer, nodes); err != nil {
		return nil, err
	}
	b.pool = newPool(nodes, c.Probe > 0, b.metrics, o.Logger)

	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	if c.Probe > 0 {
		b.done.Go(func() { b.probe(ctx, time.Duration(c.Probe)) })
	}
	return b, nil
}

// RoundTrip sends req to a node and returns its answer, whatever the status; the body is the connection's own. Of req.URL only path and
// query count, and Host not at all. An error is an [*Error], which says by HTTPStatus how to answer the client; where req's context
// ended, it is also that context's error.
//
// A request is sent once. The exception is one that its maker declares repeatable as net/http does, with an X-Idempotency-Key header of
// no values (which no client can send, and which is not sent) and GetBody. If its node cannot be connected to, another node is tried,
// once, as long as that is rare; and if a connection that had been idle turns out to be dead, another connection is taken.
//
// Likewise an Authorization header of no values says that the client's own credentials were taken off on the way, as happens to a client
// that lists Authorization in its Connection header. To inject-if-missing that is not an anonymous client: it gets no credentials.
func (b *Backend) RoundTrip(req *http.Request) (*http.Response, error) {
	return b.do(req, false)
}

// do is RoundTrip; own marks a call that rerankd makes for itself, with its own credentials if it has any.
func (b *Backend) do(req *http.Request, own bool) (*http.Response, error) {
	repeatable := isRepeatable(req)
	if repeatable {
		b.budget.deposit()
	}
	n := b.pool.pick(nil)
	res, failure := b.send(n, req, own)
	for last := !repeatable; failure != nil && !last; {
		switch {
		case failure.stale: // ends: each such failure is the end of one idle connection
			n = b.pool.pick(nil)
			b.metrics.retried(retryConnection)
		case failure.refused:
			last = true
			if n = b.pool.pick(n); n == nil {
				return nil, failure
			}
			if !b.budget.withdraw() {
				b.metrics.retried(retryDenied)
				return nil, failure
			}
			b.metrics.retried(retryNode)
		default:
			return nil, failure
		}
		again, err := repeat(req)
		if err != nil {
			return nil, failure
		}
		res, failure = b.send(n, again, own)
	}
	if failure != nil {
		return nil, failure
	}
	return res, nil
}

// send sends req to n through the decorator of the engine. Whatever comes of it, req.Body is closed.
func (b *Backend) send(n *node, req *http.Request, own bool) (*http.Response, *Error) {
	x := newExchange(n, req, b.pool.several() || isRepeatable(req))
	stub := x.stub(b.mayInject(req, own))
	if _, err := n.vendor(b.engine.kind()).Perform(stub); err != nil && !x.sent {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, &Error{Node: n.name, Err: err, status: http.StatusBadGateway}
	}
	if x.err != nil {
		failure, cause := x.judge()
		if cause != "" {
			b.pool.failed(n, x.started, cause, failure)
		}
		return nil, failure
	}
	b.pool.answered(n, x.started)
	b.engine.read(x.res.Header)
	return x.res, nil
}

// Engine is what answers, as far as it is known.
func (b *Backend) Engine() Engine { return b.engine.get() }

// Seen reports whether any node has ever given an HTTP answer.
func (b *Backend) Seen() bool { return b.pool.seen() }

// Nodes tells how each node does, in the order of the configuration.
func (b *Backend) Nodes() []NodeStatus { return b.pool.status() }

// Close ends the probes and the idle connections. Requests under way go on to their end.
func (b *Backend) Close() {
	b.stop()
	b.done.Wait()
	b.metrics.leave(b.pool.nodes)
	if b.transport != nil {
		b.transport.CloseIdleConnections()
	}
}
