package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/proxy/search"
)

func newExplainQueryCmd(e *environment) *cobra.Command {
	var asJSON, templated bool
	var rawQuery string
	var policy search.Policy
	cmd := &cobra.Command{
		Use:   "explain-query < body.json",
		Short: "Show what rerankd would read in a search, and why",
		Long: `Reads the body of a search from standard input and shows every text in its query: which of
them are the user's own words, and why the others are not; the page; the fields; and
whether the search would be reranked at all. No cluster is asked.

The words are those of the first of these that has any:
  1. the X-Rerank-Query header, which is not seen here
  2. ext.rerank: query, or OpenSearch's query_context
  3. ext.ubi.user_query
  4. the inference_text of a text_similarity_reranker, then a rule's match_criteria,
     then ext.generative_qa_parameters.llm_question
  5. what --pointer names
  6. the query: full text that has to match, then optional full text, numbers, exact
     values (with --field), parts of words, a learned ranking's parameters, and texts
     to find the like of (with --more-like-this)
  7. a rescore query, then filters (with --filters)

The flags stand for the same keys of a rule in the configuration (words and fields).
With --template, the input is the body of a _search/template, or of a search
application's _search, and the words are looked for in its params.`,
		Example: `  echo '{"query":{"match":{"title":"red shoes"}}}' | rerankd explain-query
  rerankd explain-query --url-query 'q=title:shoes&size=5' < /dev/null
  rerankd explain-query --pointer /query/script_score/script/params/words --min-length 3 < body.json
  echo '{"id":"by-title","params":{"query":"red shoes"}}' | rerankd explain-query --template`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			if templated && rawQuery != "" {
				return usageError{errors.New("--template and --url-query cannot be given together"), "a template's words are in the body's params"}
			}
			const limit = 16 << 20
			body, err := io.ReadAll(io.LimitReader(e.stdin, limit))
			if err != nil {
				return fmt.Errorf("reading the search: %w", err)
			}
			if strings.TrimSpace(string(body)) == "" {
				body = nil
			}
			var x *explanation
			if templated {
				x, err = explainTemplated(policy, body)
			} else {
				x, err = explain(policy, rawQuery, body)
			}
			if err != nil {
				return fmt.Errorf("reading the search: %w", err)
			}
			if asJSON {
				return printJSON(e.stdout, x)
			}
			return x.print(e.stdout)
		},
	}
	cmd.Flags().StringVar(&rawQuery, "url-query", "", "what follows the ? in the search's URL")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&templated, "template", false, "the input is the body of a _search/template")
	cmd.Flags().IntVar(&policy.MinLength, "min-length", 2, "characters that words have at least")
	cmd.Flags().StringArrayVar(&policy.Pointers, "pointer", nil, "a JSON pointer to the words, such as /query/match/title/query; may be given several times")
	cmd.Flags().StringArrayVar(&policy.Fields, "field", nil, "a field that holds text; may be given several times")
	cmd.Flags().BoolVar(&policy.Filters, "filters", false, "take the words from filters where no other clause has any")
	cmd.Flags().BoolVar(&policy.MoreLikeThis, "more-like-this", false, "take the texts of more_like_this where there are no other words")
	cmd.Flags().BoolVar(&policy.Lookups, "lookups", false, "rerank also searches for one exact thing")
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

	templated bool
}

// explainTemplated reads the parameters of a template. What page and which fields it makes of them, the cluster knows.
func explainTemplated(policy search.Policy, body []byte) (*explanation, error) {
	t, err := policy.ParseTemplated(body)
	if err != nil {
		return nil, err
	}
	x := &explanation{Words: t.Words(), Texts: t.WordsWhy(), templated: true}
	switch {
	case x.Words == "":
		x.Reason = search.NoQuery
	case t.Lookup():
		x.Reason, x.Detail = search.Lookup, aLookup
	}
	return x, nil
}

const aLookup = "the words name one thing, and want the exact match"

func explain(policy search.Policy, rawQuery string, body []byte) (*explanation, error) {
	r, err := policy.Parse(rawQuery, body)
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
		x.Reason, x.Detail = search.Lookup, aLookup
	}
	return x, nil
}

func (x *explanation) print(w io.Writer) error {
	if len(x.Texts) > 0 {
		t := newTable("WHERE", "QUERY", "FIELDS", "TEXT", "READ")
		for _, l := range x.Texts {
			read := "yes"
			switch {
			case !l.Taken:
				read = "no: " + l.Why
			case l.Tier != "full text":
				read = "yes: " + l.Tier
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
	if x.templated {
		t.row("page", "the template's")
		t.row("verdict", x.verdict())
		return t.print(w)
	}
	t.row("fields", cmp.Or(strings.Join(x.Fields, ", "), "none named; chosen from the mapping"))
	t.row("page", fmt.Sprintf("%d hits from %d", x.Size, x.From))
	t.row("verdict", x.verdict())
	return t.print(w)
}

func (x *explanation) verdict() string {
	verdict := "may be reranked"
	if x.Reason != "" {
		verdict = "passes untouched: " + string(x.Reason)
		if x.Detail != "" {
			verdict += " (" + x.Detail + ")"
		}
	}
	return verdict
}
