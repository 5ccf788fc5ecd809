// Command rerankd is a reranking proxy for Elasticsearch and OpenSearch: `rerankd serve --cluster URL` stands in front of a cluster, forwards
// everything, and puts the hits of its searches into a better order. `rerankd help` says the rest.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(untilSignal(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// untilSignal is a context that the first SIGINT or SIGTERM ends. After it the default is restored, so that the second ends the program
// at once.
func untilSignal() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// run is the program without the process around it; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &environment{stdin: stdin, stdout: stdout, stderr: stderr, lookup: os.LookupEnv, open: openRunner}
	return e.run(ctx, args)
}
