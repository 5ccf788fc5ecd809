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

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/e2e/cluster"
)

// A clientReport is what a program built on an official client saw; clients/go and clients/python print it.
type clientReport struct {
	Searches [][]string // two pages of a search, then the same search by other means of the client
	Rerank   []string
	Count    int
	Missing  int
	Written  string
}

// testClients: programs built on the official clients need no more than another URL.
func testClients(t *testing.T, node *cluster.Node, through client) {
	kind := "opensearch"
	if node.Engine.Elasticsearch() {
		kind = "elasticsearch"
	}
	for name, command := range map[string]func(*testing.T) []string{"go": goClient, "python": pythonClient} {
		t.Run(name, func(t *testing.T) {
			command := command(t)
			run := func(url string) clientReport {
				cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], kind, url, shop)...)
				var complaint bytes.Buffer
				cmd.Stderr = &complaint
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s against %s: %v\n%s", name, url, err, complaint.String())
				}
				var r clientReport
				if err := json.Unmarshal(out, &r); err != nil {
					t.Fatalf("%s against %s: reading %q: %v", name, url, out, err)
				}
				return r
			}
			want, got := run(node.URL), run(through.url)
			for i, o := range got.Rerank {
				if !strings.HasPrefix(o, "applied") {
					t.Errorf("search %d: got X-Rerank %q, want it applied", i, o)
				}
			}
			if slices.Equal(slices.Concat(want.Searches[:2]...), slices.Concat(got.Searches[:2]...)) {
				t.Errorf("got the cluster's order %v, want it reranked", got.Searches[:2])
			}
			// Order aside, a client sees the same through rerankd; its own scrolling, in the cluster's order as well.
			want.Rerank, got.Rerank = nil, nil
			if name == "go" {
				for _, r := range []*clientReport{&want, &got} {
					r.Searches = nil
				}
			} else {
				want.Searches, got.Searches = want.Searches[2:], got.Searches[2:]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the client sees something else (-cluster +rerankd):\n%s", diff)
			}
		})
	}
}

// goClient builds the program in clients/go, a module of its own.
func goClient(t *testing.T) []string {
	t.Helper()
	dir, err := builtGoClient()
	if err != nil {
		t.Fatal(err)
	}
	return []string{dir}
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

// pythonClient installs the Python clients, pinned by digest, into a virtual environment of this repository.
func pythonClient(t *testing.T) []string {
	t.Helper()
	python, err := pythonEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	return []string{python, filepath.Join("clients", "python", "client.py")}
}

var pythonEnvironment = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs(filepath.Join(cacheDir(), "venv", "e2e-clients"))
	if err != nil {
		return "", err
	}
	requirements := filepath.Join("clients", "python", "requirements.txt")
	want, err := os.ReadFile(requirements)
	if err != nil {
		return "", err
	}
	python := filepath.Join(dir, "bin", "python")
	marker := filepath.Join(dir, "requirements.txt") // written last: what a whole environment was made from
	if have, err := os.ReadFile(marker); err == nil && bytes.Equal(have, want) {
		return python, nil
	}
	for _, command := range [][]string{
		{"python3", "-m", "venv", "--clear", dir},
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary=:all:", "-r", requirements},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("installing the Python clients (Debian needs python3-venv): %w\n%s", err, out)
		}
	}
	return python, os.WriteFile(marker, want, 0o644)
})

// cacheDir is where what the tests fetch and build is kept: the repository's ignored folder, unless RERANKD_CACHE names another.
func cacheDir() string {
	if dir := os.Getenv("RERANKD_CACHE"); dir != "" {
		return dir
	}
	return filepath.Join("..", ".cache")
}
