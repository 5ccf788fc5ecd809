package verdict

import (
	"math"
	"slices"
)

// How a difference is told from chance at any time.
//
// Units come one after the other, each with one score that is fixed when it enters, and with a bound b that is known before, such that
// b |score| <= 1. Under the hypothesis that the scores' mean is m, somebody who bets on it before each unit cannot expect to win: with the
// stake λ his capital
//
//	K_λ(m) = Π (1 + λ b (score - m))
//
// is a nonnegative martingale that starts at 1, whatever the scores' distribution, and by Ville's inequality it ever reaches 1/α with
// probability α at most. So the means at which capital stays below form a set that covers the true mean at all times at once: one may
// look as often as one likes, and stop when one likes. These are confidence sequences by betting (Waudby-Smith and Ramdas, "Estimating means
// of bounded random variables by betting", Journal of the Royal Statistical Society B 2023, section 4): exact at any number of units, with no
// appeal to normality.
//
// Which stake wins most depends on the effect (about the mean over the variance), which nobody knows. So the capital is shared among stakes,
// each half the one before, from 3/8, the first of them getting most; that is the method of mixtures of Robbins (1970). Each side, for means that are
// too low and for those that are too high, has α/2. As K(m) falls when m grows, the set is an interval, found by bisection.
//
// The mean may drift: what is covered then is no single number, but a sequence of scores none of whose conditional means is above 0, or none
// below, is still mistaken for the contrary with probability α/2 at most.
const (
	stakes   = 10
	greatest = 0.375 // 1 + λ b (score - m) is 1/4 at least, as b score and b m are in [-1, 1]
)

// Level is what is promised: with more than two variants the comparisons share it.
const Level = 0.95

func stake(j int) float64 { return math.Ldexp(greatest, -j) }

// portion is what a stake has of the capital, in proportion to 1/(j+1).
func portion(j int) float64 {
	all := 0.0
	for i := range stakes {
		all += 1 / float64(i+1)
	}
	return 1 / (float64(j+1) * all)
}

// A score is a unit's: an unbiased observation of a mean in [-1, 1].
type score struct{ value, bound float64 }

// A better is the capital of somebody who bets that the mean is above m, side being 1, or below it, -1.
type better struct {
	m       float64
	bets    [stakes]float64 // the stakes, with the side's sign
	logs    [stakes]float64
	product [stakes]float64 // of the last few factors, which a logarithm is taken of together
	pending int
}

func newBetter(m, side float64) *better {
	b := &better{m: m}
	for j := range b.product {
		b.bets[j], b.product[j] = side*stake(j), 1
	}
	return b
}

func (b *better) add(s score) {
	x := s.bound * (s.value - b.m)
	for j := range b.product {
		b.product[j] *= 1 + b.bets[j]*x
	}
	if b.pending++; b.pending == 64 { // of factors in [1/4, 7/4]: far from the ends of a float64
		b.settle()
	}
}

func (b *better) settle() {
	for j, p := range b.product {
		b.logs[j] += math.Log(p)
		b.product[j] = 1
	}
	b.pending = 0
}

// log is the logarithm of the capital.
func (b *better) log() float64 {
	b.settle()
	return together(&b.logs)
}

// together is the logarithm of the capital of all stakes, of which each has grown by its logarithm.
func together(logs *[stakes]float64) float64 {
	most := slices.Max(logs[:])
	sum := 0.0
	for j, l := range logs {
		sum += portion(j) * math.Exp(l-most)
	}
	return most + math.Log(sum)
}

// logCapital is the logarithm of the capital after all scores.
func logCapital(scores []score, m, side float64) float64 {
	b := newBetter(m, side)
	for _, s := range scores {
		b.add(s)
	}
	return b.log()
}

// interval is the means in [-1, 1] that the scores leave possible, at 1-alpha at all times at once.
func interval(scores []score, alpha float64) (low, high float64) {
	wins := math.Log(2 / alpha)
	bound := func(side float64) float64 {
		if logCapital(scores, -side, side) < wins {
			return -side
		}
		refuted, possible := -side, side // at its own end of the scale the bet has nothing to win
		for range 40 {
			middle := (refuted + possible) / 2
			if logCapital(scores, middle, side) >= wins {
				refuted = middle
			} else {
				possible = middle
			}
		}
		return refuted
	}
	return bound(1), bound(-1)
}

// power is the chance that a mean above 0 is shown by the n-th unit, somebody looking after each, where scores have that mean and deviation and
// a common bound.
//
// With x = b score, a stake's capital is about exp(λ Σx - λ² n E[x²]/2), so that all of them together reach the bound where Σx reaches a
// line B(n) that bends downwards; Σx is about a Brownian motion. The chance that it meets B by n is a little more than that it meets B's tangent
// at n, which lies above B, and for a straight line it is known exactly (Bachelier 1900, Lévy 1965; the tangent approximation is that of
// Ferebee, "The tangent approximation to one-sided Brownian exit densities", Zeitschrift für Wahrscheinlichkeitstheorie 1982).
func power(n, mean, deviation, bound, alpha float64) float64 {
	drift, noise := bound*mean, bound*deviation
	squares := drift*drift + noise*noise
	logsAt := func(sum float64) *[stakes]float64 {
		var logs [stakes]float64
		for j := range logs {
			logs[j] = stake(j)*sum - stake(j)*stake(j)*n*squares/2
		}
		return &logs
	}
	wins := math.Log(2 / alpha)
	line := bisect(0, n+wins/stake(stakes-1), func(sum float64) bool { return together(logsAt(sum)) >= wins })
	var first, second float64 // moments of the stakes, each by what it has won
	for j, l := range logsAt(line) {
		weight := portion(j) * math.Exp(l)
		first, second = first+weight*stake(j), second+weight*stake(j)*stake(j)
	}
	slope := squares / 2 * second / first
	height, rise, spread := line-slope*n, drift-slope, noise*math.Sqrt(n)
	if spread == 0 {
		return of(drift*n >= line)
	}
	return normal((rise*n-height)/spread) + math.Exp(min(2*rise*height/(noise*noise), 700))*normal((-rise*n-height)/spread)
}

// Power is with what chance a difference is shown by the units that are said to be needed for it.
const Power = 0.8

// needed is how many units it takes to show a mean with the chance [Power], where scores have that deviation and bound; 0: more than anybody has.
func needed(mean, deviation, bound, alpha float64) float64 {
	const most = 1e12
	enough := func(log float64) bool { return power(math.Exp(log), math.Abs(mean), deviation, bound, alpha) >= Power }
	if mean == 0 || !enough(math.Log(most)) {
		return 0
	}
	return math.Ceil(math.Exp(bisect(0, math.Log(most), enough)))
}

// neededOf is how many units like these are needed.
func neededOf(mean float64, scores []score, alpha float64) float64 {
	if len(scores) == 0 {
		return 0
	}
	_, deviation := meanAndDeviation(scores)
	bound := 0.0
	for _, s := range scores {
		bound += s.bound / float64(len(scores))
	}
	return needed(mean, deviation, bound, alpha)
}

// bisect is where a condition begins to hold, between a number for which it does not and one for which it does.
func bisect(not, does float64, holds func(float64) bool) float64 {
	for range 60 {
		if middle := (not + does) / 2; holds(middle) {
			does = middle
		} else {
			not = middle
		}
	}
	return does
}

// normal is the distribution function of the standard normal distribution.
func normal(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func meanAndDeviation(scores []score) (mean, deviation float64) {
	n := float64(max(len(scores), 1))
	for _, s := range scores {
		mean += s.value / n
	}
	for _, s := range scores {
		deviation += (s.value - mean) * (s.value - mean) / n
	}
	return mean, math.Sqrt(deviation)
}
