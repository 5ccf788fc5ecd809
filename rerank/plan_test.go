package rerank

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPlan(t *testing.T) {
	ms := func(n ...int) (d []time.Duration) {
		for _, n := range n {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	for _, test := range []struct {
		name  string
		left  int
		needs []time.Duration
		want  []time.Duration
	}{
		{"idle, as in the comment", 300, ms(120, 150), ms(120, 150)},
		{"busy, as in the comment", 300, ms(180, 225), ms(180, 120)},
		{"busier, as in the comment", 300, ms(240, 300), ms(240, 0)},
		{"worse, as in the comment", 300, ms(400, 500), ms(300, 0)},
		{"the first is not known", 300, ms(0, 100), ms(150, 100)},
		{"the second is not known", 300, ms(100, 0), ms(100, 150)},
		{"neither is known", 300, ms(0, 0), ms(150, 150)},
		{"the second does not fit, the third does", 300, ms(200, 400, 100), ms(200, 0, 100)},
		{"one", 300, ms(1000), ms(300)},
	} {
		if got := plan(time.Duration(test.left)*time.Millisecond, test.needs); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// No more is given away than there is; the first has its need before any other; and each has half of its need at least, or nothing.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		left := time.Duration(rapid.IntRange(1, 1000).Draw(t, "left"))
		needs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.IntRange(0, 1000).Draw(t, "need")) }), 1, 5).Draw(t, "needs")
		shares := plan(left, needs)
		sum := time.Duration(0)
		for k, share := range shares {
			sum += share
			if share != 0 && needs[k] > 0 && k > 0 && share < needs[k]/2 {
				t.Errorf("stage %d that needs %v gets %v", k, needs[k], share)
			}
		}
		if sum > left {
			t.Errorf("got %v of %v, want no more than there is", shares, left)
		}
		if needs[0] > 0 && shares[0] != min(left, needs[0]) {
			t.Errorf("the first gets %v of %v, and needs %v", shares[0], left, needs[0])
		}
	})
}
