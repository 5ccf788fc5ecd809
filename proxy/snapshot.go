package proxy

import (
	"cmp"
	"context"
	"hash/maphash"
	"net/http"
	"reflect"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

// A Ranker orders the hits of a search. It never fails: what could not be done is said in the Ranking. ctx ends when the search's budget
// is spent or its client is gone; a Ranker that does not return then is left behind, and what it returns later is dropped.
type Ranker interface {
	Rank(ctx context.Context, query string, hits []rerank.Hit) rerank.Ranking
}

// A Linguist is a Ranker that can tell from the words alone that it can make nothing of them: they are in a language that none of its models
// was made for. It is asked before the cluster is, so that no window is fetched in vain.
type Linguist interface {
	Reads(query string) bool
}

var (
	_ Ranker   = (*rerank.Ranker)(nil)
	_ Linguist = (*rerank.Ranker)(nil)
)

// A MappingReader reads the body of the cluster's answer to GET /{indices}/_mapping. indices is an index expression, not escaped; ""
// means all. credentials are the client's, to be sent along; the cluster decides what they may see. An error that has a method
// HTTPStatus() int, as those of Snapshot.Upstream, means that nobody answered; any other, that the cluster refused.
type MappingReader interface {
	Mappings(ctx context.Context, indices string, credentials http.Header) ([]byte, error)
}

// Rule says how the searches on some indices are reranked.
type Rule struct {
	Name      string
	Indices   []string      // patterns with *, exclusions begin with -; empty: every index that is not a system index
	Fields    []string      // read in this order; empty: chosen from the query and the mapping, see [Choose]
	Separator string        // between the texts of Fields; "": a line break
	Words     search.Policy // which texts of a search are the user's own words; its Fields are taken from this rule
	Template  string        // how a hit's text is made of its fields, as [search.ParseTemplate] reads it; "": each field on a line

	Window int           // hits that may be reranked; a search may ask for less; 0: 50
	Budget time.Duration // what reranking may add, counted from the last byte of the cluster's answer; 0: 300 ms
	Total  time.Duration // bounds the cluster's time and reranking together, counted from the request's arrival; 0: no bound

	Off        bool // searches pass, with reason=disabled
	KeepScores bool // only the order changes: place i shows the cluster's i-th score
	Ranker     Ranker
	Version    string // digest of the rule and its models: orders are remembered under it

	Experiment *Experiment // that its searches are in; nil: none
	Recorded   bool        // what its searches show is kept, in an experiment or not
}

// Limits bound what the proxy holds in memory and for how long it waits. The zero value of each is its default.
type Limits struct {
	Request    int64         // bytes of a search's body that are read, and again when decoded; default 1 MiB
	Response   int64         // bytes of a search's answer that are read, and again when decoded; default 16 MiB
	Widened    int64         // bytes that the answer for a whole window should not exceed: larger hits make the window smaller; default 4 MiB
	DearWindow int           // the largest window where each hit costs the cluster extra work; 0: no bound
	Buffered   int64         // bytes of bodies held for all searches together; default 256 MiB
	Idle       time.Duration // a client that sends or takes nothing for so long is cut off; default 60 s
}

func (l Limits) withDefaults() Limits {
	l.Request = cmp.Or(l.Request, 1<<20)
	l.Response = cmp.Or(l.Response, 16<<20)
	l.Widened = cmp.Or(l.Widened, 4<<20)
	l.Buffered = cmp.Or(l.Buffered, 256<<20)
	l.Idle = cmp.Or(l.Idle, 60*time.Second)
	return l
}

// Snapshot is everything that a configuration says to the proxy. It is not changed once in use.
type Snapshot struct {
	// Upstream is the cluster. Of a request's URL it takes the path and the query; the Host is its own affair. An error that has a
	// method HTTPStatus() int is answered to the client with that status (503: no node reachable, 504: no answer in time); any other
	// with 502. A request whose Header["X-Idempotency-Key"] is present and empty may be sent a second time, see net/http's Transport.
	Upstream   http.RoundTripper
	Mappings   MappingReader    // nil: only fields that a rule or a query names are read
	Rules      []Rule           // the first one that covers a search counts
	Inference  map[string]Model // by the ids of inference endpoints that we answer for
	OpenSearch func() bool      // whether the cluster is known to be an OpenSearch; nil: it is not
	Off        bool             // the kill switch: every search passes, with reason=disabled
	Limits     Limits
	Sink       experiment.Sink // of what searches show; nil: nothing is kept
	Tracker    Tracker         // concludes events from the traffic; nil: nobody does
	Events     http.Handler    // takes events where applications search, at /ubi_events and /ubi_queries; nil: these are the cluster's affair
	LogQueries bool            // whether a log line may hold the user's words
	SlowSearch time.Duration   // searches that take longer are logged as warnings; 0: none
	Close      func()          // called once, after the last request that began under this snapshot; may be nil
}

// live is a snapshot in use.
type live struct {
	Snapshot
	templates []templateOrErr   // of the rules
	variants  [][]templateOrErr // of the rules' experiments
	catalogue *catalogue
	visitors  []Unit
	seed      maphash.Seed // of their numbers
	buffered  *semaphore.Weighted
	shadowed  *semaphore.Weighted
	entered   *bounded[principal, struct{}] // clients that the cluster let in lately
	learned   learned
	// background is for what is done behind the searches. It ends when another snapshot takes over.
	background context.Context
	retire     context.CancelFunc
	users      atomic.Int64 // those who may still use it: the Handler, requests, rankings and mapping reads
	noPlugin   atomic.Bool  // the cluster was found to know no ext.rerank
	stuck      atomic.Int64 // rankings that did not end when told to
	answering  average      // the cluster's time for a window
}

type templateOrErr struct {
	search.Template
	err error
}

// newLive puts s in use. What old knows of the cluster's mappings is taken over where they come from the same reader.
func newLive(s *Snapshot, old *live, now func() time.Time) *live {
	l := &live{Snapshot: *s, templates: make([]templateOrErr, len(s.Rules)), variants: make([][]templateOrErr, len(s.Rules))}
	l.Limits = l.Limits.withDefaults()
	l.visitors, l.seed = visitors(s.Rules), maphash.MakeSeed()
	if old != nil {
		l.seed = old.seed // whoever was shown something under one snapshot is known under the next
	}
	l.buffered, l.shadowed = semaphore.NewWeighted(l.Limits.Buffered), shadowRoom(l.Limits)
	l.entered = newBounded[principal, struct{}](maxEntered, enteredKept, now)
	l.learned = newLearned(now)
	for i, rule := range s.Rules {
		l.templates[i] = templateOf(rule)
		if rule.Experiment != nil {
			for _, r := range rule.Experiment.Rules {
				l.variants[i] = append(l.variants[i], templateOf(r))
			}
		}
	}
	if old != nil && same(old.Mappings, s.Mappings) {
		l.catalogue = old.catalogue
	} else {
		l.catalogue = newCatalogue(s.Mappings, now)
	}
	l.background, l.retire = context.WithCancel(context.Background())
	l.users.Store(1)
	return l
}

func templateOf(r Rule) (t templateOrErr) {
	switch {
	case r.Template != "":
		t.Template, t.err = search.ParseTemplate(r.Template)
	case len(r.Fields) > 0:
		t.Template = search.JoinedTemplate(r.Fields, cmp.Or(r.Separator, "\n"))
	}
	return t
}

func same(a, b MappingReader) bool {
	return a != nil && b != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

// retain keeps the snapshot from being closed. It fails where the last user has gone already.
func (l *live) retain() bool {
	for {
		n := l.users.Load()
		if n == 0 {
			return false
		}
		if l.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (l *live) release() {
	if l.users.Add(-1) == 0 && l.Close != nil {
		l.Close()
	}
}
