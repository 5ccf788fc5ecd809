package admin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A fakeComparer answers everything with two lists of three, the third of the cluster's first.
type fakeComparer struct {
	asked []Question
	err   error
}

func (c *fakeComparer) Compare(_ context.Context, q Question) (*Comparison, error) {
	c.asked = append(c.asked, q)
	if c.err != nil {
		return nil, c.err
	}
	score := func(x float64) *float64 { return &x }
	return &Comparison{
		Query: q.Words, Index: q.Index, Fields: []string{"title", "body"}, Size: 3, Rule: "default", Outcome: "applied", Said: "applied",
		Total: 40, Depth: 40, Window: 40, Scored: 38, Took: 4.25, Added: 120.5, Likeness: &Likeness{Overlap: 2. / 3, RBO: 0.5, Tau: -1, Common: 2},
		Cluster: []Hit{
			{Rank: 1, Other: 2, Move: Down, Places: 1, Index: "shop", ID: "a", Score: score(12), Title: "Red <b>shoes</b>", Text: "Shoes for running"},
			{Rank: 2, Other: 9, Move: Gone, Places: 7, Index: "shop", ID: "b", Title: "Hats"},
			{Rank: 3, Other: 1, Move: Up, Places: 2, Index: "shop", ID: "c", Title: "Boots"},
		},
		Reranked: []Hit{
			{Rank: 1, Other: 3, Move: Up, Places: 2, Index: "shop", ID: "c", Title: "Boots"},
			{Rank: 2, Other: 1, Move: Down, Places: 1, Index: "shop", ID: "a", Title: "Red <b>shoes</b>"},
			{Rank: 3, Other: 0, Move: Entered, Index: "shop", ID: "d", Title: "Sandals"},
		},
	}, nil
}

// ask sends a request as a browser on this machine would, with headers in pairs.
func ask(t *testing.T, h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:9281"
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// expect looks for texts in a page.
func expect(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("got no %q in:\n%s", text, page)
		}
	}
}

func TestCompare(t *testing.T) {
	c := &fakeComparer{}
	h := New(Options{Program: fakeProgram{}, Comparer: c})
	w := ask(t, h, "GET", "/compare?index=shop&q=red+shoe&fusion=replace&weight=0.7&window=20&budget=1s&model=small&rule=default&size=3&fields=title,body", "")
	if w.Code != 200 {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	want := Question{
		Index: "shop", Words: "red shoe", Fields: []string{"title", "body"}, Size: 3,
		Rule: "default", Model: "small", Window: 20, Fusion: "replace", Weight: 0.7, Budget: time.Second,
	}
	if diff := cmp.Diff([]Question{want}, c.asked); diff != "" {
		t.Errorf("asked, want -, got +:\n%s", diff)
	}
	expect(t, w.Body.String(),
		`<mark>Red</mark> &lt;b&gt;<mark>shoes</mark>&lt;/b&gt;`, // the text, and no element of its own
		`<mark>Shoes</mark> for running`,
		`▲ 2`, `up 2 places`, `▼ 1`, `down 1 place`, `gone ▼ 7`, `to place 9`, `>new<`, `new on this page`,
		`0.67`, `-1.00 <small>2 hits`, `120.5`, `38 <small>of 40 hits`, `12.00`,
	)
}

// Every state of the page is one URL, and a form's empty fields are none of it.
func TestCompareRedirectsToTheStatesURL(t *testing.T) {
	h := New(Options{Program: fakeProgram{}, Comparer: &fakeComparer{}})
	w := ask(t, h, "GET", "/compare?index=shop&q=shoes&body=&queries=&window=&rule=", "")
	if got := w.Header().Get("Location"); w.Code != 303 || got != "/compare?index=shop&q=shoes" {
		t.Errorf("got %d %s, want to be sent to the URL without what is empty", w.Code, got)
	}
	if w := ask(t, h, "GET", "/compare?index=shop&q=shoes", ""); w.Code != 200 {
		t.Errorf("got %d, want the page", w.Code)
	}
}

func TestCompareSaysWhatCannotBe(t *testing.T) {
	for _, test := range []struct{ query, want string }{
		{"window=many", "the window must be a whole number from 1 to 1000, and is &#34;many&#34;"},
		{"size=0", "the number of hits must be a whole number from 1 to 100"},
		{"weight=2", "the weight must be above 0 and at most 1"},
		{"weight=NaN", "the weight must be above 0 and at most 1"},
		{"budget=300", "the budget must be a time such as 300ms or 2s, at most 20s"},
		{"fusion=sum", "fusion is one of convex, reciprocal_rank, replace"},
		{"q=" + strings.Repeat("x", 3000), "q is longer than 2000 bytes"},
	} {
		c := &fakeComparer{}
		w := ask(t, New(Options{Program: fakeProgram{}, Comparer: c}), "GET", "/compare?index=shop&q=shoes&"+test.query, "")
		if strings.HasPrefix(test.query, "q=") {
			w = ask(t, New(Options{Program: fakeProgram{}, Comparer: c}), "GET", "/compare?index=shop&"+test.query, "")
		}
		if w.Code != 400 || len(c.asked) > 0 {
			t.Errorf("%s: got %d and %d searches, want 400 and none", test.query, w.Code, len(c.asked))
		}
		expect(t, w.Body.String(), test.want)
	}
}

func TestCompareFails(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"denied", fmt.Errorf("asked for a search, the cluster answered 401: %w", ErrDenied), 403, `type="password"`},
		{"busy", ErrBusy, 503, "Other comparisons are under way."},
		{"else", errors.New("there is no index <films>"), 502, "There is no index &lt;films&gt;."},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(t, New(Options{Program: fakeProgram{}, Comparer: &fakeComparer{err: test.err}}), "GET", "/compare?index=films&q=shoes", "")
			if w.Code != test.code {
				t.Errorf("got %d, want %d", w.Code, test.code)
			}
			expect(t, w.Body.String(), test.want)
		})
	}
}

// Credentials come in a body, are for one search, and are nowhere on the page.
func TestCredentialsAreForOneSearch(t *testing.T) {
	c := &fakeComparer{}
	h := New(Options{Program: fakeProgram{}, Comparer: c})
	w := ask(t, h, "POST", "/compare?index=shop&q=shoes", "user=anna&password=hunter2", "Sec-Fetch-Site", "same-origin")
	if w.Code != 200 || len(c.asked) != 1 || c.asked[0].User != "anna" || c.asked[0].Password != "hunter2" {
		t.Fatalf("got %d and %+v, want the search as anna", w.Code, c.asked)
	}
	if strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "anna") || len(w.Result().Cookies()) > 0 {
		t.Errorf("the page keeps the credentials: %s", w.Body)
	}
	ask(t, h, "GET", "/compare?index=shop&q=shoes&user=anna&password=hunter2", "")
	for _, q := range c.asked[1:] {
		if q.User != "" {
			t.Errorf("credentials were taken from a URL")
		}
	}
	// With credentials of the configuration there is nobody to ask.
	lending := fakeProgram{status: Status{Cluster: Cluster{Auth: "override"}}}
	w = ask(t, New(Options{Program: lending, Comparer: &fakeComparer{err: ErrDenied}}), "GET", "/compare?index=shop&q=shoes", "")
	if strings.Contains(w.Body.String(), `type="password"`) {
		t.Error("got a form for credentials that would not be sent")
	}
}

func TestOtherSitesMayNot(t *testing.T) {
	c := &fakeComparer{}
	h := New(Options{Program: fakeProgram{}, Comparer: c})
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://evil.example"}} {
		if w := ask(t, h, "POST", "/compare?index=shop&q=shoes", "user=a", header...); w.Code != 403 {
			t.Errorf("%v: got %d, want 403", header, w.Code)
		}
	}
	for mode, code := range map[string]int{"navigate": 200, "no-cors": 403, "cors": 403} {
		if w := ask(t, h, "GET", "/compare?index=shop&q=shoes", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", mode); w.Code != code {
			t.Errorf("%s from another site: got %d, want %d", mode, w.Code, code)
		}
	}
	for host, code := range map[string]int{
		"127.0.0.1:9281": 200, "localhost:9281": 200, "[::1]:9281": 200, "10.0.0.7": 200, "rerankd:9281": 200, "x.localhost": 200,
		"evil.example": 421, "evil.example:9281": 421, "127.0.0.1.evil.example": 421, "evil.example.": 421,
	} {
		if w := ask(t, h, "GET", "/compare?index=shop&q=shoes", "", "Host", host); w.Code != code {
			t.Errorf("%s: got %d, want %d", host, w.Code, code)
		}
		if w := ask(t, h, "GET", "/-/ready", "", "Host", host); w.Code != 200 {
			t.Errorf("%s: got %d for readiness, want 200 under every name", host, w.Code)
		}
	}
}

func TestPagesThatAreOff(t *testing.T) {
	h := New(Options{Program: fakeProgram{}, Judgments: &Judgments{Directory: func() string { return t.TempDir() }}})
	for _, path := range []string{"/compare", "/live", "/live/feed", "/judgments", "/judgments/qrels.txt"} {
		if w := ask(t, h, "GET", path, ""); w.Code != 404 {
			t.Errorf("%s: got %d, want 404", path, w.Code)
		}
	}
	if w := ask(t, h, "POST", "/judge", "state=index%3Dshop%26q%3Dx&document.0=a&grade.0=1"); w.Code != 404 {
		t.Errorf("judging: got %d, want 404", w.Code)
	}
	if page := ask(t, h, "GET", "/", "").Body.String(); strings.Contains(page, "/compare") || strings.Contains(page, "/judgments") {
		t.Errorf("the overview leads to pages that are not there: %s", page)
	}
}

// No URL breaks the page, and what it comes to is one URL.
func FuzzState(f *testing.F) {
	f.Add("index=shop&q=red+shoes&window=20&weight=0.5&budget=300ms&fusion=replace&size=5&fields=title,body")
	f.Add("queries=a%09one%0Ab%09two&n=2&view=pair&seed=x")
	f.Add("body=%7B%7D&weight=-1&n=0&queries=%09%0A%09x")
	f.Add("q=%ff%fe&queries=%ff%09%ff&budget=1e9h&weight=Inf")
	f.Fuzz(func(t *testing.T, query string) {
		v, _ := url.ParseQuery(query)
		first, _ := readState(v)
		again, problems := readState(first.values())
		if len(problems) > 0 || first.values().Encode() != again.values().Encode() || first.id() != again.id() || first.Words != again.Words {
			t.Fatalf("%q comes to %q, and that to %q: %v", query, first.values().Encode(), again.values().Encode(), problems)
		}
	})
}

func TestSteps(t *testing.T) {
	c := &fakeComparer{}
	h := New(Options{Program: fakeProgram{}, Comparer: c})
	list := url.QueryEscape("q1\tred shoes\nboots\n\nq 3\t hats  for   rain")
	w := ask(t, h, "GET", "/compare?index=shop&n=2&queries="+url.QueryEscape("q1\tred shoes\nboots\nq_3\thats for rain"), "")
	if w.Code != 200 || len(c.asked) != 1 || c.asked[0].Words != "boots" {
		t.Fatalf("got %d and %+v, want the second query", w.Code, c.asked)
	}
	expect(t, w.Body.String(), `rel="prev"`, `rel="next"`, `2 of 3`, `aria-current="true">boots<`)
	// What is typed in place of the list's words counts, and the list stays.
	w = ask(t, h, "GET", "/compare?index=shop&n=2&q=sandals&queries="+list, "")
	got, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != 303 || got.Query().Get("q") != "sandals" || got.Query().Has("n") || got.Query().Get("queries") != "q1\tred shoes\nboots\nq_3\thats for rain" {
		t.Errorf("got %d %s, want the words and the list", w.Code, got)
	}
}

// Whatever a URL says, the state's own URL says the same.
func TestStateIsItsURL(t *testing.T) {
	text := rapid.StringOf(rapid.RuneFrom([]rune("ab \t\n&=,%é林\x00")))
	rapid.Check(t, func(t *rapid.T) {
		v := url.Values{}
		for _, name := range []string{"q", "index", "body", "fields", "rule", "model", "queries", "seed"} {
			if rapid.Bool().Draw(t, "has "+name) {
				v.Set(name, text.Draw(t, name))
			}
		}
		for _, of := range [][]string{
			{"n", "1", "2", "9", "x"}, {"view", "pair", "grade", "?"}, {"window", "5", "0"}, {"size", "3", "1000"},
			{"fusion", "replace", "sum"}, {"weight", "0.25", "7"}, {"budget", "1s", "1500ms", "later"},
		} {
			if rapid.Bool().Draw(t, "has "+of[0]) {
				v.Set(of[0], rapid.SampledFrom(of[1:]).Draw(t, of[0]))
			}
		}
		first, _ := readState(v)
		again, problems := readState(first.values())
		if len(problems) > 0 {
			t.Fatalf("of %q: %v", first.values().Encode(), problems)
		}
		if diff := cmp.Diff(first.values(), again.values()); diff != "" {
			t.Fatalf("want -, got +:\n%s", diff)
		}
		if first.Words != again.Words || first.At != again.At || first.id() != again.id() {
			t.Fatalf("got %q at %d, want %q at %d", again.Words, again.At, first.Words, first.At)
		}
	})
}

func TestMoves(t *testing.T) {
	for _, test := range []struct {
		was, now int
		move     Move
		places   int
	}{
		{3, 1, Up, 2}, {1, 3, Down, 2}, {2, 2, Same, 0}, {12, 2, Entered, 10}, {0, 2, Entered, 0}, {2, 15, Gone, 13}, {2, 0, Gone, 0}, {10, 10, Same, 0},
	} {
		if move, places := MoveOf(test.was, test.now, 10); move != test.move || places != test.places {
			t.Errorf("from %d to %d: got %s %d, want %s %d", test.was, test.now, move, places, test.move, test.places)
		}
	}
}

func TestMark(t *testing.T) {
	show := func(segments []segment) string {
		var b strings.Builder
		for _, s := range segments {
			if s.Hit {
				b.WriteString("[" + s.Text + "]")
			} else {
				b.WriteString(s.Text)
			}
		}
		return b.String()
	}
	for _, test := range []struct{ query, text, want string }{
		{"red shoes", "Red shoe, redder SHOES", "[Red] [shoe], redder [SHOES]"},
		{"how do fish breathe", "How fish breathe in the sea", "How [fish] [breathe] in the sea"},
		{"the", "The one", "[The] one"},
		{"", "text", "text"},
		{"潜水", "深潜水艇", "深[潜][水]艇"},
		{"über", "ÜBER alles", "[ÜBER] alles"},
		{"run", "running", "running"}, // three letters are too few to guess by
	} {
		if got := show(mark(test.query, test.text)); got != test.want {
			t.Errorf("%q in %q: got %q, want %q", test.query, test.text, got, test.want)
		}
	}
}

// Marking and cutting lose no character, and cut none in two.
func TestMarkKeepsTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		query, text := rapid.String().Draw(t, "query"), rapid.String().Draw(t, "text")
		var all strings.Builder
		for _, s := range mark(query, text) {
			all.WriteString(s.Text)
		}
		if all.String() != text {
			t.Fatalf("got %q, want %q", all.String(), text)
		}
		long := strings.Repeat(text+" ", 40)
		short := strings.TrimSuffix(strings.TrimPrefix(snippet(query, long), "… "), "…")
		if !strings.Contains(long, short) || len(short) > 240 {
			t.Fatalf("got %q of %d bytes, want a part of the text", short, len(short))
		}
	})
}

// What is not ours is what NOTICE says it is, to the byte, with its licence.
func TestVendoredAssets(t *testing.T) {
	notice, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	ours := []string{"LICENSE.uplot", "compare.js", "icon.svg", "live.js", "style.css"}
	vendored := 0
	for _, f := range files {
		if slices.Contains(ours, f.Name()) {
			continue
		}
		data, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		vendored++
		if line := regexp.MustCompile(fmt.Sprintf(`(?m)^ +%s +sha256 %x$`, regexp.QuoteMeta(f.Name()), sha256.Sum256(data))); !line.Match(notice) {
			t.Errorf("NOTICE does not have %s with the digest %x", f.Name(), sha256.Sum256(data))
		}
	}
	if license, err := assetFiles.ReadFile("assets/LICENSE.uplot"); err != nil || vendored != 2 || !strings.Contains(string(license), "The MIT License") {
		t.Errorf("got %d files that are not ours, licence %.80q, %v", vendored, license, err)
	}
}

func TestAssets(t *testing.T) {
	h := New(Options{Program: fakeProgram{}, Comparer: &fakeComparer{}, Live: new(Live)})
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "compare.js": "text/javascript; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "uplot.min.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		w := ask(t, h, "GET", "/assets/"+name, "")
		if w.Code != 200 || w.Header().Get("Content-Type") != kind {
			t.Errorf("%s: got %d %s, want 200 %s", name, w.Code, w.Header().Get("Content-Type"), kind)
		}
	}
	for _, name := range []string{"nothing.css", "..%2Fadmin.go", "%2e%2e"} {
		if w := ask(t, h, "GET", "/assets/"+name, ""); w.Code == 200 {
			t.Errorf("%s: got 200", name)
		}
	}
	// A page has no script and no style of its own: the policy would not let it.
	for _, path := range []string{"/", "/compare", "/compare?index=shop&q=shoes", "/live"} {
		page := ask(t, h, "GET", path, "").Body.String()
		for _, forbidden := range []string{"<style", " style=", "<script>", " onclick=", "javascript:", "http://", "https://"} {
			if strings.Contains(strings.ReplaceAll(page, "http://www.w3.org/2000/svg", ""), forbidden) {
				t.Errorf("%s has %q", path, forbidden)
			}
		}
	}
}
