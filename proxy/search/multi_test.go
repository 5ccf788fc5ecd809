package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func mustParseMulti(t testing.TB, body string) *Multi {
	t.Helper()
	m, err := ParseMulti([]byte(body))
	if err != nil {
		t.Fatalf("parsing %q: %v", body, err)
	}
	return m
}

func TestParseMulti(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       []string // of each search: header|indices|body
	}{
		{"one", "{}\n{\"size\":1}\n", []string{`{}||{"size":1}`}},
		{"two", "{\"index\":\"a\"}\n{}\n{\"index\":[\"b\",\"c\"]}\n{\"size\":2}\n", []string{`{"index":"a"}|a|{}`, `{"index":["b","c"]}|b,c|{"size":2}`}},
		{"several in a string", "{\"index\":\"a,b*,-bc\"}\n{}\n", []string{`{"index":"a,b*,-bc"}|a,b*,-bc|{}`}},
		{"indices", "{\"indices\":[\"a\"]}\n{}\n", []string{`{"indices":["a"]}|a|{}`}},
		{"an escaped name", "{\"\\u0069ndex\":\"a\"}\n{}\n", []string{`{"\u0069ndex":"a"}|a|{}`}},
		{"all", "{\"index\":\"\"}\n{}\n{\"index\":[]}\n{}\n", []string{`{"index":""}|_all|{}`, `{"index":[]}|_all|{}`}},
		{"empty header", "{}\n{}\n\n{\"size\":2}\n", []string{`{}||{}`, `||{"size":2}`}},
		{"header of white space", " \t\n{}\n", []string{" \t||{}"}},
		{"carriage returns", "{}\r\n{\"size\":1}\r\n\r\n{}\r\n", []string{"{}\r||{\"size\":1}\r", "\r||{}\r"}},
		{"a carriage return begins", "\r\n{}\r\n", []string{"\r||{}\r"}},
		{"an empty line at the end", "{}\n{}\n\n", []string{`{}||{}`}},
		{"a header at the end", "{}\n{}\n{\"index\":\"a\"}\n", []string{`{}||{}`}},
		{"a body that is no JSON", "{}\n{\"size\"\n", []string{`{}||{"size"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := mustParseMulti(t, test.body)
			var got []string
			for _, s := range m.Searches {
				got = append(got, fmt.Sprintf("%s|%s|%s", s.Header, s.Indices, s.Body))
				if reason, detail := s.Pass(); reason != "" {
					t.Errorf("%s: passed: %s %s", s.Header, reason, detail)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if got := string(m.Build(nil)); got != test.body {
				t.Errorf("built %q, want %q", got, test.body)
			}
		})
	}
}

func TestParseMultiErrors(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"empty", "", "no line feed"},
		{"no line feed at the end", "{}\n{}", "no line feed"},
		{"white space at the end", "{}\n{}\n ", "no line feed"},
		{"no search", "{}\n", "no searches"},
		{"an empty line begins", "\n{}\n{}\n", "an empty line"},
		{"an empty line", "\n", "an empty line"},
		{"no body", "{}\n\n", "no body"},
		{"no body, white space", "{}\n \r\n", "no body"},
		{"no body in the middle", "{}\n\n{}\n{}\n", "no body"},
		{"two empty lines at the end", "{}\n{}\n\n\n", "no body"},
		{"many", strings.Repeat("{}\n{}\n", maxSearches+1), "more than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := ParseMulti([]byte(test.body)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q in it", err, test.want)
			}
		})
	}
	mustParseMulti(t, strings.Repeat("{}\n{}\n", maxSearches))
}

func TestMultiPass(t *testing.T) {
	for _, header := range []string{
		``, `{}`, `{"index":"a"}`, `{"search_type":"dfs_query_then_fetch"}`, `{"searchType":"query_then_fetch"}`, `{"search_type":null}`,
		`{"preference":"x","routing":"y","request_cache":true,"ignore_unavailable":true,"allowNoIndices":false,"expand_wildcards":["open"],` +
			`"allow_partial_search_results":true,"ccs_minimize_roundtrips":true,"cancel_after_time_interval":"1s","ignore_throttled":null}`,
	} {
		if reason, detail := mustParseMulti(t, header+" \n{}\n").Searches[0].Pass(); reason != "" {
			t.Errorf("%s: passed: %s %s", header, reason, detail)
		}
	}
	for _, test := range []struct {
		header string
		want   Reason
	}{
		{`{"search_type":"count"}`, Unsupported}, {`{"search_type":1}`, Unsupported}, {`{"foo":1}`, Unsupported}, {`{"type":"_doc"}`, Unsupported},
		{`{"search_pipeline":"p"}`, Unsupported}, {`{"Index":"a"}`, Unsupported},
		{`{"index":"a","indices":"b"}`, Unsupported}, {`{"index":null}`, Unsupported}, {`{"index":1}`, Unsupported}, {`{"index":["a",1]}`, Unsupported},
		{`{"index":[null]}`, Unsupported}, {`{"index":["a,b"]}`, Unsupported}, {`{"index":[["a"]]}`, Unsupported}, {`{"index":{}}`, Unsupported},
		{`[]`, Unsupported}, {`"x"`, Unsupported}, {`null`, Unsupported},
		{`{`, MalformedRequest}, {`{"index":"a","index":"a"}`, MalformedRequest}, {`{}{}`, MalformedRequest}, {`/**/{}`, MalformedRequest}, {`{}x`, MalformedRequest},
		{"\xef\xbb\xbf{}", MalformedRequest}, {"\x00", MalformedRequest},
	} {
		m := mustParseMulti(t, test.header+"\n{}\n\n{}\n")
		if reason, _ := m.Searches[0].Pass(); reason != test.want {
			t.Errorf("%s: got %q, want %q", test.header, reason, test.want)
		}
		if reason, _ := m.Searches[1].Pass(); reason != "" {
			t.Errorf("%s: the search after it: got %q", test.header, reason)
		}
	}
}

func TestMultiBuild(t *testing.T) {
	m := mustParseMulti(t, "{\"index\":\"a\"}\r\n{\"size\":1}\r\n\n {} \n{}\n{\"x\":1}\n{\"tail\":1}\n")
	for _, test := range []struct {
		bodies []string // "" for nil
		want   string
	}{
		{nil, "{\"index\":\"a\"}\r\n{\"size\":1}\r\n\n {} \n{}\n{\"x\":1}\n{\"tail\":1}\n"},
		{[]string{"", "{\"size\":2}"}, "{\"index\":\"a\"}\r\n{\"size\":1}\r\n\n{\"size\":2}\n{}\n{\"x\":1}\n{\"tail\":1}\n"},
		{[]string{"{\n  \"size\" : 3\r\n}\n", "", "{}"}, "{\"index\":\"a\"}\r\n{   \"size\" : 3\r } \n\n {} \n{}\n{}\n{\"tail\":1}\n"},
	} {
		var bodies [][]byte
		for _, body := range test.bodies {
			if body == "" {
				bodies = append(bodies, nil)
			} else {
				bodies = append(bodies, []byte(body))
			}
		}
		if got := string(m.Build(bodies)); got != test.want {
			t.Errorf("%q:\ngot  %q\nwant %q", test.bodies, got, test.want)
		}
	}
}

func mustParseMultiResponse(t testing.TB, body string) *MultiResponse {
	t.Helper()
	m, err := ParseMultiResponse([]byte(body))
	if err != nil {
		t.Fatalf("parsing %q: %v", body, err)
	}
	return m
}

// Responses to three searches, the second of which failed and the third of which matches nothing.
const multiPlain = `{"took":7,"responses":[{"took":5,"hits":{"max_score":2.0,"hits":[{"_id":"a","_score":2.0},{"_id":"b","_score":1.0}]},"status":200},` +
	`{"error":{"root_cause":[],"type":"index_not_found_exception"},"status":404},{"took":0,"hits":{"max_score":null,"hits":[]},"status":200}]}`

func TestMultiResponse(t *testing.T) {
	m := mustParseMultiResponse(t, multiPlain)
	var got []string
	for i := range m.Items() {
		got = append(got, fmt.Sprintf("%d %t %s", m.Status(i), m.Failed(i), m.Item(i)[:9]))
	}
	if diff := cmp.Diff([]string{`200 false {"took":5`, `404 true {"error":`, `200 false {"took":0`}, got); diff != "" {
		t.Error(diff)
	}
	p := mustParseResponse(t, string(m.Item(0)))
	page, err := p.Splice(Page{Size: 2, Order: []int{1, 0}, KeepScores: true})
	if err != nil {
		t.Fatal(err)
	}
	spliced, err := m.Splice([][]byte{page, nil}, 4)
	want := strings.Replace(strings.Replace(multiPlain, `"took":7`, `"took":11`, 1), `{"_id":"a","_score":2.0},{"_id":"b","_score":1.0}`, `{"_id":"b","_score":2.0},{"_id":"a","_score":1.0}`, 1)
	if err != nil || string(spliced) != want {
		t.Errorf("got  %s, %v\nwant %s", spliced, err, want)
	}
	if _, err := m.Splice(make([][]byte, 4), 0); err == nil {
		t.Error("four items into three: got no error")
	}
	if p := mustParseMultiResponse(t, `{"responses":[{"status":"x"},{"status":200,"error":null},{}]}`); !p.Failed(0) || !p.Failed(1) || p.Failed(2) || p.Status(0) != 0 {
		t.Error("oddities: got other than failed, failed and not failed")
	}
	// took may stand behind, or nowhere.
	for body, want := range map[string]string{
		`{"responses":[{"took":1}],"took":2}`:   `{"responses":[{}],"took":5}`,
		`{"responses":[{"took":1}]}`:            `{"responses":[{}]}`,
		`{"took":1.5,"responses":[{"took":1}]}`: `{"took":1.5,"responses":[{}]}`,
	} {
		if got, err := mustParseMultiResponse(t, body).Splice([][]byte{[]byte(`{}`)}, 3); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", body, got, err, want)
		}
	}
	if got, err := mustParseMultiResponse(t, `{"responses":[ ],"took":2}`).Splice(nil, 3); err != nil || string(got) != `{"responses":[ ],"took":5}` {
		t.Errorf("no items: got %s, %v", got, err)
	}
}

func TestMultiResponseErrors(t *testing.T) {
	for _, test := range []struct{ body, want string }{
		{``, "EOF"}, {`[]`, "no responses"}, {`{}`, "no responses"}, {`{"error":{},"status":400}`, "an error"}, {`{"responses":{}}`, "not an array"},
		{`{"responses":[1]}`, "not an object"}, {`{"responses":[{}`, "EOF"}, {`{"responses":[],"responses":[]}`, "twice"},
		{`{"took":1,"responses":[],"took":1}`, "twice"}, {`{"responses":[{"status":200,"status":404}]}`, "twice"}, {`{"responses":[]}{}`, "after its end"},
		{`{"responses":[` + strings.Repeat("{},", maxSearches) + `{}]}`, "more than"},
	} {
		if _, err := ParseMultiResponse([]byte(test.body)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60s: got error %v, want %q in it", test.body, err, test.want)
		}
	}
}

// TestMultiPretty: an item cut out of an indented response keeps its indentation, empty pages included.
func TestMultiPretty(t *testing.T) {
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(multiPlain), "", "  "); err != nil {
		t.Fatal(err)
	}
	body := strings.ReplaceAll(strings.ReplaceAll(indented.String(), `": `, `" : `), "[]", "[ ]")
	m := mustParseMultiResponse(t, body)
	for _, test := range []struct {
		page Page
		want func(string) string
	}{
		{Page{Size: 2}, func(s string) string { return s }},
		{Page{Size: 2, Order: []int{1, 0}}, func(s string) string {
			i := strings.Index(s, "[\n          {\n            \"_id\" : \"a\"")
			j := i + strings.Index(s[i:], "\n        ]")
			return s[:i] + "[\n          {\n            \"_id\" : \"b\",\n            \"_score\" : 1.0\n          },\n" +
				"          {\n            \"_id\" : \"a\",\n            \"_score\" : 2.0\n          }" + s[j:]
		}},
		{Page{From: 2, Size: 2}, func(s string) string {
			i := strings.Index(s, "[\n          {\n            \"_id\" : \"a\"")
			j := i + strings.Index(s[i:], "\n        ]") + len("\n        ]")
			return s[:i] + "[ ]" + s[j:]
		}},
	} {
		items := make([][]byte, m.Items())
		for i := range items {
			if !m.Failed(i) {
				p := mustParseResponse(t, string(m.Item(i)))
				page := test.page
				if p.Hits() == 0 {
					page = Page{Size: 2}
				}
				var err error
				if items[i], err = p.Splice(page); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := m.Splice(items, 0)
		if want := test.want(body); err != nil || string(got) != want {
			t.Errorf("%+v: got %v %s\nwant %s", test.page, err, got, want)
		}
	}
}

// TestMultiProperties: what was built is read again as it was put together, and only what was replaced differs.
func TestMultiProperties(t *testing.T) {
	headers := []string{`{}`, ``, ` `, `{"index":"a"}`, `{"index":["a","b"]}`, "{}\r"}
	bodies := []string{`{}`, `{"size":1}`, ` {"query":{"match":{"t":"é"}}} `, "{}\r", `{"from":2`}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "searches")
		var b strings.Builder
		replaced := make([][]byte, n)
		var want []string
		for i := range n {
			header, body := rapid.SampledFrom(headers).Draw(t, "header"), rapid.SampledFrom(bodies).Draw(t, "body")
			if i == 0 && header == "" {
				header = "{}"
			}
			fmt.Fprintf(&b, "%s\n%s\n", header, body)
			if rapid.Bool().Draw(t, "replace") {
				body = rapid.SampledFrom([]string{"{}", "{\n\"size\":\n2}", "[\n]"}).Draw(t, "with")
				replaced[i] = []byte(body)
			}
			want = append(want, header, strings.ReplaceAll(body, "\n", " "))
		}
		tail := rapid.SampledFrom([]string{"", "\n", " \n", "{}\n", "{x\n"}).Draw(t, "tail")
		b.WriteString(tail)
		m, err := ParseMulti([]byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(m.Build(nil)); got != b.String() {
			t.Fatalf("built %q, want %q", got, b.String())
		}
		built := m.Build(replaced)
		again, err := ParseMulti(built)
		if err != nil {
			t.Fatalf("%q: %v", built, err)
		}
		var got []string
		for _, s := range again.Searches {
			got = append(got, string(s.Header), string(s.Body))
		}
		if diff := cmp.Diff(want, got); diff != "" || !bytes.HasSuffix(built, []byte(tail)) {
			t.Error(diff)
		}
	})
}

// FuzzMulti: whatever a client sends, reading it never panics, and it is written again as it came; other bodies change nothing else.
func FuzzMulti(f *testing.F) {
	for _, seed := range []string{
		"{\"index\":\"a\"}\n{\"size\":1}\n\n{}\n", "{}\r\n{}\r\n\r\n{}\r\n\n", "{\"index\":[\"a\",1]}\n{}\n{", "\n{}\n", " \n[\n", "{\"search_type\":null,\"indices\":{}}\n\xff\n\x00\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := ParseMulti(body)
		if err != nil {
			return
		}
		if got := m.Build(nil); !bytes.Equal(got, body) {
			t.Fatalf("built %q, want %q", got, body)
		}
		other := make([][]byte, len(m.Searches))
		own := make([][]byte, len(m.Searches))
		for i, s := range m.Searches {
			own[i] = s.Body
			other[i] = []byte("{\n}")
		}
		if got := m.Build(own); !bytes.Equal(got, body) {
			t.Fatalf("built with its own bodies %q, want %q", got, body)
		}
		again, err := ParseMulti(m.Build(other))
		if err != nil || len(again.Searches) != len(m.Searches) {
			t.Fatalf("%q: built %q: %v", body, m.Build(other), err)
		}
		for i, s := range again.Searches {
			if string(s.Body) != "{ }" || !bytes.Equal(s.Header, m.Searches[i].Header) {
				t.Fatalf("search %d of %q: got %q %q", i, body, s.Header, s.Body)
			}
		}
		if got := again.Build(own); !bytes.Equal(got, body) {
			t.Fatalf("there and back: %q, want %q", got, body)
		}
	})
}

// FuzzMultiResponse: whatever a cluster sends, reading it never panics; its own items change no byte, and others nothing else.
func FuzzMultiResponse(f *testing.F) {
	for _, seed := range []string{
		multiPlain, `{"responses":[ ],"took":-1}`, ` { "took" : 1 , "responses" : [ {"hits":{"hits":[{}]}} , {"error":null,"status":"x"} ] } `, "{\"responses\":[{\"\xff\":[]}],\"a\":1}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := ParseMultiResponse(body)
		if err != nil {
			return
		}
		own, other := make([][]byte, m.Items()), make([][]byte, m.Items())
		for i := range own {
			own[i], other[i] = m.Item(i), []byte(`{"status":200}`)
			_, _ = m.Status(i), m.Failed(i)
		}
		for _, items := range [][][]byte{nil, own} {
			if got, err := m.Splice(items, 0); err != nil || !bytes.Equal(got, body) {
				t.Fatalf("got %q, %v, want %q", got, err, body)
			}
		}
		got, err := m.Splice(other, 3)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseMultiResponse(got)
		if err != nil || again.Items() != m.Items() || json.Valid(body) && !json.Valid(got) {
			t.Fatalf("%q became %q: %v", body, got, err)
		}
		for i := range other {
			if string(again.Item(i)) != `{"status":200}` {
				t.Fatalf("item %d of %q: %q", i, body, again.Item(i))
			}
		}
	})
}
