package relevance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
)

// What stands far behind in a long text is found in its passages, and not by reading the text from its beginning.
func TestLongTexts(t *testing.T) {
	if os.Getenv("RERANKD_E2E") != "relevance" {
		t.Skip("needs a real cluster and some minutes: `make relevance` runs it, or RERANKD_E2E=relevance with bin/rerankd built")
	}
	node := cluster.Start(t, cluster.OpenSearch219)
	// Each method has an index of its own with the same texts, behind one program: what one has scored, the other need not.
	methods := []string{"convex", "replace"}
	var c [2]collection
	for i, method := range methods {
		c[i] = modules(t, node, "e2e-relevance-modules-"+method)
	}
	found := map[string][2]summary{}
	for _, texts := range []string{"first", "passages"} {
		var rules []string
		for _, method := range methods {
			rules = append(rules, fmt.Sprintf("{ name: %[1]s, indices: [\"*-%[1]s\"], stages: [{ model: small, window: 20 }], long_texts: %[2]s, budget: 60s, fusion: { method: %[1]s } }", method, texts))
		}
		through := program.Serve(t, node, "rules: ["+strings.Join(rules, ", ")+"]\n")
		var both [2]summary
		for i, method := range methods {
			both[i] = measure(t, c[i], node.URL, through.URL, checkComplete)
			t.Logf("%s, %s: %s", method, texts, both[i])
		}
		found[texts] = both
	}
	for i, method := range methods {
		first, passages := found["first"][i], found["passages"][i]
		if passages.Reranked < first.Reranked+0.02 {
			t.Errorf("%s: got %.4f by passages, want it well above the %.4f from the beginning", method, passages.Reranked, first.Reranked)
		}
		if method == "convex" && passages.Reranked < passages.Cluster-0.02 {
			t.Errorf("got %s, want no loss by more than the noise of a hundred questions", passages)
		}
	}
}

// modules are the files of Python's standard library that have 3,000 bytes of documentation at least: each is one text, of all its strings less
// their first lines. The first line of a string that begins after 2,500 bytes asks for the file.
func modules(t *testing.T, node *cluster.Node, index string) collection {
	t.Helper()
	texts, late := map[string]string{}, map[string][]string{}
	var names []string
	for _, d := range readDocstrings(t) {
		name, _, _ := strings.Cut(d.ID, ":")
		if texts[name] == "" {
			names = append(names, name)
		}
		if len(texts[name]) > 2500 {
			late[name] = append(late[name], d.First)
		}
		texts[name] += d.Rest + "\n"
	}
	var bulk strings.Builder
	digest := sha256.New()
	c := collection{name: "python modules", measure: "MRR@10", gain: func(rank int) float64 { return 1 / float64(rank) }}
	random := rand.New(rand.NewPCG(1, 0))
	for _, name := range names {
		if len(texts[name]) < 3000 {
			continue
		}
		fmt.Fprintf(digest, "%q %q\n", name, texts[name])
		id, _ := json.Marshal(name)
		text, _ := json.Marshal(texts[name])
		fmt.Fprintf(&bulk, "{\"index\":{\"_id\":%s}}\n{\"title\":%s,\"text\":%s}\n", id, id, text)
		random.Shuffle(len(late[name]), func(i, k int) { late[name][i], late[name][k] = late[name][k], late[name][i] })
		for _, first := range late[name][:min(2, len(late[name]))] { // so that the largest files do not ask everything
			body, _ := json.Marshal(map[string]any{"query": map[string]any{"multi_match": map[string]any{"query": first, "fields": []string{"title", "text"}}}, "_source": false})
			c.questions = append(c.questions, question{"/" + index + "/_search", string(body), first, map[string]bool{name: true}})
		}
	}
	random.Shuffle(len(c.questions), func(i, k int) { c.questions[i], c.questions[k] = c.questions[k], c.questions[i] })
	c.questions = c.questions[:min(100, len(c.questions))]
	c.digest = hex.EncodeToString(digest.Sum(nil))
	node.Index(t, index, `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{"title":{"type":"text"},"text":{"type":"text","analyzer":"english"}}}}`, bulk.String())
	t.Logf("%d texts, %d questions", strings.Count(bulk.String(), "\n")/2, len(c.questions))
	return c
}
