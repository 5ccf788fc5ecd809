package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy/admin"
)

// A previewed program is one in front of a fake cluster that keeps what it was asked.
type watchedProgram struct {
	*program
	mu    sync.Mutex
	asked []string
}

func newWatchedProgram(t *testing.T, c *fakeCluster, yaml string) *watchedProgram {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	w := &watchedProgram{}
	handler := c.handler()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" { // which is asked to learn what engine it is
			w.mu.Lock()
			w.asked = append(w.asked, r.Method+" "+r.URL.EscapedPath())
			w.mu.Unlock()
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	parsed, err := config.Parse("test.yaml", []byte("cluster: { urls: ["+server.URL+"] }\n"+yaml), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	w.program = newProgram(&environment{lookup: os.LookupEnv, open: openFake}, slog.New(slog.DiscardHandler), admin.NewRecent(slog.DiscardHandler))
	if err := w.start(t.Context(), parsed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

var shelf = map[string][]string{"books": {
	`{"title":"A boat to nowhere","about":"A novel of the sea"}`,
	`{"title":"Gardens","about":"What grows where"}`,
	`{"title":"Fish","about":"A guide for divers"}`,
	`{"title":"Divers","about":"A guide for guides"}`,
}}

func order(hits []admin.Hit) string {
	var ids []string
	for _, h := range hits {
		ids = append(ids, h.ID)
	}
	return strings.Join(ids, " ")
}

func TestPreview(t *testing.T) {
	w := newWatchedProgram(t, &fakeCluster{indices: shelf}, `
rules: [{ name: shelf, indices: [books], fields: [title, about], stages: [{ model: small, window: 4 }], budget: 10s }, { name: off, rerank: off }]
`)
	ask := func(q admin.Question) *admin.Comparison {
		t.Helper()
		q.Index = "books"
		c, err := w.Compare(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		return c
	}
	c := ask(admin.Question{Words: "guide for divers", Fusion: "replace", Size: 3})
	if got := order(c.Cluster); got != "1 2 3" {
		t.Errorf("got the cluster's order as %s", got)
	}
	if got := order(c.Reranked); got != "3 4 1" || c.Outcome != "applied" || c.Rule != "shelf" || c.Scored != 4 || c.Query != "guide for divers" {
		t.Errorf("got %s, %+v; want the model's own order of all four", got, c)
	}
	moves := []admin.Move{c.Reranked[0].Move, c.Reranked[1].Move, c.Reranked[2].Move, c.Cluster[1].Move}
	if want := []admin.Move{admin.Up, admin.Entered, admin.Down, admin.Gone}; !slices.Equal(moves, want) || c.Reranked[1].Other != 4 {
		t.Errorf("got moves %v, want %v", moves, want)
	}
	if h := c.Reranked[0]; h.Title != "Fish" || h.Text != "A guide for divers" || h.Score == nil {
		t.Errorf("got %+v, want title, text and score", h)
	}
	if l := c.Likeness; l == nil || l.Common != 2 || l.Tau != -1 || l.Overlap != 1 {
		t.Errorf("got a likeness of %+v, want two hits in common in the other order, of four that all are looked at", l)
	}
	// Half and half, two hits: the cluster's scores are 10 and 5, the first is no better to the model.
	if got := order(ask(admin.Question{Words: "guide for divers", Window: 3, Weight: 0.9}).Reranked); got != "3 1 2 4" {
		t.Errorf("with a window of 3 got %s, want the fourth where it was", got)
	}
	if c := ask(admin.Question{Words: "guide for divers", Rule: "off"}); c.Outcome != "skipped" || c.Reason != "disabled" {
		t.Errorf("by a rule that is off got %s %s", c.Outcome, c.Reason)
	}
	if c := ask(admin.Question{Body: `{"query":{"match":{"title":"guide divers"}},"size":2}`, Model: "small"}); len(c.Reranked) != 2 || c.Query != "guide divers" || c.Outcome != "applied" {
		t.Errorf("of a body got %+v", c)
	}
	for _, test := range []struct {
		q    admin.Question
		want string
	}{
		{admin.Question{Index: "books", Words: "x", Rule: "none"}, `there is no rule "none"`},
		{admin.Question{Index: "books", Words: "x", Model: "large"}, `no rule that is in force uses the model "large"`},
		{admin.Question{Index: "books", Body: `{"query":`}, "reading the search's body"},
		{admin.Question{Index: "books", Body: `[1]`}, "reading the search's body"},
		{admin.Question{Index: "films", Words: "guide"}, "there is no index films"},
		{admin.Question{Words: "guide"}, "there is no index to search"},
	} {
		if _, err := w.Compare(t.Context(), test.q); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %q", test.q, err, test.want)
		}
	}
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "rerankd_searches_total" && len(f.GetMetric()) > 0 {
			t.Errorf("got %v, want comparisons not to be counted as searches", f)
		}
	}
}

// Nothing but searches and mappings can be asked for, whatever is said to be an index.
func TestPreviewSearchesOnly(t *testing.T) {
	w := newWatchedProgram(t, &fakeCluster{indices: shelf}, "")
	for _, index := range []string{"_scripts", "_cluster", "_all,_scripts", "books/_doc", "..", "books,", "%2F", "a b", "books?x=1", "../_cluster/settings", "books#", "a\\b", "<x>/_doc", "_"} {
		for _, q := range []admin.Question{{Index: index, Words: "x", Fields: []string{"title"}}, {Index: index, Body: "{}"}, {Index: index, Words: "x"}} {
			w.Compare(t.Context(), q)
		}
	}
	for _, asked := range w.asked {
		rest, search := strings.CutSuffix(asked, "/_search")
		rest, mapping := strings.CutSuffix(rest, "/_mapping")
		name := rest[strings.LastIndex(rest, " ")+2:]
		if !search && !mapping || strings.Contains(name, "/") || strings.HasPrefix(name, "_") && name != "_all" {
			t.Errorf("the cluster was asked for %s", asked)
		}
	}
}

func TestPreviewCredentials(t *testing.T) {
	w := newWatchedProgram(t, &fakeCluster{indices: shelf, secured: true}, "")
	q := admin.Question{Index: "books", Words: "guide for divers"}
	if _, err := w.Compare(t.Context(), q); !errors.Is(err, admin.ErrDenied) {
		t.Errorf("without credentials got %v, want them asked for", err)
	}
	q.User, q.Password = "admin", "wrong"
	if _, err := w.Compare(t.Context(), q); !errors.Is(err, admin.ErrDenied) {
		t.Errorf("with a wrong password got %v, want another one asked for", err)
	}
	q.Password = "secret"
	if c, err := w.Compare(t.Context(), q); err != nil || c.Outcome != "applied" {
		t.Errorf("as admin got %+v, %v", c, err)
	}
	q.User, q.Password = "", ""
	if _, err := w.Compare(t.Context(), q); !errors.Is(err, admin.ErrDenied) {
		t.Errorf("without credentials, after somebody with: got %v, want them asked for", err)
	}
}

func TestPreviewsAreBounded(t *testing.T) {
	w := newWatchedProgram(t, &fakeCluster{indices: shelf}, "")
	for range maxPreviews {
		w.previews <- struct{}{}
	}
	if _, err := w.Compare(t.Context(), admin.Question{Index: "books", Words: "guide"}); !errors.Is(err, admin.ErrBusy) {
		t.Errorf("got %v, want it busy", err)
	}
	<-w.previews
	if _, err := w.Compare(t.Context(), admin.Question{Index: "books", Words: "guide"}); err != nil {
		t.Errorf("got %v, want it to go on", err)
	}
	<-w.previews
}

// A preview that is under way keeps what it uses from being closed, and ends when whoever asked has gone.
func TestPreviewHoldsTheModels(t *testing.T) {
	c := &fakeCluster{indices: shelf}
	w := newWatchedProgram(t, c, "")
	s, release := w.handler.Running()
	if s == nil || len(s.Rules) != 1 {
		t.Fatalf("got %+v, want what is running", s)
	}
	done := make(chan struct{})
	go func() { w.handler.Close(); close(done) }()
	<-done // it does not wait
	if c, err := w.Compare(t.Context(), admin.Question{Index: "books", Words: "x"}); err == nil || c != nil {
		t.Errorf("after the end got %v, %v", c, err)
	}
	open := func() bool {
		w.models.mu.Lock()
		defer w.models.mu.Unlock()
		return len(w.models.items) > 0
	}
	if !open() {
		t.Error("the models were closed under a preview")
	}
	release()
	for end := time.Now().Add(5 * time.Second); open() && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if open() {
		t.Error("the models are still open")
	}
}

// What is looked at on the compare page was shown to no user: it is no impression, whatever is kept of the traffic.
func TestPreviewIsNoImpression(t *testing.T) {
	directory := t.TempDir()
	t.Run("program", func(t *testing.T) {
		w := newWatchedProgram(t, &fakeCluster{indices: shelf}, "events: { sink: file, directory: "+directory+" }\n"+
			"rules: [{ name: shelf, fields: [title, about], stages: [{ model: small, window: 4 }], budget: 10s }]")
		if c, err := w.Compare(t.Context(), admin.Question{Index: "books", Words: "looked at"}); err != nil || c.Outcome != "applied" {
			t.Fatalf("got %+v, %v", c, err)
		}
		w.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://proxy/books/_search?q=shown", nil))
	})
	kept := ""
	files, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(directory, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		kept += string(data)
	}
	if !strings.Contains(kept, "shown") || strings.Contains(kept, "looked at") {
		t.Errorf("got %q, want what was shown, and not what was looked at", kept)
	}
}
