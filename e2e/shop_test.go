package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The shop is a small made-up catalogue, so that nothing of anybody else's is needed to test with.

const (
	shop = "e2e-shop"

	shopMapping = `{
  "settings": {"number_of_shards": 1, "number_of_replicas": 0},
  "mappings": {"properties": {
    "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
    "body": {"type": "text"},
    "category": {"type": "keyword"},
    "price": {"type": "double"},
    "stock": {"type": "long"},
    "reviews": {"type": "nested", "properties": {"text": {"type": "text"}}}
  }},
  "aliases": {"e2e-shop-now": {}, "e2e-shop-1ms": {}, "e2e-shop-15ms": {}, "e2e-shop-60ms": {}, "e2e-shop-off": {}}
}`
)

// hurries are aliases of the shop with budgets that cut the scoring short, one of them before it begins.
var hurries = []string{"e2e-shop-1ms", "e2e-shop-15ms", "e2e-shop-60ms"}

// shopRules give the shop all the time in the world, so that what is tested is complete, and its other names less.
func shopRules() string {
	rule := func(index, budget, more string) string {
		return fmt.Sprintf("  - { indices: [%s], fields: [title, body], stages: [{ model: small, window: 40 }], budget: %s%s }\n", index, budget, more)
	}
	rules := "rules:\n" + rule("e2e-shop-off", "60s", ", rerank: off")
	for _, alias := range hurries {
		rules += rule(alias, strings.TrimPrefix(alias, "e2e-shop-"), "")
	}
	return rules + rule(shop, "60s", "")
}

// shopDocuments are 144 products in bulk format. The odd number in stock does not survive a float64.
func shopDocuments() string {
	kinds := []struct{ title, category, use string }{
		{"rain jacket", "clothing", "keeps the rain out on long walks in the hills"},
		{"running shoes", "shoes", "cushion the foot on asphalt and on forest tracks"},
		{"hiking boots", "shoes", "hold the ankle on wet rock and carry a heavy pack"},
		{"sleeping bag", "camping", "stays warm through a night below freezing"},
		{"camping stove", "camping", "boils a litre of water in three minutes, even in wind"},
		{"head torch", "camping", "lights the path for a hundred hours on one battery"},
		{"bicycle pump", "bikes", "fits every valve and reaches eleven bar"},
		{"bicycle lock", "bikes", "withstands a saw for ten minutes and weighs a kilo"},
		{"water bottle", "camping", "keeps tea hot for a day and never leaks into the pack"},
		{"wool socks", "clothing", "dry overnight and do not smell after a week of walking"},
		{"trail map", "books", "shows every path, spring and shelter of the mountains"},
		{"first aid kit", "camping", "treats blisters, burns and cuts far from any road"},
	}
	looks := []string{"light", "sturdy", "waterproof", "folding", "red", "blue", "insulated", "recycled", "compact", "old-fashioned", "warm", "cheap"}
	var b strings.Builder
	for i, kind := range kinds {
		for j, look := range looks {
			n := i*len(looks) + j
			document, err := json.Marshal(map[string]any{
				"title":    look + " " + kind.title,
				"body":     fmt.Sprintf("A %s %s that %s. Bought together with a %s %s.", look, kind.title, kind.use, looks[(j*5+i)%len(looks)], kinds[(i*7+j)%len(kinds)].title),
				"category": kind.category,
				"price":    float64(n*37%500) + 0.99,
				"stock":    9007199254740993 + int64(n),
				"reviews":  []map[string]string{{"text": "The " + kind.title + " " + kind.use + "."}},
			})
			if err != nil {
				panic(err) // strings and numbers only
			}
			fmt.Fprintf(&b, "{\"index\":{\"_id\":\"%d\"}}\n%s\n", n, document)
		}
	}
	return b.String()
}

// words are searches that find more of the shop than a window holds, and fewer.
var words = []string{
	"warm and waterproof jacket for the mountains",
	"something to keep a bicycle from being stolen",
	"light for walking at night",
	"hiking boots",
	"hot tea",
}

// match is a search for words in the texts of the shop.
func match(words string) map[string]any {
	return map[string]any{"multi_match": map[string]any{"query": words, "fields": []string{"title", "body"}}}
}

// body writes a search from its query and its other keys and values.
func body(query any, more ...any) string {
	search := map[string]any{"query": query}
	for i := 0; i < len(more); i += 2 {
		search[more[i].(string)] = more[i+1]
	}
	text, err := json.Marshal(search)
	if err != nil {
		panic(err) // literals of the tests
	}
	return string(text)
}
