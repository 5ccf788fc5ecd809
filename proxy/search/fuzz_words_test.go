package search

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// checkWords holds what is true of the words of every search.
func checkWords(t testing.TB, words string, leaves []Leaf) {
	t.Helper()
	var taken []string
	for _, leaf := range leaves {
		if leaf.Taken == (leaf.Why != "") {
			t.Errorf("%+v: taken, or a reason why not", leaf)
		}
		if leaf.Taken {
			taken = append(taken, leaf.Text)
		}
	}
	if got := strings.Join(taken, " "); got != words {
		t.Errorf("the texts that are taken are %q, the words %q", got, words)
	}
	if len(words) > maxWords || len(taken) > maxJoined {
		t.Errorf("%d bytes of %d texts", len(words), len(taken))
	}
	if words != collapse(words) {
		t.Errorf("white space in %q", words)
	}
}

// everything is the policy by which most texts can become words.
var everything = Policy{MinLength: 1, Filters: true, MoreLikeThis: true, Lookups: true, Fields: []string{"title", "body"},
	Pointers: []string{"/ext/app", "/query/match/title", "/params/0", "/query/query_string/query"}}

// FuzzWords: whatever is sent, reading ends, the words are bounded and are what the reasons say, and what the cluster gets is a search with
// the same words.
func FuzzWords(f *testing.F) {
	f.Add("", typicalSearch)
	for _, place := range places {
		if rawQuery, body := place.body(); len(body) < 1000 {
			f.Add(rawQuery, body)
		}
	}
	f.Fuzz(func(t *testing.T, rawQuery, body string) {
		for _, policy := range []Policy{{}, everything} {
			r, err := policy.Parse(rawQuery, []byte(body))
			if err != nil {
				return
			}
			checkWords(t, r.Words(), r.WordsWhy())
			original, again := r.Original()
			o, err := policy.Parse(original, again)
			if err != nil {
				t.Fatalf("the original is not read: %v\n%s %s", err, original, again)
			}
			if _, theirs := r.Overrides(); r.root.get("ext").get("rerank") == nil && theirs == nil {
				if diff := cmp.Diff(r.WordsWhy(), o.WordsWhy()); diff != "" {
					t.Errorf("the original has other words: %s", diff)
				}
			}
		}
	})
}

// FuzzTemplated: whatever is sent, reading ends, and the words are bounded and are what the reasons say.
func FuzzTemplated(f *testing.F) {
	for _, seed := range []string{`{"id":"t","params":{"query":"red shoes"}}`, `{"params":{"query_string":"a:b -c \"d","text":"x1","n":[1,"e"]}}`, `{"params":null}`} {
		f.Add(seed, "/params/text")
	}
	f.Fuzz(func(t *testing.T, body, pointer string) {
		for _, policy := range []Policy{{Pointers: []string{pointer}}, everything} {
			if r, err := policy.ParseTemplated([]byte(body)); err == nil {
				checkWords(t, r.Words(), r.WordsWhy())
			}
		}
	})
}

// FuzzFind: whatever the pointer, it names nothing, or a value within the text.
func FuzzFind(f *testing.F) {
	f.Add(`{"a":[1,"b",{"c/d":"e"}]}`, "/a/2/c~1d")
	f.Add(`[[[0]]]`, "/0/0/0")
	f.Fuzz(func(t *testing.T, src, pointer string) {
		root, err := parseNode([]byte(src))
		if err != nil {
			return
		}
		if n := root.find([]byte(src), pointer); n != nil && (n.start < root.start || n.end > root.end || n.start >= n.end) {
			t.Errorf("%d to %d of %s", n.start, n.end, src)
		}
	})
}

// TestChoose: the words are some of the texts of the best tier, in their order, and of equal texts one; which they are does not depend on
// texts that cannot be words.
func TestChoose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := Policy{Fields: rapid.SampledFrom([][]string{nil, {"a"}, {"a", "b"}}).Draw(t, "configured")}
		draw := rapid.Custom(func(t *rapid.T) found {
			w := walker{policy: policy}
			s := scope{boost: rapid.SampledFrom([]float64{0, 0.5, 1, 2, 1e308}).Draw(t, "boost"), tier: tier(rapid.IntRange(0, int(filtered)).Draw(t, "tier"))}
			if rapid.IntRange(0, 4).Draw(t, "forbidden") == 0 {
				s = s.not("must_not")
			}
			fields := rapid.SampledFrom([][]string{nil, {"a"}, {"a^3", "b"}, {"b", "c", "d^1e308"}}).Draw(t, "fields")
			w.add("match", "query", rapid.SampledFrom([]string{"", "*", "x", "red", "Red", "red shoes", "shoes", "boots", "green boots"}).Draw(t, "text"), false, fields, s)
			return w.found[0]
		})
		all := rapid.SliceOfN(draw, 0, 12).Draw(t, "texts")
		before := make([]found, len(all))
		copy(before, all)
		words := choose(all, policy)

		best, eligible := filtered, false
		for _, f := range before {
			if f.Why == "" {
				best, eligible = min(best, f.tier), true
			}
		}
		var taken []string
		seen := map[string]bool{}
		for i, f := range all {
			if f.Taken == (f.Why != "") {
				t.Fatalf("%+v: taken, or a reason why not", f.Leaf)
			}
			if !f.Taken {
				continue
			}
			if before[i].Why != "" || f.tier != best {
				t.Fatalf("%+v is taken, the best tier being %v", f.Leaf, best)
			}
			key := strings.ToLower(f.Text)
			if seen[key] {
				t.Fatalf("%q is taken twice", f.Text)
			}
			seen[key] = true
			taken = append(taken, f.Text)
		}
		if eligible != (words != "") {
			t.Fatalf("got %q, and texts that can be words: %t", words, eligible)
		}
		if got := strings.Join(taken, " "); got != words {
			t.Fatalf("the texts that are taken are %q, the words %q", got, words)
		}
		var fit []found
		for _, f := range before {
			if f.Why == "" && f.tier == best {
				fit = append(fit, f)
			}
		}
		if got := choose(fit, policy); got != words {
			t.Fatalf("got %q without the texts that cannot be words, %q with them", got, words)
		}
	})
}
