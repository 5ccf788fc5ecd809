package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rerankd/rerankd/rerank/eval"
)

// rboPersistence is the p of the rank-biased overlaps: the first ten hits have 86 % of the weight.
const rboPersistence = 0.9

// similarAt is how many of the first hits overlaps are of.
const similarAt = 10

// listed is how many queries a list of the worst, or of the most different, has.
const listed = 10

// An evalReport is what came out, as --json prints it. Means are over all queries that were asked.
type evalReport struct {
	Partial  bool          `json:"partial"` // it was interrupted
	Asked    int           `json:"queries"`
	Of       int           `json:"of"` // that were to be asked
	Unjudged int           `json:"unjudged_queries"`
	Unasked  int           `json:"judgments_without_words"` // judged queries whose words are not among the queries
	Hopeless int           `json:"queries_without_relevant_documents"`
	Left     int           `json:"events_left_out,omitempty"`
	Clicks   *clickReport  `json:"clicks,omitempty"`    // of a UBI export
	Format   string        `json:"judgments,omitempty"` // "": there are none
	Index    string        `json:"index"`
	Size     int           `json:"size"`
	Relevant int           `json:"relevant_from"`
	Arms     []armReport   `json:"arms"` // the baseline first
	Against  []pairReport  `json:"comparisons"`
	Depths   []int         `json:"depths,omitempty"`
	Queries  []queryReport `json:"per_query"`

	measures []eval.Measure
}

// A clickReport says how clicks became judgments.
type clickReport struct {
	Model    eval.ClickModel `json:"model"`
	Least    int             `json:"min_impressions"`
	Pairs    int             `json:"pairs"`    // coec: of a query and a document that was shown for it
	Seldom   int             `json:"seldom"`   // of these, not judged
	Unplaced int             `json:"unplaced"` // hits, nobody says at which rank
}

// An armReport is of one way to search.
type armReport struct {
	Name     string             `json:"name"`
	Means    map[string]float64 `json:"means,omitempty"` // by measure
	Reranked int                `json:"reranked"`
	Skipped  map[string]int     `json:"skipped"`           // queries, by the reason in X-Rerank
	Scored   float64            `json:"scored_hits"`       // mean of those reranked
	Window   float64            `json:"window_hits"`       // mean of what the model was to read
	Empty    int                `json:"without_hits"`      // count as 0
	Absent   int                `json:"absent_from_run"`   // of these those that a run file does not have
	Failed   int                `json:"failed"`            // of these those that were no answer
	Failure  string             `json:"failure,omitempty"` // the first
	Total    *timeReport        `json:"total_ms,omitempty"`
	Cluster  *timeReport        `json:"cluster_ms,omitempty"`
	Ranking  *timeReport        `json:"ranking_ms,omitempty"`

	window int // that was asked for; 0: the rule's
	file   bool
	off    bool
}

// A timeReport is of the times of searches, in milliseconds.
type timeReport struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

// A pairReport is of a way to search beside the baseline.
type pairReport struct {
	Name        string             `json:"name"`
	Differences []differenceReport `json:"differences,omitempty"` // by measure, in their order
	Losses      []lossReport       `json:"worst_losses,omitempty"`
	Similarity  similarityReport   `json:"similarity"`
	Different   []similarityOf     `json:"most_different"`

	differences []float64 // of the first measure, by query
}

type differenceReport struct {
	Measure string `json:"measure"`
	eval.Difference
}

// A lossReport is a query that the baseline does better, by the first measure.
type lossReport struct {
	eval.Query
	Baseline float64 `json:"baseline"`
	Against  float64 `json:"against"`
}

// A similarityReport is of how alike two orders are: means over the queries.
type similarityReport struct {
	Overlap   float64 `json:"overlap@10"`
	RBO       float64 `json:"rbo"`
	P         float64 `json:"rbo_p"`
	Tau       float64 `json:"kendall_tau"` // over the queries with two hits in common at least
	Moved     float64 `json:"displacement"`
	Unchanged int     `json:"unchanged"` // queries with the same page
}

// A similarityOf is that of one query.
type similarityOf struct {
	eval.Query
	Overlap float64 `json:"overlap@10"`
	RBO     float64 `json:"rbo"`
	Moved   float64 `json:"displacement"`
	tau     float64
	common  int
	same    bool
}

// A queryReport is of one query: a value for each way to search.
type queryReport struct {
	eval.Query
	Values map[string][]float64 `json:"values,omitempty"` // by measure
	RBO    []float64            `json:"rbo"`              // with the baseline
}

// report says what came of the queries that were asked.
func (p *evalPlan) report(arms []*arm, all trials, o *evalOptions) *evalReport {
	queries, of := p.asked(all)
	r := &evalReport{
		Asked: len(queries), Of: len(p.queries), Unjudged: p.unjudged, Unasked: p.unasked,
		Index: o.index, Size: p.body.size, Relevant: p.relevant, Depths: o.depth, Queries: make([]queryReport, len(queries)),
	}
	if p.judged != nil {
		r.Format, r.Left, r.measures = string(p.judged.Format), p.judged.Left, p.measures
		if p.judged.Format == eval.UBI {
			r.Clicks = &clickReport{p.clicks.Model, p.clicks.Least, p.judged.Pairs, p.judged.Seldom, p.judged.Unplaced}
		}
		for _, q := range queries {
			if !slices.ContainsFunc(slices.Collect(maps.Values(p.judged.Qrels[q.ID])), func(grade int) bool { return grade >= p.relevant }) {
				r.Hopeless++
			}
		}
	}
	for i, q := range queries {
		r.Queries[i] = queryReport{Query: q, Values: map[string][]float64{}}
	}
	values := make([]map[eval.Measure][]float64, len(arms))
	runs := make([]eval.Run, len(arms))
	for n, a := range arms {
		r.Arms = append(r.Arms, reportArm(a, of, n))
		runs[n], values[n] = of.run(queries, n), map[eval.Measure][]float64{}
		for _, m := range r.measures {
			v := m.Values(ids(queries), p.judged.Qrels, runs[n], p.relevant)
			values[n][m] = v
			if r.Arms[n].Means == nil {
				r.Arms[n].Means = map[string]float64{}
			}
			r.Arms[n].Means[m.String()] = average(v)
			for i := range queries {
				r.Queries[i].Values[m.String()] = append(r.Queries[i].Values[m.String()], v[i])
			}
		}
		for _, q := range queries {
			if _, ok := a.run[q.ID]; a.file != "" && !ok {
				r.Arms[n].Absent++
			}
		}
	}
	for n := range arms[1:] {
		r.Against = append(r.Against, r.pair(queries, runs, values, n+1))
	}
	return r
}

// pair compares an arm with the baseline.
func (r *evalReport) pair(queries []eval.Query, runs []eval.Run, values []map[eval.Measure][]float64, n int) pairReport {
	p := pairReport{Name: r.Arms[n].Name}
	for i, m := range r.measures {
		baseline, against := values[0][m], values[n][m]
		p.Differences = append(p.Differences, differenceReport{m.String(), eval.Compare(baseline, against)})
		if i > 0 {
			continue
		}
		p.differences = eval.Differences(baseline, against)
		for _, q := range eval.WorstLosses(p.differences, listed) {
			p.Losses = append(p.Losses, lossReport{queries[q], baseline[q], against[q]})
		}
	}
	p.Similarity.P = rboPersistence
	each := make([]similarityOf, len(queries))
	taus := 0
	for i, q := range queries {
		a, b := runs[0][q.ID], runs[n][q.ID]
		x := similarityOf{Query: q, Overlap: eval.Overlap(a, b, similarAt), RBO: eval.RBO(a, b, rboPersistence), same: slices.Equal(a, b)}
		x.tau, x.common = eval.KendallTau(a, b)
		x.Moved, _ = eval.Displacement(a, b)
		each[i] = x
		share := 1 / float64(len(queries))
		p.Similarity.Overlap += x.Overlap * share
		p.Similarity.RBO += x.RBO * share
		p.Similarity.Moved += x.Moved * share
		if x.common > 1 {
			p.Similarity.Tau += x.tau
			taus++
		}
		if x.same {
			p.Similarity.Unchanged++
		}
		r.Queries[i].RBO = append(r.Queries[i].RBO, x.RBO)
	}
	p.Similarity.Tau /= float64(max(taus, 1))
	slices.SortStableFunc(each, func(a, b similarityOf) int { return cmp.Compare(a.RBO, b.RBO) })
	for _, x := range each[:min(listed, len(each))] {
		if !x.same {
			p.Different = append(p.Different, x)
		}
	}
	return p
}

// reportArm says how the searches of one arm went.
func reportArm(a *arm, of trials, n int) armReport {
	r := armReport{Name: a.name, Skipped: map[string]int{}, window: a.window, file: a.file != "", off: a.rerank == "off"}
	var total, cluster, ranking []time.Duration
	scored, windows := 0, 0
	for _, trials := range of {
		x := trials[n]
		if len(x.hits) == 0 {
			r.Empty++
		}
		switch {
		case r.file:
			continue
		case x.err != nil:
			if r.Failed++; r.Failed == 1 {
				r.Failure = x.err.Error()
			}
			continue
		case x.applied:
			r.Reranked++
			scored += x.scored
			windows += x.window
			ranking = append(ranking, x.ranking)
		default:
			r.Skipped[x.reason]++
		}
		total = append(total, x.took)
		if x.cluster > 0 {
			cluster = append(cluster, x.cluster)
		}
	}
	r.Scored, r.Window = float64(scored)/float64(max(r.Reranked, 1)), float64(windows)/float64(max(r.Reranked, 1))
	r.Total, r.Cluster, r.Ranking = times(total), times(cluster), times(ranking)
	return r
}

// times are the median and the 95th percentile, by the nearest rank; nil of nothing.
func times(took []time.Duration) *timeReport {
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		rank := int(math.Ceil(share * float64(len(took))))
		return float64(took[rank-1].Microseconds()) / 1000
	}
	return &timeReport{at(0.5), at(0.95)}
}

func average(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(len(values), 1))
}

// verdict is how the command ends: whether a guard was broken, a search failed, or somebody had enough.
func (r *evalReport) verdict(e *environment, guards []guard) error {
	switch failed := r.failed(); {
	case r.Partial:
		return fmt.Errorf("interrupted: %d of %s were asked", r.Asked, queryCount(r.Of))
	case failed != nil:
		return fmt.Errorf("%d searches of %q failed, and count as 0; the first one: %s", failed.Failed, failed.Name, failed.Failure)
	}
	broken := 0
	for _, g := range guards {
		for _, p := range r.Against {
			for _, d := range p.Differences {
				if d.Measure == g.measure.String() && d.Mean < g.least {
					broken++
					fmt.Fprintf(e.stderr, "rerankd: %s of %q is %+.4f from the baseline, below %+.4f\n", g.measure.Title(), p.Name, d.Mean, g.least)
				}
			}
		}
	}
	if broken > 0 {
		return foundError(broken)
	}
	return nil
}

// failed is the first arm with searches that failed.
func (r *evalReport) failed() *armReport {
	for i := range r.Arms {
		if r.Arms[i].Failed > 0 {
			return &r.Arms[i]
		}
	}
	return nil
}

// notes are what somebody must know who reads the numbers.
func (r *evalReport) notes() (notes []string) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if r.Partial {
		note("PARTIAL: interrupted after %d of %s; the rest was not asked.", r.Asked, queryCount(r.Of))
	}
	everywhere := r.Arms[0].Empty
	for _, a := range r.Arms {
		if a.Empty != everywhere || a.file {
			everywhere = 0
		}
	}
	if everywhere > 0 {
		note("%s without results in every way%s.", are(everywhere), map[bool]string{true: "; that counts as 0"}[r.Format != ""])
	}
	for _, a := range r.Arms {
		switch {
		case everywhere > 0:
		case a.file && a.Absent > 0:
			note("%s: %s not in the run; that counts as 0.", a.Name, are(a.Absent))
		case a.Empty > 0 && r.Format != "":
			note("%s: %s without results; that counts as 0.", a.Name, are(a.Empty))
		case a.Empty > 0:
			note("%s: %s without results.", a.Name, are(a.Empty))
		}
		if a.Failed > 0 {
			note("%s: %d searches FAILED (among those without results). The first: %s", a.Name, a.Failed, a.Failure)
		}
		if a.Scored < 0.9*a.Window {
			note("%s: the model read %.1f of %.1f hits on average in its budget; --budget gives it more time.", a.Name, a.Scored, a.Window)
		}
		if a.Skipped["no_rerankd"] > 0 && !a.off {
			note("%s: the answers have no X-Rerank header: is there a rerankd at this URL?", a.Name)
		}
	}
	if r.Hopeless > 0 {
		note("%s no relevant document among the judgments; that counts as 0 in every way.", have(r.Hopeless))
	}
	if r.Unjudged > 0 {
		note("%s left out for want of judgments.", are(r.Unjudged))
	}
	if r.Unasked > 0 {
		note("%s judged, and could not be asked: their words are not among the queries.", are(r.Unasked))
	}
	if r.Left > 0 {
		note("%d events name no document or no search, and are left out.", r.Left)
	}
	switch c := r.Clicks; {
	case c == nil:
	case c.Model == eval.COEC:
		note("Judgments are clicks over expected clicks, in hundredths: 100 is as many as hits get at the ranks where it was shown. Of %d pairs of a query and a document %d are not judged: shown fewer than %d times, or where nobody clicks.",
			c.Pairs, c.Seldom, c.Least)
		if c.Unplaced > 0 {
			note("%s that nobody says the rank of do not count: ubi_queries, or impressions with a position, say it.", count(c.Unplaced, "clicked or shown hit"))
		}
	default:
		note("Judgments are clicks: clicked is 1, shown and not clicked 0. Users click what they were shown, so the order of that time is favoured; --clicks coec favours it less.")
	}
	return notes
}

func are(n int) string {
	if n == 1 {
		return "1 query is"
	}
	return fmt.Sprintf("%d queries are", n)
}

func have(n int) string {
	if n == 1 {
		return "1 query has"
	}
	return fmt.Sprintf("%d queries have", n)
}

// Searched reports whether it was one, and not a file of what was found before.
func (a *armReport) Searched() bool { return !a.file }

// Read is how many hits the model read of how many, on average; "" where nothing was reranked.
func (a *armReport) Read() string {
	if a.Reranked == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f of %.1f", a.Scored, a.Window)
}

// Reasons are why searches were not reranked, the most frequent first: "no_hits 3, one_hit 1".
func (a *armReport) Reasons() string {
	var words []string
	for reason := range a.Skipped {
		words = append(words, reason)
	}
	slices.SortFunc(words, func(x, y string) int { return cmp.Or(cmp.Compare(a.Skipped[y], a.Skipped[x]), strings.Compare(x, y)) })
	for i, reason := range words {
		words[i] = fmt.Sprintf("%s %d", reason, a.Skipped[reason])
	}
	return strings.Join(words, ", ")
}
