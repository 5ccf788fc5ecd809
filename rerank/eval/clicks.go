package eval

import (
	"fmt"
	"math"
)

// Clicks say how clicks become judgments. Of each query, the words that users typed, all searches for them count. The zero value is [Clicked].
type Clicks struct {
	Model ClickModel
	// Least is how often a document has to have been shown for a query to be judged by [COEC]: what was shown less says next to nothing. 0: 1.
	Least int
}

// A ClickModel is a rule by which clicks become judgments.
type ClickModel string

const (
	// Clicked gives what was clicked, by anybody, 1, what was shown and never clicked 0, and no judgment to what was never shown. That favours
	// what was shown high: users click what they look at, and look from the top.
	Clicked ClickModel = "clicked"
	// COEC is clicks over expected clicks, in hundredths. With n(q,d,r) for how often document d was shown for query q at rank r, and CTR(r) for
	// the share of all that was shown at rank r, whatever and for whatever query, that was clicked,
	//
	//	COEC(q,d) = clicks(q,d) / Σ n(q,d,r) CTR(r)
	//
	// so that 100 is as many clicks as a hit gets at the ranks where d was shown, wherever those are (Zhang and Jones, "Comparing click logs and
	// editorial labels for training query rewriting", Query Log Analysis workshop, WWW 2007). It is how OpenSearch's Search Relevance
	// Workbench makes implicit judgments (its click model coec), but that there a person who clicks one hit three times counts three times,
	// and here once, as CTR(r) is a share then.
	//
	// What remains of the old order: hits at the first rank are better than others on average, so that more is expected there.
	COEC ClickModel = "coec"
)

// ParseClickModel reads coec or clicked.
func ParseClickModel(text string) (ClickModel, error) {
	switch m := ClickModel(text); m {
	case Clicked, COEC:
		return m, nil
	}
	return "", fmt.Errorf("clicks have no model %q: it is coec or clicked", text)
}

// hundred is the grade of as many clicks as were expected.
const hundred = 100

// judge makes judgments of searches.
func (c Clicks) judge(searches map[string]*shown, j *Judgments) {
	judge := func(query, document string, grade int) {
		if j.Qrels[query] == nil {
			j.Qrels[query] = map[string]int{}
		}
		j.Qrels[query][document] = max(grade, j.Qrels[query][document])
	}
	if j.Relevant = 1; c.Model != COEC {
		for _, s := range searches {
			for _, h := range s.hits {
				grade := 0
				if h.clicked {
					grade = 1
				}
				judge(s.words, h.document, grade)
			}
		}
		return
	}
	j.Relevant = hundred
	type pair struct{ query, document string }
	type tally struct{ shown, clicked int }
	pairs, ranks := map[pair]map[int]int{}, map[int]tally{} // how often at which rank
	clicks := map[pair]int{}
	for _, s := range searches {
		for _, h := range s.hits {
			if h.place == 0 {
				j.Unplaced++
				continue
			}
			p, r := pair{s.words, h.document}, ranks[h.place]
			if r.shown++; h.clicked {
				r.clicked++
				clicks[p]++
			}
			ranks[h.place] = r
			if pairs[p] == nil {
				pairs[p] = map[int]int{}
			}
			pairs[p][h.place]++
		}
	}
	for p, at := range pairs {
		n, expected := 0, 0.0
		for rank, times := range at {
			n += times
			expected += float64(times) * float64(ranks[rank].clicked) / float64(ranks[rank].shown)
		}
		if j.Pairs++; n < c.Least || expected == 0 {
			j.Seldom++
			continue
		}
		judge(p.query, p.document, int(math.Round(min(hundred*float64(clicks[p])/expected, math.MaxInt32))))
	}
}
