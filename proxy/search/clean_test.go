package search

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestCleanQueryString(t *testing.T) {
	for _, test := range []struct {
		name, text, want string
		fields           []string
	}{
		{"plain", "red  running\tshoes ", "red running shoes", nil},
		{"operators", "red AND shoes OR boots && laces || socks", "red shoes boots laces socks", nil},
		{"lower case operators are words", "salt and pepper or not", "salt and pepper or not", nil},
		{"required", "+red +shoes", "red shoes", nil},
		{"NOT drops the next clause", "shoes NOT boots laces", "shoes laces", nil},
		{"minus drops the next clause", "shoes -boots -\"red laces\" socks", "shoes socks", nil},
		{"bang drops the next clause", "shoes !boots", "shoes", nil},
		{"minus within a word stays", "wi-fi router", "wi-fi router", nil},
		{"negated group", "shoes -(boots OR (laces AND socks)) red", "shoes red", nil},
		{"group within a negated group", "NOT (a1 (b1)) c1", "c1", nil},
		{"phrase", `"red shoes"~2^3 boots`, "red shoes boots", nil},
		{"escaped quote in a phrase", `"12\" record"`, `12" record`, nil},
		{"open phrase", `"red shoes`, "red shoes", nil},
		{"fields", "title:red body:(shoes boots) obj.a:\"deep words\"", "red shoes boots deep words", []string{"title", "body", "obj.a"}},
		{"negated field", "red -title:shoes", "red", nil},
		{"existence", "_exists_:title red", "red", nil},
		{"any field", "*:* red", "red", nil},
		{"field pattern", `book.\*:(quick brown)`, "quick brown", []string{"book.*"}},
		{"range", "date:[2012-01-01 TO 2012-12-31] count:{1 TO 5} red", "red", []string{"date", "count"}},
		{"half ranges", "age:>10 age:>=10 age:<\"10\" red", "red", nil},
		{"regular expression", "name:/joh?n(ath[oa]n)/ red", "red", []string{"name"}},
		{"slash within a word", "AC/DC", "AC/DC", nil},
		{"one slash", "/dev red", "/dev red", nil},
		{"boosts and fuzziness", "quick~ brown~0.8 fox^2 (lazy dog)^1.5", "quick brown fox lazy dog", nil},
		{"wildcards", "qu* bro?n *ick", "qu bron ick", nil},
		{"escapes", `\(1\+1\)\=2 \-boots`, "(1+1)=2 -boots", nil},
		{"escape at the end", `red\`, "red", nil},
		{"nothing but syntax", `* AND (-"" || [a TO b])`, "", nil},
		{"stray closers", `red) shoes] }`, "red shoes", nil},
		{"other scripts", "красные AND кроссовки -\u3000靴", "красные кроссовки", nil},
		{"deep", strings.Repeat("(", 5000) + "red", "red", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, fields := cleanQueryString(test.text)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if diff := cmp.Diff(test.fields, fields); diff != "" {
				t.Errorf("fields: %s", diff)
			}
		})
	}
}

func TestCleanSimpleQueryString(t *testing.T) {
	for _, test := range []struct{ name, text, flags, want string }{
		{"plain", "red shoes", "", "red shoes"},
		{"operators", `"fried eggs" +(eggplant | potato) -frittata`, "", "fried eggs eggplant potato"},
		{"no fields", "title:red AND shoes", "", "title:red AND shoes"},
		{"prefix and fuzziness", `wor* roam~1 "a phrase"~2`, "", "wor roam a phrase"},
		{"negated group", "-(boots laces) red", "", "red"},
		{"escaped", `\-red shoes`, "", "-red shoes"},
		{"plus in a word", "c++ tips", "", "c++ tips"},
		{"all flags", "-red shoes", "ALL", "shoes"},
		{"no operators", `-red "shoes*`, "NONE", `-red "shoes*`},
		{"no negation", "-red shoes", "OR|PREFIX", "-red shoes"},
		{"negation among flags", "-red shoes", "OR|not|WHITESPACE", "shoes"},
		{"without white space all is one word", "-red shoes", "OR|not", ""},
		{"a minus before a space", "red - shoes", "", "red shoes"},
		{"a minus before an operator", "red -| shoes", "", "red shoes"},
		{"twice negated", "--red ---shoes", "", "red"},
		{"an open quote", `red -"shoes for`, "", "red shoes for"},
		{"an open parenthesis", "red -(shoes for", "", "red shoes for"},
		{"parentheses do not see quotes", `-("red (shoes" for) sale`, "", "red (shoes for sale"},
		{"a tilde ends a word", "red~ish shoes", "", "red shoes"},
		{"no parentheses", "-(red shoes) boots", "NOT|WHITESPACE", "shoes) boots"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := cleanSimpleQueryString(test.text, test.flags); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// FuzzClean: whatever is typed, cleaning ends, keeps UTF-8, collapses white space, and leaves plain words as they are.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{"red shoes", `a:"b c"~2^3 -(d || e) [1 TO 2] /x/ \`, "((((", "_exists_:", "!", "\xff\\", "a:>", `"\`, "-\u00a0x", "~^:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		query, fields := cleanQueryString(text)
		for _, got := range []string{query, cleanSimpleQueryString(text, ""), cleanSimpleQueryString(text, "NONE")} {
			if got != collapse(got) {
				t.Errorf("white space in %q", got)
			}
			if utf8.ValidString(text) && !utf8.ValidString(got) {
				t.Errorf("broken UTF-8 in %q", got)
			}
			if len(got) > len(text) && utf8.ValidString(text) {
				t.Errorf("got %q, longer than %q", got, text)
			}
		}
		for _, field := range fields {
			if field == "" {
				t.Errorf("an empty field name in %q", text)
			}
		}
		plain := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r == ' ' {
				return r
			}
			return -1
		}, text)
		if got, _ := cleanQueryString(plain); got != collapse(plain) {
			t.Errorf("got %q, want %q", got, collapse(plain))
		}
	})
}
