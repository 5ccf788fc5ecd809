package rerank_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/rerankd/rerankd/rerank"
)

// overlap is a Scorer of one's own: the share of the query's words that a document has.
type overlap struct{}

// Score stops at ctx's deadline; what it has by then is the prefix that the contract asks for.
func (overlap) Score(ctx context.Context, query string, docs []string) ([]float32, error) {
	words := strings.Fields(strings.ToLower(query))
	var scores []float32
	for _, doc := range docs {
		switch ctx.Err() {
		case context.DeadlineExceeded:
			return scores, nil
		case context.Canceled:
			return nil, ctx.Err()
		}
		found := 0
		for _, word := range words {
			if strings.Contains(strings.ToLower(doc), word) {
				found++
			}
		}
		scores = append(scores, float32(found)/float32(len(words)))
	}
	return scores, nil
}

// The hits of a search, in the cluster's order and with its scores, ranked by a Scorer of one's own, which decides half.
func Example() {
	ranker := &rerank.Ranker{
		Stages: []rerank.Stage{{Model: "overlap", Scorer: overlap{}, Window: 3}},
		Fusion: rerank.Fusion{Method: rerank.FusionConvex, Weight: 0.5},
	}
	hits := []rerank.Hit{
		{Text: "Shoes", Score: 9.1},
		{Text: "Red paint", Score: 8.2},
		{Text: "Red shoes for running", Score: 8.8},
		{Text: "Red shoes, beyond the window", Score: 7.9},
	}
	ranking := ranker.Rank(context.Background(), "red shoes", hits)
	for place, i := range ranking.Order {
		fmt.Printf("%.2f %s\n", ranking.Scores[place], hits[i].Text)
	}
	// Output:
	// 0.83 Red shoes for running
	// 0.50 Shoes
	// 0.00 Red paint
	// 0.00 Red shoes, beyond the window
}
