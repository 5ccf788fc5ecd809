package eval

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever a file of queries holds, reading it gives queries that have an id and words, each id once; or an error that names the file.
func FuzzReadQueries(f *testing.F) {
	for _, s := range []string{"1\tred shoes\n", "red\nblue", `{"_id":"1","text":"a"}`, `{"_source":{"user_query":"a","query_response_hit_ids":[1,"b"]}}`,
		"query,docid,rating\n\"a\nb\",1,2\n", "\ufeff\r\n[", "{", "\x00\t\x00"} {
		for _, format := range []Format{Auto, Lines, TSV, BEIR, UBI, Quepid} {
			f.Add(s, string(format))
		}
	}
	f.Fuzz(func(t *testing.T, text, format string) {
		set, err := ReadQueries("file", strings.NewReader(text), Format(format))
		if err != nil {
			checkFault(t, err, text)
			return
		}
		seen := map[string]bool{}
		for _, q := range set.Queries {
			if q.ID == "" || q.Text == "" || seen[q.ID] {
				t.Errorf("got the query %q", q)
			}
			seen[q.ID] = true
		}
		_, _ = ReadQrels("file", strings.NewReader(`{"action_name":"click","query_id":"x","user_query":"a","event_attributes":{"object":{"object_id":1}}}`), Auto, set, Clicks{Model: COEC})
		// What clicks there are on them is judged, or nothing is.
		if _, err := ReadQrels("file", strings.NewReader(`{"action_name":"click","query_id":"x","user_query":"a","event_attributes":{"object":{"object_id":1}}}`), Auto, set, Clicks{}); err != nil {
			t.Error(err)
		}
	})
}

// Judgments that were read, written as TREC has them and read again are the same.
func FuzzReadQrels(f *testing.F) {
	for _, s := range []string{"1 0 a 2\n1 0 b 0\n", "query-id\tcorpus-id\tscore\n1\ta b\t2\n", "query,docid,rating\nx,1,2\nx,2,\n",
		`{"action_name":"click","user_query":"a","event_attributes":{"object":{"object_id":7}}}`, "1\t\t1", "1 0 % 1"} {
		for _, format := range []Format{Auto, TREC, BEIR, UBI, Quepid} {
			f.Add(s, string(format))
		}
	}
	f.Fuzz(func(t *testing.T, text, format string) {
		j, err := ReadQrels("file", strings.NewReader(text), Format(format), nil, Clicks{})
		if err != nil {
			checkFault(t, err, text)
			return
		}
		var queries []string
		want := Qrels{}
		for query, grades := range j.Qrels {
			queries = append(queries, query)
			name := Column(query)
			if want[name] != nil {
				return // an id that looks like another one written
			}
			want[name] = map[string]int{}
			for id, grade := range grades {
				if _, ok := want[name][Column(id)]; ok {
					return
				}
				want[name][Column(id)] = grade
			}
		}
		var b bytes.Buffer
		if err := WriteQrels(&b, queries, j.Qrels); err != nil {
			t.Fatal(err)
		}
		again, err := ReadQrels("again", &b, TREC, nil, Clicks{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, again.Qrels); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
	})
}

// A run that was read, written and read again is the same: its order does not depend on how scores are rounded.
func FuzzReadRun(f *testing.F) {
	for _, s := range []string{"1 Q0 a 1 0.5 x\n1 Q0 b 2 2.5 x\n", "1 Q0 a 1 1 x\n1 Q0 b 1 1 x", "1 Q0 a 1 1e999 x", "1 Q0 a 1 -Inf x\n1 Q0 b 1 0x1p-2 x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		run, err := ReadRun("file", strings.NewReader(text))
		if err != nil {
			checkFault(t, err, text)
			return
		}
		var queries []string
		for query := range run {
			queries = append(queries, query)
		}
		var b bytes.Buffer
		if err := WriteRun(&b, "x", queries, run); err != nil {
			t.Fatal(err)
		}
		again, err := ReadRun("again", &b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(run, again); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
	})
}

// checkFault holds that an error says where to look.
func checkFault(t *testing.T, err error, text string) {
	t.Helper()
	e, ok := errors.AsType[*LineError](err)
	if ok && (e.File != "file" || e.Line < 1 || e.Line > strings.Count(text, "\n")+1) {
		t.Errorf("got a fault of line %d of %q: %v", e.Line, text, err)
	}
	if !ok && !strings.Contains(err.Error(), "file") && !strings.Contains(err.Error(), "have no format") {
		t.Errorf("got %v, which names no file", err)
	}
}
