package e2e

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
)

// The pages work before a cluster that speaks TLS and asks who is there: with the credentials that are configured, and where none are with those of
// whoever looks.
func TestSecuredPages(t *testing.T) {
	file := chromium()
	for _, e := range cluster.Asked(t) {
		if file == "" {
			t.Skip("needs a Chromium: apt-get install chromium")
		}
		if e == cluster.Elasticsearch717 || e == cluster.OpenSearch380 { // as their kind's others
			continue
		}
		t.Run(string(e), func(t *testing.T) {
			var node *cluster.Node
			var at, ca string
			if e.Elasticsearch() {
				node = cluster.StartTLS(t, e)
				at, ca = node.URL, node.CA
			} else {
				node = cluster.Start(t, e)
				at, ca = guarded(t, node)
			}
			node.Index(t, shop, shopMapping, shopDocuments())
			for _, name := range []string{"ubi_queries", "ubi_events"} {
				node.Delete(t, name)
				t.Cleanup(func() { node.Delete(t, name) })
			}
			reached := fmt.Sprintf("urls: [%q], tls: { ca: %q }", at, ca)
			t.Run("a name and a password", func(t *testing.T) {
				browseSecured(t, file, node, reached+", auth: override, username: elastic, password: not-a-secret", "not-a-secret", "sink: cluster") // from where the page reads them
			})
			t.Run("an API key", func(t *testing.T) {
				key := apiKey(t, node)
				browseSecured(t, file, node, reached+fmt.Sprintf(", auth: override, api_key: %q", key), key, fmt.Sprintf("sink: both, directory: %q", t.TempDir()))
			})
			t.Run("of whoever looks", func(t *testing.T) { browseAsWhoLooks(t, file, node, reached) })
		})
	}
}

// guarded puts before a node what many put before an OpenSearch without its security plugin: TLS, and a name and a password. It returns where
// it listens and the file with its authority.
func guarded(t *testing.T, node *cluster.Node) (at, ca string) {
	t.Helper()
	behind, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("elastic:not-a-secret"))
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
			w.Header().Set("Www-Authenticate", "Basic")
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, ca
}

// apiKey makes one, where the node's build can.
func apiKey(t *testing.T, node *cluster.Node) string {
	t.Helper()
	if node.Engine != cluster.Elasticsearch814 {
		t.Skip("this build of the engine has no API keys: make e2e has one that does")
	}
	var made struct{ Encoded string }
	unmarshal(t, []byte(node.Do(t, http.MethodPost, "/_security/api_key", "application/json", `{"name":"rerankd"}`)), &made)
	if made.Encoded == "" {
		t.Fatal("got no key")
	}
	return made.Encoded
}

// browseSecured looks at every page of a program that has credentials of its own.
func browseSecured(t *testing.T, file string, node *cluster.Node, words, secret, kept string) {
	p := program.ServeCluster(t, words, fmt.Sprintf(`
rules: [{ name: shop, indices: [%s], fields: [title, body], stages: [{ model: small, window: 20 }], budget: 60s }]
events: { %s }
experiments: [{ name: reranked-vs-lexical, rule: shop, variants: { lexical: { rerank: off }, reranked: {} }, unit: [{ header: X-User }], phase: live }]
`, shop, kept))
	through, admin := client{url: p.URL}, client{url: p.Admin}
	awaitWarm(t, through, "/"+shop+"/_search", body(match("tea")))
	const people = 12
	for i := range people {
		a := through.do(t, http.MethodPost, "/"+shop+"/_search", body(match("wool socks"), "size", 5), fmt.Sprint("X-User: ", i))
		if a.Status != http.StatusOK || !strings.Contains(a.Header.Get("X-Rerank"), "variant=") {
			t.Fatalf("got %d, X-Rerank %q", a.Status, a.Header.Get("X-Rerank"))
		}
		ids := idsOf(t, a.Body)
		if a := admin.do(t, http.MethodPost, "/ubi_events", fmt.Sprintf(`[{"action_name":"click","query_id":%q,"event_attributes":{"object":{"object_id":%q}}}]`, a.Header.Get("X-Rerank-Query-Id"), ids[0])); a.Status != http.StatusAccepted {
			t.Fatalf("got %d %s", a.Status, a.Body)
		}
	}
	awaitReport(t, admin, "reranked-vs-lexical", people)

	b := open(t, file, p.Admin)
	search := body(match("warm jacket"), "size", 10)
	b.visit("/compare?" + url.Values{"index": {shop}, "body": {search}}.Encode())
	want := [][]string{
		idsOf(t, []byte(node.Do(t, http.MethodPost, "/"+shop+"/_search", "application/json", search))),
		idsOf(t, through.do(t, http.MethodPost, "/"+shop+"/_search", search, "X-Rerank: on").Body),
	}
	if diff := cmp.Diff(want, [][]string{b.texts("section:nth-of-type(1) .id"), b.texts("section:nth-of-type(2) .id")}); diff != "" {
		t.Errorf("the lists (-what clients get +the page):\n%s", diff)
	}
	if len(b.texts("input[type=password]")) > 0 {
		t.Error("the page asks for a password that nobody needs")
	}
	b.visit("/live")
	b.await("document.querySelector('[data-state]').textContent === 'Up to date'")
	through.search(t, "/"+shop+"/_search", body(match("trail map")))
	b.await("document.querySelector('[data-rows] .words')?.textContent.startsWith('trail map')")
	if got := strings.Join(b.texts("[data-rows] tr:first-child td"), " "); !strings.Contains(got, "lexical reranked-vs-lexical") && !strings.Contains(got, "reranked reranked-vs-lexical") {
		t.Errorf("got the row %q, want the variant", got)
	}
	b.visit("/experiments/reranked-vs-lexical")
	if got := b.texts(".verdict p"); len(got) == 0 || !strings.HasPrefix(got[0], "Nothing can be said yet of reranked and lexical") {
		t.Errorf("got the verdict %q", got)
	}
	if n := len(b.texts(".cells tbody tr")); n != 2 {
		t.Errorf("got %d rows, want both variants", n)
	}
	if os.Getenv("RERANKD_SCREENSHOTS") != "" { // how pages look is held where no cluster is secured
		looks(t, b, map[string]string{
			"secured-overview": "/", "secured-compare": "/compare?" + url.Values{"index": {shop}, "q": {"warm jacket"}}.Encode(), "secured-live": "/live", "secured-experiments": "/experiments",
			"secured-experiment": "/experiments/reranked-vs-lexical",
		})
	}
	for _, path := range []string{"/", "/status", "/metrics", "/live", "/experiments", "/experiments/reranked-vs-lexical", "/compare?q=tea&index=" + shop} {
		if a := admin.do(t, http.MethodGet, path, ""); strings.Contains(string(a.Body), secret) {
			t.Errorf("%s has the secret in it", path)
		}
	}
	if strings.Contains(p.Log(), secret) {
		t.Error("the log has the secret in it")
	}

	// Records are in the cluster too, written with the program's credentials.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		var counted struct{ Count int }
		if strings.Contains(node.Do(t, http.MethodGet, "/_cat/indices", "", ""), "ubi_events") {
			node.Do(t, http.MethodGet, "/_cluster/health/ubi_events?wait_for_status=yellow&timeout=30s", "", "")
			node.Do(t, http.MethodPost, "/ubi_events/_refresh", "", "")
			unmarshal(t, []byte(node.Do(t, http.MethodPost, "/ubi_events/_count", "application/json", `{"query":{"term":{"action_name":"click"}}}`)), &counted)
		}
		if counted.Count >= people {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s %d of %d clicks are in the cluster", counted.Count, people)
		}
	}
}

// browseAsWhoLooks: a program without credentials asks for them, uses them for one search, and has them nowhere.
func browseAsWhoLooks(t *testing.T, file string, node *cluster.Node, words string) {
	p := program.ServeCluster(t, words, fmt.Sprintf("rules: [{ name: shop, indices: [%s], fields: [title, body], stages: [{ model: small, window: 20 }], budget: 60s }]\n", shop))
	through := client{url: p.URL, authorization: "Basic " + base64.StdEncoding.EncodeToString([]byte("elastic:not-a-secret"))}
	awaitWarm(t, through, "/"+shop+"/_search", body(match("tea")))
	b := open(t, file, p.Admin)
	b.expected = "status of 403" // the page's own, which says that the cluster wants to know who asks
	b.visit("/compare?" + url.Values{"index": {shop}, "q": {"warm jacket"}}.Encode())
	for _, password := range []string{"wrong-secret", "not-a-secret"} {
		if n := len(b.texts(".hits li")); n != 0 {
			t.Fatalf("somebody unknown sees %d hits", n)
		}
		b.do(typed("input[name=user]", "elastic"), typed("input[name=password]", password))
		b.follow(chromedp.Click(chromedp.CSS("form[method=post] button")))
	}
	if n := len(b.texts(".hits li")); n != 20 {
		t.Errorf("got %d hits, want two lists of ten; the page says %q", n, b.texts(".notice, .ask p"))
	}
	if at := b.address(); strings.Contains(at, "secret") || strings.Contains(at, "elastic") {
		t.Errorf("the credentials are in the address %s", at)
	}
	if strings.Contains(evaluate[string](b, "document.documentElement.outerHTML"), "not-a-secret") || strings.Contains(p.Log(), "not-a-secret") {
		t.Error("the password is on the page or in the log")
	}
	through.search(t, "/"+shop+"/_search", body(match("bicycle lock")))
	b.visit("/live")
	b.await("document.querySelector('[data-rows] .words')?.textContent.startsWith('bicycle lock')")
}

// idsOf are the ids of a page's hits.
func idsOf(t *testing.T, page []byte) (ids []string) {
	t.Helper()
	var p struct {
		Hits struct {
			Hits []struct {
				ID string `json:"_id"`
			}
		}
	}
	if err := json.Unmarshal(page, &p); err != nil || len(p.Hits.Hits) == 0 {
		t.Fatalf("got %.300s, %v, want hits", page, err)
	}
	for _, h := range p.Hits.Hits {
		ids = append(ids, h.ID)
	}
	return ids
}
