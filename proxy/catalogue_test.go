package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mappings answers by index expression, and counts.
type mappings struct {
	mu    sync.Mutex
	by    map[string]string
	err   error
	calls []string
}

func (m *mappings) Mappings(_ context.Context, indices string, credentials http.Header) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, indices+" "+credentials.Get("Authorization"))
	if m.err != nil {
		return nil, m.err
	}
	body, ok := m.by[indices]
	if !ok {
		return nil, errors.New("no such index")
	}
	return []byte(body), nil
}

// A search that needs a mapping passes while it is read, and is reranked afterwards.
func TestMappingIsNeverAwaited(t *testing.T) {
	s := &shop{docs: 100}
	reader := &mappings{by: map[string]string{"shop": shopMapping}}
	rule := rules(reverse)
	rule[0].Fields = nil
	base, h := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Mappings: reader, Rules: rule}, Options{})
	res, body := ask(t, base, match)
	if got := res.Header.Get("X-Rerank"); got != "skipped; reason=warming" {
		t.Errorf("got X-Rerank %q, want skipped; reason=warming", got)
	}
	if diff := cmp.Diff(count(0, 10, 1), ids(t, body)); diff != "" {
		t.Errorf("the page (-want +got):\n%s", diff)
	}
	for { // until the reading is over
		catalogue := h.live.Load().catalogue
		if _, ready := catalogue.get(h.live.Load(), "shop", http.Header{}); ready {
			break
		}
	}
	if res, _ := ask(t, base, match); !strings.HasPrefix(res.Header.Get("X-Rerank"), "applied") {
		t.Errorf("got X-Rerank %q, want applied", res.Header.Get("X-Rerank"))
	}
}

// Who may search and not see mappings is reranked by the fields that the query names. Where it names none, it is said what is missing.
func TestMappingThatIsRefused(t *testing.T) {
	s := &shop{docs: 100}
	rule := rules(reverse)
	rule[0].Fields = nil
	reader := &mappings{err: errors.New("403")}
	base, h := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Mappings: reader, Rules: rule}, Options{})
	ask(t, base, match)
	for ready := false; !ready; {
		_, ready = h.live.Load().catalogue.get(h.live.Load(), "shop", http.Header{})
	}
	if res, _ := ask(t, base, match); !strings.HasPrefix(res.Header.Get("X-Rerank"), "applied") {
		t.Errorf("got X-Rerank %q, want applied", res.Header.Get("X-Rerank"))
	}
	res, _ := ask(t, base, `{"query":{"query_string":{"query":"red shoes"}}}`, "X-Rerank-Debug", "true")
	if got := res.Header.Get("X-Rerank"); got != "skipped; reason=no_text" {
		t.Errorf("got X-Rerank %q, want skipped; reason=no_text", got)
	}
	if got := res.Header.Get("X-Rerank-Debug"); !strings.Contains(got, "the mapping could not be read for this client") {
		t.Errorf("got X-Rerank-Debug %q, want the mapping named", got)
	}
}

func TestCatalogueIsReadBehindTheSearches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &mappings{by: map[string]string{"shop": shopMapping}}
		l := newLive(&Snapshot{Mappings: reader}, nil, time.Now)
		defer l.retire()
		get := func(authorization string) (*mapping, bool) {
			m, ready := l.catalogue.get(l, "shop", http.Header{"Authorization": {authorization}, "X-Opaque-Id": {"any"}})
			synctest.Wait()
			return m, ready
		}
		if _, ready := get("alice"); ready {
			t.Error("got a mapping that nobody has read")
		}
		if m, ready := get("alice"); !ready || !cmp.Equal(m.texts, []string{"body", "title"}) {
			t.Errorf("got %v %v, want the shop's", m, ready)
		}
		if _, ready := get("bob"); ready {
			t.Error("bob was shown what was read for alice")
		}
		get("alice")
		if diff := cmp.Diff([]string{"shop alice", "shop bob"}, reader.calls); diff != "" {
			t.Errorf("reads (-want +got):\n%s", diff)
		}

		// A stale one serves while it is read again, also when nobody answers; when the cluster refuses, it is gone.
		time.Sleep(catalogueFresh)
		reader.err = statusError(503)
		if m, _ := get("alice"); m == nil {
			t.Error("a stale mapping was not served while it was read again")
		}
		if m, _ := get("alice"); m == nil {
			t.Error("a stale mapping was dropped because nobody answered")
		}
		time.Sleep(catalogueFailed)
		reader.err = errors.New("403")
		get("alice")
		if m, ready := get("alice"); m != nil || !ready {
			t.Errorf("got %v %v, want nothing and no waiting once the cluster has refused", m, ready)
		}
		time.Sleep(catalogueFailed)
		reader.err = nil
		get("alice")
		if m, _ := get("alice"); m == nil {
			t.Error("a refusal was for ever")
		}
	})
}

func TestAliasesAndStreamsAreCoveredByWhatTheyStandFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const properties = `{"mappings":{"properties":{"title":{"type":"text"}}}}`
		reader := &mappings{by: map[string]string{
			"alias":    `{"shop-2026":` + properties + `}`,
			"mixed":    `{"shop-2026":` + properties + `,"logs":` + properties + `}`,
			"stream":   `{".ds-shop-events-2026.01.31-000001":` + properties + `,".ds-shop-events-000002":` + properties + `}`,
			"shop-*":   `{"shop-1":` + properties + `,"shop-old":` + properties + `}`,
			"internal": `{".security-7":` + properties + `}`,
		}}
		l := newLive(&Snapshot{Mappings: reader, Rules: []Rule{
			{Name: "old", Indices: []string{"shop-old*"}}, {Name: "shop", Indices: []string{"shop*", "-shop-old"}},
		}}, nil, time.Now)
		defer l.retire()
		for indices, want := range map[string]string{
			"alias": "shop", "mixed": "", "stream": "shop", "shop-*": "", "internal": "", "nowhere": "", "shop-old": "old", "shop-1": "shop",
		} {
			var i int
			var found, ready bool
			for range 3 {
				i, found, ready = l.rule(indices, http.Header{})
				synctest.Wait()
			}
			got := ""
			if found {
				got = l.Rules[i].Name
			}
			if got != want || !ready {
				t.Errorf("%s: got rule %q, ready %v, want %q", indices, got, ready, want)
			}
		}
	})
}

func TestCatalogueIsBounded(t *testing.T) {
	l := newLive(&Snapshot{Mappings: &mappings{}}, nil, time.Now)
	l.catalogue.turns = make(chan struct{}) // nobody gets to read
	for range maxCatalogue + 10 {
		l.catalogue.get(l, strings.Repeat("x", len(l.catalogue.entries)%7)+time.Now().String(), http.Header{})
	}
	if got := len(l.catalogue.entries); got > maxCatalogue {
		t.Errorf("got %d entries, want at most %d", got, maxCatalogue)
	}
	l.retire()
}

func TestBoundedForgetsTheOldest(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBounded[int, int](3, time.Minute, func() time.Time { return now })
	for i := range 5 {
		b.keep(i, i)
		now = now.Add(time.Second)
	}
	if _, ok := b.get(1); ok {
		t.Error("got an entry above the limit")
	}
	if v := b.keep(2, 20); v != 2 {
		t.Errorf("got %d, want what was kept first", v)
	}
	now = time.Unix(62, 0)
	if _, ok := b.get(2); ok {
		t.Error("got an entry that is over its time")
	}
	if v, ok := b.get(3); !ok || v != 3 {
		t.Errorf("got %d %v, want 3", v, ok)
	}
	if len(b.entries) != len(b.queue) {
		t.Errorf("got %d entries and %d in the queue", len(b.entries), len(b.queue))
	}
}
