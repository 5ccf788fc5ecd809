package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSplice(t *testing.T) {
	const pretty = "{\n  \"took\" : 5,\n  \"hits\" : {\n    \"max_score\" : 3.0,\n    \"hits\" : [\n      {\n        \"_id\" : \"a\",\n        \"_score\" : 3.0\n      },\n" +
		"      {\n        \"_id\" : \"b\",\n        \"_score\" : 2.5\n      },\n      {\n        \"_id\" : \"c\",\n        \"_score\" : 1.0\n      }\n    ]\n  }\n}\n"
	const plain = `{"took":5,"hits":{"total":3,"max_score":3.0,"hits":[{"_id":"a","_score":3.0},{"_id":"b","_score":2.50},{"_id":"c","_score":1.0}]}}`
	order, scores := []int{2, 0, 1}, []float64{0.75, 0.5, 0.25}
	for _, test := range []struct {
		name, body string
		page       Page
		want       string
	}{
		{"nothing to do", plain, Page{Size: 3}, plain},
		{"reordered", plain, Page{Size: 3, Order: order, Scores: scores, AddTook: 7},
			`{"took":12,"hits":{"total":3,"max_score":0.75,"hits":[{"_id":"c","_score":0.75},{"_id":"a","_score":0.5},{"_id":"b","_score":0.25}]}}`},
		{"first page", plain, Page{Size: 2, Order: order, Scores: scores},
			`{"took":5,"hits":{"total":3,"max_score":0.75,"hits":[{"_id":"c","_score":0.75},{"_id":"a","_score":0.5}]}}`},
		{"second page", plain, Page{From: 2, Size: 2, Order: order, Scores: scores},
			`{"took":5,"hits":{"total":3,"max_score":0.75,"hits":[{"_id":"b","_score":0.25}]}}`},
		{"empty page", plain, Page{From: 3, Size: 2, Order: order, Scores: scores}, `{"took":5,"hits":{"total":3,"max_score":0.75,"hits":[]}}`},
		{"the cluster's scores stay in their places", plain, Page{Size: 3, Order: order, KeepScores: true},
			`{"took":5,"hits":{"total":3,"max_score":3.0,"hits":[{"_id":"c","_score":3.0},{"_id":"a","_score":2.50},{"_id":"b","_score":1.0}]}}`},
		{"no scores to show", plain, Page{Size: 3, Order: order},
			`{"took":5,"hits":{"total":3,"max_score":3.0,"hits":[{"_id":"c","_score":1.0},{"_id":"a","_score":3.0},{"_id":"b","_score":2.50}]}}`},
		{"equal scores keep their spelling", plain, Page{Size: 3, Scores: []float64{3, 2.5, math.NaN()}}, plain},
		{"pretty", pretty, Page{Size: 3, Order: order, KeepScores: true},
			"{\n  \"took\" : 5,\n  \"hits\" : {\n    \"max_score\" : 3.0,\n    \"hits\" : [\n      {\n        \"_id\" : \"c\",\n        \"_score\" : 3.0\n      },\n" +
				"      {\n        \"_id\" : \"a\",\n        \"_score\" : 2.5\n      },\n      {\n        \"_id\" : \"b\",\n        \"_score\" : 1.0\n      }\n    ]\n  }\n}\n"},
		{"pretty, empty page", pretty, Page{From: 9, Size: 3}, "{\n  \"took\" : 5,\n  \"hits\" : {\n    \"max_score\" : 3.0,\n    \"hits\" : [ ]\n  }\n}\n"},
		{"members in another order", `{"hits":{"hits":[{"_score":2},{"_score":1}],"max_score":2},"took":1}`, Page{Size: 2, Order: []int{1, 0}, Scores: []float64{9, 8}, AddTook: 1},
			`{"hits":{"hits":[{"_score":9.0},{"_score":8.0}],"max_score":9.0},"took":2}`},
		{"no numbers where scores would be", `{"hits":{"max_score":null,"hits":[{"_score":null,"a":1},{"a":2}]}}`, Page{Size: 2, Order: []int{1, 0}, Scores: []float64{2, 1}},
			`{"hits":{"max_score":null,"hits":[{"a":2},{"_score":null,"a":1}]}}`},
		{"ranks belong to places", `{"hits":{"hits":[{"_rank":1,"_id":"a"},{"_rank":2,"_id":"b"}]}}`, Page{Size: 2, Order: []int{1, 0}},
			`{"hits":{"hits":[{"_rank":1,"_id":"b"},{"_rank":2,"_id":"a"}]}}`},
		{"what a document holds stays", "{\"hits\":{\"hits\":[{\"_source\":{\"n\":12345678901234567890,\"n\":1e400,\"_score\":5,\"s\":\"\xff\\ud800\"},\"_score\":1.0},{\"_score\":1.0}]}}",
			Page{Size: 2, Order: []int{1, 0}, Scores: []float64{2, 1}},
			"{\"hits\":{\"hits\":[{\"_score\":2.0},{\"_source\":{\"n\":12345678901234567890,\"n\":1e400,\"_score\":5,\"s\":\"\xff\\ud800\"},\"_score\":1.0}]}}"},
		{"no hits", `{"took":1,"hits":{"max_score":null,"hits":[ ]}}`, Page{Size: 10, Order: []int{}, Scores: []float64{}}, `{"took":1,"hits":{"max_score":null,"hits":[ ]}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := mustParseResponse(t, test.body)
			got, err := p.Splice(test.page)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if string(p.body) != test.body {
				t.Error("the response itself was changed")
			}
		})
	}
}

func TestSpliceRefusesWhatDoesNotFit(t *testing.T) {
	p := mustParseResponse(t, `{"hits":{"hits":[{},{},{}]}}`)
	for _, page := range []Page{
		{Order: []int{0, 1}}, {Order: []int{0, 1, 1}}, {Order: []int{0, 1, 3}}, {Order: []int{0, 1, -1}}, {Order: []int{0, 1, 2, 2}},
		{Scores: []float64{1}}, {From: -1}, {Size: -1},
	} {
		if got, err := p.Splice(page); err == nil {
			t.Errorf("%+v: got %s, want an error", page, got)
		}
	}
}

// TestStrip compares with what the cluster itself answers where nothing was added, for clients that asked for no fields, for some, and
// for patterns that take some of ours in.
func TestStrip(t *testing.T) {
	for _, engine := range engines {
		for asked, fields := range map[string]string{"nothing": `[]`, "own": `["cat","users.last"]`, "wide": `["tit*",{"field":"users.*"}]`} {
			t.Run(engine+" "+asked, func(t *testing.T) {
				r := mustParse(t, "", `{"_source":false,"fields":`+fields+`}`)
				w, err := r.Widen(Need{Window: 50, Fields: []string{"title", "title.raw", "obj.a", "users.first"}, Widen: true})
				if err != nil {
					t.Fatal(err)
				}
				p := mustParseResponse(t, string(recorded(t, engine+"-added-"+asked)))
				got, err := p.Splice(Page{Size: 10, Strip: w})
				if err != nil {
					t.Fatal(err)
				}
				want := recorded(t, engine+"-asked-"+asked)
				// The clusters keep fields in a hash table, whose order depends on how many there are.
				if !reflect.DeepEqual(decoded(t, got), decoded(t, want)) {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			})
		}
	}
}

// decoded returns a response as Go values, without the time that it took.
func decoded(t testing.TB, body []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	delete(v, "took")
	return v
}

func TestStripKeepsTheComma(t *testing.T) {
	w := &Widened{added: []string{"a", "u.a"}, asked: []string{"b", "u.b"}}
	for _, test := range []struct{ hit, want string }{
		{`{"fields":{"a":[1]}}`, `{}`},
		{`{"fields":{"a":[1]},"_id":"1"}`, `{"_id":"1"}`},
		{`{ "_id":"1" , "fields":{"a":[1]} , "sort":[] }`, `{ "_id":"1" , "sort":[] }`},
		{`{"_id":"1","fields":{"a":[1],"b":[2]}}`, `{"_id":"1","fields":{"b":[2]}}`},
		{`{"_id":"1","fields":{"b":[2],"a":[1]},"x":0}`, `{"_id":"1","fields":{"b":[2]},"x":0}`},
		{`{"_id":"1","fields":{"a":[1]},"ignored_field_values":{"a":[1]}}`, `{"_id":"1"}`},
		{`{"fields":{"u":[{"a":[1]},{"b":[2],"a":[3]},{"a":[4]}]}}`, `{"fields":{"u":[{"b":[2]}]}}`},
		{`{"fields":{"u":[{"a":[1]}],"c":[]}}`, `{"fields":{"c":[]}}`},
		{`{"fields":{"u":["text"]}}`, `{"fields":{"u":["text"]}}`},
		{`{"fields":{}}`, `{"fields":{}}`},
		{`{"_source":{"a":1},"inner_hits":{"fields":{"a":[1]}}}`, `{"_source":{"a":1},"inner_hits":{"fields":{"a":[1]}}}`},
	} {
		p := mustParseResponse(t, `{"hits":{"hits":[`+test.hit+`]}}`)
		got, err := p.Splice(Page{Size: 1, Strip: w})
		if want := `{"hits":{"hits":[` + test.want + `]}}`; err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", test.hit, got, err, want)
		}
	}
}

func TestFormatScore(t *testing.T) {
	for _, test := range []struct {
		score float64
		want  string
	}{
		{0, "0.0"}, {1, "1.0"}, {0.5, "0.5"}, {-2.25, "-2.25"}, {1.2482024, "1.2482024"}, {0.001, "0.001"}, {1234567, "1234567.0"},
		{0.0001, "1.0E-4"}, {0.00062345, "6.2345E-4"}, {1e7, "1.0E7"}, {12345678, "1.2345678E7"}, {pinned, "1.7014118E38"},
		{math.Inf(1), "3.4028235E38"}, {math.Inf(-1), "-3.4028235E38"}, {1e300, "3.4028235E38"},
	} {
		if got := formatScore(test.score); got != test.want {
			t.Errorf("%g: got %s, want %s", test.score, got, test.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64().Draw(t, "a"), rapid.Float64().Draw(t, "b")
		var shown [2]float64
		for i, score := range []float64{max(a, b), min(a, b)} {
			text := formatScore(score)
			if err := json.Unmarshal([]byte(text), &shown[i]); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if want := float32(max(-math.MaxFloat32, min(score, math.MaxFloat32))); float32(shown[i]) != want {
				t.Errorf("%s: got %g back, want %g", text, float32(shown[i]), want)
			}
		}
		if shown[0] < shown[1] {
			t.Errorf("%g and %g rise to %g and %g", max(a, b), min(a, b), shown[0], shown[1])
		}
	})
}

// spans returns the hits' bytes in their order.
func (p *Response) spans() []string {
	var all []string
	for _, h := range p.hits {
		all = append(all, string(h.of(p.body)))
	}
	return all
}

// TestSpliceProperties: the identity changes no byte; an order and its inverse cancel out; every page is a part of the whole, and the
// pages together have every hit once.
func TestSpliceProperties(t *testing.T) {
	var bodies [][]byte
	for _, engine := range engines {
		for _, name := range []string{"plain", "pretty", "none", "added-own", "asked-nothing"} {
			bodies = append(bodies, recorded(t, engine+"-"+name))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SampledFrom(bodies).Draw(t, "body")
		p, err := ParseResponse(body)
		if err != nil {
			t.Fatal(err)
		}
		n := p.Hits()
		checkIdentity(t, p)
		order := rapid.Permutation(sequence(n)).Draw(t, "order")
		permuted := checkPermutation(t, p, order)

		size := rapid.IntRange(1, n+1).Draw(t, "size")
		var together []string
		for from := 0; from < n; from += size {
			page, err := p.Splice(Page{From: from, Size: size, Order: order})
			if err != nil {
				t.Fatal(err)
			}
			part, err := ParseResponse(page)
			if err != nil {
				t.Fatal(err)
			}
			together = append(together, part.spans()...)
		}
		if !slices.Equal(together, permuted.spans()) {
			t.Errorf("pages of %d: got %q, want %q", size, together, permuted.spans())
		}
	})
}

func sequence(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// checkIdentity: the hits in their own order, with their own scores, are the same bytes.
func checkIdentity(t fataler, p *Response) {
	t.Helper()
	n := p.Hits()
	scores := make([]float64, n)
	for i := range scores {
		scores[i] = p.Score(i)
	}
	for _, page := range []Page{{Size: n}, {Size: n, Order: sequence(n), KeepScores: true}, {Size: n + 1, Order: sequence(n), Strip: &Widened{}}} {
		got, err := p.Splice(page)
		if err != nil || !bytes.Equal(got, p.body) {
			t.Fatalf("%+v: got %q, %v, want %q", page, got, err, p.body)
		}
	}
}

// checkPermutation: no hit is lost or doubled, the order is the one that was asked for, and its inverse restores the bytes.
func checkPermutation(t fataler, p *Response, order []int) *Response {
	t.Helper()
	got, err := p.Splice(Page{Size: len(order), Order: order})
	if err != nil {
		t.Fatalf("%v", err)
	}
	permuted, err := ParseResponse(got)
	if err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	inverse := make([]int, len(order))
	before, after := p.spans(), permuted.spans()
	if len(before) != len(after) {
		t.Fatalf("got %d hits, want %d", len(after), len(before))
	}
	ranked := slices.ContainsFunc(p.hits, func(h hit) bool { return h.rank.has() })
	for place, i := range order {
		inverse[i] = place
		if !ranked && after[place] != before[i] {
			t.Fatalf("place %d: got %q, want %q", place, after[place], before[i])
		}
	}
	back, err := permuted.Splice(Page{Size: len(order), Order: inverse})
	if err != nil || !ranked && !bytes.Equal(back, p.body) {
		t.Fatalf("there and back: got %q, %v, want %q", back, err, p.body)
	}
	return permuted
}

// FuzzResponse: whatever a cluster sends, parsing never panics; what was JSON stays JSON; the properties above hold.
func FuzzResponse(f *testing.F) {
	for _, engine := range engines {
		for _, name := range []string{"plain", "pretty", "none", "added-own", "added-nothing"} {
			f.Add(recorded(f, engine+"-"+name), uint8(7))
		}
	}
	f.Add([]byte(`{"hits":{"hits":[{"_score":1,"_rank":1,"fields":{"title":[1],"u":[{"title":[]},{}]}} , {"_score":null}],"max_score":1},"took":-1}`), uint8(1))
	f.Add([]byte("{\"hits\":{\"hits\":[{\"\\u005fscore\":1e999,\"_source\":{\"title\":\"\\ud800\xff\",\"a\":{\"title.b\":[[[{}]]]}}}]}}"), uint8(0))
	f.Add([]byte("{\"hits\":{\"hits\":[{\"_explanation\":{\"value\":1},\"_score\":1},{\"_explanation\":{\n\t\"value\":2\n}},{\"_score\":3,\"_explanation\":{ }}]}}"), uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, seed uint8) {
		before := bytes.Clone(body)
		p, err := ParseResponse(body)
		if err != nil {
			return
		}
		n := p.Hits()
		checkIdentity(t, p)
		order := sequence(n)
		for i := range order {
			j := int(seed) * (i + 1) % n
			order[i], order[j] = order[j], order[i]
		}
		checkPermutation(t, p, order)
		scores, drop, left := make([]float64, n), make([]bool, n), 0
		template := FieldsTemplate([]string{"title", "a.title.b", "u.title"})
		texts := p.Texts(n, template)
		for i := range scores {
			scores[i], drop[i] = 1/float64(i+1), (i+int(seed))%3 == 0
			if !drop[i] {
				left++
			}
			if text := p.Text(i, template); strings.TrimSpace(text) == "" && text != "" || text != texts[i] {
				t.Errorf("hit %d: got %q by itself, %q among others", i, text, texts[i])
			}
			_, _, _ = p.Index(i), p.ID(i), p.Held(i)
		}
		w := &Widened{added: []string{"title", "u.title"}, asked: []string{"a*"}}
		explanation := &Explanation{"a model", []Judgement{{Model: "a \"model\"\xff", Logit: 2.5, Held: true}, {}, {Logit: math.Inf(-1), Fused: math.NaN()}}}
		for _, page := range []Page{
			{Size: n, Order: order, Scores: scores, AddTook: 3, Strip: w}, {From: n / 2, Size: 2, Order: order, KeepScores: true, Strip: w}, {From: n, Size: 1},
			{Size: n, Order: order, Scores: scores, Explain: explanation, Strip: w}, {Size: n, Order: order, KeepScores: true, Explain: explanation},
			{From: 1, Size: n, Order: order, Scores: scores, Drop: drop, Explain: explanation}, {Size: 2, Drop: drop, Strip: w},
			{Size: n, Order: order, Scores: scores, QueryID: "a \"b\"\xff"}, {From: 1, Size: 2, Drop: drop, Strip: w, QueryID: "c"},
		} {
			got, err := p.Splice(page)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseResponse(got)
			if err != nil {
				t.Fatalf("%q became %q: %v", body, got, err)
			}
			all := n
			if page.Drop != nil {
				all = left
			}
			if want := max(0, min(page.Size, all-page.From)); again.Hits() != want {
				t.Errorf("%q became %q: %d hits, want %d", body, got, again.Hits(), want)
			}
			if json.Valid(body) && !json.Valid(got) {
				t.Errorf("%q became %q, which is no JSON", body, got)
			}
			checkShown(t, p, again, page)
			if page.QueryID != "" && toldID(again) != strings.ToValidUTF8(page.QueryID, "\uFFFD") {
				t.Errorf("%q became %q: the query id is %q", body, got, toldID(again))
			}
		}
		if !bytes.Equal(body, before) {
			t.Error("the response itself was changed")
		}
	})
}

// largeResponse makes a response of 100 hits and some 126 KB.
func largeResponse() []byte {
	var b bytes.Buffer
	b.WriteString(`{"took":5,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"total":{"value":100,"relation":"eq"},"max_score":100.5,"hits":[`)
	for i := range 100 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"_index":"shop","_id":"%d","_score":%d.5,"_source":{"title":"Red shoes, number %d","body":%q,"price":%d.99,"tags":["a","b","c"]}}`,
			i, 100-i, i, strings.Repeat("Some words about shoes. ", 45), i)
	}
	b.WriteString(`]}}`)
	return b.Bytes()
}

func BenchmarkResponse(b *testing.B) {
	body := largeResponse()
	template := FieldsTemplate([]string{"title", "body"})
	order, scores := sequence(100), make([]float64, 100)
	slices.Reverse(order)
	for i := range scores {
		scores[i] = 1 / float64(i+1)
	}
	p, err := ParseResponse(body)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseResponse(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("text", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			p.Texts(p.Hits(), template)
		}
	})
	b.Run("splice", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Splice(Page{Size: 100, Order: order, Scores: scores}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			p, err := ParseResponse(body)
			if err != nil {
				b.Fatal(err)
			}
			p.Texts(p.Hits(), template)
			if _, err := p.Splice(Page{Size: 10, Order: order, Scores: scores}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	body := []byte(`{"query":{"bool":{"must":[{"multi_match":{"query":"red running shoes","fields":["title^3","body"]}}],"filter":[{"term":{"status":"published"}}]}},"size":10,"_source":["title"]}`)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Parse("pretty", body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Widen(Need{Window: 50, Fields: []string{"title", "body"}, Widen: true}); err != nil {
			b.Fatal(err)
		}
	}
}
