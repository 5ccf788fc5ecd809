// Command zstd compresses one file for embedding: zstd IN OUT. The result depends on IN and on the version of the library alone.
package main

import (
	"fmt"
	"os"

	"github.com/klauspost/compress/zstd"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "zstd: error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: zstd IN OUT")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	// One goroutine, so that blocks are cut at the same places on every machine.
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	// Written beside the target and renamed, so that an interrupted run leaves no half file.
	part := args[1] + ".part"
	if err := os.WriteFile(part, w.EncodeAll(data, nil), 0o644); err != nil {
		return err
	}
	return os.Rename(part, args[1])
}
