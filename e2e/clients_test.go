package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/inside"
	"github.com/rerankd/rerankd/proxy"
)

// A clientReport is what a program built on an official client saw; clients/python/client.py says what its parts are.
type clientReport struct {
	Pages    []any
	Rerank   []string
	Searched map[string]any
	Passed   map[string]any
}

// A clientProgram does with one official client what an application does. install returns what is run, but for the URL and the index.
type clientProgram struct {
	name    string
	install func() ([]string, error)
}

// clientPrograms are those of the clients that are made for the engine.
func clientPrograms(e cluster.Engine) []clientProgram {
	switch {
	case e == cluster.Elasticsearch717:
		return []clientProgram{{"go", goClient("elasticsearch")}, {"python 7", pythonClient("elasticsearch7")}, {"javascript 7", javascriptClient("elasticsearch7")}}
	case e.Elasticsearch():
		return []clientProgram{{"go", goClient("elasticsearch")}, {"python", pythonClient("elasticsearch")}, {"javascript", javascriptClient("elasticsearch")}}
	}
	return []clientProgram{
		{"go", goClient("opensearch")}, {"go 2", goClient("opensearch2")}, {"python", pythonClient("opensearch")}, {"javascript", javascriptClient("opensearch")},
	}
}

// testClients: programs built on the official clients need no more than another URL. Where nothing moves they see the very same, order and scores
// included; with the model, the same hits in another order. In neither case have they anything to complain of.
func testClients(t *testing.T, node *cluster.Node, through client) {
	same := unmoved(t, node)
	for _, p := range clientPrograms(node.Engine) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel() // with the programs on other clients, which write to other indices
			command, err := p.install()
			if err != nil {
				t.Fatal(err)
			}
			want := clientRun(t, command, node.URL)
			if w := hitsOf(want.Pages); len(w) != 40 || len(want.Searched) == 0 || len(want.Passed) == 0 {
				t.Fatalf("the program saw %d hits of 40 on its pages, %d searches and %d other answers", len(w), len(want.Searched), len(want.Passed))
			}

			got := clientRun(t, command, same.url)
			checkApplied(t, got.Rerank)
			got.Rerank = want.Rerank
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("where nothing moves the client sees something else (-cluster +rerankd):\n%s", diff)
			}

			got = clientRun(t, command, through.url)
			checkApplied(t, got.Rerank)
			if slices.Equal(hitsOf(want.Pages), hitsOf(got.Pages)) {
				t.Errorf("got the cluster's order %v, want it reranked", hitsOf(got.Pages))
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(hitsOf(want.Pages))), slices.Sorted(slices.Values(hitsOf(got.Pages)))); diff != "" {
				t.Errorf("the pages hold other hits (-cluster +rerankd):\n%s", diff)
			}
			if diff := cmp.Diff(want.Passed, got.Passed); diff != "" {
				t.Errorf("what is not reranked differs (-cluster +rerankd):\n%s", diff)
			}
			if diff := cmp.Diff(besideHits(want.Pages), besideHits(got.Pages)); diff != "" {
				t.Errorf("beside the hits the pages differ (-cluster +rerankd):\n%s", diff)
			}
			if diff := cmp.Diff(besideHits(want.Searched), besideHits(got.Searched)); diff != "" {
				t.Errorf("beside the hits the searches differ (-cluster +rerankd):\n%s", diff)
			}
		})
	}
}

// clientRun runs a program and reads its report, numbers as they were printed. A program that complains has failed.
func clientRun(t *testing.T, command []string, url string) clientReport {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], append(slices.Clone(command[1:]), url, shop)...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil || complaint.Len() > 0 {
		t.Fatalf("%q against %s: got %v and a complaint, want neither:\n%s", command, url, err, complaint.String())
	}
	var r clientReport
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%q against %s: reading %q: %v", command, url, out, err)
	}
	return r
}

// checkApplied: every page whose headers a client shows was reranked. Some show none.
func checkApplied(t *testing.T, outcomes []string) {
	t.Helper()
	for i, o := range outcomes {
		if !strings.HasPrefix(o, "applied") {
			t.Errorf("page %d: got X-Rerank %q, want it applied", i, o)
		}
	}
}

// hitsOf are the ids of the hits on the pages of a report, in order.
func hitsOf(pages []any) []string {
	var ids []string
	for _, p := range pages {
		p, _ := p.(map[string]any)
		hits, _ := p["hits"].(map[string]any)
		list, _ := hits["hits"].([]any)
		for _, h := range list {
			h, _ := h.(map[string]any)
			ids = append(ids, fmt.Sprint(h["_id"]))
		}
	}
	return ids
}

// besideHits is what of an answer does not depend on the order of hits: everything but the lists of them and their best score.
func besideHits(answer any) any {
	switch a := answer.(type) {
	case []any:
		beside := make([]any, len(a))
		for i := range a {
			beside[i] = besideHits(a[i])
		}
		return beside
	case map[string]any:
		beside := map[string]any{}
		for k, v := range a {
			if _, list := v.([]any); k == "max_score" || k == "hits" && list {
				continue
			}
			beside[k] = besideHits(v)
		}
		return beside
	}
	return answer
}

// unmoved is rerankd in this process, reranking the shop into the order and the scores that it has.
func unmoved(t *testing.T, node *cluster.Node) client {
	t.Helper()
	c := client{url: inside.Serve(t, node, inside.Options{Rules: []proxy.Rule{{
		Name: "unmoved", Indices: []string{shop + "*"}, Fields: []string{"title", "body"}, Window: 40, Budget: time.Minute, KeepScores: true, Version: "unmoved",
		Ranker: inside.Identity,
	}}})}
	awaitWarm(t, c, "/"+shop+"/_search", body(match("tea")))
	return c
}

// goClient builds the programs in clients/go, a module of its own.
func goClient(kind string) func() ([]string, error) {
	return func() ([]string, error) {
		file, err := builtGoClient()
		return []string{file, kind}, err
	}
}

var builtGoClient = sync.OnceValues(func() (string, error) {
	file, err := filepath.Abs(filepath.Join(cacheDir(), "bin", "e2e-client"))
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", file, ".")
	cmd.Dir = filepath.Join("clients", "go")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the Go client: %w\n%s", err, out)
	}
	return file, nil
})

// pythonClient installs the Python clients, pinned by digest, into a virtual environment of this repository: one for each generation, because both
// go by the same name. Every warning of theirs is shown.
func pythonClient(kind string) func() ([]string, error) {
	environment := pythonEnvironment
	if kind == "elasticsearch7" {
		environment = python7Environment
	}
	return func() ([]string, error) {
		python, err := environment()
		return []string{python, "-W", "always", filepath.Join("clients", "python", "client.py"), kind}, err
	}
}

var (
	pythonEnvironment  = sync.OnceValues(func() (string, error) { return installPython("e2e-clients", "requirements.txt") })
	python7Environment = sync.OnceValues(func() (string, error) { return installPython("e2e-clients-7", "requirements-7.txt") })
)

func installPython(name, requirements string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(cacheDir(), "venv", name))
	if err != nil {
		return "", err
	}
	requirements = filepath.Join("clients", "python", requirements)
	python := filepath.Join(dir, "bin", "python")
	err = installed(dir, []string{requirements}, func() error {
		for _, command := range [][]string{
			{"python3", "-m", "venv", "--clear", dir},
			{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary=:all:", "-r", requirements},
		} {
			if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
				return fmt.Errorf("installing the Python clients (Debian needs python3-venv): %w\n%s", err, out)
			}
		}
		return nil
	})
	return python, err
}

// javascriptClient installs the JavaScript clients, pinned by digest, beside the other things that are fetched.
func javascriptClient(kind string) func() ([]string, error) {
	return func() ([]string, error) {
		modules, err := javascriptModules()
		return []string{"env", "NODE_PATH=" + modules, "node", "--trace-warnings", "--pending-deprecation", filepath.Join("clients", "javascript", "client.js"), kind}, err
	}
}

var javascriptModules = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs(filepath.Join(cacheDir(), "npm", "e2e-clients"))
	if err != nil {
		return "", err
	}
	files := []string{filepath.Join("clients", "javascript", "package.json"), filepath.Join("clients", "javascript", "package-lock.json")}
	return filepath.Join(dir, "node_modules"), installed(dir, files, func() error {
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o644); err != nil {
				return err
			}
		}
		cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("installing the JavaScript clients (Debian needs nodejs and npm): %w\n%s", err, out)
		}
		return nil
	})
})

// installed has dir made anew unless it was made from what the files say now. What it was made from is written last.
func installed(dir string, files []string, install func() error) error {
	var want []byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		want = append(want, text...)
	}
	marker := filepath.Join(dir, "made-from")
	if have, err := os.ReadFile(marker); err == nil && bytes.Equal(have, want) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := install(); err != nil {
		return err
	}
	return os.WriteFile(marker, want, 0o644)
}

// cacheDir is where what the tests fetch and build is kept: the repository's ignored folder, unless RERANKD_CACHE names another.
func cacheDir() string {
	if dir := os.Getenv("RERANKD_CACHE"); dir != "" {
		return dir
	}
	return filepath.Join("..", ".cache")
}
