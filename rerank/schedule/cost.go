package schedule

import (
	"math"
	"time"
)

// Cost is what a run takes on one worker while all workers are busy: Fixed + n*PerToken + n²*PerSquare for n tokens. The square is
// attention, in which every token looks at every other; at the lengths of search hits it is a small part.
type Cost struct {
	Fixed     time.Duration
	PerToken  time.Duration
	PerSquare float64 // nanoseconds
	Workers   int
}

// Document is the time of one run of so many tokens, those of the query and the special ones included.
func (c Cost) Document(tokens int) time.Duration {
	n := float64(tokens)
	return c.Fixed + time.Duration(tokens)*c.PerToken + time.Duration(n*n*c.PerSquare)
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

// A learner keeps a Cost true while the model is in use. It knows two things apart: the shape of the cost, how it grows with the length,
// which is the model's and the processor's and which the warm-up and hundreds of runs decide together; and the pace, how long runs take
// nowadays as a multiple of that, which follows whatever else the machine has to do within a few runs.
type learner struct {
	cost   Cost
	pace   float64
	warmed squares // the warm-up's measurements, which stay
	seen   squares // those of runs, which fade
	since  int     // runs seen since the shape was drawn
}

const (
	fading  = 1 - 1./512 // what a run leaves of the weight of those before it
	redraws = 32         // runs between two drawings of the shape
)

// start takes the warm-up's measurements.
func (l *learner) start(points []point, workers int) {
	*l = learner{pace: 1}
	for _, p := range points {
		l.warmed.add(p)
	}
	l.cost = l.warmed.fit()
	l.cost.Workers = workers
}

// expect is how long a run of so many tokens will take; 0 = not known.
func (l *learner) expect(tokens int) time.Duration {
	return time.Duration(l.pace * float64(l.cost.Document(tokens)))
}

// observe takes the time of a run that ended.
func (l *learner) observe(tokens int, took time.Duration) {
	planned := l.cost.Document(tokens)
	if planned <= 0 {
		return // no warm-up, no shape
	}
	l.pace += (float64(took)/float64(planned) - l.pace) / 8
	l.seen.scale(fading)
	l.seen.add(point{float64(tokens), float64(took)})
	if l.since++; l.since < redraws {
		return
	}
	l.since = 0
	all := l.warmed
	all.sum(l.seen)
	drawn := all.fit()
	drawn.Workers = l.cost.Workers
	// What is expected of a run like this one does not change by the drawing.
	if now := drawn.Document(tokens); now > 0 {
		l.pace *= float64(planned) / float64(now)
		l.cost = drawn
	}
}

// interrupted takes the time of a run that was given up: it would have taken longer than this. Where even this is more than was
// expected, the pace must follow, or a machine that became slow would never be seen to be, as none of its runs ends.
func (l *learner) interrupted(tokens int, after time.Duration) {
	if planned := l.cost.Document(tokens); planned > 0 && after > l.expect(tokens) {
		l.pace += (float64(after)/float64(planned) - l.pace) / 8
	}
}

// A point is one measurement: nanoseconds for so many tokens.
type point struct{ tokens, took float64 }

// squares are the sums of a least-squares fit of took over 1, tokens and tokens², each point weighing 1/took²: the errors that count are
// those in proportion to what was measured. In milliseconds the longest runs would decide alone and make a short run seem free.
type squares struct {
	a [terms][terms]float64 // of the terms' products
	b [terms]float64        // of the terms times took
	c float64               // of took squared
}

const (
	terms = 3
	unit  = 128. // tokens are counted in these, so that the sums are of one order
)

func (s *squares) add(p point) {
	took := max(p.took, 1)
	n := p.tokens / unit
	x := [terms]float64{1, n, n * n}
	for i := range x {
		for j := range x {
			s.a[i][j] += x[i] * x[j] / (took * took)
		}
		s.b[i] += x[i] / took
	}
	s.c++
}

func (s *squares) scale(by float64) {
	for i := range s.a {
		for j := range s.a[i] {
			s.a[i][j] *= by
		}
		s.b[i] *= by
	}
	s.c *= by
}

func (s *squares) sum(o squares) {
	for i := range s.a {
		for j := range s.a[i] {
			s.a[i][j] += o.a[i][j]
		}
		s.b[i] += o.b[i]
	}
	s.c += o.c
}

// fit returns the terms, none of them negative, whose errors are the least. There are three, so every choice of those that are not zero
// is tried, the smaller ones first: another term must make the fit better by more than rounding does.
func (s *squares) fit() Cost {
	var best [terms]float64
	least := s.c
	for _, chosen := range [][]int{{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}, {0, 1, 2}} {
		x, ok := s.solve(chosen)
		if !ok {
			continue
		}
		if left := s.errors(x); left < least-1e-9*s.c {
			best, least = x, left
		}
	}
	return Cost{
		Fixed:     time.Duration(math.Round(best[0])),
		PerToken:  time.Duration(math.Round(best[1] / unit)),
		PerSquare: best[2] / (unit * unit),
	}
}

// errors is the sum of the squares of what is left in proportion.
func (s *squares) errors(x [terms]float64) float64 {
	left := s.c
	for i := range x {
		left -= 2 * x[i] * s.b[i]
		for j := range x {
			left += x[i] * s.a[i][j] * x[j]
		}
	}
	return left
}

// solve returns the least-squares solution in which only the chosen terms are not zero; not ok where one would be negative, or where
// the points do not tell them apart (a model that truncates all of them to one length).
func (s *squares) solve(chosen []int) (x [terms]float64, ok bool) {
	var rows [terms][terms + 1]float64
	n := len(chosen)
	for i, p := range chosen {
		for j, q := range chosen {
			rows[i][j] = s.a[p][q]
		}
		rows[i][n] = s.b[p]
	}
	for i := range n {
		if rows[i][i] <= 1e-7*s.a[chosen[i]][chosen[i]] {
			return x, false
		}
		for k := range n {
			if k == i {
				continue
			}
			share := rows[k][i] / rows[i][i]
			for j := i; j <= n; j++ {
				rows[k][j] -= share * rows[i][j]
			}
		}
	}
	for i, p := range chosen {
		if x[p] = rows[i][n] / rows[i][i]; x[p] < 0 {
			return x, false
		}
	}
	return x, true
}
