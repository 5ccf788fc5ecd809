package rerank

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestUnderCeiling(t *testing.T) {
	var block []judged
	for _, hit := range []int{5, 3, 1, 2, 4} { // the table of ceiling.go, which counts from 1
		block = append(block, judged{hit: hit - 1})
	}
	var got []int
	for _, b := range underCeiling(block, []int{0, 1, 2, 3, 4}, 2) {
		got = append(got, b.hit+1)
		if b.held != (b.hit == 4) {
			t.Errorf("got held %v for hit %d", b.held, b.hit+1)
		}
	}
	if want := []int{3, 1, 5, 2, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Of all orders in which no hit climbs too far, it is the one with the fewest pairs out of the fused order, and the one whose first k
// hits are worth the most, whatever k is. Held places between those of the block change nothing.
func TestUnderCeilingIsTheNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, climb := rapid.IntRange(1, 6).Draw(t, "n"), rapid.IntRange(1, 7).Draw(t, "climb")
		places := make([]int, n)
		at := 0
		for k := range places {
			at += rapid.IntRange(0, 2).Draw(t, "gap")
			places[k] = at
			at++
		}
		// The hits stand where the cluster put them, or where an earlier stage did under the same ceiling.
		block := make([]judged, n)
		for k := range block {
			block[k] = judged{hit: places[k], value: float64(rapid.IntRange(0, 4).Draw(t, "value"))}
		}
		slices.SortStableFunc(block, func(a, b judged) int { return cmp.Compare(b.value, a.value) })
		if rapid.Bool().Draw(t, "again") {
			block = underCeiling(block, places, climb)
			for k := range block {
				block[k].value = float64(rapid.IntRange(0, 4).Draw(t, "value again"))
			}
			slices.SortStableFunc(block, func(a, b judged) int { return cmp.Compare(b.value, a.value) })
		}

		fused := slices.Clone(block)
		rank := map[int]int{}
		for k, b := range fused {
			rank[b.hit] = k
		}
		got := underCeiling(slices.Clone(block), places, climb)
		permitted := func(order []judged) bool {
			for k, b := range order {
				if places[k] < b.hit-climb {
					return false
				}
			}
			return true
		}
		turned := func(order []judged) (n int) {
			for a := range order {
				for b := range a {
					if rank[order[b].hit] > rank[order[a].hit] {
						n++
					}
				}
			}
			return n
		}
		if !permitted(got) {
			t.Fatalf("got %v at %v, where a hit climbs by more than %d", got, places, climb)
		}
		permutations(fused, func(other []judged) {
			if !permitted(other) {
				return
			}
			if turned(other) < turned(got) {
				t.Fatalf("got %v, want %v, which is nearer to %v", got, other, fused)
			}
			mine, theirs := 0.0, 0.0
			for k := range other {
				mine, theirs = mine+got[k].value, theirs+other[k].value
				if theirs > mine {
					t.Fatalf("got %v, want %v, whose first %d are worth more", got, other, k+1)
				}
			}
		})
	})
}

func permutations(list []judged, visit func([]judged)) {
	var walk func(k int)
	order := slices.Clone(list)
	walk = func(k int) {
		if k == len(order) {
			visit(order)
			return
		}
		for i := k; i < len(order); i++ {
			order[k], order[i] = order[i], order[k]
			walk(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	walk(0)
}
