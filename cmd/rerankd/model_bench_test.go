package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank/model"
)

// bench measures a fake model that takes texts of so many tokens at most.
func bench(t *testing.T, maxLength string) modelBenchReport {
	t.Helper()
	dir := copyModel(t)
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(`{"model_max_length": `+maxLength+`}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	e := &environment{stdout: &out, lookup: os.LookupEnv, open: func(*model.Files, config.Model) (runner, error) { return fakeRunner{}, nil }}
	if err := modelBench(t.Context(), e, modelBenchOptions{workers: 2, time: time.Millisecond, json: true}, dir); err != nil {
		t.Fatal(err)
	}
	var r modelBenchReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// copyModel is a directory with the files of a small model.
func copyModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"model.onnx", "tokenizer.json", "config.json"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "rerank", "onnx", "testdata", "bert", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Scores are remembered under all that they depend on, the weights in files beside the graph included.
func TestIdentityChangesWithTheWeightsBeside(t *testing.T) {
	dir := copyModel(t)
	// ModelProto{graph: {node: {attribute: {t: {dims: [1], data_type: FLOAT, external_data: {"location": "weights"}}}}}}
	graph := "\x3a\x21\x0a\x1f\x2a\x1d\x2a\x1b\x08\x01\x10\x01\x6a\x15\x0a\x08location\x12\x09" + "w/weights"
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), []byte(graph), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "w"), 0o700); err != nil {
		t.Fatal(err)
	}
	identity := func(weights string) string {
		if err := os.WriteFile(filepath.Join(dir, "w", "weights"), []byte(weights), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := model.Open("small", dir, "", "")
		if err != nil {
			t.Fatal(err)
		}
		return newModelKey(config.Model{Source: dir}, f).identity()
	}
	one, other, again := identity("one"), identity("other"), identity("one")
	if one == other || one != again {
		t.Errorf("got the identities %s, %s and %s of one, other and the first weights again", one, other, again)
	}
}

// The windows that bench tells of are those of the times that it tells of.
func TestBenchAgreesWithItself(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const special = 3 // tokens that are left room for, and that a fakeRunner does not have
	for maxLength, want := range map[string]struct{ lengths, typical int }{
		"512": {5, typicalTokens - special}, "100": {2, 64 - special}, "20": {1, 20 - special},
	} {
		r := bench(t, maxLength)
		if len(r.Lengths) != want.lengths || r.Typical.Tokens != want.typical {
			t.Errorf("a model of %s tokens: got %d lengths, %d tokens typical, want %+v", maxLength, len(r.Lengths), r.Typical.Tokens, want)
		}
		for _, budget := range benchBudgets {
			got := float64(r.Windows[budget.String()])
			want := 0.8 * budget.Seconds() * r.Typical.Throughput
			if math.Abs(got-want) > 2+want/100 { // a document less on each worker, and what rounding to nanoseconds does
				t.Errorf("a model of %s tokens: got a window of %v in %v, want %.0f at %.0f documents a second", maxLength, got, budget, want, r.Typical.Throughput)
			}
		}
	}
}
