package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/onnx"
)

const window = 100 // documents of every search in the measurements of inference

// A subject is one model at one precision, as models.py made it.
type subject struct {
	name      string // of its shape: minilm, xsmall
	precision string
	directory string
	files     *model.Files
}

func (s subject) String() string { return s.name + " " + s.precision }

// subjects are the models that the options name, in each of the precisions they name.
func subjects(o options) ([]subject, error) {
	var all []subject
	for _, name := range strings.Split(o.shapes, ",") {
		for _, precision := range strings.Split(o.precisions, ",") {
			s := subject{name: name, precision: precision, directory: filepath.Join(o.models, name)}
			var err error
			if s.directory, err = filepath.Abs(s.directory); err != nil {
				return nil, err
			}
			if s.files, err = model.Directory(name, s.directory, precision); err != nil {
				return nil, fmt.Errorf("%w\nbench: hint: make bench-inference makes the models", err)
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// each makes a part of what is measured of every subject.
func each(measure func(subject, context.Context, io.Writer, string, options) error) func(context.Context, io.Writer, string, options) error {
	return func(ctx context.Context, out io.Writer, dir string, o options) error {
		all, err := subjects(o)
		if err != nil {
			return err
		}
		for _, s := range all {
			if err := measure(s, ctx, out, dir, o); err != nil {
				return fmt.Errorf("%v: %w", s, err)
			}
		}
		return nil
	}
}

// open loads the model into this process.
func (s subject) open() (*onnx.Model, error) { return onnx.Open(s.files, onnx.Options{}) }

// setting is that of a rerankd with the model.
func (s subject) setting() setting {
	return setting{source: s.directory, precision: s.precision, window: window}
}

// contenders starts what the model is compared with.
func (s subject) contenders(ctx context.Context, o options) (*python, error) {
	p, err := startPython(ctx, o.python, "e2e/bench/contenders.py", o.models, s.name, s.precision)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w\nbench: hint: make bench-inference makes the environment", err)
	}
	return p, err
}

// A request to contenders.py.
type request struct {
	Way      string      `json:"way"`
	Batch    int         `json:"batch,omitempty"`
	Threads  int         `json:"threads"` // of ONNX Runtime for one run; 0 is its own choice
	AtOnce   int         `json:"at_once"` // searches under way, each in a thread of its own
	Searches []judgement `json:"searches,omitempty"`
	Rows     []int       `json:"rows,omitempty"` // of the dense products
}

// A response is its answer.
type response struct {
	Milliseconds float64     `json:"milliseconds"` // for all of the request
	Scores       [][]float64 `json:"scores"`
}

// lengths are the tokens of each pair.
func lengths(m *onnx.Model, j judgement) ([]int, error) {
	query, err := m.Tokenize(j.Query)
	if err != nil {
		return nil, err
	}
	tokens := make([]int, len(j.Docs))
	for i, text := range j.Docs {
		doc, err := m.Tokenize(text)
		if err != nil {
			return nil, err
		}
		tokens[i] = m.Tokens(query, doc)
	}
	return tokens, nil
}

// spread describes lengths.
func spread(tokens []int) string {
	sorted, sum := slices.Sorted(slices.Values(tokens)), 0
	for _, n := range tokens {
		sum += n
	}
	return fmt.Sprintf("%d pairs of %.0f tokens on average (median %d, least %d, greatest %d)",
		len(sorted), float64(sum)/float64(len(sorted)), sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1])
}
