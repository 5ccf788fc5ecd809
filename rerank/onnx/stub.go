//go:build !cgo

// Package onnx runs a cross-encoder in this process. This build has no cgo, which the tokenizer and ONNX Runtime need: Open says so.
package onnx

import (
	"context"
	"errors"
	"time"

	"github.com/rerankd/rerankd/rerank/model"
)

var errNoCgo = errors.New("this program was built without cgo: it can run no model of its own (build it with CGO_ENABLED=1)")

// Options is the same as in a build with cgo.
type Options struct {
	MaxLength     int
	SpecialTokens bool
	Prepared      string
	Workers       int
}

// Model is never made in this build.
type Model struct{}

// Open always fails in this build.
func Open(*model.Files, Options) (*Model, error) { return nil, errNoCgo }

// PreparedDirectory is empty in this build.
func PreparedDirectory() string { return "" }

// Preparation is the same as in a build with cgo.
type Preparation struct {
	Path                   string
	Size                   int64
	Plain, Prepared, Fixed time.Duration
	Operators              []Operator
	Constant               []string
}

// Operator is the same as in a build with cgo.
type Operator struct {
	Name  string
	Count int
	Time  time.Duration
}

// Prepare always fails in this build.
func Prepare(context.Context, *model.Files, Options) (*Preparation, error) { return nil, errNoCgo }

// Version is empty in this build.
func Version() string { return "" }

func (*Model) Tokenize(string) ([]uint32, error)                          { return nil, errNoCgo }
func (*Model) Score(context.Context, []uint32, []uint32) (float32, error) { return 0, errNoCgo }
func (*Model) Tokens(query, doc []uint32) int                             { return 0 }
func (*Model) Vocabulary() string                                         { return "" }
func (*Model) Unknown() (uint32, bool)                                    { return 0, false }
func (*Model) MaxLength() int                                             { return 0 }
func (*Model) LeftAside() error                                           { return nil }
func (*Model) Close() error                                               { return nil }
