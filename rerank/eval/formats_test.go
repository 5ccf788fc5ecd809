package eval

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadQueries(t *testing.T) {
	shoes := []Query{{"1", "red shoes"}, {"2", "boots"}}
	byWords := []Query{{"red shoes", "red shoes"}, {"boots", "boots"}}
	for _, test := range []struct {
		name, text string
		format     Format
		want       []Query
	}{
		{"TSV", "1\tred shoes\n2\tboots\n", TSV, shoes},
		{"TSV from another system, with a header, spaces and notes", "\ufeffqid\tquery\r\n1\t red  shoes\tof leather\r\n\r\n2\tboots\r\n", TSV, shoes},
		{"a log of searches", "red shoes\nboots\nred  shoes\n", Lines, byWords},
		{"BEIR", `{"_id": "1", "text": "red shoes", "metadata": {}}` + "\n" + `{"_id": 2, "text": "boots"}`, BEIR, shoes},
		{"UBI", `{"query_id": "a", "user_query": "red shoes"}` + "\n" + `{"query_id": "b", "user_query": ""}` + "\n" + `{"query_id": "c", "user_query": "boots"}` + "\n" + `{"query_id": "d", "user_query": "red shoes"}`, UBI, byWords},
		{"UBI as indices are exported", `{"_index": "ubi_queries", "_source": {"user_query": "red shoes"}}` + "\n" + `{"_source": {"user_query": "boots"}}`, UBI, byWords},
		{"Quepid", "query,docid,rating\nred shoes,7,3\n\"boots\",8,\nred shoes,9,0\n", Quepid, byWords},
	} {
		got, err := ReadQueries("q", strings.NewReader(test.text), Auto)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, got.Queries); diff != "" || got.Format != test.format {
			t.Errorf("%s, read as %s: want -, got +:\n%s", test.name, got.Format, diff)
		}
	}
}

func TestReadQrels(t *testing.T) {
	want := Qrels{"1": {"a": 2, "b": 0}, "2": {"a b": -1}}
	for _, test := range []struct {
		name, text string
		format     Format
		want       Qrels
	}{
		{"TREC", "1 0 a 2\n1\t0\tb\t0\n2 Q0 c -1\n", TREC, Qrels{"1": {"a": 2, "b": 0}, "2": {"c": -1}}},
		{"BEIR", "query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t0\n2\ta b\t-1\n", BEIR, want},
		{"BEIR without its header", "1\ta\t2\n1\tb\t0\n2\ta b\t-1\n", BEIR, want},
		{"Quepid, in another order, with what is not rated", "Rating,DocId,Query\n2,a,1\n0.0,b,1\n,c,1\n-1,a b,2\n", Quepid, want},
	} {
		got, err := ReadQrels("q", strings.NewReader(test.text), Auto, nil, Clicks{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, got.Qrels); diff != "" || got.Format != test.format {
			t.Errorf("%s, read as %s: want -, got +:\n%s", test.name, got.Format, diff)
		}
	}
}

func TestClicksAreJudgments(t *testing.T) {
	const searches = `{"query_id": "s1", "user_query": "red shoes", "query_response_hit_ids": ["a", "b", 3]}
{"query_id": "s2", "user_query": "red  shoes", "query_response_hit_ids": ["b", "d"]}
{"query_id": "s3", "user_query": "boots"}
`
	const events = `{"action_name": "click", "query_id": "s1", "event_attributes": {"object": {"object_id": "b"}, "position": {"ordinal": 2}}}
{"action_name": "CLICK", "query_id": "s2", "event_attributes": {"object": {"object_id": "sku-7", "internal_id": 3}}}
{"action_name": "impression", "query_id": "s3", "event_attributes": {"object": {"object_id": "e"}}}
{"action_name": "add_to_cart", "query_id": "s1", "event_attributes": {"object": {"object_id": "a"}}}
{"action_name": "click", "query_id": "nobody knows", "event_attributes": {"object": {"object_id": "a"}}}
{"action_name": "click", "query_id": "s1"}
{"action_name": "click", "user_query": "hats", "event_attributes": {"object": {"object_id": "h"}}}
`
	queries, err := ReadQueries("searches", strings.NewReader(searches), Auto)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadQrels("events", strings.NewReader(events), Auto, queries, Clicks{})
	if err != nil {
		t.Fatal(err)
	}
	want := Qrels{"red shoes": {"a": 0, "b": 1, "3": 1, "d": 0}, "boots": {"e": 0}, "hats": {"h": 1}}
	if diff := cmp.Diff(want, got.Qrels); diff != "" || got.Left != 2 {
		t.Errorf("%d events left; want -, got +:\n%s", got.Left, diff)
	}

	// Queries from elsewhere give the words other names.
	queries, err = ReadQueries("q.tsv", strings.NewReader("1\thats\n2\tboots\n3\thats\n"), Auto)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = ReadQrels("events", strings.NewReader(events), Auto, queries, Clicks{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Qrels{"1": {"h": 1}, "3": {"h": 1}}, got.Qrels); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// Clicks over expected clicks, by hand. At rank 1 three of four hits are clicked, at rank 2 one of four, at rank 3 none of two.
func TestClicksOverExpectedClicks(t *testing.T) {
	const searches = `{"query_id": "s1", "user_query": "shoes", "query_response_hit_ids": ["a", "b", "c"]}
{"query_id": "s2", "user_query": "shoes", "query_response_hit_ids": ["b", "a", "c"]}
{"query_id": "s3", "user_query": "boots", "query_response_hit_ids": ["x", "y"]}
{"query_id": "s4", "user_query": "boots", "query_response_hit_ids": ["x", "y"]}
{"query_id": "s4", "user_query": "boots", "query_response_hit_ids": ["z"], "query_attributes": {"rerankd_from": "10"}}
`
	const events = `{"action_name": "click", "query_id": "s1", "event_attributes": {"object": {"object_id": "a"}}}
{"action_name": "click", "query_id": "s1", "event_attributes": {"object": {"object_id": "a"}}}
{"action_name": "click", "query_id": "s2", "event_attributes": {"object": {"object_id": "a"}}}
{"action_name": "click", "query_id": "s3", "event_attributes": {"object": {"object_id": "x"}}}
{"action_name": "click", "query_id": "s4", "event_attributes": {"object": {"object_id": "x"}}}
{"action_name": "impression", "query_id": "s4", "event_attributes": {"object": {"object_id": "x", "internal_id": "17"}, "position": {"ordinal": 7}}}
{"action_name": "click", "query_id": "s4", "event_attributes": {"object": {"object_id": "never shown"}}}
`
	queries, err := ReadQueries("searches", strings.NewReader(searches), Auto)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		least   int
		want    Qrels
		seldom  int
		problem string
	}{
		// a: 2 clicks, and 3/4 + 1/4 expected; b: 0 of 1; x: 2 of 2 × 3/4; y: 0 of 2 × 1/4. At the ranks 3 and 11 nobody clicks.
		{1, Qrels{"shoes": {"a": 200, "b": 0}, "boots": {"x": 133, "y": 0}}, 2, ""},
		{3, nil, 0, "events has no judgments: of 6 pairs of a query and a document none was shown 3 times, at ranks that anybody clicks"},
	} {
		got, err := ReadQrels("events", strings.NewReader(events), Auto, queries, Clicks{COEC, test.least})
		if test.problem != "" {
			if err == nil || err.Error() != test.problem {
				t.Errorf("got %v, want %s", err, test.problem)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got.Qrels); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
		if got.Pairs != 6 || got.Seldom != test.seldom || got.Unplaced != 1 || got.Relevant != 100 {
			t.Errorf("got %+v", got)
		}
	}
}

// A document may be called by its _id here and by another field there: it is one all the same.
func TestDocumentsWithTwoNames(t *testing.T) {
	const events = `{"action_name": "impression", "query_id": "s", "user_query": "shoes", "event_attributes": {"object": {"object_id": "sku-1", "internal_id": "1"}, "position": {"ordinal": 1}}}
{"action_name": "click", "query_id": "s", "event_attributes": {"object": {"object_id": "sku-1"}}}
{"action_name": "impression", "query_id": "s", "event_attributes": {"object": {"object_id": "sku-2"}, "position": {"ordinal": {"index": 2}}}}
`
	got, err := ReadQrels("events", strings.NewReader(events), Auto, nil, Clicks{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Qrels{"shoes": {"1": 1, "sku-2": 0}}, got.Qrels); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if got, err = ReadQrels("events", strings.NewReader(events), Auto, nil, Clicks{Model: COEC}); err != nil || got.Pairs != 2 || got.Unplaced != 0 {
		t.Errorf("got %+v, %v; want both at their places", got, err)
	}
}

func TestReadRun(t *testing.T) {
	got, err := ReadRun("r", strings.NewReader("1 Q0 a 1 0.5 x\n1 Q0 b 2 2.5 x\n2 Q0 a 1 1 x\n1 Q0 c 1 0.5 x\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Run{"1": {"b", "c", "a"}, "2": {"a"}}, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestWriteRun(t *testing.T) {
	var b strings.Builder
	if err := WriteRun(&b, "rerank on", []string{"red shoes", "2", "none"}, Run{"red shoes": {"a", "50% b", "a"}, "2": {"50%"}}); err != nil {
		t.Fatal(err)
	}
	want := "red%20shoes Q0 a 1 2 rerank%20on\nred%20shoes Q0 50%25%20b 2 1 rerank%20on\n2 Q0 50% 1 1 rerank%20on\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	b.Reset()
	if err := WriteQrels(&b, []string{"1", "2"}, Qrels{"1": {"b": 2, "a": 0}}); err != nil {
		t.Fatal(err)
	}
	if want := "1 0 a 0\n1 0 b 2\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// What is wrong is said with its line, and what to do about it.
func TestFaults(t *testing.T) {
	queries := func(text string, f Format) error {
		_, err := ReadQueries("f", strings.NewReader(text), f)
		return err
	}
	qrels := func(text string, f Format) error {
		_, err := ReadQrels("f", strings.NewReader(text), f, nil, Clicks{})
		return err
	}
	run := func(text string) error {
		_, err := ReadRun("f", strings.NewReader(text))
		return err
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{queries("", Auto), "f has no queries: it is empty"},
		{queries("qid\tquery\n", Auto), "f has no queries"},
		{queries("1\ta\n\n1\tb\n", Auto), "f:3: the query 1 is on line 1 already"},
		{queries("1\ta\nboots\n", Auto), `f:2: "boots" is no query`},
		{queries("1\ta\n2\t \n", Auto), `f:2: "2\t " is no query`},
		{queries("[\n{}]", Auto), "f:1: is a JSON array; queries in JSON are an object a line"},
		{queries("{\"_id\":\"1\"}\n", Auto), "f:1: has no _id, or no text"},
		{queries("{\"_id\":\"1\",\"text\":\"a\"}\n{broken\n", Auto), "f:2: invalid character 'b' looking for beginning of object key string"},
		{queries("{\"_id\":\"1\",\"text\":\"a\"}\nboots\n", Auto), "f:2: invalid character 'b' looking for beginning of value"},
		{queries("\xff\n", Auto), "f:1: is not text in UTF-8"},
		{queries("a\n\nb\n\xff\n", Auto), "f:4: is not text in UTF-8"},
		{queries("a\n"+strings.Repeat("x", maxLine+1), Auto), "f:2: is longer than 16 MiB"},
		{queries("a", TREC), `queries have no format "trec": it is lines, tsv, beir, ubi or quepid`},
		{qrels("", Auto), "f has no judgments: it is empty"},
		{qrels("what is this thing here\n", Auto), `f:1: "what is this thing here" is no judgment in a format that is known`},
		{qrels("1 0 a 1\n1 0 b\n", Auto), "f:2: has 3 columns, want 4"},
		{qrels("1 0 a 1\n1 0 b high\n", Auto), `f:2: "high" is no grade`},
		{qrels("1 0 a 0.5\n", Auto), `f:1: "0.5" is no grade`},
		{qrels("1 0 a 1e99\n", Auto), `f:1: "1e99" is no grade`},
		{qrels("1 0 a 1\n1 0 a 0\n", Auto), "f:2: the document a is judged for the query 1 already"},
		{qrels("query,docid\nx,1\n", Auto), `f:1: the header is "query,docid"`},
		{qrels("\nquery,docid,rating\nx,1,2\nx,2\n", Auto), "f:4: has 2 columns, fewer than the header"},
		{qrels("query,docid,rating\nx,1,2\n\"x,1,2\n", Auto), `f:3: is no CSV: extraneous or missing " in quoted-field`},
		{qrels(`{"user_query":"a"}`, Auto), "f:1: has no action_name"},
		{qrels(`{"action_name":"search"}`, Auto), "f has no judgments"},
		{run(""), "f has no hits: it is empty"},
		{run("1 Q0 a 1 1\n"), "f:1: has 5 columns, want 6"},
		{run("1 Q0 a 1 high x\n"), `f:1: "high" is no score`},
		{run("1 Q0 a 1 NaN x\n"), `f:1: "NaN" is no score`},
		{run("1 Q0 a 1 2 x\n2 Q0 a 1 2 x\n1 Q0 a 2 1 x\n"), "f:3: the document a is on line 1 already for the query 1"},
	} {
		if test.err == nil || test.err.Error() != test.want {
			t.Errorf("got %v, want %s", test.err, test.want)
		}
	}
	if e, ok := errors.AsType[*LineError](queries("1\ta\n1\tb\n", Auto)); !ok || e.Line != 2 || e.Hint() == "" {
		t.Errorf("got %+v, want a fault of line 2 with a hint", e)
	}
}
