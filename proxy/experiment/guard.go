package experiment

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

// Guards say how much worse than the control a variant may be in what no click has to prove: its time, its empty pages, its faults. Zero
// fields have the defaults that are named.
//
// A guard fails where the limit is passed by more than chance explains: by three standard errors, searches taken as independent (which
// those of one client are not quite). That is an alarm, not the experiment's verdict.
type Guards struct {
	Searches int           // a variant is judged from so many on; 0: 200
	Slower   time.Duration // the 95th percentile of its time may be so much over the control's; 0: 500 ms
	Empty    float64       // the share of its searches without any hit may be so much over the control's; 0: 0.01
	Faults   float64       // the share of its searches that were to be ranked and could not be, likewise; 0: 0.05
}

func (g Guards) defaults() Guards {
	if g.Searches <= 0 {
		g.Searches = 200
	}
	if g.Slower <= 0 {
		g.Slower = 500 * time.Millisecond
	}
	if g.Empty <= 0 {
		g.Empty = 0.01
	}
	if g.Faults <= 0 {
		g.Faults = 0.05
	}
	return g
}

// Faults are the reasons, of those in X-Rerank, for which a search that was to be ranked is answered otherwise through nobody's wish.
var Faults = []string{"warming", "busy", "timeout", "model_error", "upstream_status", "upstream_malformed", "upstream_partial"}

// Guard names one of the Guards.
type Guard string

// The guards.
const (
	Latency     Guard = "latencies"
	ZeroResults Guard = "zero results"
	Errors      Guard = "errors"
)

// A Finding is what one guard says of one variant.
type Finding struct {
	Guard    Guard   `json:"guard"`
	Variant  string  `json:"variant"`
	Fails    bool    `json:"fails"`
	Waits    bool    `json:"waits,omitempty"` // too few searches to say
	Searches int     `json:"searches"`
	Value    float64 `json:"value"`   // of the variant: seconds, or a share
	Control  float64 `json:"control"` // of the control; 0 where there is none
	Limit    float64 `json:"limit"`   // of the difference
	Sentence string  `json:"sentence"`
}

// Totals count a phase's searches by variant, as they come. The zero value is ready; it is safe for concurrent use, and adding a page costs
// well under a microsecond. Each copy of the program has its own.
type Totals struct {
	mu       sync.Mutex
	variants map[string]*tally
}

// A tally is what was seen of one variant.
type tally struct {
	searches, empty int
	faults          map[string]int // by reason
	took, added     latencies
	shadow          bool // nobody saw the variant's pages
}

// Add counts a page that was shown. Pages after a search's first count for the time alone.
func (t *Totals) Add(i *Impression) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.of(i.Variant)
	v.took.add(i.Took)
	v.added.add(i.Added)
	if i.From > 0 {
		return
	}
	v.searches++
	if i.Empty() {
		v.empty++
	}
	v.fault(i.Outcome, i.Reason)
}

// AddShadow counts a page that a variant would have shown.
func (t *Totals) AddShadow(s *Shadow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.of(s.Variant)
	v.shadow = true
	v.searches++
	v.added.add(s.Added)
	v.fault(s.Outcome, s.Reason)
}

// Empty says whether nothing matched: a page after the last hit, or one that no hits are wanted on, is none.
func (i *Impression) Empty() bool {
	return i.From == 0 && len(i.Hits) == 0 && i.Total <= 0 && i.Reason != "size_zero" && i.Reason != "aggregation_only"
}

func (t *Totals) of(variant string) *tally {
	v := t.variants[variant]
	if v == nil {
		if t.variants == nil {
			t.variants = map[string]*tally{}
		}
		v = &tally{faults: map[string]int{}}
		t.variants[variant] = v
	}
	return v
}

func (v *tally) fault(outcome, reason string) {
	switch {
	case outcome == "applied":
	case slices.Contains(Faults, reason):
		v.faults[reason]++
	case outcome == "failed" && reason != "canceled":
		v.faults["failed"]++
	}
}

// Check says what each guard has to say of each variant but the control. Where no search had the control's page alone, on interleaved pages
// and in the shadow, the time that ranking added is what is looked at, and the control counts as 0.
func (g Guards) Check(t *Totals, control string) []Finding {
	g = g.defaults()
	t.mu.Lock()
	defer t.mu.Unlock()
	against := t.variants[control]
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(t.variants)) {
		if name == control || name == "" {
			continue
		}
		v := t.variants[name]
		for _, f := range []Finding{g.latency(v, against), g.zeroResults(v, against), g.errors(v, against)} {
			if f.Guard == "" {
				continue
			}
			f.Variant, f.Searches = name, v.searches
			if f.Waits = v.searches < g.Searches; f.Waits {
				f.Fails = false
				f.Sentence = fmt.Sprintf("%s had %d of the %d searches that %s are judged from", name, v.searches, g.Searches, f.Guard)
			} else {
				f.Sentence = name + ": " + f.Sentence
			}
			found = append(found, f)
		}
	}
	return found
}

func (g Guards) latency(v, control *tally) Finding {
	times, ours := &v.took, "searches take"
	var theirs *latencies
	if control == nil || v.shadow {
		times, ours = &v.added, "ranking takes"
	} else {
		theirs = &control.took
	}
	low, at, _ := times.quantile(0.95)
	f := Finding{Guard: Latency, Value: at.Seconds(), Limit: g.Slower.Seconds()}
	f.Sentence = fmt.Sprintf("95 %% of %s no longer than %s", ours, millis(at))
	var high time.Duration
	if theirs != nil {
		var middle time.Duration
		_, middle, high = theirs.quantile(0.95)
		f.Control = middle.Seconds()
		f.Sentence += fmt.Sprintf(", the control's %s", millis(middle))
	}
	f.Sentence += fmt.Sprintf("; %s more are allowed", millis(g.Slower))
	f.Fails = low-high > g.Slower
	return f
}

func (g Guards) zeroResults(v, control *tally) Finding {
	if control == nil || v.shadow {
		return Finding{} // both rankings have the same hits
	}
	f := share(v.empty, v.searches, control.empty, control.searches, g.Empty)
	f.Guard = ZeroResults
	f.Sentence = fmt.Sprintf("%s of searches have no hit, the control's %s; %s more are allowed", percent(f.Value), percent(f.Control), percent(g.Empty))
	return f
}

func (g Guards) errors(v, control *tally) Finding {
	theirs, of := 0, 0
	if control != nil && !v.shadow {
		theirs, of = sumOf(control.faults), control.searches
	}
	f := share(sumOf(v.faults), v.searches, theirs, of, g.Faults)
	f.Guard = Errors
	f.Sentence = fmt.Sprintf("%s of searches could not be ranked", percent(f.Value))
	if reasons := byNumber(v.faults); reasons != "" {
		f.Sentence += " (" + reasons + ")"
	}
	if of > 0 {
		f.Sentence += ", the control's " + percent(f.Control)
	}
	f.Sentence += fmt.Sprintf("; %s more are allowed", percent(g.Faults))
	return f
}

// share compares two shares: k of n with the control's.
func share(k, n, control, of int, limit float64) Finding {
	rate := func(k, n int) (p, variance float64) {
		if n == 0 {
			return 0, 0
		}
		p = float64(k) / float64(n)
		return p, p * (1 - p) / float64(n)
	}
	p, variance := rate(k, n)
	q, theirs := rate(control, of)
	return Finding{Value: p, Control: q, Limit: limit, Fails: p-q-3*math.Sqrt(variance+theirs) > limit}
}

func sumOf(counts map[string]int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// byNumber is counts as words, the greatest first: "timeout 12, busy 3".
func byNumber(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
	var s string
	for i, name := range names {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%s %d", name, counts[name])
	}
	return s
}

func percent(share float64) string { return fmt.Sprintf("%.3g %%", 100*share) }

func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.2g ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// latencies are durations in buckets, each a twelfth wider than the one before: from 64 µs to 4.6 minutes, eight to the octave.
type latencies struct {
	n       int
	buckets [8 * 22]uint32
}

const shortest = 64 * time.Microsecond

func (l *latencies) add(d time.Duration) {
	at := 0
	if d > shortest {
		at = min(int(8*math.Log2(float64(d)/float64(shortest))), len(l.buckets)-1)
	}
	l.buckets[at]++
	l.n++
}

// quantile returns the duration that a share q of all are not longer than, to a bucket, and bounds for what chance might have made of it:
// the order statistics three standard errors off (the count of those below is binomial, whatever the durations).
func (l *latencies) quantile(q float64) (low, at, high time.Duration) {
	rank, off := q*float64(l.n), 3*math.Sqrt(q*(1-q)*float64(l.n))
	return l.ranked(rank - off), l.ranked(rank), l.ranked(rank + off)
}

// ranked is the upper edge of the bucket with the duration of that rank, counted from 0.
func (l *latencies) ranked(rank float64) time.Duration {
	if l.n == 0 {
		return 0
	}
	below := 0.0
	for i, n := range l.buckets {
		if below += float64(n); below > rank || below == float64(l.n) {
			return time.Duration(float64(shortest) * math.Exp2(float64(i+1)/8))
		}
	}
	return 0
}
