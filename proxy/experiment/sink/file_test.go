package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/proxy/experiment"
)

func openFile(t testing.TB, o FileOptions) *File {
	t.Helper()
	if o.Host == "" {
		o.Host = "host"
	}
	if o.Counter == nil {
		o.Counter = NewCounter(nil)
	}
	f, err := NewFile(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func closeFile(t testing.TB, f *File) {
	t.Helper()
	if err := f.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// ids reads back the query ids of the records in a file, each line of which has to be one.
func ids(t testing.TB, names ...string) (all []string) {
	t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			r, ok := read([]byte(line))
			if !ok || !strings.HasSuffix(line, "\n") {
				t.Fatalf("%s: %q is no record", name, line)
			}
			all = append(all, queryID(r))
		}
	}
	return all
}

func TestFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		f := openFile(t, FileOptions{Dir: dir})
		f.Keep(impression(1, "c"))
		f.Keep(experiment.Record{Shadow: &experiment.Shadow{QueryID: "s", Time: noon}})
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if got := ids(t, f.Path()); !slices.Equal(got, []string{"q1", "s"}) {
			t.Errorf("after a second: got %v", got)
		}
		f.Keep(impression(2, "c"))
		closeFile(t, f)
		closeFile(t, f)
		f.Keep(impression(3, "c"))
		if got := ids(t, f.Path()); !slices.Equal(got, []string{"q1", "s", "q2"}) {
			t.Errorf("closed: got %v", got)
		}
		if f.Path() != filepath.Join(dir, "experiment-host.jsonl") {
			t.Errorf("got the path %s", f.Path())
		}
		for name, want := range map[string]os.FileMode{dir: 0o700, f.Path(): 0o600} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: got mode %v, %v, want %v", name, info.Mode(), err, want)
			}
		}
		data, _ := os.ReadFile(f.Path())
		first, _, _ := bytes.Cut(data, []byte("\n"))
		var back experiment.Record
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(impression(1, "c"), back); diff != "" || !bytes.Contains(first, []byte("<shoes>")) {
			t.Errorf("%s (-want +got)\n%s", first, diff)
		}
		if kept, dropped := counted(t, f.counted, "file", "kept"), counted(t, f.counted, "file", closed); kept != 3 || dropped != 1 {
			t.Errorf("counted %d kept, %d dropped", kept, dropped)
		}
		// Another run goes on in the same file.
		f = openFile(t, FileOptions{Dir: dir})
		f.Keep(impression(4, "c"))
		closeFile(t, f)
		if got := ids(t, f.Path()); !slices.Equal(got, []string{"q1", "s", "q2", "q4"}) {
			t.Errorf("another run: got %v", got)
		}
	})
}

func TestFileOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]FileOptions{
		"no directory is named": {}, "not a directory": {Dir: filepath.Join(file, "a")},
		"hashing needs a salt of 16 bytes or more": {Dir: t.TempDir(), Privacy: Privacy{Words: Hashed, Salt: []byte("short")}},
	} {
		if f, err := NewFile(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, error %v, want %q", f, err, want)
		}
	}
	f := openFile(t, FileOptions{Dir: t.TempDir(), Host: "../a/b"})
	defer closeFile(t, f)
	if filepath.Base(f.Path()) != "experiment-.._a_b.jsonl" {
		t.Errorf("got the path %s", f.Path())
	}
}

// No two have the same file, and a name that is given up is taken again.
func TestFileNamesAreOnesOwn(t *testing.T) {
	dir := t.TempDir()
	first, second := openFile(t, FileOptions{Dir: dir}), openFile(t, FileOptions{Dir: dir})
	if got := filepath.Base(first.Path()) + " " + filepath.Base(second.Path()); got != "experiment-host.jsonl experiment-host-2.jsonl" {
		t.Errorf("got %s", got)
	}
	closeFile(t, first)
	third := openFile(t, FileOptions{Dir: dir})
	if filepath.Base(third.Path()) != "experiment-host.jsonl" {
		t.Errorf("got %s", third.Path())
	}
	closeFile(t, second)
	closeFile(t, third)
	var all []*File
	for range maxProcesses {
		all = append(all, openFile(t, FileOptions{Dir: dir}))
	}
	if _, err := NewFile(FileOptions{Dir: dir, Host: "host"}); err == nil || !strings.Contains(err.Error(), "32 processes keep records") {
		t.Errorf("got error %v", err)
	}
	for _, f := range all {
		closeFile(t, f)
	}
}

// Full files are set aside and the oldest of them removed; no record is lost or split by that.
func TestFileRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		bystander := filepath.Join(dir, "experiment-host-2.jsonl")
		if err := os.WriteFile(bystander, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		f := openFile(t, FileOptions{Dir: dir, Size: 4000, Files: 3})
		for n := range 100 {
			f.Keep(impression(n, "c"))
			time.Sleep(500 * time.Millisecond)
		}
		closeFile(t, f)
		full, err := f.full()
		if err != nil || len(full) != 3 {
			t.Fatalf("got %v, %v", full, err)
		}
		got := ids(t, append(full, f.Path())...)
		for i, id := range got {
			if want := fmt.Sprint("q", 100-len(got)+i); id != want {
				t.Fatalf("got %v: %s in the place of %s", got, id, want)
			}
		}
		for _, name := range append(full, f.Path()) {
			if info, err := os.Stat(name); err != nil || info.Size() > 4000 || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %d bytes, %v, %v", name, info.Size(), info.Mode(), err)
			}
		}
		if _, err := os.Stat(bystander); err != nil {
			t.Error(err)
		}
	})
}

// A disk that takes nothing costs what does not fit into memory, with a count and one line of the log a minute, and no more than that once
// it takes something again.
func TestFileFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var log bytes.Buffer
		counter := NewCounter(nil)
		name := filepath.Join(dir, "experiment-host.jsonl")
		if err := os.Symlink("/dev/full", name); err != nil {
			t.Fatal(err)
		}
		f := openFile(t, FileOptions{Dir: dir, Counter: counter, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		f.Keep(impression(1, "c"))
		time.Sleep(150 * time.Second)
		synctest.Wait()
		if lines := strings.Count(log.String(), "\n"); lines != 3 || !strings.Contains(log.String(), "no space left on device") {
			t.Errorf("logged %d lines in two and a half minutes: %s", lines, log.String())
		}
		big := impression(2, strings.Repeat("x", 1<<20))
		for range 9 {
			f.Keep(big)
			time.Sleep(time.Second)
		}
		if dropped := counted(t, counter, "file", failing); dropped != 5 {
			t.Errorf("dropped %d of 9 MiB", dropped)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := ids(t, name); len(got) != 5 || got[0] != "q1" || counted(t, counter, "file", "kept") != 5 {
			t.Errorf("got %v back, %d counted", got, counted(t, counter, "file", "kept"))
		}
		closeFile(t, f)
	})
}

// Somebody removes the directory under it, and makes it again.
func TestFileDirectoryGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "d")
		f := openFile(t, FileOptions{Dir: dir})
		f.Keep(impression(1, "c"))
		time.Sleep(2 * time.Second)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		f.Keep(impression(2, "c"))
		time.Sleep(2 * time.Second)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if got := ids(t, f.Path()); !slices.Equal(got, []string{"q2"}) {
			t.Errorf("got %v", got)
		}
		closeFile(t, f)
	})
}

// A line that a crash left torn is ended, so that the next one is whole.
func TestFileTorn(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "experiment-host.jsonl")
	if err := os.WriteFile(name, []byte("{\"impression\":{\"query"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, FileOptions{Dir: dir})
	f.Keep(impression(1, "c"))
	closeFile(t, f)
	data, _ := os.ReadFile(name)
	torn, rest, _ := strings.Cut(string(data), "\n")
	if _, ok := read([]byte(rest)); torn != "{\"impression\":{\"query" || !ok {
		t.Errorf("got %s", data)
	}
}

// Keep does not wait, whatever comes at once: what finds no room is counted.
func TestFileUnderPressure(t *testing.T) {
	f := openFile(t, FileOptions{Dir: t.TempDir(), Queue: 10})
	file, err := openLocked(f.Path()) // as Forget does: nothing is written meanwhile
	if err != nil {
		t.Fatal(err)
	}
	const all = 20_000
	var group sync.WaitGroup
	start := time.Now()
	for g := range 4 {
		group.Go(func() {
			for n := range all / 4 {
				f.Keep(impression(g*all+n, "c"))
			}
		})
	}
	group.Wait()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	file.Close()
	closeFile(t, f)
	kept, dropped := counted(t, f.counted, "file", "kept"), counted(t, f.counted, "file", queueFull)
	if kept+dropped != all || len(ids(t, f.Path())) != kept || dropped == 0 {
		t.Errorf("%d kept, %d in the file, %d dropped of %d", kept, len(ids(t, f.Path())), dropped, all)
	}
}

func TestForget(t *testing.T) {
	dir := t.TempDir()
	salt := []byte("0123456789abcdef")
	x := &experiment.Experiment{Name: "x", Share: 1, Variants: []experiment.Variant{{Name: "a", Share: 1}, {Name: "b", Share: 1}}}
	assigned := impression(5, "")
	x.Mark(assigned.Impression, x.Assign("mallory", experiment.Digest{}))
	records := []experiment.Record{
		impression(1, "mallory"), impression(2, "alice"),
		{Event: &experiment.Event{QueryID: "q1", Action: "click", Time: noon}},                    // hangs on mallory's search
		{Event: &experiment.Event{QueryID: "q2", Action: "click", Time: noon, Client: "mallory"}}, // on alice's
		{Event: &experiment.Event{QueryID: "q3", Action: "click", Time: noon, Client: "mallory the second"}},
		{Shadow: &experiment.Shadow{QueryID: "q1", Time: noon}}, {Shadow: &experiment.Shadow{QueryID: "q3", Time: noon}},
		{Query: &experiment.Query{QueryID: "q4", Time: noon, Client: "mallory"}}, assigned,
	}
	var want []string
	var names []string
	for _, hashed := range []Treatment{Plain, Hashed} {
		f := openFile(t, FileOptions{Dir: dir, Host: hashed.String(), Privacy: Privacy{Clients: hashed, Salt: salt}})
		for _, r := range records {
			f.Keep(r)
		}
		closeFile(t, f)
		names = append(names, f.Path())
	}
	if data, _ := os.ReadFile(names[1]); bytes.Contains(data, []byte("mallory")) {
		t.Fatalf("not hashed: %s", data)
	}
	const nonsense = "{\"impression\":{\"client\":\"mallory\n{}\n"
	other := filepath.Join(dir, "other.jsonl")
	if err := os.WriteFile(other, []byte(nonsense+`{"event":{"query_id":"q4","action":"click","client":"bob"}}`+"\n"+`{"event":{"query_id":"q9"}}`), 0o640); err != nil {
		t.Fatal(err)
	}
	names = append(names, other)
	done, err := Forget("mallory", salt, names...)
	if err != nil {
		t.Fatal(err)
	}
	wantDone := []Forgotten{{names[0], 6, 3, 0}, {names[1], 6, 3, 0}, {other, 1, 3, 2}}
	if diff := cmp.Diff(wantDone, done); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	want = []string{"q2", "q3", "q3"}
	for _, name := range names[:2] {
		if got := ids(t, name); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if data, _ := os.ReadFile(other); string(data) != nonsense+`{"event":{"query_id":"q9"}}` {
		t.Errorf("got %s", data)
	}
	if info, err := os.Stat(other); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got mode %v, %v", info.Mode(), err)
	}
	before, _ := os.Stat(names[0])
	if again, err := Forget("mallory", salt, names...); err != nil || again[0].Removed+again[1].Removed+again[2].Removed != 0 {
		t.Errorf("again: got %+v, %v", again, err)
	}
	if after, _ := os.Stat(names[0]); !os.SameFile(before, after) {
		t.Error("rewritten although there was nothing to take out")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 5 { // three files, two locks
		t.Errorf("got %v, %v", left, err)
	}
	compressed := filepath.Join(dir, "compressed.jsonl.gz")
	if err := os.WriteFile(compressed, []byte("\x1f\x8b\x08\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, forget := range map[string]func() error{
		"it is compressed":          func() error { _, err := Forget("a", nil, compressed); return err },
		"no client is named":        func() error { _, err := Forget("", nil, other); return err },
		"no such file or directory": func() error { _, err := Forget("a", nil, filepath.Join(dir, "nowhere")); return err },
	} {
		if err := forget(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// A file is rewritten while it is written to: nothing of the others is lost, nothing of the forgotten stays.
func TestForgetWhileWriting(t *testing.T) {
	f := openFile(t, FileOptions{Dir: t.TempDir(), Size: 300_000, Files: 1000, Queue: 100_000})
	const all = 20_000
	written := make(chan struct{})
	go func() {
		defer close(written)
		for n := range all {
			f.Keep(impression(n, []string{"mallory", "alice"}[n%2]))
			if n%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	files := func() []string {
		full, err := f.full()
		if err != nil {
			t.Fatal(err)
		}
		return append(full, f.Path())
	}
	for open := true; open; {
		select {
		case <-written:
			open = false
		default:
		}
		if _, err := Forget("mallory", nil, files()...); err != nil && !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
			t.Fatal(err)
		}
	}
	closeFile(t, f)
	if _, err := Forget("mallory", nil, files()...); err != nil {
		t.Fatal(err)
	}
	got := ids(t, files()...)
	if dropped := counted(t, f.counted, "file", queueFull); len(got)+dropped/2 < all/2-1 || dropped > 0 {
		t.Errorf("%d are left, %d were dropped, want %d", len(got), dropped, all/2)
	}
	for _, id := range got {
		var n int
		fmt.Sscanf(id, "q%d", &n)
		if n%2 == 0 {
			t.Fatalf("%s is mallory's", id)
		}
	}
}

// BenchmarkKeep is what a search pays for being recorded: the impression of a page of 24 hits, made and handed over.
func BenchmarkKeep(b *testing.B) {
	f := openFile(b, FileOptions{Dir: b.TempDir()})
	defer closeFile(b, f)
	b.ReportAllocs()
	for b.Loop() {
		r := impression(1, "c")
		r.Impression.Hits = make([]experiment.Shown, 24)
		for k := range r.Impression.Hits {
			r.Impression.Hits[k] = experiment.Shown{Index: "shop", ID: "an id"}
		}
		f.Keep(r)
	}
	b.ReportMetric(float64(counted(b, f.counted, "file", queueFull))/float64(b.N), "dropped/op")
}

// BenchmarkLine is what the one that writes pays for it.
func BenchmarkLine(b *testing.B) {
	for _, p := range []Privacy{{}, {Words: Hashed, Clients: Hashed, Objects: Hashed, Salt: []byte("0123456789abcdef")}} {
		b.Run(p.Words.String(), func(b *testing.B) {
			f := &File{queue: newQueue("file", 1, nil, nil), options: FileOptions{Privacy: p}}
			r := impression(1, "c")
			for range 22 {
				r.Impression.Hits = append(r.Impression.Hits, experiment.Shown{Index: "shop", ID: "an id"})
			}
			b.ReportAllocs()
			for b.Loop() {
				f.pending.Reset()
				f.add(r)
			}
		})
	}
}
