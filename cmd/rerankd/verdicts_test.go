package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
	"github.com/rerankd/rerankd/proxy/experiment/verdict"
)

// simulated are the records of so many people, as lines.
func simulated(t testing.TB, name string, first, users int) []byte {
	t.Helper()
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for r := range traffic(name, first, users).Records() {
		if err := lines.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// traffic is so many people in an experiment.
func traffic(name string, first, users int) simulate.Traffic {
	return simulate.Traffic{
		World:      simulate.World{Seed: 1, Queries: 100, Hits: 20, Control: 1.5},
		Population: simulate.Population{Seed: 2, Model: simulate.DCM{Continue: []float64{0.5}, Patience: 0.9}, Keen: 0.5, Tail: 1.3, Most: 50},
		Experiment: experiment.Experiment{Name: name, Variants: []experiment.Variant{{Name: "lexical", Share: 1}, {Name: "reranked", Share: 1}}, Share: 1, Phase: "100%"},
		First:      first, Users: users, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Gap: 5 * time.Minute,
	}
}

func compressed(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// verdictsIn makes reports of a directory with files.
func verdictsIn(t testing.TB, files map[string][]byte, change func(*config.Config)) (*verdicts, string) {
	t.Helper()
	directory := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(directory, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := config.Default()
	c.Events.Sink, c.Events.Directory = config.SinkFile, directory
	if change != nil {
		change(&c)
	}
	return &verdicts{configuration: func() (*config.Config, http.RoundTripper) { return &c, nil }, lookup: os.LookupEnv, most: mostRead, turn: make(chan struct{}, 1), kept: map[reading]made{}}, directory
}

func configured(v *verdicts) *config.Config {
	c, _ := v.configuration()
	return c
}

// All files of a directory are read as one, whoever wrote them, and nothing that is none.
func TestVerdictsReadsADirectory(t *testing.T) {
	v, directory := verdictsIn(t, map[string][]byte{
		"experiment-a.jsonl":                      simulated(t, "boots", 0, 200),
		"experiment-a-20260301T120000.000Z.jsonl": simulated(t, "boots", 200, 200),
		"experiment-b-2.jsonl.gz":                 compressed(t, simulated(t, "boots", 400, 200)),
		"experiment-c.jsonl":                      []byte("this is\nno record\n"),
		"experiment-d.jsonl":                      nil,
		"experiment-a.lock":                       []byte("x"),
		"notes.jsonl":                             simulated(t, "other", 0, 10),
	}, nil)
	got, err := v.Report(t.Context(), "boots", false)
	if err != nil {
		t.Fatal(err)
	}
	if got.Report == nil || got.Report.Units.All != 600 || got.Records.Files != 5 || got.Records.Copies != 4 || got.Records.Sample != 1 || len(got.Others) != 0 {
		t.Errorf("got %d units of %+v, want 600 of 5 files of 4 copies", got.Report.Units.All, got.Records)
	}
	if len(got.Records.Unread) != 1 || !strings.Contains(got.Records.Unread[0], "experiment-c.jsonl:1: is not a record") {
		t.Errorf("got %q unread, want the file without records", got.Records.Unread)
	}
	if want := "rerankd experiment report --experiment boots " + directory + "/experiment-*.jsonl* THE-OTHER-COPIES/experiment-*.jsonl"; got.Records.Command != want {
		t.Errorf("got %s\nwant %s", got.Records.Command, want)
	}
	if got, err := v.Report(t.Context(), "boats", false); err != nil || got.Report != nil || len(got.Others) != 1 || got.Others[0] != "boots" {
		t.Errorf("of an experiment without records got %+v, %v", got, err)
	}
	if got, err := v.Report(t.Context(), "boots", true); err != nil || got.Report.Noise == nil || got.Report.Noise.Halves != halves {
		t.Errorf("got no noise: %+v, %v", got.Report.Noise, err)
	}
}

// A report is good until its time is over and files have changed.
func TestVerdictsAreKept(t *testing.T) {
	v, directory := verdictsIn(t, map[string][]byte{"experiment-a.jsonl": simulated(t, "boots", 0, 50)}, nil)
	report := func() int {
		t.Helper()
		got, err := v.Report(t.Context(), "boots", false)
		if err != nil {
			t.Fatal(err)
		}
		return got.Report.Units.All
	}
	expire := func() {
		for k, m := range v.kept {
			m.until = time.Now()
			v.kept[k] = m
		}
	}
	if got := report(); got != 50 {
		t.Fatalf("got %d units, want 50", got)
	}
	before := v.kept
	expire()
	if report(); v.kept[v.reading(configured(v), "boots")].Reported != before[v.reading(configured(v), "boots")].Reported {
		t.Error("files that have not changed are read again")
	}
	if err := os.WriteFile(filepath.Join(directory, "experiment-b.jsonl"), simulated(t, "boots", 50, 50), 0o600); err != nil {
		t.Fatal(err)
	}
	for k, m := range v.kept {
		m.until = time.Now().Add(time.Hour)
		v.kept[k] = m
	}
	if got := report(); got != 50 {
		t.Errorf("got %d units in the time that a report is good for, want 50", got)
	}
	expire()
	if got := report(); got != 100 {
		t.Errorf("got %d units, want the 100 of both files", got)
	}
	for _, name := range strings.Fields(strings.Repeat("x ", 3*mostKept)) {
		name += strings.Repeat("y", len(v.kept))
		if _, err := v.Report(t.Context(), name, false); err != nil {
			t.Fatal(err)
		}
		if len(v.kept) > mostKept {
			t.Fatalf("%d reports are kept", len(v.kept))
		}
	}
}

// Of more than is taken into memory one unit in so many is read, with all that it did.
func TestVerdictsAreBounded(t *testing.T) {
	text := simulated(t, "boots", 0, 2000)
	v, _ := verdictsIn(t, map[string][]byte{"experiment-a.jsonl": text}, nil)
	v.most = int64(len(text)/8 + 1)
	got, err := v.Report(t.Context(), "boots", false)
	if err != nil {
		t.Fatal(err)
	}
	r := got.Report
	if got.Records.Sample != 8 || r.Sample != 8 || r.Units.All < 190 || r.Units.All > 310 {
		t.Errorf("got %d units, one in %d; want about 250, one in 8", r.Units.All, got.Records.Sample)
	}
	if c := r.Clicks; r.Orphans > 0 || c.Elsewhere > 0 || r.Distrusted() || r.Read.Impressions < 2000 {
		t.Errorf("got %+v of %+v, want no click without its search", c, r.Read)
	}
}

// Who gives up is not held, and nor is who waits for another's reading.
func TestVerdictsGiveUp(t *testing.T) {
	v, _ := verdictsIn(t, map[string][]byte{"experiment-a.jsonl": simulated(t, "boots", 0, 50)}, nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Report(gone, "boots", false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to be given up", err)
	}
	v.turn <- struct{}{} // somebody reads
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := v.Report(short, "boots", false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want it to be waited for and given up", err)
	}
	<-v.turn
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if got, err := v.Report(t.Context(), "boots", false); err != nil || got.Report.Units.All != 50 {
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
}

func TestVerdictsWithoutFiles(t *testing.T) {
	v, directory := verdictsIn(t, nil, nil)
	if err := os.Remove(directory); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Report(t.Context(), "boots", false); err != nil || got.Report != nil || got.Records.Directory != directory {
		t.Errorf("without a directory got %+v, %v", got, err)
	}
	if err := os.WriteFile(directory, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Report(t.Context(), "boots", false); err == nil || !strings.Contains(err.Error(), "reading the records") {
		t.Errorf("of a file in the directory's place got %v", err)
	}
	v.configuration = func() (*config.Config, http.RoundTripper) { return nil, nil }
	if _, err := v.Report(t.Context(), "boots", false); err == nil {
		t.Error("got no error before there is a configuration")
	}
}

// The command that a page gives does what the page does.
func TestVerdictsCommand(t *testing.T) {
	v, _ := verdictsIn(t, nil, func(c *config.Config) {
		c.Events.Directory, c.Events.Window = "/var/lib/all of it", config.Duration(time.Hour)
		e := config.DefaultExperiment()
		e.Name, e.Horizon, e.Guards.Latency, e.Guards.ZeroResults, e.Guards.Errors = "boots", config.Duration(7*24*time.Hour), config.Duration(time.Second), 2, 7.5
		c.Experiments = []config.Experiment{e}
	})
	got := command(v.reading(configured(v), "boots"), nil)
	if want := "rerankd experiment report --experiment boots --window 1h0m0s --horizon 168h0m0s --latency 1s --zero-results 2 --errors 7.5 '/var/lib/all of it'/experiment-*.jsonl THE-OTHER-COPIES/experiment-*.jsonl"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got := command(v.reading(configured(v), "a; b'c"), nil); !strings.Contains(got, `--experiment 'a; b'\''c' `) {
		t.Errorf("got %s, want what came from a URL quoted", got)
	}
}

// Where records are in the cluster alone, the page is made of those; and where it may not read them, it says what to type.
func TestVerdictsReadTheCluster(t *testing.T) {
	traffic := traffic("boots", 0, 400)
	x := export(t, traffic)
	v, _ := verdictsIn(t, nil, func(c *config.Config) { c.Events.Sink = config.SinkCluster })
	c := configured(v)
	v.configuration = func() (*config.Config, http.RoundTripper) { return c, x }
	got, err := v.Report(t.Context(), "boots", false)
	if err != nil {
		t.Fatal(err)
	}
	want := filesReport(t, traffic)
	if got.Report == nil || !got.Records.Cluster || got.Records.Directory != "" || got.Records.Documents < 400 || got.Records.Sample != 1 {
		t.Fatalf("got %+v of %+v", got.Report, got.Records)
	}
	if diff := gocmp.Diff(want, got.Report, asOfFiles); diff != "" {
		t.Errorf("of files (-) and of the cluster (+):\n%s", diff)
	}
	v.most = 100_000
	clear(v.kept)
	if got, err = v.Report(t.Context(), "boots", false); err != nil || got.Records.Sample < 10 || got.Report.Units.All < 5 || got.Report.Units.All > 100 || got.Report.Orphans > 0 {
		t.Errorf("of more than is read got %+v, %v", got.Records, err)
	}
	x.denied = true
	clear(v.kept)
	const command = "rerankd experiment report --experiment boots --cluster http://127.0.0.1:9200 --user NAME:PASSWORD"
	if _, err = v.Report(t.Context(), "boots", false); err == nil || !strings.Contains(err.Error(), "reading ubi_queries: status 403") || !strings.Contains(err.Error(), command) {
		t.Errorf("got %v, want the command that may", err)
	}
}

// asOfFiles leaves out of two reports what the cluster knows otherwise: times to the millisecond and where it was read from.
var asOfFiles = gocmp.Options{
	cmpopts.IgnoreFields(verdict.Report{}, "Read"), cmpopts.EquateApproxTime(time.Millisecond), cmpopts.EquateApprox(0, 1e-9),
	gocmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < time.Millisecond }),
}

// filesReport is that of the same records in files.
func filesReport(t *testing.T, of simulate.Traffic) *verdict.Report {
	t.Helper()
	var records verdict.Records
	for r := range of.Records() {
		records.Add(r)
	}
	report, err := records.Report(verdict.Options{Experiment: of.Experiment.Name})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// The command reads a cluster as it reads files, with whichever credentials, beside files or alone; what is in both counts once.
func TestReportOfACluster(t *testing.T) {
	of := traffic("boots", 0, 300)
	x := export(t, of)
	secured := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); (user != "reader" || password != "a:b") && r.Header.Get("Authorization") != "ApiKey key" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		x.ServeHTTP(w, r)
	}))
	defer secured.Close()
	directory := t.TempDir()
	file, settings := filepath.Join(directory, "experiment-a.jsonl"), filepath.Join(directory, "rerankd.yaml")
	for name, text := range map[string][]byte{
		file: simulated(t, "boots", 0, 300),
		settings: []byte("cluster: { urls: [" + secured.URL + "] }\nevents: { sink: cluster, api_key: key, window: 10m }\n" +
			"experiments: [{ name: boots, horizon: 2h, variants: { lexical: { rerank: off }, reranked: {} } }]\n"),
	} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(arguments ...string) (report *verdict.Report, code int, said string) {
		t.Helper()
		var out, stderr bytes.Buffer
		e := &environment{stdin: strings.NewReader(""), stdout: &out, stderr: &stderr, lookup: func(name string) (string, bool) { return "reader:a:b", name == "RERANKD_USER" }}
		if code = e.run(t.Context(), append([]string{"experiment", "report", "--json"}, arguments...)); code == exitOK {
			if err := json.Unmarshal(out.Bytes(), &report); err != nil {
				t.Fatal(err)
			}
		}
		return report, code, stderr.String()
	}
	want, code, said := run(file)
	if code != exitOK {
		t.Fatal(said)
	}
	for _, arguments := range [][]string{{"--cluster", secured.URL}, {"--cluster", strings.Replace(secured.URL, "://", "://reader:a%3Ab@", 1)}, {"--cluster", secured.URL, file}} {
		got, code, said := run(arguments...)
		if code != exitOK {
			t.Fatalf("%q: %s", arguments, said)
		}
		if got.Read.Indices != 2 || got.Read.Files != len(arguments)-2 {
			t.Errorf("%q: read %+v", arguments, got.Read)
		}
		if len(arguments) == 3 && got.Clicks.Pages != got.Read.Impressions/2 {
			t.Errorf("of %d impressions %d are told twice, want half of them", got.Read.Impressions, got.Clicks.Pages)
		}
		got.Clicks.Pages, got.Clicks.Duplicate = want.Clicks.Pages, want.Clicks.Duplicate
		if diff := gocmp.Diff(want, got, asOfFiles); diff != "" {
			t.Errorf("%q: of the file (-) and of the cluster (+):\n%s", arguments, diff)
		}
	}
	if got, code, said := run("-c", settings); code != exitOK || got.Read.Indices != 2 || got.Horizon != 2*time.Hour || got.Window != 10*time.Minute {
		t.Errorf("by the configuration got %+v, %s", got, said)
	}
	if got, code, said := run("-c", settings, "--horizon", "3h", file); code != exitOK || got.Read.Indices != 0 || got.Horizon != 3*time.Hour || got.Window != 10*time.Minute {
		t.Errorf("by the configuration, and a file, got %+v, %s", got, said)
	}
	x.denied = true
	if _, code, said := run("--cluster", secured.URL); code != exitFailed || !strings.Contains(said, "rerankd: error: reading ubi_queries: status 403") || !strings.Contains(said, "hint: to read, the user needs the index privilege read") {
		t.Errorf("got %d, %s", code, said)
	}
	if _, code, said := run("--cluster", secured.URL, "--user", "somebody:else"); code != exitFailed || !strings.Contains(said, "hint: give --user NAME:PASSWORD") {
		t.Errorf("got %d, %s", code, said)
	}
}

// A page looks as far as the configuration says; and what the report does where nothing is said is what the configuration does.
func TestVerdictsHorizon(t *testing.T) {
	v, _ := verdictsIn(t, map[string][]byte{"experiment-a.jsonl": simulated(t, "boots", 0, 600)}, func(c *config.Config) {
		e := config.DefaultExperiment()
		e.Name, e.Horizon = "boots", config.Duration(time.Hour)
		c.Experiments = []config.Experiment{e}
	})
	short, err := v.Report(t.Context(), "boots", false)
	if err != nil {
		t.Fatal(err)
	}
	configured(v).Experiments = nil
	usual, err := v.Report(t.Context(), "boots", false)
	if err != nil {
		t.Fatal(err)
	}
	if one, day := short.Report.Comparisons[0], usual.Report.Comparisons[0]; short.Report.Horizon != time.Hour || one.ControlMean == day.ControlMean {
		t.Errorf("with a horizon of %v units are worth %v, with %v %v", short.Report.Horizon, one.ControlMean, usual.Report.Horizon, day.ControlMean)
	}
	if want := time.Duration(config.DefaultExperiment().Horizon); usual.Report.Horizon != want || verdict.DefaultHorizon != want || verdict.DefaultWindow != time.Duration(config.Default().Events.Window) {
		t.Errorf("the horizon is %v and the configuration's %v", usual.Report.Horizon, want)
	}
}

// A report of as much as is taken into memory.
func BenchmarkVerdicts(b *testing.B) {
	text := simulated(b, "boots", 0, 20_000)[:mostRead]
	v, _ := verdictsIn(b, map[string][]byte{"experiment-a.jsonl": text}, nil)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		clear(v.kept)
		if _, err := v.Report(b.Context(), "boots", false); err != nil {
			b.Fatal(err)
		}
	}
}
