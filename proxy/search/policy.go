package search

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Policy says which texts of a search are taken for the user's own words. The zero Policy is the default.
type Policy struct {
	// MinLength is how many characters words have at least; fewer are the beginning of something that is still being typed, which is left
	// alone. 0 is 2. Chinese, Japanese and Korean words may be shorter, and so may what ext.rerank says outright.
	MinLength int
	// Pointers are JSON pointers (RFC 6901) into the body that say where the words stand. The first that finds some wins; where none does,
	// the query is read as without them. They come after what the request itself says outright (ext.rerank, ext.ubi, a reranker's
	// inference_text, a rule's match_criteria, ext.generative_qa_parameters).
	Pointers []string
	// Fields are the full names of the fields that hold the texts. Of several different texts the one counts that is matched against more
	// of them; and the exact values (term, terms, terms_set) that are looked for in them are words where there is no full text. None:
	// every field that a query names counts, and exact values are never words.
	Fields []string
	// Filters takes the full text in filter clauses where no other clause has any words: some applications match in filters.
	Filters bool
	// MoreLikeThis takes the texts that more_like_this is to find the like of, where there are no other words.
	MoreLikeThis bool
	// Lookups treats words that name one thing like all others: [Request.Lookup] is always false.
	Lookups bool
}

// Parse reads a search as the function Parse does, with the words that p says.
func (p Policy) Parse(rawQuery string, body []byte) (*Request, error) {
	return parse(p, rawQuery, body)
}

// unfit returns why a text can be nobody's question, "" where it can.
func (p Policy) unfit(text string, t tier) string {
	if len(text) > maxWords {
		return "too long for a question"
	}
	if !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
		return "no words"
	}
	least := p.MinLength
	if least <= 0 {
		least = 2
	}
	// One letter is the beginning of a word, typed a moment ago; one Chinese character is a word.
	if t != override && len(text) < least*utf8.UTFMax && utf8.RuneCountInString(text) < least && !strings.ContainsFunc(text, isCJK) {
		return "too short: still being typed"
	}
	return ""
}

func isCJK(r rune) bool {
	return r >= 0x2E80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo)
}

// targets returns how many of the configured fields a text is matched against, where it says against which; a part of a multi-field counts
// as the field. Where it does not say (all fields, a vector) that is one.
func (p Policy) targets(fields []string) int {
	if len(p.Fields) == 0 || len(fields) == 0 {
		return max(1, len(fields))
	}
	n := 0
	for _, configured := range p.Fields {
		if slices.ContainsFunc(fields, func(field string) bool {
			return glob(field, configured) || strings.HasPrefix(field, configured+".")
		}) {
			n++
		}
	}
	return n
}
