package rerank

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/language"
)

// Which texts a model was made for.
//
// A model that knows English alone gives numbers for Chinese too, and they are noise. What can be told from a text without a model is its
// script, so that is what is looked at: where more than half of the letters are of none of the scripts of the model's languages, the
// cluster's order is better. Digits, punctuation, emoji and letters that belong to no script (mathematical ones) say nothing.
//
//	query, for a model of English              letters   of other scripts
//	iphone 手机壳                              9         3                  read
//	手机壳 iphone 15 pro max 保护套             18        6                  read
//	привет world                               11        6                  not read
//	192.168.0.1 🙂                             0         0                  read
//
// Two languages of one script cannot be told apart by it. A word that a tokenizer does not know is the scorer's to notice.

// Reads reports whether some stage's model was made for the script that a query is written in. Where none was, there is no use in
// asking the cluster for more hits.
func (r *Ranker) Reads(query string) bool {
	for _, s := range r.Stages {
		if reads(s.Scripts, query) {
			return true
		}
	}
	return len(r.Stages) == 0
}

// readOf is the bytes of each text of which the script is looked at.
const readOf = 1 << 10

// reads reports whether no more than half of the letters of texts are of scripts that are not among these. No scripts read everything.
func reads(scripts []*unicode.RangeTable, texts ...string) bool {
	if len(scripts) == 0 {
		return true
	}
	latin := false
	for _, s := range scripts {
		latin = latin || s == unicode.Latin
	}
	known, other := 0, 0
	for _, text := range texts {
		for _, r := range text[:runeEnd(text, readOf)] {
			switch {
			case r < 0x80:
				if 'a' <= r|0x20 && r|0x20 <= 'z' {
					if latin {
						known++
					} else {
						other++
					}
				}
			case !unicode.IsLetter(r):
			case unicode.In(r, scripts...):
				known++
			case !unicode.In(r, unicode.Common, unicode.Inherited):
				other++
			}
		}
	}
	return other <= known
}

// scriptTables are the scripts by their ISO 15924 codes, those of several for the languages that are written in several at once.
var scriptTables = map[string][]*unicode.RangeTable{
	"Arab": {unicode.Arabic}, "Armn": {unicode.Armenian}, "Beng": {unicode.Bengali}, "Cyrl": {unicode.Cyrillic}, "Deva": {unicode.Devanagari},
	"Ethi": {unicode.Ethiopic}, "Geor": {unicode.Georgian}, "Grek": {unicode.Greek}, "Gujr": {unicode.Gujarati}, "Guru": {unicode.Gurmukhi},
	"Hans": {unicode.Han}, "Hant": {unicode.Han}, "Hebr": {unicode.Hebrew}, "Jpan": {unicode.Han, unicode.Hiragana, unicode.Katakana},
	"Khmr": {unicode.Khmer}, "Knda": {unicode.Kannada}, "Kore": {unicode.Hangul, unicode.Han}, "Laoo": {unicode.Lao}, "Latn": {unicode.Latin},
	"Mlym": {unicode.Malayalam}, "Mymr": {unicode.Myanmar}, "Orya": {unicode.Oriya}, "Sinh": {unicode.Sinhala}, "Taml": {unicode.Tamil},
	"Telu": {unicode.Telugu}, "Thai": {unicode.Thai},
}

// ScriptsOf returns the scripts of languages that are given as a model's card names them: codes, or English names of the most
// usual ones, separated by commas ("en", "English", "zh, en"). "multilingual" and "" are every script, and nil. An error names what
// is not known, which is no fault of a card: of what it says nothing is then to be concluded.
//
// A language whose usual script is not Latin is also written with it here and there, as are names and products in every language. So the
// Latin script always counts as known beside another.
func ScriptsOf(languages string) ([]*unicode.RangeTable, error) {
	names := map[string]string{
		"english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt", "dutch": "nl", "polish": "pl",
		"russian": "ru", "chinese": "zh", "japanese": "ja", "korean": "ko", "arabic": "ar", "hindi": "hi", "turkish": "tr", "vietnamese": "vi",
	}
	var scripts []*unicode.RangeTable
	for name := range strings.SplitSeq(languages, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if code, ok := names[name]; ok {
			name = code
		}
		if name == "multilingual" || name == "" {
			return nil, nil
		}
		tag, err := language.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("%q is not the code of a language", name)
		}
		script, confidence := tag.Script()
		tables, ok := scriptTables[script.String()]
		if !ok || confidence == language.No {
			return nil, fmt.Errorf("the script of language %q is not known", name)
		}
		scripts = append(scripts, tables...)
	}
	return append(scripts, unicode.Latin), nil
}
