package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/schedule"
)

func newModelBenchCmd(e *environment) *cobra.Command {
	var o modelBenchOptions
	cmd := &cobra.Command{
		Use:   "bench [SOURCE]",
		Short: "Measure how fast a model is on this machine",
		Long: `Scores documents of several lengths with all workers busy, as under load, and says how many of
a typical length fit into a budget, of which a fifth is left for everything but scoring.
Lengths are in tokens of a query and a document together, as the model reads them.
Nothing else should run on the machine meanwhile.`,
		Example: `  rerankd model bench
  rerankd model bench mixedbread-ai/mxbai-rerank-xsmall-v1 --precision int8 --time 5s
  rerankd model bench ./my-model --json`,
		Args: atMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			source := "embedded"
			if len(args) > 0 {
				source = args[0]
			}
			return modelBench(cmd.Context(), e, o, source)
		},
	}
	cmd.Flags().StringVar(&o.precision, "precision", "", "fp32, fp16 or int8, where the source has several")
	cmd.Flags().StringVar(&o.directory, "directory", "", "where published models lie")
	cmd.Flags().IntVar(&o.workers, "workers", 0, "documents scored at once (default: the CPU quota)")
	cmd.Flags().DurationVar(&o.time, "time", time.Second, "how long each length is measured")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

type modelBenchOptions struct {
	precision, directory string
	workers              int
	time                 time.Duration
	json                 bool
}

// A modelBenchReport is what was measured.
type modelBenchReport struct {
	Source    string             `json:"source"`
	Precision string             `json:"precision"`
	Digest    string             `json:"digest"`
	Workers   int                `json:"workers"`
	LoadMS    float64            `json:"load_ms"` // warming up not included
	Lengths   []modelBenchLength `json:"lengths"`
	Typical   modelBenchLength   `json:"typical"` // the one of Lengths that Windows are of
	Windows   map[string]int     `json:"windows"` // documents that fit, by budget
}

type modelBenchLength struct {
	Tokens     int     `json:"tokens"`               // of a query and a document, as the model reads them
	Document   float64 `json:"ms_per_document"`      // on one worker
	Throughput float64 `json:"documents_per_second"` // of all workers
}

var (
	benchLengths = []int{32, 64, typicalTokens, 256, 512}
	benchBudgets = []time.Duration{150 * time.Millisecond, 300 * time.Millisecond, time.Second}
)

func modelBench(ctx context.Context, e *environment, o modelBenchOptions, source string) error {
	files, err := model.Open(source, source, o.precision, o.directory)
	if err != nil {
		return err
	}
	start := time.Now()
	r, err := e.open(files, config.Model{})
	if err != nil {
		return fmt.Errorf("loading the model: %w", err)
	}
	loaded := time.Since(start)
	pool := schedule.NewPool(o.workers)
	defer pool.Close()
	m := schedule.New(r, schedule.Options{Pool: pool})
	defer m.Close()
	if _, err := m.Warm(ctx); err != nil {
		return fmt.Errorf("warming the model: %w", err)
	}
	report := &modelBenchReport{
		Source: files.Source, Precision: files.Precision, Digest: files.Digest, Workers: pool.Workers(), LoadMS: float64(loaded.Microseconds()) / 1000,
		Windows: map[string]int{},
	}
	for _, tokens := range benchLengths {
		if tokens > files.MaxLength && len(report.Lengths) > 0 {
			break
		}
		length, err := benchLength(ctx, m, r, min(tokens, files.MaxLength), pool.Workers(), o.time)
		if err != nil {
			return err
		}
		report.Lengths = append(report.Lengths, length)
		if tokens <= typicalTokens {
			report.Typical = length
		}
	}
	for _, budget := range benchBudgets {
		// Of the times above, so that the two tables agree: m.Cost is drawn from the warm-up too.
		cost := schedule.Cost{Fixed: time.Duration(report.Typical.Document * float64(time.Millisecond)), Workers: pool.Workers()}
		report.Windows[budget.String()] = cost.Window(budget, report.Typical.Tokens)
	}
	if o.json {
		return printJSON(e.stdout, report)
	}
	return report.print(e)
}

// benchLength scores documents of one length for a while.
func benchLength(ctx context.Context, m *schedule.Model, r runner, tokens, workers int, atLeast time.Duration) (modelBenchLength, error) {
	const query = "how fast is this model"
	doc, err := textOf(r, query, tokens)
	if err != nil {
		return modelBenchLength{}, err
	}
	docs := make([]string, 8*workers)
	for i := range docs {
		docs[i] = doc
	}
	before, start := m.Stats(), time.Now()
	for time.Since(start) < atLeast {
		if _, err := m.Score(ctx, query, docs); err != nil {
			return modelBenchLength{}, err
		}
	}
	took, after := time.Since(start), m.Stats()
	scored := float64(after.Scored - before.Scored)
	return modelBenchLength{
		Tokens:     int((after.Tokens - before.Tokens) / (after.Scored - before.Scored)),
		Document:   took.Seconds() * 1000 * float64(workers) / scored,
		Throughput: scored / took.Seconds(),
	}, nil
}

// textOf is a text that has so many tokens beside the query and three special ones.
func textOf(r runner, query string, tokens int) (string, error) {
	ids, err := r.Tokenize(query)
	if err != nil {
		return "", err
	}
	want := tokens - len(ids) - 3
	const words = "a model reads the words of a document and of a query together and says how well one answers the other "
	text := strings.Repeat(words, 1+tokens/10)
	low, high := 0, len(text) // bytes between which the cut is
	for low < high {
		middle := (low + high + 1) / 2
		if ids, err = r.Tokenize(text[:middle]); err != nil {
			return "", err
		}
		if len(ids) <= want {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return text[:low], nil
}

func (r *modelBenchReport) print(e *environment) error {
	head := newTable()
	head.row("model", fmt.Sprintf("%s %s sha256:%.12s", r.Source, r.Precision, r.Digest))
	head.row("workers", fmt.Sprint(r.Workers))
	head.row("loading", fmt.Sprintf("%.0f ms", r.LoadMS))
	if err := head.print(e.stdout); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout)
	t := newTable("TOKENS", "MS A DOCUMENT", "DOCUMENTS A SECOND").numbers(0, 1, 2)
	for _, l := range r.Lengths {
		t.row(fmt.Sprint(l.Tokens), fmt.Sprintf("%.1f", l.Document), fmt.Sprintf("%.0f", l.Throughput))
	}
	if err := t.print(e.stdout); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout)
	w := newTable("BUDGET", fmt.Sprintf("DOCUMENTS OF %d TOKENS THAT FIT", r.Typical.Tokens)).numbers(0, 1)
	for _, budget := range benchBudgets {
		w.row(budget.String(), fmt.Sprint(r.Windows[budget.String()]))
	}
	return w.print(e.stdout)
}
