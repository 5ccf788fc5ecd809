//go:build cgo

package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/daulet/tokenizers"
)

// A tokenizer turns a text into ids, without special tokens and without truncation.
type tokenizer struct {
	hf     *tokenizers.Tokenizer
	limit  int    // ids past it are left out
	digest string // of all that the ids depend on
}

// minRead is how many tokens of a text are kept at least, whatever the model's length. A pair holds fewer of each, but where both texts
// are too long for it the longer one gets the odd token (see longestFirst), so the lengths must still tell which one that is. Where both
// are longer than this, they count as equal: the one case in which a pair differs from the reference, by one token. It does not depend
// on the model's length, so that models of different lengths share ids.
const minRead = 1024

func openTokenizer(file []byte, specialTokens bool, maxLength int) (*tokenizer, error) {
	file, err := plain(file)
	if err != nil {
		return nil, err
	}
	t := &tokenizer{limit: max(minRead, 2*maxLength)}
	var options []tokenizers.TokenizerOption
	if !specialTokens {
		options = append(options, tokenizers.WithEncodeSpecialTokens())
	}
	if t.hf, err = tokenizers.FromBytes(file, options...); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fmt.Appendf(file, "special=%v limit=%d", specialTokens, t.limit))
	t.digest = hex.EncodeToString(sum[:])
	return t, nil
}

// plain returns tokenizer.json without the truncation and padding that some publishers leave in it, which would be applied to each text
// by itself, and without the framing of pairs, which is ours to do. Models that differ in these alone then have one digest.
func plain(file []byte) ([]byte, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(file, &parts); err != nil {
		return nil, err
	}
	for _, part := range []string{"truncation", "padding", "post_processor"} {
		parts[part] = json.RawMessage("null")
	}
	return json.Marshal(parts)
}

// encode returns the ids of text, at most t.limit of them.
func (t *tokenizer) encode(text string) ([]uint32, error) {
	text = withoutNUL(text)
	for size := t.limit * firstCut; ; size *= 2 {
		part, whole := cut(text, min(size, maxText))
		encoding, err := t.hf.EncodeWithOptionsErr(part, false)
		if err != nil {
			return nil, fmt.Errorf("tokenising %d bytes: %w", len(part), err)
		}
		if whole || size >= maxText || len(encoding.IDs) >= t.limit+cutMargin {
			return encoding.IDs[:min(len(encoding.IDs), t.limit)], nil
		}
	}
}

func (t *tokenizer) close() error { return t.hf.Close() }

// withoutNUL replaces NUL, which would end the text on its way through C, by another control character that every tokenizer of the
// supported kinds reads in the same way: WordPiece drops both, SentencePiece's normalisation keeps both, and knows neither.
func withoutNUL(text string) string {
	return strings.ReplaceAll(text, "\x00", "\u0080")
}
