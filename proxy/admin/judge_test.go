package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/rerank/eval"
)

// judging are pages whose judgments are kept in a directory of the test's.
func judging(t *testing.T) (h http.Handler, directory string) {
	t.Helper()
	directory = filepath.Join(t.TempDir(), "judgments")
	return New(Options{Program: fakeProgram{}, Comparer: &fakeComparer{}, Judgments: &Judgments{Directory: func() string { return directory }}}), directory
}

func form(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func content(t *testing.T, directory, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(directory, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Grades become the files that eval reads; of several for a hit the last counts, and none is lost.
func TestGrades(t *testing.T) {
	h, directory := judging(t)
	state := form("index", "shop", "queries", "q1\tred shoes\nboots", "n", "1", "view", "grade")
	w := ask(t, h, "POST", "/judge", form("state", state, "words", "red shoes",
		"document.0", "a", "grade.0", "3", "document.1", "b c", "grade.1", "0", "document.2", "d", "grade.2", "", "document.3", "e", "grade.3", "1", "was.3", "1"))
	if got := w.Header().Get("Location"); w.Code != 303 || !strings.HasPrefix(got, "/compare?index=shop&n=1&queries=q1%09red+shoes%0Aboots&") || !strings.HasSuffix(got, "saved=2&view=grade") {
		t.Fatalf("got %d %s %s", w.Code, got, w.Body)
	}
	expect(t, ask(t, h, "GET", w.Header().Get("Location"), "").Body.String(), "2 judgments kept.", `name="document.0"`)
	// Without an identifier in the list the words make one; and a grade may change.
	state = form("index", "shop", "q", "Boots", "view", "grade")
	for _, grade := range []string{"1", "2"} {
		w = ask(t, h, "POST", "/judge", form("state", state, "document.0", "a", "grade.0", grade), "Accept", "application/json")
		if w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"saved":1}` {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	id := (&state0{"Boots"}).id()
	if want := "q1 0 a 3\nq1 0 b%20c 0\n" + id + " 0 a 2\n"; content(t, directory, qrelsFile) != want {
		t.Errorf("got %q, want %q", content(t, directory, qrelsFile), want)
	}
	if want := "q1\tred shoes\n" + id + "\tBoots\n"; content(t, directory, queriesFile) != want {
		t.Errorf("got %q, want %q", content(t, directory, queriesFile), want)
	}
	if got := strings.Count(content(t, directory, journalFile), "\n"); got != 4 {
		t.Errorf("got %d lines in the journal, want all 4", got)
	}
	queries, err := eval.ReadQueries("queries.tsv", strings.NewReader(content(t, directory, queriesFile)), eval.Auto)
	if err != nil {
		t.Fatal(err)
	}
	judgments, err := eval.ReadQrels("qrels.txt", strings.NewReader(content(t, directory, qrelsFile)), eval.Auto, queries, eval.Clicks{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(eval.Qrels{"q1": {"a": 3, "b%20c": 0}, id: {"a": 2}}, judgments.Qrels); diff != "" {
		t.Errorf("as eval reads them (-want +got):\n%s", diff)
	}
	// The page shows what was given before.
	expect(t, ask(t, h, "GET", "/compare?"+form("index", "shop", "q", "Boots", "view", "grade"), "").Body.String(), `value="2" checked`)
	page := ask(t, h, "GET", "/judgments", "").Body.String()
	expect(t, page, "3 <small>of 2 queries", "red shoes", id)
	for name, want := range map[string]string{qrelsFile: "q1 0 a 3", queriesFile: "q1\tred shoes", journalFile: `"grade":3`} {
		w := ask(t, h, "GET", "/judgments/"+name, "")
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Header().Get("Content-Disposition"), name) {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
	for _, name := range []string{"other", "..%2Fadmin.go", "qrels.txt.new"} {
		if w := ask(t, h, "GET", "/judgments/"+name, ""); w.Code != 404 {
			t.Errorf("%s: got %d, want 404", name, w.Code)
		}
	}
}

// state0 is a state of words alone.
type state0 struct{ words string }

func (s *state0) id() string { return (&state{Question: Question{Words: s.words}}).id() }

// A pair says nothing of which side is which, both sides come, and what is kept is the right one.
func TestPairs(t *testing.T) {
	h, directory := judging(t)
	sides := map[bool]int{}
	for i := range 20 {
		st := state{Question: Question{Index: "shop", Words: "red shoes", Fusion: "replace"}, View: blind, Seed: fmt.Sprint("seed", i)}
		page := ask(t, h, "GET", st.url(), "").Body.String()
		for _, hint := range []string{"▲", "▼", "new on", "gone", `class="hit up`, "12.00", "Overlap", "rerank"} {
			if hint == "rerank" {
				page = strings.ReplaceAll(strings.ReplaceAll(page, "rerankd", ""), "one is reranked", "")
			}
			if strings.Contains(page, hint) {
				t.Fatalf("the page gives itself away by %q:\n%s", hint, page)
			}
		}
		// The cluster's first hit is a, the reranked list's is c.
		left := page[strings.Index(page, `id="left"`):]
		turned := strings.Index(left, ">c<") < strings.Index(left, ">a<")
		if turned != st.turned() {
			t.Fatalf("the page has the sides otherwise than the form will be read")
		}
		sides[turned]++
		if w := ask(t, h, "POST", "/judge", form("state", st.values().Encode(), "preferred", "left", "left", map[bool]string{true: "c", false: "a"}[turned], "right", map[bool]string{true: "a", false: "c"}[turned])); w.Code != 303 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
		lines := strings.Split(strings.TrimSpace(content(t, directory, journalFile)), "\n")
		want := `"preferred":"cluster","settings":"fusion=replace","cluster":["a"],"reranked":["c"]}`
		if turned {
			want = strings.Replace(want, `"preferred":"cluster"`, `"preferred":"reranked"`, 1)
		}
		if got := lines[len(lines)-1]; !strings.HasSuffix(got, want) {
			t.Fatalf("got %s, want it to end in %s", got, want)
		}
	}
	if sides[true] == 0 || sides[false] == 0 {
		t.Errorf("got sides %v of 20, want both", sides)
	}
	if content(t, directory, qrelsFile) != "" {
		t.Errorf("got %q, want no grade of a list", content(t, directory, qrelsFile))
	}
	// One query and one way to rerank have one preference, the last.
	expect(t, ask(t, h, "GET", "/judgments", "").Body.String(), "<dd>1</dd>")
}

func TestPairsAreDrawnAnew(t *testing.T) {
	h, _ := judging(t)
	seeds := map[string]bool{}
	for range 5 {
		w := ask(t, h, "GET", "/compare?index=shop&q=shoes&view=pair", "")
		to, err := url.Parse(w.Header().Get("Location"))
		if err != nil || w.Code != 303 || to.Query().Get("seed") == "" {
			t.Fatalf("got %d %s, want a seed", w.Code, to)
		}
		seeds[to.Query().Get("seed")] = true
		if w := ask(t, h, "GET", to.String(), ""); w.Code != 200 {
			t.Fatalf("got %d of the state's own URL", w.Code)
		}
	}
	if len(seeds) != 5 {
		t.Errorf("got %v", seeds)
	}
	// After one of a list comes the next, with another seed.
	state := form("index", "shop", "queries", "a one\nb two", "n", "1", "view", "pair", "seed", "s")
	w := ask(t, h, "POST", "/judge", form("state", state, "preferred", "tie"))
	if to, err := url.Parse(w.Header().Get("Location")); err != nil || to.Query().Get("n") != "2" || to.Query().Get("seed") != "" {
		t.Errorf("got %s, want the second query", to)
	}
}

func TestJudgingIsRefused(t *testing.T) {
	h, directory := judging(t)
	state := form("index", "shop", "q", "shoes", "view", "grade")
	for _, test := range []struct {
		name, body string
		header     []string
		code       int
		want       string
	}{
		{"from another site", form("state", state, "document.0", "a", "grade.0", "1"), []string{"Sec-Fetch-Site", "cross-site"}, 403, ""},
		{"under another name", form("state", state, "document.0", "a", "grade.0", "1"), []string{"Host", "evil.example"}, 421, ""},
		{"no state", form("document.0", "a", "grade.0", "1"), nil, 400, "nothing that can be judged"},
		{"a state that cannot be", form("state", "index=shop&q=x&window=y"), nil, 400, "the window must be"},
		{"no document", form("state", state, "grade.0", "1"), nil, 422, "of a document"},
		{"no grade", form("state", state, "document.0", "a", "grade.0", "good"), nil, 422, `&#34;good&#34; is no grade`},
		{"too good", form("state", state, "document.0", "a", "grade.0", "4"), nil, 422, "from 0 to 3"},
		{"neither side", form("state", state, "preferred", "both"), nil, 422, "neither"},
		{"too large", form("state", state, "words", strings.Repeat("x", 300<<10)), nil, 400, "too large"},
	} {
		w := ask(t, h, "POST", "/judge", test.body, test.header...)
		if w.Code != test.code || !strings.Contains(w.Body.String(), strings.ReplaceAll(test.want, "&#34;", `"`)) {
			t.Errorf("%s: got %d %s, want %d %s", test.name, w.Code, w.Body, test.code, test.want)
		}
	}
	if _, err := os.Stat(directory); err == nil {
		t.Error("something was kept")
	}
	// An identifier names one query.
	ask(t, h, "POST", "/judge", form("state", form("index", "shop", "queries", "q1\tshoes", "n", "1"), "document.0", "a", "grade.0", "1"))
	w := ask(t, h, "POST", "/judge", form("state", form("index", "shop", "queries", "q1\tboots", "n", "1"), "document.0", "a", "grade.0", "1"))
	if w.Code != 422 || !strings.Contains(w.Body.String(), `The identifier q1 is that of the query "shoes" already.`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	// A line that somebody has broken is named, and nothing is added to it.
	if err := os.WriteFile(filepath.Join(directory, journalFile), []byte("{\"time\":\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = ask(t, h, "POST", "/judge", form("state", state, "document.0", "a", "grade.0", "1"))
	if w.Code != 422 || !strings.Contains(w.Body.String(), "judgments.jsonl:1: is no judgment") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	expect(t, ask(t, h, "GET", "/judgments", "").Body.String(), "judgments.jsonl:1: is no judgment")
	expect(t, ask(t, h, "GET", "/compare?index=shop&q=shoes&view=grade", "").Body.String(), "judgments.jsonl:1: is no judgment")
}

func TestJudgingIsOff(t *testing.T) {
	h := New(Options{Program: fakeProgram{}, Comparer: &fakeComparer{}, Judgments: &Judgments{Directory: func() string { return "" }}})
	for _, path := range []string{"/judgments", "/compare?index=shop&q=shoes&view=grade", "/compare?index=shop&q=shoes&view=pair&seed=x"} {
		expect(t, ask(t, h, "GET", path, "").Body.String(), "Judgments are not kept")
	}
	if w := ask(t, h, "POST", "/judge", form("state", "index=shop&q=shoes", "document.0", "a", "grade.0", "1")); w.Code != 403 || !strings.Contains(w.Body.String(), "admin.judgments") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "GET", "/judgments/qrels.txt", ""); w.Code != 404 {
		t.Errorf("got %d", w.Code)
	}
}

// Many at once lose nothing, and a file without a line break at its end is gone on with on a line of its own.
func TestJudgmentsAreKept(t *testing.T) {
	directory := t.TempDir()
	j := &Judgments{Directory: func() string { return directory }}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for k := range 5 {
				grade := k % 4
				if err := j.Add(judgment{Query: fmt.Sprint("q", i), Words: "words", Index: "shop", Document: fmt.Sprint(k), Grade: &grade}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	journal := strings.TrimSuffix(content(t, directory, journalFile), "\n")
	if err := os.WriteFile(filepath.Join(directory, journalFile), []byte(journal), 0o600); err != nil {
		t.Fatal(err)
	}
	grade := 2
	if err := j.Add(judgment{Query: "last", Words: "words", Index: "shop", Document: "x", Grade: &grade}); err != nil {
		t.Fatal(err)
	}
	d, err := j.read()
	if err != nil || d.Grades != 41 || len(d.Queries) != 9 {
		t.Errorf("got %+v, %v; want 41 grades of 9 queries", d, err)
	}
	if got := strings.Count(content(t, directory, qrelsFile), "\n"); got != 41 {
		t.Errorf("got %d lines of grades, want 41", got)
	}
}
