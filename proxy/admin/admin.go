// Package admin shows how the program does, on a listener of its own: health for those who restart it, readiness for those who send it
// traffic, metrics, and its status as JSON.
//
// The pages only show; nothing is changed through them. They have no authentication, and no secret is among what they show.
package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A Program is what the pages tell of. It is safe for concurrent use.
type Program interface {
	// Waiting names what has to happen before searches are reranked here, one sentence each; none: the program is ready.
	Waiting() []string
	// Status is a snapshot of everything that may be shown.
	Status() Status
}

// Status is the body of /status. Times are RFC 3339.
type Status struct {
	Started       time.Time         `json:"started"`
	Versions      map[string]string `json:"versions"` // of rerankd, go, onnxruntime, tokenizers
	Rerank        string            `json:"rerank"`   // on, or off where the kill switch is set
	Configuration Configuration     `json:"configuration"`
	Cluster       Cluster           `json:"cluster"`
	Models        []Model           `json:"models"`
	Caches        map[string]Cache  `json:"caches,omitempty"` // of tokens and scores, for all models
	Rules         []Rule            `json:"rules"`            // in the order in which they are tried
	Errors        []Event           `json:"errors"`           // the last ones, newest first
}

// Configuration says which one is in force.
type Configuration struct {
	File   string    `json:"file"`            // "" where the program was started without one
	Loaded time.Time `json:"loaded"`          // when the one in force was read
	Error  string    `json:"error,omitempty"` // why the file as it stands now is not in force
}

// Cluster says what is behind the proxy.
type Cluster struct {
	Kind    string `json:"kind"`
	Version string `json:"version,omitempty"`
	Nodes   []Node `json:"nodes"`
}

// Node is one node of the cluster.
type Node struct {
	URL   string `json:"url"`
	Up    bool   `json:"up"`
	Error string `json:"error,omitempty"` // why it is left out
}

// Model is one loaded model.
type Model struct {
	Name         string  `json:"name"`
	Source       string  `json:"source"`
	Precision    string  `json:"precision"`
	Digest       string  `json:"digest"` // SHA-256 of the graph
	License      string  `json:"license,omitempty"`
	MaxLength    int     `json:"max_length"` // tokens of a pair
	Workers      int     `json:"workers"`
	Milliseconds float64 `json:"ms_per_document"` // of 120 tokens on one worker, all of them busy, as the warm-up measured it
	Queued       int     `json:"queued"`          // documents waiting now
	Scored       uint64  `json:"scored"`          // documents so far
	Remembered   uint64  `json:"remembered"`      // documents whose score was remembered
	Refused      uint64  `json:"refused"`         // documents that would not have been scored in time
	Broken       bool    `json:"broken"`          // left alone because runs failed in a row
}

// Cache is the memory for what searches have in common.
type Cache struct {
	Bytes  uint64 `json:"bytes"` // held now, as estimated
	Limit  uint64 `json:"limit"`
	Hits   uint64 `json:"hits"`
	Misses uint64 `json:"misses"`
}

// Rule is one rule as it is in force, with what was left open filled in.
type Rule struct {
	Name    string   `json:"name"`
	Indices []string `json:"indices"` // empty: all but system indices
	Fields  []string `json:"fields"`  // empty: chosen by query and mapping
	Stages  []Stage  `json:"stages"`  // empty: nothing is loaded for it
	Budget  string   `json:"budget"`
	Rerank  string   `json:"rerank"`
}

// Stage is one model of a rule and how deep it looks.
type Stage struct {
	Model  string `json:"model"`
	Window int    `json:"window"`
}

// Event is something that went wrong.
type Event struct {
	Time    time.Time `json:"time"`
	Message string    `json:"message"`
}

// Options of the pages.
type Options struct {
	Program  Program
	Gatherer prometheus.Gatherer // nil: no /metrics
	Logger   *slog.Logger        // of what breaks while metrics are gathered; nil: nothing is logged
}

// New returns the pages.
func New(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { index(w, o.Program) })
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, r *http.Request) { ready(w, o.Program) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { status(w, o.Program) })
	if o.Gatherer != nil {
		p := promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}
		if o.Logger != nil {
			p.ErrorLog = slog.NewLogLogger(o.Logger.Handler(), slog.LevelError)
		}
		mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, p))
	}
	return harden(mux)
}

// harden keeps what the pages say from being read as anything else, framed, or kept by a cache in between.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func ready(w http.ResponseWriter, p Program) {
	waiting := p.Waiting()
	if len(waiting) == 0 {
		fmt.Fprintln(w, "ready")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, sentence := range waiting {
		fmt.Fprintln(w, sentence)
	}
}

func status(w http.ResponseWriter, p Program) {
	w.Header().Set("Content-Type", "application/json")
	s := p.Status()
	s.Models, s.Rules, s.Errors, s.Cluster.Nodes = list(s.Models), list(slices.Clone(s.Rules)), list(s.Errors), list(s.Cluster.Nodes)
	for i, r := range s.Rules {
		s.Rules[i].Indices, s.Rules[i].Fields = list(r.Indices), list(r.Fields)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(s) // the types cannot fail to encode, and a reader who went away is none of our business
}

// list makes nothing a list of nothing, so that a reader may go through it without asking.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

var page = template.Must(template.New("index").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>rerankd</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:3em auto;max-width:40em;padding:0 1em}dt{font-weight:600}</style>
<h1>rerankd</h1>
<p>Version {{.Status.Versions.rerankd}}, since {{.Status.Started.UTC.Format "2006-01-02 15:04:05"}} UTC.
{{if .Waiting}}Not ready: {{range $i, $w := .Waiting}}{{if $i}}; {{end}}{{$w}}{{end}}.{{else}}Ready.{{end}}</p>
<dl>
<dt><a href="/status">/status</a></dt><dd>versions, configuration, cluster, models, rules and the last errors, as JSON</dd>
<dt><a href="/metrics">/metrics</a></dt><dd>for Prometheus</dd>
<dt><a href="/-/ready">/-/ready</a></dt><dd>200 when searches are reranked here, else 503 and what is missing</dd>
<dt><a href="/-/healthy">/-/healthy</a></dt><dd>200 as long as the process answers</dd>
</dl>
`))

func index(w http.ResponseWriter, p Program) {
	var b bytes.Buffer
	if err := page.Execute(&b, map[string]any{"Status": p.Status(), "Waiting": p.Waiting()}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = b.WriteTo(w)
}
