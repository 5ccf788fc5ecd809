package backends_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/backends/backendtest"
	"github.com/rerankd/rerankd/config"
)

// TestMain looks for goroutines that were left behind. It looks for longer than goleak by itself: on a connection that it closes before the
// client does, net/http's server lingers for half a second (rstAvoidanceDelay).
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(3 * time.Second); code == 0; {
		err := goleak.Find()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func open(t *testing.T, c config.Cluster) *backends.Backend {
	t.Helper()
	b, err := backends.Open(c, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestConformance(t *testing.T) {
	for _, kind := range []string{config.KindElasticsearch, config.KindOpenSearch, config.KindAuto} {
		t.Run(kind, func(t *testing.T) { backendtest.Run(t, kind, open) })
	}
}

func TestLeanElasticsearchIsAskedForItsNode(t *testing.T) {
	n := backendtest.NewNode(t, config.KindElasticsearch, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_nodes/_local" {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		io.WriteString(w, `{"cluster_name":"fake","nodes":{"x":{"name":"n1","version":"8.19.16"}}}`)
	})
	b, err := backends.Open(config.Cluster{URLs: []string{n.URL}}, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	info, err := b.Info(t.Context())
	want := backends.Info{backends.Engine{config.KindElasticsearch, "8.19.16"}, "fake", "n1"}
	if err != nil || info != want || b.Engine() != want.Engine {
		t.Errorf("got %v, %v, and engine %v, want %v", info, err, b.Engine(), want)
	}
}

// opensearch-go rewrites Accept and Content-Type, and go-elasticsearch takes addresses, from the environment. It is read when the
// program starts, so the suite runs once more in another process.
func TestVendorsEnvironmentVariablesDoNothing(t *testing.T) {
	test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestConformance$/^(elasticsearch|opensearch)$/^(request|mappings)$", "-test.v")
	test.Env = append(os.Environ(), "ELASTIC_CLIENT_APIVERSIONING=true", "ELASTICSEARCH_URL=http://127.0.0.1:1",
		"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1")
	out, err := test.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestConformance/opensearch/mappings") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	gone, n := backendtest.Refused(t), backendtest.NewNode(t, config.KindElasticsearch, nil)
	opened := func(urls ...string) *backends.Backend {
		b, err := backends.Open(config.Cluster{URLs: urls}, backends.Options{Registerer: registry})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	shows := func(want string) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(&got, f); err != nil {
				t.Fatal(err)
			}
		}
		var values []string
		for line := range strings.Lines(strings.NewReplacer(gone, "GONE", n.URL, "NODE").Replace(got.String())) {
			if !strings.HasPrefix(line, "#") {
				values = append(values, strings.TrimPrefix(line, "rerankd_cluster_"))
			}
		}
		slices.Sort(values)
		if diff := cmp.Diff(strings.TrimLeft(want, "\n"), strings.Join(values, "")); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
		problems, err := promlint.New(strings.NewReader(got.String())).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
	}
	search := func(b *backends.Backend) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x/_search", nil)
		r.Header["X-Idempotency-Key"] = []string{}
		res, err := b.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}

	old := opened(gone, n.URL)
	search(old)
	shows(`
node_ejections_total{cause="dial",node="GONE"} 1
node_ejections_total{cause="dial",node="NODE"} 0
node_ejections_total{cause="eof",node="GONE"} 0
node_ejections_total{cause="eof",node="NODE"} 0
node_ejections_total{cause="probe",node="GONE"} 0
node_ejections_total{cause="probe",node="NODE"} 0
node_in_use{node="GONE"} 0
node_in_use{node="NODE"} 1
node_up{node="GONE"} 0
node_up{node="NODE"} 1
retries_total{outcome="connection"} 0
retries_total{outcome="denied"} 0
retries_total{outcome="node"} 1
`)

	// A configuration is loaded anew: the next Backend is opened before the last one is closed, and counters go on.
	next := opened(gone, n.URL)
	const counters = `
node_ejections_total{cause="dial",node="GONE"} 1
node_ejections_total{cause="dial",node="NODE"} 0
node_ejections_total{cause="eof",node="GONE"} 0
node_ejections_total{cause="eof",node="NODE"} 0
node_ejections_total{cause="probe",node="GONE"} 0
node_ejections_total{cause="probe",node="NODE"} 0
`
	const retries = `retries_total{outcome="connection"} 0
retries_total{outcome="denied"} 0
retries_total{outcome="node"} 1
`
	const states = `node_in_use{node="GONE"} 1
node_in_use{node="NODE"} 1
node_up{node="GONE"} 1
node_up{node="NODE"} 1
`
	shows(counters + states + retries) // as the next one sees them, which has not met the one that is gone
	old.Close()
	shows(counters + states + retries)
	next.Close()
	shows(counters + retries)
}
