package filterpath

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// whole is a response as the engines write it, with what the live nodes were asked about.
const whole = `{"took":3,"_shards":{"total":1},"hits":{"total":{"value":2},"max_score":1.0,"hits":[` +
	`{"_id":"1","_source":{"title":"red","took":9,"a.b":{"c.d":1,"e":2},"né":{"ü":1},"n":null,"-neg":1,"*":{"star":1},"list":[{"k":1},{"m":2},{"k":3,"m":4}]}},` +
	`{"_id":"2","_source":{"z":[[{"k":1,"m":2}],3,null],"only":{"k":1}},"sort":[1,"x"]}]}}`

// The facts, as Elasticsearch 7.17.29, 8.14.1 and 8.19.16 and OpenSearch 2.19.1 and 3.8.0 answered.
func TestApply(t *testing.T) {
	const s = "hits.hits._source."
	for _, test := range []struct{ name, filter, want string }{
		{"a name", "took", `{"took":3}`},
		{"a name, in other letters", "TOOK", `{}`},
		{"no such name", "nope", `{}`},
		{"several, with white space", " took ,\thits.total\x00", `{"took":3,"hits":{"total":{"value":2}}}`},
		{"white space that Java does not trim", "\u00a0took", `{}`},
		{"an empty path among others", "took,,", `{"took":3}`},
		{"through arrays", "hits.hits._id", `{"hits":{"hits":[{"_id":"1"},{"_id":"2"}]}}`},
		{"objects of which nothing is left", "hits.hits.sort", `{"hits":{"hits":[{"sort":[1,"x"]}]}}`},
		{"arrays have no indices", "hits.hits.0,hits.hits[0]", `{}`},
		{"below a scalar", "took.x", `{}`},
		{"below a scalar, excluded", "hits.total,-hits.total.value.x", `{"hits":{"total":{"value":2}}}`},
		{"the shorter path swallows the longer", "hits.total,hits.total.nope", `{"hits":{"total":{"value":2}}}`},
		{"and in the other order", "hits.total.nope,hits.total", `{"hits":{"total":{"value":2}}}`},

		{"any name", "*.total", `{"_shards":{"total":1},"hits":{"total":{"value":2}}}`},
		{"any name is one name", "*.*.value", `{"hits":{"total":{"value":2}}}`},
		{"any letters", s + "t*,hits.h*s._i*", `{"hits":{"hits":[{"_id":"1","_source":{"title":"red","took":9}},{"_id":"2"}]}}`},
		{"any letters, in several places", s + "*l*s*t*", `{"hits":{"hits":[{"_source":{"list":[{"k":1},{"m":2},{"k":3,"m":4}]}}]}}`},
		{"letters are used once", s + "l*list," + s + "list*t", `{}`},
		{"no question mark", s + "n?", `{}`},
		{"two stars in a name are one", s + "l**t.k", `{"hits":{"hits":[{"_source":{"list":[{"k":1},{"k":3}]}}]}}`},
		{"any depth", "**.k", `{"hits":{"hits":[{"_source":{"list":[{"k":1},{"k":3}]}},{"_source":{"z":[[{"k":1}]],"only":{"k":1}}}]}}`},
		{"any depth is at least one name", "**.took", `{"hits":{"hits":[{"_source":{"took":9}}]}}`},
		{"any depth, twice", "**.**.value", `{"hits":{"total":{"value":2}}}`},
		{"any depth, at the end", "_shards.**", `{"_shards":{"total":1}}`},
		{"three stars are one name", "***.total", `{"_shards":{"total":1},"hits":{"total":{"value":2}}}`},
		{"everything", "*", whole},
		{"everything, at any depth", "**", whole},
		{"everything that is in something", "*.*,-hits.hits", `{"_shards":{"total":1},"hits":{"total":{"value":2},"max_score":1.0}}`},

		{"a dot in a name", s + `a\.b.c\.d`, `{"hits":{"hits":[{"_source":{"a.b":{"c.d":1}}}]}}`},
		{"a dot in a name does not part it", s + "a.b", `{}`},
		{"a dot in a name, among any letters", s + `*\.*`, `{"hits":{"hits":[{"_source":{"a.b":{"c.d":1,"e":2}}}]}}`},
		{"any letters may be a dot", s + `a*b.e`, `{"hits":{"hits":[{"_source":{"a.b":{"e":2}}}]}}`},
		{"letters of others", s + "né.ü", `{"hits":{"hits":[{"_source":{"né":{"ü":1}}}]}}`},
		{"null is a value", s + "n", `{"hits":{"hits":[{"_source":{"n":null}}]}}`},
		{"a star cannot be meant", s + "*.star", `{"hits":{"hits":[{"_source":{"*":{"star":1}}}]}}`},
		{"a name with a minus", s + "-neg", `{"hits":{"hits":[{"_source":{"-neg":1}}]}}`},
		{"scalars beside objects in an array", s + "z.*", `{"hits":{"hits":[{"_source":{"z":[[{"k":1,"m":2}]]}}]}}`},

		{"excluded", "-hits", `{"took":3,"_shards":{"total":1}}`},
		{"excluded, after white space", "- hits", `{"took":3,"_shards":{"total":1}}`},
		{"excluded, two", "-hits.hits,-took", `{"_shards":{"total":1},"hits":{"total":{"value":2},"max_score":1.0}}`},
		{"excluded, all", "-*", `{}`},
		{"excluded, all there is in something", "-*.*", `{"took":3}`},
		{"excluded, and nothing is left around it", "-took,-hits.*", `{"_shards":{"total":1}}`},
		{"excluded, any depth", "hits.hits,-**.k,-**._id,-**.m", `{"hits":{"hits":[{"_source":{"title":"red","took":9,"a.b":{"c.d":1,"e":2},` +
			`"né":{"ü":1},"n":null,"-neg":1,"*":{"star":1}}},{"_source":{"z":[3,null]},"sort":[1,"x"]}]}}`},
		{"excluded from arrays", s + "list,-" + s + "list.k", `{"hits":{"hits":[{"_source":{"list":[{"m":2},{"m":4}]}}]}}`},
		{"excluded from arrays, scalars stay", s + "z,-" + s + "z.*", `{"hits":{"hits":[{"_source":{"z":[3,null]}}]}}`},
		{"excluded and included", "took,-took", `{}`},
		{"excluded wins over what is within", s + "list.k,-" + s + "list", `{}`},
		{"excluded within what is included", "hits,-hits.hits._source,-hits.hits.sort", `{"hits":{"total":{"value":2},"max_score":1.0,"hits":[{"_id":"1"},{"_id":"2"}]}}`},
		{"excluded, no such name", "took,-nope", `{"took":3}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mustParse(t, test.filter).Apply([]byte(whole), false)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			pretty, err := mustParse(t, test.filter).Apply([]byte(whole), true)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := mustParse(t, "*").Apply(pretty, false); err != nil || !bytes.Equal(again, got) {
				t.Errorf("pretty and plain differ: %v\n%s\n%s", err, pretty, got)
			}
		})
	}
}

func TestParseNothing(t *testing.T) {
	for _, value := range []string{"", " ", ",", " ,\t,\n"} {
		if f, err := Parse(value); f != nil || err != nil {
			t.Errorf("%q: got %v and error %v, want neither", value, f, err)
		}
	}
}

// What engines take for different things, or what is beyond all measure, is not for us to read.
func TestParseRefuses(t *testing.T) {
	for _, value := range []string{
		"took.", "hits..hits", ".took", ".", "-", "- ", "took,-", "-hits.", "**.", `a\b`, `a\\.b`, `a\*`, `took\`, "t\xff", strings.Repeat("a,", 600), strings.Repeat("*.", 600) + "a",
	} {
		if f, err := Parse(value); err == nil {
			t.Errorf("%.20q: got %v, want an error", value, f)
		}
	}
}

func TestPretty(t *testing.T) {
	for _, test := range []struct{ name, filter, body, want string }{
		{"nothing left", "nope", `{"a":1}`, "{ }\n"},
		{"nothing there", "*", `{}`, "{ }\n"},
		{"empty values", "*", `{"a":{},"b":[ ],"c":[{},[]]}`, `{
  "a" : { },
  "b" : [ ],
  "c" : [
    { },
    [ ]
  ]
}
`},
		{"white space is ours, spelling is not", "a.b", "\n{ \"a\" :[{\"b\":[1.10,\t\"\\u00e9, : {\\\"\\\\\",{\"\\u0062\":-0E+1 }] ,\"x\":1}]}\n", `{
  "a" : [
    {
      "b" : [
        1.10,
        "\u00e9, : {\"\\",
        {
          "\u0062" : -0E+1
        }
      ]
    }
  ]
}
`},
		{"a name that is spelled with escapes", "a.b", `{"\u0061":{"b":1,"\u0062":2,"c":3}}`, `{
  "\u0061" : {
    "b" : 1,
    "\u0062" : 2
  }
}
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := mustParse(t, test.filter).Apply([]byte(test.body), true)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// Elasticsearch 8.19 keeps an empty value into which an excluded path leads, and nobody else does. Where none leads there, all keep it.
func TestEmptyValues(t *testing.T) {
	const body = `{"a":{"o":{},"l":[],"s":1},"z":[{},[],{"k":1}]}`
	for _, test := range []struct{ filter, want string }{ // want "": ErrEmpty
		{"-a.o.x", ""},
		{"-a.l.x", ""},
		{"-a.*.x", ""},
		{"-**.x", ""},
		{"-z.k", ""},
		{"a,-a.o.x", ""},
		{"-a.x", body},
		{"-a.o,-a.l,-z", `{"a":{"s":1}}`},
		{"-a.s", `{"a":{"o":{},"l":[]},"z":[{},[],{"k":1}]}`},
		{"a.s,-a.o.x", `{"a":{"s":1}}`},
		{"a.o,z", `{"a":{"o":{}},"z":[{},[],{"k":1}]}`},
		{"a.o.x,a.*.x", `{}`},
		{"z.k,-a.o.x,-z.m", `{"z":[{"k":1}]}`}, // an included path leads on there too, and drops it for all
	} {
		got, err := mustParse(t, test.filter).Apply([]byte(body), false)
		if test.want == "" {
			if !errors.Is(err, ErrEmpty) {
				t.Errorf("%s: got %s and error %v, want ErrEmpty", test.filter, got, err)
			}
		} else if err != nil || string(got) != test.want {
			t.Errorf("%s: got %s and error %v, want %s", test.filter, got, err, test.want)
		}
	}
	if got, err := mustParse(t, "-a.b").Apply([]byte(`{}`), false); err != nil || string(got) != "{}" {
		t.Errorf("got %s and error %v, want the outermost object kept by all", got, err)
	}
}

func TestApplyRefuses(t *testing.T) {
	for _, body := range []string{``, ` `, `[{"a":1}]`, `null`, `{"a":1`, `{"a":1}}`, `{"a":1}{}`, `{"a":}`, `{"b":[1,}`, `{"b":{"c":tru}}`, `{"b":{"c":1]}`} {
		if got, err := mustParse(t, "a").Apply([]byte(body), false); err == nil {
			t.Errorf("%s: got %s, want an error", body, got)
		}
	}
	const levels = 9000
	deep := []byte(`{"a":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + "}")
	for _, filter := range []string{"a", "-a.b", "**.b"} {
		if got, err := mustParse(t, filter).Apply(deep, true); len(got) > 16*len(deep) {
			t.Errorf("%s: got %d bytes and error %v for %d", filter, len(got), err, len(deep))
		}
	}
	if _, err := mustParse(t, "a").Apply(deep, true); err == nil {
		t.Error("got no error for what indentation would make far larger")
	}
	if got, err := mustParse(t, "a").Apply(deep, false); err != nil || !bytes.Equal(got, deep) {
		t.Errorf("deep, but not indented: got error %v", err)
	}
}

func TestPasses(t *testing.T) {
	for _, test := range []struct {
		filter string
		want   bool
	}{
		{"hits", true}, {"hits.hits", true}, {"hits.hits._id", true}, {"took,hits.*._score", true}, {"*", true}, {"**._source", true}, {"h*", true},
		{"-took", true}, {"-hits.total", true}, {"-hits.hits._source", true}, {"-**._source", true}, {"hits,-hits.total", true},
		{"took,aggregations", false}, {"hits.total", false}, {"hits.hits_", false}, {"-hits", false}, {"-hits.hits", false}, {"-*", false}, {"-**", false},
		{"-**.hits", false}, {"hits.hits,-hits", false}, {"hits.hits._id,-h*.h*", false}, {"*.total", false},
	} {
		if got := mustParse(t, test.filter).Passes("hits", "hits"); got != test.want {
			t.Errorf("%s: got %t, want %t", test.filter, got, test.want)
		}
	}
}

func mustParse(t testing.TB, value string) *Filter {
	t.Helper()
	f, err := Parse(value)
	if err != nil {
		t.Fatal(err)
	}
	if f == nil {
		t.Fatalf("%q filters nothing", value)
	}
	return f
}
