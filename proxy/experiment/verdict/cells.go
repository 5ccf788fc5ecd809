package verdict

import (
	"slices"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// A Cell is what was seen of a variant in a phase: all of it, as it is. Its rates are over searches; what is compared are means over units.
type Cell struct {
	Phase       string `json:"phase"`
	Variant     string `json:"variant"`
	Units       int    `json:"units"`
	Searches    int    `json:"searches"`
	Impressions int    `json:"impressions"` // pages
	Clicks      int    `json:"clicks"`

	CTR1         float64 `json:"ctr_1"` // searches with a click on the first hit
	CTR3         float64 `json:"ctr_3"` // on one of the first three
	CTR10        float64 `json:"ctr_10"`
	MRR          float64 `json:"mrr"`          // mean reciprocal rank of the first click, 0 for a search without one
	Abandonment  float64 `json:"abandonment"`  // of the searches with hits, those without a click
	ZeroResults  float64 `json:"zero_results"` // searches that nothing matched
	Latency      Times   `json:"latency"`      // of pages: from the request's arrival to its answer
	Added        Times   `json:"added"`        // of that, by ranking
	Outcomes     Counts  `json:"outcomes"`
	Reasons      Counts  `json:"reasons,omitempty"` // why searches were not reranked
	OtherActions Counts  `json:"other_actions,omitempty"`
}

// Counts are numbers by a word.
type Counts map[string]int

// Times are percentiles.
type Times struct {
	P50 time.Duration `json:"p50_ns"`
	P95 time.Duration `json:"p95_ns"`
	P99 time.Duration `json:"p99_ns"`
}

func newTimes(all []time.Duration) Times {
	if len(all) == 0 {
		return Times{}
	}
	slices.Sort(all)
	at := func(share float64) time.Duration { return all[min(int(share*float64(len(all))), len(all)-1)] }
	return Times{at(0.5), at(0.95), at(0.99)}
}

func (j *joined) cells() []Cell {
	type key struct{ phase, variant string }
	type cell struct {
		Cell
		units       map[uint64]bool
		took, added []time.Duration
		withHits    float64
	}
	cells := map[key]*cell{}
	for _, s := range j.searches {
		p := s.page()
		k := key{p.phase, p.variant}
		c := cells[k]
		if c == nil {
			c = &cell{Cell: Cell{Phase: p.phase, Variant: p.variant, Outcomes: Counts{}, Reasons: Counts{}, OtherActions: Counts{}}, units: map[uint64]bool{}}
			cells[k] = c
		}
		c.units[p.unit] = true
		c.Searches++
		c.Clicks += len(s.clicks)
		c.CTR1 += of(s.clicked(1))
		c.CTR3 += of(s.clicked(3))
		c.CTR10 += of(s.clicked(10))
		c.MRR += s.reciprocal()
		c.ZeroResults += of(p.empty)
		c.withHits += of(!p.empty)
		c.Abandonment += of(!p.empty && len(s.clicks) == 0)
		c.Outcomes[p.outcome]++
		if p.reason != "" {
			c.Reasons[p.reason]++
		}
		for action, n := range s.actions {
			c.OtherActions[action] += n
		}
		for _, p := range s.pages {
			c.Impressions++
			c.took, c.added = append(c.took, p.took), append(c.added, p.added)
		}
	}
	all := make([]Cell, 0, len(cells))
	for _, c := range cells {
		n := float64(c.Searches)
		c.Units = len(c.units)
		c.CTR1, c.CTR3, c.CTR10, c.MRR, c.ZeroResults = c.CTR1/n, c.CTR3/n, c.CTR10/n, c.MRR/n, c.ZeroResults/n
		c.Abandonment /= max(c.withHits, 1)
		c.Latency, c.Added = newTimes(c.took), newTimes(c.added)
		all = append(all, c.Cell)
	}
	order := j.byPhase(j.design())
	slices.SortFunc(all, func(a, b Cell) int { return order(a.Phase, a.Variant, b.Phase, b.Variant) })
	return all
}

func of(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// A ShadowCell is what a variant would have shown, beside pages that were shown without it.
type ShadowCell struct {
	Phase    string  `json:"phase"`
	Variant  string  `json:"variant"`
	Searches int     `json:"searches"`
	Ranked   int     `json:"ranked"`  // of those, that the variant could rank
	Changed  float64 `json:"changed"` // of the ranked, those with another page
	First    float64 `json:"first"`   // with another first hit
	Overlap  float64 `json:"overlap"` // the mean share of the shown hits that are on the variant's page too
	Added    Times   `json:"added"`   // time that ranking took
	Reasons  Counts  `json:"reasons,omitempty"`
}

func shadowCells(shadows []experiment.Shadow, name string) []ShadowCell {
	type key struct{ phase, variant string }
	cells, added := map[key]*ShadowCell{}, map[key][]time.Duration{}
	var keys []key // as first seen
	for i := range shadows {
		s := &shadows[i]
		if s.Experiment != name {
			continue
		}
		k := key{s.Phase, s.Variant}
		c := cells[k]
		if c == nil {
			c = &ShadowCell{Phase: s.Phase, Variant: s.Variant, Reasons: Counts{}}
			cells[k] = c
			keys = append(keys, k)
		}
		c.Searches++
		added[k] = append(added[k], s.Added)
		if s.Outcome != "applied" {
			c.Reasons[s.Reason]++
			continue
		}
		c.Ranked++
		c.Changed += of(!slices.Equal(s.Shown, s.Instead))
		c.First += of(len(s.Shown) > 0 && (len(s.Instead) == 0 || s.Shown[0] != s.Instead[0]))
		common := 0
		for _, id := range s.Shown {
			if slices.Contains(s.Instead, id) {
				common++
			}
		}
		if len(s.Shown) == 0 {
			c.Overlap++
		} else {
			c.Overlap += float64(common) / float64(len(s.Shown))
		}
	}
	all := make([]ShadowCell, 0, len(keys))
	for _, k := range keys {
		c := cells[k]
		n := float64(max(c.Ranked, 1))
		c.Changed, c.First, c.Overlap, c.Added = c.Changed/n, c.First/n, c.Overlap/n, newTimes(added[k])
		all = append(all, *c)
	}
	return all
}
