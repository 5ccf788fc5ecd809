package admin

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A segment is a part of a text.
type segment struct {
	Text string
	Hit  bool // it is a word of the query
}

// mark splits a text at the words of a query, as a person sees them: upper case is lower case, and of words of four letters and more the
// ending may differ by three. What engines do to find a word is more, and differs from field to field; this is for the eye alone.
func mark(query, text string) []segment {
	wanted := terms(query)
	var segments []segment
	plain := 0 // where the text begins that is not marked
	for start, end := range words(text) {
		if !slices.ContainsFunc(wanted, func(w string) bool { return alike(w, strings.ToLower(text[start:end])) }) {
			continue
		}
		if plain < start {
			segments = append(segments, segment{text[plain:start], false})
		}
		segments = append(segments, segment{text[start:end], true})
		plain = end
	}
	if plain < len(text) {
		segments = append(segments, segment{text[plain:], false})
	}
	return segments
}

// common words of English say nothing of a text.
var common = strings.Fields("a an and are as at be by for from how in is it of on or that the this to what where which with")

// terms are the words of a query that are worth marking; all, where none is.
func terms(query string) []string {
	var all, telling []string
	for start, end := range words(query) {
		word := strings.ToLower(query[start:end])
		all = append(all, word)
		if !slices.Contains(common, word) {
			telling = append(telling, word)
		}
	}
	if len(telling) == 0 {
		return all
	}
	return telling
}

func alike(a, b string) bool {
	if a == b {
		return true
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= 4 && len(b)-len(a) <= 3 && strings.HasPrefix(b, a)
}

// words yields where the words of a text begin and end: runs of letters and digits, and in scripts without spaces each character.
func words(text string) func(yield func(start, end int) bool) {
	return func(yield func(start, end int) bool) {
		start := -1
		for i, r := range text {
			spaceless := unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
			inside := unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
			if start >= 0 && (!inside || spaceless) {
				if !yield(start, i) {
					return
				}
				start = -1
			}
			switch {
			case spaceless:
				if !yield(i, i+utf8.RuneLen(r)) {
					return
				}
			case inside && start < 0:
				start = i
			}
		}
		if start >= 0 {
			yield(start, len(text))
		}
	}
}

// snippet is the part of a text that has the first of the query's words, of some 240 bytes.
func snippet(query, text string) string {
	const length, before = 240, 60
	if len(text) <= length {
		return text
	}
	first := 0
	for _, s := range mark(query, text) {
		if s.Hit {
			break
		}
		first += len(s.Text)
	}
	if first == len(text) || first < length-before {
		return clip(text, length) + "…"
	}
	from := first - before
	if space := strings.IndexByte(text[from:first], ' '); space >= 0 {
		from += space + 1
	}
	for !utf8.RuneStart(text[from]) {
		from++
	}
	rest := text[from:]
	if len(rest) <= length {
		return "… " + rest
	}
	return "… " + clip(rest, length) + "…"
}

// clip shortens a text to so many bytes, at a space where there is one near.
func clip(text string, length int) string {
	if len(text) <= length {
		return text
	}
	for length > 0 && !utf8.RuneStart(text[length]) {
		length--
	}
	text = text[:length]
	if space := strings.LastIndexByte(text, ' '); space > length-30 && space > 0 {
		text = text[:space]
	}
	return text
}
