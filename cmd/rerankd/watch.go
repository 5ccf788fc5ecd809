package main

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a file must be left alone before it is read: editors and configuration management write in several steps.
const settle = 200 * time.Millisecond

// watch calls changed whenever the contents of files (asked for anew each time) are others than before, until ctx ends; then it closes
// done.
//
// The directories are watched, not the files: editors replace a file by another one of its name, and Kubernetes exchanges a whole
// directory by one symbolic link, ..data, so that no event is about the file itself. What an event is about is not looked at; it is a
// reason to look at the contents.
func watch(ctx context.Context, files func() []string, changed func(), done chan<- struct{}, logger *slog.Logger) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	watched := watchDirectories(w, files(), nil, logger)
	before := contents(files())
	go func() {
		defer close(done)
		defer w.Close()
		quiet := time.NewTimer(settle) // once without an event, for what changed before the directories were watched
		for {
			select {
			case <-ctx.Done():
				return
			case err := <-w.Errors:
				logger.Warn("watching the configuration", "error", err)
				quiet.Reset(settle) // an overflow may have hidden something
			case <-w.Events:
				quiet.Reset(settle)
			case <-quiet.C:
				if now := contents(files()); now != before {
					before = now
					changed()
					watched = watchDirectories(w, files(), watched, logger)
				}
			}
		}
	}()
	return nil
}

// watchDirectories watches where files are, and where their symbolic links lead to.
func watchDirectories(w *fsnotify.Watcher, files []string, watched map[string]bool, logger *slog.Logger) map[string]bool {
	next := map[string]bool{}
	for _, f := range files {
		next[filepath.Dir(f)] = true
		if real, err := filepath.EvalSymlinks(f); err == nil {
			next[filepath.Dir(real)] = true
		}
	}
	for d := range next {
		if !watched[d] {
			if err := w.Add(d); err != nil {
				logger.Warn("watching the configuration", "directory", d, "error", err)
			}
		}
	}
	for d := range watched {
		if !next[d] {
			_ = w.Remove(d) // gone already, if it was removed
		}
	}
	return next
}

// contents is a digest of the files; one that cannot be read counts as empty.
func contents(files []string) [sha256.Size]byte {
	h := sha256.New()
	for _, name := range files {
		if f, err := os.Open(name); err == nil {
			_, _ = io.Copy(h, io.LimitReader(f, 1<<20))
			f.Close()
		}
		io.WriteString(h, "\x00"+name+"\x00")
	}
	return [sha256.Size]byte(h.Sum(nil))
}
