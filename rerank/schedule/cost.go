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

// Cost is what a run takes: Fixed + n*PerToken for n tokens on one worker while all workers are busy. Attention makes the true curve bend
// upwards with n², but at the lengths that fit a cross-encoder the straight line is within the noise of a shared machine.
type Cost struct {
	Fixed    time.Duration
	PerToken time.Duration
	Workers  int
}

// Document is the time of one run of so many tokens, those of the query and the special ones included.
func (c Cost) Document(tokens int) time.Duration {
	return c.Fixed + time.Duration(tokens)*c.PerToken
}

// Window is how many documents of so many tokens fit in 80 % of budget on all workers; 0 where the cost is not known. The rest of the
// budget is for tokenising and for other searches.
func (c Cost) Window(budget time.Duration, tokensPerDoc int) int {
	one := c.Document(tokensPerDoc)
	if one <= 0 || budget <= 0 {
		return 0
	}
	return c.Workers * int(budget/5*4/one)
}

// Cost returns what Warm measured last; zero before.
func (m *Model) Cost() Cost {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cost
}

// What Warm runs. The text stands for any: a run's time depends on the number of its tokens alone.
const (
	warmQuery    = "how does a model warm up"
	warmDocument = "The first runs of a model are slower than the later ones, because memory is fetched and buffers grow to their size. " +
		"What is measured after them, with every core at work, is what a search will meet."
	warmRounds = 5
	warmTime   = 2 * time.Second // after which no further round begins
)

var warmLengths = []int{8, 32, 96, 224} // tokens of the document

// Warm makes the first, slow runs, then measures runs of several lengths on all workers at once, and sets and returns the cost. It is
// called before the first search: what runs beside it is measured too. It takes two seconds at most with a small model, and two rounds
// of a few runs however long they are with a large one. An error means that the model does not work, or that ctx ended.
func (m *Model) Warm(ctx context.Context) (Cost, error) {
	query, err := m.runner.Tokenize(warmQuery)
	if err != nil {
		return Cost{}, fmt.Errorf("warming: tokenizing: %w", err)
	}
	doc, err := m.runner.Tokenize(warmDocument)
	if err != nil {
		return Cost{}, fmt.Errorf("warming: tokenizing: %w", err)
	}
	if len(query) == 0 || len(doc) == 0 {
		return Cost{}, errors.New("warming: the tokenizer finds no tokens in an English sentence")
	}

	start := time.Now()
	took := make([][]time.Duration, len(warmLengths)) // by length, of all workers
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for worker := range m.workers {
		wg.Go(func() {
			for round := range 1 + warmRounds { // the first is not counted
				if round > 1 && time.Since(start) > warmTime {
					return
				}
				for k := range warmLengths {
					k = (k + worker) % len(warmLengths) // at any moment the workers are at different lengths, as in real life
					began := time.Now()
					logit, err := m.score(ctx, query, repeat(doc, warmLengths[k]))
					once := time.Since(began)
					if err == nil && math.IsNaN(float64(logit)) {
						err = errors.New("the score is not a number")
					}
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
	cost := fit(points)
	cost.Workers = m.workers
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cost, m.turn, m.pace = cost, cost.Document(128), 1
	return cost, nil
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

// A point is one measurement: nanoseconds for so many tokens.
type point struct{ tokens, took float64 }

// fit draws the line through the points whose errors are the least in proportion to what was measured (least squares, each point weighing
// 1/took²): in milliseconds the longest runs, which the bend lifts most, would decide alone and make a short run seem free. Neither number
// is negative: where noise would have it so, the line is drawn without that one.
func fit(points []point) Cost {
	var n, x, y, xx, xy float64
	for _, p := range points {
		took := max(p.took, 1)
		weight := 1 / (took * took)
		n, x, y = n+weight, x+weight*p.tokens, y+weight*took
		xx, xy = xx+weight*p.tokens*p.tokens, xy+weight*p.tokens*took
	}
	var slope float64
	if spread := n*xx - x*x; spread > 1e-9*n*xx { // none where a model truncates all of them to one length
		slope = max(0, (n*xy-x*y)/spread)
	}
	fixed := (y - slope*x) / n
	if fixed < 0 {
		fixed, slope = 0, xy/xx
	}
	return Cost{Fixed: time.Duration(math.Round(fixed)), PerToken: time.Duration(math.Round(slope))}
}
