//go:build cgo

package onnx

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrepare(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := goldenFiles(t, name)
			o := Options{Prepared: filepath.Join(t.TempDir(), "not", "there", "yet")}
			p, err := Prepare(t.Context(), f, o)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Constant) != 0 {
				t.Errorf("got %q left to compute on constants in each run, want nothing", p.Constant)
			}
			if p.Fixed <= 0 || p.Plain <= 0 || p.Prepared <= 0 || p.Size <= 0 || len(p.Operators) == 0 || p.Operators[0].Count == 0 {
				t.Errorf("got %+v, want every field", p)
			}
			before, err := os.Stat(p.Path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Prepare(t.Context(), f, o); err != nil {
				t.Fatal(err)
			}
			if after, err := os.Stat(p.Path); err != nil || !os.SameFile(before, after) {
				t.Errorf("the graph was saved again (%v), want the first one used", err)
			}
			if left, err := os.ReadDir(o.Prepared); err != nil || len(left) != 1 {
				t.Errorf("got %v in the directory, %v, want one file", left, err)
			}
		})
	}
}

// TestPreparedGraphIsUsed takes the model's own graph away.
func TestPreparedGraphIsUsed(t *testing.T) {
	f := goldenFiles(t, "deberta")
	o := Options{Prepared: t.TempDir()}
	want := score(t, open(t, f, Options{}), "kalo miren", "rensta tor vel")
	if _, err := Prepare(t.Context(), f, o); err != nil {
		t.Fatal(err)
	}
	f.GraphPath = "/nowhere/model.onnx"
	got := score(t, open(t, f, o), "kalo miren", "rensta tor vel")
	if math.Float32bits(got) != math.Float32bits(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	f.Digest = strings.Repeat("0", 64)
	if m, err := Open(f, o); err == nil {
		m.Close()
		t.Error("the prepared graph of one model was used for another")
	}
}

func TestDamagedPreparedGraphIsMadeAnew(t *testing.T) {
	f := goldenFiles(t, "bert")
	o := Options{Prepared: t.TempDir()}
	want := score(t, open(t, f, Options{}), "kalo miren", "rensta tor vel")
	p, err := Prepare(t.Context(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(p.Path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, damaged := range map[string][]byte{"empty": nil, "short": whole[:20], "half": whole[:len(whole)/2], "a bit flipped": flipped} {
		if err := os.Remove(p.Path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.Path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		m := open(t, f, o)
		if got := score(t, m, "kalo miren", "rensta tor vel"); math.Float32bits(got) != math.Float32bits(want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if err := m.LeftAside(); err == nil || !strings.Contains(err.Error(), p.Path) {
			t.Errorf("%s: got %v as the reason why the graph was left aside, want one that names it", name, err)
		}
		if err := open(t, f, o).LeftAside(); err != nil {
			t.Errorf("%s: the graph that was made anew is left aside: %v", name, err)
		}
		if now, err := os.ReadFile(p.Path); err != nil || !bytes.Equal(now, whole) {
			t.Errorf("%s: got %d bytes, %v, want the %d that were saved first", name, len(now), err, len(whole))
		}
	}
}

func TestWhatCannotBePrepared(t *testing.T) {
	f := graphFiles(t, "beside")
	f.Digest = ""
	if _, err := Prepare(t.Context(), f, Options{Prepared: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "beside.weights") {
		t.Errorf("got error %v, want one that names the weights beside the graph", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var path *os.PathError
	if _, err := Prepare(t.Context(), goldenFiles(t, "bert"), Options{Prepared: file}); !errors.As(err, &path) {
		t.Errorf("got error %v, want one of a path where nothing can be written", err)
	}
}

func TestConstantNodes(t *testing.T) {
	g := &graph{initializers: []tensor{{name: "w"}}, nodes: []node{
		{name: "c", op: "Constant", outputs: []string{"c"}},
		{name: "left", op: "MatMul", inputs: []string{"w", "c"}, outputs: []string{"wc"}},
		{name: "on", op: "Transpose", inputs: []string{"wc", ""}, outputs: []string{"wct"}},
		{name: "right", op: "MatMul", inputs: []string{"x", "wct"}, outputs: []string{"y"}},
	}}
	if got, want := strings.Join(g.constantNodes(), ", "), "MatMul left, Transpose on"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
