package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/onnx"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// openRunner loads a model with ONNX Runtime.
func openRunner(f *model.Files, c config.Model) (runner, error) {
	m, err := onnx.Open(f, onnx.Options{MaxLength: c.MaxLength})
	if err != nil {
		return nil, err // and not a *onnx.Model that is nil inside a runner that is not
	}
	return m, nil
}

// A modelKey is everything that makes two entries of a configuration the same model. The digest, which is of all the model's files, is
// there because those of a directory may have changed under the same name.
type modelKey struct {
	config.Model
	digest    string
	precision string
}

func newModelKey(c config.Model, f *model.Files) modelKey {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d %d %d\n", f.Digest, f.MaxLength, len(f.Tokenizer), len(f.Config))
	h.Write(f.Tokenizer)
	h.Write(f.Config)
	return modelKey{c, hex.EncodeToString(h.Sum(nil)), f.Precision}
}

// A loadedModel is one model in memory, warm.
type loadedModel struct {
	key    modelKey
	files  model.Files // without the contents, which the runner has
	runner runner
	model  *schedule.Model
	cost   schedule.Cost
}

// loadModel loads and measures a model.
func loadModel(ctx context.Context, open func(*model.Files, config.Model) (runner, error), f *model.Files, key modelKey) (*loadedModel, error) {
	c := key.Model
	r, err := open(f, c)
	if err != nil {
		return nil, fmt.Errorf("loading the model: %w", err)
	}
	m := schedule.New(r, schedule.Options{Workers: c.Workers, Queue: c.Queue})
	cost, err := m.Warm(ctx)
	if err != nil {
		m.Close()
		return nil, errors.Join(fmt.Errorf("warming the model: %w", err), r.Close())
	}
	l := &loadedModel{key: key, files: *f, runner: r, model: m, cost: cost}
	l.files.Graph, l.files.Tokenizer, l.files.Config = nil, nil, nil
	return l, nil
}

func closeModel(m *loadedModel) {
	m.model.Close()
	_ = m.runner.Close() // nobody is left who could be told, and what it held is gone either way
}

// typicalTokens are those of a query and a document of some sentences.
const typicalTokens = 120

// The bounds of a window that nobody has set: below the first there is little to reorder, above the second the cluster's own work and
// the size of its answer begin to show.
const (
	minWindow = 10
	maxWindow = 50
)

// window is what fits into the budget.
func window(c schedule.Cost, budget time.Duration, tokens int) int {
	return min(max(c.Window(budget, tokens), minWindow), maxWindow)
}

// milliseconds is the cost of a document, for people.
func milliseconds(c schedule.Cost, tokens int) float64 {
	return float64(c.Document(tokens).Microseconds()) / 1000
}
