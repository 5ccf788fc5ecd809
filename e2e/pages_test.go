package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/e2e/program"
	"github.com/rerankd/rerankd/rerank/eval"
)

// testBrowser clicks and types through the pages of the admin listener as a person does, in headless Chromium: with scripting and without, wide and
// narrow, light and dark. Whatever a page complains of fails the test, what its policy forbids included. RERANKD_SCREENSHOTS names a folder for
// pictures to be looked at.
func testBrowser(t *testing.T, direct, through client, p program.Program) {
	file := chromium()
	if file == "" {
		t.Skip("needs a Chromium: apt-get install chromium")
	}
	t.Run("compare", func(t *testing.T) { browseCompare(t, open(t, file, p.Admin), direct, through) })
	t.Run("judge", func(t *testing.T) { browseJudgments(t, open(t, file, p.Admin), p) })
	t.Run("live", func(t *testing.T) { browseLive(t, open(t, file, p.Admin), through) })
	t.Run("without scripting", func(t *testing.T) { browseUnscripted(t, open(t, file, p.Admin), direct, through) })
	t.Run("looks", func(t *testing.T) { browseLooks(t, open(t, file, p.Admin)) })
}

// chromium finds the browser; "" where there is none.
func chromium() string {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if file, err := exec.LookPath(name); err == nil && name != "" {
			return file
		}
	}
	return ""
}

// A browser is one tab.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string

	expected string // in a complaint that the test has provoked

	mu         sync.Mutex
	complaints []string
}

// open starts a browser, which ends with the test.
func open(t *testing.T, file, base string) *browser {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(file), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the browser's end
		cancel()
	})
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base}
	if err := chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			b.complaints = append(b.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		case *runtime.EventExceptionThrown:
			b.complaints = append(b.complaints, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			b.complaints = append(b.complaints, fmt.Sprintf("console.%s", e.Type))
		}
	}); err != nil {
		t.Fatalf("starting %s: %v", file, err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range b.complaints {
			if b.expected != "" && strings.Contains(c, b.expected) {
				continue
			}
			t.Errorf("the page complains: %s", c)
		}
	})
	return b
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v\nat %s", err, b.address())
	}
}

func (b *browser) visit(path string) { b.t.Helper(); b.do(chromedp.Navigate(b.base + path)) }

// follow does what leads to another page, and waits for it.
func (b *browser) follow(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if _, err := chromedp.RunResponse(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v\nat %s", err, b.address())
	}
}

func (b *browser) address() string {
	at, _ := chromedp.Run(b.ctx, chromedp.Location())
	return at
}

// query are the parameters of the page's URL.
func (b *browser) query() url.Values {
	b.t.Helper()
	u, err := url.Parse(b.address())
	if err != nil {
		b.t.Fatal(err)
	}
	return u.Query()
}

// texts are those of all elements that a selector finds.
func (b *browser) texts(selector string) []string {
	b.t.Helper()
	return evaluate[[]string](b, fmt.Sprintf("[...document.querySelectorAll(%q)].map((e) => e.textContent.trim())", selector))
}

// await waits until an expression is true.
func (b *browser) await(expression string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(15*time.Second))); err != nil {
		b.t.Fatalf("waiting for %s: %v\nat %s", expression, err, b.address())
	}
}

func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v\nat %s", expression, err, b.address())
	}
	return v
}

// typed replaces what stands in a field.
func typed(selector chromedp.CSS, text string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.Focus(selector), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[any]("document.activeElement.select()"))
		return err
	}), chromedp.SendKeys(selector, text))
}

// Both lists are what a client gets, from the cluster and through rerankd; forms, keys and links lead to URLs that show the same again.
func browseCompare(t *testing.T, b *browser, direct, through client) {
	search := body(match(words[0]), "size", 10)
	b.visit("/")
	b.follow(chromedp.Click(chromedp.CSS(`nav a[href="/compare"]`)))
	b.do(chromedp.Click(chromedp.CSS("details:nth-of-type(2) summary")), typed(`textarea[name=body]`, search), typed(`input[name=index]`, shop))
	b.follow(chromedp.Click(chromedp.CSS("button.primary")))
	want, got := direct.search(t, "/"+shop+"/_search", search), through.search(t, "/"+shop+"/_search", search)
	if diff := cmp.Diff([][]string{want.ids, got.ids}, [][]string{b.texts("section:nth-of-type(1) .id"), b.texts("section:nth-of-type(2) .id")}); diff != "" {
		t.Errorf("the lists (-what clients get +the page):\n%s", diff)
	}
	if diff := cmp.Diff(url.Values{"index": {shop}, "body": {search}}, b.query()); diff != "" {
		t.Errorf("the page's URL (-want +got):\n%s", diff)
	}
	for i, id := range got.ids {
		sign := b.texts(fmt.Sprintf("section:nth-of-type(2) li:nth-child(%d) .move [aria-hidden]", i+1))
		was := slices.Index(want.ids, id)
		switch {
		case len(sign) != 1,
			was < 0 && !strings.HasPrefix(sign[0], "new"),
			was == i && sign[0] != "=",
			was > i && sign[0] != fmt.Sprintf("▲ %d", was-i),
			was >= 0 && was < i && sign[0] != fmt.Sprintf("▼ %d", i-was):
			t.Errorf("hit %s went from %d to %d, and the page says %q", id, was+1, i+1, sign)
		}
	}

	// Words, a list of queries, and the rule changed for one look.
	b.visit("/compare")
	b.do(typed(`input[name=q]`, "warm jacket"), typed(`input[name=index]`, shop), chromedp.Click(chromedp.CSS("details:nth-of-type(1) summary")))
	b.do(chromedp.SetValue(chromedp.CSS(`select[name=fusion]`), "replace"), typed(`input[name=window]`, "20"))
	b.follow(chromedp.SendKeys(chromedp.CSS(`input[name=window]`), "\r"))
	if diff := cmp.Diff(url.Values{"index": {shop}, "q": {"warm jacket"}, "fusion": {"replace"}, "window": {"20"}}, b.query()); diff != "" {
		t.Errorf("the page's URL (-want +got):\n%s", diff)
	}
	if marks := b.texts(".title mark"); !slices.Contains(marks, "warm") || !slices.Contains(marks, "jacket") {
		t.Errorf("got the words %v marked", marks)
	}
	if strip := strings.Join(b.texts(".strip div"), " "); !strings.Contains(strip, "20 of 20 hits") || !strings.Contains(strip, "RBO") {
		t.Errorf("got %q, want a window of 20 read, and the measures", strip)
	}
	b.visit("/compare?" + url.Values{"index": {shop}, "queries": {"a\thead torch\nb\twool socks\nc\tbicycle lock"}}.Encode())
	for _, step := range []struct{ key, want string }{{"n", "wool socks"}, {"n", "bicycle lock"}, {"p", "wool socks"}} {
		b.follow(chromedp.KeyEvent(step.key))
		if got := b.texts(".steps [aria-current]"); !slices.Equal(got, []string{step.want}) || evaluate[string](b, "document.querySelector('[data-query]').value") != step.want {
			t.Errorf("after %q got %q, want %q", step.key, got, step.want)
		}
	}
	b.do(chromedp.KeyEvent("/"), chromedp.KeyEvent("n"))
	if !evaluate[bool](b, "document.activeElement.name === 'q' && document.activeElement.value.includes('n')") || b.query().Get("n") != "2" {
		t.Errorf("got to %s, want the key to go to the words, and what is typed there to stay there", b.address())
	}
	// Keys of one character can be switched off, and stay off.
	b.do(chromedp.Click(chromedp.CSS(".keys summary")), chromedp.Click(chromedp.CSS("[data-keys]")))
	b.visit("/compare?" + url.Values{"index": {shop}, "queries": {"head torch\nwool socks"}, "n": {"1"}}.Encode())
	b.do(chromedp.KeyEvent("n"), chromedp.Sleep(200*time.Millisecond))
	if got := b.query().Get("n"); got != "1" {
		t.Errorf("with keys off got to %s", got)
	}
}

// Judging by keys alone: blind pairs, then grades, which are files that eval reads.
func browseJudgments(t *testing.T, b *browser, p program.Program) {
	list := "a\twarm jacket\nb\tbicycle lock"
	b.visit("/compare?" + url.Values{"index": {shop}, "queries": {list}, "n": {"1"}, "view": {"pair"}}.Encode())
	if moves := b.texts(".move, .score, .strip"); len(moves) > 0 {
		t.Errorf("the blind page shows %v", moves)
	}
	b.follow(chromedp.KeyEvent("1"))
	if got := b.query().Get("n"); got != "2" || len(b.texts(".notice.good")) != 1 {
		t.Errorf("got to %s, want the second query and to be told that the first was kept", b.address())
	}
	b.follow(chromedp.Click(chromedp.CSS("nav.views a:nth-child(3)")))
	first := b.texts(".pool .id")
	for i, key := range []string{"3", "0", "2"} {
		if got := evaluate[string](b, "document.activeElement.querySelector('.id')?.textContent"); got != first[i] {
			t.Errorf("the focus is on %q, want %q", got, first[i])
		}
		b.do(chromedp.KeyEvent(key))
		b.await(fmt.Sprintf("document.querySelectorAll('[data-kept]')[%d].textContent === 'kept'", i))
	}
	b.do(chromedp.KeyEvent("k"), chromedp.KeyEvent("k"), chromedp.KeyEvent("1")) // back to the second, which is better than was thought
	b.await("document.querySelectorAll('input[name=\"was.1\"]')[0].value === '1'")

	queries, err := eval.ReadQueries("queries.tsv", strings.NewReader(read(t, p, "queries.tsv")), eval.Auto)
	if err != nil {
		t.Fatal(err)
	}
	judgments, err := eval.ReadQrels("qrels.txt", strings.NewReader(read(t, p, "qrels.txt")), eval.Auto, queries, eval.Clicks{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(eval.Qrels{"b": {first[0]: 3, first[1]: 1, first[2]: 2}}, judgments.Qrels); diff != "" {
		t.Errorf("the grades (-given +kept):\n%s", diff)
	}
	b.follow(chromedp.Click(chromedp.CSS(`nav a[href="/judgments"]`)))
	if got := strings.Join(b.texts(".strip div"), " "); !strings.Contains(got, "3 of 2 queries") {
		t.Errorf("got %q, want three grades", got)
	}
}

func read(t *testing.T, p program.Program, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.Judgments, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A search that comes while the page is open is on it without being loaded again; until it is told to pause.
func browseLive(t *testing.T, b *browser, through client) {
	b.visit("/live")
	b.await("document.querySelectorAll('.charts canvas').length === 3 && document.querySelector('[data-state]').textContent === 'Up to date'")
	through.search(t, "/"+shop+"/_search", body(match("trail map for the mountains")))
	b.await("document.querySelector('[data-rows] .words')?.textContent.startsWith('trail map for the mountains')")
	row := map[string]string{}
	cells := b.texts("[data-rows] tr:first-child td")
	for i, name := range b.texts("table.searches thead th") {
		row[name] = cells[i]
	}
	if !strings.HasPrefix(row["Outcome"], "applied") || !strings.Contains(row["Moved"], "of") || row["Total"] == "" || row["Variant experiment"] != "" {
		t.Errorf("got the row %q", row)
	}
	b.do(chromedp.Click(chromedp.CSS("[data-pause]")))
	through.search(t, "/"+shop+"/_search", body(match("first aid kit")))
	b.do(chromedp.Sleep(2500 * time.Millisecond))
	if got := b.texts("[data-rows] .words"); strings.HasPrefix(got[0], "first aid") {
		t.Errorf("got %q while it is paused", got[0])
	}
	b.do(chromedp.Click(chromedp.CSS("[data-pause]")))
	b.await("document.querySelector('[data-rows] .words').textContent.startsWith('first aid kit')")
	b.follow(chromedp.Click(chromedp.CSS("[data-rows] .words a")))
	if got := b.query(); got.Get("q") != "first aid kit" || len(b.texts(".hits li")) == 0 {
		t.Errorf("got to %s, want that search side by side", b.address())
	}
}

// Without scripting the same is shown, and forms lead to the same URLs.
func browseUnscripted(t *testing.T, b *browser, direct, through client) {
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.visit("/compare")
	b.do(typed(`input[name=q]`, "warm jacket"), typed(`input[name=index]`, shop))
	b.follow(chromedp.Click(chromedp.CSS("button.primary")))
	if diff := cmp.Diff(url.Values{"index": {shop}, "q": {"warm jacket"}}, b.query()); diff != "" {
		t.Errorf("the page's URL (-want +got):\n%s", diff)
	}
	if n := len(b.texts(".hits li")); n != 20 {
		t.Errorf("got %d hits, want two lists of ten", n)
	}
	b.follow(chromedp.Click(chromedp.CSS("nav.views a:nth-child(3)")))
	b.do(chromedp.Click(chromedp.CSS(".pool li:nth-child(1) label:nth-of-type(3)")))
	b.follow(chromedp.Click(chromedp.CSS("[data-grading] button")))
	if got := b.texts(".notice.good"); !slices.Equal(got, []string{"One judgment kept."}) || !evaluate[bool](b, `document.querySelector('.pool li:nth-child(1) input[type=radio][value="2"]').checked`) {
		t.Errorf("got %q, want the grade kept and shown", got)
	}
	through.search(t, "/"+shop+"/_search", body(match("cheap water bottle")))
	b.visit("/live")
	if got := b.texts("[data-rows] .words"); len(got) == 0 || !strings.HasPrefix(got[0], "cheap water bottle") {
		t.Errorf("got %q, want the search of just now", got)
	}
	if evaluate[bool](b, "!document.querySelector('[data-charts]').hidden || !document.querySelector('[data-pause]').hidden") {
		t.Error("what needs scripting is shown without")
	}
}

// No page is wider than its window, at 1280 pixels or at 400, and every field has a label.
func browseLooks(t *testing.T, b *browser) {
	looks(t, b, map[string]string{
		"overview":  "/",
		"compare":   "/compare?" + url.Values{"index": {shop}, "q": {"warm jacket"}}.Encode(),
		"pair":      "/compare?" + url.Values{"index": {shop}, "queries": {"warm jacket\nwool socks"}, "n": {"1"}, "view": {"pair"}}.Encode(),
		"grade":     "/compare?" + url.Values{"index": {shop}, "q": {"warm jacket"}, "view": {"grade"}}.Encode(),
		"empty":     "/compare",
		"live":      "/live",
		"judgments": "/judgments",
	})
}

func looks(t *testing.T, b *browser, pages map[string]string) {
	for _, width := range []int64{1280, 400} {
		for _, scheme := range []string{"light", "dark"} {
			b.do(chromedp.EmulateViewport(width, 800), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				})
				return err
			}))
			for name, path := range pages {
				b.visit(path)
				if wide := evaluate[int](b, "document.documentElement.scrollWidth"); int64(wide) > width {
					t.Errorf("%s is %d pixels wide in a window of %d", name, wide, width)
				}
				if bare := evaluate[[]string](b, "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')].filter((f) => !f.labels.length).map((f) => f.name)"); len(bare) > 0 {
					t.Errorf("%s has fields without a label: %v", name, bare)
				}
				if folder := os.Getenv("RERANKD_SCREENSHOTS"); folder != "" {
					b.do(chromedp.Sleep(300 * time.Millisecond))
					picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), picture, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
