package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/onnx"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// openRunner loads a model with ONNX Runtime.
func openRunner(f *model.Files, c config.Model) (runner, error) {
	m, err := onnx.Open(f, onnx.Options{MaxLength: c.MaxLength, SpecialTokens: c.SpecialTokens == "control", Prepared: onnx.PreparedDirectory(), Workers: c.Workers})
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

// identity is what scores are remembered under: all that they depend on, and nothing of how the model is shared among searches.
func (k modelKey) identity() string {
	k.Workers, k.Queue, k.MinWindow, k.Languages = 0, 0, 0, ""
	return fmt.Sprintf("%+v", k)
}

// A loadedModel is one model in memory, warm, or a server that has one.
type loadedModel struct {
	key    modelKey
	files  model.Files // without the contents, which the runner has
	runner runner      // as it was loaded first; what it says of texts stays true when the model was loaded anew. nil: in a server
	model  scorer
	cost   schedule.Cost // as it was measured when the model was loaded
	fault  error         // why a server did not answer then
}

// A scorer is a model at work.
type scorer interface {
	rerank.Scorer
	Stats() schedule.Stats
	Cost() schedule.Cost
	Close()
}

// tokens are those of a pair, as the model reads it; of a model elsewhere, as many as English usually has.
func (m *loadedModel) tokens(query, text string) int {
	if m.runner == nil {
		return (len(query)+len(text))/4 + 3
	}
	q, _ := m.runner.Tokenize(query)
	t, err := m.runner.Tokenize(text)
	if err != nil {
		return 0
	}
	return min(len(q)+len(t)+3, m.files.MaxLength) // [CLS] query [SEP] document [SEP]
}

// loadModel loads and measures a model.
func (p *program) loadModel(ctx context.Context, name string, f *model.Files, key modelKey) (*loadedModel, error) {
	c := key.Model
	r, err := p.open(f, c)
	if err != nil {
		return nil, fmt.Errorf("loading the model: %w", err)
	}
	if m, ok := r.(*onnx.Model); ok && m.LeftAside() != nil {
		p.logger.Warn("model loaded without its prepared graph", "model", name, "error", m.LeftAside())
	}
	o := schedule.Options{
		Workers: c.Workers, Queue: c.Queue, MinWindow: c.MinWindow, AnyLanguage: c.Languages == "multilingual",
		Caches: p.caches, Identity: key.identity(),
		Reopen: func(context.Context) (schedule.Runner, error) { return p.reopenModel(name, key) },
		Logger: p.logger.With("model", name),
	}
	if c.Workers == 0 {
		o.Pool = p.pool
	}
	m := schedule.New(r, o)
	cost, err := m.Warm(ctx)
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("warming the model: %w", err)
	}
	p.logger.Info("model loaded", "model", name, "is", f.Identity(), "why", f.Choice, "ms_per_document", milliseconds(cost, typicalTokens))
	if f.Warning != "" {
		p.logger.Warn(f.Warning, "model", name)
	}
	l := &loadedModel{key: key, files: *f, runner: r, model: m, cost: cost}
	l.files.Graph, l.files.Tokenizer, l.files.Config = nil, nil, nil
	return l, nil
}

// reopenModel loads a model once more from the files that it was loaded from. It is for a model that has broken.
func (p *program) reopenModel(name string, key modelKey) (schedule.Runner, error) {
	f, err := model.Open(name, key.Source, key.Precision, key.Directory)
	if err != nil {
		return nil, err
	}
	if newModelKey(key.Model, f) != key {
		return nil, errors.New("its files are not the ones that it was loaded from: a reload of the configuration takes the new ones")
	}
	return p.open(f, key.Model)
}

func closeModel(m *loadedModel) { m.model.Close() }

// milliseconds is the cost of a document, for people.
func milliseconds(c schedule.Cost, tokens int) float64 {
	return float64(c.Document(tokens).Microseconds()) / 1000
}
