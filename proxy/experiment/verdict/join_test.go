package verdict

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
)

func impression(query, variant string, at time.Duration, ids ...string) experiment.Record {
	i := &experiment.Impression{QueryID: query, Experiment: "e", Variant: variant, Unit: "unit of " + query, Time: begin.Add(at), Outcome: "applied"}
	for _, id := range ids {
		i.Hits = append(i.Hits, experiment.Shown{ID: id, Object: "sku-" + id})
	}
	return experiment.Record{Impression: i}
}

// One query id for several searches, which an application sends by mistake, is no secret: they would be taken for one search.
func TestOneQueryIDForAll(t *testing.T) {
	for _, tt := range []struct {
		name  string
		page  func(i int) experiment.Record
		mixed int
	}{
		{"each its own", func(i int) experiment.Record {
			return impression(fmt.Sprint("q", i), "b", time.Duration(i)*time.Minute, "1", "2")
		}, 0},
		{"of everybody", func(i int) experiment.Record {
			r := impression("constant", "b", time.Duration(i)*time.Minute, "1", "2")
			r.Impression.Unit = fmt.Sprint("unit ", i)
			return r
		}, 99},
		{"of a session", func(i int) experiment.Record {
			return impression("session", "b", time.Duration(i)*time.Minute, fmt.Sprint(i))
		}, 99},
		{"its pages, and back to the first", func(i int) experiment.Record {
			r := impression("q", "b", time.Duration(i)*time.Minute, fmt.Sprint(2*(i%3)), fmt.Sprint(2*(i%3)+1))
			r.Impression.From = 2 * (i % 3)
			return r
		}, 0},
		{"the first page in another order", func(i int) experiment.Record {
			return impression("q", "b", time.Duration(i)*time.Minute, fmt.Sprint(i%2), fmt.Sprint((i+1)%2))
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Records
			for i := range 100 {
				r.Add(tt.page(i))
			}
			report, err := r.Report(Options{Now: begin.Add(48 * time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			if report.Clicks.Mixed != tt.mixed {
				t.Errorf("got %d mixed pages, want %d", report.Clicks.Mixed, tt.mixed)
			}
			warned := slices.ContainsFunc(report.Warnings, func(s string) bool { return strings.Contains(s, "have the query id of another search") })
			if warned != (tt.mixed > 0) {
				t.Errorf("got the warnings %q", report.Warnings)
			}
		})
	}
}

func clickOn(query, object string, at time.Duration) experiment.Record {
	return experiment.Record{Event: &experiment.Event{Action: "click", QueryID: query, Object: object, Time: begin.Add(at), Seen: begin.Add(at)}}
}

// What becomes of each kind of event.
func TestJoin(t *testing.T) {
	page2 := impression("q", "b", time.Minute, "4", "5", "6")
	page2.Impression.From = 3
	out := impression("out", "", 0, "1")
	out.Impression.Experiment = ""
	with := func(r experiment.Record, change func(*experiment.Event)) experiment.Record {
		e := *r.Event
		change(&e)
		return experiment.Record{Event: &e}
	}
	tests := []struct {
		what   string
		events []experiment.Record
		want   Clicks
		ranks  []int // of the clicks on q, in order of time
	}{
		{"clicks", []experiment.Record{clickOn("q", "2", time.Second), clickOn("q", "1", 2*time.Second)}, Clicks{Counted: 2}, []int{2, 1}},
		{"told out of order", []experiment.Record{clickOn("q", "1", 2*time.Second), clickOn("q", "2", time.Second)}, Clicks{Counted: 2}, []int{2, 1}},
		{"on the second page", []experiment.Record{clickOn("q", "5", 2*time.Minute)}, Clicks{Counted: 1}, []int{5}},
		{"by another field", []experiment.Record{with(clickOn("q", "sku-2", time.Second), func(e *experiment.Event) { e.Field = "sku" })}, Clicks{Counted: 1}, []int{2}},
		{"by an unnamed field", []experiment.Record{clickOn("q", "sku-2", time.Second)}, Clicks{Counted: 1}, []int{2}},
		{"by _id, which it is not", []experiment.Record{with(clickOn("q", "sku-2", time.Second), func(e *experiment.Event) { e.Field = "_id" })}, Clicks{NotShown: 1}, nil},
		{"by a field, and it is the _id", []experiment.Record{with(clickOn("q", "2", time.Second), func(e *experiment.Event) { e.Field = "sku" })}, Clicks{NotShown: 1}, nil},
		{"concluded", []experiment.Record{with(clickOn("q", "1", time.Second), func(e *experiment.Event) { e.Implicit = "get" })}, Clicks{Counted: 1, Implicit: 1}, []int{1}},
		{"in capitals", []experiment.Record{with(clickOn("q", "1", time.Second), func(e *experiment.Event) { e.Action = "CLICK" })}, Clicks{Counted: 1}, []int{1}},
		{"on what was not shown", []experiment.Record{clickOn("q", "7", time.Second)}, Clicks{NotShown: 1}, nil},
		{"on what is shown a minute later", []experiment.Record{clickOn("q", "5", time.Second)}, Clicks{Early: 1}, nil},
		{"before the page", []experiment.Record{clickOn("q", "1", -time.Second)}, Clicks{Early: 1}, nil},
		{"at the last moment", []experiment.Record{clickOn("q", "1", 30*time.Minute)}, Clicks{Counted: 1}, []int{1}},
		{"late", []experiment.Record{clickOn("q", "1", 30*time.Minute+1)}, Clicks{Late: 1}, nil},
		{"told late", []experiment.Record{with(clickOn("q", "1", time.Second), func(e *experiment.Event) { e.Seen = begin.Add(time.Hour) })}, Clicks{Late: 1}, nil},
		{"replayed", []experiment.Record{clickOn("q", "1", time.Second), clickOn("q", "1", time.Second)}, Clicks{Counted: 1, Duplicate: 1}, []int{1}},
		{"clicked again", []experiment.Record{clickOn("q", "1", time.Second), clickOn("q", "1", time.Minute)}, Clicks{Counted: 1, Repeated: 1}, []int{1}},
		{"of nothing that is known", []experiment.Record{clickOn("nowhere", "1", time.Second), clickOn("", "1", time.Second)}, Clicks{}, nil},
		{"of a search without experiment", []experiment.Record{clickOn("out", "1", time.Second)}, Clicks{Elsewhere: 1}, nil},
		{"on nothing", []experiment.Record{clickOn("q", "", time.Second)}, Clicks{NoObject: 1}, nil},
		{"no click", []experiment.Record{with(clickOn("q", "1", time.Second), func(e *experiment.Event) { e.Action = "purchase" })}, Clicks{}, nil},
		{"an early one does not hide the real one", []experiment.Record{clickOn("q", "1", -time.Second), clickOn("q", "1", time.Second)}, Clicks{Counted: 1, Early: 1}, []int{1}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			var r Records
			for _, record := range append([]experiment.Record{impression("q", "b", 0, "1", "2", "3"), page2, out}, test.events...) {
				r.Add(record)
			}
			j := r.join("e", Options{}.defaults())
			if j.clicks != test.want {
				t.Errorf("got %+v; want %+v", j.clicks, test.want)
			}
			if want := strings.HasPrefix(test.what, "of nothing"); want != (j.orphans == 2) {
				t.Errorf("%d events are of unknown searches", j.orphans)
			}
			if len(j.searches) != 1 {
				t.Fatalf("%d searches", len(j.searches))
			}
			var ranks []int
			for _, c := range j.searches[0].clicks {
				ranks = append(ranks, c.rank)
			}
			if !slices.Equal(ranks, test.ranks) {
				t.Errorf("ranks %v; want %v", ranks, test.ranks)
			}
		})
	}
}

// Files may be read in any order, and twice: the report is the same.
func TestReportOfShuffledRecords(t *testing.T) {
	for _, e := range []experiment.Experiment{split(1, 2), shared()} {
		traffic := simulate.Traffic{
			World:      simulate.World{Seed: 1, Hits: 20, Queries: 30, Control: 2, Treated: 0.5},
			Population: people(1, dcm), Experiment: e, Users: 100, Start: begin, Gap: time.Hour, Next: 0.2, Fallback: 0.1,
		}
		records := slices.Collect(traffic.Records())
		report := func(records []experiment.Record) *Report {
			var r Records
			for _, record := range records {
				r.Add(record)
			}
			report, err := r.Report(Options{Halves: 10})
			if err != nil {
				t.Fatal(err)
			}
			report.Read, report.Clicks.Duplicate, report.Clicks.Pages = Read{}, 0, 0
			return report
		}
		want := report(records)
		rapid.Check(t, func(t *rapid.T) {
			twice := append(slices.Clone(records), records[:rapid.IntRange(0, len(records)).Draw(t, "twice")]...)
			rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)).Shuffle(len(twice), func(a, b int) { twice[a], twice[b] = twice[b], twice[a] })
			if diff := cmp.Diff(want, report(twice)); diff != "" {
				t.Fatalf("shuffled (+) and in order (-):\n%s", diff)
			}
		})
	}
}

// A unit's score does not change once it has entered, whatever else is recorded: that is what makes peeking harmless.
func TestScoresAreFixed(t *testing.T) {
	traffic := simulate.Traffic{
		World:      simulate.World{Seed: 1, Hits: 20, Queries: 30, Control: 2, Treated: 0.5},
		Population: people(1, dcm), Experiment: split(1, 1), Users: 200, Start: begin, Gap: time.Hour, Next: 0.2,
	}
	records := slices.Collect(traffic.Records())
	when := func(r experiment.Record) time.Time { // it is recorded
		if r.Event != nil {
			return r.Event.Seen
		}
		return r.Impression.Time
	}
	slices.SortStableFunc(records, func(a, b experiment.Record) int { return when(a).Compare(when(b)) })
	o := Options{}.defaults()
	var before []observed
	for n := 100; n <= len(records); n += 50 {
		var r Records
		for _, record := range records[:n] {
			r.Add(record)
		}
		j := r.join("e", o)
		now := observe(j.closed(o), j.design(), "reranked", MRR, o)
		for i, u := range before {
			if u.id != now[i].id || u.score != now[i].score {
				t.Fatalf("unit %d was %+v and is %+v", i, u.score, now[i].score)
			}
		}
		before = now
	}
	if len(before) < 100 {
		t.Errorf("%d units entered", len(before))
	}
}

// Whatever is dated in the future does not make what is shown now older than it is: it is counted, and left out.
func TestRecordsFromTheFuture(t *testing.T) {
	o := Options{Experiment: "e", Now: begin.Add(time.Hour)}
	later := o.Now.Add(Skew).Sub(begin) // that is as late as a clock may be
	records := []experiment.Record{impression("q", "a", 0, "1"), clickOn("q", "1", time.Second), impression("other", "", 0, "1")}
	records[2].Impression.Experiment = "f"
	report := func(more ...experiment.Record) *Report {
		t.Helper()
		var r Records
		for _, record := range append(slices.Clone(records), more...) {
			r.Add(record)
		}
		report, err := r.Report(o)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if got := report(impression("ahead", "a", later, "1"), clickOn("ahead", "1", later)); got.Ahead.Records != 0 || got.Units.All != 2 || got.To != o.Now || got.Units.Open != 2 {
		t.Errorf("a clock that is a little ahead: got %+v, %+v at %v; want both units open, as of now", got.Ahead, got.Units, got.To)
	}
	year := 365 * 24 * time.Hour
	got := report(impression("year", "b", year, "1"), clickOn("year", "1", year+time.Second), clickOn("year", "1", time.Second), clickOn("q", "1", 2*year), clickOn("nowhere", "1", year))
	if want := (Ahead{Records: 5, Latest: begin.Add(2 * year)}); got.Ahead != want {
		t.Errorf("got %+v from the future, want %+v", got.Ahead, want)
	}
	if got.Units.All != 1 || got.Units.Open != 1 || got.Clicks.Counted != 1 || got.Orphans != 0 || got.To != begin.Add(time.Second) {
		t.Errorf("got %+v, %+v, %d orphans, as of %v; want one unit, still open, with its click", got.Units, got.Clicks, got.Orphans, got.To)
	}
	if want := "5 records are dated after now, 2026-03-01 01:00 UTC, up to 2028-02-29 00:00 UTC: the clock of a machine that keeps records is wrong. They are left out."; !slices.Contains(got.Warnings, want) {
		t.Errorf("got the warnings %q; want %q", got.Warnings, want)
	}
	elsewhere := impression("elsewhere", "", year, "1")
	elsewhere.Impression.Experiment = "f"
	if got := report(elsewhere, clickOn("elsewhere", "1", year), clickOn("other", "1", year)); got.Ahead.Records != 0 {
		t.Errorf("what is of another experiment is counted: %+v", got.Ahead)
	}
}

// Events of searches that nobody recorded are of no experiment that is known: where there are several, none of them is warned.
func TestOrphans(t *testing.T) {
	records := []experiment.Record{impression("q", "a", 0, "1")}
	for range 30 {
		records = append(records, clickOn(fmt.Sprint("nowhere", len(records)), "1", time.Second))
	}
	other := impression("other", "", 0, "1")
	other.Impression.Experiment = "f"
	for _, several := range []bool{false, true} {
		var r Records
		for _, record := range records {
			r.Add(record)
		}
		if several {
			r.Add(other)
		}
		report, err := r.Report(Options{Experiment: "e"})
		if err != nil {
			t.Fatal(err)
		}
		said := report.OrphanSentence()
		if !strings.HasPrefix(said, "30 events are of searches that are not in these records: ") {
			t.Errorf("got %q", said)
		}
		if slices.Contains(report.Warnings, said) == several {
			t.Errorf("with several experiments %v: the warnings are %q", several, report.Warnings)
		}
	}
}

// Rates of a small example that can be followed by hand.
func TestCells(t *testing.T) {
	var r Records
	add := func(query, unit, phase string, ids int, clicks ...string) {
		i := impression(query, "b", 0)
		i.Impression.Unit, i.Impression.Phase, i.Impression.Took = unit, phase, time.Duration(len(r.pages)+1)*time.Millisecond
		for id := range ids {
			i.Impression.Hits = append(i.Impression.Hits, experiment.Shown{ID: fmt.Sprint(id + 1)})
		}
		i.Impression.Total = int64(ids)
		if ids == 0 {
			i.Impression.Outcome, i.Impression.Reason = "skipped", "no_hits"
		}
		r.Add(i)
		for n, c := range clicks {
			r.Add(clickOn(query, c, time.Duration(n+1)*time.Second))
		}
	}
	add("q1", "u", "1%", 10, "4", "1") // the first click is on the fourth hit
	add("q2", "u", "1%", 10)
	add("q3", "v", "1%", 0)
	add("q4", "w", "1%", 20, "11")
	add("q5", "w", "5%", 10, "2")
	report, err := r.Report(Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Cell{
		{
			Phase: "1%", Variant: "b", Units: 3, Searches: 4, Impressions: 4, Clicks: 3,
			CTR1: 0.25, CTR3: 0.25, CTR10: 0.25, MRR: (1./4 + 1./11) / 4, Abandonment: 1. / 3, ZeroResults: 0.25,
			Latency:  Times{3 * time.Millisecond, 7 * time.Millisecond, 7 * time.Millisecond},
			Outcomes: Counts{"applied": 3, "skipped": 1}, Reasons: Counts{"no_hits": 1}, OtherActions: Counts{},
		},
		{
			Phase: "5%", Variant: "b", Units: 1, Searches: 1, Impressions: 1, Clicks: 1, CTR3: 1, CTR10: 1, MRR: 0.5,
			Latency:  Times{8 * time.Millisecond, 8 * time.Millisecond, 8 * time.Millisecond},
			Outcomes: Counts{"applied": 1}, Reasons: Counts{}, OtherActions: Counts{},
		},
	}
	for i := range report.Cells { // the times are those of how many records there were
		report.Cells[i].Latency = want[i].Latency
	}
	if diff := cmp.Diff(want, report.Cells, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("got (+) and want (-):\n%s", diff)
	}
}

// Wins, losses, ties and what is left out, by hand.
func TestInterleaved(t *testing.T) {
	var r Records
	teams := []experiment.Team{experiment.Nobody, experiment.Control, experiment.Treated, experiment.Treated, experiment.Control}
	add := func(query, unit, outcome string, clicks ...string) {
		i := impression(query, experiment.Interleaved, 0, "n", "a1", "b1", "b2", "a2")
		i.Impression.Unit, i.Impression.Outcome = unit, outcome
		i.Impression.Design = shared().Variants
		for place := range i.Impression.Hits {
			i.Impression.Hits[place].Team = teams[place]
		}
		if outcome != "applied" {
			i.Impression.Reason = "timeout"
		}
		r.Add(i)
		for n, c := range clicks {
			r.Add(clickOn(query, c, time.Duration(n+1)*time.Second))
		}
	}
	add("q1", "u", "applied", "b1")
	add("q2", "u", "applied", "b1", "b2", "a1")
	add("q3", "u", "applied", "a1")
	add("q4", "v", "applied", "a1", "a2")
	add("q5", "v", "skipped", "b1") // lacks a ranking
	add("q6", "w", "applied", "n")  // nobody's
	add("q7", "w", "applied", "a1", "b1")
	add("q8", "x", "applied")
	r.Add(experiment.Record{Impression: &experiment.Impression{QueryID: "late", Time: begin.Add(48 * time.Hour)}})
	report, err := r.Report(Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := report.Interleaved
	if want := (WinLoss{2, 2, 3}); i.Searches != want {
		t.Errorf("searches: got %+v; want %+v", i.Searches, want)
	}
	if want := (WinLoss{1, 1, 2}); i.Units != want {
		t.Errorf("units: got %+v; want %+v", i.Units, want)
	}
	if i.Pages != 8 || i.Excluded != 1 || !reflect.DeepEqual(i.Reasons, Counts{"timeout": 1}) || i.Identical != 0 {
		t.Errorf("got %+v", i)
	}
	if want := (1./3 - 1) / 2; i.Preference.Units != 2 || math.Abs(i.Preference.Estimate-want) > 1e-12 {
		t.Errorf("preference: got %v of %d units; want %v of 2", i.Preference.Estimate, i.Preference.Units, want)
	}
	if i.Control != "lexical" || i.Variant != "reranked" {
		t.Errorf("%s against %s", i.Variant, i.Control)
	}
}

// In the shadow everybody has the control, by design: that is no mismatch, and nothing to compare with. Who comes again later is assigned then.
func TestShadowPhase(t *testing.T) {
	var r Records
	for i := range 500 {
		page := impression(fmt.Sprint("q", i), "lexical", time.Duration(i)*time.Minute, "1")
		page.Impression.Phase, page.Impression.Design = "shadow", split(1, 1).Variants
		page.Impression.Unit = fmt.Sprint("u", i%50)
		r.Add(page)
		r.Add(experiment.Record{Shadow: &experiment.Shadow{QueryID: page.Impression.QueryID, Experiment: "e", Phase: "shadow", Variant: "reranked", Outcome: "applied"}})
	}
	report, err := r.Report(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Comparisons)+len(report.Ratios)+len(report.Warnings)+report.Units.All > 0 {
		t.Errorf("got %+v", report)
	}
	if len(report.Cells) != 1 || report.Cells[0].Searches != 500 || len(report.Shadows) != 1 || report.Shadows[0].Searches != 500 {
		t.Errorf("got %+v and %+v", report.Cells, report.Shadows)
	}
	again := impression("later", "reranked", 24*time.Hour, "1")
	again.Impression.Phase, again.Impression.Design, again.Impression.Unit = "1%", split(1, 1).Variants, "u1"
	r.Add(again)
	if report, err = r.Report(Options{}); err != nil || report.Units.All != 1 || report.Units.Crossed != 0 || report.Ratios[0].Shares[1].Units != 1 {
		t.Errorf("got %+v, %v", report, err)
	}
}
