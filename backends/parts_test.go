package backends

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/config"
)

func TestOpenRefuses(t *testing.T) {
	node := []string{"http://a:9200"}
	for _, test := range []struct {
		c    config.Cluster
		want string
	}{
		{config.Cluster{}, "urls"},
		{config.Cluster{URLs: []string{"http://a:9200", "http://a:9200/"}}, "urls[1]: http://a:9200 is there twice"},
		{config.Cluster{URLs: []string{"http://elastic:hunter2@a:9200"}}, "credentials"},
		{config.Cluster{URLs: []string{"http://elastic:hunter2@[a"}}, "not a URL"},
		{config.Cluster{URLs: []string{"a:9200"}}, "must be http"},
		{config.Cluster{URLs: []string{"ftp://a"}}, "must be http"},
		{config.Cluster{URLs: []string{"http://a/?x=1"}}, "must be http"},
		{config.Cluster{URLs: node, Kind: "solr"}, "kind"},
		{config.Cluster{URLs: node, Auth: "sometimes"}, "auth"},
		{config.Cluster{URLs: node, Auth: config.AuthOverride}, "needs"},
		{config.Cluster{URLs: node, Auth: config.AuthInjectIfMissing, Username: "me"}, "needs"},
	} {
		b, err := Open(test.c, Options{})
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: got %v, want %q", test.c, err, test.want)
		}
	}
}

// The path of the request stands at the end as it was written, after the prefix as it was written.
func TestPrefixIsJoinedAsWritten(t *testing.T) {
	segment := rapid.StringMatching(`(/|[a-z*,<>'()~!$&+=:@;-]|%2[Ff]|%[0-9A-F][0-9A-F]|é|\.\.)*`)
	rapid.Check(t, func(t *rapid.T) {
		prefix, path := "/"+segment.Draw(t, "prefix"), "/"+segment.Draw(t, "path")
		n, err := newNode("http://a:9200" + prefix)
		if err != nil {
			t.Skip(err)
		}
		of, err := url.ParseRequestURI(path + "?a=%zz;b")
		if err != nil {
			t.Skip(err)
		}
		given, _ := url.Parse("http://a:9200" + prefix)
		want := strings.TrimRight(given.EscapedPath(), "/") + of.EscapedPath() + "?a=%zz;b"
		if got := n.url(of).RequestURI(); got != want {
			t.Errorf("prefix %s, path %s: got %s, want %s", prefix, path, got, want)
		}
	})
}

func TestEngineIsReadOffTheAnswers(t *testing.T) {
	product := http.Header{"X-Elastic-Product": {"Elasticsearch"}}
	version := http.Header{"X-Opensearch-Version": {"OpenSearch/3.8.0 (opensearch)"}}
	challenge := http.Header{"Www-Authenticate": {`Basic realm="OpenSearch Security"`}}
	other := http.Header{"Www-Authenticate": {`Basic realm="security", charset="UTF-8"`, "ApiKey"}}
	for _, test := range []struct {
		name, kind string
		answers    []http.Header
		want       Engine
	}{
		{"nothing yet", "", nil, Engine{Kind: config.KindAuto}},
		{"nothing told", "", []http.Header{{}, other}, Engine{Kind: config.KindAuto}},
		{"Elasticsearch", "", []http.Header{{}, product, {}}, Engine{Kind: config.KindElasticsearch}},
		{"OpenSearch 3", "", []http.Header{version, {}}, Engine{config.KindOpenSearch, "3.8.0"}},
		{"OpenSearch with security", "", []http.Header{challenge}, Engine{Kind: config.KindOpenSearch}},
		{"replaced", "", []http.Header{version, product}, Engine{Kind: config.KindElasticsearch}},
		{"configured", config.KindOpenSearch, []http.Header{product}, Engine{Kind: config.KindOpenSearch}},
	} {
		var e engine
		if err := e.settle(test.kind); err != nil {
			t.Fatal(err)
		}
		for _, h := range test.answers {
			e.read(h)
		}
		if diff := cmp.Diff(test.want, e.get()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	var e engine
	e.settle("")
	e.learn(Engine{config.KindOpenSearch, "2.19.1"})
	e.read(version)
	e.read(http.Header{})
	if got, want := e.get(), (Engine{config.KindOpenSearch, "3.8.0"}); got != want {
		t.Errorf("after an upgrade: got %v, want %v", got, want)
	}
}

// What a vendor's transport refuses never reaches the network, whose duty to close the body is then ours.
func TestBodyIsClosedWhenTheVendorRefuses(t *testing.T) {
	b, err := Open(config.Cluster{URLs: []string{"http://127.0.0.1:1"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	refusal := errors.New("refused")
	b.pool.nodes[0].elasticsearch = performerFunc(func(*http.Request) (*http.Response, error) { return nil, refusal })
	body, source := io.Pipe()
	r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/_bulk", body)
	_, err = b.RoundTrip(r)
	if failure := (*Error)(nil); !errors.As(err, &failure) || failure.HTTPStatus() != http.StatusBadGateway || !errors.Is(err, refusal) {
		t.Errorf("got %v, want the refusal with 502", err)
	}
	if _, err := source.Write([]byte("x")); err != io.ErrClosedPipe {
		t.Errorf("got %v, want a closed body", err)
	}
}

func TestAnAnswerIsReadUpToItsLimit(t *testing.T) {
	for size, ok := range map[int]bool{0: true, 9: true, 10: true, 11: false, 1000: false} {
		a := &answer{200, io.NopCloser(strings.NewReader(strings.Repeat("x", size)))}
		body, err := a.read(10)
		if (err == nil) != ok || ok && len(body) != size {
			t.Errorf("%d bytes with a limit of 10: got %d, %v", size, len(body), err)
		}
	}
	a := &answer{500, io.NopCloser(strings.NewReader(strings.Repeat("x", 2*statusBodyLimit)))}
	_, err := a.read(10)
	var status *StatusError
	if !errors.As(err, &status) || status.Code != 500 || len(status.Body) != statusBodyLimit {
		t.Errorf("got %v, want a StatusError with the beginning of the body", err)
	}
}

func TestProbesTellOpenSearchFromElasticsearch(t *testing.T) {
	for body, want := range map[string]Engine{
		`{"version":{"distribution":"opensearch","number":"2.19.1"},"tagline":"The OpenSearch Project"}`: {config.KindOpenSearch, "2.19.1"},
		`{"version":{"number":"7.10.2","build_flavor":"oss"},"tagline":"You Know, for Search"}`:          {config.KindElasticsearch, "7.10.2"},
		`{"version":{"number":"7.10.2"}}`: {config.KindAuto, "7.10.2"},
		`<html>`:                          {Kind: config.KindAuto},
		`{"error":"unauthorized"}`:        {Kind: config.KindAuto},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{nodes: map[string]func(*http.Request) (*http.Response, error){"a": says(body)}, asked: map[string]int{}}
			b, err := open(config.Cluster{URLs: []string{"http://a"}, Probe: config.Duration(time.Second)}, Options{}, nil, n)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			synctest.Wait()
			if got := b.Engine(); got != want || !b.Seen() {
				t.Errorf("%s: got %v, want %v", body, got, want)
			}
			if got := b.engine.kind(); want.Kind != config.KindAuto && got != want.Kind {
				t.Errorf("%s: got the decorator of %s", body, got)
			}
		})
	}
}
