package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/rerank"
)

// kept is a Sink that keeps everything in memory.
type kept struct {
	mu      sync.Mutex
	records []experiment.Record
}

func (k *kept) Keep(r experiment.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records = append(k.records, r)
}

// impressions waits for so many of them: they are kept after the client has its answer.
func (k *kept) impressions(t testing.TB, n int) []*experiment.Impression {
	t.Helper()
	var list []*experiment.Impression
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		k.mu.Lock()
		list = list[:0]
		for _, r := range k.records {
			if r.Impression != nil {
				list = append(list, r.Impression)
			}
		}
		k.mu.Unlock()
		if len(list) >= n || time.Now().After(end) {
			break
		}
	}
	if len(list) != n {
		t.Fatalf("got %d impressions, want %d", len(list), n)
	}
	return list
}

func (k *kept) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records = nil
}

// against compares the cluster's order with a ranker's, over all searches on the shop.
func against(r Ranker, change ...func(*Experiment)) *Snapshot {
	e := &Experiment{
		Experiment: experiment.Experiment{
			Name: "test", Phase: "100%", Share: 1, Variants: []experiment.Variant{{Name: "lexical", Share: 1}, {Name: "reranked", Share: 1}},
		},
		Rules: append([]Rule{{Name: "shop", Off: true}}, rules(r)...),
		Units: []Unit{{Header: "X-User"}, {Client: true}},
	}
	for _, c := range change {
		c(e)
	}
	rule := rules(nil)[0]
	rule.Experiment = e
	return &Snapshot{Rules: []Rule{rule}, Sink: &kept{}}
}

func interleaved(e *Experiment) { e.Interleave = true }

// variantOf reads who governs out of X-Rerank.
func variantOf(res *http.Response) string {
	_, rest, _ := strings.Cut(res.Header.Get("X-Rerank"), `; experiment="test"; variant="`)
	variant, _, _ := strings.Cut(rest, `"`)
	return variant
}

func TestSplit(t *testing.T) {
	shop := &shop{docs: 100}
	s := against(reverse)
	s.Upstream = upstream(t, shop.ServeHTTP)
	sink := s.Sink.(*kept)
	base, h := serve(t, s, Options{})
	_, direct, err := do(t, request(t, "POST", s.Upstream.(*cluster).base.String()+"/shop/_search", match))
	if err != nil {
		t.Fatal(err)
	}

	variants, searched := map[string]string{}, map[string]string{} // by user; the user by query id
	shown := map[string]int{}
	const users = 200
	for round := range 2 {
		for i := range users {
			user := fmt.Sprint("user-", i)
			res, page := ask(t, base, match, "X-User", user)
			variant := variantOf(res)
			if round > 0 && variants[user] != variant {
				t.Fatalf("%s had %s and now has %s", user, variants[user], variant)
			}
			variants[user] = variant
			searched[res.Header.Get("X-Rerank-Query-Id")] = user
			shown[variant]++
			switch said := res.Header.Get("X-Rerank"); variant {
			case "lexical":
				if page != direct || said != `skipped; reason=variant; experiment="test"; variant="lexical"` {
					t.Fatalf("%q: got %s, want the cluster's own page", said, page)
				}
			case "reranked":
				if !slices.Equal(ids(t, page), count(29, 19, -1)) || !strings.HasPrefix(said, "applied") {
					t.Fatalf("%q: got %v, want the window reversed", said, ids(t, page))
				}
			default:
				t.Fatalf("got X-Rerank %q, want a variant in it", said)
			}
		}
	}
	// A share of a half of 200 is 100, give or take five standard deviations of 7.
	if n := shown["lexical"] / 2; n < 65 || n > 135 {
		t.Errorf("%d of %d users have the control, want about half of them", n, users)
	}
	for _, search := range shop.searches()[1:] {
		if !strings.Contains(search, `"size":30`) && !strings.HasSuffix(search, match) {
			t.Errorf("the cluster got %s, want the client's own or a window", search)
		}
	}
	units := map[string]string{}
	for _, got := range sink.impressions(t, 2*users) {
		user := searched[got.QueryID]
		if got.Variant != variants[user] || got.Experiment != "test" || got.Phase != "100%" || got.Rule != "shop" || got.Index != "shop" || got.Words != "blue shoes" {
			t.Fatalf("got impression %+v, want that of %s", got, user)
		}
		if strings.Contains(got.Unit, user) || got.Unit == "" || units[user] != "" && units[user] != got.Unit {
			t.Fatalf("got unit %q, want a digest that stays", got.Unit)
		}
		units[user] = got.Unit
		want := shownIDs(count(0, 10, 1))
		if got.Variant == "reranked" {
			want = shownIDs(count(29, 19, -1))
		}
		if diff := cmp.Diff(want, got.Hits); diff != "" {
			t.Fatalf("what %s saw (-want +got):\n%s", user, diff)
		}
		if got.Total != 100 || got.Took <= 0 || got.Cluster <= 0 || got.Time.IsZero() || got.QueryID == "" {
			t.Fatalf("got impression %+v, want total, times and an id", got)
		}
	}
	for variant, n := range shown {
		outcome := map[string]string{"lexical": "skipped", "reranked": "applied"}[variant]
		if got := counted(t, h.metrics.experiments.WithLabelValues("test", variant, "100%", outcome)); got != float64(n) {
			t.Errorf("got %v searches counted with %s, want %d", got, variant, n)
		}
	}
}

func shownIDs(list []int) []experiment.Shown {
	hits := make([]experiment.Shown, len(list))
	for i, id := range list {
		hits[i] = experiment.Shown{Index: "shop", ID: fmt.Sprint(id)}
	}
	return hits
}

// Who has no part in an experiment has the rule's own answer, and only who says nothing about reranking is a user.
func TestOutOfTheExperiment(t *testing.T) {
	shop := &shop{docs: 100}
	s := against(reverse, func(e *Experiment) { e.Share = 0 })
	s.Upstream = upstream(t, shop.ServeHTTP)
	s.Rules[0].Ranker = identity
	base, _ := serve(t, s, Options{})
	for _, tt := range []struct {
		name, body string
		header     []string
		says       string
		out        bool
	}{
		{"beyond the share", match, nil, `applied; model="identity"`, false},
		{"off", match, []string{"X-Rerank", "off"}, `skipped; reason=disabled`, true},
		{"on", match, []string{"X-Rerank", "on"}, `applied; model="identity"`, true},
		{"debug", match, []string{"X-Rerank-Debug", "true"}, `applied; model="identity"`, true},
		{"off in the body", `{"query":{"match":{"title":"blue shoes"}},"ext":{"rerank":"off"}}`, nil, `skipped; reason=disabled`, true},
		{"on in the body", `{"query":{"match":{"title":"blue shoes"}},"ext":{"rerank":"on"}}`, nil, `applied; model="identity"`, true},
		{"a lookup", `{"query":{"match":{"title":"ab-12"}}}`, nil, `skipped; reason=lookup`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, _ := ask(t, base, tt.body, tt.header...)
			said := res.Header.Get("X-Rerank")
			if !strings.HasPrefix(said, tt.says) || tt.out != strings.HasSuffix(said, `; experiment="test"; out`) {
				t.Errorf("got X-Rerank %q, want %s, out: %t", said, tt.says, tt.out)
			}
			if id := res.Header.Get("X-Rerank-Query-Id"); !uuid.MatchString(id) {
				t.Errorf("got query id %q, want one, though nothing is kept", id)
			}
		})
	}
	s.Sink.(*kept).impressions(t, 0)
}

// A search keeps its variant when its ranking fails, whatever it fails by.
func TestIntentionToTreat(t *testing.T) {
	for name, tt := range map[string]struct {
		ranker    Ranker
		intercept func(w http.ResponseWriter, r *http.Request, body []byte, wide bool) bool
		reason    string
	}{
		"the model": {ranker: skips(rerank.SkippedModelError), reason: "model_error"},
		"the cluster refuses the window": {reverse, func(w http.ResponseWriter, _ *http.Request, _ []byte, wide bool) bool {
			if wide {
				w.WriteHeader(http.StatusBadRequest)
			}
			return wide
		}, "upstream_status"},
		"no time at the door": {turnedAway{}, nil, "busy"},
	} {
		t.Run(name, func(t *testing.T) {
			shop := &shop{docs: 100, intercept: tt.intercept}
			s := against(tt.ranker, func(e *Experiment) { e.Experiment.Variants[0].Share = 0 })
			s.Upstream = upstream(t, shop.ServeHTTP)
			base, _ := serve(t, s, Options{})
			res, page := ask(t, base, match, "X-User", "a")
			if got, want := res.Header.Get("X-Rerank"), "skipped; reason="+tt.reason+`; experiment="test"; variant="reranked"`; got != want {
				t.Errorf("got X-Rerank %q, want %q", got, want)
			}
			if !slices.Equal(ids(t, page), count(0, 10, 1)) {
				t.Errorf("got %v, want the cluster's page", ids(t, page))
			}
			got := s.Sink.(*kept).impressions(t, 1)[0]
			if got.Variant != "reranked" || got.Outcome != "skipped" || got.Reason != tt.reason || len(got.Hits) != 10 {
				t.Errorf("got impression %+v", got)
			}
			if res.Header.Get("X-Rerank-Query-Id") != got.QueryID {
				t.Errorf("got query id %q, want that of the impression, %q", res.Header.Get("X-Rerank-Query-Id"), got.QueryID)
			}
		})
	}
}

// skips is a ranker that scores nothing.
func skips(reason string) Ranker {
	return rankerFunc(func(ctx context.Context, q string, hits []rerank.Hit) rerank.Ranking {
		r := identity(ctx, q, hits)
		r.Stages = []rerank.Report{{Model: "broken", Window: len(hits), Skipped: reason}}
		return r
	})
}

// turnedAway is a ranker that has no time for anybody.
type turnedAway struct{}

func (turnedAway) Rank(context.Context, string, []rerank.Hit) rerank.Ranking { panic("not admitted") }
func (turnedAway) Admits(string, time.Duration) error                        { return rerank.ErrBusy }

// A UBI client is known by its id, gets the query's id back, and the cluster sees nothing of it.
func TestUBI(t *testing.T) {
	shop := &shop{docs: 100}
	s := against(reverse)
	s.Upstream = upstream(t, shop.ServeHTTP)
	base, _ := serve(t, s, Options{})
	seen := map[string]bool{}
	for i := range 40 {
		body := fmt.Sprintf(`{"query":{"match":{"title":"blue shoes"}},"ext":{"ubi":{"client_id":"c%d","query_id":"q%d","object_id_field":"sku","application":"web","query_attributes":{"page":"home"}}}}`, i, i)
		res, page := ask(t, base, body)
		var told struct {
			Ext struct {
				UBI struct {
					ID string `json:"query_id"`
				} `json:"ubi"`
			} `json:"ext"`
		}
		if err := json.Unmarshal([]byte(page), &told); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint("q", i); told.Ext.UBI.ID != want || res.Header.Get("X-Rerank-Query-Id") != want {
			t.Errorf("got query ids %q and %q, want %s", told.Ext.UBI.ID, res.Header.Get("X-Rerank-Query-Id"), want)
		}
		seen[variantOf(res)] = true
	}
	if !seen["lexical"] || !seen["reranked"] {
		t.Errorf("got variants %v, want both", seen)
	}
	for _, got := range s.Sink.(*kept).impressions(t, 40) {
		i := strings.TrimPrefix(got.QueryID, "q")
		first := map[string]string{"lexical": "A-0", "reranked": "A-29"}[got.Variant]
		if got.Client != "c"+i || got.Application != "web" || got.Attributes["page"] != "home" || got.Field != "sku" || got.Hits[0].Object != first {
			t.Errorf("got impression %+v", got)
		}
	}
	for _, search := range shop.searches() {
		if strings.Contains(search, "ubi") {
			t.Errorf("the cluster got %s, want ext.ubi left out", search)
		}
	}
}

// Each search of a request has a variant and an id of its own.
func TestMultiSearchInAnExperiment(t *testing.T) {
	shop := &shop{docs: 100}
	answer := multiShop(shop)
	s := against(reverse)
	s.Upstream = upstream(t, answer)
	base, _ := serve(t, s, Options{})
	var lines strings.Builder
	for i := range 10 {
		fmt.Fprintf(&lines, `{"index":"shop"}`+"\n"+`{"query":{"match":{"title":"blue shoes"}},"ext":{"ubi":{"client_id":"c%d","query_id":"q%d"}}}`+"\n", i, i)
	}
	res, body, err := do(t, request(t, "POST", base+"/_msearch", lines.String(), "Content-Type", "application/x-ndjson"))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("got %v %v", res, err)
	}
	var multi struct {
		Responses []json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &multi); err != nil {
		t.Fatal(err)
	}
	if got, want := res.Header.Get("X-Rerank-Query-Id"), "q0, q1, q2, q3, q4, q5, q6, q7, q8, q9"; got != want {
		t.Errorf("got query ids %q, want %q", got, want)
	}
	had := map[string]int{}
	for i, got := range s.Sink.(*kept).impressions(t, 10) {
		page := string(multi.Responses[i])
		want := map[string][]int{"lexical": count(0, 10, 1), "reranked": count(29, 19, -1)}[got.Variant]
		if !slices.Equal(ids(t, page), want) || got.QueryID != fmt.Sprint("q", i) || !strings.Contains(page, fmt.Sprintf(`"ext":{"ubi":{"query_id":"q%d"}}`, i)) {
			t.Errorf("search %d: got impression %+v of %s", i, got, page)
		}
		if diff := cmp.Diff(shownIDs(want), got.Hits); diff != "" {
			t.Errorf("search %d (-want +got):\n%s", i, diff)
		}
		had[got.Variant]++
	}
	if had["lexical"] == 0 || had["reranked"] == 0 {
		t.Errorf("got %v, want both variants", had)
	}
	for _, variant := range []string{"lexical", "reranked"} {
		if want := `; experiment="test"; variant="` + variant + `"`; strings.Count(res.Header.Get("X-Rerank"), want) != 1 {
			t.Errorf("got X-Rerank %q, want %s in it once", res.Header.Get("X-Rerank"), want)
		}
	}
}

// multiShop answers multi-searches with the shop's pages.
func multiShop(s *shop) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d := json.NewDecoder(r.Body)
		var b strings.Builder
		b.WriteString(`{"took":1,"responses":[`)
		for i := 0; ; i++ {
			var header map[string]any
			var search struct {
				From int
				Size *int
			}
			if d.Decode(&header) != nil || d.Decode(&search) != nil {
				break
			}
			if i > 0 {
				b.WriteByte(',')
			}
			size := 10
			if search.Size != nil {
				size = *search.Size
			}
			page := string(s.page(search.From, size))
			b.WriteString(page[:len(page)-1] + `,"status":200}`)
		}
		b.WriteString("]}")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, b.String())
	}
}

// Rules that are in no experiment are recorded where that is wished for, and not where nobody asks.
func TestRecordedRule(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		shop := &shop{docs: 100}
		sink := &kept{}
		s := &Snapshot{Upstream: upstream(t, shop.ServeHTTP), Rules: rules(reverse), Sink: sink}
		s.Rules[0].Recorded = recorded
		base, _ := serve(t, s, Options{})
		res, _ := ask(t, base, `{"from":20,"query":{"match":{"title":"blue shoes"}}}`)
		id := res.Header.Get("X-Rerank-Query-Id")
		if !recorded {
			sink.impressions(t, 0)
			continue
		}
		got := sink.impressions(t, 1)[0]
		if got.QueryID != id || len(id) != 36 || got.Experiment != "" || got.From != 20 || got.Outcome != "applied" {
			t.Errorf("got id %q of impression %+v", id, got)
		}
		if diff := cmp.Diff(shownIDs(count(9, -1, -1)), got.Hits); diff != "" {
			t.Errorf("what was seen (-want +got):\n%s", diff)
		}
		// A search that has no words in it has no use for the model, and is not one to learn from.
		ask(t, base, `{"query":{"match_all":{}}}`)
		sink.impressions(t, 1)
	}
}

// Nothing is kept of a page that its client did not wait for.
func TestNoImpressionForThoseWhoLeft(t *testing.T) {
	shop := &shop{docs: 100}
	left := make(chan struct{})
	slow := rankerFunc(func(ctx context.Context, q string, hits []rerank.Hit) rerank.Ranking {
		<-left
		<-ctx.Done()
		return reverse(ctx, q, hits)
	})
	s := against(slow, func(e *Experiment) { e.Experiment.Variants[0].Share = 0 })
	s.Upstream = upstream(t, shop.ServeHTTP)
	base, h := serve(t, s, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(shop.searches()) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		close(left)
	}()
	if _, _, err := do(t, request(t, "POST", base+"/shop/_search", match).WithContext(ctx)); err == nil {
		t.Fatal("got an answer, want the client to have left")
	}
	h.Close() // after the last request
	for end := time.Now().Add(5 * time.Second); counted(t, h.metrics.searches.WithLabelValues("shop", "skipped", "canceled")) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	s.Sink.(*kept).impressions(t, 0)
}

// An interleaved page has the cluster's hits, all of them and no others, in an order that all of its pages agree on, with scores that never
// rise; totals and aggregations are untouched.
func TestInterleavedPages(t *testing.T) {
	shop := &shop{docs: 70}
	shop.intercept = func(w http.ResponseWriter, _ *http.Request, body []byte, _ bool) bool {
		var search struct {
			From int
			Size *int
		}
		json.Unmarshal(body, &search)
		size := 10
		if search.Size != nil {
			size = *search.Size
		}
		page := string(shop.page(search.From, size))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, page[:len(page)-1]+`,"aggregations":{"brands":{"buckets":[{"key":"x","doc_count":7}]}}}`)
		return true
	}
	shuffled := rankerFunc(func(_ context.Context, query string, hits []rerank.Hit) rerank.Ranking {
		r := rerank.Ranking{Stages: []rerank.Report{{Model: "shuffled", Window: len(hits), Scored: len(hits)}}}
		step := 7 + 2*len(query)
		for gcd(step, len(hits)) != 1 {
			step++
		}
		for i := range hits {
			r.Order = append(r.Order, (i*step+3)%len(hits))
			r.Scores = append(r.Scores, -float64(i))
		}
		return r
	})
	s := against(shuffled, interleaved)
	s.Upstream = upstream(t, shop.ServeHTTP)
	sink := s.Sink.(*kept)
	base, _ := serve(t, s, Options{})
	drafts := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		sink.forget()
		user := rapid.StringMatching(`[a-z]{6}`).Draw(rt, "user")
		words := rapid.StringMatching(`[a-z]{4} [a-z]{2,9}`).Draw(rt, "words")
		size := rapid.IntRange(3, 15).Draw(rt, "size")
		var all []int
		var teams []experiment.Team
		pages := 0
		last := math.Inf(1)
		for from := 0; from < 30; from += size {
			res, body := ask(t, base, fmt.Sprintf(`{"from":%d,"size":%d,"query":{"match":{"title":%q}}}`, from, size, words), "X-User", user)
			pages++
			if said := res.Header.Get("X-Rerank"); !strings.HasPrefix(said, "applied") || variantOf(res) != "interleaved" {
				rt.Fatalf("got X-Rerank %q", said)
			}
			if !strings.Contains(body, `"total":{"value":70,"relation":"eq"}`) || !strings.HasSuffix(body, `,"aggregations":{"brands":{"buckets":[{"key":"x","doc_count":7}]}}}`) {
				rt.Fatalf("got %s, want total and aggregations as they were", body)
			}
			for i, score := range scores(t, body) {
				if want := 1 / float64(from+i+1); math.Abs(score/want-1) > 1e-6 || score > last {
					rt.Fatalf("got score %v at place %d, want %v", score, from+i+1, want)
				}
				last = score
			}
			all = append(all, ids(t, body)...)
		}
		got := slices.Clone(all)
		slices.Sort(got)
		if diff := cmp.Diff(count(0, len(all), 1), got); diff != "" && len(all) <= 30 {
			rt.Fatalf("hits lost or doubled (-want +got):\n%s", diff)
		}
		seen := sink.impressions(t, pages)
		slices.SortFunc(seen, func(a, b *experiment.Impression) int { return a.From - b.From })
		for _, i := range seen {
			for k, hit := range i.Hits {
				if hit.ID != fmt.Sprint(all[i.From+k]) {
					rt.Fatalf("got %s kept at place %d, want %d", hit.ID, i.From+k+1, all[i.From+k])
				}
				teams = append(teams, hit.Team)
			}
			if i.Variant != experiment.Interleaved || i.Outcome != "applied" {
				rt.Fatalf("got impression %+v", i)
			}
		}
		// The pages are the draft of both rankings.
		step := 7 + 2*len(words)
		for gcd(step, 30) != 1 {
			step++
		}
		theirs := make([]int, 30)
		for i := range theirs {
			theirs[i] = (i*step + 3) % 30
		}
		if err := drafted(all[:min(len(all), 30)], teams, count(0, 30, 1), theirs); err != nil {
			rt.Fatal(err)
		}
		drafts[fmt.Sprint(teams[:4])] = true
	})
	if len(drafts) < 2 {
		t.Error("the coin falls on one side always")
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// drafted says what is wrong with a page that is to be a team draft: each pick has to be the best of its team's that was left.
func drafted(order []int, teams []experiment.Team, a, b []int) error {
	taken := map[int]bool{}
	best := func(ranking []int) int {
		return ranking[slices.IndexFunc(ranking, func(hit int) bool { return !taken[hit] })]
	}
	for place, hit := range order {
		switch teams[place] {
		case experiment.Control:
			if best(a) != hit {
				return fmt.Errorf("place %d: the control would pick %d, not %d", place+1, best(a), hit)
			}
		case experiment.Treated:
			if best(b) != hit {
				return fmt.Errorf("place %d: the other would pick %d, not %d", place+1, best(b), hit)
			}
		default:
			if best(a) != hit || best(b) != hit {
				return fmt.Errorf("place %d: %d is nobody's, though one would pick %d and the other %d", place+1, hit, best(a), best(b))
			}
		}
		taken[hit] = true
	}
	return nil
}

func scores(t testing.TB, body string) (list []float64) {
	t.Helper()
	var page struct {
		Hits struct {
			Hits []struct {
				Score float64 `json:"_score"`
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	for _, hit := range page.Hits.Hits {
		list = append(list, hit.Score)
	}
	return list
}

// Two copies draft the same page for the same person, and another one for another.
func TestCopiesDraftAlike(t *testing.T) {
	var bases []string
	for range 2 {
		shop := &shop{docs: 100}
		s := against(reverse, interleaved)
		s.Upstream = upstream(t, shop.ServeHTTP)
		base, _ := serve(t, s, Options{})
		bases = append(bases, base)
	}
	differ := false
	for i := range 20 {
		_, one := ask(t, bases[0], match, "X-User", fmt.Sprint(i))
		_, two := ask(t, bases[1], match, "X-User", fmt.Sprint(i))
		if !slices.Equal(ids(t, one), ids(t, two)) {
			t.Errorf("user %d: got %v and %v from two copies", i, ids(t, one), ids(t, two))
		}
		_, other := ask(t, bases[0], match, "X-User", fmt.Sprint("another ", i))
		differ = differ || !slices.Equal(ids(t, one), ids(t, other))
	}
	if !differ {
		t.Error("everybody has the same draft")
	}
}

// Where one of the rankings is missing the page is the control's, and its impression is no draft's.
func TestInterleavedWithoutOneRanking(t *testing.T) {
	for _, tt := range []struct {
		name    string
		control Ranker
		other   Ranker
		page    []int
		says    string
		reason  string
	}{
		{"the other of lexical", nil, skips(rerank.SkippedTimeout), count(0, 10, 1), "skipped; reason=timeout", "timeout"},
		{"the other of two", reverse, skips(rerank.SkippedTimeout), count(29, 19, -1), `applied; model="reverse"`, "timeout"},
		{"the control of two", skips(rerank.SkippedTimeout), reverse, count(0, 10, 1), "skipped; reason=timeout", "timeout"},
		{"the other at the door", reverse, turnedAway{}, count(29, 19, -1), `applied; model="reverse"`, "busy"},
		{"the other of lexical at the door", nil, turnedAway{}, count(0, 10, 1), "skipped; reason=busy", "busy"},
		{"the control at the door", turnedAway{}, reverse, count(0, 10, 1), "skipped; reason=busy", "busy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shop := &shop{docs: 100}
			s := against(tt.other, interleaved, func(e *Experiment) {
				if tt.control != nil {
					e.Rules[0] = rules(tt.control)[0]
					e.Rules[0].Version = "control"
				}
			})
			s.Upstream = upstream(t, shop.ServeHTTP)
			base, _ := serve(t, s, Options{})
			res, page := ask(t, base, match)
			if !slices.Equal(ids(t, page), tt.page) {
				t.Errorf("got %v, want %v", ids(t, page), tt.page)
			}
			if said := res.Header.Get("X-Rerank"); !strings.HasPrefix(said, tt.says) || variantOf(res) != "interleaved" {
				t.Errorf("got X-Rerank %q, want %s, interleaved", said, tt.says)
			}
			got := s.Sink.(*kept).impressions(t, 1)[0]
			if got.Variant != experiment.Interleaved || got.Outcome != "skipped" || got.Reason != tt.reason {
				t.Errorf("got impression %+v, want it excluded for %s", got, tt.reason)
			}
			if diff := cmp.Diff(shownIDs(tt.page), got.Hits); diff != "" {
				t.Errorf("what was seen (-want +got):\n%s", diff)
			}
		})
	}
}

// An A/A test interleaves a ranking with itself: it is made once, and every hit is nobody's.
func TestInterleavedWithItself(t *testing.T) {
	shop := &shop{docs: 100}
	calls := 0
	counting := rankerFunc(func(ctx context.Context, q string, hits []rerank.Hit) rerank.Ranking {
		calls++
		return reverse(ctx, q, hits)
	})
	s := against(counting, interleaved, func(e *Experiment) { e.Rules[0] = e.Rules[1] })
	s.Upstream = upstream(t, shop.ServeHTTP)
	base, _ := serve(t, s, Options{})
	_, page := ask(t, base, match)
	if !slices.Equal(ids(t, page), count(29, 19, -1)) || calls != 1 {
		t.Errorf("got %v by %d rankings, want the window reversed by one", ids(t, page), calls)
	}
	if diff := cmp.Diff(shownIDs(count(29, 19, -1)), s.Sink.(*kept).impressions(t, 1)[0].Hits); diff != "" {
		t.Errorf("what was seen (-want +got):\n%s", diff)
	}
}

// Variants of other fields and windows fetch what both need, once.
func TestInterleavedOfOtherFieldsAndWindows(t *testing.T) {
	shop := &shop{docs: 100}
	var texts []string
	var mu sync.Mutex
	reading := func(order Ranker) Ranker {
		return rankerFunc(func(ctx context.Context, q string, hits []rerank.Hit) rerank.Ranking {
			mu.Lock()
			defer mu.Unlock()
			texts = append(texts, fmt.Sprint(len(hits), " ", hits[0].Text))
			return order.Rank(ctx, q, hits)
		})
	}
	s := against(reading(reverse), interleaved, func(e *Experiment) {
		e.Rules[0] = rules(reading(identity))[0]
		e.Rules[0].Fields, e.Rules[0].Window, e.Rules[0].Version = []string{"sku"}, 12, "control"
	})
	s.Upstream = upstream(t, shop.ServeHTTP)
	base, _ := serve(t, s, Options{})
	_, page := ask(t, base, match)
	slices.Sort(texts)
	if diff := cmp.Diff([]string{"12 A-0", "30 Document 0"}, texts); diff != "" {
		t.Errorf("what was read (-want +got):\n%s", diff)
	}
	if n := len(shop.searches()); n != 1 {
		t.Errorf("got %d searches at the cluster, want 1", n)
	}
	teams := make([]experiment.Team, 10)
	for i, hit := range s.Sink.(*kept).impressions(t, 1)[0].Hits {
		teams[i] = hit.Team
	}
	if err := drafted(ids(t, page), teams, count(0, 30, 1), count(29, -1, -1)); err != nil {
		t.Error(err)
	}
}

// A follower is a Tracker that notes what it is told, and concludes something from everything.
type follower struct {
	mu   sync.Mutex
	told []string
}

func (f *follower) Shown(client, search uint64, i *experiment.Impression) (experiment.Event, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, fmt.Sprintf("%d %d shown %d", client, search, i.From))
	return experiment.Event{QueryID: i.QueryID, Implicit: "page"}, i.From > 0
}

func (f *follower) Fetched(client uint64, index, id string, now time.Time) (experiment.Event, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, fmt.Sprintf("%d fetched %s/%s", client, index, id))
	return experiment.Event{Object: id, Implicit: "get"}, true
}

// What the traffic tells is told of whoever makes it: pages of one search as such, and documents that are fetched by their ids.
func TestTraffic(t *testing.T) {
	shop := &shop{docs: 100}
	shop.intercept = func(w http.ResponseWriter, r *http.Request, _ []byte, _ bool) bool {
		if strings.HasSuffix(r.URL.Path, "/gone") {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	}
	f := &follower{}
	s := against(reverse)
	s.Upstream, s.Tracker = upstream(t, shop.ServeHTTP), f
	base, _ := serve(t, s, Options{})
	sink := s.Sink.(*kept)
	search := func(user string, from int, words string) {
		ask(t, base, fmt.Sprintf(`{"from":%d,"query":{"match":{"title":%q}}}`, from, words), "X-User", user)
	}
	get := func(user, path string) {
		if _, _, err := do(t, request(t, "GET", base+path, "", "X-User", user)); err != nil {
			t.Fatal(err)
		}
	}
	search("ada", 0, "blue shoes")
	sink.impressions(t, 1)
	search("ada", 10, "blue shoes")
	sink.impressions(t, 2)
	search("bob", 0, "red hats")
	sink.impressions(t, 3)
	get("ada", "/shop/_doc/29")
	get("ada", "/my%20shop/_doc/a%2Fb")
	get("ada", "/shop/_doc/gone")
	get("ada", "/shop/_settings")
	f.mu.Lock()
	defer f.mu.Unlock()
	var client, other, one, two uint64
	fmt.Sscanf(f.told[0], "%d %d", &client, &one)
	fmt.Sscanf(f.told[2], "%d %d", &other, &two)
	want := []string{
		fmt.Sprint(client, " ", one, " shown 0"), fmt.Sprint(client, " ", one, " shown 10"), fmt.Sprint(other, " ", two, " shown 0"),
		fmt.Sprint(client, " fetched shop/29"), fmt.Sprint(client, " fetched my shop/a/b"),
	}
	if diff := cmp.Diff(want, f.told); diff != "" || client == other || one == two || client == 0 {
		t.Errorf("what was told (-want +got):\n%s", diff)
	}
	sink.mu.Lock()
	defer sink.mu.Unlock()
	var events []string
	for _, r := range sink.records {
		if r.Event != nil {
			events = append(events, r.Event.Implicit)
		}
	}
	if diff := cmp.Diff([]string{"page", "get", "get"}, events); diff != "" {
		t.Errorf("the events (-want +got):\n%s", diff)
	}
}

// The control that has the cluster's order is what there is without a proxy, byte for byte, whatever the cluster answers and however it is
// coded; what cannot be read is passed on and not kept.
func TestControlIsTheClustersOwn(t *testing.T) {
	shop := &shop{docs: 100}
	zip := func(text []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(text)
		z.Close()
		return b.Bytes()
	}
	for _, tt := range []struct {
		name     string
		status   int
		header   []string
		body     []byte
		accept   string
		recorded int
	}{
		{"plain", 200, []string{"Content-Type", "application/json"}, shop.page(0, 10), "", 1},
		{"gzip", 200, []string{"Content-Type", "application/json", "Content-Encoding", "gzip"}, zip(shop.page(0, 10)), "gzip, br", 1},
		{"indented", 200, []string{"Content-Type", "application/json"}, []byte("{\n  \"took\" : 1,\n  \"hits\" : {\n    \"hits\" : [ ]\n  }\n}\n"), "", 1},
		{"a refusal", 400, []string{"Content-Type", "application/json"}, []byte(`{"error":"no"}`), "", 0},
		{"another coding", 200, []string{"Content-Type", "application/json", "Content-Encoding", "br"}, []byte("\x1b\x03"), "br", 0},
		{"no JSON", 200, []string{"Content-Type", "text/plain"}, []byte("hello"), "", 0},
		{"no search", 200, []string{"Content-Type", "application/json"}, []byte(`{"acknowledged":true}`), "", 0},
		{"too large", 200, []string{"Content-Type", "application/json"}, bytes.Repeat([]byte(" "), 1<<17), "", 0},
		{"nothing", 200, []string{"Content-Type", "application/json"}, nil, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				for i := 0; i < len(tt.header); i += 2 {
					w.Header().Set(tt.header[i], tt.header[i+1])
				}
				w.Header().Set("Date", "Sat, 31 Jan 2026 12:00:00 GMT")
				w.Header().Set("Etag", `"1"`)
				w.WriteHeader(tt.status)
				w.Write(tt.body)
			})
			s := against(reverse, func(e *Experiment) { e.Experiment.Variants[1].Share = 0 })
			s.Upstream, s.Limits.Response = c, 1<<16
			base, _ := serve(t, s, Options{})
			send := func(base string) (*http.Response, string) {
				res, body, err := do(t, request(t, "POST", base+"/shop/_search", match, "Accept-Encoding", tt.accept))
				if err != nil {
					t.Fatal(err)
				}
				return res, body
			}
			want, wantBody := send(c.base.String())
			got, body := send(base)
			if id := got.Header.Get("X-Rerank-Query-Id"); variantOf(got) != "lexical" || id == "" {
				t.Errorf("got X-Rerank %q and query id %q", got.Header.Get("X-Rerank"), id)
			}
			for _, name := range []string{"X-Rerank", "X-Rerank-Query-Id", "Server-Timing"} {
				got.Header.Del(name)
			}
			if diff := cmp.Diff(want.Header, got.Header); diff != "" || got.StatusCode != want.StatusCode || body != wantBody {
				t.Errorf("got %d and %d bytes, want %d and %d; headers (-cluster +proxy):\n%s", got.StatusCode, len(body), want.StatusCode, len(wantBody), diff)
			}
			s.Sink.(*kept).impressions(t, tt.recorded)
		})
	}
}

// With something kept, a search that speaks to UBI is kept whatever becomes of it, and the cluster, which may have no plugin, sees nothing of
// that. With nothing kept it is the cluster's affair.
func TestUBIOfSearchesThatAreNotReranked(t *testing.T) {
	const ubi = `"ext":{"ubi":{"client_id":"c","query_id":"q1"}}`
	for _, tt := range []struct {
		name, path, body string
		header           []string
		page             []int
	}{
		{"sorted", "/shop/_search", `{"query":{"match":{"title":"blue shoes"}},"sort":["price"],` + ubi + `}`, nil, count(0, 10, 1)},
		{"without words", "/shop/_search", `{"query":{"match_all":{}},` + ubi + `}`, nil, count(0, 10, 1)},
		{"turned off", "/shop/_search", `{"query":{"match":{"title":"blue shoes"}},` + ubi + `}`, []string{"X-Rerank", "off"}, count(0, 10, 1)},
		{"covered by no rule", "/.system/_search", `{"query":{"match":{"title":"blue shoes"}},` + ubi + `}`, nil, count(0, 10, 1)},
		{"beyond the window", "/shop/_search", `{"from":50,"query":{"match":{"title":"blue shoes"}},` + ubi + `}`, nil, count(50, 60, 1)},
		{"of a multi-search", "/_msearch", `{"index":"shop"}` + "\n" + `{"query":{"match_all":{}},` + ubi + `}` + "\n", nil, count(0, 10, 1)},
		{"of a multi-search, turned off", "/_msearch", `{"index":"shop"}` + "\n" + `{"query":{"match":{"title":"blue shoes"}},` + ubi + `}` + "\n", []string{"X-Rerank", "off"}, count(0, 10, 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shop := &shop{docs: 100}
			multi := multiShop(shop)
			var asked string
			s := against(reverse)
			s.Rules[0].Indices = []string{"shop"}
			s.Upstream = upstream(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				asked, r.Body = string(body), io.NopCloser(bytes.NewReader(body))
				if r.URL.Path == "/_msearch" {
					multi(w, r)
					return
				}
				shop.ServeHTTP(w, r)
			})
			base, h := serve(t, s, Options{})
			sink := s.Sink.(*kept)
			send := func() (*http.Response, string) {
				res, body, err := do(t, request(t, "POST", base+tt.path, tt.body, tt.header...))
				if err != nil || res.StatusCode != http.StatusOK {
					t.Fatalf("got %v, %v", res, err)
				}
				return res, body
			}
			res, body := send()
			if strings.Contains(asked, "ubi") || !strings.Contains(body, `"query_id":"q1"`) || res.Header.Get("X-Rerank-Query-Id") != "q1" {
				t.Errorf("the cluster saw %s, and the client got id %q and %.300s", asked, res.Header.Get("X-Rerank-Query-Id"), body)
			}
			got := sink.impressions(t, 1)[0]
			if diff := cmp.Diff(shownIDs(tt.page), got.Hits); diff != "" || got.QueryID != "q1" || got.Client != "c" || got.Outcome != "skipped" {
				t.Errorf("got impression %+v (-want +got):\n%s", got, diff)
			}
			s = against(reverse)
			s.Upstream, s.Sink = h.live.Load().Upstream, nil
			h.Swap(s)
			if res, body = send(); strings.Contains(tt.name, "sorted") && !strings.Contains(asked, "ubi") || res.Header.Get("X-Rerank-Query-Id") != "q1" {
				t.Errorf("with nothing kept the cluster saw %s, and the client got %.300s", asked, body)
			}
		})
	}
}

// Every way to search has experiments: many searches in one request, templates that are rendered, and templates that may not be.
func TestExperimentsOnEveryEndpoint(t *testing.T) {
	const template = `{"id":"shop","params":{"query_string":"blue shoes"}}`
	for _, tt := range []struct{ name, path, body, forbid string }{
		{"a multi-search", "/_msearch", "{\"index\":\"shop\"}\n" + match + "\n", ""},
		{"a template", "/shop/_search/template", template, ""},
		{"a template that may not be rendered", "/shop/_search/template", template, "/_render/template"},
		{"templates", "/_msearch/template", "{\"index\":\"shop\"}\n" + template + "\n", ""},
		{"templates that may not be rendered", "/_msearch/template", "{\"index\":\"shop\"}\n" + template + "\n", "/_render/template"},
	} {
		for _, mode := range []struct {
			name   string
			change func(*Experiment)
		}{
			{"lexical", func(e *Experiment) { e.Experiment.Variants[1].Share = 0 }},
			{"reranked", func(e *Experiment) { e.Experiment.Variants[0].Share = 0 }},
			{experiment.Interleaved, interleaved},
			{"", inTheShadow},
		} {
			t.Run(tt.name+"/"+mode.name, func(t *testing.T) {
				cluster := &templates{shops: shops{shop: shop{docs: 100}}, forbid: tt.forbid}
				s := against(reverse, mode.change)
				s.Upstream = upstream(t, cluster.ServeHTTP)
				base, _ := serve(t, s, Options{})
				res, body, err := do(t, request(t, "POST", base+tt.path, tt.body))
				if err != nil || res.StatusCode != http.StatusOK {
					t.Fatalf("got %v, %v", res, err)
				}
				page := body
				if strings.Contains(tt.path, "_msearch") {
					var multi struct{ Responses []json.RawMessage }
					if err := json.Unmarshal([]byte(body), &multi); err != nil {
						t.Fatal(err)
					}
					page = string(multi.Responses[0])
				}
				got := s.Sink.(*kept).impressions(t, 1)[0]
				shown, window := ids(t, page), 30
				if tt.forbid != "" {
					window = 10 // the page as it comes
				}
				var want []int
				switch mode.name {
				case "lexical", "":
					want = count(0, 10, 1)
				case "reranked":
					want = count(window-1, window-11, -1)
				default:
					teams := make([]experiment.Team, len(got.Hits))
					for i, hit := range got.Hits {
						teams[i] = hit.Team
					}
					if err := drafted(shown, teams, count(0, window, 1), count(window-1, -1, -1)); err != nil {
						t.Error(err)
					}
					want = shown
				}
				if !slices.Equal(shown, want) {
					t.Errorf("got %v, want %v", shown, want)
				}
				if variantOf(res) != mode.name || got.Variant != mode.name || got.Words != "blue shoes" {
					t.Errorf("got X-Rerank %q and impression %+v", res.Header.Get("X-Rerank"), got)
				}
				for i, hit := range got.Hits {
					if hit.ID != fmt.Sprint(shown[i]) {
						t.Errorf("place %d: got %s kept, and %d shown", i+1, hit.ID, shown[i])
					}
				}
				if mode.name == "" && tt.forbid == "" {
					if v := s.Sink.(*kept).shadows(t, 1)[0]; v.Outcome != "applied" || v.Instead[0] != "29" {
						t.Errorf("got shadow %+v", v)
					}
				}
			})
		}
	}
}

// An answer that breaks off is broken for the control's client too, and nobody has seen it.
func TestControlThatBreaksOff(t *testing.T) {
	shop := &shop{docs: 100}
	s := against(reverse, func(e *Experiment) { e.Experiment.Variants[1].Share = 0 })
	s.Upstream = wire(t, func(conn net.Conn, head string) {
		page := shop.page(0, 10)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(page), page[:len(page)/2])
	})
	base, h := serve(t, s, Options{})
	if _, body, err := do(t, request(t, "POST", base+"/shop/_search", match)); err == nil {
		t.Errorf("got %d bytes, want a broken connection", len(body))
	}
	h.Close()
	s.Sink.(*kept).impressions(t, 0)
}

// Where windows differ, the pages go on beyond the smaller one as the draft does, and beyond both as the cluster has it.
func TestInterleavedPagesOfOtherWindows(t *testing.T) {
	for _, windows := range [][2]int{{12, 30}, {30, 12}} {
		shop := &shop{docs: 50}
		s := against(reverse, interleaved, func(e *Experiment) {
			e.Rules[0] = rules(identity)[0]
			e.Rules[0].Version = "control"
			e.Rules[0].Window, e.Rules[1].Window = windows[0], windows[1]
		})
		s.Upstream = upstream(t, shop.ServeHTTP)
		base, _ := serve(t, s, Options{})
		var all []int
		for from := 0; from < 50; from += 5 {
			res, page := ask(t, base, fmt.Sprintf(`{"from":%d,"size":5,"query":{"match":{"title":"blue shoes"}}}`, from))
			if said := res.Header.Get("X-Rerank"); (from < 30) != strings.HasPrefix(said, "applied") || variantOf(res) != "interleaved" {
				t.Errorf("windows %v, from %d: got X-Rerank %q", windows, from, said)
			}
			all = append(all, ids(t, page)...)
		}
		theirs := append(count(windows[1]-1, -1, -1), count(windows[1], 50, 1)...)
		var teams []experiment.Team
		pages := s.Sink.(*kept).impressions(t, 10)
		slices.SortFunc(pages, func(a, b *experiment.Impression) int { return a.From - b.From })
		for _, i := range pages {
			for _, hit := range i.Hits {
				teams = append(teams, hit.Team)
			}
		}
		if err := drafted(all, teams, count(0, 50, 1), theirs); err != nil {
			t.Errorf("windows %v: %v", windows, err)
		}
	}
}

// uuid is a random one (RFC 9562, version 4).
var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// Every search is answered with an id, whatever becomes of it, and each page with another; what is no search has none.
func TestEverySearchHasAnID(t *testing.T) {
	s := &Snapshot{Rules: rules(reverse), Upstream: upstream(t, (&shop{docs: 100}).ServeHTTP)}
	base, _ := serve(t, s, Options{})
	const two = "{\"index\":\"shop\"}\n" + match + "\n{\"index\":\"shop\"}\n{\"query\":{\"match_all\":{}}}\n"
	seen := map[string]bool{}
	for _, tt := range []struct {
		name, path, body string
		header           []string
		ids              int
	}{
		{"reranked", "/shop/_search", match, nil, 1},
		{"once more", "/shop/_search", match, nil, 1},
		{"sorted", "/shop/_search", `{"query":{"match":{"title":"blue shoes"}},"sort":["price"]}`, nil, 1},
		{"turned off", "/shop/_search", match, []string{"X-Rerank", "off"}, 1},
		{"malformed", "/shop/_search", `{"query":`, nil, 1},
		{"in another format", "/shop/_search", "---", []string{"Content-Type", "application/yaml"}, 1},
		{"under no rule", "/.system/_search", match, nil, 1},
		{"several", "/_msearch", two, nil, 2},
		{"several, turned off", "/_msearch", two, []string{"X-Rerank", "off"}, 2},
		{"several that cannot be told apart", "/_msearch", "{}", nil, 0},
		{"no search", "/shop/_doc/1", "", nil, 0},
	} {
		res, _, err := do(t, request(t, "POST", base+tt.path, tt.body, tt.header...))
		if err != nil {
			t.Fatal(err)
		}
		ids := strings.FieldsFunc(res.Header.Get("X-Rerank-Query-Id"), func(r rune) bool { return r == ',' || r == ' ' })
		if len(ids) != tt.ids {
			t.Errorf("%s: got query ids %q, want %d", tt.name, ids, tt.ids)
		}
		for _, id := range ids {
			if !uuid.MatchString(id) || seen[id] {
				t.Errorf("%s: got query id %q, want a new UUID", tt.name, id)
			}
			seen[id] = true
		}
	}
}

// Where nothing is kept here, a plugin of the cluster's may answer with an id of its own. No other is told beside it.
func TestIDsOfAPlugin(t *testing.T) {
	s := &Snapshot{Rules: rules(reverse), Upstream: upstream(t, (&shop{docs: 100}).ServeHTTP)}
	base, _ := serve(t, s, Options{})
	for _, tt := range []struct{ name, body, want string }{
		{"its own", `{"query":{"match_all":{}},"ext":{"ubi":{"client_id":"c"}}}`, ""},
		{"the client's", `{"query":{"match_all":{}},"ext":{"ubi":{"query_id":"q1"}}}`, "q1"},
	} {
		if res, _ := ask(t, base, tt.body); res.Header.Get("X-Rerank-Query-Id") != tt.want {
			t.Errorf("%s: got query id %q, want %q", tt.name, res.Header.Get("X-Rerank-Query-Id"), tt.want)
		}
	}
	res, body := ask(t, base, `{"query":{"match":{"title":"blue shoes"}},"ext":{"ubi":{"client_id":"c"}}}`)
	if id := res.Header.Get("X-Rerank-Query-Id"); !uuid.MatchString(id) || !strings.Contains(body, `"ext":{"ubi":{"query_id":"`+id+`"}}`) {
		t.Errorf("reranked, which no plugin sees: got query id %q, want that of the body: %.300s", id, body)
	}
}

// Who turns reranking off is out of the experiment, by every endpoint.
func TestOutOnEveryEndpoint(t *testing.T) {
	s := against(reverse)
	s.Upstream = upstream(t, (&shop{docs: 100}).ServeHTTP)
	base, _ := serve(t, s, Options{})
	for path, body := range map[string]string{
		"/shop/_search":          match,
		"/_msearch":              "{\"index\":\"shop\"}\n" + match + "\n",
		"/shop/_search/template": `{"id":"shop","params":{"query_string":"blue shoes"}}`,
		"/_msearch/template":     "{\"index\":\"shop\"}\n{\"id\":\"shop\",\"params\":{\"query_string\":\"blue shoes\"}}\n",
	} {
		res, _, err := do(t, request(t, "POST", base+path, body, "X-Rerank", "off"))
		if err != nil || !strings.HasSuffix(res.Header.Get("X-Rerank"), `; experiment="test"; out`) {
			t.Errorf("%s: got X-Rerank %q (%v), want it to say out", path, res.Header.Get("X-Rerank"), err)
		}
	}
}
