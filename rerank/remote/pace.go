package remote

import (
	"context"
	"sync"
	"time"
)

// A pace is what a document takes: a moving average over the requests, of the time from sending one to its answer, divided by its
// documents. Of several requests at once each is slower, and that is in it.
type pace struct {
	mu    sync.Mutex
	each  time.Duration // 0: nothing was heard
	heard time.Time
}

const (
	weight = 0.2              // of the newest request
	stale  = 10 * time.Second // is what was heard longer ago; a server that was slow once must not be left out for ever
	share  = 0.8              // of the time until a deadline is planned with
)

func (p *pace) learn(took time.Duration, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	each := took / time.Duration(n)
	if p.each > 0 {
		each = time.Duration((1-weight)*float64(p.each) + weight*float64(each))
	}
	p.each, p.heard = max(each, 1), time.Now()
}

// tooLong learns from a request that was given up after so long: it would have taken more, twice as much is as good a guess as any. So
// batches that are too large for a deadline shrink by half, until one is answered.
func (p *pace) tooLong(took time.Duration, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if each := 2 * took / time.Duration(n); each > p.each && took >= patience {
		p.each, p.heard = each, time.Now()
	}
}

// forget begins anew.
func (p *pace) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.each, p.heard = 0, time.Time{}
}

func (p *pace) document() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.each
}

// estimate is how long n documents take with so many requests at once; 0 = not known.
func (p *pace) estimate(n, requests int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.heard) > stale {
		return 0
	}
	return p.each * time.Duration(n) / time.Duration(requests)
}

// batch is how many documents to ask for at once so that the answer comes before ctx's deadline: most, or fewer.
func (p *pace) batch(ctx context.Context, most int) int {
	deadline, ok := ctx.Deadline()
	each := p.document()
	if !ok || each == 0 {
		return most
	}
	return min(max(int(share*float64(time.Until(deadline))/float64(each)), 1), most)
}
