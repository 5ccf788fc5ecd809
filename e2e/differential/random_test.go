package differential

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rerankd/rerankd/e2e/cluster"
)

// members are parts of a body, of which a random search has some: features get in each other's way in ways that no table foresees.
var members = []string{
	`"size":3`, `"size":25`, `"from":2`, `"from":38`, `"from":45`, `"_source":false`, `"_source":"title"`, `"_source":["price","stock"]`,
	`"_source":{"excludes":["title","reviews"]}`, `"fields":["category"]`, `"fields":["tit*",{"field":"when","format":"yyyy"}]`, `"docvalue_fields":["stock"]`,
	`"stored_fields":["title"]`, `"stored_fields":"_none_"`, `"highlight":{"fields":{"body":{},"title":{}}}`, `"aggs":{"c":{"terms":{"field":"category"}}}`,
	`"aggs":{"c":{"terms":{"field":"category"},"aggs":{"best":{"top_hits":{"size":1}}}}}`, `"collapse":{"field":"category"}`,
	`"collapse":{"field":"category","inner_hits":{"name":"more","size":2}}`, `"sort":["_score"]`, `"sort":[{"price":"desc"}]`, `"sort":["_score",{"price":"asc"}]`,
	`"track_total_hits":false`, `"track_total_hits":7`, `"track_scores":true`, `"explain":true`, `"min_score":0.5`, `"post_filter":{"term":{"category":"camping"}}`,
	`"rescore":{"window_size":15,"query":{"rescore_query":{"match":{"title":"warm"}}}}`, `"version":true`, `"seq_no_primary_term":true`, `"terminate_after":500`,
	`"timeout":"5s"`, `"indices_boost":[{"differential-*":2.0}]`, `"stats":["a"]`, `"suggest":{"s":{"text":"jackte","term":{"field":"title"}}}`, `"ext":{}`,
	`"search_after":[1.0,2.0]`, `"script_fields":{"d":{"script":"1 + 1"}}`, `"runtime_mappings":{"sku":{"type":"keyword"}}`,
}

// parameters are parts of a URL.
var parameters = []string{
	"pretty", "pretty=false", "size=4", "from=3", "from=39&size=5", "typed_keys", "rest_total_hits_as_int=true", "_source=false", "_source_includes=price", "_source_excludes=body",
	"filter_path=hits.hits._id,hits.hits._score", "filter_path=-hits.hits._source", "filter_path=took,aggregations", "filter_path=**._source.title", "track_total_hits=false",
	"docvalue_fields=price", "stored_fields=title", "q=body:outdoors", "q=title:jacket", "sort=price", "sort=_score:desc", "explain=true", "version=true", "human", "error_trace=true",
	"allow_partial_search_results=true", "preference=_local", "search_type=dfs_query_then_fetch", "request_cache=true", "terminate_after=20", "nonsense=1",
}

// tryRandom sends searches made of random parts. What comes through rerankd in the cluster's own order has to be what the cluster says
// itself, an error included; and turned round, no hit may be lost, doubled or invented.
func (s *sides) tryRandom(t *testing.T, e cluster.Engine) {
	seed, trials := uint64(1), 250
	if text := os.Getenv("RERANKD_SEED"); text != "" { // to look for more
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	random := rand.New(rand.NewPCG(seed, 2))
	var queries []string
	for _, sh := range shapes {
		if sh.group == "Queries" && sh.needs != never && has(e, sh.needs) {
			queries = append(queries, strings.TrimSuffix(strings.TrimPrefix(sh.body, "{"), "}"))
		}
	}
	applied := 0
	for range trials {
		parts := []string{queries[random.IntN(len(queries))]}
		for range random.IntN(5) {
			part := members[random.IntN(len(members))]
			if name, _, _ := strings.Cut(part, ":"); !slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, name+":") }) {
				parts = append(parts, part)
			}
		}
		random.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		sh := shape{body: "{" + strings.Join(parts, ",") + "}", index: []string{things, things, both, untitled}[random.IntN(4)]}
		var query []string
		for range random.IntN(3) {
			query = append(query, parameters[random.IntN(len(parameters))])
		}
		sh.query = strings.Join(query, "&")
		if random.IntN(8) == 0 && strings.Contains(sh.query, "q=") {
			sh.body = ""
		}

		s.send(t, s.direct, sh) // with request_cache, the first answer explains a rescored hit otherwise than those after it
		want, got := s.send(t, s.direct, sh), s.send(t, s.identity, sh)
		if got.status != want.status || !sameBody(sh, want.body, got.body) && !equalButTook(want.body, got.body) {
			t.Errorf("%s ?%s %s:\ngot  %d %s\nwant %d %s", sh.index, sh.query, sh.body, got.status, got.body, want.status, want.body)
			continue
		}
		if !strings.HasPrefix(got.header.Get("X-Rerank"), "applied") || strings.Contains(sh.query, "filter_path") {
			continue
		}
		applied++
		turned := s.send(t, s.reversing, sh)
		if turned.status != want.status {
			t.Errorf("%s ?%s %s: turned round, got %d", sh.index, sh.query, sh.body, turned.status)
			continue
		}
		before, after := want.page(t), turned.page(t)
		if len(after.ids) != len(before.ids) || len(slices.Compact(slices.Sorted(slices.Values(after.ids)))) != len(after.ids) {
			t.Errorf("%s ?%s %s: turned round, got %v, want as many as in %v, each once", sh.index, sh.query, sh.body, after.ids, before.ids)
		}
		if after.rest != before.rest {
			t.Errorf("%s ?%s %s: turned round, what is beside the hits differs: got %s, want %s", sh.index, sh.query, sh.body, after.rest, before.rest)
		}
	}
	if applied < trials/10 {
		t.Errorf("%d of %d searches were reranked: too few to tell", applied, trials)
	}
}

// equalButTook compares as values: the cluster writes the keys of a filtered _source in the order of a hash table.
func equalButTook(a, b []byte) bool {
	var texts [2]string
	for i, body := range [][]byte{a, b} {
		var v map[string]json.RawMessage
		if json.Unmarshal(body, &v) != nil {
			return false
		}
		delete(v, "took")
		texts[i] = string(mustMarshal(v))
	}
	return equalValues(texts[0], texts[1])
}

func mustMarshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // what was JSON is JSON
	}
	return b
}
