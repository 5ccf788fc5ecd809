package hub_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rerankd/rerankd/rerank/model/hub"
	"github.com/rerankd/rerankd/rerank/model/hub/hubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const repository = "owner/name"

// published is a hub with a model of three megabytes.
func published(t *testing.T) *hubtest.Hub {
	t.Helper()
	large, small := make([]byte, 3<<20), make([]byte, 2<<20)
	rand.Read(large)
	rand.Read(small)
	h := &hubtest.Hub{
		Repository: repository,
		Files: map[string][]byte{
			"onnx/model.onnx":           large,
			"onnx/model_quantized.onnx": small,
			"model.safetensors":         []byte("not for us"),
			"tokenizer.json":            []byte(`{"model": {}}`),
			"config.json":               []byte(`{"model_type": "bert"}`),
			"README.md":                 []byte("# A model"),
		},
		Large: map[string]bool{"onnx/model.onnx": true, "onnx/model_quantized.onnx": true, "model.safetensors": true},
	}
	t.Cleanup(h.Start())
	return h
}

// client waits for nothing, and notes for how long it would have.
func client(h *hubtest.Hub) (*hub.Client, *[]time.Duration) {
	waits := new([]time.Duration)
	return &hub.Client{
		Endpoint: h.URL, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Sleep: func(ctx context.Context, d time.Duration) error { *waits = append(*waits, d); return ctx.Err() },
	}, waits
}

func pull(t *testing.T, c *hub.Client, dir string, precisions ...string) (*hub.Lock, error) {
	t.Helper()
	if len(precisions) == 0 {
		precisions = []string{"int8"}
	}
	came := map[string]int64{}
	l, err := c.Pull(t.Context(), hub.Request{
		Repository: repository, Precisions: precisions, Directory: dir,
		Held:     func(f hub.File, n int64) { came[f.Path] += n },
		Progress: func(f hub.File, n int64) { came[f.Path] += n },
	})
	if err == nil {
		for _, f := range l.Files {
			if came[f.Path] != f.Size {
				t.Errorf("got %d bytes of progress for %s, want %d", came[f.Path], f.Path, f.Size)
			}
		}
	}
	return l, err
}

// holds checks that the directory holds these files of the hub as they are, and nothing else but the lock.
func holds(t *testing.T, h *hubtest.Hub, dir string, want ...string) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		got = append(got, name)
		if content, _ := os.ReadFile(path); name != hub.LockName && !bytes.Equal(content, h.Files[name]) {
			t.Errorf("%s is not as on the hub", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, hub.LockName)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got the files %q, want %q", got, want)
	}
}

var int8Files = []string{"onnx/model_quantized.onnx", "tokenizer.json", "config.json", "README.md"}

func TestPull(t *testing.T) {
	h := published(t)
	h.Token = "hf_secret"
	c, _ := client(h)
	c.Token = h.Token // which the storage refuses
	dir := filepath.Join(t.TempDir(), "models", "name")
	l, err := pull(t, c, dir)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, h, dir, int8Files...)
	if l.Commit != hubtest.Commit || l.Repository != repository || l.Revision != "main" {
		t.Errorf("got %+v", l)
	}
	checks, extra, err := l.Verify(dir)
	if err != nil || len(checks) != 4 || len(extra) != 0 || slices.ContainsFunc(checks, func(c hub.Check) bool { return c.State != hub.OK }) {
		t.Errorf("got %+v, %q, %v of what was just pulled", checks, extra, err)
	}

	t.Run("again gets nothing", func(t *testing.T) {
		before := len(h.Requests())
		again, err := pull(t, c, dir)
		if err != nil || !slices.Equal(again.Files, l.Files) || !again.Pulled.Equal(l.Pulled) {
			t.Errorf("got %+v, %v, want %+v", again, err, l)
		}
		if got := h.Requests()[before:]; len(got) != 1 || !strings.Contains(got[0], "/api/models/") {
			t.Errorf("got the requests %q, want the list alone", got)
		}
	})
	t.Run("another precision joins", func(t *testing.T) {
		if _, err := pull(t, c, dir, "fp32"); err != nil {
			t.Fatal(err)
		}
		holds(t, h, dir, append(slices.Clone(int8Files), "onnx/model.onnx")...)
	})
	t.Run("what was damaged is mended", func(t *testing.T) {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "onnx/model.onnx"), []byte("x"), 0o644), os.Remove(filepath.Join(dir, "config.json")),
			os.WriteFile(filepath.Join(dir, "vocab.json"), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		l, err := hub.ReadLock(dir)
		if err != nil {
			t.Fatal(err)
		}
		checks, extra, err := l.Verify(dir)
		states := map[string]string{}
		for _, c := range checks {
			states[c.Path] = c.State
		}
		want := map[string]string{"onnx/model.onnx": hub.Changed, "config.json": hub.Missing, "onnx/model_quantized.onnx": hub.OK, "tokenizer.json": hub.OK, "README.md": hub.OK}
		if err != nil || !maps.Equal(states, want) || !slices.Equal(extra, []string{"vocab.json"}) {
			t.Errorf("got %v, %q, %v", states, extra, err)
		}
		os.Remove(filepath.Join(dir, "vocab.json"))
		if _, err := pull(t, c, dir, "fp32"); err != nil {
			t.Fatal(err)
		}
		holds(t, h, dir, append(slices.Clone(int8Files), "onnx/model.onnx")...)
	})
	t.Run("another commit replaces all", func(t *testing.T) {
		h.Commit = strings.Repeat("a", 40)
		for path := range h.Files {
			h.Files[path] = append([]byte("new "), h.Files[path]...)
		}
		l, err := pull(t, c, dir) // of int8, and fp32 must not stay as it was
		if err != nil || l.Commit != h.Commit {
			t.Fatalf("got %+v, %v", l, err)
		}
		holds(t, h, dir, append(slices.Clone(int8Files), "onnx/model.onnx")...)
	})
}

// While a directory is brought to another commit, and when that fails, it holds the one before.
func TestPullKeepsTheFormerCommit(t *testing.T) {
	h := published(t)
	c, _ := client(h)
	dir := t.TempDir()
	former, err := pull(t, c, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pull(t, c, dir, "fp32"); err != nil {
		t.Fatal(err)
	}
	h.Commit = strings.Repeat("a", 40)
	for path := range h.Files {
		h.Files[path] = append([]byte("new "), h.Files[path]...)
	}
	h.Serve = func(w http.ResponseWriter, r *http.Request, path string, content []byte, n int) bool {
		if path == "README.md" { // the last to come
			http.Error(w, "no", http.StatusTeapot)
		}
		return path == "README.md"
	}
	if _, err := pull(t, c, dir); err == nil {
		t.Fatal("got no error")
	}
	l, err := hub.ReadLock(dir)
	if err != nil || l.Commit != former.Commit {
		t.Fatalf("got %+v, %v, want the lock file of %s", l, err, former.Commit)
	}
	checks, extra, err := l.Verify(dir)
	if err != nil || len(extra) != 0 || slices.ContainsFunc(checks, func(c hub.Check) bool { return c.State != hub.OK }) {
		t.Errorf("got %+v, %q, %v, want all as it was", checks, extra, err)
	}

	// The new commit has no int8 graph any more: the old one must not be loaded with the new tokenizer.
	h.Serve = nil
	delete(h.Files, "onnx/model_quantized.onnx")
	var warned []string
	c.Warn = func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) }
	before := len(h.Requests())
	if _, err := pull(t, c, dir, "fp32"); err != nil {
		t.Fatal(err)
	}
	holds(t, h, dir, "onnx/model.onnx", "tokenizer.json", "config.json", "README.md")
	if !strings.HasPrefix(strings.Join(warned, "\n"), "onnx/model_quantized.onnx is not in this commit") || len(warned) != 1 {
		t.Errorf("got the warnings %q, want one about the graph that was removed", warned)
	}
	for _, asked := range h.Requests()[before:] {
		if strings.Contains(asked, "tokenizer.json") {
			t.Errorf("got the request %s for what had come before", asked)
		}
	}
}

// A pinned model that is there needs no hub.
func TestPullOfACommit(t *testing.T) {
	h := published(t)
	c, _ := client(h)
	dir := t.TempDir()
	ask := func(commit string, precision string) (int, error) {
		before := len(h.Requests())
		there, came := int64(0), int64(0)
		l, err := c.Pull(t.Context(), hub.Request{Repository: repository, Revision: commit, Precisions: []string{precision}, Directory: dir,
			Held: func(f hub.File, n int64) { there += n }, Progress: func(f hub.File, n int64) { came += n }})
		asked := len(h.Requests()) - before
		if err == nil {
			all := int64(0)
			for _, f := range l.Files {
				all += f.Size
			}
			if there+came != all || asked < 2 && came != 0 {
				t.Errorf("got %d bytes that were there and %d that came in %d requests, of %d in all", there, came, asked, all)
			}
		}
		return asked, err
	}
	if _, err := ask(hubtest.Commit, "int8"); err != nil {
		t.Fatal(err)
	}
	if n, err := ask(hubtest.Commit, "int8"); err != nil || n != 0 {
		t.Errorf("got %d requests, %v, want none", n, err)
	}
	if n, err := ask("main", "int8"); err != nil || n != 1 {
		t.Errorf("got %d requests, %v for a branch, want one", n, err)
	}
	if n, err := ask(hubtest.Commit, "fp32"); err != nil || n == 0 {
		t.Errorf("got %d requests, %v for another precision, want some", n, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := ask(hubtest.Commit, "int8"); err != nil || n == 0 {
		t.Errorf("got %d requests, %v for a file that was changed, want some", n, err)
	}
	holds(t, h, dir, append(slices.Clone(int8Files), "onnx/model.onnx")...)
}

// Weights in files of any name come with the graph that names them.
func TestPullWeightsBeside(t *testing.T) {
	graph := func(location string) []byte {
		message := func(fields ...any) (m []byte) {
			for i := 0; i < len(fields); i += 2 {
				m = protowire.AppendBytes(protowire.AppendTag(m, protowire.Number(fields[i].(int)), protowire.BytesType), fields[i+1].([]byte))
			}
			return m
		}
		weight := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1) // float32
		weight = append(weight, message(13, message(1, []byte("location"), 2, []byte(location)))...)
		return message(7, message(5, weight))
	}
	for _, test := range []struct {
		location, message string
	}{
		{"weights.bin", ""},
		{"model_quantized.onnx_data", ""},
		{"absent.bin", `has no "absent.bin", where onnx/model_quantized.onnx has its weights`},
		{"../../secret", `has no "../../secret"`},
	} {
		h := published(t)
		h.Files["onnx/model_quantized.onnx"] = graph(test.location)
		h.Files["onnx/weights.bin"], h.Files["onnx/model_quantized.onnx_data"] = []byte("weights"), []byte("weights")
		c, _ := client(h)
		dir := t.TempDir()
		_, err := pull(t, c, dir)
		if test.message != "" {
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("%s: got %v, want %q", test.location, err, test.message)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		want := append(slices.Clone(int8Files), "onnx/model_quantized.onnx_data") // which its name says
		if test.location == "weights.bin" {
			want = append(want, "onnx/weights.bin")
		}
		holds(t, h, dir, want...)
	}
}

// A directory that may not be written to is said with what to do.
func TestPullWhereItMayNot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	c, _ := client(published(t))
	for _, to := range []string{dir, filepath.Join(dir, "new")} {
		_, err := pull(t, c, to)
		if hinted, ok := errors.AsType[*hub.Error](err); !ok || !strings.Contains(hinted.Hint(), "--to") {
			t.Errorf("got %v, want what to do", err)
		}
	}
}

// Names that are none, and that would lead out of the directory of models.
func TestPullWhatIsNoName(t *testing.T) {
	c, _ := client(published(t))
	for _, name := range []string{"", "..", "../..", "owner/..", "./name", "owner/", "/name", "owner/name/more", "owner name", "owner/name?x", "owner/na\nme"} {
		_, err := c.Pull(t.Context(), hub.Request{Repository: name, Precisions: []string{"int8"}, Directory: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "is no name of a model on a hub") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// A connection that breaks is taken up where it broke, as long as something comes.
func TestPullResumes(t *testing.T) {
	h := published(t)
	h.Serve = func(w http.ResponseWriter, r *http.Request, path string, content []byte, n int) bool {
		if h.Large[path] && n < 7 { // each time a quarter of a mebibyte comes
			hubtest.Cut(w, r, content, 256<<10)
		}
		return false
	}
	c, waits := client(h)
	dir := t.TempDir()
	if _, err := pull(t, c, dir); err != nil {
		t.Fatal(err)
	}
	holds(t, h, dir, int8Files...)
	if len(*waits) != 7 || slices.Max(*waits) > time.Second {
		t.Errorf("got the waits %v, want a second before each new try, as each brought something", *waits)
	}
	for i, want := range []string{"", "bytes=262144-", "bytes=524288-"} {
		asked := slices.DeleteFunc(h.Requests(), func(r string) bool { return !strings.HasPrefix(r, "GET /onnx/") })
		if got := strings.TrimPrefix(asked[i], "GET /onnx/model_quantized.onnx"); strings.TrimSpace(got) != want {
			t.Errorf("got request %d for %q, want %q", i, got, want)
		}
	}
}

// What an earlier run has got is not gotten again.
func TestPullResumesAnEarlierRun(t *testing.T) {
	for _, test := range []struct {
		name   string
		spoil  func(part []byte) []byte
		ranged func(w http.ResponseWriter, content []byte) // answers a request with a Range; nil: as it should
		want   []string
	}{
		{"half of it", nil, nil, []string{"bytes=524288-"}},
		{"half of it, from a hub that sends all", nil, func(w http.ResponseWriter, content []byte) { w.Write(content) }, []string{"bytes=524288-"}},
		{"half of it, from a hub that does not have the rest", nil, func(w http.ResponseWriter, content []byte) { w.WriteHeader(416) }, []string{"bytes=524288-", ""}},
		{"half of it, from a hub that sends another range", nil, func(w http.ResponseWriter, content []byte) {
			w.Header().Set("Content-Range", "bytes 0-9/2097152")
			w.WriteHeader(http.StatusPartialContent)
			w.Write(content[:10])
		}, []string{"bytes=524288-", ""}},
		{"other bytes", func(p []byte) []byte { return make([]byte, len(p)) }, nil, []string{"bytes=524288-", ""}},
		{"more than all", func(p []byte) []byte { return make([]byte, 4<<20) }, nil, []string{""}},
		{"all of it", func(p []byte) []byte { return nil }, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := published(t)
			c, _ := client(h)
			dir := t.TempDir()
			stop := errors.New("stop")
			h.Serve = func(w http.ResponseWriter, r *http.Request, path string, content []byte, n int) bool {
				if h.Large[path] {
					hubtest.Cut(w, r, content, 512<<10)
				}
				return false
			}
			c.Sleep = func(context.Context, time.Duration) error { return stop }
			if _, err := pull(t, c, dir); !errors.Is(err, stop) {
				t.Fatalf("got %v", err)
			}
			parts, _ := filepath.Glob(filepath.Join(dir, "onnx", "*.part"))
			if len(parts) != 1 {
				t.Fatalf("got the parts %q, want one", parts)
			}
			if _, err := os.Stat(filepath.Join(dir, hub.LockName)); err == nil {
				t.Error("there is a lock file before everything came")
			}
			part, err := os.ReadFile(parts[0])
			if err != nil || len(part) != 512<<10 {
				t.Fatalf("got a part of %d bytes, %v", len(part), err)
			}
			if test.spoil != nil {
				if part = test.spoil(part); part == nil {
					part = h.Files["onnx/model_quantized.onnx"]
				}
				if err := os.WriteFile(parts[0], part, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			c.Sleep = func(context.Context, time.Duration) error { return nil }
			h.Serve = func(w http.ResponseWriter, r *http.Request, path string, content []byte, n int) bool {
				ranged := test.ranged != nil && r.Header.Get("Range") != ""
				if ranged {
					test.ranged(w, content)
				}
				return ranged
			}
			before := len(h.Requests())
			if _, err := pull(t, c, dir); err != nil {
				t.Fatal(err)
			}
			holds(t, h, dir, int8Files...)
			var ranges []string
			for _, r := range h.Requests()[before:] {
				if rest, ok := strings.CutPrefix(r, "GET /onnx/model_quantized.onnx"); ok {
					ranges = append(ranges, strings.TrimSpace(rest))
				}
			}
			if !slices.Equal(ranges, test.want) {
				t.Errorf("asked for %q, want %q", ranges, test.want)
			}
		})
	}
}

// Each failure says what it is and what to do, leaves no lock and no file that is not right.
func TestPullFails(t *testing.T) {
	serve := func(name string, do func(w http.ResponseWriter, r *http.Request, content []byte)) func(*hubtest.Hub) {
		return func(h *hubtest.Hub) {
			h.Serve = func(w http.ResponseWriter, r *http.Request, path string, content []byte, n int) bool {
				if path == name {
					do(w, r, content)
				}
				return path == name
			}
		}
	}
	list := func(do func(description map[string]any)) func(*hubtest.Hub) {
		return func(h *hubtest.Hub) { h.List = do }
	}
	for _, test := range []struct {
		name       string
		hub        func(*hubtest.Hub)
		client     func(*hub.Client)
		precisions []string
		message    string
		hint       string
	}{
		{"a wrong digest of a large file", serve("onnx/model_quantized.onnx", func(w http.ResponseWriter, r *http.Request, content []byte) {
			w.Write(append([]byte{content[0] + 1}, content[1:]...))
		}), nil, nil, "onnx/model_quantized.onnx has the digest sha256:", "something between here and the hub changes files"},
		{"a wrong digest of a small file", serve("config.json", func(w http.ResponseWriter, r *http.Request, content []byte) {
			w.Write(bytes.ReplaceAll(content, []byte("bert"), []byte("evil")))
		}), nil, nil, "config.json has the digest git:", "changes files"},
		{"a longer file", serve("config.json", func(w http.ResponseWriter, r *http.Request, content []byte) { w.Write(append(content, ' ')) }), nil, nil,
			"sends more than the 22 bytes", ""},
		{"a connection that never brings anything", serve("config.json", func(w http.ResponseWriter, r *http.Request, content []byte) { hubtest.Cut(w, r, content, 0) }), nil, nil,
			"the connection to the hub broke", "HTTPS_PROXY"},
		{"a hub that stalls", serve("config.json", func(w http.ResponseWriter, r *http.Request, content []byte) { <-r.Context().Done() }),
			func(c *hub.Client) { c.Idle = 20 * time.Millisecond }, nil, "nothing came for 20ms", ""},
		{"a file that is listed and not there", serve("config.json", func(w http.ResponseWriter, r *http.Request, content []byte) { http.NotFound(w, r) }), nil, nil,
			"the hub lists config.json of owner/name and does not have it", ""},
		{"a hub that is overloaded", serve("config.json", func(w http.ResponseWriter, r *http.Request, content []byte) { w.WriteHeader(503) }), nil, nil,
			"the hub answers 503", "try again later"},
		{"never the range that was asked for", serve("config.json", func(w http.ResponseWriter, r *http.Request, content []byte) {
			w.Header().Set("Content-Range", "bytes 7-16/22")
			w.WriteHeader(http.StatusPartialContent)
			w.Write(content[7:17])
		}), nil, nil, "was asked for the bytes from 0 on, and sends \"bytes 7-16/22\"", "try again later"},
		{"the first half again and again", serve("onnx/model_quantized.onnx", func(w http.ResponseWriter, r *http.Request, content []byte) {
			r.Header.Del("Range")
			hubtest.Cut(w, r, content, len(content)/2)
		}), nil, nil, "the connection to the hub broke", "HTTPS_PROXY"},
		{"a byte at a time", serve("onnx/model_quantized.onnx", func(w http.ResponseWriter, r *http.Request, content []byte) { hubtest.Cut(w, r, content, 1) }), nil, nil,
			"the connection to the hub broke", ""},
		{"a list that never comes", func(h *hubtest.Hub) {
			h.Refuse = func(int) (int, http.Header) { time.Sleep(100 * time.Millisecond); return 0, nil }
		}, func(c *hub.Client) { c.Idle = 20 * time.Millisecond }, nil, "nothing came for 20ms", ""},

		{"gated, without a token", func(h *hubtest.Hub) { h.Gated, h.Token = true, "secret" }, nil, nil, "owner/name is gated", "set HF_TOKEN"},
		{"gated, and the terms were not accepted", func(h *hubtest.Hub) { h.Gated, h.Token = true, "secret" }, func(c *hub.Client) { c.Token = "secret" }, nil,
			"owner/name is gated", "accept them at "},
		{"private", func(h *hubtest.Hub) { h.Token = "secret" }, nil, nil, "to nobody without a token", "HF_TOKEN"},
		{"a token that is wrong", func(h *hubtest.Hub) { h.Token = "secret" }, func(c *hub.Client) { c.Token = "old" }, nil, "does not accept the token", "HF_TOKEN"},
		{"no such model", func(h *hubtest.Hub) { h.Repository = "owner/other" }, nil, nil, "has no model owner/name", "check the name"},
		{"no graph", func(h *hubtest.Hub) { delete(h.Files, "onnx/model_quantized.onnx") }, nil, nil, "has no ONNX graph as int8", "onnx/model.onnx"},
		{"no graph at all", func(h *hubtest.Hub) {
			maps.DeleteFunc(h.Files, func(p string, _ []byte) bool { return strings.HasPrefix(p, "onnx") })
		}, nil, []string{"int8", "fp32"},
			"as int8 or fp32", "no ONNX graph at all"},
		{"no tokenizer", func(h *hubtest.Hub) { delete(h.Files, "tokenizer.json") }, nil, nil, "has no tokenizer.json", "save_pretrained"},
		{"no hub", func(h *hubtest.Hub) {}, func(c *hub.Client) { c.Endpoint = "http://127.0.0.1:1" }, nil, "the connection to the hub broke", "HF_ENDPOINT"},
		{"no address", func(h *hubtest.Hub) {}, func(c *hub.Client) { c.Endpoint = "hub" }, nil, "unsupported protocol", "HF_ENDPOINT"},
		{"a page that is no hub's", func(h *hubtest.Hub) { h.List = func(d map[string]any) { delete(d, "sha") } }, nil, nil, "is no commit", "is http://"},
		{"a path that moves the cursor", list(func(d map[string]any) {
			d["siblings"].([]any)[0].(map[string]any)["rfilename"] = "onnx/model_quantized.onnx_data\x1b[2J"
		}), nil, nil, `_data\x1b[2J" is no path within a directory`, ""},
		{"a path that leads out", list(func(d map[string]any) {
			d["siblings"].([]any)[0].(map[string]any)["rfilename"] = "../../.ssh/authorized_keys"
		}), nil, nil,
			"is no path within a directory", ""},
		{"an absolute path", list(func(d map[string]any) { d["siblings"].([]any)[0].(map[string]any)["rfilename"] = "/etc/passwd" }), nil, nil, "is no path within", ""},
		{"a file without a digest", list(func(d map[string]any) {
			f := d["siblings"].([]any)[0].(map[string]any)
			delete(f, "blobId")
			delete(f, "lfs")
		}), nil, nil,
			"without a digest", ""},
		{"a negative size", list(func(d map[string]any) {
			f := d["siblings"].([]any)[0].(map[string]any)
			delete(f, "lfs")
			f["size"] = -1
		}), nil, nil, "has -1 bytes", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := published(t)
			test.hub(h)
			c, _ := client(h)
			if test.client != nil {
				test.client(c)
			}
			dir := t.TempDir()
			_, err := pull(t, c, dir, test.precisions...)
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Fatalf("got %v, want %q", err, test.message)
			}
			var hinter interface{ Hint() string }
			if !errors.As(err, &hinter) {
				t.Errorf("there is no hint with %v", err)
			} else if !strings.Contains(hinter.Hint(), test.hint) {
				t.Errorf("got the hint %q, want %q", hinter.Hint(), test.hint)
			}
			if strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("the token is in %v", err)
			}
			for name, content := range h.Files {
				if got, err := os.ReadFile(filepath.Join(dir, name)); err == nil && !bytes.Equal(got, content) {
					t.Errorf("%s is there and not as on the hub", name)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, hub.LockName)); err == nil {
				t.Error("there is a lock file")
			}
		})
	}
}

// What goes by is waited for, for as long as the hub asks, and no longer than five minutes.
func TestPullWaits(t *testing.T) {
	limited := func(after string) func(int) (int, http.Header) {
		return func(n int) (int, http.Header) {
			if n < 2 {
				return 429, http.Header{"Retry-After": {after}}
			}
			return 0, nil
		}
	}
	for _, test := range []struct {
		after string
		want  []time.Duration
		fails bool
	}{
		{"7", []time.Duration{7 * time.Second, 7 * time.Second}, false},
		{"", []time.Duration{time.Second, 2 * time.Second}, false},
		{"soon", []time.Duration{time.Second, 2 * time.Second}, false},
		{"-7", []time.Duration{time.Second, 2 * time.Second}, false},
		{"Wed, 21 Oct 2015 07:28:00 GMT", []time.Duration{time.Second, 2 * time.Second}, false},
		{"300", []time.Duration{5 * time.Minute, 5 * time.Minute}, false},
		{"3600", nil, true},
		{time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), nil, true},
	} {
		h := published(t)
		h.Refuse = limited(test.after)
		c, waits := client(h)
		_, err := pull(t, c, t.TempDir())
		if hinted, ok := errors.AsType[*hub.Error](err); test.fails && (!ok || !strings.Contains(hinted.Hint(), "alone for 1h0m0s") && !strings.Contains(hinted.Hint(), "alone for 59m")) {
			t.Errorf("Retry-After %q: got the hint of %v, want how long the hub asks for", test.after, err)
		}
		if (err != nil) != test.fails || !slices.Equal(*waits, test.want) {
			t.Errorf("Retry-After %q: got %v after the waits %v, want %v", test.after, err, *waits, test.want)
		}
	}
}

func TestPullIsInterrupted(t *testing.T) {
	h := published(t)
	ctx, cancel := context.WithCancel(t.Context())
	h.Serve = func(w http.ResponseWriter, r *http.Request, path string, content []byte, n int) bool {
		if !h.Large[path] {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:1<<20])
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond)
		cancel()
		<-r.Context().Done()
		return true
	}
	c, _ := client(h)
	dir := t.TempDir()
	if _, err := c.Pull(ctx, hub.Request{Repository: repository, Precisions: []string{"int8"}, Directory: dir}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	parts, _ := filepath.Glob(filepath.Join(dir, "onnx", "*.part"))
	if info, err := os.Stat(strings.Join(parts, "")); err != nil || info.Size() < 1<<19 {
		t.Errorf("got %v, %v, want the part kept", info, err)
	}
}

// Two pulls into one directory do not meet.
func TestPullHolds(t *testing.T) {
	h := published(t)
	c, _ := client(h)
	dir := t.TempDir()
	var second error
	h.Serve = func(w http.ResponseWriter, r *http.Request, path string, content []byte, n int) bool {
		if path == "config.json" {
			other, _ := client(h)
			_, second = other.Pull(t.Context(), hub.Request{Repository: repository, Precisions: []string{"int8"}, Directory: dir})
		}
		return false
	}
	if _, err := pull(t, c, dir); err != nil {
		t.Fatal(err)
	}
	if second == nil || !strings.Contains(second.Error(), "another program is pulling") {
		t.Errorf("got %v from the second", second)
	}
	holds(t, h, dir, int8Files...)

	h.Repository = "owner/other"
	if _, err := c.Pull(t.Context(), hub.Request{Repository: "owner/other", Precisions: []string{"int8"}, Directory: dir}); err == nil || !strings.Contains(err.Error(), "holds owner/name") {
		t.Errorf("got %v for another model into the same directory", err)
	}
}

func TestFromEnvironment(t *testing.T) {
	home := t.TempDir()
	token := filepath.Join(home, ".cache", "huggingface", "token")
	if err := errors.Join(os.MkdirAll(filepath.Dir(token), 0o755), os.WriteFile(token, []byte("from-file\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		env             map[string]string
		endpoint, token string
		fails           bool
	}{
		{map[string]string{"HOME": home}, "", "from-file", false},
		{map[string]string{"HOME": home, "HF_TOKEN": " from-variable "}, "", "from-variable", false},
		{map[string]string{"HOME": "/nowhere", "HF_TOKEN_PATH": token}, "", "from-file", false},
		{map[string]string{"HOME": "/nowhere", "HF_HOME": filepath.Dir(token)}, "", "from-file", false},
		{map[string]string{"HOME": "/nowhere", "HF_ENDPOINT": "https://mirror"}, "https://mirror", "", false},
		{map[string]string{"HOME": home, "HF_HUB_OFFLINE": "1"}, "", "", true},
		{map[string]string{"HOME": home, "HF_HUB_OFFLINE": "0"}, "", "from-file", false},
	} {
		c, err := hub.FromEnvironment(func(name string) (string, bool) { v, ok := test.env[name]; return v, ok })
		if (err != nil) != test.fails || err == nil && (c.Endpoint != test.endpoint || c.Token != test.token) {
			t.Errorf("%v: got %+v, %v", test.env, c, err)
		}
	}
}
