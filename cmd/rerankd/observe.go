package main

import (
	"strings"

	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/admin"
)

// An observer puts every search of the proxy on the live page.
type observer struct {
	live  *admin.Live
	words func() bool // whether what was searched for may be shown
}

var _ proxy.Observer = observer{}

// Observe is part of [proxy.Observer].
func (o observer) Observe(seen proxy.Observation) {
	s := admin.Search{
		Time: seen.Time, Endpoint: seen.Endpoint, Search: seen.Search, Searches: seen.Searches,
		Indices: seen.Indices, Rule: seen.Rule, Status: seen.Status,
		Outcome: seen.Outcome, Reason: string(seen.Reason), Known: seen.Remembered,
		Experiment: seen.Experiment, Variant: seen.Variant,
		Hits: seen.Moves.Hits, Moved: seen.Moves.Moved, Climb: seen.Moves.Climb,
		Cluster: seen.Cluster, Widening: seen.Widening, Ranking: seen.Ranking, Splicing: seen.Splicing, Total: seen.Total,
	}
	if o.words() {
		s.Words, s.Detail = seen.Words, seen.Detail // which may name parts of a search
	}
	var models []string
	for i, stage := range seen.Stages {
		if i == 0 {
			s.Window, s.Scored = stage.Window, stage.Scored
		}
		if stage.Scored > 0 {
			models = append(models, stage.Model)
		}
	}
	s.Models = strings.Join(models, ", ")
	o.live.Observe(s)
}

// showsWords is whether the live page is given what users search for.
func (p *program) showsWords() bool {
	s := p.now.Load()
	return s != nil && s.config.Admin.Queries
}

// judgments is the directory in which judgments are kept; "" where they are not.
func (p *program) judgments() string {
	if s := p.now.Load(); s != nil {
		return s.config.Admin.Judgments
	}
	return ""
}
