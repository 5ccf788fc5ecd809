//go:build cgo

package onnx

import (
	"encoding/json"
	"strings"
)

// A text goes through C on its way to the tokenizer, and there it would end at its first NUL. To some tokenizers NUL is a character like
// any other (a byte-level vocabulary has a token for it), so it is not left out either: it goes as an escape, two noncharacters of Unicode
// (U+FDD0 to U+FDEF, which no text is meant to have), and the first step of the tokenizer, put before those of tokenizer.json, turns the
// escape back. A text that does have the first of the two has it escaped as well, so that every text arrives as it was.
const (
	escape     = "\ufdd0"
	escapedNUL = escape + "\ufdd2"
	escapedOne = escape + "\ufdd1" // the escape character itself
)

var escaper = strings.NewReplacer("\x00", escapedNUL, escape, escapedOne)

func escapeNUL(text string) string {
	if strings.IndexByte(text, 0) < 0 && !strings.Contains(text, escape) {
		return text
	}
	return escaper.Replace(text)
}

// withNUL puts the step that undoes [escapeNUL] before the normalization in tokenizer.json. Every escape character of an escaped text
// leads an escape, so replacing the one kind and then the other is the inverse.
func withNUL(parts map[string]json.RawMessage) map[string]json.RawMessage {
	steps := []any{replacement(escapedNUL, "\x00"), replacement(escapedOne, escape)}
	if own := parts["normalizer"]; len(own) > 0 && string(own) != "null" {
		steps = append(steps, own)
	}
	// Strings and what was JSON before: it cannot fail.
	parts["normalizer"], _ = json.Marshal(map[string]any{"type": "Sequence", "normalizers": steps})
	return parts
}

func replacement(old, by string) map[string]any {
	return map[string]any{"type": "Replace", "pattern": map[string]string{"String": old}, "content": by}
}
