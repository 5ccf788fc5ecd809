package backends

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/rerankd/rerankd/config"
)

// Engine is which search engine answers.
type Engine struct {
	Kind    string // config.KindElasticsearch or config.KindOpenSearch; config.KindAuto while nothing has told
	Version string // such as 8.19.16; "" while unknown
}

// engine is the Engine that the answers show. A configured kind stands, whatever they show; its version is still learned.
//
// What tells, on any answer: Elasticsearch 7.14 and later send X-elastic-product (not with a 401, and also with the 405 that its lean
// builds give to GET /); OpenSearch 3 sends X-OpenSearch-Version; OpenSearch's security plugin names itself in WWW-Authenticate.
// OpenSearch 2 sends nothing of the sort: there it is version.distribution in the body of GET /, which the probes read.
type engine struct {
	fixed bool
	known atomic.Pointer[Engine]
}

// settle sets the configured kind.
func (e *engine) settle(kind string) error {
	switch kind {
	case "", config.KindAuto:
		e.known.Store(&Engine{Kind: config.KindAuto})
	case config.KindElasticsearch, config.KindOpenSearch:
		e.fixed = true
		e.known.Store(&Engine{Kind: kind})
	default:
		return fmt.Errorf("kind: unknown value %q", kind)
	}
	return nil
}

func (e *engine) get() Engine { return *e.known.Load() }

// kind is the decorator to use. While the engine is unknown that is Elasticsearch's: on the wire the two do the same, conformance is
// tested for both, and of the two it is the one still maintained.
func (e *engine) kind() string {
	if kind := e.known.Load().Kind; kind != config.KindAuto {
		return kind
	}
	return config.KindElasticsearch
}

// read takes from the headers of an answer what they tell. It runs for every request.
func (e *engine) read(h http.Header) {
	if e.fixed {
		return
	}
	if _, ok := h["X-Elastic-Product"]; ok {
		e.learn(Engine{Kind: config.KindElasticsearch})
		return
	}
	if v := h["X-Opensearch-Version"]; len(v) > 0 { // OpenSearch/3.8.0 (opensearch)
		number, _, _ := strings.Cut(strings.TrimPrefix(v[0], "OpenSearch/"), " ")
		e.learn(Engine{config.KindOpenSearch, number})
		return
	}
	for _, v := range h["Www-Authenticate"] {
		if strings.Contains(v, "OpenSearch Security") {
			e.learn(Engine{Kind: config.KindOpenSearch})
		}
	}
}

// learn takes what found says, of either kind or version or both. A version is kept as long as the kind is the same and no other version is told: most answers tell none.
func (e *engine) learn(found Engine) {
	old := e.known.Load()
	if e.fixed || found.Kind == "" {
		found.Kind = old.Kind
	}
	if found.Version == "" && found.Kind == old.Kind {
		found.Version = old.Version
	}
	if found != *old {
		e.known.CompareAndSwap(old, &found) // lost to another answer: that one is as good
	}
}
