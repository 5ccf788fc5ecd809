package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
	"github.com/rerankd/rerankd/proxy/experiment/verdict"
)

// A fakeReporter has the records of some simulated people.
type fakeReporter struct {
	records verdict.Records
	from    Records
	err     error
}

func (f *fakeReporter) Report(_ context.Context, name string, noise bool) (*Reported, error) {
	if f.err != nil {
		return nil, f.err
	}
	o := verdict.Options{Experiment: name}
	if noise {
		o.Halves = 20
	}
	report, err := f.records.Report(o)
	if which, ok := errors.AsType[*verdict.WhichError](err); ok {
		return &Reported{Others: which.Names, Records: f.from}, nil
	}
	return &Reported{Report: report, Others: report.Others, Records: f.from}, nil
}

// traffic is what is recorded of people who search under an experiment.
func (f *fakeReporter) traffic(change func(*simulate.Traffic)) {
	t := simulate.Traffic{
		World:      simulate.World{Seed: 1, Queries: 100, Hits: 20, Control: 1.5},
		Population: simulate.Population{Seed: 2, Model: simulate.DCM{Continue: []float64{0.5}, Patience: 0.9}, Careless: 0.05, Keen: 0.5, Tail: 1.3, Most: 50},
		Experiment: experiment.Experiment{Name: "boots", Variants: []experiment.Variant{{Name: "lexical", Share: 1}, {Name: "reranked", Share: 1}}, Share: 1, Phase: "100%"},
		Users:      1000, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Gap: 5 * time.Minute, Next: 0.1,
	}
	change(&t)
	for r := range t.Records() {
		f.records.Add(r)
	}
}

func experimentsOf(f *fakeReporter, configured ...Experiment) http.Handler {
	return New(Options{Program: fakeProgram{status: Status{Experiments: configured}}, Reporter: f})
}

var boots = Experiment{
	Name: "boots", Rule: "shop", Assign: "split", Phase: "100%", Unit: []string{"cookie session", "client_id"},
	Variants: []string{"lexical", "reranked"}, Does: []string{"50%: not reranked", "50%: by small"},
	Guards: []Guard{
		{Name: "errors", Variant: "reranked", Fails: true, Says: "reranked: 40 % of searches could not be ranked"},
		{Name: "latencies", Variant: "reranked", Says: "95 % of searches take no longer than 80 ms"},
		{Name: "zero results", Variant: "reranked", Waits: true, Says: "reranked had 3 of the 200 searches"},
	},
}

func TestExperimentsPage(t *testing.T) {
	page := ask(t, experimentsOf(&fakeReporter{}, boots), "GET", "/experiments", "").Body.String()
	expect(t, page, `<a href="/experiments/boots">boots</a>`, "live, 100% of the units", "<b>lexical</b> <span class=\"dim\">(control)</span>: 50%: not reranked",
		"by cookie session, else client_id", "<span class=\"badge bad\">fails</span> reranked: 40\u00a0%", "<span class=\"badge good\">holds</span> 95\u00a0%", `<span class="badge">waits</span>`,
		`<a href="/experiments" aria-current="page">Experiments</a>`)
	expect(t, ask(t, experimentsOf(&fakeReporter{}), "GET", "/experiments", "").Body.String(), "No experiment is configured.")
	if w := ask(t, experimentsOf(&fakeReporter{}), "GET", "/experiments", "", "Host", "evil.example"); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("under another name: got %d", w.Code)
	}
	if w := ask(t, New(Options{Program: fakeProgram{}}), "GET", "/experiments", ""); w.Code != http.StatusNotFound {
		t.Errorf("without a reporter: got %d", w.Code)
	}
}

// The verdict and what is wrong come before the numbers, and all numbers of the report are on the page.
func TestExperimentPage(t *testing.T) {
	f := &fakeReporter{from: Records{
		Directory: "/kept", Files: 3, Copies: 2, Bytes: 3 << 20, Sample: 1, Read: time.Date(2026, 3, 9, 12, 30, 0, 0, time.UTC),
		Command: "rerankd experiment report --experiment boots /kept/experiment-*.jsonl", Unread: []string{"/kept/experiment-x.jsonl: is a <riddle>"},
	}}
	f.traffic(func(t *simulate.Traffic) {})
	f.records.Add(experiment.Record{Shadow: &experiment.Shadow{QueryID: "s", Experiment: "boots", Phase: "shadow", Variant: "reranked", Outcome: "skipped", Reason: "timeout", Added: 90 * time.Millisecond}})
	h := experimentsOf(f, boots)
	report, err := f.records.Report(verdict.Options{Experiment: "boots"})
	if err != nil {
		t.Fatal(err)
	}
	w := ask(t, h, "GET", "/experiments/boots", "")
	page := plainText(w.Body.String())
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, page)
	}
	verdictAt, amissAt, tableAt := strings.Index(page, report.Verdict), strings.Index(page, "is a <riddle>"), strings.Index(page, "All that was recorded")
	if verdictAt < 0 || verdictAt > amissAt || amissAt > tableAt {
		t.Errorf("the verdict is at %d, what is amiss at %d, the numbers at %d; want them in turn:\n%s", verdictAt, amissAt, tableAt, page)
	}
	for _, c := range report.Comparisons {
		expect(t, page, string(c.Metric), fmt.Sprintf("%.3f", c.ControlMean), fmt.Sprintf("%.3f", c.VariantMean), verdict.Lift(c.Low, c.ControlMean)+" to "+verdict.Lift(c.High, c.ControlMean))
	}
	for _, c := range report.Cells {
		expect(t, page, spaced(c.Searches), spaced(c.Impressions), spaced(c.Units), fmt.Sprintf("%.3f", c.CTR3), fmt.Sprintf("%.3f", c.MRR), percent(c.Abandonment), verdict.Brief(c.Latency.P99), byNumber(c.Outcomes))
	}
	for _, g := range report.Guards {
		for _, finding := range g.Findings {
			expect(t, page, finding.Sentence)
		}
	}
	expect(t, page, "In the shadow", "timeout 1", "3 in /kept, 3.0 MiB, of 2 copies of rerankd", "as meant", f.from.Command, "12:30:00", "Compare like with like", "Now, on this copy of rerankd, the guard for errors fails: reranked: 40 % of searches")
	expect(t, w.Body.String(), `<section class="verdict good"`, `role="img" aria-label="a lift of &#43;`, `href="/experiments/boots.json"`)
	expect(t, ask(t, h, "GET", "/experiments/boots?aa=1", "").Body.String(), "20 times the control&#39;s units were halved")

	w = ask(t, h, "GET", "/experiments/boots.json", "")
	want, err := json.MarshalIndent(report, "", "  ")
	if err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%v: %s", err, w.Header().Get("Content-Type"))
	}
	if diff := cmp.Diff(string(want)+"\n", w.Body.String()); diff != "" {
		t.Errorf("the report as JSON (-want +got):\n%s", diff)
	}
	if w := ask(t, h, "GET", "/experiments/boots", "", "Host", "evil.example"); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("under another name: got %d", w.Code)
	}
}

func TestExperimentPageShared(t *testing.T) {
	f := &fakeReporter{}
	f.traffic(func(t *simulate.Traffic) {
		t.Experiment.Interleave, t.Users, t.Fallback = true, 500, 0.3
	})
	report, _ := f.records.Report(verdict.Options{})
	page := plainText(ask(t, experimentsOf(f, boots), "GET", "/experiments/boots", "").Body.String())
	i := report.Interleaved
	expect(t, page, "Won by reranked", spaced(i.Searches.Wins), spaced(i.Searches.Losses), spaced(i.Searches.Ties), verdict.Preferred(i.Preference.Low)+" to "+verdict.Preferred(i.Preference.High),
		fmt.Sprintf("%s (%.1f %%) lacked one of the rankings", spaced(i.Excluded), 100*float64(i.Excluded)/float64(i.Pages)), "Warning. ", report.Warnings[0])
}

// What is wrong with the data is said before anything, and a verdict on such is not shown as good.
func TestExperimentPageWarns(t *testing.T) {
	f := &fakeReporter{from: Records{Directory: "/kept", Sample: 8, Bytes: 1 << 30}}
	f.records.Read.Damaged, f.records.Read.Example, f.records.Read.Unknown, f.records.Read.Torn = 2, "a.jsonl:7: nonsense", 1, 1
	traffic := simulate.Traffic{
		World: simulate.World{Seed: 1, Queries: 50, Hits: 20, Control: 1.5}, Population: simulate.Population{Seed: 2, Model: simulate.DCM{Continue: []float64{0.5}}, Keen: 0.5, Tail: 1.3, Most: 20},
		Experiment: experiment.Experiment{Name: "boots", Variants: []experiment.Variant{{Name: "lexical", Share: 1}, {Name: "reranked", Share: 1}}, Share: 1, Phase: "100%"},
		Users:      1000, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Gap: 5 * time.Minute,
	}
	for r := range traffic.Records() {
		if r.Impression == nil || r.Impression.Variant == "lexical" || r.Impression.Client > "q" {
			f.records.Add(r)
		}
	}
	page := ask(t, experimentsOf(f, boots), "GET", "/experiments/boots", "").Body.String()
	expect(t, page, `<section class="verdict bad"`, "Draw no conclusion", "Sample ratio mismatch", `<span class="badge bad">mismatch</span>`,
		"2 lines could not be read; the first is a.jsonl:7: nonsense", "1 line of the files", "1 file ends in the middle", "one unit in 8", "1024\u00a0MiB")
}

// Whatever stands in a record or in a URL is shown as text.
func TestExperimentPageEscapes(t *testing.T) {
	f := &fakeReporter{}
	f.traffic(func(t *simulate.Traffic) { t.Users = 20; t.Experiment.Name = "<script>x"; t.Experiment.Phase = "<i>" })
	f.records.Add(experiment.Record{Event: &experiment.Event{Action: "<b>buy</b>", QueryID: "q", Time: time.Date(2026, 3, 1, 0, 1, 0, 0, time.UTC)}})
	f.records.Add(experiment.Record{Impression: &experiment.Impression{
		QueryID: "q", Time: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Experiment: "<script>x", Phase: "<u>", Variant: "<em>", Words: "secret words", Client: "ada",
		Hits: []experiment.Shown{{ID: "secret-id"}}, Outcome: "<s>",
	}})
	page := ask(t, experimentsOf(f), "GET", "/experiments/%3Cscript%3Ex", "").Body.String()
	expect(t, page, "&lt;script&gt;x", "&lt;b&gt;buy&lt;/b&gt; 1", "&lt;em&gt;")
	for _, bad := range []string{"<script>x", "<b>buy", "<em>", "<i>", "<u>", "<s>", "secret", "ada<"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}
	if style := regexp.MustCompile(`(?i)\sstyle=|<style|\son\w+=|javascript:`).FindString(page); style != "" {
		t.Errorf("the page has %q, which its policy forbids", style)
	}
}

func TestExperimentWithoutRecords(t *testing.T) {
	off := boots
	off.Phase = "off"
	inFiles, inCluster := &fakeReporter{from: Records{Directory: "/kept"}}, &fakeReporter{from: Records{Cluster: true}}
	inFiles.traffic(func(t *simulate.Traffic) { t.Experiment.Name = "shoes"; t.Users = 5 })
	for _, test := range []struct {
		name string
		f    *fakeReporter
		of   []Experiment
		path string
		code int
		want []string
	}{
		{"nobody has searched yet", inFiles, []Experiment{boots}, "/experiments/boots", 200, []string{"There are no records of this experiment in <code>/kept</code> yet", `There are records of <a href="/experiments/shoes">shoes</a>.`}},
		{"it is off", inFiles, []Experiment{off}, "/experiments/boots", 200, []string{"/kept</code>: it is off."}},
		{"it is not known", inFiles, nil, "/experiments/boots", 404, []string{"not configured here", "There are no records"}},
		{"it is over", inFiles, nil, "/experiments/shoes", 200, []string{"not configured here", "Nothing can be said yet"}},
		{"as JSON", inFiles, []Experiment{boots}, "/experiments/boots.json", 404, []string{`"error": "there are no records of that experiment here"`}},
		{"in the cluster alone", inCluster, []Experiment{boots}, "/experiments/boots", 200, []string{"There are no records of this experiment in the cluster’s indices <code>ubi_queries</code> and <code>ubi_events</code> yet: no search has been in it."}},
		{"nowhere", &fakeReporter{}, []Experiment{boots}, "/experiments/boots", 200, []string{"Nothing is kept"}},
		{"a fault", &fakeReporter{err: errors.New("the disk is <gone>")}, []Experiment{boots}, "/experiments/boots", 503, []string{"The records could not be read: the disk is &lt;gone&gt;.", "As it is configured"}},
		{"a fault as JSON", &fakeReporter{err: errors.New("the disk is gone")}, nil, "/experiments/boots.json", 503, []string{`"error": "the disk is gone"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(t, experimentsOf(test.f, test.of...), "GET", test.path, "")
			if w.Code != test.code {
				t.Errorf("got %d, want %d", w.Code, test.code)
			}
			expect(t, w.Body.String(), test.want...)
		})
	}
}

// Whatever the numbers, what is drawn stays in its box, and touches the middle only where no difference is shown.
func TestIntervalIsInItsBox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := verdict.Effect{Low: rapid.Float64Range(-1, 1).Draw(t, "low")}
		e.High = rapid.Float64Range(e.Low, 1).Draw(t, "high")
		e.Estimate = rapid.Float64Range(e.Low, e.High).Draw(t, "estimate")
		scale := rapid.SampledFrom([]float64{reach(e), 0.001, 1, 0, math.Inf(1), math.NaN()}).Draw(t, "scale")
		i := between(e, scale, 1, "")
		if !i.Drawn {
			if scale > 0 && !math.IsInf(scale, 0) {
				t.Fatal("nothing is drawn")
			}
			return
		}
		if i.Low < 0 || i.Low+i.Width > 201 || i.At < 0 || i.At > 200 {
			t.Fatalf("%+v is beyond the box", i)
		}
		if shown := e.Shown(); shown == 0 && (i.Low > 100 || i.Low+i.Width < 100) || (i.Tone == "good") != (shown == 1) {
			t.Fatalf("%+v shows what %+v does not", i, e)
		}
	})
}

func TestRoundUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(1e-9, 1e9).Draw(t, "x")
		if got := roundUp(x); got < x*(1-1e-6) || got > 1.5001*x || len(strings.TrimRight(strconv.FormatFloat(got, 'e', 6, 64)[:8], "0")) > 3 {
			t.Fatalf("got %v for %v", got, x)
		}
	})
}

var tags = regexp.MustCompile(`<[^>]*>`)

// plainText is a page as it is read.
func plainText(page string) string {
	return strings.NewReplacer("&#39;", "'", "&#43;", "+", "&lt;", "<", "&gt;", ">", "&amp;", "&", "\u00a0", " ").Replace(tags.ReplaceAllString(page, ""))
}
