package search

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTemplated(t *testing.T) {
	for _, test := range []struct {
		name, body string
		policy     Policy
		want       string
		lookup     bool
		why        []string // of the others, in order: text=why
	}{
		{"query", `{"id":"t","params":{"query":"red shoes"}}`, Policy{}, "red shoes", false, nil},
		{"q", `{"id":"t","params":{"size":10,"q":"red shoes"}}`, Policy{}, "red shoes", false, nil},
		{"query_string, cleaned", `{"params":{"query_string":"title:red AND shoes -boots"}}`, Policy{}, "red shoes", false, nil},
		{"query_text", `{"source":"{}","params":{"query_text":"red shoes"}}`, Policy{}, "red shoes", false, nil},
		{"search_term", `{"params":{"search_term":"red shoes"}}`, Policy{}, "red shoes", false, nil},
		{"text", `{"params":{"text":"red shoes"}}`, Policy{}, "red shoes", false, nil},
		{"the likeliest name", `{"params":{"text":"boots","lang":"en","query":"red shoes"}}`, Policy{}, "red shoes", false,
			[]string{"boots=another parameter has the words", "en=not known to be the user's words"}},
		{"a likelier name without words", `{"params":{"query":"*","text":"red shoes"}}`, Policy{}, "red shoes", false, []string{"*=no words"}},
		{"a number", `{"params":{"q":1984}}`, Policy{}, "1984", true, nil},
		{"a query of its own", `{"params":{"query":{"match":{"title":"red shoes"}}}}`, Policy{}, "", false, nil},
		{"no known name", `{"params":{"what":"red shoes"}}`, Policy{}, "", false, []string{"red shoes=not known to be the user's words"}},
		{"pointer into the body", `{"params":{"what":"red shoes","query":"boots"}}`, Policy{Pointers: []string{"/params/what"}}, "red shoes", false,
			[]string{"boots=a pointer names the words", "red shoes=not known to be the user's words"}},
		{"pointer into the params", `{"params":{"what":"red shoes"}}`, Policy{Pointers: []string{"/what"}}, "red shoes", false,
			[]string{"red shoes=not known to be the user's words"}},
		{"too short", `{"params":{"q":"sh"}}`, Policy{MinLength: 3}, "", false, []string{"sh=too short: still being typed"}},
		{"a lookup", `{"params":{"q":"SKU-12345"}}`, Policy{}, "SKU-12345", true, nil},
		{"a lookup like others", `{"params":{"q":"SKU-12345"}}`, Policy{Lookups: true}, "SKU-12345", false, nil},
		{"no params", `{"id":"t"}`, Policy{Pointers: []string{"/x"}}, "", false, nil},
		{"null params", `{"id":"t","params":null}`, Policy{}, "", false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.policy.ParseTemplated([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if got.Words() != test.want || got.Lookup() != test.lookup {
				t.Errorf("got %q lookup %t, want %q %t", got.Words(), got.Lookup(), test.want, test.lookup)
			}
			var why []string
			for _, leaf := range got.WordsWhy() {
				if !leaf.Taken {
					why = append(why, leaf.Text+"="+leaf.Why)
				}
			}
			if diff := cmp.Diff(test.why, why); diff != "" {
				t.Errorf("not taken, want -, got +:\n%s", diff)
			}
		})
	}
	for _, body := range []string{"", "[]", `{"params":[]}`, `{"params":{}`} {
		if _, err := (Policy{}).ParseTemplated([]byte(body)); err == nil || !strings.HasPrefix(err.Error(), "reading the body: ") {
			t.Errorf("%s: got error %v", body, err)
		}
	}
}

func TestLookups(t *testing.T) {
	r, err := Policy{Lookups: true}.Parse("q=SKU-12345", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Words() != "SKU-12345" || r.Lookup() {
		t.Errorf("got %q, lookup %t", r.Words(), r.Lookup())
	}
}

// The examples of RFC 6901, and arrays whose numbers are not kept.
func TestFind(t *testing.T) {
	src := []byte(`{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8,"x":[1, 2 ,"c" ,[3],{"d":"e"}]}`)
	root, err := parseNode(src)
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{
		"": string(src), "/foo": `["bar","baz"]`, "/foo/0": `"bar"`, "/": "0", "/a~1b": "1", "/c%d": "2", "/e^f": "3", "/g|h": "4", `/i\j`: "5", `/k"l`: "6", "/ ": "7", "/m~0n": "8",
		"/x/2": `"c"`, "/x/3": "[3]", "/x/4/d": `"e"`,
		"foo": "", "/foo/2": "", "/foo/-": "", "/foo/01": "", "/foo/+1": "", "/foo/-1": "", "/x/0": "", "/x/9": "", "/x/99999999999999999999": "", "/foo/0/1": "", "/nothing/at/all": "", "/ab": "",
	} {
		got := ""
		if n := root.find(src, pointer); n != nil {
			got = string(n.raw(src))
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", pointer, got, want)
		}
	}
}
