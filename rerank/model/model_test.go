package model

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestEmbedded(t *testing.T) {
	f, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(f.Graph), embeddedSize; got != want {
		t.Errorf("got a graph of %d bytes, want %d", got, want)
	}
	precision, _, err := weights(bytes.NewReader(f.Graph), int64(len(f.Graph)))
	if err != nil || precision != f.Precision {
		t.Errorf("got weights of precision %q, %v, want %q", precision, err, f.Precision)
	}
	length, err := maxLength(f.Config, nil)
	if err != nil || length != f.MaxLength {
		t.Errorf("got a length of %d, %v, want %d", length, err, f.MaxLength)
	}
	notice, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{f.Digest, f.License} {
		if !strings.Contains(string(notice), want) || !strings.Contains(Card(), want) {
			t.Errorf("NOTICE or the model's card do not say %s", want)
		}
	}
	for name, stored := range map[string][]byte{"graph": embeddedGraph, "tokenizer": f.Tokenizer, "configuration": f.Config} {
		if digest := fmt.Sprintf("%x", sha256.Sum256(stored)); !strings.Contains(string(notice), digest) {
			t.Errorf("NOTICE does not have the digest of the stored %s, %s", name, digest)
		}
	}
}

// graph is an ONNX graph with one weight of n elements of an ONNX data type, and an int64 shape constant.
func graph(dataType uint64, n int) []byte {
	tensor := func(dataType uint64, packed bool, dims ...int) []byte {
		var b []byte
		if packed {
			var d []byte
			for _, n := range dims {
				d = protowire.AppendVarint(d, uint64(n))
			}
			b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), d)
		} else {
			for _, n := range dims {
				b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), uint64(n))
			}
		}
		b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), dataType)
		return protowire.AppendBytes(protowire.AppendTag(b, 9, protowire.BytesType), make([]byte, 3000))
	}
	var g []byte
	g = protowire.AppendBytes(protowire.AppendTag(g, 2, protowire.BytesType), []byte("a graph"))
	g = protowire.AppendBytes(protowire.AppendTag(g, 5, protowire.BytesType), tensor(dataType, true, 10, n))
	g = protowire.AppendBytes(protowire.AppendTag(g, 5, protowire.BytesType), tensor(dataType, false, 3, n))
	g = protowire.AppendBytes(protowire.AppendTag(g, 5, protowire.BytesType), tensor(1, true, 5)) // biases stay float32
	g = protowire.AppendBytes(protowire.AppendTag(g, 5, protowire.BytesType), tensor(7, true, 1000))
	var m []byte
	m = protowire.AppendVarint(protowire.AppendTag(m, 1, protowire.VarintType), 8)
	m = protowire.AppendFixed64(protowire.AppendTag(m, 100, protowire.Fixed64Type), 1)
	return protowire.AppendBytes(protowire.AppendTag(m, 7, protowire.BytesType), g)
}

func TestWeightPrecision(t *testing.T) {
	for dataType, want := range map[uint64]string{1: FP32, 2: INT8, 3: INT8, 10: FP16} {
		g := graph(dataType, 100)
		if got, _, err := weights(bytes.NewReader(g), int64(len(g))); err != nil || got != want {
			t.Errorf("data type %d: got %q, %v, want %q", dataType, got, err, want)
		}
	}
}

func TestWhatIsNoGraph(t *testing.T) {
	whole := graph(1, 100)
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0"), "page": []byte("<!doctype html><title>404"),
		"half": whole[:len(whole)/2], "one byte short": whole[:len(whole)-1], "no weights": {8, 8},
	} {
		if got, _, err := weights(bytes.NewReader(data), int64(len(data))); err == nil || !strings.Contains(err.Error(), "not an ONNX graph") {
			t.Errorf("%s: got %q, %v, want an error that says it is no graph", name, got, err)
		}
	}
}

func FuzzWeightPrecision(f *testing.F) {
	f.Add(graph(1, 10))
	f.Add(graph(3, 10)[:100])
	f.Add([]byte{0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, beside, err := weights(bytes.NewReader(data), int64(len(data)))
		if (err == nil) != (got == FP32 || got == FP16 || got == INT8) || len(beside) > len(data) {
			t.Errorf("got %q, %q, %v", got, beside, err)
		}
	})
}

const config = `{"model_type": "deberta-v2", "max_position_embeddings": 512}`

// published lays a model out in a new directory.
func published(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDirectory(t *testing.T) {
	fp32, int8, fp16 := string(graph(1, 100)), string(graph(3, 100)), string(graph(10, 100))
	both := map[string]string{"onnx/model.onnx": fp32, "onnx/model_quantized.onnx": int8, "onnx/model_fp16.onnx": fp16}
	for _, c := range []struct {
		name          string
		graphs        map[string]string
		precision     string
		path, measure string
		instructions  string
	}{
		{"at the top", map[string]string{"model.onnx": fp32}, "", "model.onnx", FP32, "VNNI"},
		{"at the top, in int8", map[string]string{"model.onnx": int8}, "", "model.onnx", INT8, "VNNI"},
		{"at the top, int8 asked for", map[string]string{"model.onnx": int8}, INT8, "model.onnx", INT8, ""},
		{"as published, on a processor with instructions for int8", both, "", "onnx/model_quantized.onnx", INT8, "VNNI"},
		{"as published, on one without", both, "", "onnx/model.onnx", FP32, ""},
		{"as published, fp32", both, FP32, "onnx/model.onnx", FP32, "VNNI"},
		{"as published, int8", both, INT8, "onnx/model_quantized.onnx", INT8, ""},
		{"as published, fp16", both, FP16, "onnx/model_fp16.onnx", FP16, "VNNI"},
		{"only the small one was fetched", map[string]string{"onnx/model_quantized.onnx": int8}, "", "onnx/model_quantized.onnx", INT8, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"tokenizer.json": "{}", "config.json": config}
			maps.Copy(files, c.graphs)
			dir := published(t, files)
			f, err := directory("large", dir, c.precision, c.instructions)
			if err != nil {
				t.Fatal(err)
			}
			if chosen := c.precision == "" && (c.measure == INT8) == (c.instructions != ""); (f.Choice != "") != chosen {
				t.Errorf("got the choice %q, want one: %v", f.Choice, chosen)
			}
			if warned := c.measure == FP16 || c.measure == INT8 && c.instructions == ""; (f.Warning != "") != warned {
				t.Errorf("got the warning %q, want one: %v", f.Warning, warned)
			}
			if want := filepath.Join(dir, filepath.FromSlash(c.path)); f.GraphPath != want {
				t.Errorf("got graph %s, want %s", f.GraphPath, want)
			}
			if f.Precision != c.measure || f.Name != "large" || f.Source != dir || f.MaxLength != 512 || len(f.Digest) != 64 || string(f.Tokenizer) != "{}" {
				t.Errorf("got %+v, want %s, large, %s, 512 tokens and a digest", f, c.measure, dir)
			}
		})
	}
}

func TestDigestIsOfTheGraph(t *testing.T) {
	dir := published(t, map[string]string{"model.onnx": string(graph(1, 100)), "tokenizer.json": "{}", "config.json": config})
	before, err := Directory("m", dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), graph(1, 101), 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := Directory("m", dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if before.Digest == after.Digest {
		t.Errorf("two graphs have one digest: %s", after.Digest)
	}
}

// beside is a graph whose weights are in other files.
func beside(locations ...string) []byte {
	var g []byte
	for _, l := range locations {
		entry := func(key, value string) []byte {
			e := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte(key))
			return protowire.AppendBytes(protowire.AppendTag(e, 2, protowire.BytesType), []byte(value))
		}
		b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 100)
		b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), 1)
		b = protowire.AppendBytes(protowire.AppendTag(b, 13, protowire.BytesType), entry("location", l))
		b = protowire.AppendBytes(protowire.AppendTag(b, 13, protowire.BytesType), entry("offset", "4096"))
		b = protowire.AppendVarint(protowire.AppendTag(b, 14, protowire.VarintType), 1)
		g = protowire.AppendBytes(protowire.AppendTag(g, 5, protowire.BytesType), b)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), g)
}

// The digest of a model is also that of the weights beside its graph, which must be within its directory.
func TestWeightsBeside(t *testing.T) {
	dir := published(t, map[string]string{
		"onnx/model.onnx": string(beside("model.onnx_data", "model.onnx_data", "more/data")), "onnx/model.onnx_data": "weights", "onnx/more/data": "more",
		"tokenizer.json": "{}", "config.json": config,
	})
	digest := func() string {
		f, err := Directory("m", dir, "")
		if err != nil {
			t.Fatal(err)
		}
		return f.Digest
	}
	before := digest()
	if again := digest(); again != before || len(before) != 64 {
		t.Errorf("got the digests %s and %s of one model", before, again)
	}
	if err := os.WriteFile(filepath.Join(dir, "onnx", "more", "data"), []byte("else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := digest(); after == before {
		t.Errorf("other weights have the same digest, %s", after)
	}
	for location, want := range map[string]string{"../../etc/passwd": "outside of its directory", "/etc/passwd": "outside of its directory", "gone": "reading its weights"} {
		if err := os.WriteFile(filepath.Join(dir, "onnx", "model.onnx"), beside(location), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Directory("m", dir, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("weights in %s: got %v, want %q", location, err, want)
		}
	}
}

func TestWhatIsMissing(t *testing.T) {
	whole := map[string]string{"model.onnx": string(graph(1, 100)), "tokenizer.json": "{}", "config.json": config}
	for _, missing := range []string{"model.onnx", "tokenizer.json", "config.json"} {
		files := maps.Clone(whole)
		delete(files, missing)
		dir := published(t, files)
		_, err := Directory("large", dir, "")
		var notFound *NotFoundError
		if !errors.As(err, &notFound) {
			t.Fatalf("without %s: got error %v, want a NotFoundError", missing, err)
		}
		if !slices.Contains(notFound.Tried, filepath.Join(dir, missing)) || !strings.Contains(err.Error(), `model "large"`) || notFound.Hint() == "" {
			t.Errorf("without %s: got error %q, want one that names the model and the path", missing, err)
		}
		if once := slices.Compact(slices.Sorted(slices.Values(notFound.Tried))); len(once) != len(notFound.Tried) {
			t.Errorf("without %s: got %q, want each place once", missing, notFound.Tried)
		}
	}
	_, err := Directory("large", "/nowhere/at/all", "")
	if err == nil || !strings.Contains(err.Error(), "/nowhere/at/all") {
		t.Errorf("got error %v, want one that names the directory", err)
	}
}

func TestWhatIsWrong(t *testing.T) {
	whole := map[string]string{"model.onnx": string(graph(1, 100)), "tokenizer.json": "{}", "config.json": config}
	for _, c := range []struct{ name, file, content, precision, want string }{
		{"another precision than asked for", "model.onnx", whole["model.onnx"], INT8, "is fp32, not int8"},
		{"a precision that is none", "model.onnx", whole["model.onnx"], "int4", `"int4" is none of`},
		{"a pointer in the place of a graph", "model.onnx", "version https://git-lfs.github.com/spec/v1\n", "", "not an ONNX graph"},
		{"a configuration that is no JSON", "config.json", "{", "", "reading config.json"},
		{"a configuration without a length", "config.json", "{}", "", "length is not known"},
		{"settings that are no JSON", "tokenizer_config.json", "[", "", "reading tokenizer_config.json"},
	} {
		files := maps.Clone(whole)
		files[c.file] = c.content
		if _, err := Directory("large", published(t, files), c.precision); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestMaxLength(t *testing.T) {
	for _, c := range []struct {
		config, settings string
		want             int
	}{
		{`{"model_type": "bert", "max_position_embeddings": 512}`, "", 512},
		{`{"model_type": "xlm-roberta", "max_position_embeddings": 514}`, "", 512},
		{`{"model_type": "bert", "max_position_embeddings": 512}`, `{"model_max_length": 256}`, 256},
		{`{"model_type": "bert", "max_position_embeddings": 512}`, `{"model_max_length": 1000000000000000019884624838656}`, 512},
		{`{"model_type": "modernbert"}`, `{"model_max_length": 8192}`, 8192},
	} {
		if got, err := maxLength([]byte(c.config), []byte(c.settings)); err != nil || got != c.want {
			t.Errorf("%s %s: got %d, %v, want %d", c.config, c.settings, got, err, c.want)
		}
	}
}

func TestOpen(t *testing.T) {
	hub := t.TempDir()
	name := "mixedbread-ai/mxbai-rerank-xsmall-v1"
	dir := published(t, map[string]string{"onnx/model_quantized.onnx": string(graph(3, 100)), "tokenizer.json": "{}", "config.json": config})
	if err := os.MkdirAll(filepath.Join(hub, "mixedbread-ai"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(hub, filepath.FromSlash(name))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ source, precision, directory, wantPrecision, wantLicense string }{
		{"", "", "", INT8, "Apache-2.0"},
		{"embedded", INT8, "", INT8, "Apache-2.0"},
		{dir, "", "", INT8, ""},
		{name, INT8, hub, INT8, "Apache-2.0"},
	} {
		f, err := Open("small", c.source, c.precision, c.directory)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		if f.Name != "small" || f.Precision != c.wantPrecision || f.License != c.wantLicense {
			t.Errorf("%s: got %s, %s, %q, want small, %s, %q", c.source, f.Name, f.Precision, f.License, c.wantPrecision, c.wantLicense)
		}
	}
	if _, err := Open("small", "embedded", FP32, ""); err == nil || !strings.Contains(err.Error(), "is int8, not fp32") {
		t.Errorf("got error %v, want one that says what the embedded model is", err)
	}
	if _, err := Open("small", "mixedbread-ai/mxbai-rerank-base-v1", "", hub); err == nil || !strings.Contains(err.Error(), filepath.Join(hub, "mixedbread-ai", "mxbai-rerank-base-v1")) {
		t.Errorf("got error %v, want one that names the directory", err)
	}
}

func TestKnown(t *testing.T) {
	for _, k := range Known() {
		if k.Name == "" || k.License == "" || k.MaxLength == 0 || len(k.Precisions) == 0 || k.Description == "" {
			t.Errorf("got %+v, want every field", k)
		}
	}
}

// TestHeadersAlone checks that telling the precision of a graph does not read its weights.
func TestHeadersAlone(t *testing.T) {
	g := graph(1, 100)
	read := &countingReader{r: bytes.NewReader(g)}
	if _, _, err := weights(read, int64(len(g))); err != nil {
		t.Fatal(err)
	}
	if read.n > len(g)/2 {
		t.Errorf("read %d bytes of %d", read.n, len(g))
	}
}

type countingReader struct {
	r io.ReaderAt
	n int
}

func (c *countingReader) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.r.ReadAt(p, at)
	c.n += n
	return n, err
}
