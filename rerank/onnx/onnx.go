//go:build cgo

// Package onnx runs a cross-encoder in this process: a Hugging Face tokenizer and an ONNX Runtime session behind the three methods of a
// schedule.Runner.
//
// A query and a document are tokenised apart, so that a query is tokenised once for a whole window and a document's ids can be kept. The
// pair is then put together and truncated here, exactly as the model's own tokenizer would have done it (see [Model.Score]).
//
// A run is one pair: no padding, no grouping. On a processor that costs nothing, the score of an int8 model then depends on the pair
// alone (its activation scale is taken over everything in a run), and a run that is under way can be given up after a few milliseconds.
// Parallelism comes from calling Score from several goroutines: each run stays on its caller's thread, with a session that is its own while
// it lasts.
package onnx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/rerankd/rerankd/rerank/model"
)

// Options says how a model is to read its texts. The zero value is right for searching.
type Options struct {
	// MaxLength is the most tokens of a pair, special ones included; 0 takes the model's own, which is also the most that is allowed.
	MaxLength int
	// SpecialTokens lets a text that contains the literal "[SEP]" set a control token, as the reference tokenizers do by default. It is
	// there to compare with them: left false, such a text is a text like any other, and a document cannot pass itself off as two.
	SpecialTokens bool
	// Prepared is a directory in which [Prepare] has saved graphs; "" uses none. One that is damaged is made anew.
	Prepared string
	// Workers is how many goroutines call Score at once; 0 = GOMAXPROCS. More may, but a little slower. A graph is in memory once for each of
	// them, as long as the copies take no more than 256 MB.
	Workers int
}

// Model is one loaded model. It is safe for concurrent use.
type Model struct {
	tokenizer  *tokenizer
	vocabulary vocabulary
	template   template
	maxLength  int

	workers  int
	sessions *sessions
	inputs   []input // in the session's order
	// The output that is one pair's logit, and its shape: [1, 1] or [1].
	outputName string
	output     ort.Shape

	leftAside error // why the prepared graph was not used

	// A run holds the read side, so that Close waits for the last one.
	closing sync.RWMutex
	closed  bool
}

var errNotJSON = errors.New("it is not JSON: damaged, or not the file itself but a page or a pointer to it")

// ErrClosed is returned by the methods of a Model after Close.
var ErrClosed = errors.New("model is closed")

// Open loads a model. It refuses a graph that wants inputs other than token ids, mask and segments, or that does not give one number for
// a pair, and files that do not belong together: a [*FileError] says what was found. The model is run, to be sure that it can be. Nothing
// of the model's directory stays in use: its files may change or go. Close the model after use.
func Open(f *model.Files, o Options) (_ *Model, err error) {
	m := &Model{maxLength: f.MaxLength, workers: o.Workers}
	if m.workers <= 0 {
		m.workers = runtime.GOMAXPROCS(0)
	}
	if o.MaxLength != 0 {
		if o.MaxLength < 0 || o.MaxLength > f.MaxLength {
			return nil, fmt.Errorf("model %q: a length of %d tokens is asked for, it takes 1 to %d", f.Name, o.MaxLength, f.MaxLength)
		}
		m.maxLength = o.MaxLength
	}
	if err := loadLibrary(); err != nil {
		return nil, fmt.Errorf("model %q: %w", f.Name, err)
	}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	if !json.Valid(f.Tokenizer) {
		return nil, refuse(f, "tokenizer.json", hintDamaged, errNotJSON)
	}
	if m.template, err = parseTemplate(f.Tokenizer); err != nil {
		return nil, refuse(f, "tokenizer.json", hintNotExact, err)
	}
	if m.vocabulary, err = parseVocabulary(f.Tokenizer); err != nil {
		return nil, refuse(f, "tokenizer.json", hintNotExact, err)
	}
	if err := m.vocabulary.fits(f.Config); err != nil {
		return nil, refuse(f, "config.json", hintOthers, err)
	}
	if m.maxLength < m.template.added+2 {
		return nil, fmt.Errorf("model %q: %d tokens have no room for a query and a document beside %d special ones", f.Name, m.maxLength, m.template.added)
	}
	if m.tokenizer, err = openTokenizer(f.Tokenizer, o.SpecialTokens, m.maxLength); err != nil {
		return nil, refuse(f, "tokenizer.json", hintDamaged, err)
	}
	if err := m.openSession(f, o); err != nil {
		return nil, err
	}
	if err := m.try(); err != nil {
		return nil, refuse(f, "", hintOthers, err)
	}
	return m, nil
}

// try runs the model twice. What a graph declares is not always what it gives: an empty pair tells. And the largest id that the tokenizer
// has tells whether the graph's embeddings are for it.
func (m *Model) try() error {
	ctx := context.Background()
	if _, err := m.Score(ctx, nil, nil); err != nil {
		return fmt.Errorf("running it on an empty pair: %w", err)
	}
	p := m.template.assemble(nil, nil, m.maxLength)
	p.ids[0] = int64(m.vocabulary.largest)
	if _, err := m.run(ctx, p); err != nil {
		return fmt.Errorf("running it on id %d, the largest that tokenizer.json has: %w", m.vocabulary.largest, err)
	}
	return nil
}

// Tokenize returns text's token ids, without special ones. Invalid UTF-8 is read as U+FFFD, and NUL as the reference tokenizers read it.
// Of a long text the first 1024 tokens are given, or twice the model's length where that is more; no pair has room for as many.
func (m *Model) Tokenize(text string) ([]uint32, error) {
	m.closing.RLock()
	defer m.closing.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	return m.tokenizer.encode(text)
}

// Vocabulary is a digest of everything that [Model.Tokenize] depends on: models with the same one give the same ids.
func (m *Model) Vocabulary() string { return m.tokenizer.digest }

// Unknown is the id of the token that stands for what the vocabulary lacks; ok is false where it lacks nothing, as one of bytes.
func (m *Model) Unknown() (id uint32, ok bool) {
	return m.vocabulary.unknown, m.vocabulary.hasUnknown
}

// LeftAside says why the prepared graph was not used though there is one, and nil where it was, or there is none. It does not matter to
// scores: the model was loaded from its own graph, which takes longer.
func (m *Model) LeftAside() error { return m.leftAside }

// MaxLength is the most tokens of a pair, special ones included.
func (m *Model) MaxLength() int { return m.maxLength }

// Tokens is how many tokens a run of this pair has, after truncation and with special tokens.
func (m *Model) Tokens(query, doc []uint32) int {
	q, d := longestFirst(len(query), len(doc), m.maxLength-m.template.added)
	return q + d + m.template.added
}

// Score puts the pair together by the template in tokenizer.json, truncates it "longest first" as Hugging Face tokenizers do by default,
// runs the model once on the calling thread, and returns the raw logit. A logit that is not a finite number is an error.
//
// When ctx ends, the run is given up at its next operator and ctx's error is returned.
func (m *Model) Score(ctx context.Context, query, doc []uint32) (float32, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.closing.RLock()
	defer m.closing.RUnlock()
	if m.closed {
		return 0, ErrClosed
	}
	logit, err := m.run(ctx, m.template.assemble(query, doc, m.maxLength))
	if err != nil {
		// A run that was given up says so in words of its own; what matters is why.
		if ended := ctx.Err(); ended != nil {
			return 0, ended
		}
		return 0, fmt.Errorf("running the model: %w", err)
	}
	if math.IsNaN(float64(logit)) || math.IsInf(float64(logit), 0) {
		return 0, fmt.Errorf("running the model: the logit is %v", logit)
	}
	return logit, nil
}

// Close waits for the runs under way and frees the model. It may be called more than once.
func (m *Model) Close() error {
	m.closing.Lock()
	defer m.closing.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	var err error
	if m.sessions != nil {
		err = m.sessions.destroy()
	}
	if m.tokenizer != nil {
		err = errors.Join(err, m.tokenizer.close())
	}
	return err
}
