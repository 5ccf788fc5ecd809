package sink

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/rerankd/rerankd/proxy/experiment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 31, 12, 0, 0, 250e6, time.UTC)

// impression is the n-th of a client's.
func impression(n int, client string) experiment.Record {
	return experiment.Record{Impression: &experiment.Impression{
		QueryID: fmt.Sprint("q", n), Time: noon, Client: client, Words: "red <shoes>", Index: "shop", Outcome: "applied",
		Hits: []experiment.Shown{{Index: "shop", ID: "1", Team: experiment.Treated}, {Index: "shop", ID: "2"}},
	}}
}

// counted reads the counter: "kept" or a reason.
func counted(t testing.TB, c *prometheus.CounterVec, sink, what string) int {
	t.Helper()
	outcome, reason := "dropped", what
	if what == "kept" {
		outcome, reason = what, ""
	}
	var m dto.Metric
	if err := c.WithLabelValues(sink, outcome, reason).Write(&m); err != nil {
		t.Fatal(err)
	}
	return int(m.Counter.GetValue())
}

type collected []experiment.Record

func (c *collected) Keep(r experiment.Record) { *c = append(*c, r) }

func TestTee(t *testing.T) {
	var a, b collected
	Tee{&a, &b}.Keep(impression(1, "c"))
	if len(a) != 1 || len(b) != 1 || a[0].Impression != b[0].Impression {
		t.Errorf("got %v and %v", a, b)
	}
}
