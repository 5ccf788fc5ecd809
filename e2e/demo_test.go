package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rerankd/rerankd/cmd/rerankd/demo"
	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
)

// testDemo: the demonstration on a small file fills the index once, shows, measures and ends; and it keeps off an index of somebody else.
func testDemo(t *testing.T, node *cluster.Node) {
	const index = "e2e-demo"
	node.Delete(t, index)
	t.Cleanup(func() { node.Delete(t, index) })
	file := filepath.Join(t.TempDir(), "spoons.ndjson")
	if err := os.WriteFile(file, demoDocuments(t), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(arguments ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program.Binary(t), append([]string{"demo", "--cluster", node.URL, "--data", file, "--cache", t.TempDir(), "--listen", "127.0.0.1:0"}, arguments...)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
	expect := func(out string, err error, patterns ...string) {
		t.Helper()
		if err != nil {
			t.Fatalf("the demonstration ended with %v:\n%s", err, out)
		}
		for _, p := range patterns {
			if !regexp.MustCompile(p).MatchString(out) {
				t.Errorf("got no %q in:\n%s", p, out)
			}
		}
	}
	out, err := run("--index", index, "--index-only")
	expect(out, err, `16 documents \(spoons\.ndjson\)`, `indexed into "e2e-demo"`)
	out, err = run("--index", index, "--once", "--budget", "30s", "--show", "3")
	expect(out, err, `the index "e2e-demo" holds them already`, `3 searches, drawn by seed 1 from the 16`, `★ place \d`, `All 16 held-out searches`,
		`mean reciprocal rank @10 +[01]\.\d{3} +[01]\.\d{3} `, `\d+ better, \d+ worse, \d+ the same\n`)

	out, err = run("--index", shop, "--index-only")
	if err == nil || !strings.Contains(out, "not the demonstration's") || !strings.Contains(out, "hint: choose another name with --index") {
		t.Errorf("an index of somebody else: got %v:\n%s\nwant it refused, and a hint", err, out)
	}
	count := client{url: node.URL}.do(t, "GET", "/"+shop+"/_count?filter_path=count", "")
	if string(count.Body) != `{"count":144}` {
		t.Errorf("got %s documents in an index of somebody else, want the 144 that were there", count.Body)
	}
}

// demoDocuments are sixteen made-up programs with names that count as held out.
func demoDocuments(t *testing.T) []byte {
	t.Helper()
	verbs := strings.Fields("stirs polishes counts bends")
	nouns := strings.Fields("spoons forks kettles cups")
	var lines bytes.Buffer
	n := 0
	for _, verb := range verbs {
		for _, noun := range nouns {
			d := demo.Document{Summary: "program that " + verb + " " + noun, Description: "It " + verb + " your " + noun + " while you sleep."}
			for ; d.Name == "" || !d.HeldOut(); n++ {
				d.Name = fmt.Sprintf("kitchen-%d", n)
			}
			d.Queries = []string{noun + " at night, it " + verb + " them while everybody is asleep"}
			if err := json.NewEncoder(&lines).Encode(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	return lines.Bytes()
}
