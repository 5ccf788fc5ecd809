package backends

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are shared by the Backends of one Registerer: when a configuration is loaded anew, the next Backend is opened before the last
// one is closed, counters must go on, and a node that both have must be shown once.
//
// Labels are bounded by the configuration (node) and by the code (cause, outcome).
type metrics struct {
	ejections *prometheus.CounterVec
	retries   *prometheus.CounterVec

	mu    sync.Mutex
	nodes map[string][]*node // by name, oldest first; the last one is the current Backend's
}

var (
	nodeUp = prometheus.NewDesc("rerankd_cluster_node_up",
		"1 if the last contact with the node was an HTTP answer.", []string{"node"}, nil)
	nodeInUse = prometheus.NewDesc("rerankd_cluster_node_in_use",
		"1 if requests are sent to the node; 0 while it is left out.", []string{"node"}, nil)
)

var _ prometheus.Collector = (*metrics)(nil)

// newMetrics adds nodes to the metrics of r, which may be nil.
func newMetrics(r prometheus.Registerer, nodes []*node) (*metrics, error) {
	m := &metrics{
		ejections: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rerankd_cluster_node_ejections_total",
			Help: "Times that a node was left out, by cause: dial, eof, probe."}, []string{"node", "cause"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rerankd_cluster_retries_total",
			Help: "Searches that could not be sent, by outcome: sent to another node, on another connection, or denied by the retry budget."}, []string{"outcome"}),
		nodes: map[string][]*node{},
	}
	for _, outcome := range []string{retryNode, retryConnection, retryDenied} {
		m.retries.WithLabelValues(outcome)
	}
	if r != nil {
		err := r.Register(m)
		if again := (prometheus.AlreadyRegisteredError{}); errors.As(err, &again) {
			before, ok := again.ExistingCollector.(*metrics)
			if !ok {
				return nil, fmt.Errorf("registering metrics: %w", err)
			}
			m = before
		} else if err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range nodes {
		m.nodes[n.name] = append(m.nodes[n.name], n)
		for _, cause := range []string{causeDial, causeEOF, causeProbe} {
			m.ejections.WithLabelValues(n.name, cause)
		}
	}
	return m, nil
}

// leave takes out the nodes of a Backend that is closed. Their counters stay: they count what happened to the URL.
func (m *metrics) leave(nodes []*node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range nodes {
		left := m.nodes[n.name][:0:0]
		for _, other := range m.nodes[n.name] {
			if other != n {
				left = append(left, other)
			}
		}
		if m.nodes[n.name] = left; len(left) == 0 {
			delete(m.nodes, n.name)
		}
	}
}

func (m *metrics) ejected(node, cause string) { m.ejections.WithLabelValues(node, cause).Inc() }
func (m *metrics) retried(outcome string)     { m.retries.WithLabelValues(outcome).Inc() }

// Describe and Collect make it one collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- nodeUp
	ch <- nodeInUse
	m.ejections.Describe(ch)
	m.retries.Describe(ch)
}

// Collect reads the state of the nodes as it is now.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	for name, all := range m.nodes {
		n := all[len(all)-1]
		ch <- prometheus.MustNewConstMetric(nodeUp, prometheus.GaugeValue, number(n.up.Load()), name)
		ch <- prometheus.MustNewConstMetric(nodeInUse, prometheus.GaugeValue, number(!n.out.Load()), name)
	}
	m.mu.Unlock()
	m.ejections.Collect(ch)
	m.retries.Collect(ch)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
