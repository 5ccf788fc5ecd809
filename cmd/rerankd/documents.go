package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rerankd/rerankd/proxy/search"
)

// A document is one line of what is to be ranked.
type document struct {
	index int             // of the line, from 0, over all inputs
	text  string          // what the model reads; "" where an object has none of the fields
	raw   json.RawMessage // as it came; nil where the line is the text
}

// How lines are read.
const (
	inputAuto  = "auto"  // as JSON where an input's first line is, else as they are
	inputLines = "lines" // as they are
	inputJSON  = "json"  // each as a JSON string, or as an object of which fields are read
)

// maxLine bounds one document: no model reads more than some kilobytes of it, and what is longer is most likely no list of lines.
const maxLine = 16 << 20

// A documentReader reads documents from files, or from a stream where there are none, one after the other.
type documentReader struct {
	format string
	fields []string // of objects
	files  []string // "-" is the stream
	stream io.Reader

	template search.Template
	index    int // of the next line
}

// batchSize and batchBytes bound what is read ahead of the model.
const (
	batchSize  = 64
	batchBytes = 4 << 20
)

// read hands all documents over in batches, in order, until ctx ends. Blank lines are no documents. An error is about one line, and names
// it.
func (r *documentReader) read(ctx context.Context, batches chan<- []document) error {
	r.template = search.FieldsTemplate(r.fields)
	var batch []document
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		select {
		case batches <- batch:
			batch, size = nil, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	add := func(d document) error {
		batch, size = append(batch, d), size+len(d.text)+len(d.raw)
		if len(batch) == batchSize || size >= batchBytes {
			return flush()
		}
		return nil
	}
	files := r.files
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		if err := r.readFile(name, add); err != nil {
			return err
		}
	}
	return flush()
}

func (r *documentReader) readFile(name string, add func(document) error) error {
	if name == "-" {
		return r.readLines("standard input", r.stream, add)
	}
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading the documents: %w", err)
	}
	defer file.Close()
	return r.readLines(name, file, add)
}

func (r *documentReader) readLines(name string, input io.Reader, add func(document) error) error {
	lines := bufio.NewScanner(input)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	format := r.format
	for number := 1; lines.Scan(); number++ {
		line := lines.Bytes()
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // some editors begin every file with it
		}
		r.index++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if format == inputAuto {
			format = r.detect(line)
		}
		d, err := r.parse(line, format)
		if err != nil {
			return hintedError{fmt.Errorf("%s:%d: %w", name, number, err), r.hint(err)}
		}
		d.index = r.index - 1
		if err := add(d); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return hintedError{fmt.Errorf("%s: line %d is longer than %d MiB", name, r.index+1, maxLine>>20), "a document is one line"}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the documents: %w", err)
	}
	return nil
}

// detect says what the lines of an input are, by the first one. A line that begins like an object is one, and if it is a broken one that
// is said: nobody's text begins with a brace.
func (r *documentReader) detect(line []byte) string {
	if len(r.fields) > 0 || line[0] == '{' || line[0] == '"' && valueIn(line) == nil {
		return inputJSON
	}
	return inputLines
}

// Why a line cannot be read.
var (
	errNotUTF8  = errors.New("is not text in UTF-8")
	errNotJSON  = errors.New("is not JSON")
	errNoFields = errors.New("is an object, and no field is named whose text to read")
)

// hint says what to do about an error of parse.
func (r *documentReader) hint(err error) string {
	switch {
	case errors.Is(err, errNotUTF8):
		return "convert it: iconv -f LATIN1 -t UTF-8"
	case errors.Is(err, errNoFields):
		return "give --fields, such as --fields title,body"
	case errors.Is(err, errNotJSON) && r.format == inputAuto && len(r.fields) == 0:
		return "JSON is one document on each line (jq -c makes such); --input lines takes lines as they are"
	case errors.Is(err, errNotJSON):
		return "JSON is one document on each line; jq -c makes such"
	}
	return ""
}

func (r *documentReader) parse(line []byte, format string) (document, error) {
	if !utf8.Valid(line) {
		return document{}, errNotUTF8
	}
	if format == inputLines {
		return document{text: string(line)}, nil
	}
	if err := valueIn(line); err != nil {
		return document{}, fmt.Errorf("%w: %s", errNotJSON, strings.TrimPrefix(err.Error(), "jsontext: "))
	}
	d := document{raw: bytes.Clone(line)}
	switch kind := jsontext.Value(line).Kind(); {
	case kind == '"':
		text, err := jsontext.AppendUnquote(nil, line)
		if err != nil {
			return document{}, fmt.Errorf("%w: %w", errNotJSON, err)
		}
		d.text = string(text)
	case kind != '{':
		return document{}, fmt.Errorf("is the JSON %s; a document is a string or an object", clip(string(line), 20))
	case len(r.fields) == 0:
		return document{}, errNoFields
	default:
		d.text = search.TextOf(line, r.template)
	}
	return d, nil
}

// valueIn reports what is wrong with a line that is to be one JSON value.
func valueIn(line []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(line), jsontext.AllowDuplicateNames(true))
	if err := d.SkipValue(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err == nil {
		return fmt.Errorf("a second value at offset %d", d.InputOffset())
	} else if err != io.EOF {
		return err
	}
	return nil
}
