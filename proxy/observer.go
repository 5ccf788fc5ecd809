package proxy

import (
	"time"

	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

// An Observer is told of every search when its answer has been given. It is called by the goroutine that serves the client, so it returns
// within microseconds and waits for nothing. It is safe for concurrent use.
type Observer interface {
	Observe(Observation)
}

// An Observation is what became of one search. Its slices are shared and not changed.
type Observation struct {
	Time     time.Time // when the answer had been given
	Endpoint string    // _search, _msearch, _search/template or _msearch/template
	Search   int       // its number in its request, counted from 1
	Searches int       // of that request; the times are of all of them together
	Indices  string    // as the request names them; "": all
	Rule     string    // "": none covers it
	Words    string    // what it was ranked by; "" where nobody got so far
	Status   int       // of the answer; 0: there was none

	Outcome string        // applied, skipped or failed
	Reason  search.Reason // why it was not applied; "" where it was
	Detail  string        // more on the reason, for a person

	Stages     []rerank.Report // of the ranking
	Remembered bool            // the order is one that was shown before
	Moves      Moves           // the zero Moves where it was not applied

	Experiment string // "": it is in none
	Variant    string // as experiment.Label has it; "" in the shadow, and where the search is out, its client having said how to answer

	Cluster  time.Duration // waiting for the cluster
	Widening time.Duration // making the request for the window
	Ranking  time.Duration // from the last byte of the cluster's answer to the order
	Splicing time.Duration // writing the page
	Total    time.Duration // from the request's arrival to the last byte of its answer
}

// Added is what reranking added to the search.
func (o *Observation) Added() time.Duration { return o.Widening + o.Ranking + o.Splicing }

// observe tells of the searches of a request.
func (h *Handler) observe(j *journey, status int) {
	now := h.now()
	for i, s := range j.searches {
		h.watcher.Observe(Observation{
			Time: now, Endpoint: string(j.endpoint), Search: i + 1, Searches: len(j.searches),
			Indices: s.indices, Rule: s.rule, Words: s.words, Status: status,
			Outcome: j.outcome(s), Reason: s.reason, Detail: s.detail,
			Stages: s.stages, Remembered: s.remembered, Moves: s.moves, Experiment: s.trial.experiment, Variant: s.trial.variant,
			Cluster: j.cluster, Widening: j.widening, Ranking: j.ranking, Splicing: j.splicing, Total: j.total,
		})
	}
}

// Moves say what a ranking did to a page.
type Moves struct {
	Hits  int // on the page
	Moved int // of them, those that the cluster had at another place
	Climb int // places of the one that rose most
}

func movesOf(page search.Page) (m Moves) {
	for place := page.From; place < min(page.From+page.Size, len(page.Order)); place++ {
		was := page.Order[place]
		if page.Drop != nil && page.Drop[was] {
			continue
		}
		m.Hits++
		if was != place {
			m.Moved++
		}
		m.Climb = max(m.Climb, was-place)
	}
	return m
}
