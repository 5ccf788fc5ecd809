package eval

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSimilarityIsAsTheReferencesSay(t *testing.T) {
	cases := readGolden(t).Similarity
	if len(cases) < 200 {
		t.Fatalf("got %d cases, want 200 at least", len(cases))
	}
	for i, c := range cases {
		if got := RBO(c.A, c.B, c.P); !same(got, c.RBO) {
			t.Errorf("case %d: RBO is %v, want %v", i, got, c.RBO)
		}
		if tau, common := KendallTau(c.A, c.B); !same(tau, c.Tau) || common != c.Common {
			t.Errorf("case %d: tau is %v over %d, want %v over %d", i, tau, common, c.Tau, c.Common)
		}
		if mean, greatest := Displacement(c.A, c.B); !same(mean, c.Moved) || greatest != c.Greatest {
			t.Errorf("case %d: the displacement is %v, %d at most, want %v, %d", i, mean, greatest, c.Moved, c.Greatest)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, test := range []struct {
		name string
		a, b []string
		k    int
		want float64
	}{
		{"the same in another order", []string{"a", "b", "c"}, []string{"c", "a", "b"}, 3, 1},
		{"only the first places count", []string{"a", "b", "c"}, []string{"a", "c", "b"}, 2, 0.5},
		{"nothing", []string{"a"}, []string{"b"}, 10, 0},
		{"shorter than k, and the same", []string{"a", "b"}, []string{"b", "a"}, 10, 1},
		{"one is shorter", []string{"a", "b", "c", "d"}, []string{"a", "b"}, 10, 0.5},
		{"both are empty", nil, nil, 10, 1},
		{"one is empty", nil, []string{"a"}, 10, 0},
		{"a repetition counts once", []string{"a", "a", "b"}, []string{"a", "b"}, 2, 1},
		{"no places", []string{"a"}, []string{"b"}, -1, 1},
	} {
		if got := Overlap(test.a, test.b, test.k); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestRBOWithoutAPersistence(t *testing.T) {
	for _, p := range []float64{0, 1, -1, math.NaN()} {
		if got := RBO([]string{"a"}, []string{"a"}, p); !math.IsNaN(got) {
			t.Errorf("p = %v: got %v, want NaN", p, got)
		}
	}
}

// What holds of any two rankings.
func TestSimilarityProperties(t *testing.T) {
	ranking := rapid.Custom(func(t *rapid.T) []string {
		ids := rapid.SliceOfN(rapid.IntRange(0, 30), 0, 25).Draw(t, "ids")
		list := make([]string, len(ids))
		for i, id := range ids {
			list[i] = fmt.Sprint(id)
		}
		return list
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := ranking.Draw(t, "a"), ranking.Draw(t, "b")
		p := rapid.Float64Range(0.01, 0.99).Draw(t, "p")
		k := rapid.IntRange(1, 30).Draw(t, "k")
		before := slices.Clone(a)
		x, y := RBO(a, b, p), RBO(b, a, p)
		if !same(x, y) || x < -near || x > 1+near {
			t.Errorf("RBO is %v one way and %v the other", x, y)
		}
		if got := RBO(a, a, p); !same(got, 1) {
			t.Errorf("RBO with itself is %v", got)
		}
		if x, y := Overlap(a, b, k), Overlap(b, a, k); x != y || x < 0 || x > 1 || Overlap(a, a, k) != 1 {
			t.Errorf("the overlap is %v one way and %v the other", x, y)
		}
		tau, common := KendallTau(a, b)
		if other, _ := KendallTau(b, a); tau != other || math.Abs(tau) > 1 {
			t.Errorf("tau is %v one way and %v the other", tau, other)
		}
		if common > 1 {
			backwards := unique(b)
			backwards = slices.Clone(backwards)
			slices.Reverse(backwards)
			if other, _ := KendallTau(a, backwards); other != -tau {
				t.Errorf("tau is %v, and %v with one of them backwards", tau, other)
			}
		}
		if mean, greatest := Displacement(a, b); mean > float64(greatest) || (mean == 0) != (greatest == 0) {
			t.Errorf("a mean displacement of %v, and %d at most", mean, greatest)
		}
		if !slices.Equal(a, before) {
			t.Errorf("a was changed to %v", a)
		}
	})
}
