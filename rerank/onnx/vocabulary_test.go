//go:build cgo

package onnx

import (
	"strings"
	"testing"
)

// TestUnknown asks each golden tokenizer what it makes of a character that it cannot know.
func TestUnknown(t *testing.T) {
	for _, name := range goldenModels {
		m := openGolden(t, name, Options{})
		id, ok := m.Unknown()
		found := false
		for _, got := range tokenize(t, m, "kalo \U0002fa1d miren") {
			found = found || ok && got == id
		}
		if found != ok {
			t.Errorf("%s: got %d, %v, and the id of an unknown character: %v", name, id, ok, found)
		}
	}
}

func TestVocabularyOf(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       vocabulary
	}{
		{"WordPiece", `{"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": 0, "[UNK]": 7, "b": 2}}}`, vocabulary{largest: 7, unknown: 7, hasUnknown: true}},
		{"Unigram", `{"model": {"type": "Unigram", "unk_id": 1, "vocab": [["a", -1], ["<unk>", 0], ["b", -2]]}}`, vocabulary{largest: 2, unknown: 1, hasUnknown: true}},
		{"Unigram without", `{"model": {"type": "Unigram", "unk_id": null, "vocab": [["a", -1]]}}`, vocabulary{}},
		{"Unigram of bytes", `{"model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [["<unk>", 0], ["<0x00>", -1]]}}`, vocabulary{largest: 1}},
		{"a name without a token", `{"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": 0}}}`, vocabulary{}},
		{"byte-level BPE", `{"pre_tokenizer": {"type": "ByteLevel"}, "model": {"type": "BPE", "unk_token": "<unk>", "vocab": {"<unk>": 3, "a": 4}}}`, vocabulary{largest: 4, byteLevel: true}},
		{"byte-level BPE in a sequence", `{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split"}, {"type": "ByteLevel"}]}, "model": {"type": "BPE", "vocab": {"a": 4}}}`,
			vocabulary{largest: 4, byteLevel: true}},
		{"tokens that were added", `{"added_tokens": [{"id": 9, "content": "[MASK]"}], "model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", -1]]}}`,
			vocabulary{largest: 9, hasUnknown: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := parseVocabulary([]byte(c.file)); err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	for name, file := range map[string]string{"no model": `{}`, "a vocab that is none": `{"model": {"vocab": {"a": "b"}}}`, "not JSON": `{`} {
		if got, err := parseVocabulary([]byte(file)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %+v, %v, want an error of one line", name, got, err)
		}
	}
}
