package ubi

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// values reads a body: an array of values, one value, or several with white space between them, as JSON lines are. What is no JSON gives an
// error in its place. Within an array the rest is lost with it, as nobody knows where the next value begins; among lines, reading goes on
// at the next that begins with a brace.
func values(body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		d := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		array := false
		for {
			kind := d.PeekKind()
			if kind == 0 && len(bytes.TrimSpace(d.UnreadBuffer())) == 0 && !array {
				return
			}
			if kind == '[' && !array || kind == ']' && array {
				if _, err := d.ReadToken(); err == nil {
					array = !array
					continue
				}
			}
			value, err := d.ReadValue()
			if err == nil {
				if !yield(value, nil) {
					return
				}
				continue
			}
			if !yield(nil, fmt.Errorf("no JSON: %w", err)) || array {
				return
			}
			next := bytes.Index(d.UnreadBuffer(), []byte("\n{"))
			if next < 0 {
				return
			}
			d.Reset(bytes.NewBuffer(d.UnreadBuffer()[next+1:]), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		}
	}
}
