// Package rerank orders search hits by how well their texts answer a query.
//
// A [Ranker] takes the hits of one search in the cluster's order, has a [Scorer] judge the first of them (the window), blends the
// judgement with the cluster's own scores, and returns a [Ranking]: an order and the scores to show. It never fails: what could not be
// done is said in the Ranking's reports, and the cluster's order stands for it.
//
// The package knows nothing of HTTP or JSON.
package rerank

import (
	"context"
	"errors"
	"time"
)

// Hit is one search hit as the ranking sees it.
type Hit struct {
	Text  string  // what the model reads: the rule's fields through its template; a hit with "" keeps its place
	Score float64 // the cluster's; NaN where it gave none
	Hold  bool    // pinned by the search itself: keeps its place
}

// Ranking is the outcome of one Rank call.
type Ranking struct {
	Order  []int     // a permutation of the hits' indices, best first
	Scores []float64 // to show, in Order's order, never rising; NaN only where every hit's Score was NaN and nothing was scored
	Stages []Report  // one for each stage, in the order in which they ran
}

// Report says what one stage did.
type Report struct {
	Model   string        // the stage's name in the configuration
	Window  int           // documents offered to the scorer
	Scored  int           // documents that it scored: a prefix of those offered
	Skipped string        // why nothing was scored, or "": no_text, timeout, busy, model_error, canceled
	Err     error         // the cause behind Skipped where there is one, for the log
	Took    time.Duration // wall time of the stage
}

// A Scorer judges how well documents answer a query; higher is better, and scores of one call are comparable with each other only.
//
// docs come best first (by the cluster, or by the stage before). Score returns one score for each document of a PREFIX of docs: all of
// them, or as many as it reached when ctx's deadline came; that is no error, and the prefix may be empty. An error means that there is
// no usable score: [ErrBusy], ctx's cancellation, or what broke.
//
// A Scorer is safe for concurrent use and keeps neither query nor docs.
type Scorer interface {
	Score(ctx context.Context, query string, docs []string) ([]float32, error)
}

// ErrBusy means that a scorer's queue is full, or that waiting for a turn would take longer than the caller's deadline allows.
var ErrBusy = errors.New("scorer is busy")
