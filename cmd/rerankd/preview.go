package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/rerank"
)

const (
	maxPreviews    = 2                // at once: they share the models with the searches of applications
	previewTimeout = 25 * time.Second // of one, below what the listener gives an answer
)

var _ admin.Comparer = (*program)(nil)

// Compare is part of [admin.Comparer]. The searches go through a proxy of their own over what is running, its rules changed as the question
// says: they take the same way as any other, and are in nobody's metrics.
func (p *program) Compare(ctx context.Context, q admin.Question) (*admin.Comparison, error) {
	select {
	case p.previews <- struct{}{}:
		defer func() { <-p.previews }()
	default:
		return nil, hintedError{admin.ErrBusy, "try again in a moment"}
	}
	if p.now.Load() == nil {
		return nil, errors.New("the models are still being loaded")
	}
	running, release := p.handler.Running()
	if running == nil {
		return nil, errors.New("the program is stopping")
	}
	lending := p.now.Load().config.Cluster.Auth != config.AuthPassthrough
	rules, window, err := previewed(running, q)
	if err != nil {
		release()
		return nil, err
	}
	// What is looked at here is in no experiment, and nobody was shown it.
	h := proxy.New(&proxy.Snapshot{
		Upstream: running.Upstream, Mappings: running.Mappings, Rules: rules, Inference: running.Inference,
		OpenSearch: running.OpenSearch, Off: running.Off, Limits: running.Limits, Close: release,
	}, proxy.Options{})
	defer h.Close()

	// Not the request's own context: of a server's, ReverseProxy takes what breaks for the server's to handle, by a panic.
	asking, cancel := context.WithTimeout(context.Background(), previewTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	a := &searcher{
		url: "http://preview", client: http.Client{Transport: inProcess{h}}, header: http.Header{},
		mapper: running.Mappings, lending: lending,
	}
	if q.User != "" && !lending {
		a.identify(q.User + ":" + q.Password)
	}
	return a.compare(asking, q, window)
}

// previewed are the rules for a question, and how deep they look at most.
func previewed(s *proxy.Snapshot, q admin.Question) (rules []proxy.Rule, window int, err error) {
	for _, rule := range s.Rules {
		if q.Rule != "" {
			if rule.Name != q.Rule {
				continue
			}
			rule.Indices = []string{"*"} // whoever names a rule wants it for whatever index they name
		}
		if rule, err = changed(s, rule, q); err != nil {
			return nil, 0, err
		}
		rules, window = append(rules, rule), max(window, rule.Window)
	}
	if len(rules) == 0 {
		return nil, 0, fmt.Errorf("there is no rule %q", q.Rule)
	}
	return rules, window, nil
}

// changed is a rule as a question wants it.
func changed(s *proxy.Snapshot, rule proxy.Rule, q admin.Question) (proxy.Rule, error) {
	rule.Experiment, rule.Recorded = nil, false
	if q.Budget > 0 {
		rule.Budget, rule.Total = q.Budget, 0
	}
	if len(q.Fields) > 0 && len(rule.Fields) == 0 && rule.Template == "" {
		rule.Fields = withoutBoosts(q.Fields)
	}
	ranker, ok := rule.Ranker.(*rerank.Ranker)
	if !ok {
		return rule, nil // it is off
	}
	r := *ranker
	r.Stages = slices.Clone(r.Stages)
	if q.Model != "" {
		stage, ok := stageOf(s, q.Model)
		if !ok {
			return rule, fmt.Errorf("no rule that is in force uses the model %q", q.Model)
		}
		stage.Window, stage.Passages = rule.Window, r.Stages[0].Passages
		r.Stages = []rerank.Stage{stage}
	}
	if q.Window > 0 {
		rule.Window = q.Window
		r.Stages[0].Window = q.Window
		for i := range r.Stages {
			r.Stages[i].Window = min(r.Stages[i].Window, q.Window)
		}
	}
	if q.Fusion != "" {
		r.Fusion.Method = rerank.FusionMethod(q.Fusion)
	}
	if q.Weight > 0 {
		r.Fusion.Weight = q.Weight
	}
	rule.Ranker = &r
	return rule, nil
}

// stageOf finds a model among those that are loaded.
func stageOf(s *proxy.Snapshot, model string) (rerank.Stage, bool) {
	for _, rule := range s.Rules {
		if r, ok := rule.Ranker.(*rerank.Ranker); ok {
			if i := slices.IndexFunc(r.Stages, func(s rerank.Stage) bool { return s.Model == model }); i >= 0 {
				return r.Stages[i], true
			}
		}
	}
	for _, served := range s.Inference {
		if served.Stage.Model == model {
			return served.Stage, true
		}
	}
	return rerank.Stage{}, false
}

// inProcess sends requests to a handler of this process.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI = in.URL.RequestURI()
	w := &heldAnswer{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(w, in)
	if w.over {
		return nil, fmt.Errorf("the answer is larger than %d MiB", maxPreview>>20)
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

// maxPreview is the largest answer that is shown, as for the commands.
const maxPreview = 64 << 20

// heldAnswer is a http.ResponseWriter that keeps what is written.
type heldAnswer struct {
	header http.Header
	status int
	begun  bool
	over   bool
	body   bytes.Buffer
}

func (w *heldAnswer) Header() http.Header { return w.header }

func (w *heldAnswer) WriteHeader(status int) {
	if !w.begun && status >= http.StatusOK {
		w.status, w.begun = status, true
	}
}

func (w *heldAnswer) Write(p []byte) (int, error) {
	w.begun = true
	if w.body.Len()+len(p) > maxPreview {
		w.over = true
		return 0, io.ErrShortWrite
	}
	return w.body.Write(p)
}
