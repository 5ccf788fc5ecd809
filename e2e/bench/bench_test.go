package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseWrk(t *testing.T) {
	const report = `Running 1s test @ http://127.0.0.1:8080/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.00ms    1.00ms   9.00ms   90.00%
    Req/Sec    40.00k     1.00k   41.00k    70.00%
  Latency Distribution
     50%  812.00us
     75%    1.10ms
     90%    1.50ms
     99%    2.25s 
  40123 requests in 1.00s, 30.00MB read
Requests/sec:  40123.00
Transfer/sec:     30.00MB
`
	got, err := parseWrk(report)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(load{requests: 40123, p50: 812, p99: 2.25e6}, got, cmp.AllowUnexported(load{})); diff != "" {
		t.Errorf("load (-want +got):\n%s", diff)
	}
	for name, bad := range map[string]string{
		"refused requests":   report + "  Non-2xx or 3xx responses: 3\n",
		"broken connections": report + "  Socket errors: connect 0, read 1, write 0, timeout 0\n",
		"no report":          "",
	} {
		if got, err := parseWrk(bad); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestSeries(t *testing.T) {
	for _, test := range []struct {
		in   series
		want string
	}{
		{nil, "–"},
		{series{3, 1, 2}, "2.00 (1.00–3.00)"},
		{series{100, 12.34, 0.0567, 1000}, "56.2 (0.0567–1000)"},
		{series{0, -2}, "-1.00 (-2.00–0)"},
	} {
		if got := test.in.String(); got != test.want {
			t.Errorf("%v: got %s, want %s", []float64(test.in), got, test.want)
		}
	}
	if got, want := (series{6, 10}).over(series{2, 5}), (series{3, 2}); !cmp.Equal(got, want) {
		t.Errorf("over: got %v, want %v", got, want)
	}
	if got := (series{}).median(); !math.IsNaN(got) {
		t.Errorf("median of none: got %v, want NaN", got)
	}
}

func TestTextsAreTheSameEveryTime(t *testing.T) {
	a, b := texts(3), texts(5)
	if diff := cmp.Diff(a, b[:3]); diff != "" {
		t.Errorf("the first three of three and of five differ:\n%s", diff)
	}
	var answer struct {
		Hits struct {
			Hits []json.RawMessage `json:"hits"`
		} `json:"hits"`
	}
	if err := json.Unmarshal(searchAnswer(a[0]), &answer); err != nil {
		t.Fatal(err)
	}
	if got := len(answer.Hits.Hits); got != hits {
		t.Errorf("got %d hits, want %d", got, hits)
	}
}

func TestQuantileAndWithin(t *testing.T) {
	took := []float64{5, 1, 4, 2, 3}
	for share, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(took, share); got != want {
			t.Errorf("quantile %v: got %v, want %v", share, got, want)
		}
	}
	if got := within(took, 2); got != 40 {
		t.Errorf("within 2: got %v %%, want 40", got)
	}
}

func TestAnsweredTellsWhatWasDone(t *testing.T) {
	for _, test := range []struct {
		said   string
		reason string
		scored int
	}{
		{`applied; model="small"; window=40; scored=38; ms=291`, "applied", 38},
		{`applied; model="small"; window=40; scored=38; model="large"; window=10; scored=4; ms=291`, "applied", 42},
		{"skipped; reason=busy", "busy", 0},
	} {
		a := answered{said: test.said}
		if a.reason() != test.reason || a.scored() != test.scored {
			t.Errorf("%s: got %s and %d documents, want %s and %d", test.said, a.reason(), a.scored(), test.reason, test.scored)
		}
	}
	a := answered{said: `applied; model="small"; window=2; scored=2; ms=1`, ids: []string{"1", "0"}, scores: []float64{7, 5}}
	got, err := a.inOrder(2)
	if diff := cmp.Diff([]float64{5, 7}, got); diff != "" || err != nil {
		t.Errorf("in the cluster's order: %v (-want +got):\n%s", err, diff)
	}
	if _, err := a.inOrder(3); err == nil {
		t.Error("two hits of three in order: got no error")
	}
}

func TestDocumentsAreAsLongAsTextsAre(t *testing.T) {
	sum, longest := 0, 0
	for k := range window {
		n := length((float64(k) + 0.5) / window)
		sum, longest = sum+n, max(longest, n)
	}
	// In words, of which each is 1.3 tokens or so.
	if mean := sum / window; mean < 75 || mean > 90 || longest < 350 {
		t.Errorf("got %d words on average and %d in the longest; want 75 to 90, and 350 or more", mean, longest)
	}
	c, other := &corpus{sentences: []string{"One is here.", "Two are there now."}, random: rand.New(rand.NewPCG(1, 0))}, &corpus{sentences: []string{"One is here.", "Two are there now."}, random: rand.New(rand.NewPCG(1, 0))}
	a, b := c.searches(2, 10), other.searches(2, 10)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the same seed gives other searches:\n%s", diff)
	}
	if len(a) != 2 || len(a[0].Docs) != 10 || cmp.Equal(a[0].Docs, a[1].Docs) {
		t.Errorf("got %d searches, the first of %d documents; want 2 different ones of 10", len(a), len(a[0].Docs))
	}
}
