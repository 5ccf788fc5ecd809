package main

import (
	"cmp"
	"time"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// typicalTokens are those of a query and a document of some sentences.
const typicalTokens = 120

// The bounds of a window that nobody has set: below the first there is little to reorder, above the second the cluster's own work and
// the size of its answer begin to show.
const (
	minWindow = 10
	maxWindow = 50
)

// newStages makes a rule's stages of its models, which are given in their order.
func newStages(c *config.Config, r config.Rule, models []*loadedModel) ([]rerank.Stage, error) {
	costs := make([]schedule.Cost, len(models))
	for i, m := range models {
		costs[i] = m.cost
	}
	stages := make([]rerank.Stage, len(models))
	for i, window := range windows(r.Stages, costs, time.Duration(r.Budget)) {
		stage, err := newStage(c, r.Stages[i].Model, models[i])
		if err != nil {
			return nil, err
		}
		stage.Window = window
		if r.LongTexts == "passages" {
			stage.Passages = r.Passages
		}
		stages[i] = stage
	}
	return stages, nil
}

// newStage is a stage of a model, with what the model's files and the configuration say of its texts.
func newStage(c *config.Config, name string, m *loadedModel) (rerank.Stage, error) {
	configured := c.Models[name].Languages
	scripts, err := rerank.ScriptsOf(cmp.Or(configured, m.files.Languages))
	if err != nil && configured != "" {
		return rerank.Stage{}, hintedFault(c, "models."+name+".languages", hintedError{err, `codes such as "en" or "zh, en", or "multilingual"`})
	}
	return rerank.Stage{
		Model: name, Scorer: m.model, Scripts: scripts,
		PassageSize: passageSize(cmp.Or(c.Models[name].MaxLength, m.files.MaxLength)),
	}, nil
}

// passageSize is the bytes of a passage for a model that takes so many tokens: the tokens of most languages have three to five bytes, and
// with two for each of the model's there is room for the query. Above 1000 the passages would be fewer, and each would cost more.
func passageSize(tokens int) int {
	const most = 1000
	if tokens <= 0 {
		return most
	}
	return min(most, 2*tokens)
}

// windows are how deep the stages look. Where nothing is said, it is what fits: for a later stage, into as large a share of the budget as
// that of any other, and for the first into what the later ones leave.
func windows(stages []config.Stage, costs []schedule.Cost, budget time.Duration) []int {
	windows := make([]int, len(stages))
	left := budget
	for i := len(stages) - 1; i > 0; i-- {
		windows[i] = cmp.Or(stages[i].Window, window(costs[i], budget/time.Duration(len(stages))))
		left -= takes(costs[i], windows[i], typicalTokens)
	}
	windows[0] = cmp.Or(stages[0].Window, window(costs[0], left))
	for i := 1; i < len(windows); i++ {
		windows[i] = min(windows[i], windows[i-1])
	}
	return windows
}

// window is what fits into the time.
func window(c schedule.Cost, budget time.Duration) int {
	return min(max(c.Window(budget, typicalTokens), minWindow), maxWindow)
}

// takes is the time in which all workers together score so many documents.
func takes(c schedule.Cost, documents, tokens int) time.Duration {
	return c.Document(tokens) * time.Duration(documents) / time.Duration(max(c.Workers, 1))
}
