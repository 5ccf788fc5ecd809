package backends

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	probeTimeout = 5 * time.Second
	// A node that takes connections and then is silent twice in a row is hung, and each request to it would hang as well. Once may be
	// a long garbage collection.
	silencesAllowed = 1
	alarmGap        = time.Second // between two rounds of probes out of turn
)

// probe asks the nodes, until ctx ends, whether they are there: all of them at the start, and then every interval those that are due.
// Any HTTP answer is a yes.
func (b *Backend) probe(ctx context.Context, interval time.Duration) {
	silences := map[*node]int{}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for alarmed := false; ; {
		b.probeAll(ctx, b.pool.due(time.Now(), interval, alarmed), silences)
		if alarmed {
			select {
			case <-ctx.Done():
			case <-time.After(alarmGap):
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			alarmed = false
		case <-b.pool.alarm:
			alarmed = true
		}
	}
}

// probeAll probes all of nodes at the same time, so that a silent one delays no other.
func (b *Backend) probeAll(ctx context.Context, nodes []*node, silences map[*node]int) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	for _, n := range nodes {
		wait.Go(func() {
			started := time.Now()
			err := b.probeNode(ctx, n)
			if ctx.Err() != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				delete(silences, n)
				return
			}
			// Any other failure than silence has been judged on its way.
			if err.status != http.StatusGatewayTimeout {
				return
			}
			if silences[n]++; silences[n] > silencesAllowed {
				b.pool.failed(n, started, causeProbe, err)
			}
		})
	}
	wait.Wait()
}

// probeNode sends GET / to n, with rerankd's own credentials if it has any. A nil error is an answer, of whatever status.
func (b *Backend) probeNode(ctx context.Context, n *node) *Error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	_, err := b.info(ctx, performerFunc(func(req *http.Request) (*http.Response, error) {
		res, failure := b.send(n, req, true)
		if failure != nil {
			return nil, failure
		}
		return res, nil
	}))
	if failure := (*Error)(nil); errors.As(err, &failure) {
		return failure
	}
	return nil
}
