package search

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/proxy/filterpath"
)

func TestUBI(t *testing.T) {
	long := strings.Repeat("é", 101)
	for _, test := range []struct {
		name, body string
		want       *UBI
		err        string // in the error; "": there is none
	}{
		{"none", `{"ext":{}}`, nil, ""},
		{"empty", `{"ext":{"ubi":{}}}`, &UBI{}, ""},
		{"all", `{"ext":{"ubi":{"query_id":"q-1","user_query":"red \u0073hoes","client_id":"c","application":"shop","object_id_field":"sku","query_attributes":{"page":"home","é":""}}}}`,
			&UBI{QueryID: "q-1", UserQuery: "red shoes", ClientID: "c", Application: "shop", ObjectIDField: "sku", Attributes: map[string]string{"page": "home", "é": ""}}, ""},
		{"escaped names", `{"\u0065xt":{"ub\u0069":{"query\u005fid":"q"}}}`, &UBI{QueryID: "q"}, ""},
		{"null is nothing", `{"ext":{"ubi":{"query_id":null,"query_attributes":null}}}`, &UBI{}, ""},
		{"numbers and booleans are spelled", `{"ext":{"ubi":{"client_id":9007199254740993,"query_attributes":{"n":1.50,"b":true}}}}`,
			&UBI{ClientID: "9007199254740993", Attributes: map[string]string{"n": "1.50", "b": "true"}}, ""},
		{"no object", `{"ext":{"ubi":true}}`, &UBI{}, "reading ext.ubi: not an object"},
		{"a list of ids", `{"ext":{"ubi":{"query_id":["a"],"client_id":"c"}}}`, &UBI{ClientID: "c"}, "reading ext.ubi.query_id: not a string"},
		{"an unknown name", `{"ext":{"ubi":{"queryid":"a","client_id":"c"}}}`, &UBI{ClientID: "c"}, "reading ext.ubi.queryid: unknown name"},
		{"too long", `{"ext":{"ubi":{"query_id":"` + long + `","application":"` + long[:200] + `"}}}`, &UBI{Application: long[:200]}, "reading ext.ubi.query_id: more than 100 characters"},
		{"an object in the attributes", `{"ext":{"ubi":{"query_attributes":{"a":"b","c":{"d":"e"}}}}}`, &UBI{Attributes: map[string]string{"a": "b"}}, `reading ext.ubi.query_attributes: "c": not a string`},
		{"attributes that are none", `{"ext":{"ubi":{"query_attributes":"a"}}}`, &UBI{}, "reading ext.ubi.query_attributes: not an object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := mustParse(t, "", test.body)
			got, err := r.UBI()
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got error %v, want %q in it", err, test.err)
			}
			if reason, detail := r.Pass(); reason != "" {
				t.Errorf("got to pass: %s %s", reason, detail)
			}
		})
	}
	t.Run("too many attributes", func(t *testing.T) {
		var b strings.Builder
		for i := range 100 {
			b.WriteString(`,"` + strings.Repeat("a", i+1) + `":""`)
		}
		u, err := mustParse(t, "", `{"ext":{"ubi":{"query_attributes":{`+b.String()[1:]+`}}}}`).UBI()
		if err == nil || len(u.Attributes) != 64 {
			t.Errorf("got %d attributes, error %v", len(u.Attributes), err)
		}
	})
}

func TestRecorded(t *testing.T) {
	for _, test := range []struct{ name, rawQuery, body, original, plain string }{
		{"nothing of ours", "", ` { "ext" : {} } `, ` { "ext" : {} } `, ` { "ext" : {} } `},
		{"alone", "", `{"size":1,"ext":{"ubi":{"query_id":"a"}}}`, `{"size":1}`, `{"size":1}`},
		{"all there is", "", `{ "ext":{"ubi":true} }`, `{  }`, `{  }`},
		{"OpenSearch's stays", "", `{"ext":{"rerank":{"mode":"on","query_context":{"query_text":"a"}},"ubi":{}}}`, `{"ext":{"rerank":{"query_context":{"query_text":"a"}}}}`, `{}`},
		{"beside others", "", `{"ext":{"ubi":{},"ltr_log":{},"rerank":"off"}}`, `{"ext":{"ltr_log":{}}}`, `{"ext":{"ltr_log":{}}}`},
		{"in the url", "a=1&source=%7B%22ext%22:%7B%22ubi%22:%7B%7D%7D%7D&b=2", "", "a=1&source=%7B%7D&b=2", "a=1&source=%7B%7D&b=2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := mustParse(t, test.rawQuery, test.body)
			query, body := r.Original()
			for want, made := range map[*string]func() (string, []byte){&test.original: r.Recorded().Original, &test.plain: r.Recorded().Plain} {
				query, body := made()
				got := string(body)
				if test.body == "" {
					got = query
				}
				if got != *want {
					t.Errorf("got %s, want %s", got, *want)
				}
			}
			if again, same := r.Original(); again != query || !bytes.Equal(same, body) {
				t.Error("the request itself was changed")
			}
		})
	}
}

const spoken = `{"took":1,"hits":{"hits":[{"_id":"a"}]}`

func TestQueryID(t *testing.T) {
	const pretty = "{\n  \"took\" : 1,\n  \"hits\" : {\n    \"hits\" : [ ]\n  }"
	for _, test := range []struct{ name, body, want string }{
		{"plain", spoken + `}`, spoken + `,"ext":{"ubi":{"query_id":"q"}}}`},
		{"pretty", pretty + "\n}\n", pretty + ",\n  \"ext\" : {\n    \"ubi\" : {\n      \"query_id\" : \"q\"\n    }\n  }\n}\n"},
		{"before a status", spoken + `,"status":200}`, spoken + `,"ext":{"ubi":{"query_id":"q"}},"status":200}`},
		{"an indented item of a multi-search", "{\n      \"hits\" : {\"hits\" : [ ]},\n      \"status\" : 200\n    }",
			"{\n      \"hits\" : {\"hits\" : [ ]},\n      \"ext\" : {\n        \"ubi\" : {\n          \"query_id\" : \"q\"\n        }\n      },\n      \"status\" : 200\n    }"},
		{"beside what another plugin says", `{"ext":{"a":[{}]},"hits":{"hits":[ ]}}`, `{"ext":{"ubi":{"query_id":"q"},"a":[{}]},"hits":{"hits":[ ]}}`},
		{"beside it, indented", "{\n  \"hits\" : {\"hits\" : [ ]},\n  \"ext\" : {\n    \"a\" : 1\n  }\n}", "{\n  \"hits\" : {\"hits\" : [ ]},\n  \"ext\" : {\n    \"ubi\" : {\n      \"query_id\" : \"q\"\n    },\n    \"a\" : 1\n  }\n}"},
		{"an empty ext", `{"ext":{},"hits":{"hits":[]}}`, `{"ext":{"ubi":{"query_id":"q"}},"hits":{"hits":[]}}`},
		{"an ext that is none", `{"ext":null,"hits":{"hits":[]}}`, `{"ext":{"ubi":{"query_id":"q"}},"hits":{"hits":[]}}`},
		{"a ubi that is none", `{"ext":{"a":1,"ubi":7},"hits":{"hits":[]}}`, `{"ext":{"a":1,"ubi":{"query_id":"q"}},"hits":{"hits":[]}}`},
		{"an empty ubi", `{"ext":{"a":1,"ubi":{ }},"hits":{"hits":[]}}`, `{"ext":{"a":1,"ubi":{"query_id":"q"}},"hits":{"hits":[]}}`},
		{"a ubi that says more", `{"ext":{"ubi":{"x":1}},"hits":{"hits":[]}}`, `{"ext":{"ubi":{"query_id":"q","x":1}},"hits":{"hits":[]}}`},
		{"the plugin's own id", `{"hits":{"hits":[]},"ext":{"ubi":{"x":1,"query_id":"other"}}}`, `{"hits":{"hits":[]},"ext":{"ubi":{"x":1,"query_id":"q"}}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := mustParseResponse(t, test.body)
			got, err := p.Splice(Page{Size: p.Hits(), QueryID: "q"})
			if err != nil || string(got) != test.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, test.want)
			}
			if got, err = AddQueryID([]byte(test.body), "q"); err != nil || string(got) != test.want {
				t.Errorf("added: got  %s, %v\nwant %s", got, err, test.want)
			}
			if again, err := AddQueryID(got, "q"); err != nil || !bytes.Equal(again, got) {
				t.Errorf("told twice: got %s, %v, want %s", again, err, got)
			}
		})
	}
	for body, want := range map[string]string{
		`{ }`:                       `{"ext":{"ubi":{"query_id":"q"}}}`, // all that a filter has left
		`{"took":3}`:                `{"took":3,"ext":{"ubi":{"query_id":"q"}}}`,
		`{"status":200}`:            `{"status":200,"ext":{"ubi":{"query_id":"q"}}}`,
		`{"error":{},"status":400}`: "", `[]`: "", `7`: "", ``: "", `{"took":`: "", `{} {}`: "",
	} {
		if got, err := AddQueryID([]byte(body), "q"); string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %s, %v, want %s", body, got, err, want)
		}
	}
}

// A filter that lets the id through leaves it, indented or not, and another takes it out: the filter is applied to what is spliced.
func TestQueryIDFiltered(t *testing.T) {
	const body = "{\n  \"took\" : 1,\n  \"hits\" : {\n    \"hits\" : [\n      {\n        \"_id\" : \"a\"\n      }\n    ]\n  }\n}\n"
	for filter, want := range map[string]string{
		"hits.hits._id":     `{"hits":{"hits":[{"_id":"a"}]}}`,
		"hits,ext":          `{"hits":{"hits":[{"_id":"a"}]},"ext":{"ubi":{"query_id":"q"}}}`,
		"hits,**.query_id":  `{"hits":{"hits":[{"_id":"a"}]},"ext":{"ubi":{"query_id":"q"}}}`,
		"-ext,-hits":        `{"took":1}`,
		"took,ext.ubi.else": `{"took":1}`,
	} {
		r := mustParse(t, "pretty&filter_path="+filter, `{"ext":{"ubi":{}}}`)
		f, err := filterpath.Parse(filter)
		if err != nil {
			t.Fatal(err)
		}
		spliced, err := mustParseResponse(t, body).Splice(Page{Size: 10, QueryID: "q"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Apply(spliced, false)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", filter, got, err, want)
		}
		if shows := strings.Contains(want, "query_id"); r.ShowsQueryID() != shows {
			t.Errorf("%s: shows the query id: got %t, want %t", filter, r.ShowsQueryID(), shows)
		}
	}
	for rawQuery, want := range map[string]bool{"": true, "filter_path=responses.hits": false, "filter_path=responses.ext,took": true, "filter_path=a..b": false} {
		q, err := ParseMultiQuery(rawQuery)
		if err != nil || q.ShowsQueryID() != want {
			t.Errorf("%q: shows the query ids: got %t, %v, want %t", rawQuery, q.ShowsQueryID(), err, want)
		}
	}
}

// Each response of a multi-search is told the id of its own search.
func TestQueryIDMulti(t *testing.T) {
	m, err := ParseMultiResponse([]byte(`{"took":3,"responses":[` + spoken + `,"status":200},{"error":{},"status":400},` + spoken + `,"status":200}]}`))
	if err != nil {
		t.Fatal(err)
	}
	items := make([][]byte, m.Items())
	for i, id := range []string{"q1", "", "q3"} {
		if id == "" {
			continue
		}
		p, err := ParseResponse(m.Item(i))
		if err != nil {
			t.Fatal(err)
		}
		if items[i], err = p.Splice(Page{Size: p.Hits(), QueryID: id}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := m.Splice(items, 0)
	want := `{"took":3,"responses":[` + spoken + `,"ext":{"ubi":{"query_id":"q1"}},"status":200},{"error":{},"status":400},` + spoken + `,"ext":{"ubi":{"query_id":"q3"}},"status":200}]}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestShown(t *testing.T) {
	const body = `{"hits":{"total":{"value":12345678901,"relation":"gte"},"hits":[
		{"_index":"a","_id":"1","_source":{"product":{"sku":9007199254740993},"sku":"s1","on":true}},
		{"_index":"a","_id":"2","_source":{"other":{"sku":"no"},"product.sku":"p2","sku":["s2","s2b"]}},
		{"_index":"b\u0062","_id":"3","_source":{"skuu":1,"sku":{"x":1},"product":[{"name":"n"},{"sku":"p3"}]},"fields":{"sku":["s3"]}},
		{"_id":"\u0034","fields":{"product.sku":["p4"],"sku":[[],null,4.50]}}]}}`
	p := mustParseResponse(t, body)
	for _, test := range []struct {
		field string
		page  Page
		want  string
	}{
		{"", Page{Size: 10}, "0 a 1 ,1 a 2 ,2 bb 3 ,3  4 "},
		{"_id", Page{Size: 2}, "0 a 1 ,1 a 2 "},
		{"sku", Page{Size: 10, Order: []int{3, 2, 1, 0}}, "3  4 4.50,2 bb 3 s3,1 a 2 s2,0 a 1 s1"},
		{"product.sku", Page{From: 1, Size: 2, Order: []int{3, 0, 2, 1}}, "0 a 1 9007199254740993,2 bb 3 p3"},
		{"product.sku", Page{Size: 2, Order: []int{3, 0, 1, 2}, Drop: []bool{true, false, false, false}}, "3  4 p4,1 a 2 p2"},
		{"on", Page{Size: 1}, "0 a 1 true"},
		{"sku.keyword", Page{Size: 1}, "0 a 1 "},
		{"sku", Page{From: 9, Size: 1}, ""},
	} {
		shown, err := p.Shown(test.page, test.field)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, s := range shown {
			all = append(all, strings.Join([]string{string(rune('0' + s.Hit)), s.Index, s.ID, s.Object}, " "))
		}
		if got := strings.Join(all, ","); got != test.want {
			t.Errorf("%s, %+v:\ngot  %s\nwant %s", test.field, test.page, got, test.want)
		}
	}
	if _, err := p.Shown(Page{Order: []int{0}}, ""); err == nil {
		t.Error("got no error for an order that does not fit")
	}
	for total, want := range map[string]int64{
		`"total":{"value":12345678901,"relation":"gte"},`: 12345678901, `"total":7,`: 7, ``: -1, `"total":null,`: -1, `"total":{},`: -1, `"total":{"value":1.5},`: -1,
	} {
		if got := mustParseResponse(t, `{"hits":{`+total+`"hits":[]}}`).Total(); got != want {
			t.Errorf("%s: got a total of %d, want %d", total, got, want)
		}
	}
}

// checkShown: the hits that are said to be shown are those of the page, in its order.
func checkShown(t interface {
	fataler
	Errorf(string, ...any)
}, p, page *Response, pg Page) {
	t.Helper()
	shown, err := p.Shown(pg, "title")
	if err != nil || len(shown) != page.Hits() {
		t.Fatalf("%d shown of %d, %v", len(shown), page.Hits(), err)
	}
	for i, s := range shown {
		if s.ID != page.ID(i) || s.Index != page.Index(i) || s.ID != p.ID(s.Hit) {
			t.Errorf("place %d: got %+v, want %s %s", i, s, page.Index(i), page.ID(i))
		}
	}
}

// toldID is the query id that a client reads of a response.
func toldID(p *Response) string {
	if !p.ext.has() || p.body[p.ext.start] != '{' {
		return ""
	}
	ubi := named(shallow(p.body, p.ext), "ubi")
	if ubi == nil || p.body[ubi.start] != '{' {
		return ""
	}
	id := named(shallow(p.body, span{ubi.start, ubi.end}), "query_id")
	if id == nil {
		return ""
	}
	return unquote(p.body[id.start:id.end])
}

// TestQueryIDProperty: whatever a response says beside it, it is told the id and stays what it was in all else.
func TestQueryIDProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfDistinct(rapid.SampledFrom([]string{
			`"took":1`, `"hits":{"hits":[{"_id":"a","_source":{"ext":{"ubi":{"query_id":"document"}}}}],"total":1}`, `"status":200`, `"aggregations":{"ext":{}}`,
			`"ext":{}`, `"ext" : { "ubi" : {} }`, `"ext":{"ubi":{"a":[1]},"b":2}`, `"ext":{"ubi":{"query_id":null}}`, `"ext":[1]`, "\"ext\":\n{\n}", `"ext":{"a":1}`,
		}), func(s string) string { return s[:4] }).Draw(t, "members")
		gap := rapid.SampledFrom([]string{"", " ", "\n  ", "\n\t"}).Draw(t, "gap")
		body := "{" + gap + strings.Join(members, ","+gap) + gap + "}"
		id := rapid.String().Draw(t, "id")
		got, err := AddQueryID([]byte(body), id)
		if err != nil {
			t.Fatal(err)
		}
		var before, after map[string]any
		if err := json.Unmarshal([]byte(body), &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%s became %s: %v", body, got, err)
		}
		ext, _ := before["ext"].(map[string]any)
		ubi, _ := ext["ubi"].(map[string]any)
		ext, ubi = maps.Clone(ext), maps.Clone(ubi)
		if ext == nil {
			ext = map[string]any{}
		}
		if ubi == nil {
			ubi = map[string]any{}
		}
		ubi["query_id"], ext["ubi"], before["ext"] = id, ubi, ext
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s became %s", body, got)
		}
	})
}

// FuzzUBI: whatever a search says of itself, reading it never panics and changes nothing; recorded or widened it says nothing more of it,
// and is otherwise what it was.
func FuzzUBI(f *testing.F) {
	for _, seed := range [][2]string{
		{"", `{"ext":{"ubi":{"query_id":"a","query_attributes":{"b":"c","d":1}},"rerank":{"query_context":{}}},"size":3}`},
		{"", `{"ext" : {"ltr_log":{}, "ubi":null , "rerank":"off"}}`},
		{"source=%7B%22ext%22%3A%7B%22ubi%22%3A%7B%7D%7D%7D&source_content_type=application/json&a", ""},
		{"", `{"\u0065xt":{"ubi":[[]]},"query":{}}`},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, rawQuery string, body []byte) {
		before := bytes.Clone(body)
		r, err := Parse(rawQuery, body)
		if err != nil {
			return
		}
		u, err := r.UBI()
		if u == nil && err != nil || (u == nil) != (r.root.get("ext").get("ubi") == nil) {
			t.Fatalf("%q: got %+v, %v", body, u, err)
		}
		for _, made := range []func() (string, []byte){r.Recorded().Original, r.Recorded().Plain} {
			query, sent := made()
			if u == nil && r.root.get("ext").get("rerank") == nil && (query != rawQuery || !bytes.Equal(sent, body)) {
				t.Fatalf("%q %q became %q %q", rawQuery, body, query, sent)
			}
			again, err := Parse(query, sent)
			if err != nil {
				t.Fatalf("%q %q became %q %q: %v", rawQuery, body, query, sent, err)
			}
			if left, _ := again.UBI(); left != nil {
				t.Fatalf("%q %q became %q %q", rawQuery, body, query, sent)
			}
			if again.Size() != r.Size() || again.From() != r.From() || !slices.Equal(again.Fields(), r.Fields()) {
				t.Fatalf("%q %q became %q %q", rawQuery, body, query, sent)
			}
		}
		if !bytes.Equal(body, before) {
			t.Fatal("the body was changed")
		}
	})
}

// FuzzQueryID: what was a response stays one, with the id in it, and telling the same id again changes nothing.
func FuzzQueryID(f *testing.F) {
	for _, body := range []string{
		`{"ext":{"ubi":{"query_id":1}},"hits":{"hits":[]}}`, "{\n\t\"ext\" : { \"a\" : 1}}", `{"status":1,"ext":{},"ext":[]}`, " {\"\\u0065xt\":{\"ubi\":{}}}\n", `{ }`,
	} {
		f.Add([]byte(body), "an id")
	}
	f.Fuzz(func(t *testing.T, body []byte, id string) {
		before := bytes.Clone(body)
		got, err := AddQueryID(body, id)
		if err != nil {
			return
		}
		if !bytes.Equal(body, before) {
			t.Fatal("the response itself was changed")
		}
		p, err := readResponse(got)
		if err != nil || toldID(p) != unquote(quote(id)) {
			t.Fatalf("%q became %q, which tells %q", body, got, toldID(p))
		}
		if again, err := AddQueryID(got, id); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q told again became %q, %v", got, again, err)
		}
		if json.Valid(body) && !json.Valid(got) {
			t.Fatalf("%q became %q, which is no JSON", body, got)
		}
	})
}

// FuzzObject: what is found with few looks is what a decoder finds with many.
func FuzzObject(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"a":{"b":[null,{"c":"x"}]},"b":1.50}`, "a.b.c"}, {`{"a\\":"\\\"","a":{"b.c":[[],[true]]}}`, "a.b.c"}, {"{ \"a\" : [ { } , -1e5 ] }", "a"}, {`{"a":{"b":1},"a.b":2}`, "a.b"},
		{`{"\u0061":"\ud83d\ude00"}`, "a"}, {`{"":{"a":1},"a":""}`, "a"},
	} {
		f.Add([]byte(seed[0]), seed[1])
	}
	f.Fuzz(func(t *testing.T, object []byte, path string) {
		p, err := ParseResponse([]byte(`{"hits":{"hits":[{"_source":` + string(object) + `}]}}`))
		if err != nil || p.Hits() != 1 || !p.hits[0].source.has() || p.body[p.hits[0].source.start] != '{' {
			return
		}
		source := p.hits[0].source
		d := jsontext.NewDecoder(bytes.NewReader(source.of(p.body)), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		want := ""
		if raw, err := decodeFirst(d, path); err != nil {
			t.Fatal(err)
		} else if len(raw) > 0 && raw[0] == '"' {
			want = unquote(raw)
		} else {
			want = string(raw)
		}
		if got := find(p.body, source, path); got != want {
			t.Errorf("%q of %q: got %q, want %q", path, object, got, want)
		}
	})
}

// decodeFirst is first, by a decoder.
func decodeFirst(d *jsontext.Decoder, path string) (jsontext.Value, error) {
	kind := d.PeekKind()
	if kind != '{' && kind != '[' {
		raw, err := d.ReadValue()
		if path != "" || kind == 'n' {
			raw = nil
		}
		return raw, err
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for next := d.PeekKind(); next != '}' && next != ']'; next = d.PeekKind() {
		rest, leads := path, path != "" || kind == '['
		if kind == '{' {
			name, err := d.ReadValue()
			if err != nil {
				return nil, err
			}
			rest, leads = along(name, path)
		}
		if !leads {
			if err := d.SkipValue(); err != nil {
				return nil, err
			}
		} else if raw, err := decodeFirst(d, rest); raw != nil || err != nil {
			return raw, err
		}
	}
	_, err := d.ReadToken()
	return nil, err
}

// BenchmarkUBI is what the section costs a search of 2 KB: being read, and being left out beside the widening that is done anyway.
func BenchmarkUBI(b *testing.B) {
	body := []byte(strings.Replace(typicalSearch, "{", `{"ext":{"ubi":{"query_id":"7ae52966-0ac7-4c44-8f9e-1f9b5f3a8d3b","user_query":"waterproof hiking boots for women","client_id":"a-browser",
		"application":"shop","object_id_field":"id","query_attributes":{"page":"search","sort":"relevance","device":"mobile"}}},`, 1))
	r, err := Parse("", body)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.UBI(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("strip", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, body := r.Recorded().Plain(); len(body) == 0 {
				b.Fatal("no body")
			}
		}
	})
}

// BenchmarkShown reads what a page of 24 hits shows, by _id alone and by a field of the documents, and tells the id of the query.
func BenchmarkShown(b *testing.B) {
	body := largeResponse()
	p, err := ParseResponse(body)
	if err != nil {
		b.Fatal(err)
	}
	page := Page{Size: 24, Order: sequence(100)}
	for _, field := range []string{"_id", "title", "price"} {
		b.Run(field, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if shown, err := p.Shown(page, field); err != nil || len(shown) != 24 {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("tell", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.queryID("7ae52966-0ac7-4c44-8f9e-1f9b5f3a8d3b")
		}
	})
}
