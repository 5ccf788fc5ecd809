package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/proxy/experiment/sink"
	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// A program is the proxy with everything that runs under it, and the configuration that may be exchanged while it runs.
type program struct {
	open     func(*model.Files, config.Model) (runner, error)
	logger   *slog.Logger
	recent   *admin.Recent
	registry *prometheus.Registry
	clusters *shared[string, *backends.Backend]
	models   *shared[modelKey, *loadedModel]
	sinks    *shared[recordsKey, recordSink]
	records  *prometheus.CounterVec // of what sinks keep
	events   *intake
	lookup   func(string) (string, bool)
	pool     *schedule.Pool   // the workers of all models that have none of their own
	caches   *schedule.Caches // of all models
	handler  *proxy.Handler   // nil until start has succeeded
	metrics  programMetrics
	started  time.Time
	versions map[string]string
	previews chan struct{} // a place for each comparison under way
	live     *admin.Live   // the searches of late

	now      atomic.Pointer[state]
	closing  sync.WaitGroup // sinks that are writing what is left
	draining atomic.Bool
	began    atomic.Uint64 // configurations that were begun to be read

	mu    sync.Mutex // held while one is put in force
	ended uint64     // the last of them that was, or failed
}

var _ admin.Program = (*program)(nil)

// state is what a reload exchanges.
type state struct {
	*assembly
	loaded time.Time
	fault  error // why the file, as it is now, is not in force
}

type programMetrics struct {
	reloadOK, reloadTime prometheus.Gauge
}

func newProgram(e *environment, logger *slog.Logger, recent *admin.Recent) *program {
	p := &program{
		open:     e.open,
		logger:   logger,
		recent:   recent,
		registry: prometheus.NewRegistry(),
		clusters: newShared[string](func(b *backends.Backend) { b.Close() }),
		models:   newShared[modelKey](closeModel),
		lookup:   e.lookup,
		pool:     schedule.NewPool(0),
		caches:   schedule.NewCaches(0, 0),
		started:  time.Now(),
		versions: versions(),
		previews: make(chan struct{}, maxPreviews),
		live:     new(admin.Live),
		metrics: programMetrics{
			reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "rerankd_config_last_reload_successful", Help: "Whether the configuration file, as it was read last, is in force.",
			}),
			reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "rerankd_config_last_reload_success_timestamp_seconds", Help: "When the configuration in force was read.",
			}),
		},
	}
	p.sinks = newShared[recordsKey](func(s recordSink) { p.closing.Go(func() { p.closeSink(s) }) })
	p.records = sink.NewCounter(p.registry)
	p.events = newIntake(p)
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rerankd_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": p.versions["rerankd"], "goversion": p.versions["go"], "onnxruntime": p.versions["onnxruntime"]},
	})
	info.Set(1)
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		p.metrics.reloadOK, p.metrics.reloadTime, info, modelCollector{p})
	return p
}

// start assembles the first configuration and makes the handler. Nothing is left open where it fails.
func (p *program) start(ctx context.Context, c *config.Config) error {
	p.events.open(c.Events)
	a, err := p.assemble(ctx, c, nil)
	if err != nil {
		return err
	}
	o := proxy.Options{Registerer: p.registry, Logger: p.logger}
	if c.Admin.Listen != string(config.Off) {
		o.Observer = observer{p.live, p.showsWords}
	}
	p.handler = proxy.New(p.snapshot(a), o)
	p.commit(a)
	return nil
}

// errSuperseded says that a newer configuration was in force first.
var errSuperseded = errors.New("a newer configuration is in force already")

// reload puts another configuration in force, or says why the one before it stays. It may be called again while a call is still loading a
// model: the kill switch must not wait for that. Of several the one that began last stays.
func (p *program) reload(ctx context.Context, load func() (*config.Config, error)) error {
	turn := p.began.Add(1)
	former := p.now.Load()
	var a *assembly
	c, err := load()
	if err == nil {
		err = former.refuseRamp(c)
	}
	if err == nil {
		a, err = p.assemble(ctx, c, former.assembly)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if turn < p.ended {
		if a != nil {
			a.close()
		}
		return errSuperseded
	}
	p.ended = turn
	if err != nil {
		former = p.now.Load()
		p.now.Store(&state{assembly: former.assembly, loaded: former.loaded, fault: err})
		p.metrics.reloadOK.Set(0)
		return err
	}
	p.handler.Swap(p.snapshot(a))
	p.commit(a)
	return nil
}

func (p *program) commit(a *assembly) {
	p.caches.Resize(int64(a.config.Caches.Tokens), int64(a.config.Caches.Scores))
	p.events.handler.Load().Allow(a.config.Events.Origins)
	p.now.Store(&state{assembly: a, loaded: time.Now()})
	if !a.config.Admin.Queries {
		p.live.ForgetWords()
	}
	p.metrics.reloadOK.Set(1)
	p.metrics.reloadTime.SetToCurrentTime()
}

// close gives back everything; requests must have ended.
func (p *program) close() {
	if p.handler != nil {
		p.handler.Close()
	}
	p.closing.Wait()
	p.pool.Close()
}

// Waiting is part of [admin.Program].
func (p *program) Waiting() []string {
	s := p.now.Load()
	switch {
	case p.draining.Load():
		return []string{"the program is stopping"}
	case s == nil:
		return []string{"the model is being loaded and measured"}
	case !s.backend.Seen():
		return []string{"no node of the cluster has answered yet"}
	}
	return nil
}

// Status is part of [admin.Program].
func (p *program) Status() admin.Status {
	status := admin.Status{Started: p.started.UTC(), Versions: p.versions, Errors: p.recent.Events()}
	s := p.now.Load()
	if s == nil {
		return status
	}
	status.Rerank = string(s.config.Rerank)
	status.Configuration = admin.Configuration{File: s.config.Name(), Loaded: s.loaded.UTC()}
	if s.fault != nil {
		status.Configuration.Error = s.fault.Error()
	}
	engine := s.backend.Engine()
	status.Cluster = admin.Cluster{Kind: engine.Kind, Version: engine.Version, Auth: s.config.Cluster.Auth}
	for _, n := range s.backend.Nodes() {
		node := admin.Node{URL: n.URL, Up: n.Up}
		if n.Err != nil {
			node.Error = n.Err.Error()
		}
		status.Cluster.Nodes = append(status.Cluster.Nodes, node)
	}
	for name, m := range s.models {
		stats := m.model.Stats()
		status.Models = append(status.Models, admin.Model{
			Name: name, Source: m.files.Source, Precision: m.files.Precision, Digest: m.files.Digest, License: m.files.License,
			MaxLength: m.files.MaxLength, Workers: m.cost.Workers, Milliseconds: milliseconds(m.cost, typicalTokens),
			Queued: stats.Queued, Scored: stats.Scored, Remembered: stats.Remembered, Refused: stats.Refused, Broken: stats.Broken,
		})
	}
	status.Caches = map[string]admin.Cache{"tokens": cacheStatus(p.caches.Tokens()), "scores": cacheStatus(p.caches.Scores())}
	slices.SortFunc(status.Models, func(a, b admin.Model) int { return cmp.Compare(a.Name, b.Name) })
	for i, r := range s.config.EffectiveRules() {
		rerank := string(config.On)
		if s.rules[i].Off {
			rerank = string(config.Off)
		}
		status.Rules = append(status.Rules, admin.Rule{
			Name: r.Name, Indices: r.Indices, Fields: r.Fields, Stages: stagesOf(s.stages[i]), Budget: r.Budget.String(), Rerank: rerank,
		})
	}
	status.Experiments = s.experimentsStatus()
	return status
}

func stagesOf(stages []rerank.Stage) []admin.Stage {
	list := make([]admin.Stage, len(stages))
	for i, s := range stages {
		list[i] = admin.Stage{Model: s.Model, Window: s.Window}
	}
	return list
}

// describe says in one line what is wrong with a configuration, for a log.
func describe(err error) string {
	e, ok := errors.AsType[*config.Error](err)
	if !ok {
		return err.Error()
	}
	f := e.Faults[0]
	line := f.File
	if f.Line > 0 {
		line += fmt.Sprintf(":%d:%d", f.Line, f.Column)
	}
	if f.Path != "" {
		line += ": " + f.Path
	}
	line += ": " + f.Message
	if f.Hint != "" {
		line += " (" + f.Hint + ")"
	}
	if more := len(e.Faults) - 1; more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	return line
}
