//go:build cgo

package onnx

import (
	"unicode"
	"unicode/utf8"
)

// A tokenizer reads a text to its end before anything is cut away, and a document can be a megabyte of which the model sees the first
// two thousand bytes. So a long text is cut before it is tokenised. No factor between bytes and tokens holds for all text (white space
// collapses, a word without end is one unknown token), hence a loop: cut, tokenise, and take twice as much if that gave too few tokens.
//
// The ids up to the limit are those of the whole text, because the cut stands between two words, where tokenizers of the supported
// kinds start afresh, and because the last cutMargin tokens, the only ones that could feel a cut within a word, are not used.
const (
	// firstCut is how many bytes are tried first, for each token wanted. Prose has four to five.
	firstCut = 6
	// cutMargin is how many tokens are thrown away before a cut. WordPiece looks at up to 100 characters at once, a SentencePiece
	// piece has 16, and a best path through pieces forgets its end within a few of them.
	cutMargin = 128
	// maxText bounds the work: what stands further back in a text is never read.
	maxText = 1 << 20
)

// cut returns the longest prefix of text in at most size bytes that ends at the end of a word, or, in a text without words, at the end
// of a character; and whether that is the whole text.
func cut(text string, size int) (prefix string, whole bool) {
	if len(text) <= size {
		return text, true
	}
	for i := size; i > size/2; i-- {
		// Only the space is white space to every tokenizer, and only after a letter or the like can it not be part of a longer
		// grapheme cluster, which some normalisations treat as one.
		if text[i] != ' ' {
			continue
		}
		if r, _ := utf8.DecodeLastRuneInString(text[:i]); unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsPunct(r) {
			return text[:i], false
		}
	}
	for back := 0; back < utf8.UTFMax && back < size; back++ {
		if utf8.RuneStart(text[size-back]) {
			return text[:size-back], false
		}
	}
	return text[:size], false // not UTF-8, so there is no character to keep whole
}
