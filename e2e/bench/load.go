package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A tally is what came of many searches.
type tally struct {
	mu      sync.Mutex
	scored  int            // documents, of all searches
	reasons map[string]int // searches by what became of them
	took    []float64      // ms, of each
	failed  error          // the first that went wrong
}

func newTally() *tally { return &tally{reasons: map[string]int{}} }

func (t *tally) add(a answered, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		if t.failed == nil {
			t.failed = err
		}
		return
	}
	t.scored += a.scored()
	t.reasons[a.reason()]++
	t.took = append(t.took, milliseconds(a.took))
}

// within is the share of the answers that took so many ms at most, in %.
func within(took []float64, most float64) float64 {
	n := 0
	for _, ms := range took {
		if ms <= most {
			n++
		}
	}
	return 100 * float64(n) / float64(len(took))
}

// quantile is the smallest value that so large a share does not exceed.
func quantile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// what says how many searches ended in each way.
func what(reasons map[string]int) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		parts = append(parts, fmt.Sprintf("%d %s", reasons[reason], reason))
	}
	return strings.Join(parts, ", ")
}

// newClient keeps connections for as many requests at once as there may be.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000, MaxIdleConns: 1000}, Timeout: time.Minute}
}

// closed keeps so many clients asking for a while, once each at least. A client asks again when it is answered, but not before the pace has
// gone by: who is told at once that there was no time does not ask a thousand times a second.
func closed(ctx context.Context, url string, texts *queries, clients, page int, pace, lasts time.Duration) *tally {
	t, client, end := newTally(), newClient(), time.Now().Add(lasts)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for again := true; again; again = time.Now().Before(end) && ctx.Err() == nil {
				next := time.Now().Add(pace)
				t.add(ask(ctx, client, url, texts.next(), 0, page))
				time.Sleep(time.Until(next))
			}
		})
	}
	wg.Wait()
	client.CloseIdleConnections()
	return t
}

// open begins a search at random moments, so many a second, whether earlier ones are answered or not, as users do.
func open(ctx context.Context, url string, texts *queries, rate float64, page int, lasts time.Duration) *tally {
	t, client := newTally(), newClient()
	every(ctx, rate, lasts, func() { t.add(ask(ctx, client, url, texts.next(), 0, page)) })
	client.CloseIdleConnections()
	return t
}

// passing measures requests that are no searches, so many a second: ms for each.
func passing(ctx context.Context, url string, rate float64, lasts time.Duration) ([]float64, error) {
	var mu sync.Mutex
	var took []float64
	var failed error
	client := newClient()
	every(ctx, rate, lasts, func() {
		began := time.Now()
		err := fetch(ctx, client, url+"/bench/_doc/1")
		once := milliseconds(time.Since(began))
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = err
			return
		}
		took = append(took, once)
	})
	client.CloseIdleConnections()
	return took, failed
}

func fetch(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// every calls do in a goroutine of its own at the moments of a Poisson process, and waits for all of them.
func every(ctx context.Context, rate float64, lasts time.Duration, do func()) {
	var wg sync.WaitGroup
	random := rand.New(rand.NewPCG(4, 0))
	began := time.Now()
	for at := time.Duration(0); ; {
		at += time.Duration(random.ExpFloat64() / rate * float64(time.Second))
		if at >= lasts || ctx.Err() != nil {
			break
		}
		time.Sleep(time.Until(began.Add(at)))
		wg.Go(do)
	}
	wg.Wait()
}

// queries are searches for one client or many, none asked twice: the words, and the cluster's answer, which is the next one whatever is asked.
type queries struct {
	mu      sync.Mutex
	all     []judgement
	answers [][]byte
	asked   int
	told    int
}

func newQueries(all []judgement) *queries {
	q := &queries{all: all}
	for _, j := range all {
		q.answers = append(q.answers, searchAnswer(j))
	}
	return q
}

// next is the next query's words. After the last come new words for the first one's documents, which is where a cache could help: enough
// are to be made that it does not come to this.
func (q *queries) next() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	return fmt.Sprintf("%s %d", q.all[q.asked%len(q.all)].Query, q.asked)
}

// answer is what the cluster says to the next search.
func (q *queries) answer() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.told++
	return q.answers[q.told%len(q.answers)]
}
