package proxy

import (
	"crypto/sha256"
	"math/bits"
	"regexp"
	"strconv"
	"time"
)

// learned is what the cluster's answers taught about the indices behind an expression, so that the same mistake is not made with every
// search. It is kept per client: what one client may see is never shown to another, not even by the size of a window.
type learned struct {
	reach  *bounded[placeKey, int]   // from+size at most
	weight *bounded[placeKey, int64] // bytes of a hit, where a window of them was too large

	unrendered *bounded[principal, struct{}] // who may not have templates rendered
}

const (
	learnedKept = 10 * time.Minute
	maxLearned  = 1024

	enteredKept = time.Minute
	maxEntered  = 4096
)

func newLearned(now func() time.Time) learned {
	return learned{
		reach:  newBounded[placeKey, int](maxLearned, learnedKept, now),
		weight: newBounded[placeKey, int64](maxLearned, learnedKept, now),

		unrendered: newBounded[principal, struct{}](maxLearned, learnedKept, now),
	}
}

// placeKey is a digest of an index expression and of who asks.
type placeKey [sha256.Size]byte

func (s *searching) place() placeKey {
	d := sha256.New()
	_, principal := credentials(s.req.Header)
	d.Write(principal[:])
	text(d, s.indices)
	return placeKey(d.Sum(nil))
}

// tooLarge is how the engines say how many hits they give: index.max_result_window, and the window of a compound retriever. It has to be
// all of a reason from its beginning, because reasons repeat what users typed, and an unescaped quote is not among that.
var tooLarge = regexp.MustCompile(`"reason"\s*:\s*"(?:` +
	`Result window is too large, from \+ size must be less than or equal to: \[(\d+)\]|` +
	`(?:Validation Failed: 1: )?\[\w+\] requires \[rank_window_size: (\d+)\] be greater than or equal to \[size)`)

// reachOf reads out of a refusal how many hits a search may ask for.
func reachOf(refusal []byte) (hits int, ok bool) {
	m := tooLarge.FindSubmatch(refusal)
	if m == nil {
		return 0, false
	}
	hits, err := strconv.Atoi(string(m[1]) + string(m[2]))
	if err != nil || hits < 1 {
		return 0, false
	}
	return hits, true
}

// weigh returns how many hits of an answer's size may be fetched, and remembers it where the answer was too large. A power of two stands
// for the size of a hit, so that pages with somewhat larger or smaller hits get the same window.
func (s *searching) weigh(size, hits int) int {
	if int64(size) <= s.live.Limits.Widened || hits == 0 || !s.wide.Enlarged {
		return hits
	}
	each := int64(1) << bits.Len(uint(size/hits-1))
	return s.light(s.live.learned.weight.keep(s.place(), each))
}

// light is how many hits of so many bytes each may be fetched.
func (s *searching) light(each int64) int { return int(min(s.live.Limits.Widened/max(each, 1), 1<<30)) }
