package search

import (
	"bytes"
	"encoding/json"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Answers that are made to hurt end in an error or in exact bytes, soon, and cost no more memory than a small multiple of what came.
func TestHostileAnswers(t *testing.T) {
	hits := func(inside string) string { return `{"took":1,"hits":{"max_score":2.0,"hits":[` + inside + `]}}` }
	hit := func(members string) string {
		return hits(`{"_score":2.0,` + members + `},{"_score":1.0,"_source":{"title":"b"}}`)
	}
	for _, test := range []struct {
		name, body string
		fails      bool
	}{
		{"100 MB in one hit", hit(`"_source":{"title":"` + strings.Repeat("red shoes ", 10<<20) + `"}`), false},
		{"10 MB of escapes", hit(`"_source":{"title":"` + strings.Repeat(`\u0041`, 10<<20/6) + `"}`), false},
		{"10 MB that are no UTF-8", hit(`"_source":{"title":"` + strings.Repeat("\xff\x80", 5<<20) + `"}`), false},
		{"a number of 10 MB", hit(`"_source":{"title":` + strings.Repeat("9", 10<<20) + `}`), false},
		{"a million values", hit(`"_source":{"title":[` + strings.Repeat(`"ab",`, 1<<20) + `"ab"]}`), false},
		{"a million members", hit(`"_source":{` + strings.Repeat(`"title":"a",`, 1<<20) + `"x":1}`), false},
		{"a name of 10 MB", hit(`"_source":{"` + strings.Repeat(`\u0074`, 10<<20/6) + `":"x"}`), false},
		{"9,000 levels", hit(`"_source":{"title":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`), false},
		{"20 million levels of arrays", hit(`"_source":` + strings.Repeat("[", 20_000_000)), true},
		{"4 million levels of objects", hit(`"_source":` + strings.Repeat(`{"title":`, 4<<20)), true},
		{"many hits", hits(strings.Repeat("{},", 1<<20) + "{}"), true},
		{"as many hits as there may be", hits(strings.Repeat(`{"_score":1},`, maxHits-1) + "{}"), false},
		{"hits twice", `{"hits":{"hits":[]},"hits":{"hits":[]}}`, true},
		{"hits.hits twice", `{"hits":{"hits":[],"hits":[]}}`, true},
		{"a score twice", hit(`"_score":1`), true},
		{"sources twice", hit(`"_source":{},"_source":{}`), true},
		{"explanations twice", hit(`"_explanation":{},"_explanation":{}`), true},
		{"sort values twice", hit(`"sort":[],"sort":[]`), true},
		{"numbers beyond 2^53", hit(`"_seq_no":9007199254740993,"_version":18446744073709551617,"_source":{"n":1e400,"title":-0}`), false},
		{"a score beyond all", hits(`{"_score":1e999},{"_score":-1e999},{"_score":` + strings.Repeat("9", 1000) + `}`), false},
		{"a time beyond all", `{"took":` + strings.Repeat("9", 1000) + `,"hits":{"hits":[{},{}]}}`, false},
		{"invalid UTF-8", hit("\"_source\":{\"t\xff\":\"\xc3\x28\",\"title\":\"\xf0\x9f\"},\"\xed\xa0\x80\":1"), false},
		{"half surrogate pairs", hit(`"_source":{"title":"\ud83d \udc5f \ud83d","\ud800":1},"\udfff":1`), false},
		{"a zero byte in a string", hit("\"_source\":{\"title\":\"a\x00b\"}"), true},
		{"a zero byte between", hit("\"_source\":\x00{}"), true},
		{"zero bytes behind", hit(`"_source":{}`) + "\x00\x00", true},
		{"zero bytes, escaped", hit(`"_source":{"title":"a\u0000b","\u0000":"c"}`), false},
		{"hits that are an array", `{"hits":[{"_score":1}]}`, true},
		{"hits that are a number", `{"hits":5}`, true},
		{"hits.hits that are null", `{"hits":{"hits":null}}`, true},
		{"no hits", `{"took":5}`, true},
		{"a hit that is a number", hits(`{"_score":1},5`), true},
		{"members of other kinds", hits(`{"_score":{},"_source":[{"title":"a"}],"fields":"title","_explanation":[],"sort":{},"_rank":"x","ignored_field_values":1},` +
			`{"_score":[1],"_source":1,"fields":{"title":{}},"_explanation":null,"_rank":{},"_id":{},"_index":[]}`), false},
		{"a page of another kind", `{"took":"1","timed_out":1,"_shards":[{"failed":3}],"hits":{"max_score":"x","hits":[{"_score":1},{"_score":2}]}}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := []byte(test.body)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			p, err := ParseResponse(body)
			if (err != nil) != test.fails {
				t.Fatalf("got error %v, want one: %t", err, test.fails)
			}
			var back []byte
			if err == nil {
				for _, text := range p.Texts(min(p.Hits(), 1000), FieldsTemplate([]string{"title", "x.y"})) {
					if len(text) > 2*maxText+1 {
						t.Errorf("got a text of %d bytes", len(text))
					}
				}
				back = thereAndBack(t, p)
			}
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if back != nil && !bytes.Equal(back, body) {
				t.Errorf("there and back: got %.300q, want %.300q", back, body)
			}
			// With the race detector the longest takes 5 s, and 23 s on a busy machine; what grew as the square of 100 MB would take hours.
			if took > time.Minute {
				t.Errorf("took %s", took)
			}
			// Two answers were read, and two written.
			most := uint64(4*len(body) + 64<<20)
			if p != nil {
				most += uint64(p.Hits()) << 11
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("took %d bytes of memory for %d, more than %d", used, len(body), most)
			}
		})
	}
}

// thereAndBack splices a response in the opposite order, and the result again.
func thereAndBack(t *testing.T, p *Response) []byte {
	t.Helper()
	order := sequence(p.Hits())
	slices.Reverse(order)
	reversed, err := p.Splice(Page{Size: p.Hits(), Order: order})
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseResponse(reversed)
	if err != nil {
		t.Fatal(err)
	}
	back, err := again.Splice(Page{Size: p.Hits(), Order: order})
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// An answer that ends anywhere is an error, as one answer and as a part of several.
func TestTruncatedAnswers(t *testing.T) {
	for _, engine := range engines {
		for _, layout := range []string{"plain", "pretty"} {
			body := bytes.TrimRight(recorded(t, engine+"-"+layout), "\n")
			for end := range body {
				if _, err := ParseResponse(body[:end]); err == nil {
					t.Fatalf("%s %s: cut at %d: got no error", engine, layout, end)
				}
			}
			multi := slices.Concat([]byte(`{"took":1,"responses":[`), body, []byte(`]}`))
			for end := range multi {
				if _, err := ParseMultiResponse(multi[:end]); err == nil {
					t.Fatalf("%s %s: several, cut at %d: got no error", engine, layout, end)
				}
			}
			if m := mustParseMultiResponse(t, string(multi)); m.Items() != 1 || !bytes.Equal(m.Item(0), body) {
				t.Errorf("%s %s: got another response out than went in", engine, layout)
			}
		}
	}
}

// Only what stands at the top of a hit is read: inner hits, aggregations, fragments and documents may hold the same names.
func TestOnlyTheTopIsRead(t *testing.T) {
	const inside = `{"hits":{"total":{"value":1,"relation":"eq"},"max_score":7.5,"hits":[{"_id":"i","_score":7.5,"_rank":9,"_nested":{"offset":0},"sort":[7.5],` +
		`"_source":{"_score":1},"_explanation":{"value":7.5},"fields":{"title":["x"]}},{"_id":"j","_score":7.5}]},"max_score":7.5,"took":9}`
	const members = `"_source":{"took":3,"hits":` + inside + `,"_score":2.0},"highlight":{"title":["<em>_score</em>"]},"inner_hits":{"hits":` + inside + `},"matched_queries":["hits"]`
	const around = `"aggregations":{"top":` + inside + `,"hits":{"hits":{"hits":[]}}},"suggest":{"hits":[]},"profile":{"shards":[{"hits":` + inside + `,"took":1}]},"_clusters":{"took":1}`
	hit := func(id, score, members string) string {
		return `{"_id":"` + id + `","_score":` + score + `,` + members + `}`
	}
	response := func(took, max string, hits ...string) string {
		return `{"took":` + took + `,"hits":{"total":2,"max_score":` + max + `,"hits":[` + strings.Join(hits, ",") + `]},` + around + `}`
	}
	p := mustParseResponse(t, response("4", "2.0", hit("a", "2.0", members), hit("b", "1.5", members)))
	if p.Hits() != 2 || p.Took() != 4 || p.Sorted() {
		t.Fatalf("got %d hits, took %d, sorted %t", p.Hits(), p.Took(), p.Sorted())
	}
	for _, test := range []struct {
		page Page
		want string
	}{
		{Page{Size: 2}, string(p.body)},
		{Page{Size: 2, Order: []int{1, 0}, Scores: []float64{0.75, 0.5}, AddTook: 2, Explain: &Explanation{Model: "m"}, Strip: &Widened{added: []string{"title"}}},
			response("6", "0.75", hit("b", "0.75", members), hit("a", "0.5", members))},
		{Page{Size: 2, Order: []int{1, 0}, KeepScores: true}, response("4", "2.0", hit("b", "2.0", members), hit("a", "1.5", members))},
		{Page{Size: 2, Order: []int{1, 0}, Scores: []float64{0.75, 0.5}, Drop: []bool{true, false}}, response("4", "0.75", hit("b", "0.75", members))},
		{Page{Size: 2, Drop: []bool{true, true}}, response("4", "null")},
	} {
		got, err := p.Splice(test.page)
		if err != nil || string(got) != test.want {
			t.Errorf("%+v:\ngot  %s, %v\nwant %s", test.page, got, err, test.want)
		}
	}
}

// Hits without a score, or with something else in the place of their explanation, are not explained.
func TestExplainOddities(t *testing.T) {
	for _, first := range []string{
		`{"_explanation":{"value":1}}`, `{"_score":null,"_explanation":{"value":1}}`, `{"_score":"1","_explanation":{"value":1}}`,
		`{"_score":1.0,"_explanation":null}`, `{"_score":1.0,"_explanation":[]}`, `{"_score":1.0,"_explanation":"x"}`,
	} {
		p := mustParseResponse(t, `{"hits":{"hits":[`+first+`,{"_score":0.5,"_explanation":{"value":0.5}}]}}`)
		for _, page := range []Page{{KeepScores: true}, {Scores: []float64{2, 1}}, {}} {
			page.Size, page.Order, page.Explain = 2, []int{1, 0}, &Explanation{"m", []Judgement{{Model: "m", Logit: 2}, {Model: "m", Logit: math.Inf(1), Fused: math.NaN()}}}
			got, err := p.Splice(page)
			if err != nil || !json.Valid(got) {
				t.Errorf("%s: got %s, %v", first, got, err)
				continue
			}
			again := mustParseResponse(t, string(got))
			if want := p.hits[0].explanation.of(p.body); !bytes.Equal(again.hits[1].explanation.of(got), want) {
				t.Errorf("%s: got %s, want the explanation as it was", first, got)
			}
		}
	}
}
