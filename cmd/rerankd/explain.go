package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/proxy/search"
)

func newExplainQueryCmd(e *environment) *cobra.Command {
	var asJSON bool
	var rawQuery string
	cmd := &cobra.Command{
		Use:   "explain-query < body.json",
		Short: "Show what rerankd would read in a search, and why",
		Long: `Reads the body of a search from standard input and shows every text in its query: which of
them are the user's own words, and why the others are not; the page; the fields; and
whether the search would be reranked at all. No cluster is asked.`,
		Example: `  echo '{"query":{"match":{"title":"red shoes"}}}' | rerankd explain-query
  rerankd explain-query --url-query 'q=title:shoes&size=5' < /dev/null`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			const limit = 16 << 20
			body, err := io.ReadAll(io.LimitReader(e.stdin, limit))
			if err != nil {
				return fmt.Errorf("reading the search: %w", err)
			}
			if strings.TrimSpace(string(body)) == "" {
				body = nil
			}
			x, err := explain(rawQuery, body)
			if err != nil {
				return fmt.Errorf("reading the search: %w", err)
			}
			if asJSON {
				enc := json.NewEncoder(e.stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(x)
			}
			return x.print(e.stdout)
		},
	}
	cmd.Flags().StringVar(&rawQuery, "url-query", "", "what follows the ? in the search's URL")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// An explanation is what rerankd makes of a search.
type explanation struct {
	Words  string        `json:"words"` // "" where there are none
	Texts  []search.Leaf `json:"texts"`
	Fields []string      `json:"fields"` // that the query itself names
	From   int           `json:"from"`
	Size   int           `json:"size"`
	Reason search.Reason `json:"reason"` // why it would pass untouched; "" if it may be reranked
	Detail string        `json:"detail,omitempty"`
}

func explain(rawQuery string, body []byte) (*explanation, error) {
	r, err := search.Parse(rawQuery, body)
	if err != nil {
		return nil, err
	}
	x := &explanation{Words: r.Words(), Texts: r.WordsWhy(), Fields: r.Fields(), From: r.From(), Size: r.Size()}
	o, err := r.Overrides()
	if err != nil {
		return nil, err
	}
	x.Words = cmp.Or(o.Query, x.Words)
	x.Reason, x.Detail = r.Pass()
	switch {
	case o.Mode == "off":
		x.Reason, x.Detail = search.Disabled, "ext.rerank says off"
	case x.Reason != "":
	case x.Words == "":
		x.Reason = search.NoQuery
	case r.Lookup() && o.Query == "":
		x.Reason, x.Detail = search.Lookup, "the words name one thing, and want the exact match"
	}
	return x, nil
}

func (x *explanation) print(w io.Writer) error {
	if len(x.Texts) > 0 {
		t := newTable("WHERE", "QUERY", "FIELDS", "TEXT", "READ")
		for _, l := range x.Texts {
			read := "yes"
			if !l.Taken {
				read = "no: " + l.Why
			}
			t.row(l.Path, l.Query, clip(strings.Join(l.Fields, " "), 30), clip(strconv.Quote(l.Text), 40), read)
		}
		if err := t.print(w); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	t := newTable()
	words := "none"
	if x.Words != "" {
		words = strconv.Quote(clip(x.Words, 100))
	}
	t.row("words", words)
	t.row("fields", cmp.Or(strings.Join(x.Fields, ", "), "none named; chosen from the mapping"))
	t.row("page", fmt.Sprintf("%d hits from %d", x.Size, x.From))
	verdict := "may be reranked"
	if x.Reason != "" {
		verdict = "passes untouched: " + string(x.Reason)
		if x.Detail != "" {
			verdict += " (" + x.Detail + ")"
		}
	}
	t.row("verdict", verdict)
	return t.print(w)
}
