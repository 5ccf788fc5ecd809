//go:build cgo

package onnx

import (
	"fmt"
	"path/filepath"

	"github.com/rerankd/rerankd/rerank/model"
)

// FileError means that a model cannot be used: one of its files is damaged, of a kind that is not known, or another model's.
type FileError struct {
	Model string // as in the configuration
	File  string // the path, or the name alone of a model that is in no directory
	Err   error  // what was found
	hint  string
}

func (e *FileError) Error() string { return fmt.Sprintf("model %q: %s: %v", e.Model, e.File, e.Err) }
func (e *FileError) Unwrap() error { return e.Err }

// Hint says what to do about it, for the person at the terminal.
func (e *FileError) Hint() string { return e.hint }

// What to do, by what was found.
const (
	hintDamaged  = "fetch the file again and compare its digest with its publisher's"
	hintOthers   = "take the graph, tokenizer.json and config.json of one publication"
	hintChanged  = "let whatever writes the file finish, then load the model again"
	hintNotOurs  = "take a cross-encoder: a sequence classifier with one label, exported to ONNX with input_ids and attention_mask, such as those of `rerankd model list`"
	hintNotExact = "take a model with a BERT, DeBERTa-v2, XLM-RoBERTa or ModernBERT tokenizer; others would be read in another way than by their authors' program"
)

// refuse is a FileError about one of f's files: "tokenizer.json", "config.json", or "" for the graph.
func refuse(f *model.Files, file, hint string, err error) error {
	e := &FileError{Model: f.Name, File: file, Err: err, hint: hint}
	switch {
	case file == "" && f.GraphPath == "":
		e.File = "the graph"
	case file == "":
		e.File = f.GraphPath
	case f.GraphPath != "":
		e.File = filepath.Join(f.Source, file)
	}
	return e
}
