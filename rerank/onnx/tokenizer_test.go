//go:build cgo

package onnx

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// uncut is what the tokenizer says when it reads all of a text.
func uncut(t *testing.T, m *Model, text string) []uint32 {
	t.Helper()
	e, err := m.tokenizer.hf.EncodeWithOptionsErr(escapeNUL(text), false)
	if err != nil {
		t.Fatal(err)
	}
	return e.IDs[:min(len(e.IDs), m.tokenizer.limit)]
}

// longTexts are of kinds in which bytes and tokens have little to do with each other.
var longTexts = []struct{ name, text string }{
	{"prose", strings.Repeat("kalo miren, rensta tor. ", 4000)},
	{"no space", strings.Repeat("kalomiren", 9000)},
	{"one unknown word", strings.Repeat("Q", 90_000)},
	{"white space", "kalo" + strings.Repeat(" \n", 60_000) + "miren" + strings.Repeat("\t", 30_000) + strings.Repeat("kalo ", 3000)},
	{"Han", strings.Repeat("中文一二三", 9000)},
	{"Cyrillic", strings.Repeat("жизнь, мир ", 6000)},
	{"emoji", strings.Repeat("👩‍💻🚀", 9000)},
	{"marks", "a" + strings.Repeat("\u0301", 40_000) + " kalo"},
	{"punctuation", strings.Repeat("-", 40_000)},
	{"control tokens", strings.Repeat("[SEP] kalo ", 6000)},
	{"NUL", strings.Repeat("kalo\x00 miren\x00", 6000)},
	{"not UTF-8", strings.Repeat("kalo\xff \x80\x80", 6000)},
	{"continuation bytes", strings.Repeat("\x80", 60_000)},
	{"short, then long", strings.Repeat("a ", 7000) + strings.Repeat("x", 90_000)},
}

func TestLongTextsAreCutWithoutEffect(t *testing.T) {
	for _, name := range goldenModels {
		for _, special := range []bool{false, true} {
			m := openGolden(t, name, Options{SpecialTokens: special})
			for _, c := range longTexts {
				t.Run(name+"/"+c.name, func(t *testing.T) {
					if got, want := tokenize(t, m, c.text), uncut(t, m, c.text); !slices.Equal(got, want) {
						t.Errorf("special %v: got %d ids, want %d, which differ at %d", special, len(got), len(want), differ(got, want))
					}
				})
			}
		}
	}
}

func TestNothingIsReadPastTheMostBytes(t *testing.T) {
	m := openGolden(t, "bert", Options{})
	text := strings.Repeat("Q", maxText) + " kalo"
	if got, want := len(tokenize(t, m, text)), 1; got != want {
		t.Errorf("got %d tokens, want %d: the unknown word alone", got, want)
	}
}

// FuzzCut checks that cutting a long text before it is tokenised does not change its ids, whatever the text is made of.
func FuzzCut(f *testing.F) {
	f.Add("kalo miren", " ", "\u0301", uint64(1))
	f.Add("中文", "Q", "\n ", uint64(2))
	f.Add("👩‍💻", "\xff", "a", uint64(3))
	f.Add("[SEP]", "\x00", "- ", uint64(4))
	f.Add("؀ ", "ﬁ", "▁", uint64(5))
	models := make([]*Model, len(goldenModels))
	for i, name := range goldenModels {
		models[i] = openGolden(f, name, Options{})
	}
	f.Fuzz(func(t *testing.T, a, b, c string, seed uint64) {
		if len(a)+len(b)+len(c) == 0 || len(a)+len(b)+len(c) > 1000 {
			t.Skip()
		}
		// Runs of the three, of lengths that are often around the places where cuts are tried.
		random := rand.New(rand.NewPCG(seed, 0))
		var text strings.Builder
		for text.Len() < 40_000 {
			part := []string{a, b, c, " "}[random.IntN(4)]
			text.WriteString(strings.Repeat(part, 1+random.IntN(1+random.IntN(200))))
		}
		for _, m := range models {
			if got, want := tokenize(t, m, text.String()), uncut(t, m, text.String()); !slices.Equal(got, want) {
				t.Errorf("%q, %q, %q, seed %d: got %d ids, want %d, which differ at %d", a, b, c, seed, len(got), len(want), differ(got, want))
			}
		}
	})
}

// differ is the first place where two slices do.
func differ(a, b []uint32) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func TestVocabulary(t *testing.T) {
	bert, deberta := openGolden(t, "bert", Options{}), openGolden(t, "deberta", Options{})
	short, literal := openGolden(t, "bert", Options{MaxLength: 64}), openGolden(t, "bert", Options{SpecialTokens: true})
	if bert.Vocabulary() == deberta.Vocabulary() {
		t.Error("two tokenizers have one vocabulary")
	}
	if bert.Vocabulary() != short.Vocabulary() {
		t.Error("one tokenizer at two lengths has two vocabularies, want one: ids are the same")
	}
	if bert.Vocabulary() == literal.Vocabulary() {
		t.Error("reading control tokens does not change the vocabulary, want another: ids differ")
	}
}

// TestPublishedTruncationIsIgnored loads a tokenizer.json that truncates and pads by itself, as some publishers leave it.
func TestPublishedTruncationIsIgnored(t *testing.T) {
	f := goldenFiles(t, "bert")
	plain := open(t, f, Options{})
	f.Tokenizer = []byte(strings.NewReplacer(
		`"truncation": null`, `"truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}`,
		`"padding": null`, `"padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}`,
	).Replace(string(f.Tokenizer)))
	settings := open(t, f, Options{})
	for _, text := range []string{"kalo", "kalo miren rensta tor vel pra sing ed"} {
		if got, want := tokenize(t, settings, text), tokenize(t, plain, text); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if got, want := settings.Vocabulary(), plain.Vocabulary(); got != want {
		t.Errorf("got vocabulary %s, want %s", got, want)
	}
}
