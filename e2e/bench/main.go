// Bench measures what rerankd costs, on this machine and in one run beside what a reader knows: the reading and writing of searches, its overhead beside nginx, its memory
// while a gigabyte streams through, and the time of reranking beside a padded batch in Python. It prints Markdown.
//
//	make bench
//	make bench-inference
//
// The second measures inference: models of known shapes beside the Python libraries that one would use instead, scores against the reference,
// many searches at once, and overload.
//
// Nothing here is a test: no figure fails anything. Each figure is the median of several rounds with the least and the greatest beside
// it, the contenders take turns within a round, and the ratio is of figures of the same round. All traffic stays on the loopback interface.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// options are how thorough the run is.
type options struct {
	rerankd  string
	python   string
	rounds   int
	duration time.Duration // of one measurement under load
	stream   int64         // bytes
	searches int           // a round

	// Of the measurements of inference.
	models     string // the directory that models.py filled
	shapes     string // of models, separated by commas
	precisions string // likewise
}

// texts is where the sentences are that documents are made of.
func (o options) texts() string { return filepath.Join(o.models, "texts.json") }

// progress says what is being done, beside the figures.
func (o options) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

func main() {
	var o options
	flag.StringVar(&o.rerankd, "rerankd", "bin/rerankd", "the `program` to measure, as `make build` makes it")
	flag.StringVar(&o.python, "python", ".cache/bench/venv/bin/python3", "a Python `interpreter` with e2e/bench/requirements.txt installed; without it that comparison is left out")
	flag.IntVar(&o.rounds, "rounds", 5, "how `often` everything is measured")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how `long` one measurement under load takes")
	flag.Int64Var(&o.stream, "stream", 1<<30, "how many `bytes` are streamed")
	flag.IntVar(&o.searches, "searches", 10, "how `many` searches of 50 hits a round")
	flag.StringVar(&o.models, "models", ".cache/bench/models", "the `directory` of the models whose inference is measured")
	flag.StringVar(&o.shapes, "shapes", "minilm,xsmall", "which of the `models`")
	flag.StringVar(&o.precisions, "precisions", "int8,fp32", "which of their `precisions`")
	parts := flag.String("parts", "wire,overhead,streaming,ranking", "which `parts` to run, in this order; also sidebyside, concurrent, exact, seen, overload")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, o, strings.Split(*parts, ",")); err != nil {
		fmt.Fprintf(os.Stderr, "bench: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, o options, parts []string) error {
	if _, err := os.Stat(o.rerankd); err != nil {
		return fmt.Errorf("%w\nbench: hint: make build", err)
	}
	dir, err := os.MkdirTemp("", "rerankd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	describeMachine(ctx, out, o)
	all := map[string]func(context.Context, io.Writer, string, options) error{"wire": wire, "overhead": overhead, "streaming": streaming, "ranking": ranking,
		"sidebyside": each(subject.sidebyside), "concurrent": each(subject.concurrent), "exact": each(subject.exact), "seen": each(subject.seen), "overload": overload}
	for _, part := range parts {
		measure, ok := all[part]
		if !ok {
			return fmt.Errorf("no part %q", part)
		}
		if err := measure(ctx, out, dir, o); err != nil {
			return fmt.Errorf("measuring %s: %w", part, err)
		}
	}
	return nil
}

func missingTools(names ...string) (missing []string) {
	for _, name := range names {
		if _, err := exec.LookPath(name); errors.Is(err, exec.ErrNotFound) {
			missing = append(missing, name)
		}
	}
	return missing
}
