// Package admin shows how the program does, on a listener of its own: health for those who restart it, readiness for those who send it
// traffic, metrics, its status as JSON, and pages for people, of which one sets the cluster's order beside the reranked one.
//
// There is no authentication, and no secret is among what is shown. Nothing of the program is changed from here; what is judged is kept in
// files of its own, where a directory is configured for them. What shows texts of the
// cluster or of its users goes to browsers only that asked for this machine, and not for a name that somebody else made point to it.
package admin

import (
	"encoding/json"
	"fmt"
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
	Experiments   []Experiment      `json:"experiments,omitempty"`
	Errors        []Event           `json:"errors"` // the last ones, newest first
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
	Auth    string `json:"auth"` // whose credentials it sees: passthrough, inject-if-missing or override
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

// Experiment is one experiment as it is configured, and what its guards say of its present phase. They are of this copy alone, since it
// was started.
type Experiment struct {
	Name     string   `json:"name"`
	Rule     string   `json:"rule"`
	Assign   string   `json:"assign"`
	Phase    string   `json:"phase"`            // off, shadow, or the share of the units that take part
	Unit     []string `json:"unit,omitempty"`   // what variants stick to, the first that a search has
	Variants []string `json:"variants"`         // the first is the control
	Does     []string `json:"does,omitempty"`   // what each variant does, and of a split its share
	Guards   []Guard  `json:"guards,omitempty"` // none before a variant but the control was seen
}

// Guard is what one guard says of a variant.
type Guard struct {
	Name    string `json:"name"`
	Variant string `json:"variant"`
	Fails   bool   `json:"fails"`
	Waits   bool   `json:"waits,omitempty"` // there are too few searches to say
	Says    string `json:"says"`
}

// Event is something that went wrong.
type Event struct {
	Time    time.Time `json:"time"`
	Message string    `json:"message"`
}

// Options of the pages.
type Options struct {
	Program   Program
	Comparer  Comparer            // nil: no /compare
	Live      *Live               // nil: no /live
	Words     func() bool         // whether Live is given the words of searches; nil: it is
	Judgments *Judgments          // nil: nobody judges
	Reporter  Reporter            // nil: no /experiments
	Gatherer  prometheus.Gatherer // nil: no /metrics
	Events    http.Handler        // takes what people did with what they were shown: /ubi_events, /ubi_queries; nil: nobody does
	Logger    *slog.Logger        // of what breaks while metrics are gathered, or a page is made; nil: nothing is logged
}

// New returns the pages.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &site{Options: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /assets/{name}", asset)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, r *http.Request) { ready(w, o.Program) })
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { status(w, o.Program) })
	protection := http.NewCrossOriginProtection()
	if o.Events != nil {
		for _, path := range []string{"/ubi_events", "/ubi_queries"} {
			mux.Handle(path, o.Events)
			protection.AddInsecureBypassPattern(path) // they come from an application's own pages, and the handler judges which
		}
	}
	if o.Comparer != nil {
		mux.Handle("GET /compare", here(s.compare))
		mux.Handle("POST /compare", here(s.compare)) // with credentials, which must not stand in a URL
	}
	if o.Comparer != nil && o.Judgments != nil {
		mux.Handle("POST /judge", here(s.judge))
		mux.Handle("GET /judgments", here(s.judgments))
		mux.Handle("GET /judgments/{name}", here(s.download))
	}
	if o.Live != nil {
		mux.Handle("GET /live", here(s.watchLive))
		mux.Handle("GET /live/feed", here(s.feed))
	}
	if o.Reporter != nil {
		mux.Handle("GET /experiments", here(s.experiments))
		mux.Handle("GET /experiments/{name}", here(s.experiment))
	}
	if o.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
			ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelError),
		}))
	}
	return harden(protection.Handler(mux))
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
