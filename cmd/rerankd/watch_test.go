package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Whatever way a file gets another content, it is noticed; and nothing else is.
func TestWatch(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	directory := t.TempDir()
	path := func(name string) string { return filepath.Join(directory, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, content string) { t.Helper(); must(os.WriteFile(path(name), []byte(content), 0o600)) }
	// Kubernetes: rerankd.yaml -> ..data/rerankd.yaml, ..data -> ..one.
	for _, version := range []string{"..one", "..two"} {
		must(os.Mkdir(path(version), 0o700))
		write(version+"/rerankd.yaml", version)
	}
	must(os.Symlink("..one", path("..data")))
	must(os.Symlink("..data/rerankd.yaml", path("rerankd.yaml")))

	changed := make(chan struct{}, 10)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	files := []string{path("rerankd.yaml")}
	w, err := newWatcher(files, slog.New(slog.DiscardHandler))
	must(err)
	write("..one/rerankd.yaml", "zero")
	go func() {
		defer close(done)
		w.run(ctx, func() []string { return files }, func() { changed <- struct{}{} })
	}()
	defer func() {
		stop()
		<-done
	}()
	noticed := func(what string) {
		t.Helper()
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not noticed", what)
		}
	}

	noticed("a change before it ran")

	must(os.Symlink("..two", path("..next")))
	must(os.Rename(path("..next"), path("..data")))
	noticed("a directory exchanged by a symbolic link")

	write("new", "three")
	must(os.Rename(path("new"), path("rerankd.yaml")))
	noticed("a file put in its place")

	write("rerankd.yaml", "four")
	noticed("a file written to")

	must(os.Remove(path("rerankd.yaml")))
	noticed("a file that went")
	write("rerankd.yaml", "five")
	noticed("a file that came back")

	write("rerankd.yaml", "five")
	write("another", "six")
	select {
	case <-changed:
		t.Error("got a change, want none: the content is the same")
	case <-time.After(3 * settle):
	}
}
