package schedule

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// What Warm runs. The text stands for any: a run's time depends on the number of its tokens alone.
const (
	warmQuery    = "how does a model warm up"
	warmDocument = "The first runs of a model are slower than the later ones, because memory is fetched and buffers grow to their size. " +
		"What is measured after them, with every core at work, is what a search will meet."
	warmRounds = 5
	warmTime   = 2 * time.Second // after which no further round begins
)

var warmLengths = []int{8, 32, 96, 224, 448} // tokens of the document

// Warm makes the first, slow runs, then measures runs of several lengths on all workers at once, and sets and returns the cost. It is
// called before the first search: what runs beside it is measured too. It takes two seconds at most with a small model, and two rounds
// of a few runs however long they are with a large one. An error means that the model does not work, or that ctx ended.
func (m *Model) Warm(ctx context.Context) (Cost, error) {
	query, doc, err := warmTexts(m.engine.runner())
	if err != nil {
		return Cost{}, fmt.Errorf("warming: %w", err)
	}

	start := time.Now()
	took := make([][]time.Duration, len(warmLengths)) // by length, of all workers
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for worker := range m.pool.workers {
		wg.Go(func() {
			StandBack()
			for round := range 1 + warmRounds { // the first is not counted
				if round > 1 && time.Since(start) > warmTime {
					return
				}
				for k := range warmLengths {
					k = (k + worker) % len(warmLengths) // at any moment the workers are at different lengths, as in real life
					began := time.Now()
					err := probe(ctx, m.engine.runner(), query, repeat(doc, warmLengths[k]))
					once := time.Since(began)
					mu.Lock()
					if failed == nil {
						failed = err
					}
					stop := failed != nil
					if round > 0 {
						took[k] = append(took[k], once)
					}
					mu.Unlock()
					if stop {
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if failed != nil {
		return Cost{}, fmt.Errorf("warming: %w", failed)
	}

	points := make([]point, len(warmLengths))
	for k, length := range warmLengths {
		points[k] = point{tokens: float64(m.tokens(query, repeat(doc, length))), took: float64(typical(took[k]))}
	}
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	m.costs.start(points, m.pool.workers)
	m.turn = m.costs.cost.Document(128)
	if m.pool.turn == 0 {
		m.pool.turn = m.turn
	}
	return m.costs.cost, nil
}

// warmTexts are the tokens of the two texts.
func warmTexts(r Runner) (query, doc []uint32, err error) {
	if query, err = r.Tokenize(warmQuery); err == nil {
		doc, err = r.Tokenize(warmDocument)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("tokenizing: %w", err)
	}
	if len(query) == 0 || len(doc) == 0 {
		return nil, nil, errors.New("the tokenizer finds no tokens in an English sentence")
	}
	return query, doc, nil
}

// probe is one run outside of any search. An error means that the model does not work.
func probe(ctx context.Context, r Runner, query, doc []uint32) (err error) {
	defer recovered(&err)
	logit, err := r.Score(ctx, query, doc)
	if err == nil && math.IsNaN(float64(logit)) {
		err = errors.New("the score is not a number")
	}
	return err
}

// repeat returns n tokens: those of doc, again and again.
func repeat(doc []uint32, n int) []uint32 {
	tokens := make([]uint32, n)
	for i := range tokens {
		tokens[i] = doc[i%len(doc)]
	}
	return tokens
}

// typical is the lower quartile of the measurements. Whatever else runs on the machine while they are taken only ever adds to them, and
// too high a cost does the greater harm: it keeps the window small and documents from beginning, where too low a one has a run aborted.
func typical(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/4]
}
