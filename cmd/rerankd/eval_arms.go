package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank/eval"
)

// An arm is one of the ways in which every query is searched for.
type arm struct {
	name string
	armSetting
	run eval.Run // of a file, instead of searching

	asker    *evalAsker // nil where run is not
	searches string     // the index
	fields   []string   // that are searched in; nil where the body says it
}

// An armSetting is what the flags --baseline and --against say: settings with commas between.
type armSetting struct {
	rerank string // "on", "off"
	window int    // 0: the rule's
	index  string // "": as --index says
	url    string // of a rerankd, or of a cluster; "": as --url says, or a rerankd of our own
	file   string // a run file

	settings armConfig
}

// An armConfig is what only a rerankd of our own can be made to do. Arms with the same share one.
type armConfig struct {
	config string // file, instead of that of --config
	rule   string // of the configuration, for every index
	model  string // instead of the rules' own: a name in the configuration, or a source
	fusion string // method
	weight float64
	budget time.Duration
	deep   bool // the rules' windows are as large as the largest that any arm asks for
}

const armHelp = `on, off, or settings with commas between: window=N, model=SOURCE, rule=NAME, fusion=METHOD, weight=N, budget=TIME, config=FILE, url=URL, index=NAME, run=FILE, name=LABEL`

// parseArm reads an arm as a flag says it.
func parseArm(text string) (*arm, error) {
	a := &arm{name: text, armSetting: armSetting{rerank: "on"}}
	fault := func(what string) error {
		return usageError{fmt.Errorf("%q is not a way to search: %s", text, what), "it is " + armHelp}
	}
	for setting := range strings.SplitSeq(text, ",") {
		key, value, valued := strings.Cut(strings.TrimSpace(setting), "=")
		var err error
		switch {
		case !valued && (key == "on" || key == "off"):
			a.rerank = key
			continue
		case !valued || value == "":
			return nil, fault(fmt.Sprintf("%q has no value", key))
		case key == "window":
			if a.window, err = strconv.Atoi(value); err != nil || a.window < 1 {
				return nil, fault("a window is a number of hits")
			}
		case key == "weight":
			if a.settings.weight, err = strconv.ParseFloat(value, 64); err != nil || !(a.settings.weight > 0 && a.settings.weight <= 1) {
				return nil, fault("a weight is above 0 and at most 1")
			}
		case key == "budget":
			if a.settings.budget, err = time.ParseDuration(value); err != nil || a.settings.budget <= 0 {
				return nil, fault("a budget is a time, such as 300ms")
			}
		default:
			text, ok := map[string]*string{
				"name": &a.name, "index": &a.index, "url": &a.url, "run": &a.file, "config": &a.settings.config,
				"rule": &a.settings.rule, "model": &a.settings.model, "fusion": &a.settings.fusion,
			}[key]
			if !ok {
				return nil, fault(fmt.Sprintf("there is no setting %q", key))
			}
			*text = value
		}
	}
	switch {
	case a.file != "" && (a.window > 0 || a.index != "" || a.url != "" || a.settings != armConfig{}):
		return nil, fault("a run file has been searched for already, and takes no other setting")
	case a.url != "" && a.settings != armConfig{}:
		return nil, fault("a rerankd at a URL has a configuration of its own")
	}
	if a.file != "" && a.name == text {
		a.name = strings.TrimSuffix(filepath.Base(a.file), filepath.Ext(a.file))
	}
	a.url = strings.TrimSuffix(a.url, "/")
	return a, nil
}

// arms are the ways to search that the flags ask for, the baseline first.
func (o *evalOptions) arms() ([]*arm, error) {
	baseline, err := parseArm(o.baseline)
	if err != nil {
		return nil, err
	}
	arms := []*arm{baseline}
	against := o.against
	if len(o.depth) > 0 {
		if len(against) > 1 {
			return nil, usageError{errors.New("--depth tries the windows of one way to search"), "give one --against, or none"}
		}
		way := append(slices.Clone(against), "on")[0]
		against = nil
		for _, depth := range o.depth {
			if depth < 1 {
				return nil, usageError{fmt.Errorf("there is no window of %d hits", depth), "--depth 10,20,50"}
			}
			against = append(against, fmt.Sprintf("%s,window=%d,name=%d", way, depth, depth))
		}
	}
	if len(against) == 0 {
		against = []string{"on"}
	}
	for _, text := range against {
		a, err := parseArm(text)
		if err != nil {
			return nil, err
		}
		arms = append(arms, a)
	}
	names := map[string]bool{}
	for _, a := range arms {
		if names[a.name] {
			return nil, usageError{fmt.Errorf("two ways to search are called %q", a.name), "give one of them another name: --against on,name=again"}
		}
		names[a.name] = true
		if a.file == "" {
			a.url = cmp.Or(a.url, strings.TrimSuffix(o.url, "/"))
			if a.url != "" && a.settings != (armConfig{}) {
				return nil, usageError{fmt.Errorf("%q needs a rerankd of its own, and --url names one", a.name), "give --cluster instead of --url"}
			}
			a.settings.budget = cmp.Or(a.settings.budget, o.budget)
			a.settings.deep = a.url == "" && a.window > 0 && a.rerank == "on"
		}
	}
	// What is off can be asked of any.
	if b := arms[0]; b.rerank == "off" && b.settings.config == "" && b.file == "" && b.url == "" && arms[1].file == "" && arms[1].url == "" {
		b.settings = arms[1].settings
	}
	return arms, nil
}

// openArms reads the run files, and starts what is to be asked. close must follow.
func openArms(ctx context.Context, e *environment, o *evalOptions, arms []*arm) (close func(), err error) {
	askers := map[any]*evalAsker{} // by URL or configuration
	closeAll := func() {
		for _, a := range askers {
			a.close()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	deepest := 0
	for _, a := range arms {
		deepest = max(deepest, a.window)
	}
	for _, a := range arms {
		if a.file != "" {
			if a.run, err = readFile(a.file, func(f *os.File) (eval.Run, error) { return eval.ReadRun(a.file, f) }); err != nil {
				return nil, err
			}
			continue
		}
		if a.searches = cmp.Or(a.index, o.index); a.searches == "" {
			return nil, usageError{errors.New("there is no index to search"), "give --index; rerankd check lists them"}
		}
		key := any(a.url)
		if a.url == "" {
			key = a.settings
		}
		if askers[key] == nil {
			asker, err := newEvalAsker(ctx, e, o, a, deepest)
			if err != nil {
				return nil, err
			}
			askers[key] = asker
		}
		a.asker = askers[key]
		if o.body == "" {
			if a.fields, err = a.asker.searchFields(ctx, a.searches, o.fields); err != nil {
				return nil, err
			}
		}
	}
	return closeAll, nil
}

// armConfiguration is that of a rerankd of our own.
func armConfiguration(e *environment, o *evalOptions, s armConfig, deepest int) (*config.Config, error) {
	from := o.clusterOptions
	from.file = cmp.Or(s.config, from.file)
	c, err := from.load(e)
	if err != nil {
		return nil, err
	}
	c.Rules = slices.Clone(c.EffectiveRules())
	if s.rule != "" {
		i := slices.IndexFunc(c.Rules, func(r config.Rule) bool { return r.Name == s.rule })
		if i < 0 {
			return nil, usageError{fmt.Errorf("there is no rule %q in %s", s.rule, cmp.Or(from.file, "the defaults")), "rerankd check shows the rules"}
		}
		c.Rules = []config.Rule{c.Rules[i]}
		c.Rules[0].Indices = nil
	}
	model := s.model
	if _, configured := c.Models[model]; model != "" && !configured {
		model = "of-this-evaluation"
		c.Models = maps.Clone(c.Models)
		c.Models[model] = config.Model{Source: s.model}
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		r.Stages = slices.Clone(r.Stages)
		if model != "" {
			r.Stages = []config.Stage{{Model: model, Window: r.Stages[0].Window}}
		}
		if s.deep {
			r.Stages[0].Window = deepest
		}
		if len(o.fields) > 0 {
			r.Fields, r.Template = withoutBoosts(o.fields), ""
		}
		r.Fusion.Method = cmp.Or(s.fusion, r.Fusion.Method)
		r.Fusion.Weight = cmp.Or(s.weight, r.Fusion.Weight)
		r.Budget = config.Duration(cmp.Or(s.budget, time.Duration(r.Budget)))
	}
	// Every search is to cost what one costs that nobody has sent before.
	c.Caches = config.Caches{}
	c.Admin.Listen = string(config.Off)
	return c, c.Validate()
}

// readFile opens a file and has it read.
func readFile[T any](name string, read func(*os.File) (T, error)) (T, error) {
	f, err := os.Open(name)
	if err != nil {
		var none T
		return none, usageError{err, ""}
	}
	defer f.Close()
	return read(f)
}
