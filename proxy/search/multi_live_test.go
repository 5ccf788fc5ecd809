package search

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"testing"
)

// shop puts forty documents into an index and returns its URL; the index is deleted with the test.
func shop(t *testing.T, base, name string) string {
	t.Helper()
	index := base + "/" + name
	call(t, http.MethodDelete, index, nil)
	mustCall(t, http.MethodPut, index, []byte(`{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{
		"title":{"type":"text"},"n":{"type":"long"},"cat":{"type":"keyword"},
		"parts":{"type":"nested","properties":{"name":{"type":"text"}}},"also":{"type":"alias","path":"cat"}}}}`))
	t.Cleanup(func() { call(t, http.MethodDelete, index, nil) })
	var bulk bytes.Buffer
	for i := range 40 {
		fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"%d\"}}\n", i)
		fmt.Fprintf(&bulk, `{"title":"%[1]s shoes %[2]d","n":%[3]d,"cat":"c%[4]d","parts":[{"name":"sole %[2]d"},{"name":"lace"}],"none":[],"sizes":["%[2]d","%[2]d½"]}`+"\n",
			bytes.Repeat([]byte("red "), 1+i%9), i, 9007199254740993+i, i%4)
	}
	if answer := mustCall(t, http.MethodPost, index+"/_bulk?refresh=true", bulk.Bytes()); bytes.Contains(answer, []byte(`"errors":true`)) {
		t.Fatalf("documents were refused: %.500s", answer)
	}
	return index
}

// TestLiveMultiWire compares how multi-searches are read with what clusters make of them.
func TestLiveMultiWire(t *testing.T) {
	for _, base := range clusters(t) {
		shop(t, base, "rerankd-multi-test")
		const h, b = `{"index":"rerankd-multi-test"}`, `{"query":{"match":{"title":"red"}},"size":1}`
		for _, test := range []struct {
			body string
			want int // searches; 0 where ParseMulti and the cluster refuse it
		}{
			{h + "\n" + b + "\n", 1}, {h + "\n" + b + "\n\n" + b + "\n", 2}, {h + "\n" + b + "\n \t\n" + b + "\n", 2}, {" \n" + b + "\n", 1},
			{h + "\r\n" + b + "\r\n\r\n" + b + "\r\n", 2}, {"\r\n" + b + "\r\n", 1}, {h + "\n" + b + "\n\n", 1}, {h + "\n" + b + "\n  \n", 1},
			{h + "\n" + b + "\n" + h + "\n", 1}, {h + "\n{\r\"size\":1}\n", 1}, {"{\"index\":[]}\n" + b + "\n{\"index\":\"\"}\n" + b + "\n", 2},
			{`{"index":["rerankd-multi-test","rerankd-m*"]}` + "\n" + b + "\n" + `{"index":"rerankd-none"}` + "\n" + b + "\n", 2},
			{"", 0}, {"\n\n", 0}, {h + "\n", 0}, {h, 0}, {h + "\n" + b, 0}, {h + "\n" + b + "\n  ", 0}, {h + "\n\n", 0}, {h + "\n \n", 0},
			{h + "\n\n" + h + "\n" + b + "\n", 0}, {h + "\n" + b + "\n\n\n", 0},
		} {
			status, answer := call(t, http.MethodPost, base+"/_msearch", []byte(test.body))
			m, err := ParseMulti([]byte(test.body))
			if test.want == 0 {
				if err == nil || status != http.StatusBadRequest {
					t.Errorf("%q: got %v, and from the cluster %d %s; want both to refuse it", test.body, err, status, answer)
				}
				continue
			}
			if err != nil || status != http.StatusOK {
				t.Errorf("%q: got %v, and from the cluster %d %s", test.body, err, status, answer)
				continue
			}
			p, err := ParseMultiResponse(answer)
			if err != nil || len(m.Searches) != test.want || p.Items() != test.want {
				t.Errorf("%q: read %d searches and %d responses, want %d: %v", test.body, len(m.Searches), p.Items(), test.want, err)
			}
		}
	}
}

// TestLiveMulti sends multi-searches to real clusters twice: as they are, and each search widened. The widened answer, put together again
// in the cluster's own order, has to be the answer to the multi-search as it was, to the byte, but for the times.
func TestLiveMulti(t *testing.T) {
	for _, base := range clusters(t) {
		shop(t, base, "rerankd-multi-test")
		const words = `"query":{"match":{"title":"red shoes"}}`
		body := []byte(`{"index":"rerankd-multi-test"}` + "\n" + `{` + words + `}` + "\n" +
			`{"index":["rerankd-multi-test"],"preference":"x"}` + "\r\n" + `{` + words + `,"from":3,"size":2,"_source":["n"]}` + "\r\n" +
			`{"index":"rerankd-none"}` + "\n" + `{` + words + `}` + "\n" +
			`{"index":"rerankd-multi-*","search_type":"dfs_query_then_fetch"}` + "\n" + `{"query":{"match":{"title":"nothing"}}}` + "\n" +
			`{"index":"rerankd-multi-test"}` + "\n" + ` {` + words + `,"from":38,"size":5,"highlight":{"fields":{"title":{}}}} ` + "\n" +
			`{"index":"rerankd-multi-test"}` + "\n" + `{` + words + `,"from":50,"aggs":{"cats":{"terms":{"field":"cat"},"aggs":{"top":{"top_hits":{"size":1}}}}}}` + "\n\n")
		for _, rawQuery := range []string{"", "pretty", "rest_total_hits_as_int=true&typed_keys=true&max_concurrent_searches=2"} {
			want := mustCall(t, http.MethodPost, base+"/_msearch?"+rawQuery, body)
			m, err := ParseMulti(body)
			if err != nil {
				t.Fatal(err)
			}
			widened, bodies := make([]*Widened, len(m.Searches)), make([][]byte, len(m.Searches))
			for i, s := range m.Searches {
				if reason, detail := s.Pass(); reason != "" {
					t.Fatalf("search %d passed: %s %s", i, reason, detail)
				}
				if widened[i], err = mustParse(t, "", string(s.Body)).Widen(Need{Window: 40, Fields: []string{"title"}, Widen: true}); err != nil {
					t.Fatal(err)
				}
				bodies[i] = widened[i].Body
			}
			p, err := ParseMultiResponse(mustCall(t, http.MethodPost, base+"/_msearch?"+rawQuery, m.Build(bodies)))
			if err != nil || p.Items() != len(m.Searches) {
				t.Fatalf("%d responses, %v, want %d", p.Items(), err, len(m.Searches))
			}
			pages := make([][]byte, p.Items())
			for i, want := range []int{40, 40, 0, 0, 40, 40} {
				if one, err := ParseResponse(p.Item(i)); err == nil && one.Hits() != want {
					t.Fatalf("response %d: got %d hits, want %d", i, one.Hits(), want)
				}
			}
			for i := range pages {
				if failed := i == 2; p.Failed(i) != failed || (p.Status(i) == 200) == failed {
					t.Fatalf("response %d: failed %t, status %d", i, p.Failed(i), p.Status(i))
				} else if failed {
					continue
				}
				one, err := ParseResponse(p.Item(i))
				if err != nil {
					t.Fatal(err)
				}
				if pages[i], err = one.Splice(Page{From: widened[i].From, Size: widened[i].Size, Order: sequence(one.Hits()), KeepScores: true, Strip: widened[i]}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := p.Splice(pages, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := withoutTook(got), withoutTook(want); !bytes.Equal(got, want) {
				t.Errorf("%s %s:\ngot  %s\nwant %s", base, rawQuery, got, want)
			}
		}
	}
}

var tookPattern = regexp.MustCompile(`("took" ?: ?)\d+`)

// withoutTook makes every time 0.
func withoutTook(body []byte) []byte { return tookPattern.ReplaceAll(body, []byte("${1}0")) }
