package experiment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func permutation(n int) *rapid.Generator[[]int] {
	hits := make([]int, n)
	for i := range hits {
		hits[i] = i
	}
	return rapid.Permutation(hits)
}

// swaps is a ranking with a few neighbours exchanged, as rankings of one search are alike.
func swaps(t *rapid.T, ranking []int) []int {
	other := slices.Clone(ranking)
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, max(0, len(ranking)-2)), 0, 4).Draw(t, "swaps") {
		if i+1 < len(other) {
			other[i], other[i+1] = other[i+1], other[i]
		}
	}
	return other
}

func rankings(t *rapid.T) (a, b []int) {
	n := rapid.IntRange(0, 30).Draw(t, "hits")
	a = permutation(n).Draw(t, "a")
	if rapid.Bool().Draw(t, "alike") {
		return a, swaps(t, a)
	}
	return a, permutation(n).Draw(t, "b")
}

// A page is a permutation of the hits; at no place is a team ahead of the other by more than one pick; and each team has picked, of what
// was not taken, its best.
func TestDraft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rankings(t)
		order, teams := Draft(a, b, rapid.Uint64().Draw(t, "seed"))
		if len(order) != len(a) || len(teams) != len(a) {
			t.Fatalf("%d places and %d teams for %d hits", len(order), len(teams), len(a))
		}
		if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, slices.Sorted(slices.Values(a))) {
			t.Fatalf("%v is no permutation of %v", order, a)
		}
		picks, taken := map[Team]int{}, map[int]bool{}
		for i, hit := range order {
			bestA, bestB := left(a, taken)[0], left(b, taken)[0]
			switch {
			case teams[i] == Nobody && (bestA != hit || bestB != hit):
				t.Fatalf("place %d: %d is nobody's, and a would pick %d, b %d", i, hit, bestA, bestB)
			case teams[i] == Control && bestA != hit, teams[i] == Treated && bestB != hit:
				t.Fatalf("place %d: %q has %d; a would pick %d, b %d", i, teams[i], hit, bestA, bestB)
			case picks[Control] == picks[Treated] && bestA == bestB && teams[i] != Nobody:
				t.Fatalf("place %d: both would pick %d, and it is %q's", i, hit, teams[i])
			}
			picks[teams[i]]++
			taken[hit] = true
			if d := picks[Control] - picks[Treated]; d < -1 || d > 1 {
				t.Fatalf("place %d: %v", i, picks)
			}
		}
		if picks[Control] != picks[Treated] {
			t.Fatalf("at the end: %v", picks)
		}
	})
}

// The pages of a search are drafted apart, of windows that may have grown: what stood stays.
func TestDraftsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rankings(t)
		seed := rapid.Uint64().Draw(t, "seed")
		order, teams := Draft(a, b, seed)
		for i := range rapid.IntRange(0, 10).Draw(t, "more") {
			a, b = append(slices.Clone(a), 100+i), append(slices.Clone(b), 100+i)
		}
		longer, theirs := Draft(a, b, seed)
		if !slices.Equal(order, longer[:len(order)]) || !slices.Equal(teams, theirs[:len(teams)]) {
			t.Fatalf("%v %v became %v %v", order, teams, longer, theirs)
		}
	})
}

// Changing sides changes nothing but the names: the distribution of pages is the same, each with the teams exchanged.
func TestDraftIsSymmetric(t *testing.T) {
	a, b := []int{0, 1, 2, 3, 4, 5}, []int{2, 0, 1, 3, 5, 4}
	pages := func(a, b []int, control, treated Team) map[string]int {
		of := map[string]int{}
		for seed := range uint64(4000) {
			order, teams := Draft(a, b, seed)
			var page string
			for i := range order {
				page += fmt.Sprint(order[i]) + map[Team]string{control: "x", treated: "y", Nobody: "."}[teams[i]]
			}
			of[page]++
		}
		return of
	}
	one, other := pages(a, b, Control, Treated), pages(b, a, Treated, Control)
	if len(one) != 4 || len(other) != len(one) { // two turns, two coins
		t.Fatalf("%v and %v", one, other)
	}
	for page, n := range one {
		if x := chiSquare([]int{n, 4000 - n}, []float64{1, 3}); x > 15.14 {
			t.Errorf("page %s is had %d times of 4000: chi-square %.1f", page, n, x)
		}
		if other[page] == 0 {
			t.Errorf("page %s is had one way only", page)
		}
	}
}

// everyPage calls with each page that coins can make of two rankings, and its probability.
func everyPage(a, b []int, with func(teams []Team, order []int, probability float64)) {
	turns := 0
	for _, team := range func() []Team { _, teams := Draft(a, b, 0); return teams }() {
		if team == Control {
			turns++
		}
	}
	type page struct {
		order []int
		teams []Team
	}
	seen := map[string]page{}
	for seed := uint64(0); len(seen) < 1<<turns; seed++ {
		order, teams := Draft(a, b, seed)
		seen[fmt.Sprint(order)] = page{order, teams}
	}
	for _, p := range seen {
		with(p.teams, p.order, 1/float64(len(seen)))
	}
}

// Clicks that do not look at what they are on prefer nobody: of all pairs of rankings of up to five hits, for clicks on each single place,
// the expected credit is equal, exactly. (Any rule of clicking by places is a mixture of these.)
func TestDraftIsUnbiased(t *testing.T) {
	for n := 1; n <= 5; n++ {
		a := []int{0, 1, 2, 3, 4}[:n] // by renaming hits, every pair of rankings is one with this
		for b := range permutations(n) {
			preference := make([]float64, n) // of a click on each place
			everyPage(a, b, func(teams []Team, _ []int, p float64) {
				for place, team := range teams {
					preference[place] += p * credit(team)
				}
			})
			for place, x := range preference {
				if x != 0 {
					t.Errorf("%v and %v: a click on place %d prefers one by %v", a, b, place, x)
				}
			}
		}
	}
}

// A draft that gives no credit wherever both teams would have picked the same hit next, in the middle of a turn too, is biased: this is why
// Draft does not.
func TestStricterCreditIsBiased(t *testing.T) {
	a, b := []int{0, 1, 2}, []int{1, 2, 0}
	var preference float64
	everyPage(a, b, func(teams []Team, order []int, p float64) {
		taken := map[int]bool{order[0]: true}
		if left(a, taken)[0] != left(b, taken)[0] {
			preference += p * credit(teams[1])
		}
	})
	if preference != -0.5 {
		t.Errorf("a click on the second place prefers b by %v; want -0.5", preference)
	}
}

func credit(team Team) float64 {
	switch team {
	case Control:
		return -1
	case Treated:
		return 1
	}
	return 0
}

// permutations yields all orders of n hits.
func permutations(n int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		var build func(prefix []int) bool
		build = func(prefix []int) bool {
			if len(prefix) == n {
				return yield(slices.Clone(prefix))
			}
			for i := range n {
				if !slices.Contains(prefix, i) && !build(append(prefix, i)) {
					return false
				}
			}
			return true
		}
		build(nil)
	}
}

// The same by simulation, with longer rankings, and clicks that stop where they were satisfied, at random: nobody is preferred. And a
// ranking that has what is clicked further up is.
func TestDraftBySimulation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const searches = 50_000
	var random, better float64
	for i := range searches {
		a, b := r.Perm(20), r.Perm(20)
		order, teams := Draft(a, b, half("e", 1).Seed(fmt.Sprint(i), Digest{}))
		for place := range order {
			if r.Float64() < 0.3 { // click
				random += credit(teams[place])
				if r.Float64() < 0.6 {
					break
				}
			}
		}
		// Hit 0 is the only good one. b has it at the place where a has it, or further up.
		at := slices.Index(a, 0)
		b = slices.Clone(a)
		up := r.IntN(at + 1)
		b = slices.Insert(slices.Delete(b, at, at+1), up, 0)
		order, teams = Draft(a, b, uint64(i))
		better += credit(teams[slices.Index(order, 0)])
	}
	if sd := math.Sqrt(searches); math.Abs(random) > 4*sd {
		t.Errorf("of %d searches with random clicks one ranking won %.0f more", searches, random)
	}
	if better < searches/5 {
		t.Errorf("of %d searches with one good hit the better ranking won %.0f more", searches, better)
	}
}

// Every hit is on the page once, of whatever lists.
func FuzzDraft(f *testing.F) {
	f.Add([]byte{0, 1, 2}, []byte{2, 1, 0}, uint64(1))
	f.Add([]byte{0, 0, 7}, []byte{}, uint64(2))
	f.Add([]byte{1, 2}, []byte{3, 2, 4, 5}, uint64(3))
	f.Fuzz(func(t *testing.T, x, y []byte, seed uint64) {
		a, b := make([]int, len(x)), make([]int, len(y))
		all := map[int]bool{}
		for i, hit := range x {
			a[i] = int(hit) - 128
			all[a[i]] = true
		}
		for i, hit := range y {
			b[i] = int(hit) - 128
			all[b[i]] = true
		}
		order, teams := Draft(a, b, seed)
		if len(order) != len(all) || len(teams) != len(all) {
			t.Fatalf("%d hits are on a page of %d places and %d teams", len(all), len(order), len(teams))
		}
		for _, hit := range order {
			if !all[hit] {
				t.Fatalf("%d is on the page twice, or never was a hit", hit)
			}
			delete(all, hit)
		}
	})
}

func BenchmarkDraft(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	one, other := r.Perm(50), r.Perm(50)
	for b.Loop() {
		Draft(one, other, 1)
	}
}
