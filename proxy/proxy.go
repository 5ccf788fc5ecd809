// Package proxy stands between an application and its search cluster. Every request is forwarded as it came, except a search that a rule
// covers: for that one a window of hits is taken from the cluster, ranked, and the client's page is cut from the better order.
//
// The [Handler] is the client's side: it refuses what is no request to a cluster, forwards the rest through [httputil.ReverseProxy], and
// answers for the cluster where there is no answer. Under it a transport follows each search through its steps: route, rule, read, widen,
// ask the cluster, rank, splice. What goes wrong at any of them, in this package or beneath it, costs the client the better order and never
// the search: the cluster's own answer goes back, and says why in one word.
//
// What runs is a [Snapshot], built from the configuration by the program. A new one takes over between two requests; the old one is closed
// after the last request that began under it.
package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rerankd/rerankd/proxy/search"
)

// Options are what a Handler keeps over all snapshots.
type Options struct {
	Registerer prometheus.Registerer // nil: metrics are counted but not shown
	Logger     *slog.Logger          // nil: nothing is logged
	Now        func() time.Time      // for what is remembered for a while; nil: time.Now
	Observer   Observer              // is told of every search; nil: nobody is
}

// Handler is the proxy. It is safe for concurrent use.
type Handler struct {
	live    atomic.Pointer[live]
	forward *httputil.ReverseProxy
	pages   *bounded[pageKey, *ranked]
	unfit   *bounded[searchKey, search.Reason] // searches that could not be widened lately, and why
	shadows chan struct{}                      // those under way
	metrics *metrics
	log     *slog.Logger
	now     func() time.Time
	watcher Observer // may be nil
}

// New starts with s. The caller closes the Handler.
func New(s *Snapshot, o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{
		metrics: newMetrics(o.Registerer),
		log:     o.Logger,
		now:     o.Now,
		watcher: o.Observer,
		pages:   newBounded[pageKey, *ranked](maxPages, pagesKept, o.Now),
		shadows: make(chan struct{}, maxShadows),
		unfit:   newBounded[searchKey, search.Reason](maxUnfit, unfitKept, o.Now),
	}
	h.forward = &httputil.ReverseProxy{
		Rewrite:      rewrite,
		Transport:    &transport{handler: h},
		ErrorHandler: h.fail,
		BufferPool:   new(buffers),
		// A body of known length is not flushed until a buffer is full. A cluster that thinks in the middle of one should not keep its
		// first hits from the client. (Bodies of unknown length are flushed at every write anyway.)
		FlushInterval: 20 * time.Millisecond,
		ErrorLog:      slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	h.Swap(s)
	return h
}

// Swap lets s take over for the requests to come. The snapshot before it is closed after the last request that began under it.
func (h *Handler) Swap(s *Snapshot) {
	next := newLive(s, h.live.Load(), h.now)
	if old := h.live.Swap(next); old != nil {
		old.retire()
		old.release()
	}
}

// Close gives back the last snapshot, after the last request under it. Requests that come later are answered with 503.
func (h *Handler) Close() {
	if old := h.live.Swap(nil); old != nil {
		old.retire()
		old.release()
	}
}

// Running returns the snapshot in use, which is not closed before release is called; nil after Close. It is for those who look at what runs,
// and does not change it.
func (h *Handler) Running() (s *Snapshot, release func()) {
	l := h.acquire()
	if l == nil {
		return nil, func() {}
	}
	return &l.Snapshot, sync.OnceFunc(l.release)
}

// acquire returns the running snapshot, nil after Close.
func (h *Handler) acquire() *live {
	for {
		l := h.live.Load()
		if l == nil || l.retain() {
			return l
		}
		// It was swapped out and closed between the two lines: there is a newer one.
	}
}

// call is one request on its way through, found in its context by the transport and the error handler.
type call struct {
	live    *live
	ctx     context.Context // the client's own: see transport.RoundTrip
	body    *clientBody     // nil where the request has none
	said    instructions    // what its headers say to us
	journey *journey        // nil where the request is no search
	held    ledger          // bytes buffered for it
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// ServeHTTP forwards r, or answers in the cluster's place where it cannot be forwarded.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l := h.acquire()
	if l == nil {
		failure{http.StatusServiceUnavailable, "proxy_closed_exception", "rerankd is shutting down"}.write(w, r)
		return
	}
	defer l.release()
	if f, refused := refuse(r); refused {
		w.Header().Set("Connection", "close") // what follows on this connection is not to be trusted
		f.write(w, r)
		return
	}

	if l.Events != nil && (r.URL.Path == "/ubi_events" || r.URL.Path == "/ubi_queries") && (r.Method == http.MethodPost || r.Method == http.MethodOptions) {
		l.Events.ServeHTTP(w, r)
		return
	}

	control := http.NewResponseController(w)
	out := &responseWriter{ResponseWriter: w, control: control, idle: l.Limits.Idle, stream: r.ProtoMajor > 1, client: r.Context()}
	c := &call{live: l, ctx: r.Context(), said: readInstructions(r.Header), held: ledger{pool: l.buffered}}
	defer c.held.release()
	if r.Body != nil && r.Body != http.NoBody {
		// net/http fills in the trailers' values at the end of the body, in the map that r holds then; without a map here, trailers
		// that were not announced would have nowhere to go.
		if r.ContentLength < 0 && r.Trailer == nil {
			r.Trailer = http.Header{}
		}
		c.body = &clientBody{ReadCloser: r.Body, control: control, idle: l.Limits.Idle}
	}
	start := time.Now()
	defer func() {
		if c.journey != nil {
			c.journey.total = time.Since(start)
			h.finish(c, out.status, out.missed)
		}
		h.metrics.response(out.status)
	}()

	out.extend() // for a "100 Continue", which net/http writes on the first read of the body
	defer out.extend()
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	if c.body != nil {
		r.Body = c.body
	}
	h.forward.ServeHTTP(out, r)
}
