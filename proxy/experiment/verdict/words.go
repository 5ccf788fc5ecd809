package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is said of a report's numbers, on a terminal and on a page alike.

// Lift is a difference as a share of the control's mean; the difference itself where that is 0.
func Lift(difference, control float64) string {
	if control == 0 {
		return Signed(difference, 3)
	}
	return Signed(100*difference/control, 1) + " %"
}

// Anything says whether the data leave every difference possible.
func (e Effect) Anything() bool { return e.Low <= -1 && e.High >= 1 }

// Between is what the lift may be.
func (e Effect) Between(control float64) string {
	if e.Anything() {
		return "anything"
	}
	return Lift(e.Low, control) + " to " + Lift(e.High, control)
}

// Preferred is a preference between -1 and 1 as the percentage of decided searches that are won.
func Preferred(preference float64) string { return fmt.Sprintf("%.1f %%", share(preference)) }

func share(preference float64) float64 { return 50 + 50*preference }

// Open says how many units do not count yet; "" where all do.
func (r *Report) Open() string {
	if r.Units.Open == 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s are still in their first %s, and do not count yet.", Number(float64(r.Units.Open)), Several(float64(r.Units.All), "unit"), Plainly(r.Horizon))
}

// Concentration says on how few all rests.
func (u Units) Concentration() string {
	s := fmt.Sprintf("%s; the one that searches most makes %.1f %% of the searches", Several(float64(u.All), "unit"), 100*u.Largest)
	if u.ByRequest > 0 {
		s += fmt.Sprintf("; %.1f %% of the searches had nothing to assign by but the request, which is then the unit", 100*u.ByRequest)
	}
	return s
}

// NoiseSentence says what the A/A comparison showed; "" where none was made.
func (r *Report) NoiseSentence() string {
	n := r.Noise
	if n == nil {
		return ""
	}
	low, high, what := Signed(n.Low, 3), Signed(n.High, 3), "the control's units were halved by chance and compared"
	if r.Interleaved != nil && len(r.Comparisons) == 0 {
		low, high, what = Preferred(n.Low), Preferred(n.High), "whose picks are whose was thrown anew for each unit"
	}
	return fmt.Sprintf("%s times %s, %s in all. A difference was shown %s times, and should be at most in 5 of 100. 95 %% of the estimates are between %s and %s: that is the noise.",
		Number(float64(n.Halves)), what, Number(float64(n.Units)), Number(float64(n.Shown)), low, high)
}

// Words are those that are counted, the most frequent first.
func (c Counts) Words() []string {
	return slices.SortedFunc(maps.Keys(c), func(a, b string) int { return cmp.Or(cmp.Compare(c[b], c[a]), cmp.Compare(a, b)) })
}

// Brief is a time, to what matters of it.
func Brief(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= 10*time.Millisecond || d == 0:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// Plainly is a duration as people say it.
func Plainly(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return d.String()
}

// Signed is a number with its sign and so many decimals.
func Signed(x float64, decimals int) string {
	s := strconv.FormatFloat(math.Abs(x), 'f', decimals, 64)
	switch {
	case strings.Trim(s, "0.") == "":
		return "±" + s
	case x < 0:
		return "−" + s
	}
	return "+" + s
}

// Number is a whole number with spaces between thousands.
func Number(x float64) string {
	s := strconv.FormatFloat(math.Round(x), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// Several is so many of something; where its plural is not made by an s, that is given.
func Several(x float64, one string, many ...string) string {
	switch {
	case math.Round(x) == 1:
	case len(many) > 0:
		one = many[0]
	default:
		one += "s"
	}
	return Number(x) + " " + one
}
