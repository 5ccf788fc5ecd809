package onefile

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// built is the program of `make build`.
func built(t *testing.T) string {
	t.Helper()
	if os.Getenv("RERANKD_E2E") == "" {
		t.Skip("needs the built program: `make test` runs it, or RERANKD_E2E=1 after `make build`")
	}
	file := os.Getenv("RERANKD_BIN")
	if file == "" {
		file = "../../bin/rerankd"
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("the program under test: %v (`make build` makes it)", err)
	}
	return file
}

// alone copies the program into an empty directory.
func alone(t *testing.T) (program, dir string) {
	t.Helper()
	data, err := os.ReadFile(built(t))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	program = filepath.Join(dir, "rerankd")
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return program, dir
}

// command runs the program in its directory, with no environment at all.
func command(program, dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = []string{} // nil would be ours
	return cmd
}

// stillAlone checks that the program has left nothing beside itself.
func stillAlone(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "rerankd" {
		t.Errorf("got %v beside the program, want nothing", entries)
	}
}

func TestVersion(t *testing.T) {
	program, dir := alone(t)
	out, err := command(program, dir, "version", "--json").CombinedOutput()
	if err != nil {
		t.Fatalf("rerankd version: %v\n%s", err, out)
	}
	var versions map[string]string
	if err := json.Unmarshal(out, &versions); err != nil {
		t.Fatalf("rerankd version: %v\n%s", err, out)
	}
	for name, want := range map[string]string{"onnxruntime": "1.32.0", "tokenizers": "v1.27.0", "model": "embedded int8 sha256:"} {
		if !strings.HasPrefix(versions[name], want) {
			t.Errorf("got %s %q, want %q", name, versions[name], want)
		}
	}
	stillAlone(t, dir)
}

// hits is a cluster's answer to a search for a tool that edits audio files. All score the same to it, and the best text comes last.
const hits = `{"took":3,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"total":{"value":3,"relation":"eq"},"max_score":1.0,"hits":[
{"_index":"packages","_id":"nginx","_score":1.0,"_source":{"title":"A small and fast web server and reverse proxy, which also serves audio files."}},
{"_index":"packages","_id":"lsof","_score":1.0,"_source":{"title":"A tool that lists open files."}},
{"_index":"packages","_id":"audacity","_score":1.0,"_source":{"title":"Audacity is a multi-track audio editor for recording, slicing and mixing sound."}}]}}`

// TestServe runs the program alone in front of a cluster, and sees a search come back in a better order.
func TestServe(t *testing.T) {
	program, dir := alone(t)
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/_search"):
			io.WriteString(w, hits)
		case strings.HasSuffix(r.URL.Path, "/_mapping"):
			io.WriteString(w, `{"packages":{"mappings":{"properties":{"title":{"type":"text"}}}}}`)
		default:
			io.WriteString(w, `{"version":{"number":"8.19.16","build_flavor":"default"},"tagline":"You Know, for Search"}`)
		}
	}))
	defer cluster.Close()

	listen, admin := freeAddress(t), freeAddress(t)
	cmd := command(program, dir, "serve", "--cluster", cluster.URL, "--listen", listen, "--admin", admin)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The first searches may pass untouched: nothing waits for a mapping that is not there yet.
	var order []string
	var header string
	for range time.Tick(50 * time.Millisecond) {
		if order, header = search(t, "http://"+listen); strings.HasPrefix(header, "applied") {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("rerankd ended: %v\n%s", err, said.String())
		case <-ctx.Done():
			t.Fatalf("no search was reranked: X-Rerank: %s", header)
		default:
		}
	}
	if want := "audacity"; len(order) != 3 || order[0] != want {
		t.Errorf("got order %v, want %s first (X-Rerank: %s)", order, want, header)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("rerankd ended: %v\n%s", err, said.String())
	}
	stillAlone(t, dir)
}

// search returns the ids in their order and the X-Rerank header, or nothing where the proxy does not answer yet.
func search(t *testing.T, url string) (ids []string, header string) {
	t.Helper()
	resp, err := http.Post(url+"/packages/_search", "application/json", strings.NewReader(`{"query":{"match":{"title":"tool to edit audio files"}}}`))
	if err != nil {
		return nil, ""
	}
	defer resp.Body.Close()
	var body struct {
		Hits struct {
			Hits []struct {
				ID string `json:"_id"`
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	for _, h := range body.Hits.Hits {
		ids = append(ids, h.ID)
	}
	return ids, resp.Header.Get("X-Rerank")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestNeeds holds the libraries and symbol versions that the program and the runtime inside it ask for to the promise.
func TestNeeds(t *testing.T) {
	program, err := os.ReadFile(built(t))
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := os.ReadFile("../../rerank/onnx/bundled/libonnxruntime.so.zst")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(program, compressed) {
		t.Errorf("the program does not hold the runtime that the build made")
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	runtime, err := d.DecodeAll(compressed, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "rerankd", program, Program)
	check(t, "libonnxruntime.so", runtime, Runtime)
}

func check(t *testing.T, name string, data []byte, promise Need) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, l := range libraries {
		if !slices.Contains(promise.Libraries, l) && !strings.HasPrefix(l, "ld-linux-") {
			t.Errorf("%s needs %s, which is not promised: %v", name, l, promise.Libraries)
		}
	}
	needs, err := f.DynamicVersionNeeds()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(needs) == 0 {
		t.Fatalf("%s asks for no symbol version at all", name)
	}
	newest := map[string]string{}
	for _, n := range needs {
		for _, dep := range n.Needs {
			family, version, found := strings.Cut(dep.Dep, "_")
			if !found {
				t.Fatalf("%s asks for symbol version %q of %s", name, dep.Dep, n.Name)
			}
			if older(newest[family], version) {
				newest[family] = version
			}
		}
	}
	for family, version := range newest {
		promised, ok := promise.Versions[family]
		if !ok || older(promised, version) {
			t.Errorf("%s needs %s_%s, promised is %q at most (releases are built on Debian 12)", name, family, version, promised)
		}
	}
	t.Logf("%s: libraries %v, versions %v", name, libraries, newest)
}

// older compares versions such as 2.28 and 2.4.
func older(a, b string) bool {
	return slices.Compare(numbers(a), numbers(b)) < 0
}

func numbers(version string) []int {
	var n []int
	for part := range strings.SplitSeq(version, ".") {
		i, _ := strconv.Atoi(part) // "" is before every version
		n = append(n, i)
	}
	return n
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"2.4", "2.28", true}, {"2.28", "2.4", false}, {"2.28", "2.28", false}, {"", "2.2.5", true}, {"3.4", "3.4.22", true}} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%q, %q): got %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
