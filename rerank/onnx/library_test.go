//go:build cgo

package onnx

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestLibraryFromMemory checks that a library that is only in memory can be opened by a path, and leaves no descriptor behind.
func TestLibraryFromMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("for Linux alone")
	}
	want := bytes.Repeat([]byte("library "), 10_000)
	var opened string
	err := loadFromMemory(want, func(path string) error {
		opened = path
		got, err := os.ReadFile(path)
		if !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, want %d", len(got), len(want))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(opened); err == nil && strings.Contains(target, "memfd") {
		t.Errorf("%s is still open", opened)
	}
	refused := errors.New("refused")
	if err := loadFromMemory(want, func(string) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got error %v, want %v", err, refused)
	}
}

// TestLibraryFromCache checks that the file in the cache is private, is used again, and is replaced if it is not what it should be.
func TestLibraryFromCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	want := []byte("a library")
	var path string
	load := func(p string) error {
		path = p
		got, err := os.ReadFile(p)
		if !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		return err
	}
	cached := func() fs.FileInfo {
		t.Helper()
		if err := loadFromCache(want, load); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := cached()
	if got := first.Mode().Perm(); got&0o077 != 0 {
		t.Errorf("got a file of mode %v, want one for its owner alone", got)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got a directory of mode %v, %v, want 0700", info.Mode().Perm(), err)
	}
	if second := cached(); !os.SameFile(first, second) {
		t.Error("the file was written again, want it used again")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("something else"), 0o500); err != nil {
		t.Fatal(err)
	}
	cached() // load has checked what it found
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) != 0 {
		t.Errorf("got %v left behind, %v, want nothing", left, err)
	}
}

// TestLibraryThatIsNotThere runs this test again as a program of its own, since a process loads the library once.
func TestLibraryThatIsNotThere(t *testing.T) {
	if os.Getenv("RERANKD_TEST_NO_LIBRARY") != "" {
		_, err := Open(goldenFiles(t, "bert"), Options{})
		var missing *LibraryError
		if !errors.As(err, &missing) {
			t.Fatalf("got error %v, want a LibraryError", err)
		}
		if !strings.Contains(err.Error(), missing.Tried[0]) || strings.Contains(err.Error(), "\n") || !strings.Contains(missing.Hint(), LibraryVariable) {
			t.Errorf("got error %q and hint %q, want one line with the path, and the variable", err, missing.Hint())
		}
		if got := Version(); got != "" {
			t.Errorf("got version %q of no library", got)
		}
		return
	}
	garbage := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(garbage, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/nowhere/libonnxruntime.so", garbage, "libc.so.6"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLibraryThatIsNotThere$", "-test.count=1")
		cmd.Env = append(os.Environ(), "RERANKD_TEST_NO_LIBRARY=1", LibraryVariable+"="+path)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}

// TestCacheIsUsedWhereMemoryIsRefused is what a hardened kernel does: it lets no program text into anonymous files.
func TestCacheIsUsedWhereMemoryIsRefused(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	refused := errors.New("refused")
	var loaded []string
	load := func(path string) error {
		if strings.HasPrefix(path, "/proc/") {
			return refused
		}
		loaded = append(loaded, path)
		return nil
	}
	if err := loadUnpacked([]byte("a library"), load); err != nil {
		t.Fatal(err)
	}
	if len(loaded) != 1 || !strings.HasPrefix(loaded[0], cache) {
		t.Errorf("got %v, want one file in %s", loaded, cache)
	}
	if runtime.GOOS != "linux" {
		return
	}
	everywhere := func(string) error { return refused }
	if err := loadUnpacked([]byte("a library"), everywhere); !errors.Is(err, refused) {
		t.Errorf("got error %v, want %v", err, refused)
	}
}
