package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/search"
)

func newCompareCmd(e *environment) *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:   `compare "QUERY" (--cluster URL | -c FILE) --index INDEX`,
		Short: "Show one search as the cluster answers it, and reranked, side by side",
		Long: `Searches an index for the words, as the cluster alone would answer and through a proxy of its
own, and shows both pages with what moved from where, and the times.`,
		Example: `  rerankd compare "red shoes" --cluster http://127.0.0.1:9200 --index products
  rerankd compare "red shoes" -c rerankd.yaml --index products --fields title,description --budget 1s`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || strings.TrimSpace(args[0]) == "" {
				return usageError{fmt.Errorf("%s takes the words to search for as one argument, and got %d", cmd.CommandPath(), len(args)),
					`put them in quotes: rerankd compare "red shoes" …`}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return compare(cmd.Context(), e, o, args[0]) },
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.index, "index", "", "the index to search")
	cmd.Flags().StringSliceVar(&o.fields, "fields", nil, "fields to search in, and to read (default: as serve chooses them)")
	cmd.Flags().IntVar(&o.size, "size", 10, "hits to show")
	cmd.Flags().DurationVar(&o.budget, "budget", 0, "what reranking may add (default: the rule's)")
	return cmd
}

type compareOptions struct {
	askOptions
	index  string
	fields []string
	size   int
	budget time.Duration
}

func compare(ctx context.Context, e *environment, o compareOptions, query string) error {
	if o.index == "" {
		return usageError{errors.New("there is no index to search"), "give --index; rerankd check lists them"}
	}
	if o.size < 1 {
		return usageError{fmt.Errorf("cannot show %d hits", o.size), ""}
	}
	c, err := o.load(e)
	if err != nil {
		return err
	}
	c.Rules = c.EffectiveRules()
	for i := range c.Rules {
		if o.budget > 0 {
			c.Rules[i].Budget = config.Duration(o.budget)
		}
		if len(o.fields) > 0 {
			c.Rules[i].Fields, c.Rules[i].Template = withoutBoosts(o.fields), ""
		}
	}
	a, err := newAsker(ctx, e, o.askOptions, c)
	if err != nil {
		return err
	}
	defer a.close()
	running := a.program.now.Load()
	if len(o.fields) == 0 {
		mapping, err := a.mapping(ctx, o.index)
		if err != nil {
			return err
		}
		if o.fields = proxy.Choose(nil, mapping).Paths(); len(o.fields) == 0 {
			return fmt.Errorf("%s has no text field to search in", o.index)
		}
	}
	depth := o.size
	for _, r := range running.rules {
		depth = max(depth, r.Window)
	}
	body := map[string]any{
		"query": map[string]any{"multi_match": map[string]any{"query": query, "fields": o.fields, "lenient": true}},
		"size":  depth,
	}
	before, err := a.search(ctx, o.index, body, false)
	if err != nil {
		return err
	}
	body["size"] = o.size
	after, err := a.search(ctx, o.index, body, true)
	if err != nil {
		return err
	}
	return printComparison(e.stdout, query, o, before, after)
}

// sideWidth is what a title may take on each side of 100 columns.
const sideWidth = 42

func printComparison(w io.Writer, query string, o compareOptions, before, after *answer) error {
	fmt.Fprintf(w, "%q in %s, by %s\n\n", clip(query, 80), o.index, strings.Join(o.fields, ", "))
	if before.Hits() == 0 {
		_, err := fmt.Fprintln(w, "Nothing matches.")
		return err
	}
	template := search.FieldsTemplate(withoutBoosts(o.fields))
	places := map[string]int{} // of the cluster's hits
	for i := range before.Hits() {
		places[before.Index(i)+"/"+before.ID(i)] = i
	}
	t := newTable("", "THE CLUSTER'S ORDER", "MOVED", "RERANKED").numbers(0)
	for i := range min(o.size, before.Hits()) {
		row := []string{fmt.Sprint(i + 1), title(before.Response, i, template), "", ""}
		if i < after.Hits() {
			row[3] = title(after.Response, i, template)
			if from, ok := places[after.Index(i)+"/"+after.ID(i)]; ok {
				row[2] = move(from, i)
			}
		}
		t.row(row...)
	}
	if err := t.print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if after.outcome != "applied" {
		_, err := fmt.Fprintf(w, "Not reranked: %s. The cluster took %s.\n", strings.TrimSuffix(explainReason(after.reason)+", "+after.detail, ", "), short(after.cluster))
		return err
	}
	_, err := fmt.Fprintf(w, "The model read %d of %s: %s after the cluster's %s.\n", after.scored, count(after.window, "hit"), short(after.ranking), short(after.cluster))
	return err
}

// withoutBoosts makes title of title^3.
func withoutBoosts(fields []string) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i], _, _ = strings.Cut(f, "^")
	}
	return names
}

// title is what a person knows a hit by: the beginning of the text that is searched in.
func title(r *search.Response, i int, t search.Template) string {
	text := strings.ReplaceAll(strings.TrimSpace(r.Text(i, t)), "\n", " · ")
	if text == "" {
		text = r.ID(i)
	}
	return clip(text, sideWidth)
}

// move says how far up or down a hit came.
func move(from, to int) string {
	switch {
	case from > to:
		return fmt.Sprintf("↑%d", from-to)
	case from < to:
		return fmt.Sprintf("↓%d", to-from)
	}
	return "="
}

func short(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
