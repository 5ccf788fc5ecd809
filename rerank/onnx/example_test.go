//go:build cgo

package onnx_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/onnx"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// The model inside the program, by itself: open it, put a queue with deadlines before it, and rank.
func Example() {
	files, err := model.Embedded() // or model.Directory("mine", "/models/mine", model.INT8)
	if err != nil {
		log.Fatal(err)
	}
	runner, err := onnx.Open(files, onnx.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer runner.Close()
	scorer := schedule.New(runner, schedule.Options{}) // shared by all who rank
	defer scorer.Close()

	ranker := &rerank.Ranker{
		Stages: []rerank.Stage{{Model: "embedded", Scorer: scorer}},
		Fusion: rerank.Fusion{Method: rerank.FusionReplace}, // there are no scores of a cluster to blend with
	}
	hits := []rerank.Hit{
		{Text: "The stock market fell by two percent on Friday."},
		{Text: "Whales are mammals: they have lungs and come to the surface for air."},
		{Text: "A guide to buying fishing rods and reels for beginners."},
		{Text: "Fish breathe by passing water over their gills, which take up the oxygen in it."},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // at a deadline, the rest keeps its place
	defer cancel()
	ranking := ranker.Rank(ctx, "how do fish breathe", hits)

	for place, i := range ranking.Order {
		fmt.Println(place+1, hits[i].Text)
	}
	report := ranking.Stages[0]
	fmt.Printf("scored %d of %d %s\n", report.Scored, report.Window, report.Skipped)
	// Output:
	// 1 Fish breathe by passing water over their gills, which take up the oxygen in it.
	// 2 Whales are mammals: they have lungs and come to the surface for air.
	// 3 A guide to buying fishing rods and reels for beginners.
	// 4 The stock market fell by two percent on Friday.
	// scored 4 of 4
}
