package experiment

import "math/rand/v2"

// Draft makes one page of two rankings of the same hits, by team-draft interleaving (Radlinski, Kurup and Joachims, "How does clickthrough
// data reflect retrieval quality?", CIKM 2008): in turns of two, a coin says which team picks first; each takes its best hit that is not
// taken. It goes on to the end of both lists.
//
// A hit that both teams would pick when it is nobody's turn yet is placed as nobody's, and takes no turn: a click on it says nothing of
// which ranking is better (Chapelle, Joachims, Radlinski and Yue, "Large-scale validation and analysis of interleaved search evaluation",
// TOIS 2012, leave clicks on what is common out as well). Two rankings of five hits, of which one is so:
//
//	a: 4 0 1 2 3    page: 4       nobody's
//	b: 4 1 2 0 3          0 1     a's and b's, or b's and a's
//	                      2       nobody's: both would pick it next
//	                      3       nobody's
//
// The second pick of a turn is credited even where the first team would have picked the same hit next, as a's 1 above. Were it not, the
// coin would decide whether there is credit to be had: in the example a click on the third place would count for a where b picked
// first, and for nobody where a did, and rankings would win by what people click in any case. As it is, the two hits of a turn only change
// places, so that clicks which do not look at what they are on prefer nobody, exactly, whatever they do with places.
//
// a and b are permutations of the same hits; order is one too, and teams says of each place of it whose pick it is. The result is a function
// of the arguments alone, and when both rankings grow at their ends, what is drafted stays. Of hits that only one of them has, those
// beyond the other's end are nobody's.
func Draft(a, b []int, seed uint64) (order []int, teams []Team) {
	order, teams = make([]int, 0, max(len(a), len(b))), make([]Team, 0, max(len(a), len(b)))
	taken := make(map[int]bool, cap(order))
	coins := rand.New(rand.NewPCG(seed, 0))
	place := func(hit int, team Team) {
		order, teams, taken[hit] = append(order, hit), append(teams, team), true
	}
	for {
		a, b = left(a, taken), left(b, taken)
		switch {
		case len(a) == 0 && len(b) == 0:
			return order, teams
		case len(b) == 0 || len(a) > 0 && a[0] == b[0]:
			place(a[0], Nobody)
		case len(a) == 0:
			place(b[0], Nobody)
		case coins.Uint64()&1 == 0:
			place(a[0], Control)
			place(b[0], Treated)
		default:
			place(b[0], Treated)
			place(a[0], Control)
		}
	}
}

// left is a ranking from its best hit that is not taken.
func left(ranking []int, taken map[int]bool) []int {
	for len(ranking) > 0 && taken[ranking[0]] {
		ranking = ranking[1:]
	}
	return ranking
}
