package ubi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// Limits of one request.
const (
	maxBody   = 1 << 20
	maxItems  = 1000
	maxTime   = 10 * time.Second // for the body to come
	maxAtOnce = 32               // requests, whose bodies are held in memory
)

// A clock that is farther off than this is wrong: events are sent within a day, late where a phone was without a network, and no clock that
// is kept runs five minutes ahead. What is attributed by time would be attributed wrongly, so that the time of arrival is taken instead.
const (
	maxLate  = 24 * time.Hour
	maxAhead = 5 * time.Minute
)

// Options of a [Handler].
type Options struct {
	Sink experiment.Sink // of what is accepted

	// Origins are the pages that may send from a browser, such as https://shop.example; * allows any. Empty: pages of the handler's own
	// host alone, and no browser is told otherwise.
	Origins []string

	Rate  float64 // events a second that one client id may send, and ten times that one address; 0: 20
	Total float64 // events a second of all clients; 0: 2,000

	// Strict drops what belongs to no search that this copy has shown within the last one to two hours (see [Handler.Keep]). Where several
	// copies stand behind a load balancer, a click comes to another than the search did, so that otherwise all is kept and only counted.
	Strict bool
	// ZeroBased is whether the first place of a list is 0 where events name it. The schema's examples have 1.
	ZeroBased bool
	Address   func(*http.Request) string // of a client; nil: that of the connection, which is a load balancer's where one stands between
	Now       func() time.Time           // nil: time.Now
}

// What is remembered: a replay is looked for among the events of the last ten minutes, a search among those of the last hour.
const (
	replays, maxReplays   = 10 * time.Minute, 100_000
	searches, maxSearches = time.Hour, 200_000
)

// Handler takes in events and queries: POST to any path that ends with ubi_events or ubi_queries. The body is a JSON array of objects, one
// object, or JSON lines, of 1 MiB and 1,000 objects at most, whatever its Content-Type: a browser's sendBeacon has text/plain.
//
// The answer is JSON. Each event stands for itself: what is wrong with one is said, and the others are kept.
//
//	{"accepted": 2, "dropped": 1, "rejected": [{"index": 0, "error": "action_name is missing: say what was done, such as click"}]}
//
// Its status is 202, or 400 where all were rejected, 413 where there were too many bytes, 429 where too much came, with Retry-After, 403
// for a page that may not send. It is safe for concurrent use.
type Handler struct {
	options Options
	origins atomic.Pointer[[]string]
	base    int
	seed    maphash.Seed
	atOnce  chan struct{}
	flood   *flood
	counted *prometheus.CounterVec

	mu    sync.Mutex
	seen  *recent[uint64, struct{}] // events, for replays
	shown *recent[uint64, struct{}] // query ids
}

var _ experiment.Sink = (*Handler)(nil)

// New makes a Handler. Its metrics are registered with r unless that is nil.
func New(o Options, r prometheus.Registerer) *Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Address == nil {
		o.Address = func(r *http.Request) string {
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			return host
		}
	}
	h := &Handler{
		options: o, base: 1, seed: maphash.MakeSeed(), atOnce: make(chan struct{}, maxAtOnce),
		flood: newFlood(cmp.Or(o.Rate, 20), cmp.Or(o.Total, 2000)),
		seen:  newRecent[uint64, struct{}](replays, maxReplays),
		shown: newRecent[uint64, struct{}](searches, maxSearches),
		counted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rerankd_events_total",
			Help: "Events and queries that applications sent, by what became of them (kept, dropped, rejected) and the first reason for that; of those kept, what was amiss.",
		}, []string{"outcome", "reason"}),
	}
	if o.ZeroBased {
		h.base = 0
	}
	h.Allow(o.Origins)
	if r != nil {
		r.MustRegister(h.counted)
	}
	return h
}

// Allow has pages of these origins send from now on, in the place of [Options.Origins]: what is remembered of events outlives a reload.
func (h *Handler) Allow(origins []string) { h.origins.Store(&origins) }

// Keep notes that a page was shown, so that events on it are known to belong to something. Everything else is nothing to it.
func (h *Handler) Keep(r experiment.Record) {
	if r.Impression == nil || r.Impression.QueryID == "" {
		return
	}
	key := maphash.String(h.seed, r.Impression.QueryID)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shown.put(key, struct{}{}, h.options.Now())
}

// An answer is the body of a response.
type answer struct {
	Accepted int        `json:"accepted"`
	Dropped  int        `json:"dropped,omitempty"` // replayed, or of an unknown search: nothing that the client could mend
	Rejected []rejected `json:"rejected"`
	Error    string     `json:"error,omitempty"` // where nothing was read
}

type rejected struct {
	Index int    `json:"index"`
	Error string `json:"error"`
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimRight(r.URL.Path, "/")
	queries := strings.HasSuffix(path, "/ubi_queries")
	switch {
	case !queries && !strings.HasSuffix(path, "/ubi_events"):
		respond(w, http.StatusNotFound, answer{Error: "events go to ubi_events, queries to ubi_queries"})
	case !h.allowed(w.Header(), r):
		h.refuse(w, http.StatusForbidden, "origin", "pages of "+bounded(r.Header.Get("Origin"), maxName)+" may not send here: name them among the allowed origins")
	case r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" && len(*h.origins.Load()) > 0:
		preflight(w.Header())
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST, OPTIONS")
		respond(w, http.StatusMethodNotAllowed, answer{Error: "send by POST"})
	default:
		h.take(w, r, queries)
	}
}

// allowed reports whether the page that sends may. Only browsers say which page it is; others are not kept out by what they need not say.
func (h *Handler) allowed(header http.Header, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	header.Add("Vary", "Origin")
	if origins := *h.origins.Load(); slices.Contains(origins, origin) || slices.Contains(origins, "*") {
		header.Set("Access-Control-Allow-Origin", origin)
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && u.Host == r.Host
}

// preflight tells a browser what a page may send. A day would be more than browsers remember it for.
func preflight(header http.Header) {
	header.Set("Access-Control-Allow-Methods", "POST")
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	header.Set("Access-Control-Max-Age", "7200")
}

// take reads a request and keeps what it can.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, queries bool) {
	now := h.options.Now()
	address := maphash.String(h.seed, "address "+h.options.Address(r))
	if wait := h.flood.wait(address, now); wait > 0 {
		h.flooded(w, wait)
		return
	}
	select {
	case h.atOnce <- struct{}{}:
		defer func() { <-h.atOnce }()
	default:
		h.flooded(w, time.Second)
		return
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		h.refuse(w, http.StatusUnsupportedMediaType, "malformed", "the body is compressed: send it as it is")
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(maxTime)) // a recorder in a test has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		h.refuse(w, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body has more than %d bytes: send less at once", maxBody))
		return
	} else if err != nil {
		h.refuse(w, http.StatusBadRequest, "malformed", "the body broke off")
		return
	}
	b := batch{Handler: h, now: now, address: address, answer: answer{Rejected: []rejected{}}}
	if queries {
		b.read(body, b.query)
	} else {
		b.read(body, b.event)
	}
	status := http.StatusAccepted
	switch {
	case b.Accepted+b.Dropped > 0:
	case b.floods > 0:
		w.Header().Set("Retry-After", "1")
		status = http.StatusTooManyRequests
	case len(b.Rejected) > 0:
		status = http.StatusBadRequest
	case len(body) == 0:
		h.refuse(w, http.StatusBadRequest, "malformed", "the body is empty: send a JSON array of objects, one object, or a line for each")
		return
	}
	respond(w, status, b.answer)
}

func (h *Handler) flooded(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int((wait+time.Second-1).Seconds()))))
	h.refuse(w, http.StatusTooManyRequests, "flooded", "more came than is taken: send less, or later")
}

// refuse answers where nothing of a request was read. It counts as one, as nobody knows how many there were in it.
func (h *Handler) refuse(w http.ResponseWriter, status int, reason, text string) {
	h.counted.WithLabelValues("rejected", reason).Inc()
	respond(w, status, answer{Rejected: []rejected{}, Error: text})
}

func respond(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // a client that left is not told
}
