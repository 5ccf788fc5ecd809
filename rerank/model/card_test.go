package model

import (
	"strings"
	"testing"
)

func TestParseCard(t *testing.T) {
	for _, test := range []struct{ name, card, license, languages string }{
		{"a list", "---\nlibrary_name: transformers\nlanguage:\n- en\nlicense: apache-2.0\n---\n# A model\n", "apache-2.0", "en"},
		{"a word", "---\nlanguage: multilingual\n---\n", "", "multilingual"},
		{"a list in a line", "---\nlicense: mit\nlanguage: [zh, en]\n---", "mit", "zh, en"},
		{"Norwegian is no no", "---\nlanguage:\n- no\n- de\n---\n", "", "no, de"},
		{"lines of Windows", "---\r\nlicense: mit\r\n---\r\n", "mit", ""},
		{"a license of its own", "---\nlicense: other\nlicense_name: gemma\n---\n", "gemma", ""},
		{"more beside it", "---\ntags:\n- a: b\nmodel-index:\n- name: x\n  results: []\nlanguage: en\n---\nlanguage: de\n", "", "en"},
		{"no front matter", "# A model\n---\nlicense: mit\n---\n", "", ""},
		{"one that does not end", "---\nlicense: mit\n", "", ""},
		{"no YAML", "---\nlicense: [mit\n---\n", "", ""},
		{"no mapping", "---\n- mit\n---\n", "", ""},
		{"nothing", "", "", ""},
		{"numbers and maps", "---\nlicense: 7\nlanguage: {en: 1}\n---\n", "", ""},
		{"aliases", "---\na: &a [en, de]\nlanguage: *a\n---\n", "", ""},
		{"what moves a cursor", "---\nlicense: \"mit\\e[2J\"\n---\n", "", ""},
	} {
		if license, languages := parseCard([]byte(test.card)); license != test.license || languages != test.languages {
			t.Errorf("%s: got %q, %q, want %q, %q", test.name, license, languages, test.license, test.languages)
		}
	}
}

// Whatever a card holds, what is read of it can be shown on one line of a terminal.
func FuzzCard(f *testing.F) {
	f.Add([]byte("---\nlanguage:\n- en\nlicense: apache-2.0\n---\n"))
	f.Add([]byte("---\nlanguage: [zh, \"en\", {a: b}]\nlicense: &a |\n  mit\n---\n"))
	f.Fuzz(func(t *testing.T, card []byte) {
		license, languages := parseCard(card)
		if said := license + languages; strings.ContainsAny(said, "\n\r\x1b\x00") {
			t.Errorf("got %q", said)
		}
	})
}
