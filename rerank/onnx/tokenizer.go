//go:build cgo

package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

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
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(file, &parts); err != nil {
		return nil, err
	}
	plain, err := json.Marshal(withoutFrame(parts))
	if err != nil {
		return nil, err
	}
	file, err = json.Marshal(withNUL(parts))
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
	sum := sha256.Sum256(fmt.Appendf(plain, "special=%v limit=%d", specialTokens, t.limit))
	t.digest = hex.EncodeToString(sum[:])
	return t, nil
}

// withoutFrame takes out of tokenizer.json the truncation and padding that some publishers leave in it, which would be applied to each
// text by itself, and the framing of pairs, which is ours to do. Models that differ in these alone then have one digest.
func withoutFrame(parts map[string]json.RawMessage) map[string]json.RawMessage {
	for _, part := range []string{"truncation", "padding", "post_processor"} {
		parts[part] = json.RawMessage("null")
	}
	return parts
}

// encode returns the ids of text, at most t.limit of them.
func (t *tokenizer) encode(text string) ([]uint32, error) {
	for size := t.limit * firstCut; ; size *= 2 {
		part, whole := cut(text, min(size, maxText))
		encoding, err := t.hf.EncodeWithOptionsErr(escapeNUL(part), false)
		if err != nil {
			return nil, fmt.Errorf("tokenising %d bytes: %w", len(part), err)
		}
		if whole || size >= maxText || len(encoding.IDs) >= t.limit+cutMargin {
			return encoding.IDs[:min(len(encoding.IDs), t.limit)], nil
		}
	}
}

func (t *tokenizer) close() error { return t.hf.Close() }
