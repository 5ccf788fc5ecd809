package rerank

import (
	"context"
	"errors"
	"testing"
	"unicode"
)

func TestReads(t *testing.T) {
	english, err := ScriptsOf("English")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"red shoes":                 true,
		"iphone 手机壳":                true, // the table of language.go
		"手机壳 iphone 15 pro max 保护套": true,
		"привет world":              false,
		"192.168.0.1 🙂":             true,
		"":                          true,
		"手机保护壳":                     false,
		"привет мир":                false,
		"حذاء أحمر":                 false,
		"café crème brûlée":         true,
		"Ångström Øresund":          true,
		"ＲＥＤ ｓｈｏｅｓ":                 true, // full-width letters are Latin
		"getUserByID(ctx, id)":      true,
		"snake_case_名字":             true,
		"α-amylase":                 true,
		"π":                         false,
		"𝒜 µ ½":                     true, // of no script
		"🙂🙃":                        true,
		"1234 5678":                 true,
		"????":                      true,
		"\xff\xfe":                  true,
	} {
		if got := reads(english, text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
		if !reads(nil, text) {
			t.Errorf("%q: is not read by a model of which nothing is known", text)
		}
	}
}

func TestScriptsOf(t *testing.T) {
	for languages, want := range map[string][]*unicode.RangeTable{
		"":             nil,
		"multilingual": nil,
		"en":           {unicode.Latin},
		"English":      {unicode.Latin},
		"en, fr":       {unicode.Latin},
		"ru":           {unicode.Cyrillic, unicode.Latin},
		"zh,en":        {unicode.Han, unicode.Latin},
		"zh-Hant":      {unicode.Han, unicode.Latin},
		"Japanese":     {unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Latin},
		"ko":           {unicode.Hangul, unicode.Han, unicode.Latin},
		"sr-Latn":      {unicode.Latin},
		"uk, ar, he":   {unicode.Cyrillic, unicode.Arabic, unicode.Hebrew, unicode.Latin},
	} {
		got, err := ScriptsOf(languages)
		if err != nil || (got == nil) != (want == nil) {
			t.Errorf("%q: got %v, %v", languages, got, err)
		}
		for _, sample := range []struct {
			table *unicode.RangeTable
			text  string
		}{
			{unicode.Latin, "a"}, {unicode.Cyrillic, "я"}, {unicode.Han, "漢"}, {unicode.Hiragana, "あ"}, {unicode.Katakana, "ア"},
			{unicode.Hangul, "한"}, {unicode.Arabic, "ع"}, {unicode.Hebrew, "ש"},
		} {
			known := want == nil
			for _, table := range want {
				known = known || table == sample.table
			}
			if reads(got, sample.text) != known {
				t.Errorf("%q: reads %s is %v, want %v", languages, sample.text, !known, known)
			}
		}
	}
	for _, languages := range []string{"klingonese", "en, no such thing", "🙂"} {
		if got, err := ScriptsOf(languages); err == nil || got != nil {
			t.Errorf("%q: got %v, want an error", languages, got)
		}
	}
}

// A stage leaves alone what its model was not made for, and another stage may know it. The texts are judged together: one in another
// language keeps no search from being ranked.
func TestStageLanguage(t *testing.T) {
	english, _ := ScriptsOf("en")
	russian, _ := ScriptsOf("ru")
	ones := scorer(func(_ context.Context, _ string, docs []string) ([]float32, error) {
		return make([]float32, len(docs)), nil
	})
	ranker := Ranker{Stages: []Stage{{Model: "english", Scorer: ones, Scripts: english}, {Model: "russian", Scorer: ones, Scripts: russian}}}
	for _, test := range []struct {
		query, text string
		skipped     [2]string
	}{
		{"red shoes", "Red shoes, size 42.", [2]string{"", ""}},
		{"красные туфли", "Красные туфли, 42.", [2]string{SkippedLanguage, ""}},
		{"adidas", "Красные туфли, 42.", [2]string{SkippedLanguage, ""}},
		{"赤い靴", "Red shoes, size 42.", [2]string{SkippedLanguage, SkippedLanguage}},
		{"red shoes", "赤い靴、サイズ四十二、とても良い。", [2]string{SkippedLanguage, SkippedLanguage}},
	} {
		hits := []Hit{{Text: test.text}, {Text: test.text}, {Text: "Shoes"}}
		got := ranker.Rank(t.Context(), test.query, hits)
		for k, report := range got.Stages {
			if report.Skipped != test.skipped[k] || (report.Skipped != "") != errors.Is(report.Err, ErrLanguage) {
				t.Errorf("%q over %q: got %+v, want it skipped %q", test.query, test.text, report, test.skipped[k])
			}
		}
		if reads := ranker.Reads(test.query); reads != (test.query != "赤い靴") {
			t.Errorf("%q: got Reads %v", test.query, reads)
		}
	}
}
