package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank/schedule"
)

func TestWindow(t *testing.T) {
	for _, test := range []struct {
		name string
		cost schedule.Cost
		want int
	}{
		// 240 ms of 300 are for documents: 15 ms each on two workers are 32, and 7.5 ms would be 64.
		{"what fits", schedule.Cost{PerToken: 125 * time.Microsecond, Workers: 2}, 32},
		{"no more than is useful", schedule.Cost{PerToken: time.Microsecond, Workers: 2}, maxWindow},
		{"no less than is useful", schedule.Cost{PerToken: time.Millisecond, Workers: 1}, minWindow},
		{"nothing was measured", schedule.Cost{}, minWindow},
	} {
		if got := window(test.cost, 300*time.Millisecond); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	table := newTable("NAME", "HITS", "WHY").numbers(1)
	table.row("ж", "1", "")
	table.row("books", "1000", "…")
	var b strings.Builder
	if err := table.print(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME   HITS  WHY\nж         1\nbooks  1000  …\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestClip(t *testing.T) {
	for _, test := range []struct {
		in   string
		want string
	}{
		{"short", "short"},
		{"just ten!!", "just ten!!"},
		{"more than ten", "more than…"},
		{"two\n lines\t", "two lines"},
		{"\x1b[2Jred\u009b1m", "[2Jred 1m"}, // a document must not clear the screen
		{"жжжжжжжжжжжж", "жжжжжжжжж…"},
	} {
		if got := clip(test.in, 10); got != test.want {
			t.Errorf("clip(%q): got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestHeadersAreTakenApart(t *testing.T) {
	h := http.Header{}
	h.Set("X-Rerank", `applied; model="a;b\"c"; window=40; scored=38; ms=291`)
	h.Set("X-Rerank-Debug", `rule="books"; query="a, b"; fields="title,about"; detail=""`)
	h.Add("Server-Timing", `app;dur=1`)
	h.Add("Server-Timing", `cluster;dur=4.5, ranking;dur=291.25`)
	var got answer
	got.readHeaders(h)
	want := answer{said: h.Get("X-Rerank"), outcome: "applied", rule: "books", words: "a, b", fields: []string{"title", "about"}, scored: 38, window: 40,
		cluster: 4500 * time.Microsecond, ranking: 291250 * time.Microsecond}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if p := parameters(`skipped; reason=sort`); p[""] != "skipped" || p["reason"] != "sort" {
		t.Errorf("got %v", p)
	}
	if p := parameters(`a="b;c\"d"; e`); p["a"] != `b;c"d` || p[""] != "e" {
		t.Errorf("got %v", p)
	}
}

// What is no terminal gets JSON, unless told otherwise; and the level can change under way.
func TestLogFormat(t *testing.T) {
	var b bytes.Buffer
	level := new(slog.LevelVar)
	logger := slog.New(newLogHandler(&b, config.Log{Format: "auto"}, level))
	logger.Debug("hidden")
	level.Set(logLevel(config.Log{Level: "debug"}))
	logger.Debug("shown", "secret", config.Secret("hunter2"))
	var line struct{ Msg, Secret string }
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line.Msg != "shown" || line.Secret != "***" {
		t.Errorf("got %s (%v), want one line of JSON with the secret hidden", b.String(), err)
	}
	b.Reset()
	slog.New(newLogHandler(&b, config.Log{Format: "text"}, level)).Info("shown")
	if !strings.Contains(b.String(), "level=INFO msg=shown") {
		t.Errorf("got %s, want text", b.String())
	}
}

func TestDescribeCluster(t *testing.T) {
	refused := []backends.NodeStatus{{URL: "http://one", Up: true}, {URL: "http://two", Err: errors.New("asking http://two: connection refused")}}
	for _, test := range []struct {
		seen   bool
		engine backends.Engine
		nodes  []backends.NodeStatus
		want   string
	}{
		{true, backends.Engine{Kind: config.KindOpenSearch, Version: "2.19.1"}, refused, "OpenSearch 2.19.1"},
		{true, backends.Engine{Kind: config.KindAuto}, nil, "answers, and has not said yet which engine it is"}, // as one that asks for a password does
		{false, backends.Engine{Kind: config.KindAuto}, refused, "no answer yet: asking http://two: connection refused"},
		{false, backends.Engine{Kind: config.KindAuto}, refused[:1], "no answer yet"},
	} {
		if got := describeCluster(test.seen, test.engine, test.nodes); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// A time in a log for programs is a number whose unit its key says.
func TestLogTimes(t *testing.T) {
	var b bytes.Buffer
	logger := slog.New(newLogHandler(&b, config.Log{Format: "json"}, new(slog.LevelVar)))
	logger.Info("search", "total", 1234567*time.Nanosecond, slog.Group("stage", "took", 2*time.Second))
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{"level": "INFO", "msg": "search", "total_ms": 1.234, "stage": map[string]any{"took_ms": 2000.0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}
