package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/ubi"
)

// What searches show and what people do is kept in files and in a real cluster without a plugin, by the program as it is built.
func TestEvents(t *testing.T) {
	for _, engine := range cluster.Asked(t) {
		t.Run(string(engine), func(t *testing.T) { testEvents(t, cluster.Start(t, engine)) })
	}
}

func testEvents(t *testing.T, node *cluster.Node) {
	const index = "e2e-events"
	for _, name := range []string{"ubi_queries", "ubi_events"} {
		node.Delete(t, name)
		t.Cleanup(func() { node.Delete(t, name) })
	}
	var bulk strings.Builder
	for i := range 25 {
		fmt.Fprintf(&bulk, `{"index":{"_id":"%d"}}`+"\n"+`{"sku":%d,"title":"hiking boots number %d"}`+"\n", i, 1000+i, i)
	}
	node.Index(t, index, `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{"title":{"type":"text"},"sku":{"type":"long"}}}}`, bulk.String())
	kept := t.TempDir()
	p := program.Serve(t, node, fmt.Sprintf(`
rules: [{ indices: [%s], fields: [title], stages: [{ model: small, window: 25 }], budget: 60s }]
events: { sink: both, directory: %s, implicit: [get, page, reformulation] }
experiments:
  - { name: boots, variants: { lexical: { rerank: off }, reranked: {} }, unit: [{ header: X-User }], phase: live }
`, index, kept))
	through := client{url: p.URL}
	awaitWarm(t, through, "/"+index+"/_search", body(match("boots")))

	type page struct {
		Hits struct {
			Hits []struct {
				ID     string `json:"_id"`
				Source struct{ SKU int64 }
			}
		}
		Ext struct {
			UBI struct {
				QueryID string `json:"query_id"`
			}
		}
	}
	search := func(user, words string, from int) page {
		a := through.do(t, http.MethodPost, "/"+index+"/_search", fmt.Sprintf(`{"query":{"match":{"title":%q}},"from":%d,"size":5,
			"ext":{"ubi":{"client_id":"client-%s","user_query":%q,"object_id_field":"sku","query_attributes":{"test":"yes"}}}}`, words, from, user, words), "X-User: "+user)
		var shown page
		unmarshal(t, a.Body, &shown)
		if a.Status != http.StatusOK || len(shown.Hits.Hits) != 5 || shown.Ext.UBI.QueryID == "" || a.Header.Get("X-Rerank-Query-Id") != shown.Ext.UBI.QueryID {
			t.Fatalf("got %d %s, query id %q", a.Status, a.Body, a.Header.Get("X-Rerank-Query-Id"))
		}
		return shown
	}
	admin := client{url: p.Admin}
	clicked := map[string]string{} // the _id of what was clicked, by query
	for user := range 8 {
		name := fmt.Sprint("user-", user)
		first := search(name, "hiking boots", 0)
		second := search(name, "hiking boots", 5)
		search(name, "boots for hiking", 0)
		clicked[first.Ext.UBI.QueryID] = first.Hits.Hits[1].ID
		a := admin.do(t, http.MethodPost, "/ubi_events", fmt.Sprintf(`[{"action_name":"click","query_id":%q,"client_id":"client-%s","timestamp":%d,"user_query":"hiking boots",
			"event_attributes":{"object":{"object_id":%d,"object_id_field":"sku"},"position":{"ordinal":2}}}]`,
			first.Ext.UBI.QueryID, name, time.Now().UnixMilli(), first.Hits.Hits[1].Source.SKU))
		if a.Status != http.StatusAccepted || !strings.Contains(string(a.Body), `"accepted":1`) {
			t.Fatalf("got %d %s", a.Status, a.Body)
		}
		if a := through.do(t, http.MethodGet, "/"+index+"/_doc/"+second.Hits.Hits[2].ID, "", "X-User: "+name); a.Status != http.StatusOK {
			t.Fatalf("got %d %s", a.Status, a.Body)
		}
	}

	c := recordsOf{node, &http.Transport{}}
	defer c.transport.CloseIdleConnections()
	ours := `{"prefix":{"client_id":"client-user-"}}`
	deadline := time.Now().Add(30 * time.Second)
	for { // both sinks write within a second or so
		c.do(t, http.MethodPost, "/_refresh", "")
		if c.has(t, "ubi_events") && c.has(t, "ubi_queries") && c.count(t, "ubi_queries", ours) >= 24 && c.count(t, "ubi_events", ours) >= 24*5+8*4 || time.Now().After(deadline) {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	action := func(name, more string) string {
		return fmt.Sprintf(`{"bool":{"filter":[%s,{"term":{"action_name":%q}}%s]}}`, ours, name, more)
	}
	for _, test := range []struct {
		index, query string
		want         int
	}{
		{"ubi_queries", ours, 24},
		{"ubi_queries", `{"bool":{"filter":[{"term":{"query_attributes.test":"yes"}},{"term":{"query_attributes.rerankd_experiment":"boots"}}]}}`, 24},
		{"ubi_events", action("impression", ""), 120},
		{"ubi_events", action("click", ""), 16},
		{"ubi_events", action("click", `,{"term":{"message":"get"}},{"term":{"event_attributes.position.ordinal":8}}`), 8},
		{"ubi_events", action("page", ""), 8},
		{"ubi_events", action("reformulation", ""), 8},
	} {
		if got := c.count(t, test.index, test.query); got != test.want {
			t.Errorf("%s %s: got %d, want %d", test.index, test.query, got, test.want)
		}
	}

	variants, events := map[string]int{}, map[string]int{}
	lines, err := os.ReadFile(onlyFile(t, kept))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(lines)) {
		var r experiment.Record
		unmarshal(t, []byte(line), &r)
		switch {
		case r.Impression != nil && r.Impression.Client != "":
			i := r.Impression
			variants[i.Variant]++
			if hit, ok := clicked[i.QueryID]; ok && i.From == 0 && (i.Hits[1].ID != hit || i.Hits[1].Object == "" || i.Field != "sku" || i.Total != 25) {
				t.Errorf("got %s, of which %s was clicked", line, hit)
			}
		case r.Event != nil:
			events[r.Event.Action+" "+r.Event.Implicit]++
		}
	}
	if diff := cmp.Diff(map[string]int{"click ": 8, "click get": 8, "page page": 8, "reformulation reformulation": 8}, events); diff != "" {
		t.Errorf("events in the file (-want +got)\n%s", diff)
	}
	if variants["lexical"]+variants["reranked"] != 24 || variants["lexical"]%3 != 0 || variants["lexical"] == 0 || variants["reranked"] == 0 {
		t.Errorf("impressions in the file: %v", variants)
	}
}

// onlyFile is the file of records in a directory.
func onlyFile(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(names) != 1 {
		t.Fatalf("got the files %v, %v", names, err)
	}
	return names[0]
}

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
