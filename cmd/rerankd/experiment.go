package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy/experiment/verdict"
)

func newExperimentCmd(e *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "experiment",
		Short: "See what experiments on the traffic have shown, or forget what they have kept",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newExperimentReportCmd(e), newExperimentForgetCmd(e))
	return cmd
}

func newExperimentReportCmd(e *environment) *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report [FILE...] [--cluster URL | -c FILE]",
		Short: "Say which variant is better, how sure that is, and what is wrong with the data",
		Long: `Reads the files of records that rerankd keeps of an experiment, those of all copies of the
program together, plain or compressed by gzip, and compares the variants. - is standard input.
With --cluster it reads the cluster's UBI indices, to which all copies write (events.sink:
cluster), page by page as of one moment; with a configuration, what that says is kept, and by
its limits.

You may look at any time, and stop when you like: the intervals hold at all times at once.
A client, or whatever else the variants stick to, counts once, by the clicks on its searches
of its first hours (--horizon) within a while after each (--window). Until both are over it
does not count yet.

docs/experiments.md says what each number means, and how it is come by.`,
		Example: `  rerankd experiment report /var/lib/rerankd/events/*
  rerankd experiment report a.jsonl b.jsonl.gz --experiment reranked-vs-lexical --aa
  rerankd experiment report --cluster https://127.0.0.1:9200 --user reader:secret
  rerankd experiment report -c rerankd.yaml --experiment reranked-vs-lexical
  rerankd experiment report *.jsonl --json | jq .verdict`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !o.given() {
				return usageError{fmt.Errorf("%s takes the files with the records, and got none", cmd.CommandPath()), "the configuration says where they are kept: -c rerankd.yaml; --cluster URL reads them from a cluster"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.said = cmd.Flags().Changed
			return reportExperiment(cmd.Context(), e, o, args)
		},
	}
	f, usual := cmd.Flags(), config.DefaultExperiment()
	f.StringVarP(&o.Experiment, "experiment", "e", "", "the experiment's name, where the files have several")
	f.DurationVar(&o.Window, "window", time.Duration(config.Default().Events.Window), "how long after a page was shown a click counts")
	f.DurationVar(&o.Horizon, "horizon", time.Duration(usual.Horizon), "how long after a unit's first search its searches count")
	f.Float64Var(&o.effect, "effect", 5, "say how much more traffic a difference of so many percent takes")
	f.BoolVar(&o.aa, "aa", false, "show the noise: compare the control with itself, 200 times")
	f.DurationVar(&o.Guards.Slower, "latency", time.Duration(usual.Guards.Latency), "the guard for latency: what the 95th percentile may be over the control's")
	f.Float64Var(&o.empty, "zero-results", float64(usual.Guards.ZeroResults), "the guard for zero results: percent of searches that may be without hits, over the control's")
	f.Float64Var(&o.faults, "errors", float64(usual.Guards.Errors), "the guard for errors: percent of searches that may fail to be ranked, over the control's")
	o.recordsOptions.flags(cmd)
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

type reportOptions struct {
	recordsOptions
	verdict.Options
	effect, empty, faults float64 // in percent
	aa, json              bool
	said                  func(flag string) bool // on the command line
}

// halves is how often the control is compared with itself.
const halves = 200

func reportExperiment(ctx context.Context, e *environment, o reportOptions, files []string) error {
	switch {
	case o.Window <= 0 || o.Horizon <= 0:
		return usageError{errors.New("--window and --horizon are durations above 0"), "such as --window 30m --horizon 24h"}
	case !(o.effect > 0 && o.effect <= 100):
		return usageError{fmt.Errorf("--effect is a percentage above 0, and not %v", o.effect), ""}
	case !(o.empty > 0) || !(o.faults > 0) || o.Guards.Slower <= 0:
		return usageError{errors.New("the guards' limits are above 0"), ""}
	}
	o.Effect, o.Guards.Empty, o.Guards.Faults = o.effect/100, o.empty/100, o.faults/100
	if o.aa {
		o.Halves = halves
	}
	var records verdict.Records
	if o.given() {
		s, c, close, err := o.open(e)
		if err != nil {
			return err
		}
		defer close()
		o.as(c)
		file, cluster := c.Kept()
		switch {
		case o.cluster != "":
			file, cluster = false, true
		case len(files) > 0:
			file, cluster = false, false
		case !cluster: // where nothing is kept any more, what was is still there
			file = true
		}
		if file {
			if files, err = keptFiles(e, c); err != nil {
				return err
			}
		}
		if cluster {
			if err := readCluster(ctx, e, s, &records); err != nil {
				return err
			}
		}
	}
	for _, name := range files {
		if err := readRecords(e, &records, name); err != nil {
			return err
		}
	}
	report, err := records.Report(o.Options)
	if which, ok := errors.AsType[*verdict.WhichError](err); ok {
		hint := "records are kept of the searches that an experiment of the configuration covers"
		if len(which.Names) > 0 {
			hint = "give --experiment, one of " + strings.Join(which.Names, ", ")
		}
		return hintedError{err, hint}
	}
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(e.stdout, report)
	}
	return printReport(e.stdout, report)
}

// as takes the limits of the configuration's experiment, where the command line does not say others.
func (o *reportOptions) as(c *config.Config) {
	if !o.said("window") {
		o.Window = time.Duration(c.Events.Window)
	}
	i := slices.IndexFunc(c.Experiments, func(x config.Experiment) bool {
		return x.Name == o.Experiment || o.Experiment == "" && len(c.Experiments) == 1
	})
	if i < 0 {
		return
	}
	x := c.Experiments[i]
	o.Experiment = x.Name
	guards := guardsOf(x.Guards)
	if !o.said("horizon") {
		o.Horizon = time.Duration(x.Horizon)
	}
	if !o.said("latency") {
		o.Guards.Slower = guards.Slower
	}
	if !o.said("zero-results") {
		o.Guards.Empty = guards.Empty
	}
	if !o.said("errors") {
		o.Guards.Faults = guards.Faults
	}
	o.Guards.Searches = guards.Searches
}

// keptFiles are those of the directory that a configuration has records kept in.
func keptFiles(e *environment, c *config.Config) ([]string, error) {
	directory := eventsDirectory(c.Events, e.lookup)
	files, err := recordFiles(directory)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, hintedError{fmt.Errorf("there are no records in %s", directory), "other copies of rerankd write elsewhere: name their files"}
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.path
	}
	return names, nil
}

func readRecords(e *environment, records *verdict.Records, name string) error {
	var from io.Reader = e.stdin
	if name == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return usageError{fmt.Errorf("%s is a directory", name), "give the files in it: " + strings.TrimSuffix(name, "/") + "/*"}
		}
		from = f
	}
	if err := records.ReadFrom(name, from); err != nil {
		return hintedError{err, "a record file is JSON, a record on each line, as rerankd writes it"}
	}
	return nil
}
