//go:build cgo

package onnx

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rerankd/rerankd/rerank/model"
)

// TestFilesThatAreRefused checks that each says which file, what was found and what to do.
func TestFilesThatAreRefused(t *testing.T) {
	other := goldenFiles(t, "deberta")
	replace := func(data []byte, old, by string) []byte {
		t.Helper()
		if !strings.Contains(string(data), old) {
			t.Fatalf("there is no %s in %.200s", old, data)
		}
		return []byte(strings.Replace(string(data), old, by, 1))
	}
	for _, c := range []struct {
		name  string
		fault func(*model.Files)
		file  string
		want  string
	}{
		{"half a graph", func(f *model.Files) { f.Graph = f.Graph[:len(f.Graph)/2] }, "the graph", "not an ONNX file"},
		{"a graph less its last byte", func(f *model.Files) { f.Graph = f.Graph[:len(f.Graph)-1] }, "the graph", "not an ONNX file"},
		{"no graph", func(f *model.Files) { f.Graph = nil }, "the graph", "not an ONNX file: there is no graph in it"},
		{"a page", func(f *model.Files) { f.Graph = []byte("<html>not found</html>") }, "the graph", "not an ONNX file"},
		{"a pointer", func(f *model.Files) { f.Graph = []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0") }, "the graph", "not an ONNX file"},
		{"an operator that is none", func(f *model.Files) { f.Graph = replace(f.Graph, "\x22\x06MatMul", "\x22\x06MatMuk") }, "the graph", "ONNX Runtime does not load it"},
		{"a path to nothing", func(f *model.Files) { f.Graph, f.GraphPath = nil, "/nowhere/model.onnx" }, "/nowhere/model.onnx", "no such file"},
		{"a graph that has changed", func(f *model.Files) {
			f.GraphPath, f.Digest = filepath.Join("testdata", "deberta", "model.onnx"), strings.Repeat("0", 64)
		},
			filepath.Join("testdata", "deberta", "model.onnx"), "not the file that it was"},
		{"half a tokenizer", func(f *model.Files) { f.Tokenizer = f.Tokenizer[:len(f.Tokenizer)/2] }, "tokenizer.json", "not JSON"},
		{"no tokenizer", func(f *model.Files) { f.Tokenizer = nil }, "tokenizer.json", "not JSON"},
		{"a tokenizer without a model", func(f *model.Files) {
			f.Tokenizer = []byte(`{"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 2]}}`)
		}, "tokenizer.json", "no vocab"},
		{"a tokenizer of an unknown kind", func(f *model.Files) {
			f.Tokenizer = replace(f.Tokenizer, "\"type\": \"WordPiece\",\n    \"unk_token\"", "\"type\": \"Runes\",\n    \"unk_token\"")
		}, "tokenizer.json", "Runes"},
		{"framing of an unknown kind", func(f *model.Files) { f.Tokenizer = replace(f.Tokenizer, `"TemplateProcessing"`, `"Envelope"`) }, "tokenizer.json", `"Envelope" is none of`},
		{"a tokenizer that keeps the end", func(f *model.Files) {
			f.Tokenizer = replace(f.Tokenizer, `"truncation": null`, `"truncation": {"direction": "Left", "max_length": 512, "strategy": "LongestFirst", "stride": 0}`)
		}, "tokenizer.json", "at their beginning"},
		{"another model's tokenizer", func(f *model.Files) { f.Tokenizer = other.Tokenizer }, "config.json", "vocab_size is 1000, and tokenizer.json has ids up to 1200"},
		{"another model's tokenizer and configuration", func(f *model.Files) { f.Tokenizer, f.Config = other.Tokenizer, other.Config }, "the graph", "id 1200, the largest"},
		{"another padding", func(f *model.Files) { f.Config = replace(f.Config, `"pad_token_id": 0`, `"pad_token_id": 3`) }, "config.json", "pad_token_id is 3, and that of tokenizer.json is 0"},
		{"two labels", func(f *model.Files) { f.Config = replace(f.Config, `"0": "LABEL_0"`, `"0": "NO", "1": "YES"`) }, "config.json", "2 labels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := goldenFiles(t, "bert")
			graph, err := os.ReadFile(f.GraphPath)
			if err != nil {
				t.Fatal(err)
			}
			f.Graph, f.GraphPath, f.Digest = graph, "", ""
			c.fault(f)
			m, err := Open(f, Options{})
			if err == nil {
				m.Close()
				t.Fatal("got no error")
			}
			var refused *FileError
			if !errors.As(err, &refused) {
				t.Fatalf("got error %q, want a FileError", err)
			}
			if refused.File != c.file && refused.File != filepath.Join(f.Source, c.file) || refused.Hint() == "" {
				t.Errorf("got file %q and hint %q, want %s and a hint", refused.File, refused.Hint(), c.file)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `model "bert"`) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %q, want one line with %q and the model's name", err, c.want)
			}
		})
	}
}

// TestFilesMayChangeWhileItRuns cuts short, overwrites and removes the files of models that are being run, one of which has its weights in
// a file beside the graph, which ONNX Runtime maps: a page of a mapped file that is not there any more ends the process.
func TestFilesMayChangeWhileItRuns(t *testing.T) {
	for _, c := range []struct{ graph, weights string }{{"bert/model.onnx", ""}, {"graphs/beside.onnx", "graphs/beside.weights"}} {
		t.Run(c.graph, func(t *testing.T) {
			dir := t.TempDir()
			f := goldenFiles(t, "bert")
			f.Digest = ""
			var paths []string
			for _, name := range []string{c.graph, c.weights} {
				if name == "" {
					continue
				}
				path := filepath.Join(dir, filepath.Base(name))
				if err := copyFile(path, filepath.Join("testdata", name)); err != nil {
					t.Fatal(err)
				}
				paths = append(paths, path)
			}
			f.GraphPath = paths[0]
			m := open(t, f, Options{})
			query := tokenize(t, m, "kalo")
			doc := numbers(5, 400) // rows of the table all over its pages
			want, err := m.Score(t.Context(), query, doc)
			if err != nil {
				t.Fatal(err)
			}

			stop := make(chan struct{})
			var scoring sync.WaitGroup
			for range 2 {
				scoring.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if got, err := m.Score(t.Context(), query, doc); err != nil || math.Float32bits(got) != math.Float32bits(want) {
							t.Errorf("got %v, %v, want %v", got, err, want)
							return
						}
					}
				})
			}
			for _, path := range paths {
				for _, change := range []func() error{
					func() error { return os.Truncate(path, 1) },
					func() error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) },
					func() error { return os.Remove(path) },
				} {
					if err := change(); err != nil {
						t.Error(err)
					}
					time.Sleep(20 * time.Millisecond)
				}
			}
			close(stop)
			scoring.Wait()
		})
	}
}

// TestWeightsThatHaveChanged describes a model, and loads it before and after its weights become others.
func TestWeightsThatHaveChanged(t *testing.T) {
	dir, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for to, from := range map[string]string{"tokenizer.json": "bert/tokenizer.json", "config.json": "bert/config.json", "model.onnx": "graphs/beside.onnx", "beside.weights": "graphs/beside.weights"} {
		if err := copyFile(filepath.Join(dir, to), filepath.Join("testdata", from)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := model.Directory("beside", dir, "")
	if err != nil {
		t.Fatal(err)
	}
	open(t, f, Options{})
	if err := os.WriteFile(filepath.Join(dir, "beside.weights"), make([]byte, 64_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(f, Options{}); !errors.Is(err, errChanged) {
		t.Errorf("got error %v, want %v", err, errChanged)
	}
	if left, err := filepath.Glob(filepath.Join(temporary, "*")); err != nil || len(left) != 0 {
		t.Errorf("got %v left behind, %v, want nothing", left, err)
	}
}

// TestWeightsBesideAConstant loads a graph whose weights beside it are not an initializer's but a node's, as some exporters have them.
func TestWeightsBesideAConstant(t *testing.T) {
	dir := t.TempDir()
	for to, from := range map[string]string{"tokenizer.json": "bert/tokenizer.json", "config.json": "bert/config.json", "beside.weights": "graphs/beside.weights"} {
		if err := copyFile(filepath.Join(dir, to), filepath.Join("testdata", from)); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(filepath.Join("testdata", "graphs", "beside.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), constantsOf(t, file), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := model.Directory("constant", dir, "")
	if err != nil {
		t.Fatal(err)
	}
	query, doc := []uint32{7}, []uint32{8, 9}
	got, err := open(t, f, Options{}).Score(t.Context(), query, doc)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := openGraph(t, "beside").Score(t.Context(), query, doc); err != nil || got != want {
		t.Errorf("got %v, want %v, %v, as with an initializer", got, want, err)
	}
}

// constantsOf is an ONNX file in which Constant nodes stand for the initializers: GraphProto{node = 1: NodeProto{output = 2, op_type = 4,
// attribute = 5: AttributeProto{name = 1, t = 5, type = 20}}, initializer = 5: TensorProto{name = 8}}.
func constantsOf(t *testing.T, file []byte) []byte {
	t.Helper()
	bytes := func(to []byte, number protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), b)
	}
	var result []byte
	err := eachField(file, func(f field) error {
		if f.number != 7 || f.bytes == nil {
			if f.bytes != nil {
				result = bytes(result, f.number, f.bytes)
			} else {
				result = protowire.AppendVarint(protowire.AppendTag(result, f.number, protowire.VarintType), f.value)
			}
			return nil
		}
		var constants, others []byte
		err := eachField(f.bytes, func(g field) error {
			if g.number != 5 {
				others = bytes(others, g.number, g.bytes)
				return nil
			}
			var name []byte
			err := eachField(g.bytes, func(tensor field) error {
				if tensor.number == 8 {
					name = tensor.bytes
				}
				return nil
			})
			const tensorAttribute = 4
			attribute := bytes(bytes(nil, 1, []byte("value")), 5, g.bytes)
			attribute = protowire.AppendVarint(protowire.AppendTag(attribute, 20, protowire.VarintType), tensorAttribute)
			constants = bytes(constants, 1, bytes(bytes(bytes(nil, 2, name), 4, []byte("Constant")), 5, attribute))
			return err
		})
		result = bytes(result, 7, append(constants, others...))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestWeightsThatAreNotThere(t *testing.T) {
	dir := t.TempDir()
	f := graphFiles(t, "beside")
	path := filepath.Join(dir, "model.onnx")
	if err := copyFile(path, f.GraphPath); err != nil {
		t.Fatal(err)
	}
	f.GraphPath = path
	if _, err := Open(f, Options{}); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "beside.weights")+", which is not there") {
		t.Errorf("got error %v, want one that names the file", err)
	}
}

// TestMemoryThatIsNotThere has ONNX Runtime ask for more memory than there can be.
func TestMemoryThatIsNotThere(t *testing.T) {
	m := openGraph(t, "too_large")
	for range 3 {
		if got, err := m.Score(t.Context(), []uint32{7}, []uint32{8}); err == nil {
			t.Errorf("got %v, want an error", got)
		}
		// What could not be had leaves the session in order.
		if got, err := m.Score(t.Context(), nil, nil); err != nil || got != 0 {
			t.Errorf("got %v, %v, want 0", got, err)
		}
	}
}

// TestTextsWithoutMeasure reads what no document should be, and no query: the time and memory that it takes is bounded, and scoring goes on.
func TestTextsWithoutMeasure(t *testing.T) {
	const megabytes = 50
	texts := []struct{ name, text string }{
		{"prose", strings.Repeat("kalo miren, rensta tor. ", megabytes<<20/24)},
		{"one word", strings.Repeat("kalomiren", megabytes<<20/9)},
		{"white space", strings.Repeat(" \n\t ", megabytes<<20/4)},
		{"NUL", strings.Repeat("\x00", megabytes<<20)},
		{"not UTF-8", strings.Repeat("\xff", megabytes<<20)},
	}
	query := strings.Repeat("kalo miren? ", 100<<10/12)
	for _, name := range goldenModels {
		m := openGolden(t, name, Options{})
		for _, c := range texts {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			score(t, m, query, c.text)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if took > 20*time.Second {
				t.Errorf("%s, %s: took %v", name, c.name, took)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 128<<20 {
				t.Errorf("%s, %s: allocated %d MB", name, c.name, allocated>>20)
			}
			t.Logf("%s, %s: %v, %d kB", name, c.name, took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>10)
		}
		// Nothing but white space, on both sides.
		score(t, m, " \n", "\t\u3000 ")
	}
}
