package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
	"github.com/rerankd/rerankd/proxy/experiment"
)

// Searches and events go on while the configuration changes under them, several times a second, and while clients die in the middle of what they
// send and are sent: no search is lost, no record is torn, and nothing is left over.
func TestStorm(t *testing.T) {
	for _, engine := range cluster.Asked(t) {
		t.Run(string(engine), func(t *testing.T) { testStorm(t, cluster.Start(t, engine)) })
	}
}

func testStorm(t *testing.T, node *cluster.Node) {
	for _, name := range []string{"ubi_queries", "ubi_events"} {
		node.Delete(t, name)
		t.Cleanup(func() { node.Delete(t, name) })
	}
	node.Index(t, shop, shopMapping, shopDocuments())
	m := newRampModel(t)
	kept, other := t.TempDir(), t.TempDir()
	rules := func(events, experiment string) string {
		return fmt.Sprintf(`
models: { far: { source: %q, protocol: tei, batch: 50 } }
rules: [{ name: shop, indices: [%s], fields: [title, body], stages: [{ model: far, window: 20 }], budget: 3s }]
events: { %s, rate: 100000 }
experiments: [{ name: storm, rule: shop, unit: [{ header: X-User }], variants: { lexical: { rerank: off }, reranked: {} }, force: true, %s }]
`, m.URL, shop, events, experiment)
	}
	var configurations []string
	for _, events := range []string{
		"sink: file, directory: " + kept, "sink: both, listen_on_proxy: true, directory: " + kept, "sink: cluster, implicit: [get, page, reformulation]", "sink: off",
		"sink: file, directory: " + other + ", clients: hash, queries: drop, salt: 0123456789abcdef", "sink: auto, directory: " + kept,
	} {
		for _, e := range []string{"phase: live", "phase: shadow", "phase: live, assign: interleave", "phase: off", "phase: live, share: 10%"} {
			if !strings.Contains(events, "sink: off") || !strings.Contains(e, "phase: live") && !strings.Contains(e, "shadow") {
				configurations = append(configurations, rules(events, e))
			}
		}
	}
	p := program.Serve(t, node, configurations[0])
	through, admin := client{url: p.URL}, client{url: p.Admin}
	awaitWarm(t, through, "/"+shop+"/_search", body(match("tea")))
	goroutines := metric(t, admin, "go_goroutines")

	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var searches, told, died atomic.Int64
	for who := range 4 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				ubi := map[string]any{"ubi": map[string]any{"client_id": fmt.Sprint(who), "user_query": "wool socks"}}
				search := body(match(fmt.Sprintf("%s %d", words[i%len(words)], i%50)), "size", 5, "from", 5*(i%2), "ext", ubi)
				a, err := through.try(context.WithoutCancel(ctx), http.MethodPost, "/"+shop+"/_search", search, fmt.Sprintf("X-User: %d-%d", who, i%20))
				// Where nothing is kept and nothing is reordered, ext.ubi is the cluster's, which has no plugin.
				refused := a.Status == http.StatusBadRequest && strings.Contains(string(a.Body), "ubi")
				if err != nil || a.Status != http.StatusOK && !refused {
					t.Errorf("a search in the storm: %v, %d %.300s", err, a.Status, a.Body)
					return
				}
				searches.Add(1)
				id := a.Header.Get("X-Rerank-Query-Id")
				if id == "" {
					continue
				}
				to := []client{through, admin}[i%2]
				a, err = to.try(context.WithoutCancel(ctx), http.MethodPost, "/ubi_events", fmt.Sprintf(`[{"action_name":"click","query_id":%q,"event_attributes":{"object":{"object_id":"1"}}}]`, id))
				switch {
				case err != nil:
					t.Errorf("a click in the storm: %v", err)
					return
				case a.Status == http.StatusAccepted:
					told.Add(1)
				case a.Status == http.StatusServiceUnavailable, i%2 == 0: // nothing is kept just now; the cluster's own answer where it is not listened for
				default:
					t.Errorf("a click in the storm: %d %.300s", a.Status, a.Body)
				}
			}
		})
	}
	for n := range 2 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				dieInTheMiddle(through.url, admin.url, n, i)
				died.Add(1)
				time.Sleep(3 * time.Millisecond)
			}
		})
	}
	for i := range 40 {
		p.Configure(t, configurations[i*7%len(configurations)])
		time.Sleep(300 * time.Millisecond)
	}
	cancel()
	all.Wait()
	reloads := strings.Count(p.Log(), "the configuration is in force")
	t.Logf("%d searches, %d clicks, %d clients that died, %d reloads", searches.Load(), told.Load(), died.Load(), reloads)
	if searches.Load() < 300 || told.Load() < 50 || reloads < 10 {
		t.Error("this was no storm")
	}

	// What is left over: no request, no connection, no sink.
	p.Configure(t, configurations[0])
	transport.CloseIdleConnections()
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		now := metric(t, admin, "go_goroutines")
		if now <= goroutines+20 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("%v goroutines are left of %v before", now, goroutines)
			break
		}
	}
	records := 0
	for _, directory := range []string{kept, other} {
		files, err := filepath.Glob(filepath.Join(directory, "*.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				var r experiment.Record
				if err := json.Unmarshal([]byte(line), &r); err != nil || !strings.HasSuffix(line, "\n") {
					t.Errorf("%s has the line %q: %v", file, line, err)
				}
				records++
				if directory == other && (strings.Contains(line, "socks") || strings.Contains(line, `"client":"0"`)) {
					t.Errorf("what is to be dropped and hashed is kept: %s", line)
				}
			}
		}
	}
	t.Logf("%d records in files, each whole", records)
	if records == 0 {
		t.Error("nothing was kept")
	}
}

// dieInTheMiddle is a client that says half of what it wants, or does not wait for the answer.
func dieInTheMiddle(search, events string, n, i int) {
	at, path, whole := search, "/"+shop+"/_search", body(match("tea"), "size", 100)
	if n == 1 {
		at, path, whole = events, "/ubi_events", `[{"action_name":"click","query_id":"dying"},{"action_name":"cl`+strings.Repeat("i", 5000)+`"}]`
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	if err != nil {
		return
	}
	defer conn.Close()
	request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-User: dying\r\nContent-Length: %d\r\n\r\n%s", path, len(whole), whole)
	switch i % 4 {
	case 0: // leaves before it has said all
		fmt.Fprint(conn, request[:len(request)*(1+i%7)/8])
	case 1: // leaves before it is answered
		fmt.Fprint(conn, request)
	case 2: // leaves within the answer
		fmt.Fprint(conn, request)
		conn.SetReadDeadline(time.Now().Add(time.Second))
		conn.Read(make([]byte, 64))
	case 3: // says more than was said
		fmt.Fprint(conn, request+"garbage\r\n\r\n")
	}
	if tcp, ok := conn.(*net.TCPConn); ok && i%3 == 0 {
		tcp.SetLinger(0) // a reset in the place of a goodbye
	}
}
