package main

import (
	"io"
	"net/http"
	"sync/atomic"

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

// open begins to take in. Which pages may send from a browser is said by each configuration.
func (i *intake) open() { i.handler.Store(ubi.New(ubi.Options{Sink: stores{i.p}}, i.p.registry)) }

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
