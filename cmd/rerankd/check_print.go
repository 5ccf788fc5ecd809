package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/rerankd/rerankd/proxy/search"
)

// print shows the report to a person: a line for each index, then the texts, then what needs attention.
func (r *checkReport) print(w io.Writer) error {
	if len(r.Faults) > 0 {
		for _, f := range r.Faults {
			fmt.Fprintf(w, "%s\n\n", f)
		}
		_, err := fmt.Fprintf(w, "%s in the configuration.\n", count(len(r.Faults), "fault"))
		return err
	}
	fmt.Fprintf(w, "%s at %s\n", r.Engine, r.Cluster)
	for _, m := range r.Models {
		if m.Attention != "" {
			fmt.Fprintf(w, "model %s (!): %s\n", m.Name, m.Attention)
			continue
		}
		fmt.Fprintf(w, "model %s (%s, %s): %.1f ms for a document of %d tokens, %d at a time\n",
			m.Name, m.Source, m.Precision, m.Milliseconds, typicalTokens, m.Workers)
	}
	for _, e := range r.Experiments {
		fmt.Fprintf(w, "experiment %s over rule %s: %s, %s by %s\n", e.Name, e.Rule, e.Phase, e.Assign, strings.Join(e.Unit, ", "))
		for i, name := range e.Variants {
			fmt.Fprintf(w, "  %s: %s\n", name, e.Does[i])
		}
	}
	fmt.Fprintln(w)
	if len(r.Indices) == 0 {
		_, err := fmt.Fprintln(w, "There is no index to rerank.")
		return err
	}
	t := newTable("INDEX", "DOCUMENTS", "RULE", "READS", "TOKENS", "MS", "FITS", "WINDOW", "SEARCHES ARE").numbers(1, 4, 5, 6, 7)
	for _, i := range r.Indices {
		verdict := "reranked"
		if !i.Reranked {
			verdict = "passed: " + explainReason(i.Reason)
		}
		if i.Attention != "" {
			verdict += " (!)"
		}
		row := []string{clip(i.Index, 40), strconv.Itoa(i.Documents), cmp.Or(i.Rule, "-"), cmp.Or(clip(strings.Join(i.Fields, " "), 40), "-"), "-", "-", "-", "-", verdict}
		if i.Tokens > 0 {
			row[4], row[5], row[6] = strconv.Itoa(i.Tokens), strconv.FormatFloat(i.Milliseconds, 'f', 1, 64), strconv.Itoa(i.Fits)
		}
		if i.Window > 0 {
			row[7] = strconv.Itoa(i.Window)
		}
		t.row(row...)
	}
	if err := t.print(w); err != nil {
		return err
	}
	r.printSamples(w)
	attention := false
	for _, i := range r.Indices {
		if i.Attention != "" {
			if !attention {
				fmt.Fprint(w, "\nNeeds attention (!)\n")
				attention = true
			}
			fmt.Fprintf(w, "  %s: %s\n", i.Index, i.Attention)
		}
	}
	_, err := fmt.Fprint(w, "\nTOKENS and MS are of a document with a query, FITS how many of them fit into 80 % of the budget.\n")
	return err
}

// maxSamples is what a person reads; --json has them all.
const maxSamples = 10

func (r *checkReport) printSamples(w io.Writer) {
	shown := 0
	for _, i := range r.Indices {
		if i.Sample == "" || shown == maxSamples {
			continue
		}
		if shown == 0 {
			fmt.Fprint(w, "\nA text as the model reads it\n")
		}
		shown++
		fmt.Fprintf(w, "  %s: %s\n", i.Index, strconv.Quote(clip(i.Sample, 140)))
		if i.Without > 0 {
			fmt.Fprintf(w, "    %d of %s looked at have no such text, and keep their places\n", i.Without, count(i.Sampled, "document"))
		}
	}
}

// explainReason says in a few words what a reason means for an index; the rest are clear enough.
func explainReason(r search.Reason) string {
	switch r {
	case "":
		return "not looked at"
	case search.NoRule:
		return "no rule covers it"
	case search.Disabled:
		return "reranking is off"
	case search.NoText:
		return "there is no text to read"
	case search.NoHits:
		return "it has no text, or no documents"
	case search.Warming:
		return "its mapping could not be read in time"
	case search.Language:
		return "the model does not know its language"
	case search.Timeout:
		return "the budget is too short for one document"
	}
	return string(r)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
