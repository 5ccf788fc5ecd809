package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rerankd/rerankd/"

// A room is one of our packages, or with /... all below it too, and the rooms that it may import.
type room struct {
	name string
	may  []string
	why  string
}

// The house as a table: which of our packages each may import. A new package needs a line here, and a line needs its reason.
var rooms = []room{
	{"config", nil, "what an operator may say is plain data, and everything else may depend on it"},
	{"rerank", nil, "ordering hits is pure: it is used wherever a list of texts is ranked, behind a proxy or not"},
	{"rerank/reranktest", []string{"rerank"}, "the suite knows the interface, not those who satisfy it"},
	{"rerank/breaker", nil, "when to leave something alone is the same question for a model and for a server"},
	{"rerank/eval", nil, "what a ranking is worth is arithmetic over ids: the same for a command, a page and a test"},
	{"rerank/schedule", []string{"rerank", "rerank/breaker"}, "it is handed a Runner, so that its turns and deadlines are tested without a model"},
	{"rerank/model", []string{"rerank"}, "finding a model's files needs no runtime, so that the program without cgo can list and check them"},
	{"rerank/model/hub", []string{"rerank/model"}, "it gets files; who loads a model need not know of a network"},
	{"rerank/model/hub/hubtest", nil, "a hub for tests speaks the protocol, and knows nobody who reads it"},
	{"rerank/onnx", []string{"rerank", "rerank/model"}, "it satisfies schedule.Runner without knowing of it: another runtime is another package and nothing more"},
	{"rerank/remote", []string{"rerank", "rerank/breaker"}, "a server that scores is a Scorer like any other: what becomes of a failure is decided above it"},
	{"backends", []string{"config"}, "a cluster is a http.RoundTripper: what is done with its answers is not its business"},
	{"backends/backendtest", []string{"backends", "config"}, "the suite knows what it tests"},
	{"proxy/filterpath", nil, "what a filter leaves of a response is a question of its own, with an answer for any API"},
	{"proxy/search", []string{"proxy/filterpath"}, "the wire format is bytes in and bytes out: fuzzed alone, and used by the command line too"},
	{"proxy/experiment", nil, "who gets what, and what was shown, are ids and permutations: proved without a cluster or a model"},
	{"proxy/experiment/sink", []string{"proxy/experiment"}, "where records are kept is nobody's business who makes them: they hand them over, and never wait"},
	{"proxy/experiment/verdict", []string{"proxy/experiment"}, "what an experiment has shown is read off its records alone: tested with simulated people, and the same for every copy's files"},
	{"proxy/experiment/simulate", []string{"proxy/experiment"}, "simulated people know what was shown to them, and nothing of who analyses what they do"},
	{"proxy/experiment/ubi", []string{"proxy/experiment"}, "what people did comes from anybody: it is read apart from searches, and handed to a Sink"},
	{"proxy", []string{"config", "rerank", "proxy/experiment", "proxy/filterpath", "proxy/search"}, "it is handed a RoundTripper and Rankers: never backends or rerank/onnx, so that it is tested with neither"},
	{"proxy/admin", []string{"config", "rerank/eval", "proxy/experiment/verdict"}, "what it shows comes through interfaces of its own, so that it cannot reach into a search; judgments are written as eval reads them, and a verdict is plain data"},
	{
		"cmd/rerankd",
		[]string{"cmd/rerankd/...", "config", "backends", "proxy/...", "rerank", "rerank/eval", "rerank/schedule", "rerank/remote", "rerank/model", "rerank/model/hub", "rerank/onnx"},
		"composition happens here and nowhere else, and no test code comes along",
	},
	{"cmd/rerankd/demo", []string{"config", "proxy/...", "rerank/..."}, "the demonstration uses the program's parts; it does not assemble them"},
	{"e2e/...", []string{"..."}, "tests and benchmarks of the whole may look at all of it"},
	{"build/...", []string{"build/..."}, "what makes the build cannot need it built"},
	{"deploy/...", []string{"deploy/..."}, "what checks the packaging needs none of what is packaged"},
}

// Who alone may import what is not ours.
var guests = []struct {
	guest string // an import path; with a / at the end all below it
	rooms []string
	why   string
}{
	{"github.com/yalue/onnxruntime_go", []string{"rerank/onnx"}, "the only cgo is behind one door with a stub: all else builds without a C compiler"},
	{"github.com/daulet/tokenizers", []string{"rerank/onnx"}, "the only cgo is behind one door with a stub: all else builds without a C compiler"},
	{"C", nil, "cgo of our own would need a C compiler on every machine that builds us"},
	{"github.com/elastic/", []string{"backends/...", "e2e/..."}, "vendors' clients buffer, retry and check products: one room tames them"},
	{"github.com/opensearch-project/", []string{"backends/...", "e2e/..."}, "vendors' clients buffer, retry and check products: one room tames them"},
	{"github.com/labstack/echo/", []string{"proxy", "proxy/admin", "e2e/..."}, "echo is the outer server only: nothing within may lean on its context"},
	{"github.com/spf13/", []string{"cmd/rerankd"}, "only the program has a command line"},
	{"github.com/goccy/go-yaml", []string{"config", "rerank/model", "cmd/rerankd/demo", "e2e/...", "deploy/..."}, "the configuration is read in one place (models' cards and AppStream are YAML too)"},
	{"github.com/chromedp/", []string{"e2e"}, "a browser is driven by tests of the whole alone"},
	{"testing", []string{"rerank/reranktest", "backends/backendtest", "e2e/..."}, "the program carries no test code"},
}

// pure rooms know nothing of HTTP or JSON.
var pure = []string{"rerank", "rerank/schedule"}

// A listed package is what `go list -json` says of it, as far as it is asked here.
type listed struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	for _, cgo := range []string{"CGO_ENABLED=1", "CGO_ENABLED=0"} { // each has files of its own
		t.Run(cgo, func(t *testing.T) {
			packages := list(t, cgo)
			for _, p := range packages {
				name := strings.TrimPrefix(p.ImportPath, module)
				i := slices.IndexFunc(rooms, func(r room) bool { return within(name, r.name) })
				if i < 0 {
					t.Errorf("%s is in no room: say in this table what it may import, and why", name)
					continue
				}
				for _, imported := range p.Imports {
					if ours, ok := strings.CutPrefix(imported, module); ok {
						if !slices.ContainsFunc(rooms[i].may, func(room string) bool { return within(ours, room) }) {
							t.Errorf("%s imports %s, but %s", name, ours, rooms[i].why)
						}
						continue
					}
					for _, g := range guests {
						if (imported == g.guest || strings.HasPrefix(imported, strings.TrimSuffix(g.guest, "/")+"/")) &&
							!slices.ContainsFunc(g.rooms, func(room string) bool { return within(name, room) }) {
							t.Errorf("%s imports %s, but %s", name, imported, g.why)
						}
					}
					if slices.Contains(pure, name) && (strings.HasPrefix(imported, "net/") || strings.Contains(imported, "json")) {
						t.Errorf("%s imports %s, but it knows nothing of HTTP or JSON", name, imported)
					}
				}
			}
			for _, r := range rooms {
				if !slices.ContainsFunc(packages, func(p listed) bool { return within(strings.TrimPrefix(p.ImportPath, module), r.name) }) {
					t.Errorf("the room %s is empty: take its line out of this table", r.name)
				}
			}
		})
	}
}

// Without a C compiler everything builds: what needs the model's runtime then says so when it is run.
func TestBuildsWithoutCgo(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the whole program")
	}
	golang(t, "CGO_ENABLED=0", "build", "./...")
}

// within says whether a package is in a room.
func within(name, room string) bool {
	if room == "..." {
		return true
	}
	if parent, ok := strings.CutSuffix(room, "/..."); ok {
		return name == parent || strings.HasPrefix(name, parent+"/")
	}
	return name == room
}

// list returns our packages.
func list(t *testing.T, cgo string) []listed {
	t.Helper()
	var packages []listed
	decoder := json.NewDecoder(bytes.NewReader(golang(t, cgo, "list", "-json=ImportPath,Imports", "./...")))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// golang runs the go command at the root of the module and returns what it printed.
func golang(t *testing.T, environment string, arguments ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", arguments...)
	command.Dir = ".."
	command.Env = append(os.Environ(), environment)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, stderr.Bytes())
	}
	return out
}
