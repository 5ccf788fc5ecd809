//go:build cgo

package onnx

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rerankd/rerankd/rerank/model"
)

// TestFirstTokenAlone says of each architecture whether work is taken out of its graph, and that what is left gives the same logits.
func TestFirstTokenAlone(t *testing.T) {
	for name, want := range map[string]bool{"bert": true, "deberta": true, "xlm-roberta": true, "modernbert": false /* the mean over all tokens */} {
		t.Run(name, func(t *testing.T) {
			f := goldenFiles(t, name)
			file, err := os.ReadFile(f.GraphPath)
			if err != nil {
				t.Fatal(err)
			}
			g, err := parseGraph(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(lean(file, g)) > len(file); got != want {
				t.Fatalf("got edited %v, want %v", got, want)
			}
			whole, alone := openWhole(t, f), open(t, f, Options{})
			for _, tokens := range []int{0, 1, 2, 30, 200, whole.maxLength} {
				query, doc := whole.sample(tokens/8), whole.sample(tokens)
				want, err := whole.Score(t.Context(), query, doc)
				if err != nil {
					t.Fatal(err)
				}
				got, err := alone.Score(t.Context(), query, doc)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(float64(got-want)) > 1e-5 {
					t.Errorf("%d tokens: got %v, want %v as of the whole graph", tokens, got, want)
				}
			}
		})
	}
}

// TestFirstTokenAloneQuantised says that of a quantised graph the work is taken out as well, up to the attention's queries, and that it
// is still the same model.
func TestFirstTokenAloneQuantised(t *testing.T) {
	f := quantisedFiles(t)
	file, err := os.ReadFile(f.GraphPath)
	if err != nil {
		t.Fatal(err)
	}
	g, err := parseGraph(file)
	if err != nil {
		t.Fatal(err)
	}
	s, products := newShapes(g), 0
	for i := range g.nodes {
		if s.takesFirst(&g.nodes[i]) {
			for at := range s.coneAbove(i).within {
				if g.nodes[at].op == "MatMulInteger" {
					products++
				}
			}
		}
	}
	if products < 3 {
		t.Errorf("got %d products for the first token alone, want those of the last layer behind its attention: 3", products)
	}
	whole, alone := openWhole(t, f), open(t, f, Options{})
	var apart, spread float64
	const pairs = 60
	for i := range pairs {
		query, doc := whole.sample(3 + i%7)[i%3:], whole.sample(5 + 4*i)[i%5:]
		want, err := whole.Score(t.Context(), query, doc)
		if err != nil {
			t.Fatal(err)
		}
		got, err := alone.Score(t.Context(), query, doc)
		if err != nil {
			t.Fatal(err)
		}
		apart += math.Abs(float64(got-want)) / pairs
		spread += math.Abs(float64(want)) / pairs
	}
	if apart > spread/5 {
		t.Errorf("got logits %.3f away from those of the whole graph, which are %.3f from 0", apart, spread)
	}
}

// quantisedFiles are those of the small BERT, with its weights in int8.
func quantisedFiles(t *testing.T) *model.Files {
	t.Helper()
	f := goldenFiles(t, "bert")
	f.GraphPath = filepath.Join(filepath.Dir(f.GraphPath), "int8.onnx")
	digest, err := model.GraphDigest(f.GraphPath)
	if err != nil {
		t.Fatal(err)
	}
	f.Digest, f.Precision = digest, model.INT8
	return f
}

// TestWithoutMask says that the mask is left out of the embedded model, with the same scores to the bit.
func TestWithoutMask(t *testing.T) {
	f, err := model.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	withoutMask := func(file []byte, g *graph) []byte { return edited(file, g, (*editor).withoutMask) }
	file := bytes.Clone(f.Graph)
	g, err := parseGraph(file)
	if err == nil {
		g, err = parseGraph(withoutMask(file, g))
	}
	if err != nil {
		t.Fatal(err)
	}
	softmaxes := 0
	for i, s := 0, newShapes(g); i < len(g.nodes); i++ {
		if n := &g.nodes[i]; n.op == "Softmax" {
			softmaxes++
			if by := g.nodes[s.producer[n.input(0)]]; by.op != "Identity" {
				t.Errorf("%s reads what %s gives", n.name, by.op)
			}
		}
	}
	if softmaxes != 6 {
		t.Errorf("got %d layers, want 6", softmaxes)
	}
	whole, without := openWhole(t, f), openEdited(t, f, withoutMask)
	if err := sameScores(t.Context(), whole, without); err != nil {
		t.Error(err)
	}
}

// TestFirstTokenAloneLeavesAlone says that graphs are not touched in which others than the head read the rows.
func TestFirstTokenAloneLeavesAlone(t *testing.T) {
	graphs, err := filepath.Glob("testdata/graphs/*.onnx")
	if err != nil || len(graphs) == 0 {
		t.Fatalf("no graphs: %v", err)
	}
	for _, path := range graphs {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(file)
		g, err := parseGraph(file)
		if err != nil {
			continue
		}
		if got := lean(file, g); !bytes.Equal(got, before) {
			t.Errorf("%s was edited", path)
		}
	}
}

// openWhole opens a graph as it is.
func openWhole(t *testing.T, f *model.Files) *Model {
	t.Helper()
	return openEdited(t, f, asItIs)
}

func openEdited(t *testing.T, f *model.Files, edit func(file []byte, g *graph) []byte) *Model {
	t.Helper()
	m := open(t, f, Options{})
	if err := m.sessions.destroy(); err != nil {
		t.Fatal(err)
	}
	if err := m.loadGraph(f, edit); err != nil {
		t.Fatal(err)
	}
	return m
}

// FuzzLean edits whatever is given for a graph. It must not fail, and what it does not understand it must leave as it is; what
// it edits is still a graph.
func FuzzLean(f *testing.F) {
	for _, name := range goldenModels {
		file, err := os.ReadFile(filepath.Join("testdata", name, "model.onnx"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(withoutWeights(f, file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		before := bytes.Clone(file)
		g, err := parseGraph(file)
		if err != nil {
			return
		}
		edited := lean(file, g)
		if len(edited) == len(before) {
			if !bytes.Equal(edited, before) {
				t.Fatal("a file was changed and nothing added")
			}
			return
		}
		if len(edited) < len(before) {
			t.Fatal("a file became shorter")
		}
		if _, err := parseGraph(edited); err != nil {
			t.Fatalf("what was a graph is none any more: %v", err)
		}
	})
}

// withoutWeights is an ONNX file without the data of its weights, which are most of it and nothing to edit.
func withoutWeights(t testing.TB, file []byte) []byte {
	t.Helper()
	var edit func(message []byte, path ...protowire.Number) []byte
	edit = func(message []byte, path ...protowire.Number) (left []byte) {
		err := eachField(message, func(f field) error {
			switch {
			case f.bytes == nil:
				left = appendNumber(left, f.number, f.value)
			case len(path) == 1 && f.number == path[0] && len(f.bytes) > 64:
			case len(path) > 1 && f.number == path[0]:
				left = appendText(left, f.number, string(edit(f.bytes, path[1:]...)))
			default:
				left = appendText(left, f.number, string(f.bytes))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	return edit(file, 7, 5, 9) // graph, initializer, raw_data
}
