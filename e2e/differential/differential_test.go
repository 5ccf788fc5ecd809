// Package differential proves the proxy by comparing it with the cluster itself, feature by feature of the engines' search APIs: shapes_test.go
// is the table of them. Each shape goes to a live node by four ways:
//
//  1. with reranking off, and the answer must be the node's own: status, headers and bytes;
//  2. ranked by a scorer that keeps the cluster's order, and the bytes must still be the node's: that proves widening, splicing, stripping;
//  3. ranked by a scorer that turns the window round: the order is exactly that, the tail and all else untouched;
//  4. in pages, which together have every hit once, and equal one large page.
//
// What comes out is kept in docs/features.md, which every run is compared with; RERANKD_UPDATE=1 writes it anew.
package differential

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/inside"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/search"
)

const window = 40 // of the rules

func TestDifferential(t *testing.T) {
	table := make(results)
	for _, e := range cluster.Asked(t) {
		t.Run(string(e), func(t *testing.T) {
			node := cluster.Start(t, e)
			makeIndices(t, node)
			rules := func(r proxy.Ranker, keep bool) inside.Options {
				return inside.Options{Rules: []proxy.Rule{{
					Name: "all", Indices: []string{"differential-*"}, Fields: []string{"title", "body"}, Window: window, Budget: time.Minute, Ranker: r, KeepScores: keep, Version: "1",
				}}}
			}
			s := &sides{
				direct: node.URL, off: inside.Serve(t, node, inside.Options{}),
				identity: inside.Serve(t, node, rules(inside.Identity, true)), reversing: inside.Serve(t, node, rules(inside.Reversing, false)),
			}
			counted := make(map[string]int)
			for _, shape := range shapes {
				if shape.needs == never || !has(e, shape.needs) {
					counted["not runnable"]++
					continue
				}
				ok := t.Run(shape.group+"/"+shape.feature, func(t *testing.T) { s.try(t, shape) })
				table.note(shape, e, ok)
				counted["tried"]++
				counted[shape.outcome(ok)]++
			}
			t.Run("as one multi-search", func(t *testing.T) { s.tryTogether(t, e) })
			t.Run("at random", func(t *testing.T) { s.tryRandom(t, e) })
			t.Run("fields that no document shows", func(t *testing.T) { testUnsourced(t, node) })
			ok := t.Run("emulated", func(t *testing.T) { testEmulated(t, node) })
			for _, sh := range emulated {
				table.note(sh, e, ok)
			}
			report(t, e, counted)
		})
	}
	t.Run("not verified live", testUnverified)
	if !t.Failed() {
		checkFeatures(t, table)
	}
}

// sides are the cluster, and the proxy in front of it with three rankings.
type sides struct{ direct, off, identity, reversing string }

// try sends a shape by all ways.
func (s *sides) try(t *testing.T, sh shape) {
	s.send(t, s.direct, sh) // a node warns of what is deprecated once
	want := s.send(t, s.direct, sh)
	if refused := want.status >= 400; refused != sh.refused {
		t.Fatalf("the cluster answers %d %s", want.status, want.body)
	}
	got := s.send(t, s.off, sh)
	for range 50 { // in binary formats took cannot be masked: it is the same soon
		if sh.passes != "format" || sameBody(sh, want.body, got.body) {
			break
		}
		want, got = s.send(t, s.direct, sh), s.send(t, s.off, sh)
	}
	sameAnswer(t, "with reranking off", sh, want, got)

	got = s.send(t, s.identity, sh)
	for range 50 {
		if sh.passes != "format" || sameBody(sh, want.body, got.body) {
			break
		}
		want, got = s.send(t, s.direct, sh), s.send(t, s.identity, sh)
	}
	if got.reason() == "warming" { // a mapping is read behind the first search
		got = s.await(t, s.identity, sh)
	}
	if learns := sh.index == small; learns { // from the first refusal
		got = s.send(t, s.identity, sh)
	}
	sameAnswer(t, "in the cluster's own order", sh, want, got)
	if sh.passes != "" {
		if got.reason() != sh.passes {
			t.Errorf("got X-Rerank %q, want reason %s", got.header.Get("X-Rerank"), sh.passes)
		}
		return
	}
	if !strings.HasPrefix(got.header.Get("X-Rerank"), "applied") {
		t.Fatalf("got X-Rerank %q, want it applied", got.header.Get("X-Rerank"))
	}
	if strings.Contains(sh.query, "filter_path") || sh.path != "" {
		return // what is compared below was filtered away, or cannot be asked for page by page
	}
	s.tryReversing(t, sh, want)
}

// tryReversing compares with what the cluster gives for the whole window.
func (s *sides) tryReversing(t *testing.T, sh shape, direct answer) {
	if s.send(t, s.reversing, sh); sh.index == small {
		s.send(t, s.reversing, sh)
	}
	from, size := sh.pageAsked(t)
	ranked := cmp.Or(sh.window, window)
	if sh.page {
		ranked = size
	}
	asked := max(ranked, from+size)
	if sh.index == small {
		asked = min(asked, 20)
	}
	whole := s.send(t, s.direct, sh.page_(t, 0, asked)).page(t)
	expected := slices.Clone(whole.ids)
	turn(expected[:min(ranked, len(expected))], func(id string) bool { return sh.holds && !whole.texts[id] })

	got := s.send(t, s.reversing, sh)
	page := got.page(t)
	if want := expected[min(from, len(expected)):min(from+size, len(expected))]; !slices.Equal(page.ids, want) {
		t.Errorf("turned round, got %v, want %v", page.ids, want)
	}
	if want := direct.page(t).rest; page.rest != want && !sh.timings {
		t.Errorf("turned round, what is beside the hits differs: got %s, want %s", page.rest, want)
	}
	for i, id := range page.ids {
		if page.hits[id] != whole.hits[id] {
			t.Errorf("turned round, hit %s differs: got %s, want %s", id, page.hits[id], whole.hits[id])
			break
		}
		if i > 0 && page.scores[i] > page.scores[i-1] {
			t.Errorf("the scores rise: %v", page.scores)
		}
		if e := page.explained[id]; e != nil && *e != page.scores[i] {
			t.Errorf("hit %s is explained with %v and shown with %v", id, *e, page.scores[i])
		}
	}
	if from == 0 && len(page.scores) > 0 && page.max != nil && *page.max != page.scores[0] {
		t.Errorf("got max_score %v, want that of the first hit, %v", *page.max, page.scores[0])
	}
	if sh.page {
		return
	}

	// In pages.
	const step = 7
	last := min(window+11, len(whole.ids)+step)
	if sh.index == small {
		last = 20 - step
	}
	var together []string
	for at := 0; at < last; at += step {
		together = append(together, s.send(t, s.reversing, sh.page_(t, at, step)).page(t).ids...)
	}
	one := s.send(t, s.reversing, sh.page_(t, 0, len(together))).page(t).ids
	if !slices.Equal(together, one) {
		t.Errorf("the pages together are %v, one large page %v", together, one)
	}
	if unique := slices.Compact(slices.Sorted(slices.Values(together))); len(unique) != len(together) {
		t.Errorf("a hit comes twice: %v", together)
	}
}

// turn reverses those of the hits that are not held.
func turn(ids []string, held func(string) bool) {
	free := slices.DeleteFunc(slices.Clone(ids), held)
	slices.Reverse(free)
	for i, id := range ids {
		if !held(id) {
			ids[i], free = free[0], free[1:]
		}
	}
}

// tryTogether sends the shapes that are bodies of searches as one multi-search: each has to come out as it does by itself.
func (s *sides) tryTogether(t *testing.T, e cluster.Engine) {
	var lines strings.Builder
	var sent []shape
	for _, sh := range shapes {
		if sh.needs == never || !has(e, sh.needs) || sh.body == "" || sh.query != "" || sh.path != "" || sh.header != nil || sh.index == small || sh.timings || !json.Valid([]byte(sh.body)) || sh.unspoken != "" || sh.refused {
			continue
		}
		sent = append(sent, sh)
		fmt.Fprintf(&lines, "{\"index\":%q}\n%s\n", cmp.Or(sh.index, things), sh.body)
	}
	together := shape{path: "../_msearch", body: lines.String(), header: []string{"Content-Type: application/x-ndjson"}}
	want, got := s.send(t, s.direct, together), s.send(t, s.identity, together)
	if got.status != http.StatusOK || want.status != http.StatusOK {
		t.Fatalf("got %d %.300s, want %d", got.status, got.body, want.status)
	}
	turned := responsesOf(t, s.send(t, s.reversing, together))
	for i, raw := range responsesOf(t, want) {
		sh := sent[i]
		if same := responsesOf(t, got)[i]; !sameBody(sh, raw, same) {
			t.Errorf("%s: in the cluster's own order, got %s, want %s", sh.feature, same, raw)
		}
		alone := s.send(t, s.reversing, sh).page(t)
		if in := (answer{body: turned[i]}).page(t); !slices.Equal(alone.ids, in.ids) || !slices.Equal(alone.scores, in.scores) {
			t.Errorf("%s: turned round among others, got %v, by itself %v", sh.feature, in.ids, alone.ids)
		}
	}
	if !strings.HasPrefix(got.header.Get("X-Rerank"), fmt.Sprintf("applied; searches=%d; reranked=", len(sent))) {
		t.Errorf("got X-Rerank %q", got.header.Get("X-Rerank"))
	}
}

func responsesOf(t *testing.T, a answer) []json.RawMessage {
	t.Helper()
	var v struct{ Responses []json.RawMessage }
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%v: %.300s", err, a.body)
	}
	return v.Responses
}

// An answer is what a client sees.
type answer struct {
	status int
	header http.Header
	body   []byte // gzip taken off
}

func (a answer) reason() string {
	skipped, ok := strings.CutPrefix(a.header.Get("X-Rerank"), "skipped; reason=")
	if !ok {
		return cmp.Or(a.header.Get("X-Rerank"), "-")
	}
	return skipped
}

// send sends a shape to one side.
func (s *sides) send(t *testing.T, base string, sh shape) answer {
	t.Helper()
	path := "/" + cmp.Or(sh.index, things) + "/" + cmp.Or(sh.path, "_search")
	if outside, ok := strings.CutPrefix(sh.path, "../"); ok {
		path = "/" + outside
	}
	if base == s.direct && sh.unspoken != "" {
		sh.body = sh.unspoken
	}
	method, body := http.MethodGet, []byte(nil)
	if sh.body != "" {
		method, body = http.MethodPost, []byte(sh.body)
	}
	header := http.Header{}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	for _, h := range sh.header {
		name, value, _ := strings.Cut(h, ": ")
		header.Set(name, value)
	}
	if header.Get("Content-Encoding") == "gzip" {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(body)
		z.Close()
		body = b.Bytes()
	}
	req, err := http.NewRequestWithContext(t.Context(), method, base+path+"?"+sh.query, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := wire.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var reader io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" {
		if reader, err = gzip.NewReader(res.Body); err != nil {
			t.Fatal(err)
		}
	}
	a := answer{status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(reader); err != nil {
		t.Fatal(err)
	}
	return a
}

// wire shows answers as they are on the wire.
var wire = &http.Transport{DisableCompression: true}

// await repeats a shape while rerankd still reads a mapping.
func (s *sides) await(t *testing.T, base string, sh shape) answer {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got := s.send(t, base, sh); got.reason() != "warming" || time.Now().After(end) {
			return got
		}
	}
}

// pageAsked is the page that the shape asks for.
func (sh shape) pageAsked(t *testing.T) (from, size int) {
	t.Helper()
	asked := struct{ From, Size *int }{}
	if sh.body != "" {
		if err := json.Unmarshal([]byte(sh.body), &asked); err != nil {
			t.Fatal(err)
		}
	}
	size = 10
	for _, v := range []struct {
		to   *int
		body *int
		name string
	}{{&from, asked.From, "from"}, {&size, asked.Size, "size"}} {
		if v.body != nil {
			*v.to = *v.body
		}
		if values, _ := url.ParseQuery(sh.query); values.Has(v.name) {
			*v.to, _ = strconv.Atoi(values.Get(v.name))
		}
	}
	return from, size
}

// page_ is the shape with another page.
func (sh shape) page_(t *testing.T, from, size int) shape {
	t.Helper()
	if sh.body != "" {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(sh.body), &members); err != nil {
			t.Fatal(err)
		}
		members["from"], members["size"] = json.RawMessage(strconv.Itoa(from)), json.RawMessage(strconv.Itoa(size))
		sh.body = text(t, members)
	}
	parameters := slices.DeleteFunc(strings.Split(sh.query, "&"), func(p string) bool {
		return p == "" || strings.HasPrefix(p, "from=") || strings.HasPrefix(p, "size=")
	})
	sh.query = strings.Join(append(parameters, fmt.Sprintf("from=%d&size=%d", from, size)), "&")
	return sh
}

// A page is a search response taken apart as far as reranking may change it.
type page struct {
	ids       []string
	scores    []float64
	hits      map[string]string   // by index and id: the hit without what shows its score
	explained map[string]*float64 // the value of its explanation
	max       *float64
	texts     map[string]bool // whether the document, as far as it is shown, has a text
	rest      string          // the response without hits, max_score and took
}

func (a answer) page(t *testing.T) page {
	t.Helper()
	var response, hits map[string]json.RawMessage
	var list []map[string]json.RawMessage
	for _, step := range []struct {
		from json.RawMessage
		to   any
	}{{a.body, &response}} {
		if err := json.Unmarshal(step.from, step.to); err != nil {
			t.Fatalf("%v: %.300s", err, a.body)
		}
	}
	if json.Unmarshal(response["hits"], &hits) != nil || json.Unmarshal(hits["hits"], &list) != nil {
		t.Fatalf("no page of hits: %d %.500s", a.status, a.body)
	}
	p := page{hits: make(map[string]string), texts: make(map[string]bool), explained: make(map[string]*float64)}
	json.Unmarshal(hits["max_score"], &p.max)
	for _, hit := range list {
		id := string(hit["_index"]) + string(hit["_id"])
		p.ids = append(p.ids, id)
		var score float64
		json.Unmarshal(hit["_score"], &score)
		p.scores = append(p.scores, score)
		var explanation struct{ Value *float64 }
		if json.Unmarshal(hit["_explanation"], &explanation) == nil {
			p.explained[id] = explanation.Value
		}
		var source map[string]any
		json.Unmarshal(hit["_source"], &source)
		p.texts[id] = source["title"] != nil || source["body"] != nil
		for _, name := range []string{"_score", "_explanation", "sort"} {
			delete(hit, name)
		}
		p.hits[id] = canonical(t, []byte(text(t, hit)))
	}
	delete(hits, "hits")
	delete(hits, "max_score")
	delete(response, "took")
	delete(response, "status")
	delete(response, "profile")
	response["hits"] = json.RawMessage(text(t, hits))
	p.rest = canonical(t, []byte(text(t, response)))
	return p
}

// canonical is JSON with its keys in order and its numbers as they are spelled.
func canonical(t *testing.T, body []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	return text(t, v)
}

// sameAnswer compares status, headers and bytes.
func sameAnswer(t *testing.T, how string, sh shape, want, got answer) {
	t.Helper()
	if got.status != want.status {
		t.Errorf("%s, got status %d %s, want %d %s", how, got.status, got.body, want.status, want.body)
	}
	for _, name := range slices.Sorted(maps.Keys(want.header)) {
		if !slices.Contains([]string{"Date", "Content-Length", "Vary"}, name) && !reflect.DeepEqual(want.header[name], got.header[name]) {
			t.Errorf("%s, got %s: %q, want %q", how, name, got.header[name], want.header[name])
		}
	}
	for name := range got.header {
		if _, ok := want.header[name]; !ok && !slices.Contains([]string{"Date", "X-Rerank", "X-Rerank-Query-Id", "Server-Timing", "Vary", "Content-Length"}, name) {
			t.Errorf("%s, got a header of ours: %s: %q", how, name, got.header[name])
		}
	}
	if !sameBody(sh, want.body, got.body) {
		t.Errorf("%s, got  %s\nwant %s", how, got.body, want.body)
	}
}

// What a second identical request to the same cluster answers differently.
var volatile = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`"took"( ?: ?)\d+`), `"took"${1}0`},
	{regexp.MustCompile(`(?m)^took: \d+`), `took: 0`},
	{regexp.MustCompile(`"_scroll_id":"[^"]*"`), `"_scroll_id":""`},
}

func sameBody(sh shape, want, got []byte) bool {
	a, b := string(want), string(got)
	for _, v := range volatile {
		a, b = v.pattern.ReplaceAllString(a, v.mask), v.pattern.ReplaceAllString(b, v.mask)
	}
	if sh.timings {
		digits := regexp.MustCompile(`\d+`)
		a, b = digits.ReplaceAllString(a, "0"), digits.ReplaceAllString(b, "0")
		a, b = strings.Join(slices.Sorted(slices.Values(strings.Split(a, ","))), ","), strings.Join(slices.Sorted(slices.Values(strings.Split(b, ","))), ",")
	}
	if sh.keys && json.Valid([]byte(a)) && json.Valid([]byte(b)) {
		return equalValues(a, b)
	}
	return a == b
}

func equalValues(a, b string) bool {
	var values [2]any
	for i, text := range []string{a, b} {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if d.Decode(&values[i]) != nil {
			return false
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

// testUnverified: what no engine here can run is read, and no more is claimed.
func testUnverified(t *testing.T) {
	for _, u := range unverified {
		t.Run(u.feature, func(t *testing.T) {
			r, err := search.Parse("", []byte(u.body))
			if err != nil {
				t.Fatal(err)
			}
			if reason, detail := r.Pass(); string(reason) != u.passes {
				t.Errorf("got reason %q (%s), want %q", reason, detail, u.passes)
			}
			if got := r.Words(); got != u.words {
				t.Errorf("got words %q, want %q", got, u.words)
			}
			if got := r.Window(window); got != u.window {
				t.Errorf("got a window of %d, want %d", got, u.window)
			}
		})
	}
}
