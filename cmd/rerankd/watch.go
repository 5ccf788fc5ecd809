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

// A watcher notices when files get another content.
//
// It watches their directories: editors replace a file by another one of its name, and Kubernetes exchanges a whole directory by one
// symbolic link, ..data, so that no event is about the file itself. What an event is about is not looked at; it is a reason to look at the
// contents.
type watcher struct {
	*fsnotify.Watcher
	watched map[string]bool // directories
	before  [sha256.Size]byte
	logger  *slog.Logger
}

// newWatcher takes the contents of files as those that are known. What is read from them has to be read after that: then no change
// can come in between.
func newWatcher(files []string, logger *slog.Logger) (*watcher, error) {
	f, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{Watcher: f, logger: logger}
	w.watch(files)
	w.before = contents(files)
	return w, nil
}

// run calls changed whenever the contents of files (asked for anew each time) are others than before, until ctx ends. It closes w.
func (w *watcher) run(ctx context.Context, files func() []string, changed func()) {
	defer w.Close()
	quiet := time.NewTimer(settle) // for what has changed since newWatcher
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-w.Errors:
			w.logger.Warn("watching the configuration", "error", err)
			quiet.Reset(settle) // an overflow may have hidden something
		case <-w.Events:
			quiet.Reset(settle)
		case <-quiet.C:
			w.watch(files()) // a reload may have named others
			if now := contents(files()); now != w.before {
				w.before = now
				changed()
				quiet.Reset(settle) // what was read now may name other files
			}
		}
	}
}

// watch follows the directories that files are in, and those that their symbolic links lead to.
func (w *watcher) watch(files []string) {
	next := map[string]bool{}
	for _, f := range files {
		next[filepath.Dir(f)] = true
		if real, err := filepath.EvalSymlinks(f); err == nil {
			next[filepath.Dir(real)] = true
		}
	}
	for d := range next {
		if !w.watched[d] {
			if err := w.Add(d); err != nil {
				w.logger.Warn("watching the configuration", "directory", d, "error", err)
			}
		}
	}
	for d := range w.watched {
		if !next[d] {
			_ = w.Remove(d) // gone already, if it was removed
		}
	}
	w.watched = next
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
