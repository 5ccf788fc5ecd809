package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rerankd/rerankd/cmd/rerankd/demo"
	"github.com/rerankd/rerankd/config"
)

func newDemoCmd(e *environment) *cobra.Command {
	var o demo.Options
	var listen, admin string
	var budget time.Duration
	cmd := &cobra.Command{
		Use:   "demo --cluster URL",
		Short: "See what reranking does to a real cluster's results",
		Long: `Indexes 63,000 Debian package descriptions into the cluster, puts rerankd in front of it, shows
searches side by side and measures the difference over all whose right answer is known. Then
stays up to be tried, until Ctrl-C.

What is asked are the words in which the authors of programs describe them to software
centres, and only for programs that the model has never read about. Which of them are shown is
drawn by seed, whatever becomes of them.

On a machine that is not Debian it takes a file: one JSON object a line with "name", "summary",
"description" and "queries", a list of searches that the document answers. The cluster keeps
the index, and a second run finds it there.`,
		Example: `  rerankd demo --cluster http://127.0.0.1:9200
  rerankd demo --cluster http://127.0.0.1:9200 --index-only
  rerankd demo --cluster http://127.0.0.1:9200 --data packages.ndjson --seed 7`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Cluster == "" {
				return usageError{errors.New("there is no cluster to index into"), "give --cluster http://127.0.0.1:9200"}
			}
			o.Out = e.stdout
			if isTerminal(e.stdout) {
				o.Width, _, _ = term.GetSize(int(e.stdout.(*os.File).Fd())) // 0 where it cannot be told
				o.Color = e.colored()
			}
			o.Serve = func(ctx context.Context) (string, func() error, error) {
				return serveDemo(ctx, e, o.Cluster, listen, admin, budget)
			}
			return demo.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Cluster, "cluster", "", "URL of the cluster, http://user:password@host:port where it asks who is there")
	f.StringVar(&o.Index, "index", "", "index to fill (default debian-packages)")
	f.StringVar(&o.Data, "data", "", "file of documents, instead of this machine's Debian package lists")
	f.StringVar(&o.Cache, "cache", "", "folder for fetched package lists (default rerankd/demo in your cache folder)")
	f.BoolVar(&o.IndexOnly, "index-only", false, "end when the index is filled")
	f.BoolVar(&o.Once, "once", false, "end after the measurement instead of staying up")
	f.Uint64Var(&o.Seed, "seed", 1, "draws the searches that are shown")
	f.IntVar(&o.Show, "show", 8, "how many searches are shown")
	f.IntVar(&o.Measure, "measure", 0, "how many searches are measured (default all)")
	f.DurationVar(&budget, "budget", 0, "what reranking may add to a search (default 300ms)")
	f.StringVar(&listen, "listen", "", "address of the proxy (default 127.0.0.1:9280)")
	f.StringVar(&admin, "admin", "off", "address of health, metrics and status")
	_ = cmd.MarkFlagFilename("data", "ndjson", "jsonl") // fails only for a flag that is not there
	return cmd
}

// serveDemo is `rerankd serve --cluster URL` in this process.
func serveDemo(ctx context.Context, e *environment, cluster, listen, admin string, budget time.Duration) (string, func() error, error) {
	node, err := url.Parse(cluster)
	if err != nil {
		return "", nil, fmt.Errorf("reading the cluster's URL: %w", err)
	}
	node.User = nil // rerankd has no credentials of its own: those of the demonstration's searches pass through it
	o := serveOptions{clusterOptions: clusterOptions{cluster: node.String()}, listen: listen, admin: admin}
	c, err := o.load(e)
	if err != nil {
		return "", nil, err
	}
	if budget > 0 {
		c.Rules = c.EffectiveRules()
		for i := range c.Rules {
			c.Rules[i].Budget = config.Duration(budget)
		}
	}
	logger, recent := e.quiet()
	s, err := startService(ctx, e, c, logger, recent)
	if err != nil {
		return "", nil, err
	}
	fmt.Fprintln(e.stdout)
	printStart(e.stdout, s, c)
	return s.url, func() error { return s.stop(0, 5*time.Second) }, nil
}
