package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/rerank/eval"
)

func newEvalCmd(e *environment) *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval --queries FILE [--qrels FILE] (--cluster URL | -c FILE | --url URL) --index INDEX",
		Short: "Measure what reranking does to the quality of your own searches",
		Long: `Searches for every query with reranking off and on, over HTTP as an application does, and says
what the two orders are worth by your judgments: NDCG, MRR, Accuracy, Recall, MAP as trec_eval
has them, with a 95 % interval of the difference, p values of a paired t-test and a
randomisation test, the queries that lost most, and the time that searches took. Without
judgments it says how far the two orders are from each other.

The searches go through a rerankd of its own, as compare's do, or through the one at --url.
Nothing else should run on the machine meanwhile, and --concurrency is 1, because time is
measured too; caches of tokens and scores are off in a rerankd of its own.

QUERIES are lines of an id, a tab and the words; lines of words alone; BEIR's queries.jsonl; an
export of UBI's ubi_queries; or Quepid's CSV. JUDGMENTS are TREC qrels, BEIR's TSV, Quepid's CSV,
or an export of ubi_events, of which clicks become judgments (--clicks). Which it is, is seen in
the file.

BASELINE and AGAINST are ways to search, and --against may be given several times:
  on, off             with the rule as it is, or without reranking
  window=20           of so many hits
  model=SOURCE        by another model: a name in the configuration, or a source as there
  rule=NAME           as a rule of the configuration says, whatever its indices
  fusion=replace, weight=0.7, budget=1s
  config=FILE         by another configuration file
  url=URL, index=NAME elsewhere
  run=FILE            not at all: what a TREC run file says was found
Settings may be joined by commas; name=LABEL is what it is then called.

A query for which nothing is found counts as 0, and how many there are is said. docs/eval.md has
the rest: what is measured, how the files look, what the numbers can and cannot say.`,
		Example: `  rerankd eval --queries q.tsv --qrels qrels.txt --cluster http://127.0.0.1:9200 --index products
  rerankd eval --qrels quepid.csv -c rerankd.yaml --index products --body search.json --html report.html
  rerankd eval --queries q.tsv --qrels qrels.txt -c rerankd.yaml --index products --depth 10,20,50,100 --budget 10s
  rerankd eval --queries q.tsv --qrels qrels.txt -c rerankd.yaml --index products --baseline on --against model=./mine
  rerankd eval --queries log.txt --unjudged --url http://127.0.0.1:9280 --index products
  rerankd eval --qrels qrels.txt --baseline run=before.run --against run=after.run`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.sized = cmd.Flags().Changed("size")
			return evaluate(cmd.Context(), e, &o)
		},
	}
	o.askOptions.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.queries, "queries", "", "file of queries; may be left out where the judgments have the words")
	f.StringVar(&o.qrels, "qrels", "", "file of judgments")
	f.StringVar(&o.queriesFormat, "queries-format", "", "lines, tsv, beir, ubi or quepid (default: as it looks)")
	f.StringVar(&o.qrelsFormat, "qrels-format", "", "trec, beir, ubi or quepid (default: as it looks)")
	f.BoolVar(&o.unjudged, "unjudged", false, "compare the orders alone, without judgments")
	f.StringVar(&o.url, "url", "", "of a rerankd that is running, instead of one of its own")
	f.StringVar(&o.index, "index", "", "the index to search")
	f.StringSliceVar(&o.fields, "fields", nil, "fields to search in, and to read (default: as serve chooses them)")
	f.StringVar(&o.body, "body", "", "file of a search body, as the application sends it, with {{query}} where the words stand")
	f.IntVar(&o.size, "size", 10, "hits of a page (with --body: as it says)")
	f.StringVar(&o.idField, "id-field", "", "field of _source by which the judgments call documents (default: _id)")
	f.StringVar(&o.baseline, "baseline", "off", "the way to search that others are compared with")
	f.StringArrayVar(&o.against, "against", nil, "a way to search that is compared with the baseline (default on)")
	f.IntSliceVar(&o.depth, "depth", nil, "windows to try, such as 10,20,50,100")
	f.DurationVar(&o.budget, "budget", 0, "what reranking may add to a search (default: the rule's)")
	f.StringSliceVar(&o.measures, "measures", nil, "what to measure, first what losses are told by (default ndcg@10,mrr@10,accuracy@1,accuracy@3,recall@10,map,judged@10)")
	f.IntVar(&o.relevant, "relevant", 0, "the least grade that counts as relevant (default 1; of coec 100, as many clicks as expected)")
	f.StringVar(&o.clicks, "clicks", string(eval.COEC), "how UBI's clicks become judgments: coec, clicks over expected clicks in hundredths; or clicked, 1 or 0")
	f.IntVar(&o.leastShown, "min-impressions", 10, "with coec: how often a document must have been shown for a query to be judged")
	f.IntVar(&o.limit, "limit", 0, "only the first so many queries")
	f.IntVar(&o.concurrency, "concurrency", 1, "queries asked at once")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.StringVar(&o.html, "html", "", "write a page with plots to this file")
	f.StringVar(&o.runOut, "run-out", "", "write what was found to this folder, as TREC runs")
	f.StringSliceVar(&o.failBelow, "fail-below", nil, "end with code 3 where a mean difference is below, such as ndcg@10=-0.01")
	_ = cmd.MarkFlagFilename("body", "json")
	_ = cmd.MarkFlagDirname("run-out")
	return cmd
}

type evalOptions struct {
	askOptions
	queries, qrels             string
	queriesFormat, qrelsFormat string
	unjudged                   bool
	url, index                 string
	fields                     []string
	body                       string
	size                       int
	sized                      bool // size was given
	idField                    string
	baseline                   string
	against                    []string
	depth                      []int
	budget                     time.Duration
	measures                   []string
	relevant, limit            int
	clicks                     string
	leastShown                 int
	concurrency                int
	json                       bool
	html, runOut               string
	failBelow                  []string
}

// evaluate is the command: what is asked, how, and what came out.
func evaluate(ctx context.Context, e *environment, o *evalOptions) error {
	plan, err := o.plan()
	if err != nil {
		return err
	}
	arms, err := o.arms()
	if err != nil {
		return err
	}
	close, err := openArms(ctx, e, o, arms)
	if err != nil {
		return err
	}
	defer close()
	progress := newMeter(ctx, e.stderr, len(plan.queries), "queries", "asked")
	trials, err := plan.ask(ctx, arms, o, progress)
	progress.end()
	if err != nil {
		return err
	}
	report := plan.report(arms, trials, o)
	if ctx.Err() != nil {
		report.Partial = true
		if report.Asked == 0 {
			return errors.New("interrupted before any query was asked in every way")
		}
	}
	if o.runOut != "" {
		if err := plan.writeRuns(o.runOut, arms, trials); err != nil {
			return err
		}
	}
	if o.html != "" {
		if err := writeHTML(o.html, report); err != nil {
			return err
		}
	}
	if o.json {
		err = printJSON(e.stdout, report)
	} else {
		err = report.print(e.stdout)
	}
	if err != nil {
		return err
	}
	return report.verdict(e, plan.guards)
}

// An evalPlan is what is asked and judged.
type evalPlan struct {
	queries  []eval.Query
	judged   *eval.Judgments // nil: no judgments
	clicks   eval.Clicks     // how those of UBI are made
	relevant int             // the least grade that is
	measures []eval.Measure
	guards   []guard
	body     searchBody
	unasked  int // judged queries whose words nobody knows
	unjudged int // queries that nobody judged, which are not asked where there are others
}

// A guard is a mean difference that is not to be below.
type guard struct {
	measure eval.Measure
	least   float64
}

// plan reads the files that the flags name.
func (o *evalOptions) plan() (*evalPlan, error) {
	p := &evalPlan{}
	switch {
	case o.queries == "" && o.qrels == "":
		return nil, usageError{errors.New("there are no queries to ask"), "give --queries FILE, and --qrels FILE where there are judgments"}
	case o.unjudged && o.qrels != "":
		return nil, usageError{errors.New("--unjudged is without judgments, and --qrels has some"), "leave one of them out"}
	case o.unjudged && (len(o.measures) > 0 || len(o.failBelow) > 0):
		return nil, usageError{errors.New("without judgments there is nothing to measure"), "give --qrels"}
	case o.size < 1 || o.relevant < 0 || o.concurrency < 1 || o.limit < 0 || o.leastShown < 1:
		return nil, usageError{errors.New("--size, --relevant, --concurrency and --min-impressions are 1 at least"), ""}
	case o.url != "" && (o.file != "" || o.cluster != ""):
		return nil, usageError{errors.New("--url names a rerankd that is running, and --cluster or --config what one of its own would do"), "leave one of them out"}
	}
	var err error
	if p.clicks.Model, err = eval.ParseClickModel(o.clicks); err != nil {
		return nil, usageError{err, ""}
	}
	p.clicks.Least = o.leastShown
	if err = p.readMeasures(o); err != nil {
		return nil, err
	}
	if err = p.readQueries(o); err != nil {
		return nil, asUsage(err)
	}
	if o.limit > 0 {
		p.queries = p.queries[:min(o.limit, len(p.queries))]
	}
	p.body.size = o.size
	if o.body != "" {
		data, err := os.ReadFile(o.body)
		if err != nil {
			return nil, usageError{err, ""}
		}
		size := 0
		if o.sized {
			size = o.size
		}
		if p.body, err = readSearchBody(o.body, data, size); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *evalPlan) readMeasures(o *evalOptions) error {
	p.measures = eval.DefaultMeasures()
	if len(o.measures) > 0 {
		p.measures = nil
	}
	add := func(text string) (eval.Measure, error) {
		m, err := eval.ParseMeasure(text)
		if err != nil {
			return m, usageError{err, ""}
		}
		if !slices.Contains(p.measures, m) {
			p.measures = append(p.measures, m)
		}
		return m, nil
	}
	for _, text := range o.measures {
		if _, err := add(text); err != nil {
			return err
		}
	}
	for _, text := range o.failBelow {
		name, value, _ := strings.Cut(text, "=")
		m, err := add(name)
		if err != nil {
			return err
		}
		least, err := strconv.ParseFloat(value, 64)
		if err != nil || least != least {
			return usageError{fmt.Errorf("%q is no guard", text), "it is a measure and the least difference, as in --fail-below ndcg@10=-0.01"}
		}
		p.guards = append(p.guards, guard{m, least})
	}
	return nil
}

// readQueries reads queries and judgments. Of queries that have no judgments none is asked where there are others.
func (p *evalPlan) readQueries(o *evalOptions) error {
	var set *eval.QuerySet
	var err error
	if o.queries != "" {
		if set, err = readFile(o.queries, func(f *os.File) (*eval.QuerySet, error) {
			return eval.ReadQueries(o.queries, f, eval.Format(o.queriesFormat))
		}); err != nil {
			return err
		}
		p.queries = set.Queries
	}
	if o.qrels == "" {
		return nil
	}
	if p.judged, err = readFile(o.qrels, func(f *os.File) (*eval.Judgments, error) {
		return eval.ReadQrels(o.qrels, f, eval.Format(o.qrelsFormat), set, p.clicks)
	}); err != nil {
		if _, ok := errors.AsType[*eval.SeldomError](err); ok {
			return hintedError{err, "a longer log says more, --min-impressions asks for less, and --clicks clicked judges everything that was shown"}
		}
		return err
	}
	p.relevant = cmp.Or(o.relevant, p.judged.Relevant)
	if set == nil {
		p.queries = p.judged.Queries
	}
	if set == nil && len(p.queries) == 0 {
		if !o.onlyRuns() {
			return usageError{fmt.Errorf("%s does not say what the queries' words are", o.qrels), "give --queries too"}
		}
		for id := range p.judged.Qrels {
			p.queries = append(p.queries, eval.Query{ID: id, Text: id})
		}
		slices.SortFunc(p.queries, func(a, b eval.Query) int { return strings.Compare(a.ID, b.ID) })
	}
	kept := p.queries[:0:0]
	for _, q := range p.queries {
		if len(p.judged.Qrels[q.ID]) > 0 {
			kept = append(kept, q)
		}
	}
	if len(kept) == 0 {
		return usageError{fmt.Errorf("no query of %s is judged in %s", o.queries, o.qrels), fmt.Sprintf("the ids must be the same: %q is the first of the queries", p.queries[0].ID)}
	}
	p.unasked, p.unjudged = len(p.judged.Qrels)-len(kept), len(p.queries)-len(kept)
	p.queries = kept
	return nil
}

// onlyRuns reports whether nothing is searched for.
func (o *evalOptions) onlyRuns() bool {
	return len(o.depth) == 0 && len(o.against) > 0 && !slices.ContainsFunc(append(slices.Clone(o.against), o.baseline), func(arm string) bool {
		return !strings.Contains(arm, "run=")
	})
}

// asUsage makes an error about what a file says one that ends with the code for it; its hint stays.
func asUsage(err error) error {
	var hinter interface{ Hint() string }
	hint := ""
	if errors.As(err, &hinter) {
		hint = hinter.Hint()
	}
	return usageError{err, hint}
}
