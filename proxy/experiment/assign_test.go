package experiment

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func half(name string, share float64) *Experiment {
	return &Experiment{Name: name, Variants: []Variant{{"lexical", 1}, {"reranked", 1}}, Share: share}
}

func request(s string) Digest { return sha256.Sum256([]byte(s)) }

// Whoever is in stays in, with the same variant, however the share grows; and who asks twice is told the same.
func TestUnitsEnterAndStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name, unit := rapid.String().Draw(t, "name"), rapid.String().Draw(t, "unit")
		asked := request(rapid.String().Draw(t, "request"))
		small := rapid.Float64Range(0, 1).Draw(t, "share")
		large := rapid.Float64Range(small, 1).Draw(t, "larger share")
		before, after := half(name, small).Assign(unit, asked), half(name, large).Assign(unit, asked)
		if before.In && before != after {
			t.Fatalf("%q was %+v at a share of %v and is %+v at %v", unit, before, small, after, large)
		}
		if before.Unit != after.Unit {
			t.Fatalf("%q is called %q and %q", unit, before.Unit, after.Unit)
		}
		if again := half(name, small).Assign(unit, asked); again != before {
			t.Fatalf("%q is %+v and then %+v", unit, before, again)
		}
		if !half(name, 1).Assign(unit, asked).In || half(name, 0).Assign(unit, asked).In {
			t.Fatalf("%q is out at a share of 1, or in at one of 0", unit)
		}
	})
}

// What a unit asks for does not matter; without one, it alone does.
func TestUnitOrRequest(t *testing.T) {
	e := half("e", 1)
	one, other := e.Assign("somebody", request("shoes")), e.Assign("somebody", request("hats"))
	if one != other || strings.HasPrefix(one.Unit, ByRequest) || strings.Contains(one.Unit, "somebody") {
		t.Errorf("one unit is assigned %+v and %+v", one, other)
	}
	page1, page2, another := e.Assign("", request("shoes")), e.Assign("", request("shoes")), e.Assign("", request("hats"))
	if page1 != page2 || !strings.HasPrefix(page1.Unit, ByRequest) {
		t.Errorf("two pages of a search are assigned %+v and %+v", page1, page2)
	}
	if page1.Unit == another.Unit {
		t.Error("two requests are one unit")
	}
	raw := request("shoes")
	if e.Assign(string(raw[:]), raw).Unit == strings.TrimPrefix(page1.Unit, ByRequest) {
		t.Error("a client that is called as a request is hashed is taken for it")
	}
	if elsewhere := half("f", 1).Assign("somebody", request("shoes")); elsewhere.Unit == one.Unit {
		t.Error("a unit can be followed from one experiment to another")
	}
}

// chiSquare is Pearson's statistic of counts against what was to be expected of them.
func chiSquare(counts []int, shares []float64) float64 {
	var n, all, x float64
	for i := range counts {
		n, all = n+float64(counts[i]), all+shares[i]
	}
	for i, c := range counts {
		expected := n * shares[i] / all
		x += (float64(c) - expected) * (float64(c) - expected) / expected
	}
	return x
}

// Variants get their shares, of units as they are named in practice. The bounds are the 99.99 % points of chi-square: what is tested is a
// hash, so that it fails always or never.
func TestShares(t *testing.T) {
	naming := map[string]func(i int) string{
		"numbers":   func(i int) string { return fmt.Sprint(i) },
		"addresses": func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255) },
		"letters":   func(i int) string { return strings.Repeat("a", i%300) + fmt.Sprint(i/300) },
	}
	for name, unit := range naming {
		t.Run(name, func(t *testing.T) {
			e := &Experiment{Name: "e", Variants: []Variant{{"a", 1}, {"none", 0}, {"b", 2}, {"c", 5}}, Share: 0.3}
			in, variants := make([]int, 2), make([]int, 4)
			for i := range 100_000 {
				a := e.Assign(unit(i), Digest{})
				if !a.In {
					in[1]++
					continue
				}
				in[0]++
				variants[a.Variant]++
			}
			if x := chiSquare(in, []float64{0.3, 0.7}); x > 15.14 {
				t.Errorf("of 100000 units %d are in at a share of 0.3: chi-square %.1f", in[0], x)
			}
			if variants[1] != 0 {
				t.Errorf("%d units have a variant without a share", variants[1])
			}
			if x := chiSquare([]int{variants[0], variants[2], variants[3]}, []float64{1, 2, 5}); x > 18.42 {
				t.Errorf("units by shares of 1, 2, 5: %v: chi-square %.1f", variants, x)
			}
		})
	}
}

// Taking part in one experiment, and the side that one is on, say nothing of another experiment.
func TestExperimentsAreIndependent(t *testing.T) {
	for _, names := range [][2]string{{"first", "second"}, {"e1", "e2"}, {"e", "e "}} {
		one, other := half(names[0], 0.4), half(names[1], 0.4)
		var entry, sides [4]int
		for i := range 100_000 {
			a, b := one.Assign(fmt.Sprint(i), Digest{}), other.Assign(fmt.Sprint(i), Digest{})
			entry[bit(a.In)<<1|bit(b.In)]++
			if a.In && b.In {
				sides[a.Variant<<1|b.Variant]++
			}
		}
		if x := chiSquare(entry[:], []float64{0.36, 0.24, 0.24, 0.16}); x > 21.11 {
			t.Errorf("%q: out of both, in the second, in the first, in both: %v: chi-square %.1f", names, entry, x)
		}
		if x := chiSquare(sides[:], []float64{1, 1, 1, 1}); x > 21.11 {
			t.Errorf("%q: sides of those in both: %v: chi-square %.1f", names, sides, x)
		}
	}
}

// Whether one takes part says nothing of the side that one would be on.
func TestEntryAndSideAreIndependent(t *testing.T) {
	var sides [2][2]int // early and late, by side
	for i := range 100_000 {
		unit := fmt.Sprint(i)
		sides[bit(half("e", 0.1).Assign(unit, Digest{}).In)][half("e", 1).Assign(unit, Digest{}).Variant]++
	}
	for _, of := range sides {
		if x := chiSquare(of[:], []float64{1, 1}); x > 15.14 {
			t.Errorf("by entry and side: %v: chi-square %.1f", sides, x)
		}
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A running experiment outlives the program: another hash in another version would move everybody. The values are testdata/assign.py's.
func TestAssignmentsOutliveVersions(t *testing.T) {
	e := half("reranked-vs-lexical", 0.5)
	for _, test := range []struct {
		unit string
		want Assignment
		seed uint64
	}{
		{"alice", Assignment{false, 0, "963c7df7f56bdf8176100713a0b97d25"}, 0x90c91ffae69a3837},
		{"bob", Assignment{false, 0, "53b6f04ece337f49ad5ec631b74ff477"}, 0xef62df7e21b8c862},
		{"carol", Assignment{true, 1, "da2606316e6ca613b7d89c9a4a13d270"}, 0x33e36f3de47e9a00},
		{"", Assignment{false, 0, "request:84a0922f5cd5a199cafcd83129929782"}, 0x1697f12c1a030c8a},
	} {
		if got := e.Assign(test.unit, request("shoes")); got != test.want {
			t.Errorf("%q: got %+v; want %+v", test.unit, got, test.want)
		}
		if got := e.Seed(test.unit, request("shoes")); got != test.seed {
			t.Errorf("%q: got seed %#x; want %#x", test.unit, got, test.seed)
		}
	}
}

func TestStrangeShares(t *testing.T) {
	nan := math.NaN()
	for _, e := range []*Experiment{
		{Name: "no variants", Share: 1},
		{Name: "no shares", Share: 1, Variants: []Variant{{"a", 0}, {"b", 0}}},
		{Name: "negative", Share: 2, Variants: []Variant{{"a", -1}, {"b", 1}}},
		{Name: "not numbers", Share: nan, Variants: []Variant{{"a", nan}, {"b", nan}}},
	} {
		for i := range 1000 {
			a := e.Assign(fmt.Sprint(i), Digest{})
			if a.Variant < 0 || a.Variant > 0 && a.Variant >= len(e.Variants) {
				t.Fatalf("%s: %+v", e.Name, a)
			}
			if label := e.Label(a); e.Name == "negative" && label != "b" {
				t.Fatalf("%s: %s", e.Name, label)
			}
		}
	}
}

func BenchmarkAssign(b *testing.B) {
	e := half("reranked-vs-lexical", 0.5)
	for b.Loop() {
		e.Assign("0b44e1c8-5a70-4e3c-8f0e-6d1f27f3d2aa", Digest{})
	}
}
