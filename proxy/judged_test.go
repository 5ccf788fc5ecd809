package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/reranktest"
)

// english is a ranker of one model that knows English.
func english(t *testing.T, s rerank.Scorer) *rerank.Ranker {
	scripts, err := rerank.ScriptsOf("en")
	if err != nil {
		t.Fatal(err)
	}
	return &rerank.Ranker{Stages: []rerank.Stage{{Model: "small", Scorer: s, Scripts: scripts}}}
}

// Words in another script are known to be so before the cluster is asked: the client's own search is what it gets. Texts are looked at
// when they are there.
func TestLanguage(t *testing.T) {
	for words, language := range map[string]bool{
		"blue shoes": false, "iphone 手机壳": false, "getUserByID()": false, "shoes 👟👟": false, "café crème": false,
		"蓝色的鞋子": true, "синие туфли": true, "حذاء أزرق": true,
	} {
		shop := &shop{docs: 40}
		base, _ := serve(t, &Snapshot{Upstream: upstream(t, shop.ServeHTTP), Rules: rules(english(t, later))}, Options{})
		body, err := json.Marshal(map[string]any{"query": map[string]any{"match": map[string]any{"title": words}}})
		if err != nil {
			t.Fatal(err)
		}
		res, page := ask(t, base, string(body))
		got := res.Header.Get("X-Rerank")
		if language != (got == "skipped; reason=language") || !language && !strings.HasPrefix(got, "applied") {
			t.Errorf("%q: got X-Rerank %q", words, got)
		}
		if searches := shop.searches(); language && (len(searches) != 1 || !strings.HasSuffix(searches[0], string(body))) {
			t.Errorf("%q: the cluster got %q, want the client's own search and no window", words, searches)
		}
		if list := ids(t, page); language && !slices.Equal(list, count(0, 10, 1)) {
			t.Errorf("%q: got page %v, want the cluster's", words, list)
		}
	}

	foreign := strings.NewReplacer(`"title":"Document`, `"title":"Документ о том, что найдено`)
	shop := &shop{docs: 40}
	shop.intercept = func(w http.ResponseWriter, _ *http.Request, _ []byte, wide bool) bool {
		w.Header().Set("Content-Type", "application/json")
		size := 10
		if wide {
			size = 30
		}
		foreign.WriteString(w, string(shop.page(0, size)))
		return true
	}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, shop.ServeHTTP), Rules: rules(english(t, later))}, Options{})
	res, page := ask(t, base, match)
	if got := res.Header.Get("X-Rerank"); got != "skipped; reason=language" {
		t.Errorf("Russian texts: got X-Rerank %q", got)
	}
	if list := ids(t, page); !slices.Equal(list, count(0, 10, 1)) {
		t.Errorf("Russian texts: got page %v, want the cluster's", list)
	}
}

// staged is a small model over the window and a large one over its head; no hit may climb more than four places.
func staged(large rerank.Scorer) *rerank.Ranker {
	return &rerank.Ranker{
		Stages: []rerank.Stage{{Model: "small", Scorer: later}, {Model: "large", Scorer: large, Window: 3}},
		Fusion: rerank.Fusion{Weight: 0.9, MaxClimb: 4},
	}
}

// Whoever debugs is told of each hit of the page how it came to its place; whoever does not sees nothing of that.
func TestDebugTellsOfHits(t *testing.T) {
	shop := &shop{docs: 12}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, shop.ServeHTTP), Rules: rules(staged(later))}, Options{})
	const search = `{"query":{"match":{"title":"blue shoes"}},"size":4,"explain":true}`
	plain, page := ask(t, base, search)
	if got := plain.Header.Values("X-Rerank-Debug"); got != nil {
		t.Errorf("got %q without asking", got)
	}
	if got := plain.Header.Get("X-Rerank"); !strings.HasPrefix(got, `applied; model="small"; window=12; scored=12; model="large"; window=3; scored=3; ms=`) {
		t.Errorf("got X-Rerank %q", got)
	}
	res, again := ask(t, base, search, "X-Rerank-Debug", "true")
	took := regexp.MustCompile(`"took":\d+`) // which is also the ranking's milliseconds
	if took.ReplaceAllString(page, "") != took.ReplaceAllString(again, "") {
		t.Errorf("got another page when debugging:\n%s\n%s", page, again)
	}
	lines := res.Header.Values("X-Rerank-Debug")
	told := lines[1:]
	var hits []string
	for place, id := range ids(t, page) {
		hits = append(hits, fmt.Sprintf("place=%d; was=%d; id=%q; cluster=%s;", place+1, id+1, fmt.Sprint(id), strings.TrimRight(strings.TrimRight(shopScore(id), "0"), ".")))
	}
	if len(told) != 4 {
		t.Fatalf("got %q, want a line for each hit of the page", lines)
	}
	for k, line := range told {
		if !strings.HasPrefix(line, hits[k]) || !strings.Contains(line, "; logit=") || !strings.Contains(line, "; fused=") {
			t.Errorf("got %q, want %s", line, hits[k])
		}
	}
	if !strings.Contains(told[0], `model="large"`) || !strings.Contains(told[3], `model="small"`) || !strings.Contains(strings.Join(told, ""), "; held") {
		t.Errorf("got %q, want both stages and a hit that the ceiling held back", told)
	}
}

// What is told is bounded, however large the page.
func TestDebugIsBounded(t *testing.T) {
	shop := &shop{docs: 1000}
	rule := rules(staged(later))
	rule[0].Window = 1000
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, shop.ServeHTTP), Rules: rule}, Options{})
	res, _ := ask(t, base, `{"query":{"match":{"title":"blue shoes"}},"size":900}`, "X-Rerank-Debug", "true")
	size := 0
	for _, line := range res.Header.Values("X-Rerank-Debug") {
		size += len(line)
	}
	if lines := len(res.Header.Values("X-Rerank-Debug")); lines < 10 || size > maxTold+1<<10 {
		t.Errorf("got %d lines of %d bytes", lines, size)
	}
}

// A stage that is left out is named, and the page is that of the one before.
func TestStageIsLeftOut(t *testing.T) {
	shop := &shop{docs: 30}
	slow := estimated{later, time.Hour}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, shop.ServeHTTP), Rules: rules(&rerank.Ranker{
		Stages: []rerank.Stage{{Model: "small", Scorer: estimated{later, time.Millisecond}}, {Model: "large", Scorer: slow, Window: 3}},
		Fusion: rerank.Fusion{Method: rerank.FusionReplace},
	})}, Options{})
	res, page := ask(t, base, match)
	if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, `applied; model="small"; window=30; scored=30; model="large"; window=3; skipped=budget; ms=`) {
		t.Errorf("got X-Rerank %q", got)
	}
	if got := ids(t, page); !slices.Equal(got, count(29, 19, -1)) {
		t.Errorf("got page %v, want the first stage's", got)
	}
}

type estimated struct {
	rerank.Scorer
	need time.Duration
}

func (e estimated) Estimate(string, []string) time.Duration { return e.need }

// chunk_rescorer has as many passages of a long text read as it says, and without it a text is read from its beginning.
func TestChunkRescorer(t *testing.T) {
	title := strings.Repeat("Nothing is said here of what is looked for. ", 100)
	shop := &shop{docs: 20}
	shop.intercept = func(w http.ResponseWriter, _ *http.Request, _ []byte, wide bool) bool {
		w.Header().Set("Content-Type", "application/json")
		page := strings.ReplaceAll(string(shop.page(0, 20)), `"title":"Document 15"`, `"title":"`+title+` These are the blue shoes. `+title+`"`)
		strings.NewReplacer(`"title":"Document`, `"title":"`+title+` Document`).WriteString(w, page)
		return true
	}
	finds := reranktest.ScorerFunc(func(_ context.Context, _ string, docs []string) ([]float32, error) {
		logits := make([]float32, len(docs))
		for i, doc := range docs {
			if strings.Contains(doc[:min(len(doc), 2000)], "the blue shoes") {
				logits[i] = 3
			}
		}
		return logits, nil
	})
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, shop.ServeHTTP), Inference: map[string]Model{"mine": {Stage: rerank.Stage{Model: "small", Scorer: finds}}}, Rules: rules(reverse)}, Options{})
	for options, want := range map[string]struct {
		first int
		said  string
	}{
		`,"inference_id":"mine"`:                                   {0, `applied; model="small"; window=20; scored=20; ms=`},
		`,"inference_id":"mine","chunk_rescorer":{}`:               {15, `applied; model="small"; window=20; scored=20; ms=`},
		`,"inference_id":"mine","chunk_rescorer":{"size":2}`:       {15, `applied; model="small"; window=20; scored=20; passages=40; ms=`},
		`,"inference_id":"mine","chunk_rescorer":{"size":1000000}`: {15, `applied; model="small"; window=20; scored=20; passages=`},
	} {
		res, page := ask(t, base, reranker(options+`,"rank_window_size":20`, ""))
		if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, want.said) {
			t.Errorf("%s: got X-Rerank %q, want %q", options, got, want.said)
		}
		if list := ids(t, page); len(list) == 0 || list[0] != want.first {
			t.Errorf("%s: got %v, want %d first", options, list, want.first)
		}
	}
}

// Objects, white space and nothing are no texts; in ten thousand hits nothing is lost.
func TestOddTexts(t *testing.T) {
	var hits []string
	for i := range 10_000 {
		source := map[int]string{0: `{"title":{}}`, 1: `{"title":" \n\t "}`, 2: `{"title":{"a":{"b":[]}}}`, 3: `{"title":null}`, 4: `{}`}[i%7]
		if source == "" {
			source = `{"title":"shoes"}`
		}
		hits = append(hits, fmt.Sprintf(`{"_index":"shop","_id":"%d","_score":%d,"_source":%s}`, i, 20_000-i, source))
	}
	answer := `{"took":1,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"total":{"value":10000,"relation":"eq"},"max_score":20000,"hits":[` + strings.Join(hits, ",") + `]}}`
	rule := rules(english(t, later))
	rule[0].Window = 10_000
	base, _ := serve(t, &Snapshot{Rules: rule, Upstream: upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(answer))
	})}, Options{})
	res, page := ask(t, base, `{"query":{"match":{"title":"blue shoes"}},"size":10000}`)
	if got := res.Header.Get("X-Rerank"); !strings.HasPrefix(got, `applied; model="small"; window=2856; scored=2856;`) {
		t.Errorf("got X-Rerank %q", got)
	}
	list := ids(t, page)
	for place, i := range list {
		if i%7 < 5 && place != i {
			t.Fatalf("got hit %d, which has no text, at place %d", i, place)
		}
	}
	slices.Sort(list)
	if diff := cmp.Diff(count(0, 10_000, 1), list); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
}
