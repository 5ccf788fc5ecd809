package search

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The responses in testdata are the clusters' own, to searches over five small documents.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func mustParseResponse(t testing.TB, body string) *Response {
	t.Helper()
	p, err := ParseResponse([]byte(body))
	if err != nil {
		t.Fatalf("parsing %s: %v", body, err)
	}
	return p
}

var engines = []string{"opensearch-2.19", "elasticsearch-8.19"}

func TestParseResponse(t *testing.T) {
	for _, engine := range engines {
		for _, layout := range []string{"plain", "pretty"} {
			t.Run(engine+" "+layout, func(t *testing.T) {
				p := mustParseResponse(t, string(recorded(t, engine+"-"+layout)))
				var ids []string
				var scores []float64
				for i := range p.Hits() {
					ids, scores = append(ids, p.ID(i)), append(scores, p.Score(i))
					if p.Index(i) != "search3-shop" || p.Held(i) {
						t.Errorf("hit %d: index %q, held %t", i, p.Index(i), p.Held(i))
					}
				}
				if diff := cmp.Diff([]string{"1", "4", "3", "2", "5"}, ids); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff([]float64{1.2482024, 0.7411202, 0.6241012, 0.62388074, 0.11263605}, scores); diff != "" {
					t.Error(diff)
				}
				if p.TimedOut() || p.FailedShards() != 0 || p.Took() == 0 {
					t.Errorf("timed out %t, %d shards failed, took %d ms", p.TimedOut(), p.FailedShards(), p.Took())
				}
			})
		}
		if p := mustParseResponse(t, string(recorded(t, engine+"-none"))); p.Hits() != 0 {
			t.Errorf("%s: got %d hits where nothing matches", engine, p.Hits())
		}
	}
}

func TestParseResponseOddities(t *testing.T) {
	p := mustParseResponse(t, `{"hits":{"hits":[{"_score":null},{},{"_id":7,"_index":null,"_score":1.7014122E38},{"_score":"NaN"},{"\u005fscore":2}],"total":5},
		"_shards":{"failed":2,"total":3},"took":1.5,"timed_out":true,"hits.hits":[],"_clusters":[{"hits":{"hits":[]}}]}`)
	if p.Hits() != 5 || !p.TimedOut() || p.FailedShards() != 2 || p.Took() != 0 {
		t.Errorf("got %d hits, timed out %t, %d failed, took %d", p.Hits(), p.TimedOut(), p.FailedShards(), p.Took())
	}
	for i, held := range []bool{false, false, true, false, false} {
		if p.Held(i) != held {
			t.Errorf("hit %d: held %t, want %t", i, p.Held(i), held)
		}
	}
	for _, i := range []int{0, 1, 3} {
		if !math.IsNaN(p.Score(i)) {
			t.Errorf("hit %d: got score %g, want none", i, p.Score(i))
		}
	}
	if p.Score(4) != 2 || p.ID(2) != "" || p.Index(2) != "" {
		t.Errorf("got score %g, id %q, index %q", p.Score(4), p.ID(2), p.Index(2))
	}
}

func TestParseResponseErrors(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"empty", "", "EOF"},
		{"not JSON", "<html>", "invalid character"},
		{"truncated", `{"hits":{"hits":[{"_score":1`, "EOF"},
		{"an array", `[]`, "no hits"},
		{"an error", `{"error":{"type":"x"},"status":400}`, "an error"},
		{"no hits", `{"took":1}`, "no hits"},
		{"hits of another shape", `{"hits":[]}`, "no hits"},
		{"hits.hits of another shape", `{"hits":{"hits":{}}}`, "not an array"},
		{"a hit of another shape", `{"hits":{"hits":[1]}}`, "not an object"},
		{"hits twice", `{"hits":{"hits":[]},"hits":{"hits":[]}}`, "twice"},
		{"hits.hits twice", `{"hits":{"hits":[],"hits":[]}}`, "twice"},
		{"a score twice", `{"hits":{"hits":[{"_score":1,"_score":2}]}}`, "twice"},
		{"a score twice, spelled otherwise", `{"hits":{"hits":[{"_score":1,"\u005fscore":2}]}}`, "twice"},
		{"more than one response", `{"hits":{"hits":[]}}{}`, "after its end"},
		{"many hits", `{"hits":{"hits":[` + strings.Repeat("{},", maxHits) + `{}]}}`, "more than"},
		{"deep", `{"hits":{"hits":[{"_source":` + strings.Repeat("[", 100000), "depth"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := ParseResponse([]byte(test.body)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct {
		name, hit string
		fields    string
		want      string
	}{
		{"one field", `"_source":{"title":"red shoes","body":"long"}`, "title", "red shoes"},
		{"two fields, in the template's order", `"_source":{"body":"long","title":"red"}`, "title body", "red\nlong"},
		{"a missing one", `"_source":{"body":"long"}`, "title body", "long"},
		{"none", `"_source":{"x":1}`, "title body", ""},
		{"no source", `"_id":"1"`, "title", ""},
		{"empty texts", `"_source":{"title":"  ","body":["",null]}`, "title body", ""},
		{"array", `"_source":{"tags":["a",["b",""],"c"]}`, "tags", "a b c"},
		{"numbers and booleans", `"_source":{"n":[1.50,9007199254740993,true,null]}`, "n", "1.50 9007199254740993 true"},
		{"object path", `"_source":{"obj":{"a":"x","b":"y"}}`, "obj.a", "x"},
		{"literal dots", `"_source":{"obj.a":"x","obj":{"b":"y"}}`, "obj.a", "x"},
		{"both", `"_source":{"obj":{"a":"x"},"obj.a":"y"}`, "obj.a", "x y"},
		{"dots in parts", `"_source":{"a.b":{"c.d":"x"}}`, "a.b.c.d", "x"},
		{"array of objects", `"_source":{"users":[{"first":"Ann"},{"last":"Lee"},{"first":["Bob","Rob"]}]}`, "users.first", "Ann Bob Rob"},
		{"whole object", `"_source":{"obj":{"a":"x","b":{"c":["y",2]}}}`, "obj", "x y 2"},
		{"multi-field", `"_source":{"title":"red shoes"}`, "title.english", "red shoes"},
		{"not a prefix of a name", `"_source":{"titles":"x","title":"y"}`, "title", "y"},
		{"escapes", `"_source":{"title":"caf\u00e9 \ud83d\udc5f \"q\"\n\/"}`, "title", "café 👟 \"q\"\n/"},
		{"half a surrogate pair", `"_source":{"title":"a\ud83dz"}`, "title", "a\ufffdz"},
		{"invalid UTF-8", "\"_source\":{\"title\":\"a\xffz\"}", "title", "a\ufffdz"},
		{"escaped names", `"_source":{"t\u0069tle":"x"}`, "title", "x"},
		{"duplicate names", `"_source":{"title":"x","title":"y"}`, "title", "x y"},
		{"empty names", `"_source":{"":"x",".a":"y"}`, "title .a", "y"},
		{"fields", `"fields":{"title":["red"],"obj.a":["x","y"],"users":[{"first":["Ann"]},{"first":["Bob"]}]}`, "title obj.a users.first", "red\nx y\nAnn Bob"},
		{"source before fields", `"_source":{"title":"from source"},"fields":{"title":["from fields"],"body":["b"]}`, "title body", "from source\nb"},
		{"source that is no object", `"_source":null`, "title", ""},
		{"no fields asked", `"_source":{"title":"x"}`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := mustParseResponse(t, `{"hits":{"hits":[{`+test.hit+`}]}}`)
			if got := p.Text(0, FieldsTemplate(strings.Fields(test.fields))); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Alias and runtime fields, and fields of indices that keep no source, come in fields alone, as lists.
func TestTextJoined(t *testing.T) {
	p := mustParseResponse(t, `{"hits":{"hits":[{"_source":{"title":" red ","body":["soft","sole"],"n":[1,[2.50,true]],"o":{"p":[{"q":"deep"},{"q":null}],"r":""},"none":[]},`+
		`"fields":{"alias":["a","b"],"day":["Monday"],"title":["from fields"]}}]}}`)
	for _, test := range []struct {
		separator string
		fields    []string
		want      string
	}{
		{". ", []string{"title", "body", "n"}, "red. soft sole. 1 2.50 true"},
		{" | ", []string{"none", "o", "missing", "o.p.q"}, "deep | deep"},
		{"", []string{"title", "body"}, "redsoft sole"},
		{"\n", []string{"alias", "day", "none"}, "a b\nMonday"},
		{"\n", []string{"title", "title", "alias"}, "red\na b"},
		{". ", []string{"none", "o.r"}, ""},
		{". ", nil, ""},
	} {
		if got := p.Text(0, JoinedTemplate(test.fields, test.separator)); got != test.want {
			t.Errorf("%q with %q: got %q, want %q", test.fields, test.separator, got, test.want)
		}
	}
}

func TestTextIsBounded(t *testing.T) {
	p := mustParseResponse(t, `{"hits":{"hits":[{"_source":{"title":["`+strings.Repeat("ö", maxText)+`","more"],"body":"short"}}]}}`)
	got := p.Text(0, FieldsTemplate([]string{"title", "body"}))
	title, body, _ := strings.Cut(got, "\n")
	if len(title) > maxText || len(title) < maxText-4 || strings.Trim(title, "ö") != "" || body != "short" {
		t.Errorf("got a title of %d bytes that ends in %q, and body %q", len(title), title[max(0, len(title)-6):], body)
	}
}

func TestTextOfRecordedResponses(t *testing.T) {
	template, err := ParseTemplate("{title}: {body} ({obj.a}; {users.first})")
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range engines {
		p := mustParseResponse(t, string(recorded(t, engine+"-pretty")))
		if got, want := p.Text(0, template), "red shoes: Shoes that are red. (inner one; Ann Bob)"; got != want {
			t.Errorf("%s: got %q, want %q", engine, got, want)
		}
		if got, want := p.Text(3, template), "a very long title about red shoes and more: The red é 😀 \"quoted\" shoes\nnew line (dotted inner; Cid)"; got != want {
			t.Errorf("%s: got %q, want %q", engine, got, want)
		}
		// The same texts come from fields where there is no source.
		p = mustParseResponse(t, string(recorded(t, engine+"-added-nothing")))
		if got, want := p.Text(0, FieldsTemplate([]string{"title", "obj.a", "users.first"})), "red shoes\ninner one\nAnn Bob"; got != want {
			t.Errorf("%s: got %q, want %q", engine, got, want)
		}
	}
}

func TestTemplate(t *testing.T) {
	p := mustParseResponse(t, `{"hits":{"hits":[{"_source":{"title":"red","n":1}}]}}`)
	for _, test := range []struct{ template, want string }{
		{"{title}", "red"},
		{"{title}. {body}", "red. "},
		{"{{{title}}}", "{red}"},
		{"a {{b}} { title }{n}{title}", "a {b} red1red"},
		{"only {body}", ""},
	} {
		template, err := ParseTemplate(test.template)
		if err != nil {
			t.Fatalf("%q: %v", test.template, err)
		}
		if got := p.Text(0, template); got != test.want {
			t.Errorf("%q: got %q, want %q", test.template, got, test.want)
		}
	}
	for _, bad := range []string{"", "no field", "{", "{title", "title}", "{}", "{ }", "{a{b}", "{title*}"} {
		if _, err := ParseTemplate(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	template, _ := ParseTemplate("{b} {a} {b}")
	if diff := cmp.Diff([]string{"b", "a"}, template.Fields()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"b", "a"}, FieldsTemplate([]string{"b", "a", "b"}).Fields()); diff != "" {
		t.Error(diff)
	}
}
