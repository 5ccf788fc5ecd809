// Package relevance measures over HTTP, on a real cluster, what reranking does to relevance. It runs with RERANKD_E2E=relevance, which
// `make relevance` sets after building bin/rerankd. The texts are those of the machine (Debian's package lists, Python's standard library);
// the golden file holds numbers alone.
package relevance

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/cmd/rerankd/demo"
	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
	"github.com/rerankd/rerankd/rerank/eval"
)

var update = flag.Bool("update", false, "write the golden summary anew")

// tolerance is how far a mean may be from the golden one: other processors round the model's arithmetic otherwise.
const tolerance = 0.005

// A summary is the outcome of one measurement.
type summary struct {
	Collection string  `json:"collection"`
	Digest     string  `json:"digest"` // of the collection: only the same texts can give the same numbers
	Measure    string  `json:"measure"`
	Queries    int     `json:"queries"`
	Cluster    float64 `json:"cluster"` // means over the queries
	Reranked   float64 `json:"reranked"`
	Low        float64 `json:"low"` // 95 % interval of the mean difference, paired bootstrap
	High       float64 `json:"high"`
	Wins       int     `json:"wins"`
	Losses     int     `json:"losses"`
	Ties       int     `json:"ties"`
}

func (s summary) String() string {
	return fmt.Sprintf("%s, %d queries: %s %.4f from the cluster, %.4f reranked: %+.4f, 95 %% interval [%+.4f, %+.4f]; %d wins, %d losses, %d ties",
		s.Collection, s.Queries, s.Measure, s.Cluster, s.Reranked, s.Reranked-s.Cluster, s.Low, s.High, s.Wins, s.Losses, s.Ties)
}

// A question is a search and a judge of its answer.
type question struct {
	path, body, words string
	relevant          map[string]bool // by the _id of the document
}

// A collection is an index on the node, and questions about it.
type collection struct {
	name, digest, measure string
	gain                  func(rank int) float64 // what a right answer at a rank, from 1 to 10, is worth
	questions             []question
}

func TestRelevance(t *testing.T) {
	if os.Getenv("RERANKD_E2E") != "relevance" {
		t.Skip("needs a real cluster and some minutes: `make relevance` runs it, or RERANKD_E2E=relevance with bin/rerankd built")
	}
	node := cluster.Start(t, cluster.OpenSearch219)
	complete := program.Serve(t, node, "rules: [{ stages: [{ model: small, window: 50 }], budget: 60s }]\n")
	asIs := program.Serve(t, node, "")

	// The lower bound is on the interval where the gain is to be proved, and on the mean where no loss is.
	for _, c := range []struct {
		collection collection
		proved     func(summary) bool
		want       string
	}{
		{debian(t, node), func(s summary) bool { return s.Low > 0 }, "the whole interval above 0"},
		{docstrings(t, node), func(s summary) bool { return s.Reranked-s.Cluster >= -0.01 }, "a mean difference of -0.01 at least"},
	} {
		t.Run(c.collection.name, func(t *testing.T) {
			got := measure(t, c.collection, node.URL, complete.URL, checkComplete)
			t.Logf("every hit of the window scored: %s", got)
			if !c.proved(got) {
				t.Errorf("got %s, want %s", got, c.want)
			}
			compareGolden(t, got)
			var applied, scored int
			quick := measure(t, c.collection, node.URL, asIs.URL, func(t *testing.T, header string) {
				if strings.HasPrefix(header, "applied") {
					applied++
					var n int
					fmt.Sscanf(parameter(header, "scored"), "%d", &n)
					scored += n
				}
			})
			t.Logf("as it comes, with a budget of 300 ms on this machine: %s; %d searches reranked, %.1f hits scored in each", quick, applied, float64(scored)/float64(max(applied, 1)))
		})
	}
}

// checkComplete holds that nothing was cut short.
func checkComplete(t *testing.T, header string) {
	t.Helper()
	if header == "skipped; reason=no_hits" || header == "skipped; reason=one_hit" {
		return // nothing to put in order
	}
	if !strings.HasPrefix(header, "applied") || parameter(header, "scored") != parameter(header, "window") {
		t.Fatalf("got X-Rerank %q, want it applied with the whole window scored", header)
	}
}

func parameter(header, name string) string {
	for part := range strings.SplitSeq(header, "; ") {
		if key, value, ok := strings.Cut(part, "="); ok && key == name {
			return value
		}
	}
	return ""
}

func measure(t *testing.T, c collection, direct, through string, check func(t *testing.T, header string)) summary {
	t.Helper()
	var before, after []float64
	for _, q := range c.questions {
		ids, _ := ask(t, direct, q)
		before = append(before, value(c, q, ids))
		ids, header := askReranked(t, through, q)
		check(t, header)
		after = append(after, value(c, q, ids))
	}
	r := eval.Compare(before, after)
	return summary{
		Collection: c.name, Digest: c.digest, Measure: c.measure, Queries: r.Queries,
		Cluster: round(r.Baseline), Reranked: round(r.Against), Low: round(r.Low), High: round(r.High),
		Wins: r.Wins, Losses: r.Losses, Ties: r.Ties,
	}
}

// askReranked asks a proxy, and asks again as long as it reads the mapping aside.
func askReranked(t *testing.T, through string, q question) (ids []string, header string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		ids, header = ask(t, through, q)
		if header != "skipped; reason=warming" || time.Now().After(deadline) {
			return ids, header
		}
	}
}

func round(x float64) float64 { return math.Round(x*1e4) / 1e4 }

func value(c collection, q question, ids []string) float64 {
	for i, id := range ids[:min(len(ids), 10)] {
		if q.relevant[id] {
			return c.gain(i + 1)
		}
	}
	return 0
}

func ask(t *testing.T, url string, q question) (ids []string, header string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("searching %s for %s: got %s, %v: %.300s", q.path, q.body, resp.Status, err, text)
	}
	var page struct {
		Hits struct {
			Hits []struct {
				ID string `json:"_id"`
			}
		}
	}
	if err := json.Unmarshal(text, &page); err != nil {
		t.Fatal(err)
	}
	for _, h := range page.Hits.Hits {
		ids = append(ids, h.ID)
	}
	return ids, resp.Header.Get("X-Rerank")
}

// packages is the demonstration's corpus.
func packages(t *testing.T) *demo.Corpus {
	t.Helper()
	cache := filepath.Join("..", "..", ".cache")
	if dir := os.Getenv("RERANKD_CACHE"); dir != "" {
		cache = dir
	}
	cache = filepath.Join(cache, "demo")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	corpus, err := demo.Load("", cache, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return corpus
}

// debian is the demonstration's corpus and its held-out queries. A reciprocal rank each: MRR@10.
func debian(t *testing.T, node *cluster.Node) collection {
	t.Helper()
	corpus := packages(t)
	const index = "e2e-relevance-packages"
	node.Delete(t, index)
	t.Cleanup(func() { node.Delete(t, index) })
	if _, err := (demo.Client{URL: node.URL}).Index(t.Context(), index, corpus, func(int) {}); err != nil {
		t.Fatal(err)
	}
	c := collection{name: "debian packages", digest: corpus.Digest, measure: "MRR@10", gain: func(rank int) float64 { return 1 / float64(rank) }}
	for _, q := range corpus.HeldOut() {
		c.questions = append(c.questions, question{"/" + index + "/_search", string(demo.Search(q.Text, 10)), q.Text, q.Relevant})
	}
	if len(c.questions) < 300 {
		t.Fatalf("got %d held-out queries, want 300 at least", len(c.questions))
	}
	return c
}

// docstrings are the documentation strings of Python's standard library: the first line asks for the rest. The gain is that of NDCG@10 with
// one relevant document.
func docstrings(t *testing.T, node *cluster.Node) collection {
	t.Helper()
	documents := readDocstrings(t)
	rests, firsts := make(map[string]int), make(map[string]int)
	for _, d := range documents {
		rests[d.Rest]++
		firsts[d.First]++
	}
	// A text that stands twice has no right answer of its own.
	documents = slices.DeleteFunc(documents, func(d docstring) bool { return rests[d.Rest] > 1 || firsts[d.First] > 1 })

	const index = "e2e-relevance-docstrings"
	var texts bulk
	digest := sha256.New()
	for _, d := range documents {
		fmt.Fprintf(digest, "%q %q\n", d.First, d.Rest)
		texts.add(d.ID, d.Rest)
	}
	texts.index(t, node, index)

	c := collection{name: "python docstrings", digest: hex.EncodeToString(digest.Sum(nil)), measure: "NDCG@10", gain: func(rank int) float64 { return 1 / math.Log2(float64(rank)+1) }}
	const drawn = 300
	for _, i := range rand.New(rand.NewPCG(1, 0)).Perm(len(documents))[:min(drawn, len(documents))] {
		d := documents[i]
		c.questions = append(c.questions, matching(index, d.First, map[string]bool{d.ID: true}))
	}
	return c
}

// A bulk is documents of one field, text, on their way into an index.
type bulk struct{ lines strings.Builder }

func (b *bulk) add(id, text string) {
	quotedID, _ := json.Marshal(id)
	quotedText, _ := json.Marshal(text)
	fmt.Fprintf(&b.lines, "{\"index\":{\"_id\":%s}}\n{\"text\":%s}\n", quotedID, quotedText)
}

func (b *bulk) index(t *testing.T, node *cluster.Node, index string) {
	t.Helper()
	node.Index(t, index, `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{"text":{"type":"text","analyzer":"english"}}}}`, b.lines.String())
}

// matching asks such an index.
func matching(index, words string, relevant map[string]bool) question {
	body, _ := json.Marshal(map[string]any{"query": map[string]any{"match": map[string]string{"text": words}}, "_source": false})
	return question{"/" + index + "/_search", string(body), words, relevant}
}

// A docstring is one documentation string of Python's standard library: of what, its first line, and the rest.
type docstring struct{ ID, First, Rest string }

// readDocstrings returns them in the order of the files.
func readDocstrings(t *testing.T) (list []docstring) {
	t.Helper()
	script := exec.CommandContext(t.Context(), "python3", "docstrings.py")
	script.Stderr = os.Stderr
	out, err := script.Output()
	if err != nil {
		t.Fatalf("reading Python's documentation strings: %v", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var d docstring
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	return list
}

// compareGolden holds a summary to the one of the same texts in the golden file. Texts that the file does not know, as another release of
// Debian or Python has them, are held to the test's own bounds alone.
func compareGolden(t *testing.T, got summary) {
	t.Helper()
	const file = "testdata/golden.json"
	var golden []summary
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &golden)
	}
	if err != nil && !*update {
		t.Fatalf("reading the golden summary: %v", err)
	}
	i := slices.IndexFunc(golden, func(s summary) bool { return s.Collection == got.Collection })
	if *update {
		if i < 0 {
			golden = append(golden, got)
		} else {
			golden[i] = got
		}
		slices.SortFunc(golden, func(a, b summary) int { return cmp.Compare(a.Collection, b.Collection) })
		text, err := json.MarshalIndent(golden, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if i < 0 {
		t.Fatalf("%s has no %s: write it with -update", file, got.Collection)
	}
	want := golden[i]
	if got.Digest != want.Digest {
		t.Logf("the texts of this machine are not those of the golden summary (%s)", want)
		return
	}
	for _, m := range []struct {
		name      string
		got, want float64
	}{
		{"the cluster's " + got.Measure, got.Cluster, want.Cluster},
		{"the reranked " + got.Measure, got.Reranked, want.Reranked},
	} {
		if math.Abs(m.got-m.want) > tolerance {
			t.Errorf("%s: got %.4f, want %.4f ± %.3f", m.name, m.got, m.want, tolerance)
		}
	}
}
