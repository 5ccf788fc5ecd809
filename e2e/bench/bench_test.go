package main

import (
	"encoding/json"
	"math"
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
