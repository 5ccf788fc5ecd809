package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/rerank/model"
)

// A countedRunner knows how many of its kind are open.
type countedRunner struct {
	fakeRunner
	open *atomic.Int32
}

func (r countedRunner) Close() error {
	r.open.Add(-1)
	return nil
}

// A testProgram is a program in front of a fake cluster, whose models are counted. It has to be closed and to leave no goroutine.
type testProgram struct {
	*program
	cluster      string
	opened, open atomic.Int32
	loading      chan struct{} // a model of a maximal length of 99 is being loaded
	loaded       chan struct{} // and now it is
}

func newTestProgram(t *testing.T) *testProgram {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // after all that is cleaned up below
	server := httptest.NewServer((&fakeCluster{indices: map[string][]string{"books": {`{"title":"one"}`, `{"title":"two"}`}}}).handler())
	t.Cleanup(server.Close)
	p := &testProgram{cluster: server.URL, loading: make(chan struct{}), loaded: make(chan struct{})}
	e := &environment{lookup: os.LookupEnv, open: func(f *model.Files, c config.Model) (runner, error) {
		switch c.MaxLength {
		case 17:
			return nil, errors.New("broken")
		case 99:
			p.loading <- struct{}{}
			<-p.loaded
		}
		p.opened.Add(1)
		p.open.Add(1)
		return countedRunner{open: &p.open}, nil
	}}
	p.program = newProgram(e, slog.New(slog.DiscardHandler), admin.NewRecent(slog.DiscardHandler))
	return p
}

func (p *testProgram) load(yaml string) func() (*config.Config, error) {
	return func() (*config.Config, error) {
		return config.Parse("test.yaml", []byte("cluster: { urls: ["+p.cluster+"] }\n"+yaml), os.LookupEnv)
	}
}

func (p *testProgram) expect(t *testing.T, when string, opened, open int32) {
	t.Helper()
	if p.opened.Load() != opened || p.open.Load() != open {
		t.Errorf("%s: got %d models opened and %d open, want %d and %d", when, p.opened.Load(), p.open.Load(), opened, open)
	}
}

func TestModelsAreSharedAndClosed(t *testing.T) {
	p := newTestProgram(t)
	c, err := p.load("")()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "started", 1, 1)

	reload := func(yaml string) error { return p.reload(t.Context(), p.load(yaml)) }
	if err := reload("limits: { request: 2MiB }"); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "after a reload that leaves the model as it was", 1, 1)

	if err := reload("rules: [{ name: a, indices: [a] }, { name: b }]"); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "with two rules of one model", 1, 1)

	if err := reload("rerank: off"); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "with the kill switch set", 1, 1)
	if err := reload("rerank: off\nmodels: { small: { source: /nowhere } }"); err != nil {
		t.Errorf("a model that is not there stands in the way of the kill switch: %v", err)
	}
	if err := reload(""); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "with the kill switch released", 1, 1)

	if err := reload("models: { small: { source: embedded, max_length: 17 } }"); err == nil {
		t.Error("got a broken model in force, want an error")
	}
	p.expect(t, "after a reload that failed", 1, 1)
	if got := p.Status(); got.Configuration.Error == "" || got.Rules[0].Rerank != "on" {
		t.Errorf("got %+v, want the fault said and the former configuration in force", got)
	}

	if err := reload("models: { small: { source: embedded, max_length: 128 } }"); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "with another model", 2, 1)

	before := p.now.Load().backend
	probe := config.Duration(time.Second)
	err = p.reload(t.Context(), func() (*config.Config, error) {
		c, err := p.load("models: { small: { source: embedded, max_length: 128 } }")()
		c.Cluster.Probe = probe
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.now.Load().backend == before {
		t.Error("got the connections of another cluster's configuration")
	}
	if _, err := p.registry.Gather(); err != nil {
		t.Errorf("two clusters in turn: %v", err)
	}
	p.expect(t, "with another cluster", 2, 1)
	p.close()
	p.expect(t, "closed", 2, 0)
}

// A tokenizer that was exchanged makes another model of the same graph, and a broken one is found at the reload and not at the next start.
func TestEveryFileOfAModelCounts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("model.onnx", "\x3a\x06\x2a\x04\x08\x01\x10\x01") // a graph of one weight, a float
	write("tokenizer.json", "{}")
	write("config.json", `{"max_position_embeddings": 512}`)
	p := newTestProgram(t)
	load := p.load("models: { small: { source: " + dir + " } }")
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	opened, version := int32(1), p.now.Load().rules[0].Version
	for _, file := range []struct{ name, content string }{
		{"tokenizer.json", `{"version": "1.0"}`},
		{"config.json", `{"max_position_embeddings": 512, "num_labels": 1}`},
		{"tokenizer_config.json", `{"model_max_length": 128}`},
	} {
		write(file.name, file.content)
		if err := p.reload(t.Context(), load); err != nil {
			t.Fatal(err)
		}
		opened++
		p.expect(t, "with another "+file.name, opened, 1)
		now := p.now.Load().rules[0].Version
		if now == version {
			t.Errorf("with another %s: the rule's version stays %s, so that orders of the former model are shown", file.name, now)
		}
		version = now
	}
	if err := p.reload(t.Context(), load); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "with the files as they were", opened, 1)
}

// Loading a model may take a minute. The kill switch is thrown meanwhile, and stays thrown when the model is there.
func TestKillSwitchDoesNotWaitForAModel(t *testing.T) {
	p := newTestProgram(t)
	c, err := p.load("")()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	slow := make(chan error)
	go func() {
		slow <- p.reload(t.Context(), p.load("models: { small: { source: embedded, max_length: 99 } }"))
	}()
	<-p.loading
	if err := p.reload(t.Context(), p.load("rerank: off")); err != nil {
		t.Fatal(err)
	}
	if got := p.Status().Rerank; got != "off" {
		t.Errorf("got rerank %s while a model is loaded, want off", got)
	}
	close(p.loaded)
	if err := <-slow; !errors.Is(err, errSuperseded) {
		t.Errorf("got %v, want the older configuration given up", err)
	}
	if got := p.Status().Rerank; got != "off" {
		t.Errorf("got rerank %s after the model was loaded, want off", got)
	}
	p.expect(t, "with the older configuration given up", 2, 1)
}

func TestFailedStartLeavesNothing(t *testing.T) {
	p := newTestProgram(t)
	c, err := p.load("models: { a: { source: embedded }, b: { source: /nowhere } }\nrules: [{ name: a, indices: [a], stages: [{ model: a }] }, { name: b, stages: [{ model: b }] }]")()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context(), c); err == nil {
		t.Fatal("got a start, want an error")
	}
	p.close()
	p.expect(t, "after a start that failed", 1, 0)
}

func TestWaiting(t *testing.T) {
	p := newTestProgram(t)
	if got := p.Waiting(); len(got) != 1 {
		t.Errorf("before the start: got %q, want the model named", got)
	}
	c, err := p.load("")()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for deadline := time.Now().Add(10 * time.Second); len(p.Waiting()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %q, want readiness once the cluster has answered", p.Waiting())
		}
	}
	p.draining.Store(true)
	if got := p.Waiting(); len(got) != 1 {
		t.Errorf("while stopping: got %q, want one sentence", got)
	}
}

// A secret that changes makes another cluster of it, although it prints the same.
func TestClusterKeySeesSecrets(t *testing.T) {
	key := func(c config.Cluster) string {
		k, err := clusterKey(&config.Config{Cluster: c})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	c := config.Default().Cluster
	before := key(c)
	if key(c) != before {
		t.Error("got two keys for one cluster")
	}
	c.Token = "one"
	one := key(c)
	c.Token = "two"
	two := key(c)
	c.Token, c.APIKey = "", "two"
	if three := key(c); one == before || one == two || two == three {
		t.Error("got one key for two clusters that differ in a secret")
	}
	c.TLS.CA = t.TempDir() + "/ca.pem"
	if _, err := clusterKey(&config.Config{Cluster: c}); err == nil {
		t.Error("got a key for a certificate that cannot be read")
	}
}

// Whoever stops the program while a model is still being warmed up wanted it stopped: that is no fault of the configuration. A check that
// was cut short has not done what was asked.
func TestStopDuringWarmUp(t *testing.T) {
	for _, test := range []struct {
		command []string
		code    int
		says    string
	}{
		{[]string{"serve", "--cluster", "http://127.0.0.1:9", "--listen", freeAddress(t), "--admin", "off"}, exitOK, ""},
		{[]string{"check", "--cluster", "http://127.0.0.1:9"}, exitFailed, "rerankd: error: interrupted\n"},
		{[]string{"compare", "shoes", "--index", "books", "--cluster", "http://127.0.0.1:9"}, exitFailed, "rerankd: error: interrupted\n"},
	} {
		ctx, stop := context.WithCancel(t.Context())
		var stdout, stderr bytes.Buffer
		e := &environment{
			stdout: &stdout, stderr: &stderr, lookup: os.LookupEnv,
			open: func(f *model.Files, c config.Model) (runner, error) {
				stop()
				return fakeRunner{}, nil
			},
		}
		if code := e.run(ctx, test.command); code != test.code {
			t.Errorf("%s: got exit code %d, want %d", test.command[0], code, test.code)
		}
		said := stdout.String()
		for line := range strings.Lines(stderr.String()) {
			if !strings.HasPrefix(line, "{") { // what is no line of the log
				said += line
			}
		}
		if said != test.says {
			t.Errorf("%s: got %q, want %q", test.command[0], said, test.says)
		}
	}
}

const experimenting = `events: { directory: %s }
experiments: [{ name: x, variants: { lexical: { rerank: off }, reranked: {} }, phase: %s, share: %s%s }]`

// An experiment is not raised while a guard of its present phase fails, unless that is forced; it can always be lowered. What was counted
// belongs to a phase.
func TestRamp(t *testing.T) {
	p := newTestProgram(t)
	dir := t.TempDir()
	set := func(phase, share, more string) func() (*config.Config, error) {
		return p.load(fmt.Sprintf(experimenting, dir, phase, share, more))
	}
	c, err := set("shadow", "100%", "")()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	defer p.close()
	phase := func(want string) {
		t.Helper()
		if got := p.Status().Experiments[0].Phase; got != want {
			t.Errorf("got phase %s in force, want %s", got, want)
		}
	}
	search := func(variant, reason string, n int) {
		for range n {
			i := &experiment.Impression{Experiment: "x", Variant: variant, Outcome: "skipped", Reason: reason, Hits: []experiment.Shown{{ID: "1"}}}
			p.now.Load().sink.Keep(experiment.Record{Impression: i})
		}
	}
	reload := func(phase, share, more string) error { return p.reload(t.Context(), set(phase, share, more)) }

	for range 300 {
		p.now.Load().sink.Keep(experiment.Record{Shadow: &experiment.Shadow{Experiment: "x", Variant: "reranked", Outcome: "applied"}})
	}
	if err := reload("live", "1%", ""); err != nil {
		t.Errorf("all is well in the shadow: %v", err)
	}
	phase("1%")
	search("lexical", "variant", 300)
	search("reranked", "timeout", 300)
	for _, tt := range []struct{ phase, share, more, says string }{
		{"live", "10%", "", "experiments[0].share: is not raised from 1% to 10%: the guard for errors fails at 1%: reranked: 100 % of searches could not be ranked (timeout 300)"},
		{"live", "10%", ", guards: { errors: 100% }", ""},
	} {
		err := reload(tt.phase, tt.share, tt.more)
		if tt.says == "" {
			if err != nil {
				t.Errorf("raised to %s%s: %v", tt.share, tt.more, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "force: true") {
			t.Errorf("raised to %s: got %v, want %s", tt.share, err, tt.says)
		}
		if fault := p.Status().Configuration.Error; !strings.Contains(fault, tt.says) {
			t.Errorf("the status says %q, want %s", fault, tt.says)
		}
		phase("1%")
	}
	phase("10%")
	if err := reload("live", "100%", ""); err != nil {
		t.Errorf("nothing was counted at 10%%: %v", err)
	}
	search("lexical", "variant", 300)
	search("reranked", "busy", 300)
	if err := reload("live", "100%", ", guards: { searches: 250 }"); err != nil {
		t.Errorf("left where it is: %v", err)
	}
	if g := p.Status().Experiments[0].Guards; len(g) != 3 || !g[2].Fails {
		t.Errorf("got guards %+v after a reload that left the phase, want the errors still counted", g)
	}
	if err := reload("live", "5%", ""); err != nil {
		t.Errorf("lowered: %v", err)
	}
	search("lexical", "variant", 300)
	search("reranked", "busy", 300)
	if err := reload("live", "50%", ""); err == nil {
		t.Error("raised over a guard that fails")
	}
	if err := reload("live", "50%", ", force: true"); err != nil {
		t.Errorf("forced: %v", err)
	}
	phase("50%")
	if err := reload("off", "50%", ""); err != nil {
		t.Errorf("off: %v", err)
	}
	phase("off")
}
