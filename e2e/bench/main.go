// Bench measures what rerankd costs, on this machine and in one run beside what a reader knows: the reading and writing of searches, its overhead beside nginx, its memory
// while a gigabyte streams through, and the time of reranking beside a padded batch in Python. It prints Markdown.
//
//	make bench
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
}

func main() {
	var o options
	flag.StringVar(&o.rerankd, "rerankd", "bin/rerankd", "the `program` to measure, as `make build` makes it")
	flag.StringVar(&o.python, "python", ".cache/bench/venv/bin/python3", "a Python `interpreter` with e2e/bench/requirements.txt installed; without it that comparison is left out")
	flag.IntVar(&o.rounds, "rounds", 5, "how `often` everything is measured")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how `long` one measurement under load takes")
	flag.Int64Var(&o.stream, "stream", 1<<30, "how many `bytes` are streamed")
	flag.IntVar(&o.searches, "searches", 10, "how `many` searches of 50 hits a round")
	parts := flag.String("parts", "wire,overhead,streaming,ranking", "which `parts` to run, in this order")
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
	if missing := missingTools("taskset", "nginx", "wrk"); len(missing) > 0 {
		return fmt.Errorf("%s missing\nbench: hint: apt-get install util-linux nginx-light wrk", strings.Join(missing, ", "))
	}
	dir, err := os.MkdirTemp("", "rerankd-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	describeMachine(ctx, out, o)
	all := map[string]func(context.Context, io.Writer, string, options) error{"wire": wire, "overhead": overhead, "streaming": streaming, "ranking": ranking}
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
