package relevance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rerankd/rerankd/cmd/rerankd/demo"
	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
	"github.com/rerankd/rerankd/rerank/eval"
)

// `rerankd eval` finds over a live cluster of each engine what is known of its answers: the mean of the cluster's own order is the one that
// asking the cluster gives, and reranking gains what it is known to gain.
func TestEvaluate(t *testing.T) {
	for _, e := range engines(t) {
		t.Run(string(e), func(t *testing.T) { testEvaluate(t, cluster.Start(t, e)) })
	}
}

func testEvaluate(t *testing.T, node *cluster.Node) {
	c := debian(t, node)
	var queries, qrels bytes.Buffer
	var asked float64
	for i, q := range c.questions {
		fmt.Fprintf(&queries, "%d\t%s\n", i+1, q.words)
		for _, id := range slices.Sorted(maps.Keys(q.relevant)) {
			fmt.Fprintf(&qrels, "%d 0 %s 1\n", i+1, id)
		}
		ids, _ := ask(t, node.URL, q)
		asked += value(c, q, ids) / float64(len(c.questions))
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"q.tsv": queries.Bytes(), "qrels.txt": qrels.Bytes(), "search.json": demo.Search("{{query}}", 10)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), program.Binary(t), "eval", "--cluster", node.URL, "--index", c.index(), "--queries", "q.tsv", "--qrels", "qrels.txt",
		"--body", "search.json", "--measures", "mrr@10", "--against", "window=50", "--budget", "60s", "--json")
	command.Dir = dir
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("rerankd eval: %v\n%s", err, stderr.Bytes())
	}
	var report struct {
		Queries int
		Arms    []struct {
			Means    map[string]float64
			Failed   int
			Scored   float64 `json:"scored_hits"`
			Window   float64 `json:"window_hits"`
			Reranked int
			Skipped  map[string]int
		}
		Comparisons []struct{ Differences []eval.Difference }
	}
	if err := json.Unmarshal(out, &report); err != nil || len(report.Arms) != 2 || len(report.Comparisons) != 1 || len(report.Comparisons[0].Differences) != 1 {
		t.Fatalf("got %.2000s (%v), want two ways to search and their difference", out, err)
	}
	off, on, difference := report.Arms[0], report.Arms[1], report.Comparisons[0].Differences[0]
	t.Logf("MRR@10 off %.4f, on %.4f, difference %+.4f [%+.4f, %+.4f], %d wins, %d losses; reranked %d, skipped %v", off.Means["mrr@10"], on.Means["mrr@10"],
		difference.Mean, difference.Low, difference.High, difference.Wins, difference.Losses, on.Reranked, on.Skipped)
	if report.Queries != len(c.questions) || off.Failed+on.Failed > 0 {
		t.Errorf("%d queries of %d were asked, %d and %d failed", report.Queries, len(c.questions), off.Failed, on.Failed)
	}
	if got := off.Means["mrr@10"]; math.Abs(got-asked) > 1e-9 {
		t.Errorf("without reranking eval has %v, and asking the cluster gives %v", got, asked)
	}
	if on.Scored != on.Window || on.Reranked < report.Queries*9/10 {
		t.Errorf("%d queries were reranked, with %.1f hits scored of %.1f, want all", on.Reranked, on.Scored, on.Window)
	}
	if difference.Low <= 0 {
		t.Errorf("got a difference of %+.4f [%+.4f, %+.4f], want the whole interval above 0", difference.Mean, difference.Low, difference.High)
	}
}
