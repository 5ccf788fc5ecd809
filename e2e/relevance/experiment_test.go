package relevance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
)

// Experiments over a live cluster, by people who are made up and a truth that is known: which packages answer which question. They search
// through rerankd, look at the page from its top, and click what answers and, now and then, what does not; their clicks go to /ubi_events.
// What `rerankd experiment report` says of that has to be what is true.
//
// With RERANKD_E2E=relevance it runs over the engines of every change, with RERANKD_E2E=experiment over all.
func TestExperiments(t *testing.T) {
	for _, e := range engines(t) {
		t.Run(string(e), func(t *testing.T) { testExperiments(t, cluster.Start(t, e)) })
	}
}

// engines are those that RERANKD_E2E asks for. Without it the test is skipped.
func engines(t *testing.T) []cluster.Engine {
	t.Helper()
	switch os.Getenv("RERANKD_E2E") {
	case "relevance":
		return []cluster.Engine{cluster.OpenSearch219, cluster.Elasticsearch819}
	case "experiment":
		return cluster.All()
	}
	t.Skip("needs real clusters and some minutes: `make relevance` runs it, and `make experiments` over more engines")
	return nil
}

func testExperiments(t *testing.T, node *cluster.Node) {
	c := debian(t, node)
	questions := answerable(t, node, c)
	upsideDown, failing := rerankers(t)
	names := []string{"split", "interleaved", "alike", "reversed", "failing"}
	var rules, experiments strings.Builder
	for _, name := range names {
		alias(t, node, c.index(), "e2e-"+name)
		fmt.Fprintf(&rules, "  - { name: %[1]s, indices: [e2e-%[1]s], stages: [{ model: small, window: 50 }], budget: 60s }\n", name)
	}
	for _, e := range []struct{ name, assign, variants string }{
		{"split", "split", "{ lexical: { rerank: off }, reranked: {} }"},
		{"interleaved", "interleave", "{ lexical: { rerank: off }, reranked: {} }"},
		{"alike", "split", "{ one: {}, two: {} }"},
		{"reversed", "split", "{ lexical: { rerank: off }, reversed: { stages: [{ model: upside-down, window: 50 }], fusion: { method: replace } } }"},
		{"failing", "split", "{ lexical: { rerank: off }, failing: { stages: [{ model: failing, window: 50 }] } }"},
	} {
		fmt.Fprintf(&experiments, "  - { name: %[1]s, rule: %[1]s, phase: live, assign: %[2]s, variants: %[3]s }\n", e.name, e.assign, e.variants)
	}
	directory := t.TempDir()
	p := program.Serve(t, node, fmt.Sprintf("models:\n  small: { source: embedded }\n"+
		"  upside-down: { source: %q, protocol: tei, batch: 50 }\n  failing: { source: %q, protocol: tei }\n"+
		"rules:\n%sexperiments:\n%sevents: { directory: %s, rate: 10000 }\n", upsideDown, failing, rules.String(), experiments.String(), directory))

	// Each question once by the model: asked again, its scores are remembered, and thousands of searches take a minute.
	for _, q := range questions {
		for header := "skipped; reason=warming"; header == "skipped; reason=warming"; {
			_, header = askWith(t, p.URL+"/e2e-split/_search", q.body, "X-Rerank", "on")
		}
	}
	people := func(name string, searches int, seed uint64) {
		start := time.Now()
		visit(t, p, "e2e-"+name, questions, searches, seed)
		t.Logf("%s: %d searches with their clicks in %v", name, searches, time.Since(start).Round(time.Second))
	}
	people("split", 9000, 1)
	people("interleaved", 1500, 2)
	people("alike", 2500, 3)
	people("reversed", 600, 4)
	people("failing", 600, 5)
	// What was clicked becomes due when the window is over, and a report knows the time by the last record.
	time.Sleep(window + 3*time.Second)
	for _, name := range names {
		people(name, 1, 6)
	}
	time.Sleep(2 * time.Second) // until it is on the disk

	for _, want := range []struct {
		name  string
		says  []string
		never []string
	}{
		{"split", []string{"reranked is better than lexical"}, []string{"WARNING"}},
		{"interleaved", []string{"reranked is better than lexical"}, []string{"WARNING"}},
		{"alike", []string{"No difference shown yet"}, []string{"WARNING", "is better than"}},
		{"reversed", []string{"reversed is worse than lexical"}, []string{"is better than"}},
		{"failing", []string{"WARNING: The guard for errors fails", "model_error"}, []string{"is better than", "is worse than"}},
	} {
		t.Run(want.name, func(t *testing.T) {
			said := report(t, directory, want.name)
			t.Logf("%s", said)
			joined := strings.Join(strings.Fields(said), " ")
			for _, text := range want.says {
				if !strings.Contains(joined, text) {
					t.Errorf("the report does not say %q", text)
				}
			}
			for _, text := range want.never {
				if strings.Contains(joined, text) {
					t.Errorf("the report says %q", text)
				}
			}
		})
	}
	checkStatus(t, p)
}

// answerable are the questions of which the cluster finds an answer among its first 50 hits: the others are alike whatever ranks.
func answerable(t *testing.T, node *cluster.Node, c collection) []question {
	t.Helper()
	var list []question
	for _, q := range c.questions {
		deep := strings.Replace(q.body, `"size":10`, `"size":50`, 1)
		ids, _ := ask(t, node.URL, question{path: q.path, body: deep})
		for _, id := range ids {
			if q.relevant[id] {
				list = append(list, q)
				break
			}
		}
	}
	t.Logf("%d of %d questions have an answer among the cluster's first 50", len(list), len(c.questions))
	return list
}

func alias(t *testing.T, node *cluster.Node, index, name string) {
	t.Helper()
	body := fmt.Sprintf(`{"actions":[{"add":{"index":%q,"alias":%q}}]}`, index, name)
	res, err := http.Post(node.URL+"/_aliases", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("adding the alias %s: %s", name, text)
	}
}

// index is the one that the questions are about.
func (c collection) index() string {
	return strings.Split(strings.Trim(c.questions[0].path, "/"), "/")[0]
}

// rerankers are two servers: one to which a document is the better the later it comes, and one that is broken.
func rerankers(t *testing.T) (upsideDown, failing string) {
	t.Helper()
	one := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Texts []string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		scores := make([]map[string]any, len(asked.Texts))
		for i := range scores {
			scores[i] = map[string]any{"index": i, "score": float64(i) - 25}
		}
		json.NewEncoder(w).Encode(scores)
	}))
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "out of order", http.StatusInternalServerError)
	}))
	t.Cleanup(one.Close)
	t.Cleanup(other.Close)
	return one.URL, other.URL
}

// visit has people search, each one question, and click.
func visit(t *testing.T, p program.Program, index string, questions []question, searches int, seed uint64) {
	t.Helper()
	population := simulate.Population{Seed: seed, Model: simulate.Cascade{Patience: 0.95}, Careless: 0.01, Keen: 0.9}
	r := rand.New(rand.NewPCG(seed, 1))
	var clicks []map[string]any
	send := func() {
		if len(clicks) == 0 {
			return
		}
		body, err := json.Marshal(clicks)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.Post(p.Admin+"/ubi_events", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var said struct{ Accepted int }
		if err := json.NewDecoder(res.Body).Decode(&said); err != nil || said.Accepted != len(clicks) {
			t.Fatalf("sending %d clicks: got %s, %d accepted, %v", len(clicks), res.Status, said.Accepted, err)
		}
		clicks = nil
	}
	for i := range searches {
		user, q := population.User(i), questions[r.IntN(len(questions))]
		body := fmt.Sprintf(`%s,"ext":{"ubi":{"client_id":%q}}}`, strings.TrimSuffix(q.body, "}"), user.Client)
		ids, header := askWith(t, p.URL+"/"+index+"/_search", body)
		id := header
		var shown []experiment.Shown
		for _, id := range ids {
			shown = append(shown, experiment.Shown{ID: id})
		}
		relevance := func(id string) float64 {
			if q.relevant[id] {
				return 1
			}
			return 0
		}
		for _, c := range user.Clicks(shown, relevance, r) {
			clicks = append(clicks, map[string]any{
				"action_name": "click", "query_id": id, "client_id": user.Client, "timestamp": time.Now().UTC().Format(time.RFC3339Nano),
				"event_attributes": map[string]any{"object": map[string]any{"object_id": c.Shown.ID}, "position": map[string]any{"ordinal": c.Place + 1}},
			})
		}
		if len(clicks) >= 100 {
			send()
		}
	}
	send()
}

// askWith searches with headers. It returns the ids of the page, and X-Rerank, or the query's id where no header is given.
func askWith(t *testing.T, url, body string, headers ...string) (ids []string, said string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct {
		Hits struct {
			Hits []struct {
				ID string `json:"_id"`
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("searching for %s: got %s, %v", body, resp.Status, err)
	}
	for _, h := range page.Hits.Hits {
		ids = append(ids, h.ID)
	}
	if len(headers) == 0 {
		return ids, resp.Header.Get("X-Rerank-Query-Id")
	}
	return ids, resp.Header.Get("X-Rerank")
}

// window is how long after a page a click counts: clicks of this test are told within seconds.
const window = 15 * time.Second

// report is what the program says of an experiment. The people of this test search once.
func report(t *testing.T, directory, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got no files of records: %v", err)
	}
	command := exec.CommandContext(t.Context(), program.Binary(t), append([]string{"experiment", "report", "--experiment", name, "--window", window.String(), "--horizon", "2s"}, files...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("rerankd experiment report: %v\n%s", err, stderr.Bytes())
	}
	return string(out)
}

// checkStatus holds that the guard that fails is on the status page too, and that it alone does.
func checkStatus(t *testing.T, p program.Program) {
	t.Helper()
	res, err := http.Get(p.Admin + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var status struct {
		Experiments []struct {
			Name   string
			Guards []struct {
				Name, Variant, Says string
				Fails               bool
			}
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	for _, e := range status.Experiments {
		for _, g := range e.Guards {
			if g.Fails != (e.Name == "failing" && g.Name == "errors") {
				t.Errorf("experiment %s, guard %s: fails is %t: %s", e.Name, g.Name, g.Fails, g.Says)
			}
		}
	}
}
