package proxy

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/rerankd/rerankd/rerank"
)

// shut is a ranker that knows beforehand that it will not rank.
type shut struct{ err error }

func (s shut) Admits(string, time.Duration) error { return s.err }

func (s shut) Rank(context.Context, string, []rerank.Hit) rerank.Ranking {
	panic("ranked after it was said that there would be no time")
}

// Where there will be no time, the cluster gets the client's own search and not a wider one.
func TestNoWindowInVain(t *testing.T) {
	s := &shop{docs: 100}
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, s.ServeHTTP), Rules: rules(shut{rerank.ErrBusy})}, Options{})
	res, _, err := do(t, request(t, "POST", base+"/shop/_search", match))
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Header.Get("X-Rerank"); got != "skipped; reason=busy" {
		t.Errorf("got X-Rerank %q", got)
	}
	if got := s.searches(); len(got) != 1 || got[0] != "POST /shop/_search "+match {
		t.Errorf("got the searches %q at the cluster, want the client's own", got)
	}
}

// The time that is asked for is the rule's budget and what the cluster takes nowadays.
func TestTheClustersTimeIsCounted(t *testing.T) {
	asked := make(chan time.Duration, 100)
	s := &shop{docs: 100}
	r := rules(open{reverse, asked})
	r[0].Budget = time.Second
	slow := 40 * time.Millisecond
	base, _ := serve(t, &Snapshot{Upstream: upstream(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(slow)
		s.ServeHTTP(w, r)
	}), Rules: r}, Options{})
	for range 30 {
		if _, _, err := do(t, request(t, "POST", base+"/shop/_search", match)); err != nil {
			t.Fatal(err)
		}
	}
	first, last := <-asked, time.Duration(0)
	for len(asked) > 0 {
		last = <-asked
	}
	if first < r[0].Budget || first > r[0].Budget+slow/2 || last < r[0].Budget+slow*3/4 {
		t.Errorf("got %v asked for at first and %v at last, want %v, and what the cluster takes when that is known", first, last, r[0].Budget)
	}
}

// open is a ranker that lets everything in, and notes the time that it was asked for.
type open struct {
	Ranker
	asked chan time.Duration
}

func (o open) Admits(_ string, within time.Duration) error {
	o.asked <- within
	return nil
}
