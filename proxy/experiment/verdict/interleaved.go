package verdict

import "github.com/rerankd/rerankd/proxy/experiment"

// Interleaved is the verdict of shared pages. A search is won by the ranking whose picks were clicked more; a tie is one where neither's
// were, or both's as often. A unit is won by the ranking that won more of its searches.
type Interleaved struct {
	Control string `json:"control"`
	Variant string `json:"variant"`

	Searches WinLoss `json:"searches"` // all
	Units    WinLoss `json:"units"`    // all

	Pages     int    `json:"pages"`
	Excluded  int    `json:"excluded"` // pages without both rankings: they count for no one
	Reasons   Counts `json:"reasons,omitempty"`
	Identical int    `json:"identical"` // pages on which no hit is anyone's: the rankings agree

	// Preference is the mean over the units that have one, each between -1 (it won none of its decided searches) and 1 (all).
	Preference Effect        `json:"preference"`
	Phases     []PhaseEffect `json:"phases"`
}

// WinLoss counts what the second variant won and lost.
type WinLoss struct {
	Wins   int `json:"wins"`
	Losses int `json:"losses"`
	Ties   int `json:"ties"`
}

func (w *WinLoss) add(preference int) {
	switch {
	case preference > 0:
		w.Wins++
	case preference < 0:
		w.Losses++
	default:
		w.Ties++
	}
}

func (j *joined) interleaved(closed []*unit, d design, o Options) *Interleaved {
	var all Interleaved
	all.Reasons = Counts{}
	for _, s := range j.searches {
		counted := false
		for _, p := range s.pages {
			if p.variant != experiment.Interleaved {
				continue
			}
			all.Pages++
			if !p.both() {
				all.Excluded++
				all.Reasons[p.reason]++
				continue
			}
			counted = true
			if p.identical() {
				all.Identical++
			}
		}
		if counted {
			all.Searches.add(s.preference())
		}
	}
	if all.Pages == 0 {
		return nil
	}
	all.Control, all.Variant = "a", "b"
	if len(d.variants) > 1 {
		all.Control, all.Variant = d.variants[0].Name, d.variants[1].Name
	}
	for _, u := range j.units {
		if u.page().variant != experiment.Interleaved {
			continue
		}
		won, _ := balance(u.searches)
		all.Units.add(won)
	}
	all.Preference, all.Phases = effects(observePreferences(closed, o), o.Effect, 1-Level)
	searches := 0 // of those without a preference too: they have to be made
	for _, u := range closed {
		if u.page().variant == experiment.Interleaved {
			searches += len(u.within(o.Horizon))
		}
	}
	all.Preference.Searches = all.Preference.Needed * float64(searches) / float64(max(all.Preference.Units, 1))
	return &all
}

// observePreferences is the units that have a preference, in the order in which they entered. The others say nothing: whether a unit decides
// anything is no matter of whose picks are whose.
func observePreferences(closed []*unit, o Options) []observed {
	var all []observed
	for _, u := range closed {
		if u.page().variant != experiment.Interleaved {
			continue
		}
		within := u.within(o.Horizon)
		if won, decided := balance(within); decided > 0 {
			z := float64(won) / float64(decided)
			all = append(all, observed{unit: u, worth: z, searches: len(within), score: score{z, 1}})
		}
	}
	return all
}

func (p *page) identical() bool {
	for _, h := range p.hits {
		if h.team != 0 {
			return false
		}
	}
	return true
}

// balance is wins less losses of searches, and how many were decided.
func balance(searches []*search) (won, decided int) {
	for _, s := range searches {
		if p := s.preference(); p != 0 {
			won, decided = won+p, decided+1
		}
	}
	return won, decided
}
