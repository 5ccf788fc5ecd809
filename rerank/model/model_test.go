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
	f.Add(message(7, message(1, message(5, message(5, tensorBeside("data"))))))
	f.Add(beside("data"))
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
	const has, hasNot = "this processor has VNNI", "this processor has no instructions for int8"
	for _, c := range []struct {
		name          string
		graphs        map[string]string
		precision     string
		path, measure string
		instructions  string
		choice        string
		warning       string
	}{
		{"at the top", map[string]string{"model.onnx": fp32}, "", "model.onnx", FP32, "VNNI", "its only graph", ""},
		{"at the top, in int8", map[string]string{"model.onnx": int8}, "", "model.onnx", INT8, "VNNI", "its only graph", ""},
		{"at the top, int8 asked for", map[string]string{"model.onnx": int8}, INT8, "model.onnx", INT8, "", "as asked for", hasNot},
		{"as published, on a processor with instructions for int8", both, "", "onnx/model_quantized.onnx", INT8, "VNNI", has, ""},
		{"as published, on one without", both, "", "onnx/model.onnx", FP32, "", hasNot, ""},
		{"as published, fp32", both, FP32, "onnx/model.onnx", FP32, "VNNI", "as asked for", ""},
		{"as published, int8", both, INT8, "onnx/model_quantized.onnx", INT8, "", "as asked for", hasNot},
		{"as published, fp16", both, FP16, "onnx/model_fp16.onnx", FP16, "VNNI", "as asked for", "fp16 graph is slower"},
		{"quantised for a kind of processor", map[string]string{"onnx/model.onnx": fp32, "onnx/model_qint8_avx512_vnni.onnx": int8, "onnx/model_quint8_avx2.onnx": fp16}, INT8, "onnx/model_qint8_avx512_vnni.onnx", INT8, "", "as asked for", hasNot},
		{"only the small one was fetched", map[string]string{"onnx/model_quantized.onnx": int8}, "", "onnx/model_quantized.onnx", INT8, "", "its only graph", hasNot},
		{"without the small one", map[string]string{"onnx/model.onnx": fp32, "onnx/model_fp16.onnx": fp16}, "", "onnx/model.onnx", FP32, "VNNI", "it has no int8 graph", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"tokenizer.json": "{}", "config.json": config}
			maps.Copy(files, c.graphs)
			dir := published(t, files)
			f, err := readDirectory("large", dir, c.precision, c.instructions)
			if err != nil {
				t.Fatal(err)
			}
			if f.Choice != c.choice || (f.Warning != "") != (c.warning != "") || !strings.Contains(f.Warning, c.warning) {
				t.Errorf("got the choice %q and the warning %q, want %q and %q", f.Choice, f.Warning, c.choice, c.warning)
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

// message is a protobuf message of messages, each under the number of its field.
func message(fields ...any) (m []byte) {
	for i := 0; i < len(fields); i += 2 {
		m = protowire.AppendBytes(protowire.AppendTag(m, protowire.Number(fields[i].(int)), protowire.BytesType), fields[i+1].([]byte))
	}
	return m
}

// tensorBeside is a weight of 100 float32 in another file.
func tensorBeside(location string) []byte {
	entry := func(key, value string) []byte { return message(1, []byte(key), 2, []byte(value)) }
	t := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 100)
	t = protowire.AppendVarint(protowire.AppendTag(t, 2, protowire.VarintType), 1)
	t = append(t, message(13, entry("location", location), 13, entry("offset", "4096"))...)
	return protowire.AppendVarint(protowire.AppendTag(t, 14, protowire.VarintType), 1)
}

// beside is a graph whose weights are in other files.
func beside(locations ...string) []byte {
	var g []byte
	for _, l := range locations {
		g = append(g, message(5, tensorBeside(l))...)
	}
	return message(7, g)
}

// Weights are found wherever a graph may have them, since the digest of a model must be of all of them.
func TestWeightsAreFoundEverywhere(t *testing.T) {
	w := tensorBeside("data")
	node := func(attribute []byte) []byte { return message(2, []byte("out"), 4, []byte("Constant"), 5, attribute) }
	for place, m := range map[string][]byte{
		"an initializer":               message(7, message(5, w)),
		"a sparse initializer":         message(7, message(15, message(1, w))),
		"its indices":                  message(7, message(15, message(2, w))),
		"an attribute":                 message(7, message(1, node(message(5, w)))),
		"a list in an attribute":       message(7, message(1, node(message(10, w)))),
		"a sparse attribute":           message(7, message(1, node(message(22, message(1, w))))),
		"a list of sparse ones":        message(7, message(1, node(message(23, message(1, w))))),
		"the branch of a condition":    message(7, message(1, node(message(6, message(5, w))))),
		"one of several branches":      message(7, message(1, node(message(11, message(1, node(message(5, w))))))),
		"a function":                   message(25, message(7, node(message(5, w)))),
		"the default of its attribute": message(25, message(11, message(5, w))),
	} {
		precision, beside, err := weights(bytes.NewReader(m), int64(len(m)))
		if err != nil || precision != FP32 || !slices.Equal(beside, []string{"data"}) {
			t.Errorf("in %s: got %q, %q, %v, want fp32 weights in the file data", place, precision, beside, err)
		}
	}
}

// A graph in an attribute of a node of a graph, and so on, ends somewhere.
func TestGraphsWithinGraphs(t *testing.T) {
	nested := func(levels int) []byte {
		g := message(5, tensorBeside("data"))
		for range levels {
			g = message(1, message(5, message(6, g)))
		}
		return message(7, g)
	}
	for levels, want := range map[int]string{20: "", 1000: "nested"} {
		m := nested(levels)
		if _, _, err := weights(bytes.NewReader(m), int64(len(m))); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d levels: got %v, want %q", levels, err, want)
		}
	}
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

func TestArchitecture(t *testing.T) {
	for config, want := range map[string]string{
		`{"model_type": "deberta-v2", "num_hidden_layers": 12, "hidden_size": 384, "vocab_size": 128100}`: "deberta-v2, 12 layers, 384 wide, 128100 tokens in its vocabulary",
		`{"model_type": "distilbert", "n_layers": 6, "dim": 768, "vocab_size": 30522}`:                    "distilbert, 30522 tokens in its vocabulary",
		`{}`: "",
		`[]`: "",
	} {
		if got := (&Files{Config: []byte(config)}).Architecture(); got != want {
			t.Errorf("%s: got %q, want %q", config, got, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	f := Files{Name: "small", Source: "/models/small", Precision: INT8, Digest: strings.Repeat("0123456789abcdef", 4)}
	if got, want := f.Identity(), "/models/small int8 sha256:0123456789ab"; got != want {
		t.Errorf("got %q, want %q", got, want)
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
	for directory, want := range map[string]string{
		hub: "`rerankd model pull owner/absent --precision fp32 --to " + filepath.Join(hub, "owner", "absent") + "`",
		"":  "`rerankd model pull owner/absent --precision fp32`",
	} {
		_, err := Open("small", "owner/absent", FP32, directory)
		if missing, ok := errors.AsType[*NotFoundError](err); !ok || !strings.HasPrefix(missing.Hint(), want) {
			t.Errorf("got error %v, want the hint %s", err, want)
		}
	}
	if _, err := Open("small", "mixedbread-ai/mxbai-rerank-base-v1", "", hub); err == nil || !strings.Contains(err.Error(), filepath.Join(hub, "mixedbread-ai", "mxbai-rerank-base-v1")) {
		t.Errorf("got error %v, want one that names the directory", err)
	}
}

// The embedded model has one graph, which is also taken where it is not the best one could have, and that is said.
func TestTheEmbeddedModelOnAnyProcessor(t *testing.T) {
	for instructions, warned := range map[string]bool{"VNNI": false, "": true} {
		for precision, choice := range map[string]string{"": "its only graph", INT8: "as asked for"} {
			f, err := open("small", "embedded", precision, "", instructions)
			if err != nil {
				t.Fatal(err)
			}
			if f.Choice != choice || (f.Warning != "") != warned {
				t.Errorf("with %q, %q asked for: got %q and the warning %q, want %q, and one: %v", instructions, precision, f.Choice, f.Warning, choice, warned)
			}
		}
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
