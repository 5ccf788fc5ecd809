//go:build cgo

package onnx

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/rerank/model"
)

// goldenModels are the directories that testdata/golden.py makes.
var goldenModels = []string{"bert", "deberta", "xlm-roberta", "modernbert"}

// tolerance is how far a logit may be from PyTorch's. The reference's own ONNX Runtime is 1e-5 away from it.
const tolerance = 1e-4

// TestGolden holds token ids, segments and logits to what the reference Python libraries say (testdata/golden.py).
func TestGolden(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var golden struct {
				Texts [][]byte
				Pairs []struct {
					Query, Doc int // in Texts
					Want       []struct {
						MaxLength     int     `json:"max_length"`
						SpecialTokens bool    `json:"special_tokens"`
						IDs, Types    []int64 // none: those of the first of the list
						Logit         float64
					}
				}
			}
			readGolden(t, filepath.Join(name, "golden.json.gz"), &golden)
			if len(golden.Pairs) < 300 {
				t.Fatalf("got %d pairs, want at least 300", len(golden.Pairs))
			}
			models := map[Options]*Model{}
			open := func(o Options) *Model {
				if models[o] == nil {
					models[o] = openGolden(t, name, o)
				}
				return models[o]
			}
			for i, c := range golden.Pairs {
				texts := [2]string{string(golden.Texts[c.Query]), string(golden.Texts[c.Doc])}
				for _, want := range c.Want {
					if want.IDs == nil {
						want.IDs, want.Types = c.Want[0].IDs, c.Want[0].Types
					}
					m := open(Options{MaxLength: want.MaxLength, SpecialTokens: want.SpecialTokens})
					query, doc := tokenize(t, m, texts[0]), tokenize(t, m, texts[1])
					got := m.template.assemble(query, doc, m.maxLength)
					if !slices.Equal(got.ids, want.IDs) || !slices.Equal(got.segments, want.Types) {
						t.Errorf("pair %d, %d tokens, special %v: query %.80q, document %.80q: (-want +got)\n%s", i, want.MaxLength, want.SpecialTokens,
							texts[0], texts[1], cmp.Diff([][]int64{want.IDs, want.Types}, [][]int64{got.ids, got.segments}))
						continue
					}
					if n := m.Tokens(query, doc); n != len(want.IDs) {
						t.Errorf("pair %d: got %d tokens, want %d", i, n, len(want.IDs))
					}
					logit, err := m.Score(t.Context(), query, doc)
					if err != nil {
						t.Fatalf("pair %d: %v", i, err)
					}
					if math.Abs(float64(logit)-want.Logit) > tolerance {
						t.Errorf("pair %d, %d tokens: got a logit of %v, want %v", i, want.MaxLength, logit, want.Logit)
					}
				}
			}
		})
	}
}

// TestFraming holds the framing and truncation of pairs to the reference for each kind of post-processor and many lengths.
func TestFraming(t *testing.T) {
	var golden struct {
		PostProcessors map[string]json.RawMessage `json:"post_processors"`
		A, X           uint32
		Cases          []struct {
			Kind       string
			MaxLength  int `json:"max_length"`
			Query, Doc int
			IDs, Types []int64
		}
	}
	readGolden(t, "framing.json.gz", &golden)
	if len(golden.Cases) < 1000 {
		t.Fatalf("got %d cases, want at least 1000", len(golden.Cases))
	}
	templates := map[string]template{}
	for kind, post := range golden.PostProcessors {
		var err error
		if templates[kind], err = parseTemplate(append(append([]byte(`{"post_processor":`), post...), '}')); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	repeat := func(id uint32, n int) []uint32 {
		ids := make([]uint32, n)
		for i := range ids {
			ids[i] = id
		}
		return ids
	}
	for _, c := range golden.Cases {
		got := templates[c.Kind].assemble(repeat(golden.A, c.Query), repeat(golden.X, c.Doc), c.MaxLength)
		if !slices.Equal(got.ids, c.IDs) || !slices.Equal(got.segments, c.Types) {
			t.Errorf("%s, %d and %d tokens in %d: got %v %v, want %v %v", c.Kind, c.Query, c.Doc, c.MaxLength, got.ids, got.segments, c.IDs, c.Types)
		}
	}
}

func readGolden(t *testing.T, name string, to any) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(to); err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
}

func openGolden(t testing.TB, name string, o Options) *Model {
	t.Helper()
	return open(t, goldenFiles(t, name), o)
}

func openEmbedded(t testing.TB) *Model {
	t.Helper()
	f, err := model.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return open(t, f, Options{})
}

func open(t testing.TB, f *model.Files, o Options) *Model {
	t.Helper()
	m, err := Open(f, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("closing %s: %v", f.Name, err)
		}
	})
	return m
}

func tokenize(t testing.TB, m *Model, text string) []uint32 {
	t.Helper()
	ids, err := m.Tokenize(text)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func score(t testing.TB, m *Model, query, doc string) float32 {
	t.Helper()
	logit, err := m.Score(context.Background(), tokenize(t, m, query), tokenize(t, m, doc))
	if err != nil {
		t.Fatal(err)
	}
	return logit
}
