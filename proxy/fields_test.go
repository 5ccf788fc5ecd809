package proxy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const books = `{
  "books-1": {"mappings": {"dynamic": "strict", "_meta": {"properties": {"x": {"type": "text"}}}, "properties": {
    "all": {"type": "text"},
    "author": {"properties": {"bio": {"type": "text"}, "name": {"type": "text", "copy_to": ["all"]}}},
    "headline": {"type": "alias", "path": "title"},
    "isbn": {"type": "keyword", "fields": {"text": {"type": "text"}}},
    "pages": {"type": "integer"},
    "plot": {"type": "text", "copy_to": "all", "fields": {"en": {"type": "text"}, "raw": {"type": "keyword"}}},
    "reviews": {"type": "nested", "properties": {"text": {"type": "match_only_text"}}},
    "title": {"type": "text", "copy_to": "all", "fields": {"suggest": {"type": "search_as_you_type"}}}
  }}},
  "books-2": {"mappings": {"properties": {"blurb": {"type": "text"}, "title": {"type": "text"}}}},
  "books-3": {"mappings": {}}
}`

func TestChoose(t *testing.T) {
	rest := []string{"author.name", "title", "author.bio", "plot", "reviews.text", "blurb"}
	for _, tt := range []struct {
		name  string
		query []string
		want  []string
	}{
		{"nothing named: title-like first", nil, rest},
		{"a field", []string{"plot"}, []string{"plot", "author.name", "title", "author.bio", "reviews.text", "blurb"}},
		{"a multi-field is read as its field", []string{"plot.en", "title.suggest"}, []string{"plot", "title", "author.name", "author.bio", "reviews.text", "blurb"}},
		{"an alias", []string{"headline"}, []string{"title", "author.name", "author.bio", "plot", "reviews.text", "blurb"}},
		{"a target of copy_to is read as what is copied", []string{"all"}, []string{"author.name", "plot", "title", "author.bio", "reviews.text", "blurb"}},
		{"a wildcard", []string{"author.*"}, []string{"author.bio", "author.name", "title", "plot", "reviews.text", "blurb"}},
		{"no text", []string{"isbn", "pages", "nowhere"}, rest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Choose(tt.query, []byte(books)).Paths()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestChooseWithoutAMappingTrustsTheQuery(t *testing.T) {
	for _, mapping := range []string{"", "{", "[]x", strings.Repeat(`{"a":`, 1<<20)} {
		got := Choose([]string{"title", "body*", "plot.en"}, []byte(mapping)).Paths()
		if diff := cmp.Diff([]string{"title", "plot.en"}, got); diff != "" {
			t.Errorf("%.20q (-want +got):\n%s", mapping, diff)
		}
	}
}

func TestChooseStopsAtEight(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"i":{"mappings":{"properties":{"z_title":{"type":"text"}`)
	for _, name := range strings.Split("abcdefghijkl", "") {
		b.WriteString(`,"` + name + `":{"type":"text"}`)
	}
	b.WriteString(`}}}}`)
	got := Choose([]string{"l"}, []byte(b.String()))
	want := Fields{{"l", "named by the query"}, {"z_title", "title-like"}}
	for _, name := range strings.Split("abcdef", "") {
		want = append(want, Field{name, "text"})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzChoose(f *testing.F) {
	f.Add(books)
	f.Add(shopMapping)
	f.Add(`{"a":{"mappings":{"properties":{"x":{"type":["text"],"copy_to":{"a":1},"fields":[]}}}}}`)
	f.Fuzz(func(t *testing.T, mapping string) {
		if got := Choose([]string{"title", "x*"}, []byte(mapping)); len(got) > maxFields {
			t.Errorf("got %d fields, want at most %d", len(got), maxFields)
		}
	})
}
