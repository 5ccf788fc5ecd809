package rerank

import (
	"iter"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
)

// terms yields the words of a text, case folded: runs of letters, marks and digits. Scripts that are written without spaces have no such
// words, and each two neighbouring characters stand for one; a character that stands alone is a word, and with single is one anyway, so that
// a text has the words of any query. A word is valid until the next.
func terms(text string, single bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var word, buffer []byte
		ascii := true
		fold := cases.Fold()
		flush := func() bool {
			if len(word) == 0 {
				return true
			}
			term := word
			if !ascii {
				buffer = slices.Grow(buffer[:0], 4*len(word)) // ΐ of two bytes folds to three characters of six
				if n, _, err := fold.Transform(buffer[:cap(buffer)], word, true); err == nil {
					term = buffer[:n]
				}
			}
			word, ascii = word[:0], true
			return yield(term)
		}
		spell := func(s string) bool {
			buffer = append(buffer[:0], s...)
			return yield(buffer)
		}
		before := -1 // where the unspaced character before this one begins, if there is one
		alone := false
		for i := 0; i < len(text); {
			r, n := rune(text[i]), 1
			if r >= utf8.RuneSelf {
				r, n = utf8.DecodeRuneInString(text[i:])
			}
			if unspaced(r) {
				if !flush() || single && !spell(text[i:i+n]) || before >= 0 && !spell(text[before:i+n]) {
					return
				}
				before, alone = i, before < 0
				i += n
				continue
			}
			if before >= 0 && alone && !single && !spell(text[before:i]) {
				return
			}
			before = -1
			switch {
			case 'A' <= r && r <= 'Z':
				word = append(word, byte(r)+'a'-'A')
			case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
				word = append(word, byte(r))
			case r >= utf8.RuneSelf && r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)):
				word, ascii = utf8.AppendRune(word, r), false
			default:
				if !flush() {
					return
				}
			}
			i += n
		}
		if before >= 0 && alone && !single {
			spell(text[before:])
			return
		}
		flush()
	}
}

// unspaced reports whether r is of a script that puts no spaces between words, or whose words change at both ends (Korean).
func unspaced(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
