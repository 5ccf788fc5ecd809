package backends

import (
	"fmt"
	"net/http"
	"sync"
)

// isRepeatable reports whether req's maker allows it to be sent twice. The mark is net/http's own: a key that is there with no values
// cannot have come over the wire, and does not go out.
func isRepeatable(req *http.Request) bool {
	mark, ok := req.Header["X-Idempotency-Key"]
	return ok && len(mark) == 0 && (req.Body == nil || req.Body == http.NoBody || req.GetBody != nil)
}

// repeat is req with its body from the start.
func repeat(req *http.Request) (*http.Request, error) {
	again := req.WithContext(req.Context())
	if req.Body != nil && req.Body != http.NoBody {
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("reading the body again: %w", err)
		}
		again.Body = body
	}
	return again, nil
}

// What became of a search that could not be sent; values of a metric's label.
const (
	retryNode       = "node"       // it was sent to another node
	retryConnection = "connection" // it was sent on another connection
	retryDenied     = "denied"     // it was not sent, for want of budget
)

// The budget keeps retries at other nodes to a fifth of the repeatable requests, above a reserve of ten, so that they cannot double the load of a cluster
// that is going down. (Finagle's RetryBudget has the same default share; "Site Reliability Engineering", chapter 21, gives the reasons.)
const (
	retryShare   = 0.2
	retryReserve = 10
)

// A budget is a bucket of retries; the zero value is full.
type budget struct {
	mu    sync.Mutex
	spent float64
}

// deposit is called for every repeatable request.
func (b *budget) deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-retryShare)
}

// withdraw reports whether one may be sent again.
func (b *budget) withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent+1 > retryReserve {
		return false
	}
	b.spent++
	return true
}
