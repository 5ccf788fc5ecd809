package e2e

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/ubi"
)

// The few lines of JavaScript in docs/events.md do in a browser what the text beside them says, from a page of another origin.
func TestEventsFromABrowser(t *testing.T) {
	if os.Getenv("RERANKD_E2E") == "" {
		t.Skip("needs a browser: RERANKD_E2E=1 runs it where there is chromium")
	}
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium")
	}
	text, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```js\n")
	script, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/events.md has no JavaScript any more")
	}

	records := make(chan experiment.Record, 10)
	handler := ubi.New(ubi.Options{Sink: sinkOf(records)}, nil)
	events := httptest.NewServer(handler)
	defer events.Close()
	const address = "https://events.shop.example/ubi_events"
	if strings.Count(script, address) != 1 {
		t.Fatalf("the script names no %s", address)
	}
	script = strings.Replace(script, address, events.URL+"/ubi_events", 1)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><ol data-query-id="q-1" data-from="10"><li data-object-id="A"><b>A</b><li data-object-id="B-1048"><b id="b">B</b></ol><p id="p">no hit</p>
			<script>` + script + `</script><script>document.getElementById("p").click(); document.getElementById("b").click()</script>`))
	}))
	defer page.Close()
	handler.Allow([]string{page.URL})

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=5000", "--dump-dom", page.URL)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("running the browser: %v\n%s", err, complaint.String())
	}
	select {
	case r := <-records:
		want := &experiment.Event{Action: "click", QueryID: "q-1", Object: "B-1048", Field: "sku", Position: 12}
		if diff := cmp.Diff(want, r.Event, cmpopts.IgnoreFields(experiment.Event{}, "Client", "Time", "Seen")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if r.Event.Client == "" || time.Since(r.Event.Time).Abs() > time.Minute {
			t.Errorf("got %+v", r.Event)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("no event came\n%s", complaint.String())
	}
	if len(records) > 0 {
		t.Errorf("another came: %+v", (<-records).Event)
	}
}

// sinkOf keeps records in a channel.
type sinkOf chan experiment.Record

func (s sinkOf) Keep(r experiment.Record) { s <- r }
