package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/rerank"
)

// shadows waits for so many of them.
func (k *kept) shadows(t testing.TB, n int) []*experiment.Shadow {
	t.Helper()
	var list []*experiment.Shadow
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		k.mu.Lock()
		list = list[:0]
		for _, r := range k.records {
			if r.Shadow != nil {
				list = append(list, r.Shadow)
			}
		}
		k.mu.Unlock()
		if len(list) >= n || time.Now().After(end) {
			break
		}
	}
	if len(list) != n {
		t.Fatalf("got %d shadows, want %d", len(list), n)
	}
	return list
}

func inTheShadow(e *Experiment) { e.Shadow, e.Phase = true, "shadow" }

func texts(list []int) []string {
	all := make([]string, len(list))
	for i, n := range list {
		all[i] = fmt.Sprint(n)
	}
	return all
}

// Nobody sees a shadow. Behind a search that nobody reranks it fetches its window, behind one that does it uses the one that is there.
func TestShadow(t *testing.T) {
	for _, tt := range []struct {
		name     string
		rule     Ranker
		change   func(*Experiment)
		says     string
		searches int
		reason   string
	}{
		{"of the cluster's order", nil, nil, "skipped; reason=disabled", 2, ""},
		{"of a ranking", identity, nil, `applied; model="identity"`, 1, ""},
		{"of a ranking of a smaller window", identity, func(e *Experiment) { e.Rules[1].Window = 40 }, `applied; model="identity"`, 2, ""},
		{"that fails", nil, func(e *Experiment) { e.Rules[1].Ranker = skips(rerank.SkippedModelError) }, "skipped; reason=disabled", 2, "model_error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shop := &shop{docs: 100}
			s := against(reverse, inTheShadow)
			s.Upstream = upstream(t, shop.ServeHTTP)
			s.Rules[0].Ranker, s.Rules[0].Version = tt.rule, "rule"
			if tt.change != nil {
				tt.change(s.Rules[0].Experiment)
			}
			base, h := serve(t, s, Options{})
			res, page := ask(t, base, `{"from":5,"query":{"match":{"title":"blue shoes"}}}`, "X-User", "ada")
			if said := res.Header.Get("X-Rerank"); !strings.HasPrefix(said, tt.says) || strings.Contains(said, "experiment") {
				t.Errorf("got X-Rerank %q, want %s", said, tt.says)
			}
			if diff := cmp.Diff(count(5, 15, 1), ids(t, page)); diff != "" {
				t.Errorf("what was shown (-want +got):\n%s", diff)
			}
			got := s.Sink.(*kept).shadows(t, 1)[0]
			i := s.Sink.(*kept).impressions(t, 1)[0]
			want := &experiment.Shadow{
				QueryID: i.QueryID, Time: got.Time, Experiment: "test", Phase: "shadow", Variant: "reranked", Unit: i.Unit,
				Outcome: "applied", Shown: texts(count(5, 15, 1)), Instead: texts(count(24, 14, -1)), Added: got.Added,
			}
			if tt.reason != "" {
				want.Outcome, want.Reason, want.Instead = "skipped", tt.reason, nil
			} else if tt.name == "of a ranking of a smaller window" {
				want.Instead = texts(count(34, 24, -1))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the shadow (-want +got):\n%s", diff)
			}
			if i.Phase != "shadow" || i.Variant != "" || i.Experiment != "test" || got.Added <= 0 {
				t.Errorf("got impression %+v of shadow %+v", i, got)
			}
			if n := len(shop.searches()); n != tt.searches {
				t.Errorf("got %d searches at the cluster, want %d: %q", n, tt.searches, shop.searches())
			}
			for range 1000 { // it is counted after it is kept
				if counted(t, h.metrics.shadows.WithLabelValues("test", "reranked", want.Outcome)) == 1 {
					return
				}
				time.Sleep(time.Millisecond)
			}
			t.Error("the shadow was not counted")
		})
	}
}

// Under load shadows are dropped; no search waits for one.
func TestShadowsAreDropped(t *testing.T) {
	shop := &shop{docs: 100}
	var under atomic.Int32
	stuck := make(chan struct{})
	s := against(rankerFunc(func(ctx context.Context, q string, hits []rerank.Hit) rerank.Ranking {
		if !rerank.Background(ctx) {
			t.Error("a shadow is ranked as if somebody waited for it")
		}
		under.Add(1)
		<-stuck
		return reverse(ctx, q, hits)
	}), inTheShadow)
	s.Upstream = upstream(t, shop.ServeHTTP)
	base, h := serve(t, s, Options{})
	const searches = 20
	for i := range searches {
		ask(t, base, match, "X-User", fmt.Sprint(i))
	}
	sink := s.Sink.(*kept)
	sink.impressions(t, searches)
	for end := time.Now().Add(5 * time.Second); counted(t, h.metrics.shadows.WithLabelValues("test", "reranked", "dropped")) < searches-maxShadows && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := counted(t, h.metrics.shadows.WithLabelValues("test", "reranked", "dropped")); n != searches-maxShadows {
		t.Errorf("got %v shadows dropped, want %d", n, searches-maxShadows)
	}
	close(stuck)
	sink.shadows(t, maxShadows)
	if n := under.Load(); n != maxShadows {
		t.Errorf("got %d shadows ranked, want %d", n, maxShadows)
	}
}

// A shadow gives way to searches, is dropped when another configuration takes over, and a window that the cluster refuses it is no reason
// to spare a search its own.
func TestShadowsTeachNothing(t *testing.T) {
	shop := &shop{docs: 100}
	shop.intercept = func(w http.ResponseWriter, _ *http.Request, body []byte, _ bool) bool {
		if !strings.Contains(string(body), `"size":40`) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, strings.Replace(string(shop.page(0, 40)), `"failed":0`, `"failed":1`, 1))
		return true
	}
	s := against(reverse, inTheShadow, func(e *Experiment) { e.Rules[1].Window = 40 })
	s.Upstream = upstream(t, shop.ServeHTTP)
	s.Rules[0].Ranker, s.Rules[0].Version = identity, "rule"
	base, h := serve(t, s, Options{})
	for i := range 3 {
		if res, _ := ask(t, base, match); !strings.HasPrefix(res.Header.Get("X-Rerank"), "applied") {
			t.Errorf("search %d: got X-Rerank %q, want it untouched by what a shadow met", i, res.Header.Get("X-Rerank"))
		}
		if got := s.Sink.(*kept).shadows(t, i+1)[i]; got.Reason != "upstream_partial" || got.Outcome != "skipped" {
			t.Errorf("got shadow %+v", got)
		}
	}
	busy := against(skips(rerank.SkippedBusy), inTheShadow)
	busy.Upstream = s.Upstream
	h.Swap(busy)
	ask(t, base, match)
	busy.Sink.(*kept).impressions(t, 1)
	for end := time.Now().Add(5 * time.Second); counted(t, h.metrics.shadows.WithLabelValues("test", "reranked", "dropped")) < 1 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	busy.Sink.(*kept).shadows(t, 0)
	if n := counted(t, h.metrics.shadows.WithLabelValues("test", "reranked", "dropped")); n != 1 {
		t.Errorf("got %v shadows dropped, want the one that gave way", n)
	}
}

func TestShadowOfAMultiSearch(t *testing.T) {
	shop := &shop{docs: 100}
	s := against(reverse, inTheShadow)
	s.Upstream = upstream(t, multiShop(shop))
	base, _ := serve(t, s, Options{})
	body := `{"index":"shop","preference":"x"}` + "\n" + match + "\n"
	res, _, err := do(t, request(t, "POST", base+"/_msearch", body, "Content-Type", "application/x-ndjson"))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", res, err)
	}
	got := s.Sink.(*kept).shadows(t, 1)[0]
	if diff := cmp.Diff(texts(count(29, 19, -1)), got.Instead); diff != "" || got.Outcome != "applied" {
		t.Errorf("got %+v (-want +got):\n%s", got, diff)
	}
}
