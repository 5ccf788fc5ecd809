package backends

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// How long a node is left out: ten seconds, doubled for each time in a row that it failed again, up to a minute, ±20 % so that several
// copies of rerankd do not ask at once. In use for a minute, it starts at ten seconds again.
const (
	shortestWindow = 10 * time.Second
	longestWindow  = time.Minute
)

// A pool chooses the node of each request: in turn among those in use.
//
// A node is left out when it cannot be connected to, or closes a fresh connection without an answer; both say that nothing serves there.
// It is in use again when it answers a probe after its window. The last one in use is never left out: to try it costs no more than to
// refuse at once, and the moment it is back it serves. But as soon as it fails, all the others are probed, windows or not.
type pool struct {
	nodes   []*node
	probed  bool // somebody asks the nodes that are left out; if not, the window's end alone brings them back
	metrics *metrics
	logger  *slog.Logger
	alarm   chan struct{} // filled when the last node in use has failed

	mu    sync.Mutex
	turn  int
	inUse int
}

func newPool(nodes []*node, probed bool, m *metrics, l *slog.Logger) *pool {
	return &pool{nodes: nodes, probed: probed, metrics: m, logger: l, alarm: make(chan struct{}, 1), inUse: len(nodes)}
}

// several reports whether there is a choice.
func (p *pool) several() bool { return len(p.nodes) > 1 }

// pick gives the next node in use. Given a node not to take, it gives another one, in use if possible; nil if there is none.
func (p *pool) pick(not *node) *node {
	if !p.several() {
		if not != nil {
			return nil
		}
		return p.nodes[0]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.probed && p.inUse < len(p.nodes) {
		p.expire(time.Now())
	}
	var spare *node // the one whose window ends first
	for range p.nodes {
		n := p.nodes[p.turn%len(p.nodes)]
		p.turn++
		switch {
		case n == not:
		case !n.out.Load():
			return n
		case spare == nil || n.until.Before(spare.until):
			spare = n
		}
	}
	return spare
}

// failed notes that a request to n that began at started could not be sent or was not answered, which is n's fault, and leaves n out.
func (p *pool) failed(n *node, started time.Time, cause string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.err = err
	if n.up.Swap(false) {
		p.logger.Warn("cluster node failed", "node", n.name, "cause", cause, "err", err)
	}
	switch {
	case n.out.Load() && started.Before(n.outSince):
		return // of the many requests that were under way when the first one failed
	case !n.out.Load() && p.inUse == 1:
		if p.several() {
			select {
			case p.alarm <- struct{}{}:
			default:
			}
		}
		return
	case !n.out.Load():
		if time.Since(n.backAt) > longestWindow {
			n.times = 0
		}
		n.out.Store(true)
		p.inUse--
		p.metrics.ejected(n.name, cause)
	}
	window := min(shortestWindow<<min(n.times, 8), longestWindow)
	n.times++
	n.outSince = time.Now()
	n.until = n.outSince.Add(time.Duration(float64(window) * (0.8 + 0.4*rand.Float64())))
}

// answered notes an HTTP answer of n to a request that began at started. One that began after n was left out shows that n is back.
// It runs for every request and takes no lock while all is well.
func (p *pool) answered(n *node, started time.Time) {
	now := time.Now()
	n.seen.Store(now.UnixNano())
	if n.up.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.out.Load() && started.Before(n.outSince) {
		return
	}
	n.up.Store(true)
	n.err = nil
	p.takeIn(n, now)
	p.logger.Info("cluster node is back", "node", n.name)
}

// takeIn puts n in use again. The caller holds the lock.
func (p *pool) takeIn(n *node, now time.Time) {
	if n.out.Load() {
		n.out.Store(false)
		n.backAt = now
		p.inUse++
	}
}

// expire takes in the nodes whose window is over. The caller holds the lock.
func (p *pool) expire(now time.Time) {
	for _, n := range p.nodes {
		if n.out.Load() && now.After(n.until) {
			p.takeIn(n, now)
		}
	}
}

// due gives the nodes to probe now: those left out whose window is over, or all of those if alarmed; and those in use that have not
// answered anything within the interval. The only node of a cluster is asked no more once it has answered: there is nothing to choose,
// and a secured cluster writes every anonymous GET / into its audit log.
func (p *pool) due(now time.Time, interval time.Duration, alarmed bool) []*node {
	p.mu.Lock()
	defer p.mu.Unlock()
	var due []*node
	for _, n := range p.nodes {
		quiet := now.UnixNano()-n.seen.Load() >= int64(interval)
		if !p.several() {
			quiet = n.seen.Load() == 0 || !n.up.Load()
		}
		if n.out.Load() && (alarmed || !now.Before(n.until)) || !n.out.Load() && quiet {
			due = append(due, n)
		}
	}
	return due
}

// seen reports whether any node has ever answered.
func (p *pool) seen() bool {
	for _, n := range p.nodes {
		if n.seen.Load() != 0 {
			return true
		}
	}
	return false
}

func (p *pool) status() []NodeStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []NodeStatus
	for _, n := range p.nodes {
		s := NodeStatus{URL: n.name, Up: n.up.Load(), InUse: !n.out.Load(), Err: n.err}
		if at := n.seen.Load(); at != 0 {
			s.Seen = time.Unix(0, at)
		}
		all = append(all, s)
	}
	return all
}
