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
	"github.com/rerankd/rerankd/rerank/eval"
)

// testEvaluate: eval over a live cluster prints what the runs that it writes are worth, reads them back to the same numbers, and shows its
// page. What the numbers are made of is held to trec_eval's in rerank/eval.
func testEvaluate(t *testing.T, node *cluster.Node) {
	const index = "e2e-evaluate"
	node.Delete(t, index)
	t.Cleanup(func() { node.Delete(t, index) })
	dir := t.TempDir()
	documents, queries, qrels := filepath.Join(dir, "spoons.ndjson"), filepath.Join(dir, "q.tsv"), filepath.Join(dir, "qrels.txt")
	var q, judged bytes.Buffer
	lines := demoDocuments(t)
	var all []demo.Document
	for line := range strings.SplitSeq(strings.TrimSpace(string(lines)), "\n") {
		var d demo.Document
		unmarshal(t, []byte(line), &d)
		all = append(all, d)
	}
	for i, asked := range all {
		fmt.Fprintf(&q, "%d\t%s\n", i+1, asked.Queries[0])
		for _, d := range all { // that does something else to the thing is of some use, the one that was asked for of more
			noun, _, _ := strings.Cut(asked.Queries[0], " ")
			switch {
			case d.Name == asked.Name:
				fmt.Fprintf(&judged, "%d 0 %s 3\n", i+1, d.Name)
			case strings.HasPrefix(d.Queries[0], noun):
				fmt.Fprintf(&judged, "%d 0 %s 1\n", i+1, d.Name)
			}
		}
	}
	fmt.Fprint(&q, "17\tzzzz nothing has this word\n")
	fmt.Fprint(&judged, "17 0 nothing 1\n")
	for name, data := range map[string][]byte{documents: lines, queries: q.Bytes(), qrels: judged.Bytes()} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(arguments ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program.Binary(t), arguments...)
		cmd.Dir = dir
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil {
			t.Fatalf("rerankd %s ended with %v:\n%s%s", strings.Join(arguments, " "), err, out.Bytes(), said.Bytes())
		}
		return out.String()
	}
	run("demo", "--cluster", node.URL, "--data", documents, "--cache", dir, "--index", index, "--index-only")

	out := run("eval", "--queries", queries, "--qrels", qrels, "--cluster", node.URL, "--index", index, "--fields", "summary,description",
		"--budget", "30s", "--run-out", "runs", "--html", "page.html")
	judgments := readFile(t, filepath.Join(dir, "qrels.txt"), func(f *os.File) (*eval.Judgments, error) {
		return eval.ReadQrels("qrels", f, eval.Auto, nil, eval.Clicks{})
	})
	ids := make([]string, 17)
	for i := range ids {
		ids[i] = fmt.Sprint(i + 1)
	}
	means := map[string]map[eval.Measure]float64{}
	for _, arm := range []string{"off", "on"} {
		found := readFile(t, filepath.Join(dir, "runs", arm+".run"), func(f *os.File) (eval.Run, error) { return eval.ReadRun(arm, f) })
		if len(found) != 16 {
			t.Errorf("%s found something for %d queries, want 16", arm, len(found))
		}
		means[arm] = map[eval.Measure]float64{}
		for _, m := range eval.DefaultMeasures() {
			for _, v := range m.Values(ids, judgments.Qrels, found, 1) {
				means[arm][m] += v / float64(len(ids))
			}
		}
	}
	for _, m := range eval.DefaultMeasures() {
		difference := regexp.QuoteMeta(fmt.Sprintf("%+.4f", means["on"][m]-means["off"][m]))
		want := fmt.Sprintf(`(?m)^%s +%.4f +%.4f +%s `, regexp.QuoteMeta(m.Title()), means["off"][m], means["on"][m], difference)
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("got no %q in:\n%s", want, out)
		}
	}
	if ndcg := eval.DefaultMeasures()[0]; means["off"][ndcg] == means["on"][ndcg] {
		t.Errorf("%s is %v off and on: these documents tell nothing", ndcg, means["on"][ndcg])
	}
	for _, want := range []string{`(?m)^17 queries in e2e-evaluate, `, `(?m)^1 query is without results in every way; that counts as 0\.$`, `(?m)^on +16 +\d+\.\d of \d+\.\d `, `no_hits 1`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("got no %q in:\n%s", want, out)
		}
	}
	again := run("eval", "--qrels", "runs/qrels.txt", "--baseline", "run=runs/off.run", "--against", "run=runs/on.run", "--json")
	var report struct {
		Arms []struct {
			Name  string
			Means map[string]float64
		}
	}
	unmarshal(t, []byte(again), &report)
	for _, arm := range report.Arms {
		for m, want := range means[arm.Name] {
			if got := arm.Means[m.String()]; got-want > 1e-9 || want-got > 1e-9 {
				t.Errorf("%s of %s is %v read back, want %v", m, arm.Name, got, want)
			}
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "page.html"))
	if err != nil || !bytes.Contains(page, []byte("<svg")) || bytes.Contains(page, []byte("<script")) {
		t.Errorf("got a page of %d bytes (%v), want plots and no script", len(page), err)
	}

	depths := run("eval", "--queries", queries, "--qrels", qrels, "--cluster", node.URL, "--index", index, "--depth", "5,16", "--budget", "30s", "--json")
	var curve struct {
		Arms []struct {
			Name   string
			Window float64 `json:"window_hits"`
		}
	}
	if err := json.Unmarshal([]byte(depths), &curve); err != nil || len(curve.Arms) != 3 || curve.Arms[1].Window > 5 || curve.Arms[2].Window <= 5 {
		t.Errorf("got windows %+v (%v), want one of 5 and a larger one", curve.Arms, err)
	}
}

func readFile[T any](t *testing.T, name string, read func(*os.File) (T, error)) T {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := read(f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
