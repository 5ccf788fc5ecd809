package demo

// ReciprocalRank is 1/rank of the first right answer among the first ten, 0 where there is none: its mean over queries is MRR@10.
func ReciprocalRank(hits []Hit, relevant map[string]bool) float64 {
	for i, h := range hits[:min(len(hits), 10)] {
		if relevant[h.Name] {
			return 1 / float64(i+1)
		}
	}
	return 0
}
