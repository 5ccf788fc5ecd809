package verdict

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
)

// lines are records as they are kept.
func lines(t testing.TB, records ...experiment.Record) string {
	t.Helper()
	var b strings.Builder
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func zipped(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReadFrom(t *testing.T) {
	page := lines(t, experiment.Record{Impression: &experiment.Impression{QueryID: "q", Experiment: "e", Time: begin}})
	click := lines(t, experiment.Record{Event: &experiment.Event{QueryID: "q", Action: "click", Object: "1", Time: begin, Seen: begin}})
	shadow := lines(t, experiment.Record{Shadow: &experiment.Shadow{QueryID: "q", Experiment: "e"}})
	query := lines(t, experiment.Record{Query: &experiment.Query{QueryID: "q"}})
	three := page + click + shadow
	tests := []struct {
		what, file string
		want       Read
		fault      string
	}{
		{what: "nothing", want: Read{Files: 1}},
		{what: "blank lines", file: "\n\n", want: Read{Files: 1}},
		{what: "records", file: three, want: Read{Files: 1, Impressions: 1, Events: 1, Shadows: 1}},
		{what: "what an application tells of a search", file: query + three, want: Read{Files: 1, Impressions: 1, Events: 1, Shadows: 1, Queries: 1}},
		{what: "lines end as on Windows", file: strings.ReplaceAll(three, "\n", "\r\n"), want: Read{Files: 1, Impressions: 1, Events: 1, Shadows: 1}},
		{what: "the last line has no end", file: strings.TrimSuffix(three, "\n"), want: Read{Files: 1, Impressions: 1, Events: 1, Shadows: 1}},
		{what: "the last line is torn", file: page + click + shadow[:20], want: Read{Files: 1, Impressions: 1, Events: 1, Torn: 1}},
		{what: "compressed", file: zipped(t, three), want: Read{Files: 1, Impressions: 1, Events: 1, Shadows: 1}},
		{what: "compressed, and appended to", file: zipped(t, page) + zipped(t, click), want: Read{Files: 1, Impressions: 1, Events: 1}},
		{what: "compressed, without its end", file: zipped(t, three)[:len(zipped(t, three))-4], want: Read{Files: 1, Impressions: 1, Events: 1, Shadows: 1, Torn: 1}},
		{what: "from a later version", file: `{"judgement":{}}` + "\n" + three, want: Read{Files: 1, Impressions: 1, Events: 1, Shadows: 1, Unknown: 1}},
		{
			what: "torn in the middle, and gone on", file: page[:30] + three,
			want: Read{Files: 1, Events: 1, Shadows: 1, Damaged: 1, Example: "the file:1: invalid character"},
		},
		{what: "a log", file: "INFO started\nINFO stopped\n", fault: "the file:1: is not a record in JSON: invalid character 'I'"},
		{what: "other JSON", file: `{"hits":[]}`, fault: "the file:1: is JSON, and neither an impression nor an event, a shadow or a query: this is no record file"},
		{what: "long and not ours", file: strings.Repeat("INFO\n", 200) + three, fault: "the file:1: is not a record in JSON"},
		{what: "not compressed as it says", file: "\x1f\x8bxxxxxxxxxxxx", fault: "the file: gzip: "},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			var r Records
			err := r.ReadFrom("the file", strings.NewReader(test.file))
			if test.fault != "" {
				if err == nil || !strings.HasPrefix(err.Error(), test.fault) {
					t.Errorf("got the error %v; want %s…", err, test.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(r.Read.Example, test.want.Example) {
				t.Errorf("got %s; want %s…", r.Read.Example, test.want.Example)
			}
			r.Read.Example = test.want.Example
			if r.Read != test.want {
				t.Errorf("got %+v; want %+v", r.Read, test.want)
			}
		})
	}
}

// A line that is longer than any record is passed over, not held.
func TestReadLongLine(t *testing.T) {
	page := lines(t, experiment.Record{Impression: &experiment.Impression{QueryID: "q", Experiment: "e", Time: begin}})
	var r Records
	if err := r.ReadFrom("the file", strings.NewReader(page+strings.Repeat("x", 2*longest)+"\n"+page)); err != nil {
		t.Fatal(err)
	}
	if r.Read.Impressions != 2 || r.Read.Damaged != 1 {
		t.Errorf("got %+v", r.Read)
	}
}

// Whatever is in a file: every line that is not blank is counted once, and a report can be made.
func FuzzReadFrom(f *testing.F) {
	page := lines(f, experiment.Record{Impression: &experiment.Impression{
		QueryID: "q", Experiment: "e", Variant: "b", Unit: "u", Time: begin, Hits: []experiment.Shown{{ID: "1"}},
		Design: []experiment.Variant{{Name: "a", Share: 1}, {Name: "b", Share: 1}}, Outcome: "applied",
	}})
	click := lines(f, experiment.Record{Event: &experiment.Event{QueryID: "q", Action: "click", Object: "1", Time: begin, Seen: begin.Add(time.Second)}})
	f.Add([]byte(page + click))
	f.Add([]byte(page + page + click[:len(click)/2]))
	f.Add([]byte(zipped(f, page)))
	f.Add([]byte(`{"impression":{"experiment":"e","design":[{"name":"a","share":-1},{"name":"b","share":1e999}]}}`))
	f.Add([]byte(`{"impression":{"experiment":"e","design":[{"name":"a","share":-1},{"name":"b","share":-1}]}}`))
	f.Add([]byte(`{"impression":{"experiment":"e","variant":"interleaved","hits":[{"team":"c"}],"from":-5}}` + "\n" + `{"shadow":{"experiment":"e"}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		var r Records
		if err := r.ReadFrom("file", bytes.NewReader(file)); err != nil {
			return
		}
		got := r.Read.Impressions + r.Read.Events + r.Read.Shadows + r.Read.Queries + r.Read.Unknown + r.Read.Damaged + r.Read.Torn
		if !bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
			want := 0
			for line := range bytes.Lines(file) {
				if len(bytes.TrimSpace(line)) > 0 {
					want++
				}
			}
			if got != want {
				t.Fatalf("%d lines are counted as %+v", want, r.Read)
			}
		}
		report, err := r.Report(Options{Halves: 2})
		if err != nil {
			return
		}
		if _, err := json.Marshal(report); err != nil {
			t.Fatal(fmt.Errorf("the report cannot be written: %w", err))
		}
	})
}

// BenchmarkReport is of 20,000 people with some 80,000 searches: read from lines, and analysed.
func BenchmarkReport(b *testing.B) {
	traffic := simulate.Traffic{
		World:      simulate.World{Seed: 1, Hits: 20, Queries: 200, Control: 1, Treated: 0.5},
		Population: people(1, dcm), Experiment: split(1, 1), Users: 20000, Start: begin, Gap: time.Minute,
	}
	var file bytes.Buffer
	w := json.NewEncoder(&file)
	for r := range traffic.Records() {
		if err := w.Encode(r); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		var r Records
		if err := r.ReadFrom("file", bytes.NewReader(file.Bytes())); err != nil {
			b.Fatal(err)
		}
		if _, err := r.Report(Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
