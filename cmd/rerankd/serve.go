package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank"
)

func newServeCmd(e *environment) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve (--cluster URL | -c FILE)",
		Short: "Stand in front of a cluster and rerank its searches",
		Long: `Forwards everything to the cluster, and reranks the hits of its searches.

With --cluster alone no configuration is needed: the model inside the program reads the
fields that a query names, or the title-like and other text fields of the mapping, of as
many hits as this machine can score within 300 ms; serve measures that at its start.

The configuration file is read again whenever it changes or SIGHUP comes. One that has a
fault changes nothing, and the log says what the fault is. "rerank: off" in it forwards
everything untouched, within a second.`,
		Example: `  rerankd serve --cluster http://127.0.0.1:9200
  rerankd serve -c /etc/rerankd/rerankd.yaml
  rerankd serve --cluster http://127.0.0.1:9200 --listen 0.0.0.0:9280`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return serve(cmd.Context(), e, o) },
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.listen, "listen", "", "address of the proxy (default 127.0.0.1:9280)")
	cmd.Flags().StringVar(&o.admin, "admin", "", `address of pages, health, metrics and status, or "off" (default 127.0.0.1:9281)`)
	return cmd
}

// serveOptions are the flags of serve: what a file may say too, and what needs a new start.
type serveOptions struct {
	clusterOptions
	listen, admin string
}

func (o *serveOptions) load(e *environment) (*config.Config, error) {
	c, err := o.clusterOptions.load(e)
	if err != nil {
		return nil, err
	}
	if o.listen != "" {
		c.Listen = o.listen
	}
	if o.admin != "" {
		c.Admin.Listen = o.admin
	}
	return c, c.Validate()
}

func serve(ctx context.Context, e *environment, o serveOptions) error {
	c, err := o.load(e)
	if err != nil {
		return err
	}
	// From here on a SIGHUP is a wish and not the end.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	logger, recent, level := e.newLogger(c.Log)
	var w *watcher
	if o.file != "" {
		if w, err = newWatcher(watchedFiles(o.file, c), logger); err != nil {
			logger.Warn("the configuration is not watched; SIGHUP reads it again", "error", err)
		}
		if c, err = o.load(e); err != nil { // again: what it said before it was watched may be old
			return err
		}
	}
	s, err := startService(ctx, e, c, logger, recent)
	if err != nil {
		if w != nil {
			w.Close()
		}
		if ctx.Err() != nil {
			return nil // told to stop before it had begun: a container's platform is no less right to do so than at any other time
		}
		return err
	}
	printStart(e.stdout, s, c)

	changed := make(chan struct{}, 1)
	if w != nil {
		watching, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		defer func() {
			stop()
			<-done
		}()
		files := func() []string { return watchedFiles(o.file, s.program.now.Load().config) }
		go func() {
			defer close(done)
			w.run(watching, files, func() {
				select {
				case changed <- struct{}{}:
				default: // one is waiting, and will read the file as it is then
				}
			})
		}()
	}
	loading, cancel := context.WithCancel(ctx)
	var reloads sync.WaitGroup
	defer func() {
		cancel()
		reloads.Wait()
	}()
	for {
		reason := "the file has changed"
		select {
		case <-ctx.Done():
			return stop(e, s)
		case err := <-s.failed:
			_ = s.stop(0, time.Second)
			return err
		case <-hangup:
			reason = "SIGHUP"
		case <-changed:
		}
		// Not in turn: what comes next may be the kill switch, while this one is loading a model.
		reloads.Go(func() { reload(loading, s, reason, func() (*config.Config, error) { return o.load(e) }, level) })
	}
}

// reload puts the configuration in force as it is now, and says what came of it.
func reload(ctx context.Context, s *service, reason string, load func() (*config.Config, error), level *slog.LevelVar) {
	err := s.reload(ctx, load)
	switch {
	case err == nil:
		now := s.program.now.Load().config
		level.Set(logLevel(now.Log))
		s.logger.Info("reload: the configuration is in force", "reason", reason, "rerank", string(now.Rerank), "rules", len(now.EffectiveRules()))
	case errors.Is(err, errSuperseded) || ctx.Err() != nil:
		s.logger.Debug("reload: given up", "reason", reason, "error", err)
	default:
		s.logger.Error("reload: the configuration stays as it was", "reason", reason, "error", describe(err))
	}
}

// stop drains, unless a person is waiting at the terminal.
func stop(e *environment, s *service) error {
	d := s.program.now.Load().config.Drain
	if isTerminal(e.stderr) {
		d.Delay = 0
	}
	err := s.stop(time.Duration(d.Delay), time.Duration(d.Timeout))
	if err == nil {
		s.logger.Info("stopped")
	}
	return err
}

// watchedFiles are those that a change of is a change of the configuration.
func watchedFiles(file string, c *config.Config) []string {
	files := append([]string{file}, c.Files()...)
	if c.TLS != nil {
		files = append(files, c.TLS.Certificate, c.TLS.Key)
	}
	for _, f := range []string{c.Cluster.TLS.CA, c.Cluster.TLS.Certificate, c.Cluster.TLS.Key} {
		if f != "" {
			files = append(files, f)
		}
	}
	return files
}

// printStart says what is in front of what, and which URL to use.
func printStart(w io.Writer, s *service, c *config.Config) {
	fmt.Fprintf(w, "rerankd is in front of %s. Point your application at\n\n    %s\n\n", strings.Join(c.Cluster.URLs, ", "), s.url)
	t := newTable()
	a := s.program.now.Load()
	t.row("cluster", describeCluster(a.backend.Seen(), a.backend.Engine(), a.backend.Nodes()))
	if c.Rerank.IsOff() {
		t.row("rerank", "off: everything is forwarded untouched")
	}
	for _, name := range slices.Sorted(maps.Keys(a.models)) {
		m := a.models[name]
		t.row("model", fmt.Sprintf("%s (%s, %s), %.1f ms for a document of %d tokens, %d at a time",
			name, m.files.Source, m.files.Precision, milliseconds(m.cost, typicalTokens), typicalTokens, m.cost.Workers))
	}
	for i, r := range c.EffectiveRules() {
		for line, text := range describeRule(r, a.stages[i]) {
			if line == 0 {
				t.row("rule", r.Name+": "+text)
			} else {
				t.row("", text)
			}
		}
	}
	for _, e := range c.Experiments {
		x := describeExperiment(e)
		t.row("experiment", fmt.Sprintf("%s over rule %s: %s, %s of %s", x.Name, x.Rule, x.Phase, x.Assign, strings.Join(x.Variants, ", ")))
	}
	if s.adminURL != "" {
		t.row("pages", s.adminURL)
		t.row("status", s.adminURL+"/status, /metrics, /-/ready")
	}
	_ = t.print(w) // a closed standard output is no reason not to serve
	fmt.Fprintln(w)
}

// describeCluster says whether somebody is there, and who.
func describeCluster(seen bool, e backends.Engine, nodes []backends.NodeStatus) string {
	switch {
	case seen && e.Kind != config.KindAuto:
		return engineName(e)
	case seen:
		return "answers, and has not said yet which engine it is"
	}
	for _, n := range nodes {
		if n.Err != nil {
			return fmt.Sprintf("no answer yet: %v", n.Err)
		}
	}
	return "no answer yet"
}

// describeRule says in a line or three what a rule does.
func describeRule(r config.Rule, stages []rerank.Stage) []string {
	indices := "every index but system indices"
	if len(r.Indices) > 0 {
		indices = strings.Join(r.Indices, ", ")
	}
	if r.Rerank.IsOff() {
		return []string{indices + ": not reranked"}
	}
	if len(stages) == 0 {
		return []string{indices}
	}
	hits := fmt.Sprintf("%d hits", stages[0].Window)
	for i, s := range stages[1:] {
		if i == 0 {
			hits += " by " + stages[0].Model
		}
		hits += fmt.Sprintf(", then %d by %s,", s.Window, s.Model)
	}
	why := ""
	if slices.ContainsFunc(r.Stages, func(s config.Stage) bool { return s.Window == 0 }) {
		why = ", which is what fits as measured"
	}
	fields := "the fields that the query names, or titles and texts of the mapping"
	if r.Template != "" {
		fields = r.Template
	}
	if len(r.Fields) > 0 {
		fields = strings.Join(r.Fields, ", ")
	}
	return []string{indices, fmt.Sprintf("%s in %s%s", hits, r.Budget, why), "reads " + fields}
}
