package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/schedule"
)

func newRankCmd(e *environment) *cobra.Command {
	var o rankOptions
	cmd := &cobra.Command{
		Use:   `rank "QUERY" [FILE...] < documents`,
		Short: "Rank lines of text by a model alone, with no cluster",
		Long: `Reads documents from the files, or from standard input, has the model score each of them for
the query, and prints them in the model's order, best first.

A document is a line. Where the first line of an input is JSON, every line is: a string, or
an object of which --fields are read (objects in objects by dots, as in author.name).
--input says it outright. Blank lines, and objects without a text in any of the fields, are
left out.

The score is the sigmoid of the model's logit, between 0 and 1; the order is that of the
logits. On a terminal, texts are cut to its width. With --json each line of the output is an
object: rank (from 1), index (of the input's line, from 0), score, logit, document.

The model is the one inside the program, or by --model a directory, a published model under
--directory, or one by its name in the configuration file that --config names.`,
		Example: `  rerankd rank "how do fish breathe" < sentences.txt
  rerankd rank "red shoes" catalogue.ndjson --fields title,description --top-k 3
  jq -c '.hits.hits[]._source' answer.json | rerankd rank "red shoes" --fields title --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 || strings.TrimSpace(args[0]) == "":
				return usageError{fmt.Errorf("%s takes the query as its first argument", cmd.CommandPath()), `put it in quotes: rerankd rank "red shoes" < documents`}
			case !utf8.ValidString(args[0]):
				return usageError{errors.New("the query is not text in UTF-8"), ""}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return rank(cmd.Context(), e, o, args[0], args[1:]) },
	}
	cmd.Flags().StringVarP(&o.model, "model", "m", "", "embedded (the default), a directory, a published model, or a name in the configuration file")
	cmd.Flags().StringVarP(&o.file, "config", "c", "", "configuration file, for the models that it names")
	cmd.Flags().StringVar(&o.precision, "precision", "", "fp32, fp16 or int8, where the model has several")
	cmd.Flags().StringVar(&o.directory, "directory", "", "where published models lie")
	cmd.Flags().IntVarP(&o.top, "top-k", "k", 0, "print so many of the best; 0, the default, is all")
	cmd.Flags().StringSliceVar(&o.fields, "fields", nil, "read these fields of JSON objects")
	cmd.Flags().StringVar(&o.input, "input", inputAuto, "lines, json, or auto: JSON where an input's first line is")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON, an object a line")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that is not there
	return cmd
}

type rankOptions struct {
	model, file, precision, directory string
	top                               int
	fields                            []string
	input                             string
	json                              bool
}

func rank(ctx context.Context, e *environment, o rankOptions, query string, files []string) error {
	switch {
	case o.top < 0:
		return usageError{fmt.Errorf("cannot print %d documents", o.top), "--top-k 0 prints all"}
	case !slices.Contains([]string{inputAuto, inputLines, inputJSON}, o.input):
		return usageError{fmt.Errorf("there is no input of %s", o.input), "--input may be auto, lines or json"}
	case o.input == inputLines && len(o.fields) > 0:
		return usageError{errors.New("--fields are of JSON objects, and --input lines has none"), "leave one of them out"}
	}
	name, c, err := o.configured(e)
	if err != nil {
		return err
	}
	scorer, closeScorer, err := openScorer(e, name, c)
	if err != nil {
		return err
	}
	defer closeScorer()
	if len(files) == 0 && isTerminal(e.stdin) && isTerminal(e.stderr) {
		fmt.Fprintln(e.stderr, "Reading documents, one a line; Ctrl-D ends them.")
	}
	r := ranked{top: o.top}
	if err := r.score(ctx, e, scorer, query, &documentReader{format: o.input, fields: o.fields, files: files, stream: e.stdin}); err != nil {
		return err
	}
	switch {
	case r.scored == 0 && r.left == 0:
		return hintedError{errors.New("there is nothing to rank: the input is empty"), "a document is a line of the files, or of standard input"}
	case r.scored == 0:
		return hintedError{fmt.Errorf("no document has a text in %s", strings.Join(o.fields, ", ")), "the first one is " + clip(string(r.without.raw), 200)}
	case r.left > 0:
		fmt.Fprintf(e.stderr, "%s left out: no text in %s (the first on line %d)\n", count(r.left, "document"), strings.Join(o.fields, ", "), r.without.index+1)
	}
	r.sort()
	if o.json {
		return r.printJSON(e.stdout)
	}
	return r.print(e.stdout)
}

// configured is the model that the flags mean, and its name.
func (o rankOptions) configured(e *environment) (string, config.Model, error) {
	if o.file == "" {
		source := cmp.Or(o.model, "embedded")
		if (config.Model{Source: source}).IsRemote() {
			return "", config.Model{}, usageError{errors.New("a URL alone does not say how the server is asked"),
				"put source and protocol under models in a file, and give -c FILE --model NAME"}
		}
		return source, config.Model{Source: source, Precision: o.precision, Directory: o.directory}, nil
	}
	c, err := e.readConfig(o.file)
	if err != nil {
		return "", config.Model{}, err
	}
	name := o.model
	if name == "" && len(c.Models) == 1 {
		for only := range c.Models {
			name = only
		}
	}
	m, ok := c.Models[name]
	if !ok {
		var names []string
		for known := range c.Models {
			names = append(names, known)
		}
		slices.Sort(names)
		fault := fmt.Errorf("%s has no model %q", o.file, name)
		if name == "" {
			fault = fmt.Errorf("%s has %d models", o.file, len(names))
		}
		return "", config.Model{}, usageError{fault, "give --model, one of " + strings.Join(names, ", ")}
	}
	m.Precision, m.Directory = cmp.Or(o.precision, m.Precision), cmp.Or(o.directory, m.Directory)
	return name, m, nil
}

// openScorer loads a model for use outside of the proxy: with no deadline to keep, nothing has to be measured first.
func openScorer(e *environment, name string, c config.Model) (_ rerank.Scorer, close func(), err error) {
	if c.IsRemote() {
		s, err := newRemote(c)
		if err != nil {
			return nil, nil, err
		}
		return s, s.Close, nil
	}
	files, err := model.Open(name, c.Source, c.Precision, c.Directory)
	if err != nil {
		return nil, nil, err
	}
	r, err := e.open(files, c)
	if err != nil {
		return nil, nil, fmt.Errorf("loading the model: %w", err)
	}
	m := schedule.New(r, schedule.Options{Workers: c.Workers, Queue: c.Queue})
	return m, m.Close, nil
}

// A ranked is documents with their scores, of which no more than needed are kept.
type ranked struct {
	top     int // 0: all
	best    []rankedDocument
	scored  int
	left    int      // documents without a text
	without document // the first of them
}

type rankedDocument struct {
	document
	logit float32
}

// score reads and scores all documents. The next are read while the model is at work.
func (r *ranked) score(ctx context.Context, e *environment, scorer rerank.Scorer, query string, docs *documentReader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan []document, 1)
	var failed error // of reading; to be looked at when batches is closed
	go func() {      // which a stream that says nothing holds up beyond our end
		defer close(batches)
		failed = docs.read(ctx, batches)
	}()
	p := newProgress(e.stderr)
	defer p.remove()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case batch, ok := <-batches:
			if !ok {
				return failed
			}
			if err := r.add(ctx, scorer, query, batch); err != nil {
				return err
			}
			p.show(r.scored)
		}
	}
}

func (r *ranked) add(ctx context.Context, scorer rerank.Scorer, query string, batch []document) error {
	texts := make([]string, 0, len(batch))
	kept := batch[:0]
	for _, d := range batch {
		if d.text == "" {
			if r.left++; r.left == 1 {
				r.without = d
			}
			continue
		}
		kept, texts = append(kept, d), append(texts, d.text)
	}
	logits, err := scorer.Score(ctx, query, texts)
	if errors.Is(err, rerank.ErrLanguage) {
		return hintedError{fmt.Errorf("scoring: %w", err), "a model for more languages may be given with --model"}
	}
	if err != nil {
		return fmt.Errorf("scoring: %w", err)
	}
	if len(logits) != len(texts) {
		return fmt.Errorf("scoring: %d scores for %s", len(logits), count(len(texts), "document"))
	}
	for i, logit := range logits {
		if f := float64(logit); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("scoring: the score of line %d is %v", kept[i].index+1, logit)
		}
		r.best = append(r.best, rankedDocument{kept[i], logit})
	}
	r.scored += len(kept)
	if r.top > 0 && len(r.best) > 2*r.top+batchSize {
		r.sort()
	}
	return nil
}

// sort puts the best first, of equals the one that came first, and drops what will not be shown.
func (r *ranked) sort() {
	slices.SortFunc(r.best, func(a, b rankedDocument) int {
		return cmp.Or(cmp.Compare(b.logit, a.logit), cmp.Compare(a.index, b.index))
	})
	if r.top > 0 && len(r.best) > r.top {
		clear(r.best[r.top:])
		r.best = r.best[:r.top]
	}
}

func sigmoid(logit float32) float64 { return 1 / (1 + math.Exp(-float64(logit))) }

// minTextWidth is what a text is given on the narrowest of terminals.
const minTextWidth = 20

func (r *ranked) print(w io.Writer) error {
	room := math.MaxInt
	if width := terminalWidth(w); width > 0 {
		room = max(width-len(fmt.Sprint(len(r.best)))-len("  0.0000  "), minTextWidth)
	}
	t := newTable("", "SCORE", "DOCUMENT").numbers(0, 1)
	for i, d := range r.best {
		t.row(fmt.Sprint(i+1), fmt.Sprintf("%.4f", sigmoid(d.logit)), clip(strings.ReplaceAll(strings.TrimSpace(d.text), "\n", " · "), room))
	}
	return t.print(w)
}

// terminalWidth is the columns of the terminal that w is; 0 where it is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func (r *ranked) printJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i, d := range r.best {
		line := struct {
			Rank     int     `json:"rank"`
			Index    int     `json:"index"`
			Score    float64 `json:"score"`
			Logit    float32 `json:"logit"`
			Document any     `json:"document"`
		}{i + 1, d.index, sigmoid(d.logit), d.logit, d.text}
		if d.raw != nil {
			line.Document = d.raw
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// A progress shows on a terminal how many documents have been scored, once that has taken a second, and is gone at the end. How many are
// to come, nobody knows.
type progress struct {
	w            io.Writer // nil: no terminal
	began, shown time.Time
}

func newProgress(w io.Writer) *progress {
	p := &progress{began: time.Now()}
	if isTerminal(w) {
		p.w = w
	}
	return p
}

func (p *progress) show(scored int) {
	took := time.Since(p.began)
	if p.w == nil || took < time.Second || time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.w, "\r\x1b[K%s scored, %.0f a second", count(scored, "document"), float64(scored)/took.Seconds())
}

func (p *progress) remove() {
	if !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
