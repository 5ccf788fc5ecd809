package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/search"
)

func newCheckCmd(e *environment) *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check (--cluster URL | -c FILE)",
		Short: "Show what would be reranked, index by index, before anything is",
		Long: `Reads the mappings and some documents of each index, searches it once through a proxy of its
own, and shows: the fields that the model would read, and a text as it would read it; what a
document costs on this machine, and how many fit into the budget; what would be passed
untouched, and why. It only reads.

A fault of the configuration is shown with its line. Where anything needs attention the exit
code is 3.`,
		Example: `  rerankd check --cluster http://127.0.0.1:9200
  rerankd check -c rerankd.yaml --index 'products*' --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error { return check(cmd.Context(), e, o) },
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.index, "index", "", "look at these indices only: names or patterns, separated by commas")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

type checkOptions struct {
	askOptions
	index string
	json  bool
}

// A checkReport is everything that check finds.
type checkReport struct {
	Faults  []config.Fault `json:"faults,omitempty"` // of the configuration; then there is nothing else
	Cluster string         `json:"cluster"`
	Engine  string         `json:"engine"`
	Models  []modelReport  `json:"models"`

	Experiments []experimentReport `json:"experiments,omitempty"`
	Indices     []indexReport      `json:"indices"`
}

type modelReport struct {
	Name         string  `json:"name"`
	Source       string  `json:"source"`
	Precision    string  `json:"precision"`
	Digest       string  `json:"digest"`
	Milliseconds float64 `json:"ms_per_document"` // of 120 tokens on one worker
	Workers      int     `json:"workers"`
	Attention    string  `json:"attention,omitempty"` // why a server does not answer
}

type experimentReport struct {
	Name     string   `json:"name"`
	Rule     string   `json:"rule"`
	Phase    string   `json:"phase"` // off, shadow, or the share of the units that take part
	Assign   string   `json:"assign"`
	Unit     []string `json:"unit"`
	Variants []string `json:"variants"` // the control first
	Does     []string `json:"does"`     // what each does
}

type indexReport struct {
	Index        string        `json:"index"`
	Documents    int           `json:"documents"`
	Rule         string        `json:"rule,omitempty"`
	Fields       []string      `json:"fields"`
	Sample       string        `json:"sample,omitempty"` // a text as the model would read it
	Sampled      int           `json:"sampled"`          // documents looked at
	Without      int           `json:"without_text"`     // of them; they keep their places
	Tokens       int           `json:"tokens"`           // of a document, on average, with a query
	Milliseconds float64       `json:"ms_per_document"`
	Window       int           `json:"window"` // in force
	Fits         int           `json:"fits"`   // documents like these that fit into the budget
	Reranked     bool          `json:"reranked"`
	Reason       search.Reason `json:"reason,omitempty"` // why not
	Attention    string        `json:"attention,omitempty"`
}

func check(ctx context.Context, e *environment, o checkOptions) error {
	report, err := o.look(ctx, e)
	if faults, ok := errors.AsType[*config.Error](err); ok {
		report, err = &checkReport{Faults: faults.Faults}, nil
	}
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(e.stdout, report)
	} else {
		err = report.print(e.stdout)
	}
	if err != nil {
		return err
	}
	if n := report.attention(); n > 0 {
		return foundError(n)
	}
	return nil
}

// attention counts what somebody has to look at.
func (r *checkReport) attention() int {
	n := len(r.Faults)
	for _, m := range r.Models {
		if m.Attention != "" {
			n++
		}
	}
	for _, i := range r.Indices {
		if i.Attention != "" {
			n++
		}
	}
	return n
}

func (o checkOptions) look(ctx context.Context, e *environment) (*checkReport, error) {
	c, err := o.load(e)
	if err != nil {
		return nil, err
	}
	experiments := c.Experiments
	a, err := newAsker(ctx, e, o.askOptions, c)
	if err != nil {
		return nil, err
	}
	defer a.close()
	r := &checkReport{Cluster: strings.Join(c.Cluster.URLs, ", ")}
	running := a.program.now.Load()
	mappings, err := a.mappings(ctx, o.index)
	if err != nil {
		return nil, err
	}
	if len(mappings) == 0 && o.index != "" {
		return nil, a.statusError(http.StatusNotFound, "the mapping", o.index, nil) // what a cluster says of a name, and not of a pattern
	}
	r.Engine = engineName(running.backend.Engine())
	for name, m := range running.models {
		report := modelReport{Name: name, Source: m.files.Source, Precision: m.files.Precision, Digest: m.files.Digest,
			Milliseconds: milliseconds(m.cost, typicalTokens), Workers: m.cost.Workers}
		if m.fault != nil {
			report.Attention = m.fault.Error()
		}
		r.Models = append(r.Models, report)
	}
	for _, e := range experiments {
		r.Experiments = append(r.Experiments, describeExperiment(e))
	}
	slices.SortFunc(r.Models, func(a, b modelReport) int { return strings.Compare(a.Name, b.Name) })
	names := make([]string, 0, len(mappings))
	for name := range mappings {
		if o.index != "" || !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		i, err := a.checkIndex(ctx, name, mappings[name])
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			i.Attention = err.Error()
		}
		r.Indices = append(r.Indices, i)
	}
	return r, nil
}

// mappings asks for the mappings of indices, by index, each in the form of an answer for that index alone.
func (a *asker) mappings(ctx context.Context, indices string) (map[string][]byte, error) {
	body, err := a.mapping(ctx, indices)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, hintedError{fmt.Errorf("reading the mappings: %w", err), "is this the URL of an Elasticsearch or OpenSearch?"}
	}
	each := make(map[string][]byte, len(all))
	for name, m := range all {
		one, err := json.Marshal(map[string]json.RawMessage{name: m})
		if err != nil {
			return nil, fmt.Errorf("reading the mapping of %s: %w", name, err)
		}
		each[name] = one
	}
	return each, nil
}

func describeExperiment(e config.Experiment) experimentReport {
	report := experimentReport{Name: e.Name, Rule: e.Rule, Phase: stepOf(e).String(), Assign: e.Assign}
	for _, u := range e.Unit {
		report.Unit = append(report.Unit, u.String())
	}
	for i, v := range designOf(e).Variants {
		rule := e.Variants[i].Rule
		does := "not reranked"
		if !rule.Rerank.IsOff() {
			var models []string
			for _, s := range rule.Stages {
				models = append(models, s.Model)
			}
			does = fmt.Sprintf("by %s in %s, fusion %s", strings.Join(models, " then "), rule.Budget, rule.Fusion.Method)
			if rule.Fusion.Method != "replace" {
				does += fmt.Sprintf(" %v", rule.Fusion.Weight)
			}
		}
		if e.Assign == config.AssignSplit {
			does = config.Percent(math.Round(1e6*v.Share)/1e4).String() + ": " + does // a third has no end
		}
		report.Variants, report.Does = append(report.Variants, v.Name), append(report.Does, does)
	}
	return report
}

// sampleSize is the documents looked at: enough for an average, few enough for a cluster at work.
const sampleSize = 20

// checkIndex looks at some documents of an index, and then searches it with words from one of them.
func (a *asker) checkIndex(ctx context.Context, name string, mapping []byte) (indexReport, error) {
	r := indexReport{Index: name, Fields: proxy.Choose(nil, mapping).Paths()}
	all, err := a.search(ctx, name, map[string]any{"size": sampleSize, "track_total_hits": true}, false)
	if err != nil {
		return r, err
	}
	r.Documents = all.matches()
	words := sampleWords(all.Response, r.Fields)
	if words == "" {
		words = "anything" // an index without text is still covered by a rule or not
	}
	query := map[string]any{"multi_match": map[string]any{"query": words, "lenient": true}}
	if len(r.Fields) > 0 {
		query["multi_match"].(map[string]any)["fields"] = r.Fields
	}
	probe, err := a.search(ctx, name, map[string]any{"query": query}, true)
	if err != nil {
		return r, err
	}
	r.Rule, r.Reason, r.Reranked = probe.rule, probe.reason, probe.outcome == "applied"
	if len(probe.fields) > 0 {
		r.Fields = probe.fields
	}
	a.price(&r, all.Response, words)
	// With few documents there may be nothing to reorder today, and something tomorrow.
	if r.Reason == search.OneHit || r.Reason == search.NoHits && r.Tokens > 0 {
		r.Reranked = true
	}
	return r, nil
}

// price says what documents like these cost under the rule that covers them, and whether its window fits.
func (a *asker) price(r *indexReport, docs *search.Response, words string) {
	running := a.program.now.Load()
	i := slices.IndexFunc(running.rules, func(rule proxy.Rule) bool { return rule.Name == r.Rule })
	if i < 0 || running.rules[i].Off {
		return
	}
	rule, configured := running.rules[i], running.config.EffectiveRules()[i]
	m := running.models[configured.Stages[0].Model]
	template := search.FieldsTemplate(r.Fields)
	if rule.Template != "" {
		if t, err := search.ParseTemplate(rule.Template); err == nil { // assemble has read it before
			template = t
			r.Fields = t.Fields()
		}
	}
	for hit := range docs.Hits() {
		r.Sampled++
		text := docs.Text(hit, template)
		if text == "" {
			r.Without++
			continue
		}
		if r.Sample == "" {
			r.Sample = text
		}
		r.Tokens += m.tokens(words, text)
	}
	r.Window = rule.Window
	if with := r.Sampled - r.Without; with > 0 {
		r.Tokens /= with
		r.Milliseconds = milliseconds(m.cost, r.Tokens)
		r.Fits = m.cost.Window(rule.Budget, r.Tokens)
	}
	rest := rule.Budget
	tight := ""
	for k, s := range running.stages[i] {
		need := takes(running.models[s.Model].cost, s.Window, r.Tokens)
		if k > 0 && min(need, rest) < need/2 {
			tight = cmp.Or(tight, s.Model)
			continue
		}
		rest -= min(need, rest)
	}
	switch {
	case r.Tokens > 0 && tight != "":
		r.Attention = fmt.Sprintf("the stages of rule %s need more than %s for documents like these, and model %s is left out; smaller windows, or a larger budget, let it in",
			rule.Name, rule.Budget.Round(time.Millisecond), tight)
	case r.Sampled > 0 && r.Without == r.Sampled && (len(rule.Fields) > 0 || rule.Template != ""):
		r.Attention = fmt.Sprintf("the fields of rule %s hold no text in this index", rule.Name)
	case configured.Stages[0].Window > 0 && r.Fits > 0 && r.Window > r.Fits:
		r.Attention = fmt.Sprintf("the window of rule %s, %d hits, does not fit into %s; %d do, and the rest keeps the cluster's order",
			rule.Name, r.Window, rule.Budget.Round(time.Millisecond), r.Fits)
	}
}

// sampleWords are the first words of the first document with a text.
func sampleWords(docs *search.Response, fields []string) string {
	template := search.FieldsTemplate(fields)
	for hit := range docs.Hits() {
		if words := strings.Fields(docs.Text(hit, template)); len(words) > 0 {
			return strings.Join(words[:min(len(words), 4)], " ")
		}
	}
	return ""
}

func engineName(e backends.Engine) string {
	name := map[string]string{config.KindElasticsearch: "Elasticsearch", config.KindOpenSearch: "OpenSearch"}[e.Kind]
	if name == "" {
		return "unknown engine"
	}
	return strings.TrimSpace(name + " " + e.Version)
}
