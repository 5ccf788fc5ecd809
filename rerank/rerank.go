// Package rerank orders search hits by how well their texts answer a query.
//
// A [Ranker] takes the hits of one search in the cluster's order, has a [Scorer] judge the first of them (the window), blends the
// judgement with the cluster's own scores, and returns a [Ranking]: an order and the scores to show. It never fails: what could not be
// done is said in the Ranking's reports, and the cluster's order stands for it.
//
// One rule says where every hit goes: the hits that were scored are permuted among the places that they held, and every other hit stays
// where it was. So a pinned hit keeps its place, a hit without text keeps its place whatever moves around it, what a deadline left
// unscored follows the scored block in its former order, and beyond the window nothing moves.
//
// The package knows nothing of HTTP or JSON.
package rerank

import (
	"context"
	"errors"
	"fmt"
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
	Order []int // a permutation of the hits' indices, best first

	// Scores are the ones to show, in Order's order. Where something was scored they are finite, exact as float32 (the width of a
	// cluster's _score) and never rise. Where nothing was, and under [ScaleKeep], they are the cluster's own as they came.
	Scores []float64

	// Logits are what the scorer said, in Order's order: of several stages the last that judged the hit. NaN where none did.
	Logits []float64

	Judged []Judgement // how each hit came to its place, in Order's order
	Stages []Report    // one for each stage, in the order in which they ran
}

// A Judgement is how one hit came to its place.
type Judgement struct {
	Stage   int     // the last stage that judged it, as an index into the Ranking's Stages; -1 where none did
	Value   float64 // what it was sorted by among those that the stage judged; NaN where none did
	Passage Passage // the part of its text that the Logit is of; the zero Passage is the text from its beginning
	Held    bool    // the ceiling kept it from a place further up
}

// Report says what one stage did.
type Report struct {
	Model  string // the stage's name in the configuration
	Window int    // documents offered to the scorer
	Scored int    // documents that it scored: a prefix of those offered
	// Passages that were scored, where some document was read in several; else 0.
	Passages int
	Skipped  string        // why nothing was scored: one of the Skipped constants; "" if something was
	Err      error         // the cause behind Skipped where there is one, for the log
	Took     time.Duration // wall time of the stage

	// Tokenizing is the part of Took in which documents and query were turned into tokens, where the scorer says ([SpentTokenizing]).
	// Of workers that tokenise side by side it is the sum.
	Tokenizing time.Duration
}

// Why a stage scored nothing.
const (
	SkippedNoText     = "no_text"     // no hit of the window has a text to judge
	SkippedTimeout    = "timeout"     // the deadline came before the first score
	SkippedBudget     = "budget"      // a stage before has scored, and too little time is left for this one
	SkippedBusy       = "busy"        // the scorer had no capacity: [ErrBusy]
	SkippedCanceled   = "canceled"    // the caller went away
	SkippedLanguage   = "language"    // the scorer's model was not made for these words or texts: [ErrLanguage]
	SkippedModelError = "model_error" // the scorer failed, panicked, or gave scores that cannot be used
)

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

// ErrLanguage means that the query or the documents are in a language that the scorer's model was not made for. Its scores would be
// noise, and the cluster's order is better than noise.
var ErrLanguage = errors.New("the text is in a language that the model was not made for")

// A Gate is a Scorer that can tell before it has documents whether it will score some of them within a time from now: nil, [ErrBusy], or
// what broke.
type Gate interface {
	Admits(query string, within time.Duration) error
}

// An Estimator is a Scorer that can say beforehand how long scoring will take from now, what is queued before it included; 0 = not known.
// It is asked on every search: it has to answer from what it has measured, in microseconds, and need not be right for one search alone.
type Estimator interface {
	Estimate(query string, docs []string) time.Duration
}

// A PanicError is a panic of a scorer or of what it runs, caught where one search could be failed instead of the process.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked, for the log
}

// Error leaves the stack out: it belongs in a log record of its own.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }
