package admin

import (
	"context"
	"errors"
	"time"
)

// A Comparer answers one search twice, as the cluster orders its hits and as they are reranked. It sends searches and reads mappings, and
// nothing else, so that whoever reaches the page can do no more. It is safe for concurrent use.
//
// An error may have a method Hint() string that says what to do about it.
type Comparer interface {
	Compare(ctx context.Context, q Question) (*Comparison, error)
}

// What a Comparer's error may be.
var (
	ErrDenied = errors.New("the cluster wants to know who asks") // or does not let them
	ErrBusy   = errors.New("other comparisons are under way")
)

// A Question is a search, and how it is to be reranked where that is not as the configuration says.
type Question struct {
	Index  string   // an index expression: names and patterns, separated by commas
	Words  string   // what is searched for
	Body   string   // a search in the cluster's own language, in place of Words
	Fields []string // that Words are searched in; none: as a rule without fields chooses them
	Size   int      // hits of a page; 0: the Body's own, or 10

	Rule   string        // its name; "": the one that covers the index
	Model  string        // in place of the rule's stages; "": the rule's
	Window int           // hits that the first stage reads; 0: the rule's
	Fusion string        // convex, reciprocal_rank or replace; "": the rule's
	Weight float64       // the model's share; 0: the rule's
	Budget time.Duration // what reranking may add; 0: the rule's

	User, Password string // of whoever asks, for this search alone; "": none
}

// A Comparison is a search, answered twice. Times are in milliseconds.
type Comparison struct {
	Query    string    `json:"query"` // the words that the hits were ranked by
	Index    string    `json:"index"`
	Fields   []string  `json:"fields"` // whose texts the hits are shown with
	Size     int       `json:"size"`   // hits of a page
	Rule     string    `json:"rule"`
	Outcome  string    `json:"outcome"` // applied or skipped, as in X-Rerank
	Reason   string    `json:"reason,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Said     string    `json:"x_rerank"`   // the whole header
	Total    int       `json:"total"`      // documents that match, as the cluster counts them
	Depth    int       `json:"depth"`      // hits that were looked at, on both sides
	Window   int       `json:"window"`     // hits that were offered to the model
	Scored   int       `json:"scored"`     // of them, those that it read in time
	Took     float64   `json:"cluster_ms"` // by the cluster, for the reranked search
	Added    float64   `json:"ranking_ms"` // by the ranking
	Cluster  []Hit     `json:"cluster"`    // one page
	Reranked []Hit     `json:"reranked"`   // the same page
	Likeness *Likeness `json:"likeness,omitempty"`
}

// A Likeness says how much two lists have in common.
type Likeness struct {
	Overlap float64 `json:"overlap"` // of the first ten places, the share that the same hits take
	RBO     float64 `json:"rbo"`     // rank-biased overlap with persistence 0.9, over all that was looked at
	Tau     float64 `json:"tau"`     // Kendall's rank correlation of the hits that both pages have; 0 where they are fewer than two
	Common  int     `json:"common"`  // how many those are
}

// A Hit is one place of a list.
type Hit struct {
	Rank   int      `json:"rank"`  // from 1
	Other  int      `json:"other"` // its rank in the other list; 0: beyond what was looked at
	Move   Move     `json:"move"`
	Places int      `json:"places"` // by how many; 0 where it stayed, or nobody knows
	Index  string   `json:"index"`
	ID     string   `json:"id"`
	Score  *float64 `json:"score"` // nil: it has none
	Title  string   `json:"title"` // the beginning of its first text
	Text   string   `json:"text"`  // of the others
}

// A Move is what became of a hit between the cluster's page and the reranked one.
type Move string

// The moves.
const (
	Up      Move = "up"
	Down    Move = "down"
	Same    Move = "same"
	Entered Move = "new"  // it is on the reranked page alone
	Gone    Move = "gone" // it is on the cluster's page alone
)

// MoveOf returns how a hit moved from a rank of the cluster's to one of the reranked list, where pages have so many hits; a rank of 0 is
// one that nobody knows, and beyond the page.
func MoveOf(was, now, size int) (m Move, places int) {
	beyond := func(rank int) bool { return rank == 0 || rank > size }
	if was > 0 && now > 0 {
		places = max(was-now, now-was)
	}
	switch {
	case beyond(was) && !beyond(now):
		return Entered, places
	case beyond(now) && !beyond(was):
		return Gone, places
	case was > now:
		return Up, places
	case was < now:
		return Down, places
	}
	return Same, 0
}
