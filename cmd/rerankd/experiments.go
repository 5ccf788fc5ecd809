package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/sink"
)

// stepOf is where an experiment stands on its way to everybody.
func stepOf(e config.Experiment) experiment.Step {
	switch e.Phase {
	case config.PhaseShadow:
		return experiment.Step{Shadow: true}
	case config.PhaseLive:
		return experiment.Step{Share: e.Share.Fraction()}
	}
	return experiment.Step{}
}

// designOf is an experiment as it assigns.
func designOf(e config.Experiment) experiment.Experiment {
	design := experiment.Experiment{
		Name: e.Name, Share: e.Share.Fraction(), Interleave: e.Assign == config.AssignInterleave, Phase: stepOf(e).String(),
	}
	for _, v := range e.Variants {
		share := v.Share.Fraction()
		if share == 0 { // none is given: they are alike
			share = 1 / float64(len(e.Variants))
		}
		design.Variants = append(design.Variants, experiment.Variant{Name: v.Name, Share: share})
	}
	return design
}

func guardsOf(g config.Guards) experiment.Guards {
	return experiment.Guards{Searches: g.Searches, Slower: time.Duration(g.Latency), Empty: g.ZeroResults.Fraction(), Faults: g.Errors.Fraction()}
}

func unitsOf(units []config.Unit) []proxy.Unit {
	var list []proxy.Unit
	for _, u := range units {
		if u.Word != config.UnitNone {
			list = append(list, proxy.Unit{
				Header: u.Header, Cookie: u.Cookie, Client: u.Word == config.UnitClient, Authorization: u.Word == config.UnitAuthorization,
			})
		}
	}
	return list
}

// tallies are the totals of the experiments that run, by their names.
type tallies map[string]*experiment.Totals

// Keep counts what was shown, and what would have been.
func (t tallies) Keep(r experiment.Record) {
	switch {
	case r.Impression != nil && t[r.Impression.Experiment] != nil:
		t[r.Impression.Experiment].Add(r.Impression)
	case r.Shadow != nil && t[r.Shadow.Experiment] != nil:
		t[r.Shadow.Experiment].AddShadow(r.Shadow)
	}
}

// totalsOf are those of an experiment's present phase: what was counted before, where nothing of it has changed.
func totalsOf(e config.Experiment, former *assembly) *experiment.Totals {
	if former != nil {
		if before, ok := former.experiment(e.Name); ok && samePhase(before, e) && former.totals[e.Name] != nil {
			return former.totals[e.Name]
		}
	}
	return new(experiment.Totals)
}

func samePhase(a, b config.Experiment) bool {
	same := slices.EqualFunc(a.Variants, b.Variants, func(a, b config.Variant) bool {
		return a.Name == b.Name && a.Share == b.Share && fmt.Sprint(a.Rule) == fmt.Sprint(b.Rule)
	})
	return same && stepOf(a) == stepOf(b) && a.Rule == b.Rule && a.Assign == b.Assign
}

// experiment finds an experiment of the configuration.
func (a *assembly) experiment(name string) (e config.Experiment, ok bool) {
	i := slices.IndexFunc(a.config.Experiments, func(e config.Experiment) bool { return e.Name == name })
	if i < 0 {
		return e, false
	}
	return a.config.Experiments[i], true
}

// refuseRamp says why an experiment may not be raised from where it stands: a guard of its present phase fails.
func (a *assembly) refuseRamp(next *config.Config) error {
	for i, e := range next.Experiments {
		before, ok := a.experiment(e.Name)
		if !ok || e.Force || a.totals[e.Name] == nil {
			continue
		}
		from, to := stepOf(before), stepOf(e)
		why := guardsOf(e.Guards).Refuse(from, to, a.totals[e.Name], before.Variants[0].Name)
		if len(why) == 0 {
			continue
		}
		key := "share"
		if before.Phase != e.Phase {
			key = "phase"
		}
		return hintedFault(next, fmt.Sprintf("experiments[%d].%s", i, key), hintedError{
			fmt.Errorf("is not raised from %s to %s: %s", from, to, strings.Join(why, "; ")),
			"leave it at " + from.String() + " or lower until that is put right, or give force: true",
		})
	}
	return nil
}

// newExperiment makes the experiment of a rule; nil where none runs.
func (p *program) newExperiment(c *config.Config, rule string, newRule func(config.Rule) (proxy.Rule, error)) (*proxy.Experiment, error) {
	i := slices.IndexFunc(c.Experiments, func(e config.Experiment) bool { return e.Rule == rule && e.Phase != config.PhaseOff })
	if i < 0 || c.Rerank.IsOff() {
		return nil, nil
	}
	e := c.Experiments[i]
	x := &proxy.Experiment{Experiment: designOf(e), Units: unitsOf(e.Unit), Shadow: e.Phase == config.PhaseShadow}
	for _, v := range e.Variants {
		r, err := newRule(v.Rule)
		if err != nil {
			return nil, err
		}
		x.Rules = append(x.Rules, r)
	}
	return x, nil
}

// A recordSink is where records are kept, which is closed when nothing uses it any more.
type recordSink interface {
	experiment.Sink
	Close(ctx context.Context) error
}

// recordsKey tells sinks apart by all that is said of them.
type recordsKey struct {
	directory, cluster string
	privacy            string
}

// closePatience is what a sink has to write what is left.
const closePatience = 5 * time.Second

func (p *program) closeSink(s recordSink) {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		p.logger.Warn("records of experiments that were left are lost", "error", err)
	}
}

// eventsDirectory is where records are kept: where the configuration says, or else $RERANKD_EVENTS, or rerankd/events among the user's data
// ($XDG_DATA_HOME, by default ~/.local/share), or /var/lib/rerankd/events for a service that has no home.
func eventsDirectory(e config.Events, lookup func(string) (string, bool)) string {
	if e.Directory != "" {
		return e.Directory
	}
	if dir, ok := lookup("RERANKD_EVENTS"); ok && dir != "" {
		return dir
	}
	if data, ok := lookup("XDG_DATA_HOME"); ok && filepath.IsAbs(data) {
		return filepath.Join(data, "rerankd", "events")
	}
	if home, ok := lookup("HOME"); ok && filepath.IsAbs(home) && home != "/" {
		return filepath.Join(home, ".local", "share", "rerankd", "events")
	}
	return "/var/lib/rerankd/events"
}

// treatments are the words of the configuration for what is kept.
var treatments = map[string]sink.Treatment{"keep": sink.Plain, "hash": sink.Hashed, "drop": sink.Dropped}

func privacyOf(e config.Events) sink.Privacy {
	return sink.Privacy{
		Words: treatments[e.Queries], Clients: treatments[e.Clients], Objects: treatments[e.Objects], Salt: []byte(string(e.Salt)),
	}
}

// openSinks opens where records are kept, or takes what is open; none where nothing is kept.
func (p *program) openSinks(c *config.Config, cluster http.RoundTripper, clusterKey string) (sinks sink.Tee, releases []func(), err error) {
	file, inCluster := c.Kept()
	privacy := privacyOf(c.Events)
	key := recordsKey{privacy: fmt.Sprintf("%d %d %d %q", privacy.Words, privacy.Clients, privacy.Objects, privacy.Salt)}
	open := func(at string, key recordsKey, open func() (recordSink, error)) {
		if err != nil {
			return
		}
		s, release, failed := p.sinks.acquire(key, open)
		if failed != nil {
			err = hintedFault(c, at, failed)
			return
		}
		sinks, releases = append(sinks, s), append(releases, release)
	}
	if file {
		key := key
		key.directory = eventsDirectory(c.Events, p.lookup)
		open("events.directory", key, func() (recordSink, error) {
			f, err := sink.NewFile(sink.FileOptions{Dir: key.directory, Privacy: privacy, Counter: p.records, Logger: p.logger})
			if err != nil {
				return nil, hintedError{err, "name a directory that rerankd may write to; where nothing is to be kept, events.sink: off"}
			}
			p.logger.Info("what searches show is kept", "file", f.Path())
			return f, nil
		})
	}
	if inCluster {
		key := key
		key.cluster = clusterKey + " " + string(c.Events.APIKey)
		open("events.sink", key, func() (recordSink, error) {
			to := recordsIn(c, cluster)
			return sink.NewCluster(sink.ClusterOptions{URL: to.URL, Transport: to.Transport, Privacy: privacy, Counter: p.records, Logger: p.logger})
		})
	}
	return sinks, releases, err
}

// experimentsStatus is what /status says of the experiments.
func (s *state) experimentsStatus() []admin.Experiment {
	var list []admin.Experiment
	for _, e := range s.config.Experiments {
		is := describeExperiment(e)
		x := admin.Experiment{Name: e.Name, Rule: e.Rule, Assign: e.Assign, Phase: is.Phase, Unit: is.Unit, Variants: is.Variants, Does: is.Does}
		if totals := s.totals[e.Name]; totals != nil {
			for _, f := range guardsOf(e.Guards).Check(totals, e.Variants[0].Name) {
				x.Guards = append(x.Guards, admin.Guard{Name: string(f.Guard), Variant: f.Variant, Fails: f.Fails, Waits: f.Waits, Says: f.Sentence})
			}
		}
		list = append(list, x)
	}
	return list
}
