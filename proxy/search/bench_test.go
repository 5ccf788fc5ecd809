package search

import "testing"

// typicalSearch is a page of a shop: some 2 KB, as applications' query builders write it.
const typicalSearch = `{
  "from": 0, "size": 24, "track_total_hits": 10000, "timeout": "2s",
  "_source": {"includes": ["id", "title", "brand", "price", "image", "rating", "in_stock", "category.name"]},
  "query": {
    "function_score": {
      "query": {
        "bool": {
          "must": [
            {"bool": {"minimum_should_match": 1, "should": [
              {"multi_match": {"query": "waterproof hiking boots for women", "type": "cross_fields", "operator": "and",
                "fields": ["title^5", "brand^3", "category.name^2", "description", "attributes.value"]}},
              {"multi_match": {"query": "waterproof hiking boots for women", "type": "phrase", "slop": 2, "boost": 4, "fields": ["title^5", "description"]}},
              {"match": {"title.ngram": {"query": "waterproof hiking boots for women", "fuzziness": "AUTO", "prefix_length": 2, "boost": 0.3}}}
            ]}}
          ],
          "should": [
            {"term": {"featured": {"value": true, "boost": 2}}},
            {"match": {"brand": {"query": "Salomon", "boost": 1.2}}},
            {"rank_feature": {"field": "popularity", "boost": 1.5}}
          ],
          "filter": [
            {"term": {"shop": "outdoor-de"}},
            {"terms": {"category.id": ["1101", "1102", "1107", "1203", "1204"]}},
            {"range": {"price": {"gte": 20, "lte": 350}}},
            {"bool": {"should": [{"term": {"in_stock": true}}, {"range": {"restock": {"lte": "now+7d"}}}]}},
            {"nested": {"path": "sizes", "query": {"bool": {"filter": [{"term": {"sizes.eu": "39"}}, {"range": {"sizes.count": {"gt": 0}}}]}}}}
          ],
          "must_not": [{"terms": {"status": ["draft", "withdrawn"]}}]
        }
      },
      "functions": [
        {"filter": {"term": {"new": true}}, "weight": 1.4},
        {"gauss": {"published": {"origin": "now", "scale": "30d", "offset": "7d", "decay": 0.5}}},
        {"field_value_factor": {"field": "sales", "modifier": "log1p", "missing": 1}}
      ],
      "score_mode": "sum", "boost_mode": "multiply"
    }
  },
  "aggs": {
    "brands": {"terms": {"field": "brand.raw", "size": 30}},
    "prices": {"histogram": {"field": "price", "interval": 50, "min_doc_count": 1}},
    "sizes": {"nested": {"path": "sizes"}, "aggs": {"eu": {"terms": {"field": "sizes.eu", "size": 40}}}}
  }
}`

func BenchmarkParse(b *testing.B) {
	body := []byte(typicalSearch)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("typed_keys=true&preference=_local", body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlan is what the proxy does with a search before the cluster sees it.
func BenchmarkPlan(b *testing.B) {
	body := []byte(typicalSearch)
	need := Need{Window: 50, Fields: []string{"title", "description", "category.name"}, Widen: true}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := Parse("typed_keys=true&preference=_local", body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Widen(need); err != nil {
			b.Fatal(err)
		}
	}
}
