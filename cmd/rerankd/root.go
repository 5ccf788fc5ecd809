package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// An environment is what a command has from outside itself. Tests give it other streams, and a model that needs no native library.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	lookup         func(name string) (string, bool) // environment variables
	open           func(*model.Files, config.Model) (runner, error)
}

// A runner is a loaded model that can be given back.
type runner interface {
	schedule.Runner
	Close() error
}

// Exit codes; `rerankd help exit-codes` says the same.
const (
	exitOK     = 0
	exitFailed = 1 // something went wrong while doing what was asked
	exitUsage  = 2 // the command line or the configuration is wrong: nothing was done
	exitFaults = 3 // check has found something that needs attention, or eval that it became worse
)

func (e *environment) run(ctx context.Context, args []string) int {
	root := e.newRootCmd()
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	return e.report(err)
}

func (e *environment) newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "rerankd",
		Short: "A reranking proxy for Elasticsearch and OpenSearch",
		Long: `rerankd stands between an application and its search cluster. The application changes one
thing, the URL. Every request is forwarded as it came; the hits of a search are put into a
better order by a cross-encoder that runs in this process. If anything is odd, slow or
broken, the cluster's own answer goes back instead, and its X-Rerank header says why.`,
		Example: `  rerankd check --cluster http://127.0.0.1:9200    what would happen, index by index
  rerankd serve --cluster http://127.0.0.1:9200    do it, on http://127.0.0.1:9280
  curl 'http://127.0.0.1:9280/products/_search?q=red+shoes'`,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, args []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{err, "see " + cmd.CommandPath() + " --help"}
	})
	root.AddCommand(
		newServeCmd(e),
		newCheckCmd(e),
		newExplainQueryCmd(e),
		newCompareCmd(e),
		newEvalCmd(e),
		newRankCmd(e),
		newDemoCmd(e),
		newExperimentCmd(e),
		newModelCmd(e),
		newVersionCmd(e),
		newExitCodesTopic(),
	)
	return root
}

// noArguments refuses arguments, and thinks of what was meant where they are subcommands.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		cmd.SuggestionsMinimumDistance = 2
		hint := "see " + cmd.CommandPath() + " --help"
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("did you mean %s?", cmd.CommandPath()+" "+strings.Join(near, " or "+cmd.CommandPath()+" "))
		}
		return usageError{fmt.Errorf("there is no command %q", args[0]), hint}
	}
	return usageError{fmt.Errorf("%s takes no arguments, and got %q", cmd.CommandPath(), args[0]), "see " + cmd.CommandPath() + " --help"}
}

func newExitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `  0  done
  1  something went wrong while doing it, or it was interrupted
  2  the command line or the configuration is wrong; nothing was done
  3  check found something that needs attention, or eval a difference that is below --fail-below

On SIGTERM or SIGINT, serve lets the requests under way finish and exits with 0. A second
signal ends it at once.`,
	}
}

// A usageError is about how the program was called.
type usageError struct {
	error
	hint string
}

func (e usageError) Hint() string  { return e.hint }
func (e usageError) Unwrap() error { return e.error }

// A hintedError is one that somebody can do something about.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Hint() string  { return e.hint }
func (e hintedError) Unwrap() error { return e.error }

// A foundError says that check or eval did its work and found something; it has been printed.
type foundError int

func (e foundError) Error() string { return fmt.Sprintf("%d faults found", int(e)) }

// report prints err for people, and returns the exit code. The rules are:
//
//   - errors go to standard error, one "rerankd: error: " each, in lower case and without a full stop;
//   - a line "hint: " follows where there is something to be done, and says it in the imperative;
//   - what was asked for goes to standard output, and nothing else does.
func (e *environment) report(err error) int {
	if _, ok := errors.AsType[foundError](err); ok {
		return exitFaults
	}
	if faults, ok := errors.AsType[*config.Error](err); ok {
		for _, f := range faults.Faults {
			fmt.Fprintf(e.stderr, "rerankd: error: %s\n", f)
		}
		return exitUsage
	}
	fmt.Fprintf(e.stderr, "rerankd: error: %v\n", err)
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) && hinter.Hint() != "" {
		fmt.Fprintf(e.stderr, "hint: %s\n", hinter.Hint())
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}
