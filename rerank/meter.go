package rerank

import (
	"context"
	"sync/atomic"
	"time"
)

// meterKey finds in a Score call's context the place where its scorer may say how its time was spent.
type meterKey struct{}

// SpentTokenizing adds d to what the [Report] of the stage that ctx belongs to shows as Tokenizing. Without such a stage it does nothing.
// It is for scorers, and safe for concurrent use.
func SpentTokenizing(ctx context.Context, d time.Duration) {
	if meter, ok := ctx.Value(meterKey{}).(*atomic.Int64); ok {
		meter.Add(int64(d))
	}
}
