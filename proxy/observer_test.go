package proxy

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rerankd/rerankd/proxy/search"
)

// observations keeps what an Observer is told.
type observations struct {
	mu   sync.Mutex
	seen []Observation
}

func (o *observations) Observe(seen Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, seen)
}

// await gives so many: the last is told after its answer has been read.
func (o *observations) await(t *testing.T, n int) []Observation {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		o.mu.Lock()
		seen := o.seen
		o.mu.Unlock()
		if len(seen) >= n || time.Now().After(end) {
			if len(seen) != n {
				t.Fatalf("got %d observations, want %d: %+v", len(seen), n, seen)
			}
			return seen
		}
	}
}

func TestObserver(t *testing.T) {
	s := &shop{docs: 100}
	o := &observations{}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(reverse)}, Options{Observer: o})

	ask(t, base, match)
	ask(t, base, `{"query":{"match":{"title":"blue shoes"}},"sort":["price"]}`)
	ask(t, base, match, "X-Rerank", "off")
	do(t, request(t, "GET", base+"/shop/_doc/1", "")) // which is no search
	seen := o.await(t, 3)

	first := seen[0]
	if first.Outcome != "applied" || first.Reason != "" || first.Words != "blue shoes" || first.Rule != "shop" || first.Indices != "shop" || first.Status != 200 || first.Endpoint != "_search" {
		t.Errorf("got %+v", first)
	}
	// The window of 30 is turned round: the page of ten has hits 29 to 20, of which the first came up by 29.
	if diff := cmp.Diff(Moves{Hits: 10, Moved: 10, Climb: 29}, first.Moves); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
	if first.Cluster <= 0 || first.Added() <= 0 || first.Total < first.Cluster || first.Time.IsZero() || len(first.Stages) != 1 {
		t.Errorf("got times %+v", first)
	}
	if got := seen[1]; got.Outcome != "skipped" || got.Reason != search.Sort || got.Moves != (Moves{}) || got.Added() != 0 {
		t.Errorf("of a sorted search got %+v", got)
	}
	if got := seen[2]; got.Reason != search.Disabled || got.Words != "" {
		t.Errorf("of a search that said off got %+v", got)
	}
}

func TestObserverOfMultiSearch(t *testing.T) {
	s := &shops{shop: shop{docs: 100}}
	o := &observations{}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(identity)}, Options{Observer: o})
	lines := strings.Repeat("{\"index\":\"shop\"}\n"+match+"\n", 2)
	res, body, err := do(t, request(t, "POST", base+"/_msearch", lines, "Content-Type", "application/x-ndjson"))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("got %v %s %v", res, body, err)
	}
	seen := o.await(t, 2)
	for i, got := range seen {
		if got.Search != i+1 || got.Searches != 2 || got.Endpoint != "_msearch" || got.Outcome != "applied" {
			t.Errorf("search %d: got %+v", i+1, got)
		}
	}
	if seen[0].Moves != (Moves{Hits: 10}) {
		t.Errorf("got moves %+v of an order that stayed as it was", seen[0].Moves)
	}
}

func TestMovesOf(t *testing.T) {
	for _, test := range []struct {
		name string
		page search.Page
		want Moves
	}{
		{"nothing ranked", search.Page{Size: 10}, Moves{}},
		{"one up, two down", search.Page{Size: 3, Order: []int{2, 0, 1, 3}}, Moves{Hits: 3, Moved: 3, Climb: 2}},
		{"from beyond the page", search.Page{Size: 2, Order: []int{0, 5, 1, 2, 3, 4}}, Moves{Hits: 2, Moved: 1, Climb: 4}},
		{"the second page", search.Page{From: 2, Size: 2, Order: []int{1, 0, 2, 3}}, Moves{Hits: 2}},
		{"beyond the end", search.Page{From: 8, Size: 2, Order: []int{1, 0}}, Moves{}},
		{"dropped", search.Page{Size: 3, Order: []int{2, 0, 1}, Drop: []bool{true, false, false}}, Moves{Hits: 2, Moved: 2, Climb: 2}},
	} {
		if got := movesOf(test.page); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}
