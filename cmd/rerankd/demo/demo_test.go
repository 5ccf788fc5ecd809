package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDebianPackage(t *testing.T) {
	descriptions := map[string]string{"d41d8": "stirs tea by itself\nA spoon with a motor.\nIt stops when the sugar is gone.\n.\nNeeds a cup."}
	stanza := `Package: autospoon-gtk
Source: autospoon (1.2-3)
Version: 1.2-3+b1
Size: 12345
Section: misc
Homepage: https://spoon.example/
Description: stirs tea by itself
Description-md5: d41d8`
	want := &Document{
		Name: "autospoon-gtk", Summary: "stirs tea by itself", Section: "misc", Homepage: "https://spoon.example/", Size: 12345, Source: "autospoon",
		Description: "A spoon with a motor. It stops when the sugar is gone.\nNeeds a cup.",
	}
	if diff := cmp.Diff(want, debianPackage(stanza, descriptions)); diff != "" {
		t.Errorf("the package differs (-want +got):\n%s", diff)
	}
	if got := debianPackage("Origin: nobody", descriptions); got != nil {
		t.Errorf("got %v from a stanza that is no package, want none", got)
	}
}

func TestReadAppStream(t *testing.T) {
	list := `File: DEP-11
Version: '1.0'
---
Type: desktop-application
Package: autospoon-gtk
Name:
  de: Löffel
  C: Spoon
Summary:
  de: Rührt um
  C: Stirs your tea, coffee
    and cocoa
  fr: Remue
Description:
  C: >-
    <p>Summary: this is no summary.</p>
Keywords:
  de:
  - Tee
  C:
  - Tea
  - spoon
  - Motor
  - 7
  - Stirring
  - last
---
Type: font
ID: without a package
Summary:
  C: Not to be asked for
---
Package: broken
Summary:
  C: "never closed
`
	want := []appStreamQuery{{"autospoon-gtk", []string{"tea spoon", "motor stirring", "Stirs your tea, coffee and cocoa"}}}
	if diff := cmp.Diff(want, readAppStream(list), cmp.AllowUnexported(appStreamQuery{})); diff != "" {
		t.Errorf("the queries differ (-want +got):\n%s", diff)
	}
}

// The tenth that is held out was fixed when the model was trained: these are the digests' own last digits in base ten.
func TestDocumentHeldOut(t *testing.T) {
	for source, want := range map[string]bool{"blender": true, "gimp": true, "evolution": true, "apt": false, "vim": false, "emacs": false} {
		if got := (Document{Name: "any", Source: source}).HeldOut(); got != want {
			t.Errorf("%s: got held out %v, want %v", source, got, want)
		}
		if got := (Document{Name: source}).HeldOut(); got != want {
			t.Errorf("%s without a source: got held out %v, want %v", source, got, want)
		}
	}
}

func TestCorpusHeldOut(t *testing.T) {
	corpus := &Corpus{Documents: []Document{
		{Name: "blender", Summary: "Very fast and versatile 3D modeller", Queries: []string{"Versatile 3D modellers", "animation and rendering", "the"}},
		{Name: "gimp", Summary: "image manipulation", Queries: []string{"photo retouching", "animation and rendering"}},
		{Name: "vim", Summary: "editor", Queries: []string{"modal typing", "photo retouching"}},
	}}
	want := []Query{{Text: "animation and rendering", Relevant: map[string]bool{"blender": true, "gimp": true}}}
	if diff := cmp.Diff(want, corpus.HeldOut()); diff != "" {
		t.Errorf("the queries differ (-want +got):\n%s\nthe others say their summary again, have no words, or are answered by a package that the model has seen", diff)
	}

	many := Document{Name: "blender", Queries: strings.Fields("one two three four five six seven eight nine ten")}
	if got := len((&Corpus{Documents: []Document{many}}).HeldOut()); got != maxOfOne {
		t.Errorf("got %d queries for one package, want %d at most", got, maxOfOne)
	}
}

func TestCorpusFile(t *testing.T) {
	documents := []Document{{Name: "a", Summary: "first <b>", Size: 3, Queries: []string{"one"}}, {Name: "b", Description: "two\nlines"}}
	file := filepath.Join(t.TempDir(), "corpus.ndjson")
	if err := writeCorpus(file, documents); err != nil {
		t.Fatal(err)
	}
	corpus, err := Load(file, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(documents, corpus.Documents); diff != "" {
		t.Errorf("the documents differ after a round trip (-want +got):\n%s", diff)
	}
	for fault, text := range map[string]string{
		"no name":       `{"summary":"x"}`,
		"one name, two": "{\"name\":\"a\"}\n{\"name\":\"a\"}",
		"not JSON":      "name: a",
		"nothing":       "\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(file, "", nil); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got error %v, want one that names the file", fault, err)
		}
	}
}

func TestReciprocalRank(t *testing.T) {
	hits := make([]Hit, 12)
	for i := range hits {
		hits[i].Name = string(rune('a' + i))
	}
	for name, want := range map[string]float64{"a": 1, "d": 0.25, "j": 0.1, "k": 0, "z": 0} {
		if got := ReciprocalRank(hits, map[string]bool{name: true}); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestMoved(t *testing.T) {
	deep := []Hit{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	for _, c := range []struct {
		name string
		to   int
		want string
	}{{"d", 0, "▲3"}, {"a", 2, "▼2"}, {"b", 1, "·"}, {"e", 0, "new"}} {
		if got, _ := moved(deep, c.name, c.to); got != c.want {
			t.Errorf("%s to %d: got %s, want %s", c.name, c.to, got, c.want)
		}
	}
}

func TestSideBySide(t *testing.T) {
	var text strings.Builder
	p := printer{w: &text, width: 76}
	before := Result{Hits: []Hit{{Name: "tea-timer", Summary: "reminds of the tea"}, {Name: "autospoon", Summary: "stirs by itself, whatever is in the cup"}}}
	after := Result{Hits: []Hit{before.Hits[1], before.Hits[0]}, Rerank: `applied; model="small"`}
	p.sideBySide(Query{Text: "stir", Relevant: map[string]bool{"autospoon": true}}, before, after, before.Hits)
	want := `
  “stir”
  the cluster  0 ms                     through rerankd  0 ms
   1   tea-timer  reminds of the tea     1 ▲1  ★ autospoon  stirs by itself…
   2 ★ autospoon  stirs by itself, wh…   2 ▼1    tea-timer  reminds of the …
`
	lines := strings.Split(text.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	if got := strings.Join(lines, "\n"); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\n  ★ place 2 → place 1  better\n") {
		t.Errorf("got:\n%s\nwant it to begin with:\n%s\nand to end in the verdict", got, want)
	}
}
