package search

import "testing"

// The pages of a search have one digest, and two searches do not.
func TestUnpaged(t *testing.T) {
	type asked struct{ rawQuery, body string }
	const query = `"query":{"match":{"title":"blue shoes"}}`
	for _, tt := range []struct {
		name string
		a, b asked
		same bool
	}{
		{"the same", asked{"", `{` + query + `}`}, asked{"", `{` + query + `}`}, true},
		{"another page", asked{"", `{"from":0,"size":5,` + query + `}`}, asked{"", `{` + query + `,"from":5,"size":5}`}, true},
		{"another page in the URL", asked{"routing=a&size=5", `{` + query + `}`}, asked{"routing=a&from=5&size=5&pretty", `{` + query + `}`}, true},
		{"facets on the first", asked{"", `{` + query + `,"aggs":{"brands":{"terms":{"field":"brand"}}}}`}, asked{"", `{` + query + `}`}, true},
		{"another query id", asked{"", `{` + query + `,"ext":{"ubi":{"query_id":"1"}}}`}, asked{"", `{` + query + `,"ext":{"ubi":{"query_id":"2"}}}`}, true},
		{"other words", asked{"", `{` + query + `}`}, asked{"", `{"query":{"match":{"title":"red shoes"}}}`}, false},
		{"a filter", asked{"", `{` + query + `}`}, asked{"", `{` + query + `,"post_filter":{"term":{"brand":"x"}}}`}, false},
		{"in the URL", asked{"q=blue", ""}, asked{"q=red", ""}, false},
		{"another routing", asked{"routing=a", `{` + query + `}`}, asked{"routing=b", `{` + query + `}`}, false},
		{"what is a name and what a value", asked{"a=b", ""}, asked{"=ab", ""}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := Parse(tt.a.rawQuery, []byte(tt.a.body))
			if err != nil {
				t.Fatal(err)
			}
			b, err := Parse(tt.b.rawQuery, []byte(tt.b.body))
			if err != nil {
				t.Fatal(err)
			}
			if same := a.Unpaged() == b.Unpaged(); same != tt.same {
				t.Errorf("got the same digest: %t, want %t", same, tt.same)
			}
		})
	}
}

func TestShowsIDs(t *testing.T) {
	for rawQuery, want := range map[string]bool{
		"": true, "filter_path=hits.hits": true, "filter_path=hits.hits._id,took": true, "filter_path=-_shards": true,
		"filter_path=hits.hits._source": false, "filter_path=-hits.hits._id": false, "filter_path=took": false,
	} {
		r, err := Parse(rawQuery, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.ShowsIDs() != want {
			t.Errorf("%s: shows the ids: got %t, want %t", rawQuery, r.ShowsIDs(), want)
		}
	}
	for rawQuery, want := range map[string]bool{"": true, "filter_path=responses.hits.hits": true, "filter_path=responses.hits.hits._source": false} {
		q, err := ParseMultiQuery(rawQuery)
		if err != nil || q.ShowsIDs() != want {
			t.Errorf("%s: shows the ids: got %t, %v, want %t", rawQuery, q.ShowsIDs(), err, want)
		}
	}
}
