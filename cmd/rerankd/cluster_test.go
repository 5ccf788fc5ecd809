package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// A fakeCluster is an OpenSearch whose every search matches every document, in the order of the file.
type fakeCluster struct {
	indices map[string][]string // documents, one line of JSON each
	secured bool
}

func (c *fakeCluster) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		c.write(w, map[string]any{"name": "node", "cluster_name": "fake", "version": map[string]any{"distribution": "opensearch", "number": "2.19.1"}})
	})
	mux.HandleFunc("/_mapping", func(w http.ResponseWriter, r *http.Request) { c.mapping(w, "") })
	mux.HandleFunc("/{index}/_mapping", func(w http.ResponseWriter, r *http.Request) { c.mapping(w, r.PathValue("index")) })
	mux.HandleFunc("/{index}/_search", c.search)
	// A request that takes as long as a script wants it to.
	var waiting atomic.Int32
	released := make(chan struct{})
	mux.HandleFunc("/_slow", func(w http.ResponseWriter, r *http.Request) {
		waiting.Add(1)
		select {
		case <-released:
			fmt.Fprintln(w, "at last")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/_waiting", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, waiting.Load(), "waiting") })
	mux.HandleFunc("/_release", func(w http.ResponseWriter, r *http.Request) { close(released) })
	if c.secured {
		return guarded(mux)
	}
	return mux
}

// guarded lets admin do everything, and reader everything but see mappings.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case password != "secret" || user != "admin" && user != "reader":
			http.Error(w, `{"error":"security_exception"}`, http.StatusUnauthorized)
		case user == "reader" && strings.HasSuffix(r.URL.Path, "/_mapping"):
			http.Error(w, `{"error":"security_exception"}`, http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (c *fakeCluster) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// mapping makes every text of an index's first document a text field.
func (c *fakeCluster) mapping(w http.ResponseWriter, index string) {
	mappings := map[string]any{}
	for name, docs := range c.indices {
		if index != "" && index != name {
			continue
		}
		var first map[string]any
		json.Unmarshal([]byte(docs[0]), &first)
		properties := map[string]any{}
		for field, value := range first {
			kind := "long"
			if _, ok := value.(string); ok {
				kind = "text"
			}
			properties[field] = map[string]any{"type": kind}
		}
		mappings[name] = map[string]any{"mappings": map[string]any{"properties": properties}}
	}
	if len(mappings) == 0 && index != "" && !strings.Contains(index, "*") {
		c.notFound(w, index)
		return
	}
	c.write(w, mappings)
}

func (c *fakeCluster) search(w http.ResponseWriter, r *http.Request) {
	docs, ok := c.indices[r.PathValue("index")]
	if !ok {
		c.notFound(w, r.PathValue("index"))
		return
	}
	body := struct{ From, Size int }{Size: 10}
	json.NewDecoder(r.Body).Decode(&body)
	for name, to := range map[string]*int{"from": &body.From, "size": &body.Size} {
		if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
			*to = n
		}
	}
	hits := []any{}
	for i := body.From; i < min(body.From+body.Size, len(docs)); i++ {
		hits = append(hits, map[string]any{
			"_index": r.PathValue("index"), "_id": fmt.Sprint(i + 1), "_score": 10 / float64(i+1), "_source": json.RawMessage(docs[i]),
		})
	}
	c.write(w, map[string]any{
		"took": 1, "timed_out": false, "_shards": map[string]any{"total": 1, "successful": 1, "skipped": 0, "failed": 0},
		"hits": map[string]any{"total": map[string]any{"value": len(docs), "relation": "eq"}, "max_score": 10, "hits": hits},
	})
}

func (c *fakeCluster) notFound(w http.ResponseWriter, index string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"error":{"type":"index_not_found_exception","reason":"no such index [%s]"},"status":404}`, strings.TrimSpace(index))
}
