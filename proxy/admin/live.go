package admin

import (
	"math"
	"strings"
	"sync"
	"time"
)

// Live keeps in memory what became of the last searches: of a thousand all that is told, and of an hour how many there were and how long
// they took. Nothing of it is written anywhere, and it takes some two megabytes whatever comes. It is safe for concurrent use.
type Live struct {
	mu      sync.Mutex
	seq     uint64 // searches so far
	recent  [recentSearches]Search
	buckets [bucketsKept]bucket
}

const (
	recentSearches = 1000
	bucketsKept    = 720
	bucketSpan     = 5 * time.Second
	maxText        = 200 // bytes of a text that is kept
)

// A Search is what became of one search.
type Search struct {
	Seq      uint64    // counted from 1; set by [Live.Observe]
	Time     time.Time // when its answer had been given
	Endpoint string    // _search, _msearch, …
	Search   int       // its number in its request, from 1
	Searches int       // of that request; the times are of all of them together
	Indices  string
	Rule     string
	Words    string // "" where they are not to be kept
	Status   int
	Outcome  string // applied, skipped or failed
	Reason   string // why not applied
	Detail   string
	Models   string // that scored
	Window   int    // hits offered to the first of them
	Scored   int    // of them, those that it read
	Known    bool   // the order is one that was shown before

	Experiment string // "": it is in none
	Variant    string // "": in the shadow, or out

	Hits  int // on the page
	Moved int // of them, those that the cluster had elsewhere
	Climb int // places of the one that rose most

	Cluster, Widening, Tokenising, Ranking, Splicing, Total time.Duration
}

// Added is what reranking added.
func (s *Search) Added() time.Duration { return s.Widening + s.Ranking + s.Splicing }

// A bucket is five seconds of searches.
type bucket struct {
	began                    int64 // in spans since 1970
	applied, skipped, failed uint32
	cluster, added           histogram
}

func (b *bucket) count() uint32 { return b.applied + b.skipped + b.failed }

// A histogram counts times in bins that grow by an eighth of an octave: what is read from it is at most 4.5 % off.
type histogram [bins]uint32

const (
	bins         = 160
	binsAnOctave = 8
	firstBin     = 100 * time.Microsecond // and all below; the last one, and all above, is 97 s
)

func binOf(d time.Duration) int {
	if d <= firstBin {
		return 0
	}
	return min(bins-1, int(math.Log2(float64(d)/float64(firstBin))*binsAnOctave))
}

func (h *histogram) count() (n uint64) {
	for _, c := range h {
		n += uint64(c)
	}
	return n
}

// quantile is the time in milliseconds that a share of the counted ones do not exceed; NaN where none was counted.
func (h *histogram) quantile(share float64) float64 {
	n := h.count()
	if n == 0 {
		return math.NaN()
	}
	rank := max(uint64(math.Ceil(share*float64(n))), 1)
	for i, c := range h {
		if uint64(c) >= rank {
			return float64(firstBin) / float64(time.Millisecond) * math.Exp2((float64(i)+0.5)/binsAnOctave)
		}
		rank -= uint64(c)
	}
	return math.NaN()
}

func (h *histogram) add(other *histogram) {
	for i, c := range other {
		h[i] += c
	}
}

// Observe keeps a search. It takes a microsecond, and waits for nobody but who looks.
func (l *Live) Observe(s Search) {
	s.Words, s.Detail, s.Indices = short(s.Words), short(s.Detail), short(s.Indices)
	now := s.Time.UnixNano() / int64(bucketSpan)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	s.Seq = l.seq
	l.recent[l.seq%recentSearches] = s
	b := &l.buckets[now%bucketsKept]
	if b.began < now {
		*b = bucket{began: now}
	}
	if b.began > now {
		return // the clock was set back by an hour
	}
	switch s.Outcome {
	case "applied":
		b.applied++
	case "failed":
		b.failed++
	default:
		b.skipped++
	}
	if s.Search > 1 { // the request's times are counted
		return
	}
	if s.Cluster > 0 {
		b.cluster[binOf(s.Cluster)]++
	}
	if added := s.Added(); added > 0 {
		b.added[binOf(added)]++
	}
}

// short bounds a text, and lets go of the larger one that it is a part of.
func short(s string) string {
	if len(s) > maxText {
		s = clip(s, maxText) + "…"
	}
	return strings.Clone(s)
}

// ForgetWords takes the words out of all that is kept.
func (l *Live) ForgetWords() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.recent {
		l.recent[i].Words, l.recent[i].Detail = "", ""
	}
}

// since returns the searches after seq that are wanted, newest first, at most so many; and the number of the last one of all.
func (l *Live) since(seq uint64, most int, wanted func(*Search) bool) (found []Search, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := l.seq; n > seq && n > 0 && l.seq-n < recentSearches && len(found) < most; n-- {
		if s := &l.recent[n%recentSearches]; wanted(s) {
			found = append(found, *s)
		}
	}
	return found, l.seq
}

// between copies the buckets that began from one time on until another, in turn; of times without searches there are empty ones.
func (l *Live) between(from, to time.Time) []bucket {
	first, last := from.UnixNano()/int64(bucketSpan), to.UnixNano()/int64(bucketSpan)
	first = max(first, last-bucketsKept+1)
	buckets := make([]bucket, 0, max(0, last-first+1))
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := first; n <= last; n++ {
		if b := &l.buckets[n%bucketsKept]; b.began == n {
			buckets = append(buckets, *b)
		} else {
			buckets = append(buckets, bucket{began: n})
		}
	}
	return buckets
}
