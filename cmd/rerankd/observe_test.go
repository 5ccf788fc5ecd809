package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/rerank"
)

// A search is on the live page when it is over; what was searched for is there only where it may be, and goes when that changes.
func TestLiveOfTheProgram(t *testing.T) {
	w := newWatchedProgram(t, &fakeCluster{indices: shelf}, "rules: [{ name: shelf, fields: [title, about], stages: [{ model: small, window: 4 }], budget: 10s }]")
	pages := admin.New(admin.Options{Program: w, Live: w.live, Words: w.showsWords})
	page := func() string {
		r := httptest.NewRequest("GET", "http://127.0.0.1/live", nil)
		got := httptest.NewRecorder()
		pages.ServeHTTP(got, r)
		return got.Body.String()
	}
	search := func(words string) {
		req := httptest.NewRequest("GET", "http://proxy/books/_search?q="+words, nil)
		got := httptest.NewRecorder()
		w.handler.ServeHTTP(got, req)
		if got.Code != http.StatusOK {
			t.Fatalf("got %d %s", got.Code, got.Body)
		}
	}
	search("divers")
	if got := page(); !strings.Contains(got, "divers") || !strings.Contains(got, "4 <small>of 4</small>") || !strings.Contains(got, "▲ 2") {
		t.Errorf("got no search for divers that read 4 of 4 and moved one by two:\n%s", got)
	}
	if err := w.reload(t.Context(), func() (*config.Config, error) {
		c := *w.now.Load().config
		c.Admin.Queries = false
		return &c, nil
	}); err != nil {
		t.Fatal(err)
	}
	search("gardens")
	if got := page(); strings.Contains(got, "divers") || strings.Contains(got, "gardens") || strings.Count(got, `class="applied"`) != 2 {
		t.Errorf("got words on the page that are not to be kept:\n%s", got)
	}
}

func BenchmarkObserver(b *testing.B) {
	o := observer{new(admin.Live), func() bool { return true }}
	seen := proxy.Observation{
		Time: time.Now(), Endpoint: "_search", Search: 1, Searches: 1, Indices: "books", Rule: "shelf", Words: "guide for divers", Status: 200, Outcome: "applied",
		Stages:  []rerank.Report{{Model: "small", Window: 40, Scored: 40}},
		Cluster: 10 * time.Millisecond, Ranking: 200 * time.Millisecond, Total: 211 * time.Millisecond,
	}
	for b.Loop() {
		o.Observe(seen)
	}
}
