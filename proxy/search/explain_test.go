package search

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExplain(t *testing.T) {
	const body = `{"hits":{"max_score":3.0,"hits":[{"_id":"a","_score":3.0,"fields":{"f":[1]},"_explanation":{"value":3.0,"description":"sum of:","details":[]}},` +
		`{"_id":"b","_score":2.5,"_explanation":{"value":2.5,"description":"x","details":[]}},{"_id":"c","_score":1.0}]}}`
	for name, tt := range map[string]struct {
		page Page
		want string
	}{
		"reranked": {Page{Size: 3, Order: []int{1, 0, 2}, Scores: []float64{0.75, 0.5, 0.25}, Explain: &Explanation{"small", []Judgement{{Model: "large", Logit: 2.5, Fused: 0.75, From: 10, To: 20, Held: true}}}},
			`{"hits":{"max_score":0.75,"hits":[{"_id":"b","_score":0.75,"_explanation":{"value":0.75,"description":"reranked by large (score 2.5, fused 0.75, passage 10-20, held back by the ceiling, lexical rank 2)","details":[{"value":2.5,"description":"x","details":[]}]}},` +
				`{"_id":"a","_score":0.5,"fields":{"f":[1]},"_explanation":{"value":0.5,"description":"reranked by small (not scored, lexical rank 1)","details":[{"value":3.0,"description":"sum of:","details":[]}]}},{"_id":"c","_score":0.25}]}}`},
		"the cluster's scores stay in their places": {Page{Size: 2, Order: []int{1, 0, 2}, KeepScores: true, Explain: &Explanation{"small", []Judgement{{Model: "small", Logit: 2.5, Fused: math.NaN()}, {Model: "small", Logit: 1, Fused: math.NaN()}}}},
			`{"hits":{"max_score":3.0,"hits":[{"_id":"b","_score":3.0,"_explanation":{"value":3.0,"description":"reranked by small (score 2.5, lexical rank 2)","details":[{"value":2.5,"description":"x","details":[]}]}},` +
				`{"_id":"a","_score":2.5,"fields":{"f":[1]},"_explanation":{"value":2.5,"description":"reranked by small (score 1, lexical rank 1)","details":[{"value":3.0,"description":"sum of:","details":[]}]}}]}}`},
		"nothing moves, and something is taken out": {Page{Size: 1, Order: []int{0, 1, 2}, KeepScores: true, Explain: &Explanation{"small", []Judgement{{Model: "small", Logit: 2.5, Fused: math.NaN()}, {Model: "small", Logit: 1, Fused: math.NaN()}}}, Strip: &Widened{added: []string{"f"}}},
			`{"hits":{"max_score":3.0,"hits":[{"_id":"a","_score":3.0,"_explanation":{"value":3.0,"description":"sum of:","details":[]}}]}}`},
		"nothing moves": {Page{Size: 3, Order: []int{0, 1, 2}, KeepScores: true, Explain: &Explanation{"small", []Judgement{{Model: "small", Logit: 2.5, Fused: math.NaN()}, {Model: "small", Logit: 1, Fused: math.NaN()}}}}, body},
	} {
		got, err := mustParseResponse(t, body).Splice(tt.page)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tt.want)
		}
	}
}

// What is wrapped in a pretty response is indented as the engine would have done.
func TestExplainPretty(t *testing.T) {
	const body = "{\n  \"hits\" : {\n    \"max_score\" : 1.0,\n    \"hits\" : [\n      {\n        \"_score\" : 1.0,\n        \"_explanation\" : {\n          \"value\" : 1.0,\n          \"description\" : \"d\",\n          \"details\" : [ ]\n        }\n      }\n    ]\n  }\n}\n"
	const want = "{\n  \"hits\" : {\n    \"max_score\" : 2.0,\n    \"hits\" : [\n      {\n        \"_score\" : 2.0,\n        \"_explanation\" : {\n          \"value\" : 2.0,\n          \"description\" : \"reranked by m (score 4, lexical rank 1)\",\n" +
		"          \"details\" : [\n            {\n              \"value\" : 1.0,\n              \"description\" : \"d\",\n              \"details\" : [ ]\n            }\n          ]\n        }\n      }\n    ]\n  }\n}\n"
	got, err := mustParseResponse(t, body).Splice(Page{Size: 1, Order: []int{0}, Scores: []float64{2}, Explain: &Explanation{"m", []Judgement{{Model: "m", Logit: 4, Fused: math.NaN()}}}})
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Exactly those hits that are not dropped come, once and in order, whatever the pages; the first of them shows the greatest score.
func TestDrop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "hits")
		var hits []string
		drop, scores := make([]bool, n), make([]float64, n)
		for i := range n {
			hits = append(hits, `{"_id":"`+string(rune('a'+i))+`","_score":1.5}`)
			drop[i], scores[i] = rapid.Bool().Draw(t, "drop"), 1/float64(i+1)
		}
		body := `{"hits":{"total":99,"max_score":1.5,"hits":[` + strings.Join(hits, ",") + `]}}`
		p, err := ParseResponse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		order := rapid.Permutation(sequence(n)).Draw(t, "order")
		var want []string
		for _, i := range order {
			if !drop[i] {
				want = append(want, string(rune('a'+i)))
			}
		}
		size := rapid.IntRange(1, 5).Draw(t, "size")
		var got []string
		for from := 0; from <= n; from += size {
			page, err := p.Splice(Page{From: from, Size: size, Order: order, Scores: scores, Drop: drop})
			if err != nil {
				t.Fatal(err)
			}
			var v struct {
				Hits struct {
					Total int
					Max   *float64 `json:"max_score"`
					Hits  []struct {
						ID    string  `json:"_id"`
						Score float64 `json:"_score"`
					}
				}
			}
			if err := json.Unmarshal(page, &v); err != nil {
				t.Fatalf("%v: %s", err, page)
			}
			for _, hit := range v.Hits.Hits {
				got = append(got, hit.ID)
			}
			if v.Hits.Total != 99 || (v.Hits.Max == nil) != (len(want) == 0 && n > 0) {
				t.Errorf("got %s", page)
			}
			if from == 0 && len(v.Hits.Hits) > 0 && *v.Hits.Max != v.Hits.Hits[0].Score {
				t.Errorf("got %s, want max_score to be the first hit's", page)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// The greatest score is that of the first hit that is left, also where the scores are the cluster's own.
func TestDropKeepingScores(t *testing.T) {
	const body = `{"hits":{"max_score":3.0,"hits":[{"_id":"a","_score":3.0},{"_id":"b","_score":2.0},{"_id":"c","_score":1.0}]}}`
	for want, page := range map[string]Page{
		`{"hits":{"max_score":2.0,"hits":[{"_id":"a","_score":2.0},{"_id":"b","_score":1.0}]}}`: {Size: 3, Order: []int{2, 0, 1}, KeepScores: true, Drop: []bool{false, false, true}},
		`{"hits":{"max_score":2.0,"hits":[{"_id":"b","_score":2.0},{"_id":"c","_score":1.0}]}}`: {Size: 3, Drop: []bool{true, false, false}},
		`{"hits":{"max_score":3.0,"hits":[{"_id":"a","_score":3.0},{"_id":"c","_score":1.0}]}}`: {Size: 3, Drop: []bool{false, true, false}},
	} {
		if got, err := mustParseResponse(t, body).Splice(page); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestSorted(t *testing.T) {
	for body, want := range map[string]bool{
		`{"hits":{"hits":[]}}`:                        false,
		`{"hits":{"hits":[{"_score":1}]}}`:            false,
		`{"hits":{"hits":[{"_score":1,"sort":[1]}]}}`: true,
	} {
		if got := mustParseResponse(t, body).Sorted(); got != want {
			t.Errorf("%s: got %v", body, got)
		}
	}
}
