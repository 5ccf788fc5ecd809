package proxy

import (
	"encoding/binary"
	"hash/maphash"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/search"
)

// A Tracker concludes from the traffic what nobody tells: that a hit was fetched after it was shown, that the next page was asked for, that
// other words followed. Clients and searches are numbers, 0 a client that is not known. It is called by the goroutines that serve clients,
// after they have their answers; it is safe for concurrent use.
type Tracker interface {
	Shown(client, search uint64, i *experiment.Impression) (e experiment.Event, ok bool)
	Fetched(client uint64, index, id string, now time.Time) (e experiment.Event, ok bool)
}

// visitors are the units by which clients are told apart: those of all experiments.
func visitors(rules []Rule) []Unit {
	var units []Unit
	for _, r := range rules {
		if r.Experiment != nil {
			units = append(units, r.Experiment.Units...)
		}
	}
	if units == nil {
		units = []Unit{{Client: true}}
	}
	return units
}

// visitor is who asks, as a number; 0 where nobody knows. What a request without a search says too comes first, so that who is shown a hit
// and who fetches it are the same.
func (l *live) visitor(h http.Header, ubi *search.UBI) uint64 {
	for _, client := range []bool{false, true} {
		for _, u := range l.visitors {
			if u.Client != client {
				continue
			}
			if who := u.of(h, ubi); who != "" {
				return maphash.String(l.seed, who) | 1
			}
		}
	}
	return 0
}

// number stands for a search, whichever page of it is asked for.
func (s *searching) number() uint64 {
	digest := s.digest()
	return binary.LittleEndian.Uint64(digest[:])
}

// conclude keeps what follows from a page.
func (s *record) conclude(l *live) {
	if l.Tracker == nil {
		return
	}
	if e, ok := l.Tracker.Shown(s.visitor, s.searched, s.impression); ok {
		l.Sink.Keep(experiment.Record{Event: &e})
	}
}

// fetched notes a document that a client got by its id.
func (h *Handler) fetched(c *call, req *http.Request) {
	if c.live.Tracker == nil || c.live.Sink == nil {
		return
	}
	index, id, ok := document(req.Method, req.URL)
	if !ok {
		return
	}
	if e, ok := c.live.Tracker.Fetched(c.live.visitor(req.Header, nil), index, id, h.now()); ok {
		c.live.Sink.Keep(experiment.Record{Event: &e})
	}
}

// document tells the document that a request gets by its id: GET /{index}/_doc/{id}, or …/_source/{id}.
func document(method string, u *url.URL) (index, id string, ok bool) {
	if method != http.MethodGet {
		return "", "", false
	}
	path := strings.Trim(u.EscapedPath(), "/")
	index, rest, _ := strings.Cut(path, "/")
	kind, id, _ := strings.Cut(rest, "/")
	if index == "" || id == "" || strings.Contains(id, "/") || kind != "_doc" && kind != "_source" {
		return "", "", false
	}
	index, err := url.PathUnescape(index)
	if err == nil {
		id, err = url.PathUnescape(id)
	}
	return index, id, err == nil
}
