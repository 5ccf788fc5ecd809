package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/experiment/sink"
	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/model"
)

// An assembly is a configuration with everything that it names: connections open, models loaded and warm.
type assembly struct {
	config  *config.Config
	backend *backends.Backend
	models  map[string]*loadedModel // by name in the configuration; only those that are used
	keys    []modelKey              // of models
	rules   []proxy.Rule
	stages  map[int][]rerank.Stage // of the rules that are on, by their index
	served  map[string]proxy.Model // by the ids of inference endpoints
	totals  tallies                // of the experiments that run
	stores  sink.Tee               // where records are kept; empty: nowhere
	sink    sink.Tee               // who is told of what is shown, stores included; empty: nobody
	implied *implied               // nil: nothing is concluded from the traffic
	close   func()
}

// assemble opens what c names, and shares with the configurations before it what has not changed. While the kill switch is set no model
// is loaded, so that nothing can stand in its way; those of former stay, so that they are there when it is released.
func (p *program) assemble(ctx context.Context, c *config.Config, former *assembly) (_ *assembly, err error) {
	var releases []func()
	closeAll := func() {
		for _, release := range releases {
			release()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	a := &assembly{config: c, models: map[string]*loadedModel{}, stages: map[int][]rerank.Stage{}, totals: tallies{}, close: closeAll}

	key, err := clusterKey(c)
	if err != nil {
		return nil, err
	}
	b, release, err := p.clusters.acquire(key, func() (*backends.Backend, error) {
		return backends.Open(c.Cluster, backends.Options{Logger: p.logger, Registerer: p.registry})
	})
	if err != nil {
		return nil, c.Fault("cluster", err)
	}
	a.backend = b
	releases = append(releases, release)
	stores, given, err := p.openSinks(c, b, key)
	releases = slices.Concat(given, releases) // closed while the cluster can still be reached
	if err != nil {
		return nil, err
	}
	a.stores, a.implied = stores, impliedBy(c.Events, former)

	if c.Rerank.IsOff() && former != nil {
		for _, k := range former.keys {
			if _, release, ok := p.models.again(k); ok {
				releases = append(releases, release)
				a.keys = append(a.keys, k)
			}
		}
	}
	use := func(name string) (*loadedModel, error) {
		if m, ok := a.models[name]; ok {
			return m, nil
		}
		m, k, release, err := p.openModel(ctx, name, c.Models[name])
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err() // nothing is wrong with the model
			}
			return nil, hintedFault(c, "models."+name+".source", err)
		}
		releases = append(releases, release)
		a.models[name], a.keys = m, append(a.keys, k)
		return m, nil
	}
	for i, r := range c.EffectiveRules() {
		if r.Template != "" {
			if _, err := search.ParseTemplate(r.Template); err != nil {
				return nil, c.Fault(fmt.Sprintf("rules[%d].template", i), err)
			}
		}
		rule, stages, err := p.newRule(c, r, use)
		if err != nil {
			return nil, err
		}
		if stages != nil {
			a.stages[i] = stages
		}
		if rule.Experiment, err = p.newExperiment(c, r.Name, func(r config.Rule) (proxy.Rule, error) {
			variant, _, err := p.newRule(c, r, use)
			return variant, err
		}); err != nil {
			return nil, err
		}
		if x := rule.Experiment; x != nil {
			e, _ := a.experiment(x.Name)
			a.totals[x.Name] = totalsOf(e, former)
		}
		rule.Recorded = !rule.Off && c.Events.Sink != config.SinkAuto
		a.rules = append(a.rules, rule)
	}
	if len(a.stores) > 0 {
		a.sink = append(slices.Clone(a.stores), p.events)
	}
	if len(a.totals) > 0 {
		a.sink = append(a.sink, a.totals)
	}
	if c.Rerank.IsOff() {
		return a, nil
	}
	a.served = make(map[string]proxy.Model, len(c.Inference))
	for id, name := range c.Inference {
		m, err := use(name)
		if err != nil {
			return nil, err
		}
		stage, err := newStage(c, name, m)
		if err != nil {
			return nil, err
		}
		a.served[id] = proxy.Model{Stage: stage, Version: fmt.Sprint(m.key)}
	}
	return a, nil
}

// newRule makes a rule, with the models that it needs.
func (p *program) newRule(c *config.Config, r config.Rule, use func(name string) (*loadedModel, error)) (proxy.Rule, []rerank.Stage, error) {
	rule := proxy.Rule{
		Name:      r.Name,
		Indices:   r.Indices,
		Fields:    r.Fields,
		Separator: r.Separator,
		Words: search.Policy{
			MinLength:    r.Words.MinLength,
			Pointers:     r.Words.Pointers,
			Filters:      r.Words.Filters,
			MoreLikeThis: r.Words.MoreLikeThis,
			Lookups:      r.Words.Lookups,
		},
		Template:   r.Template,
		Window:     r.Stages[0].Window,
		Budget:     time.Duration(r.Budget),
		Total:      time.Duration(r.Total),
		Off:        r.Rerank.IsOff() || c.Rerank.IsOff(),
		KeepScores: r.Score == string(rerank.ScaleKeep),
	}
	if rule.Off {
		return rule, nil, nil
	}
	models := make([]*loadedModel, len(r.Stages))
	for k, stage := range r.Stages {
		var err error
		if models[k], err = use(stage.Model); err != nil {
			return rule, nil, err
		}
	}
	stages, err := newStages(c, r, models)
	if err != nil {
		return rule, nil, err
	}
	rule.Window = stages[0].Window
	rule.Ranker = &rerank.Ranker{
		Stages: stages,
		Fusion: rerank.Fusion{
			Method: rerank.FusionMethod(r.Fusion.Method), Weight: r.Fusion.Weight,
			RankConstant: r.Fusion.RankConstant, MaxClimb: r.Fusion.MaxClimb,
		},
		Scale: rerank.Scale(r.Score),
	}
	rule.Version = ruleVersion(r, stages, models)
	return rule, stages, nil
}

// openModel finds and loads a model, or takes the one that is loaded.
func (p *program) openModel(ctx context.Context, name string, c config.Model) (*loadedModel, modelKey, func(), error) {
	if c.IsRemote() {
		key := modelKey{Model: c}
		m, release, err := p.models.acquire(key, func() (*loadedModel, error) { return p.connectModel(ctx, name, key) })
		return m, key, release, err
	}
	files, err := model.Open(name, c.Source, c.Precision, c.Directory)
	if err != nil {
		return nil, modelKey{}, nil, err
	}
	key := newModelKey(c, files)
	m, release, err := p.models.acquire(key, func() (*loadedModel, error) { return p.loadModel(ctx, name, files, key) })
	return m, key, release, err
}

// hintedFault puts an error at its place in the configuration, and keeps what is said to do about it.
func hintedFault(c *config.Config, path string, err error) error {
	fault := c.Fault(path, err)
	var hinter interface{ Hint() string }
	if e, ok := errors.AsType[*config.Error](fault); ok && errors.As(err, &hinter) {
		e.Faults[0].Hint = hinter.Hint()
	}
	return fault
}

// snapshot is the assembly as the proxy takes it.
func (p *program) snapshot(a *assembly) *proxy.Snapshot {
	l := a.config.Limits
	s := &proxy.Snapshot{
		Upstream:   a.backend,
		Mappings:   a.backend,
		Rules:      a.rules,
		Inference:  a.served,
		OpenSearch: func() bool { return a.backend.Engine().Kind == config.KindOpenSearch },
		Off:        a.config.Rerank.IsOff(),
		Limits: proxy.Limits{
			Request:    int64(l.Request),
			Response:   int64(l.Response),
			Widened:    int64(l.Widened),
			DearWindow: l.DearWindow,
			Buffered:   int64(l.Memory),
			Idle:       time.Duration(l.Idle),
		},
		LogQueries: a.config.Log.Queries,
		SlowSearch: time.Duration(a.config.Log.Slow),
		Close:      a.close,
	}
	if len(a.sink) > 0 {
		s.Sink = a.sink
	}
	if a.implied != nil {
		s.Tracker = a.implied
	}
	if a.config.Events.Proxy {
		s.Events = p.events
	}
	return s
}

// clusterKey tells clusters apart by everything that is configured of them, secrets and the contents of certificates included: a
// certificate that was renewed in its place makes new connections.
func clusterKey(c *config.Config) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(c.Cluster); err != nil {
		return "", err
	}
	for _, s := range []config.Secret{c.Cluster.Password, c.Cluster.APIKey, c.Cluster.Token} { // which JSON shows as ***
		fmt.Fprintf(h, "%d %s\n", len(s), string(s))
	}
	t := c.Cluster.TLS
	for _, file := range []struct{ key, name string }{{"ca", t.CA}, {"certificate", t.Certificate}, {"key", t.Key}} {
		if file.name == "" {
			continue
		}
		data, err := os.ReadFile(file.name)
		if err != nil {
			return "", c.Fault("cluster.tls."+file.key, err)
		}
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// ruleVersion changes when anything does that decides the order of hits; remembered orders of another version are not shown.
func ruleVersion(r config.Rule, stages []rerank.Stage, models []*loadedModel) string {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(r) // plain data
	for i, m := range models {
		fmt.Fprintln(h, stages[i].Window, m.key)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
