package differential

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rerankd/rerankd/e2e/cluster"
)

// The indices that the shapes search. Every kind of field is there whose text, or whose absence, a proxy may get wrong.
const (
	things   = "differential-things"
	bare     = "differential-bare"  // without _source
	small    = "differential-small" // that gives few hits at once
	untitled = "differential-untitled"
	both     = "differential-both" // an alias of things and bare
)

func makeIndices(t *testing.T, node *cluster.Node) {
	fields := map[string]any{
		"title":    map[string]any{"type": "text", "store": true, "fields": map[string]any{"raw": map[string]any{"type": "keyword"}}, "copy_to": "everything"},
		"body":     map[string]any{"type": "text"},
		"heading":  map[string]any{"type": "alias", "path": "title"},
		"category": map[string]any{"type": "keyword", "copy_to": "everything"},
		"price":    map[string]any{"type": "double"},
		"stock":    map[string]any{"type": "long"},
		"when":     map[string]any{"type": "date"},
		"reviews":  map[string]any{"type": "nested", "properties": map[string]any{"text": map[string]any{"type": "text"}, "stars": map[string]any{"type": "integer"}}},
	}
	everything := map[string]any{"type": "text"}
	fields["everything"] = everything
	mappings := map[string]any{"properties": fields}
	if node.Engine.Elasticsearch() {
		mappings["runtime"] = map[string]any{"sku": map[string]any{"type": "keyword"}} // without a script: the value of _source
		if has(node.Engine, vectors) {
			fields["vector"] = map[string]any{"type": "dense_vector", "dims": 3, "index": true, "similarity": "cosine"}
		}
	}
	if has(node.Engine, joins) {
		fields["family"] = map[string]any{"type": "join", "relations": map[string]any{"thing": "offer"}}
	}
	one := map[string]any{"number_of_shards": 1, "number_of_replicas": 0}
	node.Index(t, things, text(t, map[string]any{"settings": one, "mappings": mappings, "aliases": map[string]any{both: map[string]any{}}}), documents(t, node.Engine))
	node.Index(t, bare, text(t, map[string]any{
		"settings": one, "aliases": map[string]any{both: map[string]any{}},
		"mappings": map[string]any{"_source": map[string]any{"enabled": false}, "properties": map[string]any{"title": fields["title"], "body": fields["body"], "everything": everything, "category": fields["category"]}},
	}), documents(t, ""))
	node.Index(t, small, text(t, map[string]any{
		"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "max_result_window": 20}, "mappings": map[string]any{"properties": map[string]any{"title": fields["body"], "body": fields["body"]}},
	}), documents(t, ""))
	node.Index(t, untitled, text(t, map[string]any{"settings": one, "mappings": map[string]any{"properties": map[string]any{"title": fields["body"], "body": fields["body"]}}}), textless(t))
}

// documents are 96 things in bulk format. Some words are in all of them, so that every search finds more than a window holds.
func documents(t *testing.T, e cluster.Engine) string {
	kinds := []string{"rain jacket", "running shoes", "hiking boots", "sleeping bag", "camping stove", "head torch", "bicycle pump", "water bottle"}
	looks := []string{"light", "sturdy", "waterproof", "folding", "red", "blue", "insulated", "recycled", "compact", "warm", "cheap", "größere"}
	var b strings.Builder
	for i, kind := range kinds {
		for j, look := range looks {
			n := i*len(looks) + j
			thing := map[string]any{
				"title":    look + " " + kind,
				"body":     fmt.Sprintf("A %s %s for the outdoors%s. “Quoted” & <b>marked</b> \\ \u0001 東京 😀.", look, kind, strings.Repeat(" and more outdoors", n%7)),
				"category": []string{"clothing", "camping", "bikes"}[n%3],
				"price":    float64(n*37%500) + 0.99,
				"stock":    9007199254740993 + int64(n),
				"when":     fmt.Sprintf("2026-%02d-%02d", 1+n%12, 1+n%28),
				"sku":      fmt.Sprintf("SKU-%d", n),
				"reviews":  []any{map[string]any{"text": "The " + kind + " is great outdoors", "stars": n % 5}, map[string]any{"text": "outdoors", "stars": 1}},
			}
			if has(e, vectors) {
				thing["vector"] = []float64{1, float64(n) / 50, 0.5}
			}
			if has(e, joins) {
				thing["family"] = "thing"
			}
			fmt.Fprintf(&b, "{\"index\":{\"_id\":\"%d\"}}\n%s\n", n, text(t, thing))
		}
	}
	return b.String()
}

// textless are documents of which every third has no title, and every ninth no text at all.
func textless(t *testing.T) string {
	var b strings.Builder
	for n := range 45 {
		thing := map[string]any{"note": "outdoors"}
		if n%3 != 0 {
			thing["title"] = fmt.Sprintf("outdoors thing %d", n)
		}
		if n%9 != 0 {
			thing["body"] = strings.Repeat("outdoors ", 1+n%5)
		}
		fmt.Fprintf(&b, "{\"index\":{\"_id\":\"%d\"}}\n%s\n", n, text(t, thing))
	}
	return b.String()
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
