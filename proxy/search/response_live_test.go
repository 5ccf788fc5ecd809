package search

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
)

// TestLiveExplain wraps the explanations of real clusters: they stay JSON, each explains the score that is shown, and in a pretty answer
// they are laid out as the cluster itself would have done.
func TestLiveExplain(t *testing.T) {
	for _, base := range clusters(t) {
		index := shop(t, base, "rerankd-explain-test")
		body := []byte(`{"query":{"match":{"title":"red shoes"}},"explain":true,"_source":false,"size":6}`)
		spliced := make(map[string][]byte)
		for _, layout := range []string{"", "pretty"} {
			p, err := ParseResponse(mustCall(t, http.MethodPost, index+"/_search?"+layout, body))
			if err != nil {
				t.Fatal(err)
			}
			page := Page{Size: 6, Order: []int{5, 4, 2, 3, 1, 0}, Scores: []float64{0.9, 0.8, 0.7, p.Score(3), 0.002, 0.0001}, Explain: &Explanation{"small", []Judgement{{Model: "small", Logit: 3.25, Fused: math.NaN()}, {Model: "small", Logit: -1, Fused: math.NaN()}}}}
			got, err := p.Splice(page)
			if err != nil {
				t.Fatal(err)
			}
			spliced[layout] = withoutTook(got)
			var v struct {
				Hits struct {
					Hits []struct {
						Score       json.Number `json:"_score"`
						Explanation struct {
							Value       json.Number
							Description string
							Details     []json.RawMessage
						} `json:"_explanation"`
					}
				}
			}
			if err := json.Unmarshal(got, &v); err != nil {
				t.Fatalf("%s: %v", got, err)
			}
			for i, hit := range v.Hits.Hits {
				if hit.Score != hit.Explanation.Value {
					t.Errorf("hit %d: score %s is explained as %s", i, hit.Score, hit.Explanation.Value)
				}
				if wrapped := strings.HasPrefix(hit.Explanation.Description, "reranked by small ("); wrapped == (i == 3) || wrapped && len(hit.Explanation.Details) != 1 {
					t.Errorf("hit %d: wrapped %t in %s", i, wrapped, hit.Explanation.Description)
				}
			}
		}
		var want bytes.Buffer
		if err := json.Indent(&want, spliced[""], "", "  "); err != nil {
			t.Fatal(err)
		}
		laidOut := strings.NewReplacer(`": `, `" : `, "[]", "[ ]").Replace(want.String()) + "\n"
		if got := string(spliced["pretty"]); got != laidOut {
			t.Errorf("%s: got\n%s\nwant\n%s", base, got, laidOut)
		}
	}
}

// TestLiveSort: no cluster gives sort values where it sorts by the score alone, so that there is none to be rewritten.
func TestLiveSort(t *testing.T) {
	for _, base := range clusters(t) {
		index := shop(t, base, "rerankd-sort-test")
		for sort, want := range map[string]bool{
			`["_score"]`: false, `[{"_score":"desc"}]`: false, `{"_score":{"order":"desc"}}`: false, `["_score","n"]`: true, `["n"]`: true, `[{"_score":"asc"}]`: true,
		} {
			for _, track := range []string{"true", "false"} {
				p, err := ParseResponse(mustCall(t, http.MethodPost, index+"/_search", []byte(`{"query":{"match":{"title":"red"}},"track_scores":`+track+`,"sort":`+sort+`}`)))
				if err != nil || p.Sorted() != want {
					t.Errorf("%s, sorted by %s: got sort values: %t, %v", base, sort, !want, err)
				}
			}
		}
	}
}

// TestLiveTexts: the texts of alias and runtime fields, and of any field where there is no source, come in fields.
func TestLiveTexts(t *testing.T) {
	for _, base := range clusters(t) {
		index := shop(t, base, "rerankd-texts-test")
		search := func(members string) *Response {
			t.Helper()
			p, err := ParseResponse(mustCall(t, http.MethodPost, index+"/_search", []byte(`{"query":{"ids":{"values":["7"]}}`+members+`}`)))
			if err != nil || p.Hits() != 1 {
				t.Fatalf("%s: %v", members, err)
			}
			return p
		}
		fields := JoinedTemplate([]string{"title", "also", "sizes", "none", "parts.name"}, "; ")
		asked := `,"_source":false,"fields":["title","also","sizes","none","parts.name"]`
		if got, want := search(asked).Text(0, fields), "red red red red red red red red  shoes 7; c3; 7 7½; sole 7 lace"; got != want {
			t.Errorf("%s: fields: got %q, want %q", base, got, want)
		}
		// An alias is no part of the document.
		if got, want := search("").Text(0, fields), "red red red red red red red red  shoes 7; 7 7½; sole 7 lace"; got != want {
			t.Errorf("%s: _source: got %q, want %q", base, got, want)
		}
		status, answer := call(t, http.MethodPost, index+"/_search", []byte(`{"query":{"ids":{"values":["7"]}},"runtime_mappings":{"cat2":{"type":"keyword"},"n":{"type":"keyword"}},"fields":["n"],"_source":false}`))
		if status != http.StatusOK { // OpenSearch has no runtime fields
			continue
		}
		p, err := ParseResponse(answer)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Text(0, FieldsTemplate([]string{"n"})); got != "9007199254741000" {
			t.Errorf("%s: a runtime field: got %q", base, got)
		}
	}
}
