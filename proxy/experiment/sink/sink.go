// Package sink keeps the records of experiments: in files beside the program, in the cluster's own indices, or both.
//
// Every sink takes records off a search's hands at once and writes them later, in one goroutine of its own. Its queue is bounded: what a
// slow disk or a cluster that is down leaves no room for is dropped, and counted. A lost record is a little less to decide by; a search
// that waits for one is a broken promise.
package sink

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// Tee keeps a record in several sinks.
type Tee []experiment.Sink

var _ experiment.Sink = Tee{}

// Keep hands the record to each of them.
func (t Tee) Keep(r experiment.Record) {
	for _, s := range t {
		s.Keep(r)
	}
}

// NewCounter makes the counter that sinks share, registered with r unless that is nil.
func NewCounter(r prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rerankd_records_total",
		Help: "Records of experiments by the sink that was to keep them, what became of them (kept, dropped), and why they were dropped.",
	}, []string{"sink", "outcome", "reason"})
	if r != nil {
		r.MustRegister(c)
	}
	return c
}

// Why a record is dropped; the values of the counter's label.
const (
	queueFull = "queue_full"
	failing   = "failing" // the disk or the cluster takes nothing for so long that there is no room left
	refused   = "refused" // by the cluster, for good
	closed    = "closed"  // the program ends
)

// A queue takes records for one goroutine that writes them. Records are not to be changed once they are in it.
type queue struct {
	name    string
	records chan experiment.Record
	counted *prometheus.CounterVec
	logger  *slog.Logger

	mu     sync.RWMutex // held for reading by those who put something in
	closed bool

	logged time.Time // when something was last complained of, by the one that writes
}

func newQueue(name string, size int, counted *prometheus.CounterVec, logger *slog.Logger) *queue {
	if counted == nil {
		counted = NewCounter(nil)
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &queue{name: name, records: make(chan experiment.Record, size), counted: counted, logger: logger}
}

// Keep takes a record, which is not to be changed from then on. It never waits.
func (q *queue) Keep(r experiment.Record) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		q.drop(1, closed)
		return
	}
	select {
	case q.records <- r:
	default:
		q.drop(1, queueFull)
	}
}

// end lets nothing more in. What is in it can still be taken out.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.records)
	}
}

func (q *queue) kept(n int)                { q.count(n, "kept", "") }
func (q *queue) drop(n int, reason string) { q.count(n, "dropped", reason) }

func (q *queue) count(n int, outcome, reason string) {
	if n > 0 {
		q.counted.WithLabelValues(q.name, outcome, reason).Add(float64(n))
	}
}

// complain logs what is wrong, once a minute.
func (q *queue) complain(message string, args ...any) {
	if now := time.Now(); now.Sub(q.logged) >= time.Minute {
		q.logged = now
		q.logger.Warn(message, args...)
	}
}
