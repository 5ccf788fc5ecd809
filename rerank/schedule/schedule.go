package schedule

import (
	"context"
	"errors"

	"github.com/rerankd/rerankd/rerank"
)

// Options of a [Model]. The zero value is useful.
type Options struct {
	Workers int // documents scored at once; 0 = GOMAXPROCS, which follows the CPU quota
	Queue   int // documents waiting at most; 0 = 4096
}

// Stats are a Model's counters.
type Stats struct {
	Queued  int    // documents waiting now
	Running int    // documents being scored now
	Scored  uint64 // documents scored so far
	Dropped uint64 // documents admitted but not scored: deadline, cancellation or a failure
}

// Model is a [rerank.Scorer] over a [Runner].
type Model struct{}

var _ rerank.Scorer = (*Model)(nil)

// New starts the workers.
func New(r Runner, o Options) *Model { return &Model{} }

func (m *Model) Score(ctx context.Context, query string, docs []string) ([]float32, error) {
	return nil, errors.New("not written yet")
}

// Warm measures and sets the cost.
func (m *Model) Warm(ctx context.Context) (Cost, error) { return Cost{}, nil }

// Cost returns the cost measured last.
func (m *Model) Cost() Cost { return Cost{} }

// Stats returns the counters.
func (m *Model) Stats() Stats { return Stats{} }

// Close stops the workers.
func (m *Model) Close() {}
