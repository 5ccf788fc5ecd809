//go:build cgo

package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// A template says how a query and a document become one sequence: "[CLS] query [SEP] document [SEP]", with the segment of each part.
type template struct {
	pieces []piece
	added  int // special tokens in all
}

// A piece is the query, the document, or special tokens between them.
type piece struct {
	kind    pieceKind
	special []int64 // of kind specialTokens
	segment int64   // token_type_ids for all of the piece
}

type pieceKind int

const (
	specialTokens pieceKind = iota
	queryText
	docText
)

// pair is one sequence as a graph takes it.
type pair struct {
	ids      []int64
	segments []int64
}

// assemble puts a pair together, in at most maxLength tokens.
func (t template) assemble(queryIDs, docIDs []uint32, maxLength int) pair {
	q, d := longestFirst(len(queryIDs), len(docIDs), maxLength-t.added)
	n := q + d + t.added
	p := pair{ids: make([]int64, 0, n), segments: make([]int64, 0, n)}
	for _, piece := range t.pieces {
		switch piece.kind {
		case specialTokens:
			p.ids = append(p.ids, piece.special...)
		case queryText:
			p.ids = appendIDs(p.ids, queryIDs[:q])
		case docText:
			p.ids = appendIDs(p.ids, docIDs[:d])
		}
		for len(p.segments) < len(p.ids) {
			p.segments = append(p.segments, piece.segment)
		}
	}
	return p
}

func appendIDs(to []int64, ids []uint32) []int64 {
	for _, id := range ids {
		to = append(to, int64(id))
	}
	return to
}

// longestFirst returns how many tokens of a first and a second sequence of lengths a and b stay when both together may have budget.
//
// It is the function truncate_encodings of Hugging Face's tokenizers, strategy LongestFirst (tokenizers/src/utils/truncation.rs): the
// longer one is cut to the length of the shorter, then both to a half, of which the one that was longer (the second, at a tie) gets the
// odd token. With a budget of 509:
//
//	a=10  b=900 → 10, 499     a=900 b=10 → 499, 10     a=300 b=300 → 254, 255     a=301 b=300 → 255, 254
//
// So a long query can take up to half of the room.
func longestFirst(a, b, budget int) (int, int) {
	if a+b <= budget {
		return a, b
	}
	shorter, longer := a, b
	swapped := a > b
	if swapped {
		shorter, longer = b, a
	}
	if shorter > budget {
		longer = shorter
	} else {
		longer = max(shorter, budget-shorter)
	}
	if shorter+longer > budget {
		shorter = budget / 2
		longer = shorter + budget%2
	}
	if swapped {
		return longer, shorter
	}
	return shorter, longer
}

// postProcessor is the part of tokenizer.json that says how sequences are framed. Which fields are set depends on the type.
type postProcessor struct {
	Type string `json:"type"`

	// TemplateProcessing
	Pair          []templatePiece `json:"pair"`
	SpecialTokens map[string]struct {
		IDs []int64 `json:"ids"`
	} `json:"special_tokens"`

	// BertProcessing and RobertaProcessing: a token and its id, as an array
	Sep tokenAndID `json:"sep"`
	Cls tokenAndID `json:"cls"`

	// Sequence
	Processors []postProcessor `json:"processors"`
}

type templatePiece struct {
	SpecialToken *struct {
		ID     string `json:"id"`
		TypeID int64  `json:"type_id"`
	}
	Sequence *struct {
		ID     string `json:"id"`
		TypeID int64  `json:"type_id"`
	}
}

type tokenAndID int64

func (t *tokenAndID) UnmarshalJSON(data []byte) error {
	var token string
	var id int64
	if err := json.Unmarshal(data, &[]any{&token, &id}); err != nil {
		return err
	}
	*t = tokenAndID(id)
	return nil
}

func parseTemplate(tokenizerJSON []byte) (template, error) {
	var file struct {
		PostProcessor *postProcessor `json:"post_processor"`
	}
	if err := json.Unmarshal(tokenizerJSON, &file); err != nil {
		return template{}, err
	}
	if file.PostProcessor == nil {
		return template{}, errors.New("it has no post_processor, so how a query and a document are joined is not known")
	}
	return file.PostProcessor.template()
}

func (p postProcessor) template() (template, error) {
	var t template
	cls, sep := []int64{int64(p.Cls)}, []int64{int64(p.Sep)}
	switch p.Type {
	case "TemplateProcessing":
		return p.pairTemplate()
	case "BertProcessing":
		t.pieces = []piece{{special: cls}, {kind: queryText}, {special: sep}, {kind: docText, segment: 1}, {special: sep, segment: 1}}
		t.added = 3
	case "RobertaProcessing":
		t.pieces = []piece{{special: cls}, {kind: queryText}, {special: append(sep, sep...)}, {kind: docText}, {special: sep}}
		t.added = 4
	case "Sequence":
		frames := slices.DeleteFunc(slices.Clone(p.Processors), func(inner postProcessor) bool {
			return inner.Type == "ByteLevel" // which only moves offsets
		})
		if len(frames) != 1 {
			return t, fmt.Errorf("%d of the post_processors in its sequence say how a query and a document are joined, and one should", len(frames))
		}
		return frames[0].template()
	default:
		return t, fmt.Errorf("post_processor %q is none of TemplateProcessing, BertProcessing, RobertaProcessing", p.Type)
	}
	return t, nil
}

func (p postProcessor) pairTemplate() (template, error) {
	var t template
	seen := map[pieceKind]int{}
	for i, part := range p.Pair {
		switch {
		case part.SpecialToken != nil:
			ids := p.SpecialTokens[part.SpecialToken.ID].IDs
			if len(ids) == 0 {
				return t, fmt.Errorf("post_processor: special token %q has no id", part.SpecialToken.ID)
			}
			t.pieces = append(t.pieces, piece{special: ids, segment: part.SpecialToken.TypeID})
			t.added += len(ids)
		case part.Sequence != nil:
			kind := queryText
			if part.Sequence.ID == "B" {
				kind = docText
			}
			seen[kind]++
			t.pieces = append(t.pieces, piece{kind: kind, segment: part.Sequence.TypeID})
		default:
			return t, fmt.Errorf("post_processor: pair[%d] is neither a special token nor a sequence", i)
		}
	}
	if seen[queryText] != 1 || seen[docText] != 1 {
		return t, errors.New("post_processor: its pair does not have each of the sequences A and B once")
	}
	return t, nil
}
