package eval

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Qrels are judgments: by query, by document, how relevant it is. 0 and less are not relevant; a document that is not there was not judged.
type Qrels map[string]map[string]int

// A Run is what a searcher found: by query, the documents, the best first, none twice.
type Run map[string][]string

// A Measure says what a ranking is worth. The values are trec_eval's, with which they share names, ties and conventions.
type Measure struct {
	Kind Kind
	K    int // how many of the first hits it looks at; 0 is all
}

// Kind is what a measure measures. A document is relevant whose grade is at least that of [Measure.Of].
type Kind string

const (
	// NDCG is the discounted cumulative gain over that of the best ranking there can be: the sum over the hits of grade/log2(1+rank). The
	// gain is linear, the grade itself, as in Järvelin and Kekäläinen, "Cumulated Gain-based Evaluation of IR Techniques" (ACM TOIS 2002), and
	// in trec_eval; not 2^grade-1, which others print under the same name. Negative grades gain nothing.
	NDCG Kind = "ndcg"
	// MRR is the reciprocal of the rank of the first relevant hit.
	MRR Kind = "mrr"
	// Accuracy is 1 if there is a relevant hit, else 0; trec_eval calls it success.
	Accuracy Kind = "accuracy"
	// Recall is the share of the relevant documents that are there.
	Recall Kind = "recall"
	// Precision is the share of the K places that have relevant hits; of all that were found where K is 0.
	Precision Kind = "precision"
	// MAP is the mean over all relevant documents of the precision at their ranks, 0 for those that are not there.
	MAP Kind = "map"
	// Judged is the share of the hits that were judged at all, however: where it is small, the other measures say little, and where it
	// differs between two runs, they favour the one whose hits the judges saw. It is that of ir_measures.
	Judged Kind = "judged"
)

// names are what measures are called in tables and elsewhere; the first is ours.
var names = map[Kind][]string{
	NDCG:      {"NDCG", "ndcg_cut"},
	MRR:       {"MRR", "rr", "recip_rank"},
	Accuracy:  {"Accuracy", "success", "acc", "hit"},
	Recall:    {"Recall", "r"},
	Precision: {"Precision", "p"},
	MAP:       {"MAP", "ap", "map_cut"},
	Judged:    {"Judged"},
}

// DefaultMeasures are those that answer the usual questions.
func DefaultMeasures() []Measure {
	return []Measure{{NDCG, 10}, {MRR, 10}, {Accuracy, 1}, {Accuracy, 3}, {Recall, 10}, {MAP, 0}, {Judged, 10}}
}

// ParseMeasure reads a measure as ndcg@10, in any case, with trec_eval's names for the same too; without @ it looks at all hits.
func ParseMeasure(s string) (Measure, error) {
	name, cut, cuts := strings.Cut(strings.ToLower(strings.TrimSpace(s)), "@")
	m := Measure{}
	for kind, called := range names {
		if name == string(kind) || slices.Contains(called[1:], name) {
			m.Kind = kind
		}
	}
	if m.Kind == "" {
		return Measure{}, fmt.Errorf("there is no measure %q: there are ndcg, mrr, accuracy, recall, precision, map and judged, as in ndcg@10", s)
	}
	if cuts {
		k, err := strconv.Atoi(cut)
		if err != nil || k < 1 {
			return Measure{}, fmt.Errorf("in the measure %q, after @ stands how many hits it looks at, from 1", s)
		}
		m.K = k
	}
	return m, nil
}

// String is what ParseMeasure reads.
func (m Measure) String() string { return m.name(string(m.Kind)) }

// Title is the measure as papers print it: NDCG@10.
func (m Measure) Title() string { return m.name(names[m.Kind][0]) }

func (m Measure) name(kind string) string {
	if m.K == 0 {
		return kind
	}
	return fmt.Sprintf("%s@%d", kind, m.K)
}

// Values are the measure's values of the queries, in their order. A query that is not in the run, or for which nothing was found or nothing
// relevant was judged, is worth 0: leaving it out would reward a searcher for not answering.
func (m Measure) Values(queries []string, q Qrels, r Run, relevant int) []float64 {
	values := make([]float64, len(queries))
	for i, query := range queries {
		values[i] = m.Of(r[query], q[query], relevant)
	}
	return values
}

// Of is the value of one ranking, between 0 and 1. A document is relevant if its grade is that of relevant at least; 0 stands for 1.
func (m Measure) Of(ranking []string, grades map[string]int, relevant int) float64 {
	relevant = cmp.Or(relevant, 1)
	top := ranking
	if m.K > 0 {
		top = ranking[:min(m.K, len(ranking))]
	}
	wanted := 0 // relevant documents, found or not
	for _, grade := range grades {
		if grade >= relevant {
			wanted++
		}
	}
	var found, judged int
	var precisions, first, gain float64
	for i, id := range top {
		grade, ok := grades[id]
		if !ok {
			continue
		}
		judged++
		if grade > 0 {
			gain += discounted(grade, i)
		}
		if grade < relevant {
			continue
		}
		found++
		precisions += float64(found) / float64(i+1)
		if found == 1 {
			first = 1 / float64(i+1)
		}
	}
	switch m.Kind {
	case NDCG:
		return share(gain, idealGain(grades, m.K))
	case MRR:
		return first
	case Accuracy:
		return float64(min(found, 1))
	case Recall:
		return share(float64(found), float64(wanted))
	case Precision:
		return share(float64(found), float64(cmp.Or(m.K, len(ranking))))
	case MAP:
		return share(precisions, float64(wanted))
	case Judged:
		return share(float64(judged), float64(len(top)))
	}
	return math.NaN()
}

// discounted is what a grade adds to the gain at a place, from 0.
func discounted(grade, place int) float64 { return float64(grade) / math.Log2(float64(place+2)) }

// idealGain is the most that k hits can gain.
func idealGain(grades map[string]int, k int) float64 {
	best := make([]int, 0, len(grades))
	for _, grade := range grades {
		if grade > 0 {
			best = append(best, grade)
		}
	}
	slices.SortFunc(best, func(a, b int) int { return cmp.Compare(b, a) })
	if k > 0 {
		best = best[:min(k, len(best))]
	}
	sum := 0.0
	for i, grade := range best {
		sum += discounted(grade, i)
	}
	return sum
}

// share is a/b, and 0 of nothing.
func share(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// A Hit is a document and its score.
type Hit struct {
	ID    string
	Score float64
}

// ByScore is the ranking that trec_eval makes of hits: by score, which it holds in 32 bits, and where that is the same by id, the last in
// the order of bytes first. The rank that a run file gives is not asked.
func ByScore(hits []Hit) []string {
	hits = slices.Clone(hits)
	slices.SortFunc(hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(float32(b.Score), float32(a.Score)), strings.Compare(b.ID, a.ID))
	})
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.ID
	}
	return ids
}
