package main

import (
	"io"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/ubi"
)

// An intake takes in what people did, on whichever listener it is sent to, and keeps it where the configuration in force says. What it
// remembers of the last hour outlives reloads.
type intake struct {
	p       *program
	handler atomic.Pointer[ubi.Handler] // nil until there is a configuration
}

func newIntake(p *program) *intake { return &intake{p: p} }

// open begins to take in events, of all a hundred times as many as of each client. Which pages may send from a browser is said by each
// configuration.
func (i *intake) open(e config.Events) {
	o := ubi.Options{Sink: stores{i.p}, Rate: float64(e.Rate), Total: 100 * float64(e.Rate), Strict: e.Unknown == "drop", ZeroBased: e.FirstPosition == 0}
	if len(e.TrustedProxies) > 0 {
		o.Address = forwarded(e.TrustedProxies)
	}
	i.handler.Store(ubi.New(o, i.p.registry))
}

// forwarded finds where a request comes from that passed through proxies.
func forwarded(trusted []config.Network) func(*http.Request) string {
	proxies := make([]*net.IPNet, len(trusted))
	for i, n := range trusted {
		proxies[i] = n.IPNet()
	}
	return proxy.ForwardedFrom(proxies)
}

// Keep notes that a page was shown, so that events on it are known to belong to something.
func (i *intake) Keep(r experiment.Record) {
	if h := i.handler.Load(); h != nil {
		h.Keep(r)
	}
}

func (i *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, s := i.handler.Load(), i.p.now.Load()
	if h == nil || s == nil || len(s.stores) == 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"error":"nothing is kept: no experiment runs here, and events.sink says nothing else"}`+"\n")
		return
	}
	h.ServeHTTP(w, r)
}

// stores are those of the configuration in force.
type stores struct{ p *program }

func (s stores) Keep(r experiment.Record) {
	if now := s.p.now.Load(); now != nil {
		now.stores.Keep(r)
	}
}

// implied concludes from the traffic what the configuration wishes for.
type implied struct {
	tracker *ubi.Tracker
	kinds   []string
	window  time.Duration
}

// impliedBy is what a configuration wishes for; nil where it is nothing. What is remembered of the pages before outlives a reload.
func impliedBy(e config.Events, former *assembly) *implied {
	if len(e.Implicit) == 0 {
		return nil
	}
	i := &implied{kinds: e.Implicit, window: time.Duration(e.Window)}
	if former != nil && former.implied != nil && former.implied.window == i.window {
		i.tracker = former.implied.tracker
	} else {
		i.tracker = ubi.NewTracker(ubi.TrackerOptions{Window: i.window})
	}
	return i
}

// Shown is part of [proxy.Tracker].
func (i *implied) Shown(client, search uint64, page *experiment.Impression) (experiment.Event, bool) {
	e, ok := i.tracker.Shown(client, search, page)
	return e, ok && slices.Contains(i.kinds, e.Implicit)
}

// Fetched is part of [proxy.Tracker].
func (i *implied) Fetched(client uint64, index, id string, now time.Time) (experiment.Event, bool) {
	if !slices.Contains(i.kinds, "get") {
		return experiment.Event{}, false
	}
	return i.tracker.Fetched(client, index, id, now)
}
