package rerank

import (
	"cmp"
	"container/heap"
	"slices"
)

// How far a hit may climb.
//
// Under a ceiling of N no hit ends more than N places above the one that the cluster gave it. Each place, from the first on, goes to the best
// hit that may come so high. With N = 2, and the hits named by the cluster's places:
//
//	fused order      5 3 1 2 4
//	place 1          3 is the best of those that may: 5 comes no higher than 3
//	place 2          1
//	place 3          5, held back from 1
//	places 4, 5      2 4
//
// Of all orders that keep to the ceiling this one is nearest to the fused order in two ways at once: it has the fewest pairs the other
// way round (Kendall's tau), and its first k hits have the greatest sum of fused values, for every k. For take any other order, and the first
// place where the two differ: there this one has g, the best hit that may come so high, and the other has some x, and g at a
// later place. If the two change places in the other order, both stay within the ceiling (x only falls), no sum becomes less, and no pair is
// turned the wrong way round. Step by step the other order becomes this one.

// underCeiling puts the hits of block, which is in the fused order, to the places, which ascend.
func underCeiling(block []judged, places []int, climb int) []judged {
	waiting := make([]int, len(block)) // indices of block, by the cluster's places
	for k := range block {
		waiting[k] = k
		block[k].held = places[k] < block[k].hit-climb
	}
	slices.SortFunc(waiting, func(a, b int) int { return cmp.Compare(block[a].hit, block[b].hit) })
	var free ascending // indices of those that may come as high as the place, the best first
	ordered := make([]judged, 0, len(block))
	for _, place := range places {
		for len(waiting) > 0 && block[waiting[0]].hit-climb <= place {
			heap.Push(&free, waiting[0])
			waiting = waiting[1:]
		}
		// There is one: the hits that stood at the places so far may all stay there, and one more of them than were taken.
		ordered = append(ordered, block[heap.Pop(&free).(int)])
	}
	return ordered
}

// ascending is a heap of numbers.
type ascending []int

func (a ascending) Len() int           { return len(a) }
func (a ascending) Less(i, j int) bool { return a[i] < a[j] }
func (a ascending) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *ascending) Push(x any)        { *a = append(*a, x.(int)) }
func (a *ascending) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	*a = (*a)[:last]
	return x
}
