package search

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// differentTexts returns so many clauses, each with a text of its own.
func differentTexts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"match":{"a":"shoe %d"}}`, i)
	}
	return b.String()[1:]
}

// Bodies that are made to hurt end in an error or a pass, soon, and cost no more memory than a small multiple of what came.
func TestHostileBodies(t *testing.T) {
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	nested := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for _, test := range []struct {
		name, body string
		fails      bool
	}{
		{"4 million levels of objects", strings.Repeat(`{"a":`, 4<<20), true},
		{"20 million levels of arrays", `{"query":` + strings.Repeat("[", 20_000_000), true},
		{"deep queries", `{"query":` + nested(60, `{"bool":{"must":`, `{"match":{"a":"red shoes"}}`, "}}") + "}", false},
		{"deeper queries", `{"query":` + nested(10_000, `{"bool":{"must":`, `{"match":{"a":"red shoes"}}`, "}}") + "}", true},
		{"the same name twice", `{"query":{"match":{"a":"x"}},"query":{"match":{"a":"y"}}}`, true},
		{"the same name twice, deep", `{"query":{"bool":{"must":{"match":{"a":"x","\u0061":"y"}}}}}`, true},
		{"numbers beyond 2^53", `{"size":9007199254740993}`, true},
		{"numbers that count nothing", `{"size":1e309}`, true},
		{"numbers elsewhere", `{"query":{"term":{"n":99999999999999999999999999}},"min_score":1e999}`, false},
		{"invalid UTF-8", "{\"query\":{\"match\":{\"a\":\"red \xff\xfe shoes\"}}}", false},
		{"half a surrogate pair", `{"query":{"match":{"a":"red \ud83d shoes"}}}`, false},
		{"cut short", `{"query":{"match":{"a":"red sho`, true},
		{"cut short within an escape", `{"query":{"match":{"a":"red \u00`, true},
		{"10 MB of terms", `{"query":{"terms":{"a":[` + many(1<<20, `"abcdefg"`) + `]}}}`, true},
		{"10 MB of one text", `{"query":{"match":{"a":"` + strings.Repeat("red shoes ", 1<<20) + `"}}}`, false},
		{"10 MB of query syntax", `{"query":{"query_string":{"query":"` + strings.Repeat("(a OR -", 10<<20/7) + `"}}}`, false},
		{"10 MB of numbers", `{"knn":{"field":"v","k":1,"query_vector":[` + many(2<<20, "0.25") + `]}}`, false},
		{"a long name, all of it escapes", `{"runtime_mappings":{"` + strings.Repeat(`a\u0062`, 1<<20) + `":1}}`, false},
		{"many members", `{` + strings.Repeat("\"a\":1,", 1<<20) + `"b":1}`, true},
		{"many different texts", `{"query":{"bool":{"should":[` + differentTexts(30_000) + `]}}}`, false},
		{"many texts, deep", `{"query":` + nested(60, `{"bool":{"must":`, "["+many(30_000, `{"match":{"a":"red"}}`)+"]", "}}") + "}", false},
		{"many retrievers", `{"retriever":{"rrf":{"retrievers":[` + many(20_000, `{"standard":{}}`) + `]}}}`, false},
		{"retrievers within each other", `{"retriever":` + nested(100, `{"pinned":{"retriever":`, `{"standard":{}}`, "}}") + `}`, false},
		{"rerankers within each other", `{"retriever":` + nested(100, `{"text_similarity_reranker":{"field":"a","inference_text":"b","retriever":`, `{"standard":{}}`, "}}") + `}`, false},
		{"a long path", `{"ext":{"rerank":{"query_context":{"query_text_path":"` + strings.Repeat("a.", 1<<20) + `"}}}}`, false},
		{"a long unknown name", `{"retriever":{"text_similarity_reranker":{"` + strings.Repeat("a", 10<<20) + `":1}}}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := []byte(test.body)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			r, err := Parse("", body)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if (err != nil) != test.fails {
				t.Errorf("got error %v, want one: %t", err, test.fails)
			}
			if took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if used, most := after.TotalAlloc-before.TotalAlloc, uint64(8*len(body)+64<<20); used > most {
				t.Errorf("took %d bytes of memory for %d, more than %d", used, len(body), most)
			}
			if err != nil {
				return
			}
			for _, need := range []Need{{Window: 50, Fields: []string{"a"}, Widen: true}, {Window: 50, Emulate: true}} {
				_, _ = r.Widen(need)
			}
			if _, original := r.Original(); string(original) != test.body && r.root.get("ext") == nil {
				t.Error("the client's own body became another")
			}
		})
	}
}
