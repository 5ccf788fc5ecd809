//go:build cgo

package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
)

// A vocabulary is what tokenizer.json says of its tokens, beside how texts become them.
type vocabulary struct {
	largest    uint32 // the largest id that a text or a frame can become
	unknown    uint32 // stands for what the vocabulary lacks
	hasUnknown bool
	byteLevel  bool // every text is spelt in 256 letters that stand for bytes, and none is unknown
}

// tokenizerParts are the parts of tokenizer.json that a vocabulary is read from.
type tokenizerParts struct {
	AddedTokens []struct {
		ID      uint32 `json:"id"`
		Content string `json:"content"`
	} `json:"added_tokens"`
	Normalizer   *step `json:"normalizer"`
	PreTokenizer *step `json:"pre_tokenizer"`
	Model        struct {
		Vocab        json.RawMessage `json:"vocab"` // Unigram: [[piece, score], …], by id; the others: {token: id, …}
		UnkToken     *string         `json:"unk_token"`
		UnkID        *uint32         `json:"unk_id"` // Unigram
		ByteFallback bool            `json:"byte_fallback"`
	} `json:"model"`
}

// A step is a normalizer or a pre-tokenizer: one, or a sequence of them.
type step struct {
	Type          string `json:"type"`
	Normalizers   []step `json:"normalizers"`
	Pretokenizers []step `json:"pretokenizers"`
}

func (s *step) has(kind string) bool {
	if s == nil {
		return false
	}
	for _, inner := range append(s.Normalizers, s.Pretokenizers...) {
		if inner.has(kind) {
			return true
		}
	}
	return s.Type == kind
}

func parseVocabulary(tokenizerJSON []byte) (vocabulary, error) {
	var file tokenizerParts
	if err := json.Unmarshal(tokenizerJSON, &file); err != nil {
		return vocabulary{}, err
	}
	ids, size, err := file.tokens()
	if err != nil {
		return vocabulary{}, err
	}
	v := vocabulary{byteLevel: file.Normalizer.has("ByteLevel") || file.PreTokenizer.has("ByteLevel")}
	if size > 0 {
		v.largest = uint32(size - 1)
	}
	for _, id := range ids {
		v.largest = max(v.largest, id)
	}
	for _, added := range file.AddedTokens {
		v.largest = max(v.largest, added.ID)
	}
	if v.byteLevel || file.Model.ByteFallback {
		return v, nil // such tokenizers name an unknown token at times, and never give it
	}
	switch {
	case file.Model.UnkID != nil:
		v.unknown, v.hasUnknown = *file.Model.UnkID, true
	case file.Model.UnkToken != nil:
		v.unknown, v.hasUnknown = ids[*file.Model.UnkToken]
	}
	return v, nil
}

// tokens returns the ids of the model's tokens by their text, or, of a list of pieces, how many there are: a piece's id is its place.
func (p *tokenizerParts) tokens() (ids map[string]uint32, size int, err error) {
	switch raw := p.Model.Vocab; {
	case len(raw) == 0:
		return nil, 0, errors.New("its model has no vocab")
	case raw[0] == '[':
		var pieces []json.RawMessage
		err := json.Unmarshal(raw, &pieces)
		return nil, len(pieces), err
	default:
		if err := json.Unmarshal(raw, &ids); err != nil {
			return nil, 0, fmt.Errorf("its vocab: %w", err)
		}
		return ids, 0, nil
	}
}
