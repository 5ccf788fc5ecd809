// Package model finds the files of a cross-encoder: the one inside the program, or one in a directory laid out as its publisher left it.
//
// It reads and describes; it runs nothing. A [Files] is what package onnx opens. The package is pure Go.
package model

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Precisions of a graph, as an operator writes them and as [Files] reports them.
const (
	FP32 = "fp32"
	FP16 = "fp16"
	INT8 = "int8"
)

// Files is one model, found and described, not yet loaded.
type Files struct {
	Name      string // as in the configuration
	Graph     []byte // the ONNX graph, or nil where GraphPath names it
	GraphPath string // the ONNX graph's file, or "" where Graph holds it
	Tokenizer []byte // tokenizer.json
	Config    []byte // config.json
	Precision string // of most of the weights: FP32, FP16 or INT8
	Choice    string // why that precision: "this processor has AVX512-VNNI"
	Warning   string // what is to be said against it; else ""

	// Digest is the SHA-256 of the graph in lower-case hexadecimal. Where weights are in files beside the graph, it is that of the lines
	// "DIGEST PATH" of the graph and of each of those files.
	Digest    string
	Source    string // "embedded", or the directory
	License   string // SPDX identifier, or "" where the files do not say
	Languages string // that it was made for: "English", or codes as "zh, en", or "multilingual"; "" where nothing says
	MaxLength int    // tokens of a query and a document together, special ones included, that the model was made for
}

// Open finds a model by its source: "embedded" (or ""), the path of a directory, or the name that a model hub gives it
// ("mixedbread-ai/mxbai-rerank-xsmall-v1"), which is looked for under directory ("" = [DefaultDirectory]). A path is absolute or begins with a dot.
//
// precision chooses among the graphs of a directory; "" takes what this processor is fastest with ([Preferred]). Nothing is downloaded.
func Open(name, source, precision, directory string) (*Files, error) {
	return open(name, source, precision, directory, int8Instructions())
}

// open is Open on a processor with these instructions for int8.
func open(name, source, precision, directory, instructions string) (*Files, error) {
	if source == "" || source == "embedded" {
		f, err := Embedded()
		if err != nil {
			return nil, err
		}
		if precision != "" && precision != f.Precision {
			return nil, fmt.Errorf("model %q: the embedded model is %s, not %s", name, f.Precision, precision)
		}
		f.Name = cmp.Or(name, f.Name)
		f.Choice, f.Warning = choice(precision, f.Precision, 1, instructions)
		return f, nil
	}
	if IsPath(source) {
		return readDirectory(name, source, precision, instructions)
	}
	f, err := readDirectory(name, filepath.Join(cmp.Or(directory, DefaultDirectory(os.LookupEnv)), filepath.FromSlash(source)), precision, instructions)
	if missing, ok := errors.AsType[*NotFoundError](err); ok {
		missing.Pull = pullCommand(source, precision, directory)
	}
	if err != nil {
		return nil, err
	}
	if known := lookUp(source); known != nil {
		f.License, f.Languages = known.License, known.Languages
	}
	return f, nil
}

// IsPath tells the path of a directory from the name of a published model.
func IsPath(source string) bool { return filepath.IsAbs(source) || strings.HasPrefix(source, ".") }

// pullCommand is the command after which [Open] finds the model.
func pullCommand(source, precision, directory string) string {
	command := "rerankd model pull " + source
	if precision != "" {
		command += " --precision " + precision
	}
	if directory != "" {
		command += " --to " + filepath.Join(directory, filepath.FromSlash(source))
	}
	return command
}

// graphNames are the places where publishers put a graph, by precision. Several hold the same thing: the first that exists is taken. The
// longer names are those that sentence-transformers and optimum give to what they quantise for a kind of processor; all run on all.
var graphNames = map[string][]string{
	FP32: {"model.onnx", "onnx/model.onnx"},
	FP16: {"onnx/model_fp16.onnx", "model_fp16.onnx"},
	INT8: {
		"onnx/model_quantized.onnx", "model_quantized.onnx", "onnx/model_int8.onnx", "model_int8.onnx",
		"onnx/model_qint8_avx512_vnni.onnx", "onnx/model_qint8_arm64.onnx", "onnx/model_qint8_avx512.onnx", "onnx/model_quint8_avx2.onnx",
		"model.onnx", "onnx/model.onnx",
	},
}

// GraphPaths are the places where publishers put a graph of a precision, the first that exists being the one that is loaded. A name that
// may hold any precision is among those of FP32 only.
func GraphPaths(precision string) []string {
	paths := slices.Clone(graphNames[precision])
	if precision == INT8 {
		paths = slices.DeleteFunc(paths, func(p string) bool { return slices.Contains(graphNames[FP32], p) })
	}
	return paths
}

// DefaultDirectory is where published models lie where nothing else is said: $RERANKD_MODELS, or rerankd/models among the user's data
// ($XDG_DATA_HOME, by default ~/.local/share), or /var/lib/rerankd/models for a service that has no home.
func DefaultDirectory(lookup func(string) (string, bool)) string {
	if dir, ok := lookup("RERANKD_MODELS"); ok && dir != "" {
		return dir
	}
	if data, ok := lookup("XDG_DATA_HOME"); ok && filepath.IsAbs(data) {
		return filepath.Join(data, "rerankd", "models")
	}
	if home, ok := lookup("HOME"); ok && filepath.IsAbs(home) && home != "/" {
		return filepath.Join(home, ".local", "share", "rerankd", "models")
	}
	return "/var/lib/rerankd/models"
}

// Directory reads a model as it is published: a graph (model.onnx, onnx/model.onnx, onnx/model_quantized.onnx), tokenizer.json and
// config.json, and tokenizer_config.json where there is one. The graph stays on disk; it is read once for its digest.
//
// A file that is missing is a [*NotFoundError]; a graph of another precision than the one asked for is an error that says so.
func Directory(name, dir, precision string) (*Files, error) {
	return readDirectory(name, dir, precision, int8Instructions())
}

// readDirectory is Directory on a processor with these instructions for int8.
func readDirectory(name, dir, precision, instructions string) (*Files, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, &NotFoundError{Name: name, What: "directory", Tried: []string{dir}}
	}
	precisions, _ := preferred(instructions)
	if precision != "" {
		precisions = []string{precision}
	}
	graphs, err := findGraphs(name, dir, precisions)
	if err != nil {
		return nil, err
	}
	path := graphs[0]
	f := &Files{Name: name, GraphPath: path, Source: dir}
	if f.Digest, f.Precision, err = describe(path); err != nil {
		return nil, fmt.Errorf("model %q: reading the graph %s: %w", name, path, err)
	}
	if precision != "" && precision != f.Precision {
		return nil, fmt.Errorf("model %q: %s is %s, not %s", name, path, f.Precision, precision)
	}
	f.Choice, f.Warning = choice(precision, f.Precision, len(graphs), instructions)
	if f.Tokenizer, err = readFile(name, dir, "tokenizer.json"); err != nil {
		return nil, err
	}
	if f.Config, err = readFile(name, dir, "config.json"); err != nil {
		return nil, err
	}
	// Not every publisher writes this one, and it only ever lowers the length that config.json gives.
	settings, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("model %q: reading tokenizer_config.json: %w", name, err)
	}
	if f.MaxLength, err = maxLength(f.Config, settings); err != nil {
		return nil, fmt.Errorf("model %q: %w", name, err)
	}
	if f.License, f.Languages, err = readCard(dir); err != nil {
		return nil, fmt.Errorf("model %q: reading README.md: %w", name, err)
	}
	return f, nil
}

// findGraphs returns the paths of the graphs that are there, the one to take first.
func findGraphs(name, dir string, precisions []string) ([]string, error) {
	var candidates []string
	for _, p := range precisions {
		if graphNames[p] == nil {
			return nil, fmt.Errorf("model %q: precision %q is none of fp32, fp16, int8", name, p)
		}
		candidates = append(candidates, graphNames[p]...)
	}
	var graphs []string
	tried := make([]string, 0, len(candidates))
	for _, c := range candidates {
		path := filepath.Join(dir, filepath.FromSlash(c))
		if slices.Contains(tried, path) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			graphs = append(graphs, path)
		}
		tried = append(tried, path)
	}
	if len(graphs) == 0 {
		return nil, &NotFoundError{Name: name, What: "ONNX graph", Tried: tried}
	}
	return graphs, nil
}

func readFile(name, dir, file string) ([]byte, error) {
	path := filepath.Join(dir, file)
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, &NotFoundError{Name: name, What: file, Tried: []string{path}}
	}
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", name, err)
	}
	return data, nil
}

// GraphDigest is the digest of a graph, and of the weights beside it, as in [Files].
func GraphDigest(path string) (string, error) {
	digest, _, err := describe(path)
	return digest, err
}

// describe reads a graph, and the weights beside it, once for their digest, and its headers for the precision of its weights.
func describe(path string) (digest, precision string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return "", "", err
	}
	precision, beside, err := weights(file, size)
	if err != nil {
		return "", "", err
	}
	if digest, err = fileDigest(path); err != nil || len(beside) == 0 {
		return digest, precision, err
	}
	all := sha256.New()
	fmt.Fprintf(all, "%s %s\n", digest, filepath.Base(path))
	slices.Sort(beside)
	for _, b := range beside {
		if !filepath.IsLocal(filepath.FromSlash(b)) {
			return "", "", fmt.Errorf("its weights are in %q, outside of its directory", b)
		}
		d, err := fileDigest(filepath.Join(filepath.Dir(path), filepath.FromSlash(b)))
		if err != nil {
			return "", "", fmt.Errorf("reading its weights: %w", err)
		}
		fmt.Fprintf(all, "%s %s\n", d, b)
	}
	return hex.EncodeToString(all.Sum(nil)), precision, nil
}

// Architecture says in one line what config.json says of the model's shape; "" where it says nothing.
func (f *Files) Architecture() string {
	var c struct {
		Type       string `json:"model_type"`
		Layers     int    `json:"num_hidden_layers"`
		Width      int    `json:"hidden_size"`
		Vocabulary int    `json:"vocab_size"`
	}
	if err := json.Unmarshal(f.Config, &c); err != nil {
		return ""
	}
	var said []string
	if c.Type != "" {
		said = append(said, c.Type)
	}
	for _, n := range []struct {
		count int
		of    string
	}{{c.Layers, "layers"}, {c.Width, "wide"}, {c.Vocabulary, "tokens in its vocabulary"}} {
		if n.count > 0 { // some kinds have other names for it
			said = append(said, fmt.Sprint(n.count, " ", n.of))
		}
	}
	return strings.Join(said, ", ")
}

func fileDigest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Identity tells a model from any other in one line: for logs, and for people.
func (f *Files) Identity() string {
	return fmt.Sprintf("%s %s sha256:%.12s", cmp.Or(f.Source, f.Name), f.Precision, f.Digest)
}

// maxLength is how many tokens the model takes: its position embeddings, or less where the tokenizer's settings say so.
func maxLength(config, tokenizerConfig []byte) (int, error) {
	var c struct {
		ModelType string `json:"model_type"`
		Positions int    `json:"max_position_embeddings"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return 0, fmt.Errorf("reading config.json: %w", err)
	}
	length := c.Positions
	switch c.ModelType {
	case "roberta", "xlm-roberta", "camembert":
		// These count positions from the padding id's place on: two of their embeddings are never a token's.
		length -= 2
	}
	var t struct {
		// A float, since "no limit" is written as 1e30.
		Limit float64 `json:"model_max_length"`
	}
	if len(tokenizerConfig) > 0 {
		if err := json.Unmarshal(tokenizerConfig, &t); err != nil {
			return 0, fmt.Errorf("reading tokenizer_config.json: %w", err)
		}
	}
	if t.Limit > 0 && (length <= 0 || t.Limit < float64(length)) && t.Limit < 1<<20 {
		length = int(t.Limit)
	}
	if length <= 0 {
		return 0, fmt.Errorf("reading config.json: max_position_embeddings is %d: the model's length is not known", c.Positions)
	}
	return length, nil
}

// NotFoundError names a file of a model that is not there, and every place that was looked at.
type NotFoundError struct {
	Name  string   // the model's, as in the configuration
	What  string   // what is missing
	Tried []string // paths, in the order in which they were tried

	Pull string // the command that gets it, where it was looked for by its name on a hub
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("model %q: no %s: looked for %s", e.Name, e.What, strings.Join(e.Tried, ", "))
}

// Hint says what to do about it, for the person at the terminal.
func (e *NotFoundError) Hint() string {
	if e.Pull != "" {
		return "`" + e.Pull + "` gets it from the model hub"
	}
	return "a model is a directory with model.onnx, onnx/model.onnx or onnx/model_quantized.onnx, tokenizer.json and config.json, " +
		"as its publisher lays it out; `source: embedded` needs no files"
}
