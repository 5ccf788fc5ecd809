package differential

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rerankd/rerankd/e2e/cluster"
)

// outcome is what a shape counts as in the report.
func (sh shape) outcome(ok bool) string {
	switch {
	case !ok:
		return "FAILED"
	case sh.passes == "-":
		return "forwarded"
	case sh.passes != "":
		return "passed: " + sh.passes
	case sh.how != "":
		return "adapted"
	}
	return "equal"
}

// report says what was tried on an engine.
func report(t *testing.T, e cluster.Engine, counted map[string]int) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s", e)
	for _, what := range []string{"tried", "equal", "adapted", "forwarded", "FAILED", "not runnable"} {
		fmt.Fprintf(&b, "  %s %d", what, counted[what])
	}
	for _, what := range slices.Sorted(maps.Keys(counted)) {
		if strings.HasPrefix(what, "passed") {
			fmt.Fprintf(&b, "  %s %d", what, counted[what])
		}
	}
	b.WriteByte('\n')
	if file := os.Getenv("RERANKD_REPORT"); file != "" { // go test says nothing of what passes
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(b.String()); err != nil {
			t.Fatal(err)
		}
	}
	t.Log(b.String())
}

// results are the engines on which a feature was found to be as the table says.
type results map[string][]cluster.Engine

func (r results) note(sh shape, e cluster.Engine, ok bool) {
	if key := sh.group + "/" + sh.feature; ok {
		r[key] = append(r[key], e)
	}
}

const features = "docs/features.md"

// checkFeatures compares what was found with docs/features.md, or writes that anew. A run of some of the engines checks that each of their
// results stands there; only the whole matrix can write it.
func checkFeatures(t *testing.T, found results) {
	file := filepath.Join("..", "..", features)
	all := cluster.Asked(t)
	if os.Getenv("RERANKD_UPDATE") != "" {
		if os.Getenv("RERANKD_E2E") != "matrix" {
			t.Fatal("the table is written by a run of all engines: RERANKD_E2E=matrix")
		}
		if err := os.WriteFile(file, []byte(written(found)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// What the other engines have is taken from the table of abilities, as the whole matrix found it.
	whole := make(results)
	for _, sh := range append(slices.Clone(shapes), emulated...) {
		key := sh.group + "/" + sh.feature
		for _, e := range cluster.All() {
			if slices.Contains(found[key], e) || !slices.Contains(all, e) && sh.needs != never && has(e, sh.needs) {
				whole[key] = append(whole[key], e)
			}
		}
	}
	if written(whole) != string(kept) {
		t.Errorf("%s is not what was found: RERANKD_E2E=matrix RERANKD_UPDATE=1 go test ./e2e/differential writes it anew", features)
	}
}

// written is the table.
func written(found results) string {
	var b strings.Builder
	b.WriteString(`# What becomes of a search

Written by e2e/differential, which sends each of these searches to live clusters, directly and through rerankd: with reranking off, in the
cluster's own order (the bytes are the same), turned round, and page by page. *Reranked* means that the order of the hits, their scores and
` + "`took`" + ` are all that changes. A search that passes is forwarded as it came, and ` + "`X-Rerank`" + ` gives the reason.

`)
	group := ""
	for _, sh := range append(slices.Clone(shapes), emulated...) {
		if sh.needs == never {
			continue
		}
		if sh.group != group {
			group = sh.group
			fmt.Fprintf(&b, "\n## %s\n\n| feature | rerankd | verified on |\n|---|---|---|\n", group)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", escaped(sh.feature), sh.does(), engineNames(found[sh.group+"/"+sh.feature]))
	}
	b.WriteString("\n## Not verified live\n\nNo engine that runs here has these. Their requests are read, as tests show, and no more is claimed.\n\n| feature | what is read |\n|---|---|\n")
	for _, u := range unverified {
		says := fmt.Sprintf("the words; the first %d hits at most are reranked", u.window)
		switch {
		case u.passes != "":
			says = "passes: " + u.passes
		case u.window == window:
			says = "the words; reranked"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", escaped(u.feature), says)
	}
	b.WriteString(`| retriever.text_similarity_reranker, run by the engine itself | passes, unless the configuration names its inference id |
| async search, ES\|QL, SQL, EQL, scroll and point-in-time endpoints | forwarded untouched |
| Elasticsearch 9 | the same wire format as 8, not run |
`)
	return b.String()
}

func (sh shape) does() string {
	text := "reranked"
	switch {
	case sh.group == "Run by rerankd":
		return escaped(sh.how)
	case sh.passes == "-":
		text = "forwarded"
	case sh.refused:
		text = "passes: `" + sh.passes + "`; the cluster's own error"
	case sh.passes != "":
		text = "passes: `" + sh.passes + "`"
	}
	if sh.how != "" {
		text += "; " + sh.how
	}
	return escaped(text)
}

func escaped(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func engineNames(list []cluster.Engine) string {
	if len(list) == 5 {
		return "all"
	}
	short := map[cluster.Engine]string{cluster.OpenSearch219: "OS 2.19", cluster.OpenSearch380: "OS 3.8", cluster.Elasticsearch819: "ES 8.19", cluster.Elasticsearch814: "ES 8.14", cluster.Elasticsearch717: "ES 7.17"}
	var names []string
	for _, e := range list {
		names = append(names, short[e])
	}
	return strings.Join(names, ", ")
}
