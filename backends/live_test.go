package backends_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
)

// These tests talk to real clusters, where the environment names them:
//
//	RERANKD_TEST_ELASTICSEARCH=http://127.0.0.1:9200
//	RERANKD_TEST_OPENSEARCH=http://127.0.0.1:9201
//	RERANKD_TEST_ELASTICSEARCH_SECURED=http://elastic:password@127.0.0.1:9202
//
// They make indices named rerankd-backends-… and delete them.

// live is the cluster that the variable names, with the credentials taken off its URL.
func live(t *testing.T, variable string) (c config.Cluster, user *url.Userinfo) {
	t.Helper()
	u, err := url.Parse(os.Getenv(variable))
	if err != nil || u.Host == "" {
		t.Skipf("%s names no cluster", variable)
	}
	user, u.User = u.User, nil
	return config.Cluster{URLs: []string{u.String()}}, user
}

// call sends one request and gives status, headers and body.
func call(t *testing.T, rt http.RoundTripper, method, target, body string, h http.Header) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://search.example"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if h != nil {
		r.Header = h.Clone()
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(answer)
}

func TestLive(t *testing.T) {
	for variable, kind := range map[string]string{
		"RERANKD_TEST_ELASTICSEARCH": config.KindElasticsearch,
		"RERANKD_TEST_OPENSEARCH":    config.KindOpenSearch,
	} {
		for _, configured := range []string{config.KindAuto, kind} {
			t.Run(kind+" as "+configured, func(t *testing.T) {
				c, _ := live(t, variable)
				c.Kind = configured
				testLive(t, c, kind)
			})
		}
	}
}

func testLive(t *testing.T, c config.Cluster, kind string) {
	b := open(t, c)
	info, err := b.Info(t.Context())
	if err != nil || info.Kind != kind || info.Version == "" || info.Cluster == "" || info.Node == "" {
		t.Fatalf("got %+v, %v, want %s and names", info, err, kind)
	}
	if got := b.Engine(); got != info.Engine || !b.Seen() {
		t.Errorf("got engine %v and seen %v, want %v", got, b.Seen(), info.Engine)
	}

	const index = "rerankd-backends-live"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // t.Context has ended
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "DELETE", c.URLs[0]+"/"+index+"*", nil)
		if res, err := http.DefaultClient.Do(r); err == nil {
			res.Body.Close()
		}
		http.DefaultClient.CloseIdleConnections()
	})
	call(t, b, "DELETE", "/"+index, "", nil)
	if status, _, body := call(t, b, "PUT", "/"+index, `{"mappings":{"properties":{"title":{"type":"text"}}}}`, nil); status != 200 {
		t.Fatalf("creating an index: %d %s", status, body)
	}
	// An id with a slash is another document than the path a/b would be.
	if status, _, body := call(t, b, "PUT", "/"+index+"/_doc/a%2Fb?refresh=true", `{"title":"red shoes"}`, nil); status != 201 || !strings.Contains(body, `"a/b"`) {
		t.Errorf("got %d %s, want 201 and the id a/b", status, body)
	}
	bulk := `{"index":{}}` + "\n" + `{"title":"blue shoes"}` + "\n"
	if status, _, body := call(t, b, "POST", "/"+index+"/_bulk?refresh=true", bulk, nil); status != 200 || strings.Contains(body, `"errors":true`) {
		t.Errorf("got %d %s, want 200", status, body)
	}
	opaque := http.Header{"X-Opaque-Id": {"room"}, "User-Agent": {"a client/1"}}
	status, header, body := call(t, b, "GET", "/"+index+"/_search", `{"query":{"match":{"title":"shoes"}}}`, opaque) // GET with a body
	var found struct {
		Hits struct{ Total struct{ Value int } }
	}
	if err := json.Unmarshal([]byte(body), &found); err != nil || status != 200 || found.Hits.Total.Value != 2 {
		t.Errorf("got %d %s, %v, want 200 and two hits", status, body, err)
	}
	if header.Get("X-Opaque-Id") != "room" {
		t.Errorf("got headers %v, want X-Opaque-Id kept", header)
	}
	if got := header.Get("X-Elastic-Product"); (got != "") != (kind == config.KindElasticsearch) {
		t.Errorf("got X-Elastic-Product %q from %s", got, kind)
	}
	packed := http.Header{"Accept-Encoding": {"gzip"}}
	if _, header, body := call(t, b, "GET", "/"+index+"/_mapping", "", packed); header.Get("Content-Encoding") == "gzip" && !strings.HasPrefix(body, "\x1f\x8b") {
		t.Errorf("a packed answer was unpacked: %q", body)
	}
	if status, _, body := call(t, b, "HEAD", "/"+index, "", nil); status != 200 || body != "" {
		t.Errorf("got %d %q, want 200 and no body", status, body)
	}
	for target, want := range map[string]int{"/" + index + "-none/_search": 404, "/" + index + "/_search?no_such=1": 400} {
		if status, _, _ := call(t, b, "GET", target, "", nil); status != want {
			t.Errorf("%s: got %d, want %d", target, status, want)
		}
	}

	for _, indices := range []string{index, "rerankd-back*", index + ",rerankd-backends-l*"} {
		mappings, err := b.Mappings(t.Context(), indices, nil)
		var m map[string]struct {
			Mappings struct {
				Properties map[string]struct{ Type string }
			}
		}
		if err != nil || json.Unmarshal(mappings, &m) != nil || m[index].Mappings.Properties["title"].Type != "text" {
			t.Errorf("%s: got %s, %v, want the mapping of title", indices, mappings, err)
		}
	}
	var refused *backends.StatusError
	for _, indices := range []string{index + "-none", "<" + index + "-{now/d}>"} {
		if _, err := b.Mappings(t.Context(), indices, nil); !errors.As(err, &refused) || refused.Code != 404 {
			t.Errorf("%s: got %v, want 404", indices, err)
		}
	}
	if refused == nil || !strings.Contains(string(refused.Body), index+"-2") {
		t.Errorf("got %v, want the cluster to have read the date math", refused)
	}
}

func TestLiveSecured(t *testing.T) {
	c, user := live(t, "RERANKD_TEST_ELASTICSEARCH_SECURED")
	password, _ := user.Password()
	theirs := (&http.Request{Header: http.Header{}})
	theirs.SetBasicAuth(user.Username(), password)

	passthrough := open(t, c)
	if status, header, _ := call(t, passthrough, "GET", "/_cluster/health", "", nil); status != 401 || header.Get("Www-Authenticate") == "" {
		t.Errorf("an anonymous client got %d, want 401 and a challenge", status)
	}
	if status, _, _ := call(t, passthrough, "GET", "/_cluster/health", "", theirs.Header); status != 200 {
		t.Errorf("a client with credentials got %d, want 200", status)
	}
	if _, err := passthrough.Mappings(t.Context(), "", theirs.Header); err != nil {
		t.Errorf("mappings with credentials: %v", err)
	}
	var refused *backends.StatusError
	if _, err := passthrough.Mappings(t.Context(), "", nil); !errors.As(err, &refused) || refused.Code != 401 {
		t.Errorf("mappings without credentials: got %v, want 401", err)
	}
	if _, err := passthrough.Info(t.Context()); !errors.As(err, &refused) || refused.Code != 401 {
		t.Errorf("info without credentials: got %v, want 401", err)
	}
	if !passthrough.Seen() || !passthrough.Nodes()[0].Up {
		t.Error("a cluster that answers 401 is not up")
	}

	wrong := http.Header{"Authorization": {"Basic d3Jvbmc6d3Jvbmc="}}
	off := http.Header{"Authorization": {}} // listed in Connection, and so taken off
	for auth, want := range map[string]struct{ none, theirs, wrong, off int }{
		config.AuthInjectIfMissing: {200, 200, 401, 401},
		config.AuthOverride:        {200, 200, 200, 200},
	} {
		for _, kind := range []string{config.KindElasticsearch, config.KindOpenSearch, config.KindAuto} { // the vendors' credentials are the same on the wire
			c := c
			c.Kind, c.Auth, c.Username, c.Password = kind, auth, user.Username(), config.Secret(password)
			b := open(t, c)
			for name, test := range map[string]struct {
				header http.Header
				want   int
			}{"none": {nil, want.none}, "theirs": {theirs.Header, want.theirs}, "wrong": {wrong, want.wrong}, "taken off": {off, want.off}} {
				if status, _, _ := call(t, b, "GET", "/_cluster/health", "", test.header); status != test.want {
					t.Errorf("%s, %s, credentials %s: got %d, want %d", kind, auth, name, status, test.want)
				}
			}
			if kind != config.KindOpenSearch {
				if info, err := b.Info(t.Context()); err != nil || info.Kind != config.KindElasticsearch || info.Version == "" {
					t.Errorf("%s: got %+v, %v", kind, info, err)
				}
			}
		}
	}
}
