// Command client does with the official Go clients what an application does: it asks who the cluster is, writes, searches, pages, scrolls, and
// meets errors. It prints what it saw as JSON, so that a test can compare two runs that differ in the URL alone; the report has the parts that
// ../python/client.py describes. What a client complains of goes to stderr.
//
//	client elasticsearch|opensearch|opensearch2 URL INDEX
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

// A report is what the client saw.
type report struct {
	Pages    []any          `json:"pages"`
	Rerank   []string       `json:"rerank"`
	Searched map[string]any `json:"searched"`
	Passed   map[string]any `json:"passed"`
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: client elasticsearch|opensearch|opensearch2 URL INDEX")
		os.Exit(2)
	}
	run := map[string]func(context.Context, *report, string, string) error{
		"elasticsearch": runElasticsearch, "opensearch": runOpenSearch, "opensearch2": runOpenSearch2,
	}[os.Args[1]]
	r := &report{Searched: map[string]any{}, Passed: map[string]any{}}
	if err := run(context.Background(), r, os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(r)
}

const (
	words  = "warm and waterproof jacket for the mountains"
	query  = `"query":{"multi_match":{"query":"` + words + `","fields":["title","body"]}}`
	facets = `"aggs":{"categories":{"terms":{"field":"category"},"aggs":{"price":{"stats":{"field":"price"}}}}}`
)

func page(from int) string { return fmt.Sprintf(`{%s,"from":%d,"size":10}`, query, from) }

// shapes are searches that rerankd may put in another order, untouched are those that it does not.
var (
	shapes = map[string]string{
		"extras":   `{` + query + `,` + facets + `,"highlight":{"fields":{"title":{}}},"_source":["title"],"size":7}`,
		"collapse": `{` + query + `,"collapse":{"field":"category","inner_hits":{"name":"more","size":2}}}`,
		"fields":   `{` + query + `,"_source":false,"fields":["title","stock"],"version":true}`,
		"deep":     `{` + query + `,"from":35,"size":20}`,
	}
	untouched = map[string]string{
		"by price": `{` + query + `,"sort":[{"price":"asc"}],"size":5}`,
		"counted":  `{` + query + `,` + facets + `,"size":0}`,
	}
)

// several are four searches in one request: a page, facets alone, a search of an index that is not there, a page of another search.
func several(index string) string {
	return fmt.Sprintf(`{"index":%[1]q}
{%[2]s,"size":5}
{"index":%[1]q,"preference":"_local"}
{%[2]s,%[3]s,"size":0}
{"index":"e2e-nowhere"}
{%[2]s}
{"index":%[1]q}
{"query":{"match":{"title":"bicycle lock"}},"from":2,"size":3}
`, index, query, facets)
}

// seen is an answer without what differs from run to run, numbers as they were written.
func seen(answer io.Reader) (any, error) {
	d := json.NewDecoder(answer)
	d.UseNumber()
	var a any
	if err := d.Decode(&a); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return steady(a), nil
}

// shown is what a client's own type makes of an answer.
func shown(answer any) (any, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(json.NewEncoder(w).Encode(answer)) }()
	return seen(r)
}

func steady(a any) any {
	if m, ok := a.(map[string]any); ok {
		for _, k := range []string{"took", "_scroll_id", "pit_id"} {
			delete(m, k)
		}
		if responses, ok := m["responses"].([]any); ok {
			for i := range responses {
				responses[i] = steady(responses[i])
			}
		}
	}
	return a
}

// complain says on stderr what the server warned of.
func complain(h http.Header) {
	for _, w := range h.Values("Warning") {
		fmt.Fprintln(os.Stderr, "warned:", w)
	}
}
