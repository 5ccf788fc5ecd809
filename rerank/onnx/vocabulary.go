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
	pad        uint32 // [PAD] or <pad>
	hasPad     bool
	byteLevel  bool // every text is spelt in 256 letters that stand for bytes, and none is unknown
}

// tokenizerParts are the parts of tokenizer.json that a vocabulary is read from.
type tokenizerParts struct {
	AddedTokens []struct {
		ID      uint32 `json:"id"`
		Content string `json:"content"`
	} `json:"added_tokens"`
	Truncation *struct {
		Direction string `json:"direction"`
	} `json:"truncation"`
	Normalizer   *step `json:"normalizer"`
	PreTokenizer *step `json:"pre_tokenizer"`
	Model        struct {
		Type         string          `json:"type"`
		Vocab        json.RawMessage `json:"vocab"` // Unigram: [[piece, score], …], by id; the others: {token: id, …}
		UnkToken     *string         `json:"unk_token"`
		UnkID        *uint32         `json:"unk_id"` // Unigram
		ByteFallback bool            `json:"byte_fallback"`
		Dropout      float64         `json:"dropout"` // BPE: the share of merges that are left out at random
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
	if file.Truncation != nil && file.Truncation.Direction == "Left" {
		return vocabulary{}, errors.New("it cuts long texts off at their beginning, and only the end can be cut off here")
	}
	if file.Model.Dropout > 0 {
		return vocabulary{}, fmt.Errorf("it leaves out merges at random (dropout is %v), so one text has many readings", file.Model.Dropout)
	}
	switch file.Model.Type {
	case "", "WordPiece", "Unigram", "BPE", "WordLevel": // files of the first versions do not say
	default:
		return vocabulary{}, fmt.Errorf("its model %q is none of WordPiece, Unigram, BPE, WordLevel", file.Model.Type)
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
		if added.Content == "[PAD]" || added.Content == "<pad>" {
			v.pad, v.hasPad = added.ID, true
		}
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

// fits says whether config.json is of the same model: the tokenizer's ids have embeddings, its padding is the model's (XLM-RoBERTa counts
// positions from it), and the model gives one number. What config.json leaves open is left to the graph.
func (v vocabulary) fits(configJSON []byte) error {
	var c struct {
		VocabSize int64             `json:"vocab_size"`
		PadID     *int64            `json:"pad_token_id"`
		Labels    map[string]string `json:"id2label"`
		NumLabels int               `json:"num_labels"`
	}
	if len(configJSON) == 0 {
		return nil
	}
	if err := json.Unmarshal(configJSON, &c); err != nil {
		return err
	}
	if c.VocabSize > 0 && int64(v.largest) >= c.VocabSize {
		return fmt.Errorf("its vocab_size is %d, and tokenizer.json has ids up to %d: they are of two models", c.VocabSize, v.largest)
	}
	if c.PadID != nil && v.hasPad && *c.PadID != int64(v.pad) {
		return fmt.Errorf("its pad_token_id is %d, and that of tokenizer.json is %d: they are of two models", *c.PadID, v.pad)
	}
	if n := max(len(c.Labels), c.NumLabels); n > 1 {
		return fmt.Errorf("it names %d labels, and a cross-encoder has one: the model puts texts into classes", n)
	}
	return nil
}
