package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
	"github.com/rerankd/rerankd/proxy/experiment/verdict"
)

// testExperimentPages has people search and click under an experiment, and looks at its page: in a browser where there is one, and as JSON, which
// is what the command prints of the same files.
func testExperimentPages(t *testing.T, node *cluster.Node) {
	kept := t.TempDir()
	p := program.Serve(t, node, fmt.Sprintf(`
rules:
  - { name: shop, indices: [%s], fields: [title, body], stages: [{ model: small, window: 20 }], budget: 60s }
  - { name: other, indices: [nothing], fields: [title] }
  - { name: mixed, indices: [neither], fields: [title] }
events: { directory: %q }
experiments:
  - { name: reranked-vs-lexical, rule: shop, variants: { lexical: { rerank: off }, reranked: {} }, unit: [{ header: X-User }], phase: live }
  - { name: simulated, rule: other, assign: interleave, variants: { lexical: { rerank: off }, reranked: {} } }
  - { name: lossy, rule: mixed, variants: { lexical: { rerank: off }, reranked: {} } }
  - { name: unseen, rule: mixed, variants: { lexical: { rerank: off }, reranked: {} } }
`, shop, kept))
	simulatePeople(t, filepath.Join(kept, "experiment-another-machine.jsonl"))
	through, admin := client{url: p.URL}, client{url: p.Admin}
	const people = 30
	searches := map[string]int{}
	for i := range people {
		a := through.do(t, http.MethodPost, "/"+shop+"/_search", body(match(words[i%len(words)]), "size", 5), fmt.Sprint("X-User: somebody-", i))
		var page struct {
			Hits struct {
				Hits []struct {
					ID string `json:"_id"`
				}
			}
		}
		unmarshal(t, a.Body, &page)
		id := a.Header.Get("X-Rerank-Query-Id")
		if a.Status != http.StatusOK || id == "" || len(page.Hits.Hits) == 0 {
			t.Fatalf("got %d %s, query id %q", a.Status, a.Body, id)
		}
		_, variant, _ := strings.Cut(a.Header.Get("X-Rerank"), `variant="`)
		searches[strings.TrimSuffix(variant, `"`)]++
		click := fmt.Sprintf(`[{"action_name":"click","query_id":%q,"event_attributes":{"object":{"object_id":%q}}},
			{"action_name":"<b>add to cart</b>","query_id":%q,"event_attributes":{"object":{"object_id":%q}}}]`, id, page.Hits.Hits[0].ID, id, page.Hits.Hits[0].ID)
		if a := admin.do(t, http.MethodPost, "/ubi_events", click); a.Status != http.StatusAccepted {
			t.Fatalf("got %d %s", a.Status, a.Body)
		}
	}
	if len(searches) != 2 || searches["lexical"]+searches["reranked"] != people {
		t.Fatalf("got searches %v, want both variants", searches)
	}
	report := awaitReport(t, admin, "reranked-vs-lexical", people)
	if len(report.Cells) != 2 || report.Cells[0].Searches != searches["lexical"] || report.Cells[1].Searches != searches["reranked"] || report.Cells[0].Clicks != searches["lexical"] || report.Cells[1].CTR1 != 1 {
		t.Errorf("got %+v, want %v searches, and a click on the first hit of each", report.Cells, searches)
	}
	printed := exec.CommandContext(t.Context(), program.Binary(t), append([]string{"experiment", "report", "--json", "-e", "simulated"}, recordFiles(t, kept)...)...)
	printed.Stderr = os.Stderr
	out, err := printed.Output()
	if err != nil {
		t.Fatal(err)
	}
	var ofCommand, ofPage verdict.Report
	unmarshal(t, out, &ofCommand)
	unmarshal(t, admin.do(t, http.MethodGet, "/experiments/simulated.json", "").Body, &ofPage)
	if diff := cmp.Diff(ofCommand, ofPage); diff != "" {
		t.Errorf("the report (-of the command +of the page):\n%s", diff)
	}

	file := chromium()
	if file == "" {
		t.Skip("the pages are looked at in a Chromium: apt-get install chromium")
	}
	t.Run("clicked through", func(t *testing.T) { browseExperiments(t, open(t, file, p.Admin), searches, &ofPage) })
	t.Run("looks", func(t *testing.T) {
		looks(t, open(t, file, p.Admin), map[string]string{
			"experiments": "/experiments", "verdict": "/experiments/reranked-vs-lexical", "verdict-shared": "/experiments/simulated?aa=1", "verdict-lossy": "/experiments/lossy", "verdict-none": "/experiments/unseen",
		})
	})
}

func recordFiles(t *testing.T, directory string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "experiment-*.jsonl"))
	if err != nil || len(files) != 2 {
		t.Fatalf("got files %v, %v, want the program's and another's", files, err)
	}
	return files
}

// awaitReport waits until what was searched and clicked has been written and read.
func awaitReport(t *testing.T, admin client, name string, clicks int) verdict.Report {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		a := admin.do(t, http.MethodGet, "/experiments/"+name+".json", "")
		var report verdict.Report
		if a.Status == http.StatusOK {
			unmarshal(t, a.Body, &report)
			if report.Clicks.Counted == clicks {
				return report
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute got %d %s, want %d clicks", a.Status, a.Body, clicks)
		}
	}
}

// simulatePeople writes the records of another copy of the program: of shared pages, and of a split whose records are lost in part.
func simulatePeople(t *testing.T, file string) {
	t.Helper()
	variants := []experiment.Variant{{Name: "lexical", Share: 0.5}, {Name: "reranked", Share: 0.5}}
	traffic := simulate.Traffic{
		World:      simulate.World{Seed: 1, Queries: 100, Hits: 20, Control: 1.5},
		Population: simulate.Population{Seed: 2, Model: simulate.DCM{Continue: []float64{0.5}, Patience: 0.9}, Keen: 0.5, Tail: 1.3, Most: 50},
		Users:      600, Start: time.Now().Add(-1000 * time.Hour), Gap: 5 * time.Minute, Next: 0.1, Fallback: 0.15,
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := json.NewEncoder(f)
	for seed, e := range []experiment.Experiment{
		{Name: "simulated", Variants: variants, Interleave: true, Share: 1, Phase: "100%"},
		{Name: "lossy", Variants: variants, Share: 1, Phase: "100%"},
	} {
		traffic.Experiment, traffic.Population.Seed = e, uint64(seed)
		for r := range traffic.Records() {
			if e.Name == "lossy" && r.Impression != nil && r.Impression.Variant == "reranked" && r.Impression.Client < "q" {
				continue
			}
			if err := lines.Encode(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	fmt.Fprintln(f, "this is no record")
}

// From the list to the verdict and the noise, with scripting off, as it is of no use there; by the keyboard too.
func browseExperiments(t *testing.T, b *browser, searches map[string]int, shared *verdict.Report) {
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.visit("/")
	b.follow(chromedp.Click(chromedp.CSS(`nav a[href="/experiments"]`)))
	if got := b.texts(".trial h2 a"); len(got) != 4 || got[0] != "reranked-vs-lexical" {
		t.Fatalf("got the experiments %q", got)
	}
	b.follow(chromedp.Focus(chromedp.CSS(".trial:nth-of-type(1) h2 a")), chromedp.KeyEvent("\r"))
	if got := b.texts(".verdict p"); len(got) == 0 || !strings.HasPrefix(got[0], "Nothing can be said yet of reranked and lexical") {
		t.Errorf("got the verdict %q", got)
	}
	for i, variant := range []string{"lexical", "reranked"} {
		row := b.texts(fmt.Sprintf(".cells tbody tr:nth-child(%d) > *", i+1))
		if want := fmt.Sprint(searches[variant]); row[1] != variant || row[3] != want || row[5] != want || row[6] != "1.000" {
			t.Errorf("got the row %q, want %s searches, a click in each", row, want)
		}
	}
	if got := b.texts("td.words"); len(got) != 2 || !strings.HasPrefix(got[0], "<b>add to cart</b>") {
		t.Errorf("got the other actions %q, want what was sent, as text", got)
	}
	if got := strings.Join(b.texts(".notice"), " "); !strings.Contains(got, "1 line could not be read") {
		t.Errorf("got the notices %q, want to be told of the line that is no record", got)
	}
	b.visit("/experiments/simulated")
	if got := b.texts(".verdict p"); strings.ReplaceAll(got[0], "\u00a0", " ") != shared.Verdict || !strings.HasPrefix(got[0], "reranked is better than lexical") {
		t.Errorf("got the verdict %q, want %q", got, shared.Verdict)
	}
	if got := evaluate[string](b, "document.querySelector('svg.interval').getAttribute('aria-label')"); !strings.HasPrefix(got, "between ") {
		t.Errorf("got %q for those who do not see what is drawn", got)
	}
	// The bar and the line of no difference are drawn where they should be, by the style sheet alone.
	if !evaluate[bool](b, `(() => { const box = (c) => document.querySelector('svg.interval ' + c).getBoundingClientRect(), bar = box('.bar'), zero = box('.zero');
		return bar.width > 10 && bar.left > zero.left && getComputedStyle(document.querySelector('svg.interval .bar')).fill !== 'rgb(0, 0, 0)' })()`) {
		t.Error("the interval of a better variant is not right of no difference")
	}
	b.do(chromedp.Click(chromedp.CSS("section[aria-labelledby=shared] summary")))
	if !evaluate[bool](b, "document.querySelector('section[aria-labelledby=shared] details').open") {
		t.Error("the meaning of the numbers does not open")
	}
	b.follow(chromedp.Click(chromedp.CSS("section[aria-labelledby=noise] a")))
	if got := strings.Join(b.texts("section[aria-labelledby=noise] p"), ""); !strings.HasPrefix(got, "200 times whose picks are whose was thrown anew") || b.query().Get("aa") != "1" {
		t.Errorf("got %q at %s, want the noise", got, b.address())
	}
	b.visit("/experiments/lossy")
	if got := b.texts(".notice.bad"); len(got) == 0 || !strings.Contains(got[0], "Sample ratio mismatch") || len(b.texts(".verdict.bad")) != 1 {
		t.Errorf("got the warnings %q", got)
	}
}
