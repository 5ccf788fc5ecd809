package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/proxy/search"
)

func newCompareCmd(e *environment) *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:   `compare "QUERY" (--cluster URL | -c FILE) --index INDEX`,
		Short: "Show one search as the cluster answers it, and reranked, side by side",
		Long: `Searches an index for the words, as the cluster alone would answer and through a proxy of its
own, and shows both pages: what moved from where, what is new on the reranked page and what is
gone from the cluster's, how much the two have in common, and the times.

Overlap is the share of the first ten places that the same hits take. RBO, rank-biased overlap
with persistence 0.9, looks at the order too and counts the first places most: 1 is the same
list, 0 has nothing in common. Tau, Kendall's, is the order of the hits that both pages have:
1 is the same, -1 the reverse.

On a terminal there are colours, unless NO_COLOR is set.`,
		Example: `  rerankd compare "red shoes" --cluster http://127.0.0.1:9200 --index products
  rerankd compare "red shoes" -c rerankd.yaml --index products --fields title,description --budget 1s
  rerankd compare "red shoes" -c rerankd.yaml --index products --json | jq .likeness`,
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
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

type compareOptions struct {
	askOptions
	index  string
	fields []string
	size   int
	budget time.Duration
	json   bool
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
	window := 0
	for _, r := range a.program.now.Load().rules {
		window = max(window, r.Window)
	}
	compared, err := a.compare(ctx, admin.Question{Index: o.index, Words: query, Fields: o.fields, Size: o.size}, window)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(e.stdout, compared)
	}
	return printComparison(e.stdout, compared, e.colored())
}

// sideWidth is what a title may take on each side of 100 columns.
const sideWidth = 38

func printComparison(w io.Writer, c *admin.Comparison, colored bool) error {
	fmt.Fprintf(w, "%q in %s, by %s\n\n", clip(c.Query, 80), c.Index, strings.Join(c.Fields, ", "))
	if len(c.Cluster) == 0 {
		_, err := fmt.Fprintln(w, "Nothing matches.")
		return err
	}
	t := newTable("", "THE CLUSTER'S ORDER", "", "MOVED", "RERANKED").numbers(0)
	for i := range max(len(c.Cluster), len(c.Reranked)) {
		row := []string{fmt.Sprint(i + 1), "", "", "", ""}
		var left, right admin.Hit
		if i < len(c.Cluster) {
			left = c.Cluster[i]
			row[1] = heading(left)
			if left.Move == admin.Gone {
				row[2] = "gone"
			}
		}
		if i < len(c.Reranked) {
			right = c.Reranked[i]
			row[3], row[4] = moved(right), heading(right)
		}
		t.row(row...)
		if colored {
			t.color(3, moveColor(right.Move))
			if left.Move == admin.Gone {
				t.color(1, dim)
				t.color(2, red)
			}
			if right.Move == admin.Entered {
				t.color(4, bold)
			}
		}
	}
	if err := t.print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if l := c.Likeness; l != nil && c.Outcome == "applied" {
		tau := ""
		if l.Common > 1 {
			tau = fmt.Sprintf(", tau %.2f over the %d hits that both pages have", l.Tau, l.Common)
		}
		fmt.Fprintf(w, "Overlap@10 %.2f, RBO %.2f%s.\n", l.Overlap, l.RBO, tau)
	}
	if c.Outcome != "applied" {
		why := explainReason(search.Reason(c.Reason))
		if c.Detail != "" {
			why += ", " + c.Detail
		}
		_, err := fmt.Fprintf(w, "Not reranked: %s. The cluster took %.1f ms.\n", why, c.Took)
		return err
	}
	_, err := fmt.Fprintf(w, "The model read %d of %s: %.1f ms after the cluster's %.1f ms.\n", c.Scored, count(c.Window, "hit"), c.Added, c.Took)
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

// heading is what a person knows a hit by: the beginning of the text that is searched in.
func heading(h admin.Hit) string {
	text := h.Title
	if h.Text != "" {
		text += " · " + h.Text
	}
	return clip(cmp.Or(text, h.ID), sideWidth)
}

// moved says how far up or down a hit came.
func moved(h admin.Hit) string {
	switch {
	case h.Move == admin.Up:
		return fmt.Sprintf("↑%d", h.Places)
	case h.Move == admin.Down:
		return fmt.Sprintf("↓%d", h.Places)
	case h.Move == admin.Entered && h.Places > 0:
		return fmt.Sprintf("new ↑%d", h.Places)
	case h.Move == admin.Entered:
		return "new"
	}
	return "="
}

func moveColor(m admin.Move) attribute {
	switch m {
	case admin.Up, admin.Entered:
		return green
	case admin.Down:
		return red
	}
	return dim
}
