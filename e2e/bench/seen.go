package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"

	"github.com/rerankd/rerankd/rerank/schedule"
)

// The goals for documents that were seen before.
const (
	goalSaved = 95 // % of the tokenising time under a new query
	goalKnown = 2  // ms for a search that was asked before
)

// seen measures what is remembered: the tokens of documents under a new query, and the scores of a query that comes again.
func (s subject) seen(ctx context.Context, out io.Writer, dir string, o options) error {
	o.progress("%v: documents that were seen before", s)
	texts, err := openCorpus(o.texts(), 3)
	if err != nil {
		return err
	}
	scheduled, err := s.warm(ctx, schedule.Options{Caches: schedule.NewCaches(64<<20, 64<<20), Identity: s.String()})
	if err != nil {
		return err
	}
	defer scheduled.Close()
	rerankd, err := serveAnswers(ctx, dir, s.setting(), texts.searches(1, window)[0], o)
	if err != nil {
		return err
	}
	defer rerankd.stop()

	inProcess, overHTTP := new(remembering), new(remembering)
	for range o.rounds {
		j := texts.searches(1, window)[0]
		other := judgement{texts.words(5), j.Docs}
		if err := inProcess.round(j, other, func(j judgement) (took, tokenizing time.Duration, err error) {
			before, began := scheduled.Stats().Tokenizing, time.Now()
			_, err = scoreAll(ctx, scheduled, j)
			return time.Since(began), scheduled.Stats().Tokenizing - before, err
		}); err != nil {
			return err
		}
		if err := overHTTP.round(j, other, func(j judgement) (took, tokenizing time.Duration, err error) {
			a, err := rerankd.ask(ctx, j)
			if err == nil {
				_, err = a.inOrder(window)
			}
			return a.took, a.tokenizing(), err
		}); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\n### %s, %s: a query and %d documents, seen before\n\n", s.name, s.precision, window)
	fmt.Fprintln(out, "| way | new documents: ms, ms of tokenising | under a new query: ms, ms of tokenising | tokenising saved, % | the same query again, ms |\n|---|---|---|---|---|")
	for _, row := range []struct {
		name string
		r    *remembering
	}{{"in process", inProcess}, {"over HTTP, the answer read included", overHTTP}} {
		r := row.r
		saved := r.again.over(r.first).scaled(-100).plus(100)
		fmt.Fprintf(out, "| %s | %s, %s | %s, %s | %s (goal %s) | %s (goal ≤ %d: %s) |\n", row.name, r.new, r.first, r.other, r.again,
			saved, reaches(saved.median(), goalSaved), r.known, goalKnown, against(r.known.median(), goalKnown))
	}
	return nil
}

// remembering is what one way of asking took, in ms.
type remembering struct {
	new, other, known series // a search of new documents, of the same ones for another query, and the first once more
	first, again      series // tokenising, of the first two
}

// round asks for new documents, for the same ones under another query, and for the first once more.
func (r *remembering) round(j, other judgement, ask func(judgement) (took, tokenizing time.Duration, err error)) error {
	took, tokenizing, err := ask(j)
	if err != nil {
		return err
	}
	r.new, r.first = append(r.new, milliseconds(took)), append(r.first, milliseconds(tokenizing))
	if took, tokenizing, err = ask(other); err != nil {
		return err
	}
	r.other, r.again = append(r.other, milliseconds(took)), append(r.again, milliseconds(tokenizing))
	if took, _, err = ask(j); err != nil {
		return err
	}
	r.known = append(r.known, milliseconds(took))
	return nil
}

var tokenizingTook = regexp.MustCompile(`tokenising;dur=([0-9.]+)`)

// tokenizing is the time that the answer says it took; none where it took none.
func (a answered) tokenizing() time.Duration {
	match := tokenizingTook.FindStringSubmatch(a.timing)
	if match == nil {
		return 0
	}
	ms, _ := strconv.ParseFloat(match[1], 64)
	return time.Duration(ms * float64(time.Millisecond))
}

func (s series) plus(n float64) series {
	return s.pair(s, func(a, _ float64) float64 { return a + n })
}
