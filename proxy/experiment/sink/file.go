package sink

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// FileOptions say where and how much. Only Dir is needed.
type FileOptions struct {
	Dir     string // made where it is not there
	Host    string // in the files' names; "": the machine's name
	Size    int64  // bytes after which another file is begun; 0: 64 MiB
	Files   int    // full files that are kept, the oldest go first; 0: 16
	Queue   int    // records that wait to be written; 0: 8,192
	Privacy Privacy
	Counter *prometheus.CounterVec // see NewCounter; nil: nothing is counted
	Logger  *slog.Logger           // nil: nothing is logged
}

// File keeps records as lines of JSON, in files that only their owner can read:
//
//	DIR/experiment-HOST.jsonl                          written to
//	DIR/experiment-HOST-20260131T120000.000Z.jsonl     full, since then
//
// Two processes never write to one file: each holds a lock beside it, and the second of a machine has HOST-2 in its place. What is written
// is flushed every second and at the end. It is not synced: the loss of a machine's power takes some seconds of an experiment along, which
// is no more than it weighs.
//
// A full disk, or a file that may not be written, costs records when 4 MiB wait, and is tried again every second. Someone who rewrites a
// file, as [Forget] does, holds a lock on the file itself meanwhile.
type File struct {
	*queue
	options FileOptions
	base    string // the path without .jsonl
	release func()
	done    chan struct{}

	// Of the one that writes.
	file    *os.File
	size    int64
	torn    bool // the file ends within a line
	pending bytes.Buffer
	waiting int // records in pending
}

var _ experiment.Sink = (*File)(nil)

// What waits to be written: it is written at the latest when there is so much, and dropped where it cannot be and there is that much.
const (
	enough     = 256 << 10
	maxPending = 4 << 20
)

// maxProcesses of one machine may keep records in one directory.
const maxProcesses = 32

// NewFile opens the file and starts writing. An error says what is wrong with the options, or that the file cannot be opened now.
func NewFile(o FileOptions) (*File, error) {
	if o.Dir == "" {
		return nil, errors.New("keeping records: no directory is named")
	}
	if err := o.Privacy.Check(); err != nil {
		return nil, fmt.Errorf("keeping records in %s: %w", o.Dir, err)
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname()
	}
	o.Host = strings.Map(func(r rune) rune {
		if r == filepath.Separator || r == '/' || r < ' ' {
			return '_'
		}
		return r
	}, cmp.Or(o.Host, "host"))
	o.Size, o.Files, o.Queue = cmp.Or(o.Size, 64<<20), cmp.Or(o.Files, 16), cmp.Or(o.Queue, 8192)
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("keeping records: %w", err)
	}
	f := &File{queue: newQueue("file", o.Queue, o.Counter, o.Logger), options: o, done: make(chan struct{})}
	if err := f.claim(); err != nil {
		return nil, fmt.Errorf("keeping records: %w", err)
	}
	if err := f.open(); err != nil {
		f.release()
		return nil, fmt.Errorf("keeping records: %w", err)
	}
	go f.run()
	return f, nil
}

// Path is the file that is written to.
func (f *File) Path() string { return f.base + ".jsonl" }

// claim finds a name that no other process has.
func (f *File) claim() error {
	for n := 1; n <= maxProcesses; n++ {
		f.base = filepath.Join(f.options.Dir, "experiment-"+f.options.Host)
		if n > 1 {
			f.base += fmt.Sprint("-", n)
		}
		release, err := hold(f.base + ".lock")
		if err == nil {
			f.release = release
			return nil
		}
		if !errors.Is(err, errHeld) {
			return err
		}
	}
	return fmt.Errorf("%d processes keep records in %s already: give this one another directory", maxProcesses, f.options.Dir)
}

// Close writes what is left, and waits for that until ctx is done.
func (f *File) Close(ctx context.Context) error {
	f.end()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *File) run() {
	defer close(f.done)
	defer f.release()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case r, ok := <-f.records:
			if !ok {
				f.flush()
				f.drop(f.waiting, closed)
				f.shut()
				return
			}
			f.add(r)
			if f.pending.Len() >= enough && f.file != nil {
				f.flush()
			}
		case <-second.C:
			f.flush()
		}
	}
}

// add makes a line of a record.
func (f *File) add(r experiment.Record) {
	if f.pending.Len() > maxPending {
		f.drop(1, failing)
		return
	}
	before := f.pending.Len()
	e := json.NewEncoder(&f.pending)
	e.SetEscapeHTML(false)
	if err := e.Encode(f.options.Privacy.apply(r)); err != nil { // a number that is none, which nobody should have put there
		f.pending.Truncate(before)
		f.drop(1, refused)
		f.complain("a record cannot be written", "error", err)
		return
	}
	f.waiting++
}

// flush writes what waits, if it can.
func (f *File) flush() {
	if f.waiting == 0 {
		return
	}
	if err := f.write(); err != nil {
		f.shut()
		f.complain("records of experiments cannot be written, which is tried again every second", "error", err, "waiting", f.waiting)
		return
	}
	f.kept(f.waiting)
	f.pending.Reset()
	f.waiting = 0
}

// write appends what waits as a whole, or not at all.
func (f *File) write() error {
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer func() { unlock() }()
	if f.size > 0 && f.size+int64(f.pending.Len()) > f.options.Size {
		if err := f.rotate(); err != nil {
			return err
		}
		unlock()
		if unlock, err = f.lock(); err != nil {
			unlock = func() {}
			return err
		}
	}
	if f.torn {
		if _, err := f.file.WriteString("\n"); err != nil {
			return err
		}
		f.size++
		f.torn = false
	}
	n, err := f.file.Write(f.pending.Bytes())
	if err != nil {
		if n > 0 && f.file.Truncate(f.size) != nil {
			f.torn = true
		}
		return err
	}
	f.size += int64(n)
	return nil
}

// lock opens the file where it is not open, and keeps out who rewrites it. Whoever did so put another in its place, which is to be written
// to now.
func (f *File) lock() (unlock func(), err error) {
	for range 10 {
		if f.file == nil {
			if err := f.open(); err != nil {
				return nil, err
			}
		}
		if err := lock(f.file); err != nil {
			return nil, err
		}
		if held(f.file, f.Path()) {
			file := f.file
			return func() { unlockFile(file) }, nil
		}
		f.shut()
	}
	return nil, fmt.Errorf("%s is replaced again and again", f.Path())
}

func (f *File) open() error {
	file, err := os.OpenFile(f.Path(), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	f.file, f.size = file, info.Size()
	last := []byte{'\n'}
	if f.size > 0 {
		if _, err := file.ReadAt(last, f.size-1); err != nil && err != io.EOF {
			f.shut()
			return err
		}
	}
	f.torn = last[0] != '\n'
	return nil
}

func (f *File) shut() {
	if f.file != nil {
		f.file.Close() // written without a buffer: there is nothing that could still fail
		f.file = nil
	}
}

// rotate sets the full file aside, and removes the oldest of those that were.
func (f *File) rotate() error {
	aside := f.base + "-" + time.Now().UTC().Format("20060102T150405.000Z") + ".jsonl"
	for n := 2; exists(aside); n++ {
		aside = fmt.Sprintf("%s-%s.%d.jsonl", f.base, time.Now().UTC().Format("20060102T150405.000Z"), n)
	}
	if err := os.Rename(f.Path(), aside); err != nil {
		return err
	}
	f.shut()
	full, err := f.full()
	if err != nil {
		return err
	}
	for _, name := range full[:max(0, len(full)-f.options.Files)] {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			f.complain("an old file of records cannot be removed", "error", err)
		}
	}
	return nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// full lists the full files of this name, the oldest first.
func (f *File) full() ([]string, error) {
	entries, err := os.ReadDir(f.options.Dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		stamp, ok := strings.CutPrefix(e.Name(), filepath.Base(f.base)+"-")
		if stamp, isLines := strings.CutSuffix(stamp, ".jsonl"); ok && isLines && len(stamp) >= len("20060102T150405.000Z") && stamp[8] == 'T' {
			all = append(all, filepath.Join(f.options.Dir, e.Name()))
		}
	}
	slices.Sort(all)
	return all, nil
}
