package main

import (
	"strings"
	"testing"

	"github.com/rerankd/rerankd/proxy/admin"
)

func TestComparisonInColours(t *testing.T) {
	c := &admin.Comparison{
		Query: "divers", Index: "books", Fields: []string{"title"}, Size: 2, Outcome: "applied",
		Cluster:  []admin.Hit{{Rank: 1, Other: 2, Move: admin.Down, Places: 1, Title: "boats"}, {Rank: 2, Other: 5, Move: admin.Gone, Places: 3, Title: "深い海"}},
		Reranked: []admin.Hit{{Rank: 1, Move: admin.Entered, Title: "fish"}, {Rank: 2, Other: 1, Move: admin.Down, Places: 1, Title: "boats"}},
	}
	var plain, colored strings.Builder
	if err := printComparison(&plain, c, false); err != nil {
		t.Fatal(err)
	}
	if err := printComparison(&colored, c, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Errorf("got colours in %q", plain.String())
	}
	for _, want := range []string{"\x1b[32mnew\x1b[0m", "\x1b[31m↓1\x1b[0m", "\x1b[31mgone\x1b[0m", "\x1b[2m深い海\x1b[0m", "\x1b[1mfish\x1b[0m"} {
		if !strings.Contains(colored.String(), want) {
			t.Errorf("got no %q in %q", want, colored.String())
		}
	}
	stripped := colored.String()
	for _, a := range []attribute{bold, dim, red, green} {
		stripped = strings.ReplaceAll(stripped, "\x1b["+string(a)+"m", "")
	}
	if stripped = strings.ReplaceAll(stripped, "\x1b[0m", ""); stripped != plain.String() {
		t.Errorf("got\n%s\nin colours, want the same columns as\n%s", stripped, plain.String())
	}
}
