package e2e

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A resultPage is a search response taken apart as far as reranking may change it.
type resultPage struct {
	ids    []string
	scores []float64
	hits   map[string]string // by id: the hit without its score
	max    float64
	rest   string // the response without hits, max_score and took
	rerank outcome
}

// An outcome is the header X-Rerank: what was done, and its parameters.
type outcome struct {
	done   string // "applied", "skipped"; "" without the header
	params map[string]string
}

func (o outcome) String() string {
	text := o.done
	for _, key := range slices.Sorted(maps.Keys(o.params)) {
		text += "; " + key + "=" + o.params[key]
	}
	return text
}

func outcomeOf(h http.Header) outcome {
	parts := strings.Split(h.Get("X-Rerank"), "; ")
	o := outcome{done: parts[0], params: make(map[string]string)}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		o.params[key] = strings.Trim(value, `"`)
	}
	return o
}

// search sends a search that must succeed and takes the response apart.
func (c client) search(t *testing.T, path, body string, header ...string) resultPage {
	t.Helper()
	a := c.do(t, http.MethodPost, path, body, header...)
	if a.Status != http.StatusOK {
		t.Fatalf("searching %s for %s: got %d: %s", path, body, a.Status, a.Body)
	}
	p := pageOf(t, a.Body)
	p.rerank = outcomeOf(a.Header)
	return p
}

// pageOf takes a search response apart.
func pageOf(t *testing.T, text []byte) resultPage {
	t.Helper()
	var response map[string]json.RawMessage
	var hits map[string]json.RawMessage
	var list []map[string]json.RawMessage
	unmarshal(t, text, &response)
	unmarshal(t, response["hits"], &hits)
	unmarshal(t, hits["hits"], &list)

	p := resultPage{hits: make(map[string]string), max: number(t, hits["max_score"])}
	for _, hit := range list {
		var id string
		unmarshal(t, hit["_id"], &id)
		p.ids = append(p.ids, id)
		p.scores = append(p.scores, number(t, hit["_score"]))
		delete(hit, "_score")
		p.hits[id] = canonical(t, hit)
	}
	if len(p.hits) != len(p.ids) {
		t.Errorf("a hit is doubled: %v", p.ids)
	}
	delete(hits, "hits")
	delete(hits, "max_score")
	delete(response, "took")
	response["hits"] = json.RawMessage(marshal(t, hits))
	p.rest = marshal(t, response)
	return p
}

func unmarshal(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("reading %.200q: %v", data, err)
	}
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// canonical is a hit with its keys in order. Elasticsearch writes a filtered _source in the order of a hash map, which is another one when it
// reads fields for the same hit.
func canonical(t *testing.T, hit map[string]json.RawMessage) string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(marshal(t, hit)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return marshal(t, value)
}

// number is a JSON number; NaN for null and nothing.
func number(t *testing.T, text json.RawMessage) float64 {
	t.Helper()
	value := math.NaN()
	if len(text) > 0 && string(text) != "null" {
		unmarshal(t, text, &value)
	}
	return value
}

// checkReranked holds what must be true of every reranked page: its hits are the cluster's, its scores never rise, and nothing else is changed.
func checkReranked(t *testing.T, direct, through resultPage) {
	t.Helper()
	if through.rerank.done != "applied" {
		t.Errorf("got X-Rerank %q, want it applied", through.rerank)
	}
	checkSamePage(t, direct, through)
}

func checkSamePage(t *testing.T, direct, through resultPage) {
	t.Helper()
	if diff := cmp.Diff(direct.hits, through.hits); diff != "" {
		t.Errorf("the hits differ (-cluster +rerankd):\n%s", diff)
	}
	if direct.rest != through.rest {
		t.Errorf("the rest of the response differs: got %s, want %s", through.rest, direct.rest)
	}
	if !slices.IsSortedFunc(through.scores, func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	}) {
		t.Errorf("the scores rise: %v", through.scores)
	}
	if len(through.scores) > 0 && through.max != through.scores[0] {
		t.Errorf("got max_score %v, want that of the first hit, %v", through.max, through.scores[0])
	}
}

// What a second identical request to the same cluster answers differently.
var volatile = []struct{ pattern, mask string }{
	{`"took"( ?: ?)\d+`, `"took"${1}0`},
	{`(?m)^took: \d+`, `took: 0`}, // YAML
	{`"_scroll_id":"[^"]*"`, `"_scroll_id":""`},
	{`"(pit_id|id)":"[A-Za-z0-9_=-]{40,}"`, `"$1":""`},
	{`"creation_time":\d+`, `"creation_time":0`},
}

func masked(body []byte) string {
	text := string(body)
	for _, v := range volatile {
		text = regexp.MustCompile(v.pattern).ReplaceAllString(text, v.mask)
	}
	return text
}

// checkSameBytes sends a request to both sides, which must answer alike but for what rerankd says about itself. It returns rerankd's answer.
func checkSameBytes(t *testing.T, direct, through client, method, path, body string, header ...string) answer {
	t.Helper()
	want := direct.do(t, method, path, body, header...)
	got := through.do(t, method, path, body, header...)
	if got.Status != want.Status {
		t.Errorf("%s %s: got status %d, want %d: %s", method, path, got.Status, want.Status, got.Body)
	}
	if diff := cmp.Diff(comparable(want.Header), comparable(got.Header)); diff != "" {
		t.Errorf("%s %s: the headers differ (-cluster +rerankd):\n%s", method, path, diff)
	}
	if diff := cmp.Diff(masked(want.Body), masked(got.Body)); diff != "" {
		t.Errorf("%s %s: the bodies differ (-cluster +rerankd):\n%s", method, path, diff)
	}
	return got
}

// comparable is a header without what rerankd adds and what no two answers share.
func comparable(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range []string{"Date", "X-Rerank", "X-Rerank-Query-Id", "Server-Timing", "Content-Length"} { // the length follows took's digits
		h.Del(name)
	}
	return h
}
