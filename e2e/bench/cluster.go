package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"time"
)

// startCluster is a cluster that takes its time for an answer, and answers every search with what it is told to and every document with a
// small one.
func startCluster(takes time.Duration, answer func() []byte) *httptest.Server {
	reply := func(after time.Duration, body func() []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(after)
			w.Header().Set("X-Elastic-Product", "Elasticsearch")
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body())
		}
	}
	fixed := func(body string) func() []byte { return func() []byte { return []byte(body) } }
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", reply(0, fixed(`{"name":"bench","version":{"number":"8.19.16"},"tagline":"You Know, for Search"}`)))
	mux.HandleFunc("/{index}/_mapping", reply(0, fixed(`{"bench":{"mappings":{"properties":{"text":{"type":"text"}}}}}`)))
	mux.HandleFunc("/bench/_doc/1", reply(takes, fixed(`{"_index":"bench","_id":"1","found":true,"_source":{"text":"a document"}}`)))
	mux.HandleFunc("/bench/_search", reply(takes, answer))
	return httptest.NewServer(mux)
}
