package rerank

import "time"

// How the stages share the time.
//
// A small model over the window is worth more than a large one over a part of it: it sees the hits that the page lacks. So the stages have
// their time in the order in which they run, and where there is too little for all of them, the last one goes without first. What each
// stage needs is what its [Estimator] says, what is queued before it included. A stage whose need is not known is taken to need an
// equal share of the time that is left.
//
// The plan is then read from the end: what the later stages are to have is set aside, and the stage whose turn it is has everything
// before that, also what nobody needs. A stage that would have less than half of what it needs is left out, as [SkippedBudget]:
// of its window a few hits would be reordered, for all of the time. The plan is made anew before each stage, so that one
// which took longer than it said costs those after it and not the search. A small model over 50 hits, and a large one over 10, with 300 ms:
//
//	        small needs   large needs   small ends at   large runs
//	idle     120           150           150             from then (or from 120), to 300
//	busy     180           225           180             for 120: more than half of its need, so that it scores a prefix
//	busier   240           300           300             not at all: 60 is less than half
//	worse    400           500           300             not at all; the small one scores a prefix
//
// Something is always done: the first stage that can run, runs, however little time it has.

// plan divides the time left among stages that need so much, of which the first is the next to run. A share of 0 is too little.
func plan(left time.Duration, needs []time.Duration) []time.Duration {
	shares := make([]time.Duration, len(needs))
	rest := left
	for k, need := range needs {
		if need <= 0 {
			need = left / time.Duration(len(needs))
		}
		share := min(need, rest)
		if k > 0 && share < (need+1)/2 {
			continue
		}
		shares[k] = share
		rest -= share
	}
	return shares
}
