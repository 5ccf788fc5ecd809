package eval

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// ReadRun reads a run as trec_eval takes it: query, Q0, document, rank, score, tag on each line. The scores make the order, see [ByScore].
func ReadRun(file string, r io.Reader) (Run, error) {
	l := newLineReader(file, r)
	hits := map[string][]Hit{}
	type pair struct{ query, document string }
	seen := map[pair]int{}
	for l.next() {
		cells := strings.Fields(l.text)
		if len(cells) != 6 {
			return nil, l.fault("a run has query, Q0, document, rank, score and tag, as in: 1 Q0 doc7 1 12.5 mine", "has %d columns, want 6", len(cells))
		}
		query, document := cells[0], cells[2]
		score, err := strconv.ParseFloat(cells[4], 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(score) {
			return nil, l.fault("", "%q is no score", abridged(cells[4]))
		}
		if before, ok := seen[pair{query, document}]; ok {
			return nil, l.fault("take one of the two out", "the document %s is on line %d already for the query %s", document, before, query)
		}
		seen[pair{query, document}] = l.number
		hits[query] = append(hits[query], Hit{document, score})
	}
	if l.err != nil {
		return nil, l.err
	}
	if len(hits) == 0 {
		return nil, fmt.Errorf("%s has no hits: it is empty", file)
	}
	run := make(Run, len(hits))
	for query, found := range hits {
		run[query] = ByScore(found)
	}
	return run, nil
}

// WriteRun writes the ranking of each query, in the order of queries, as TREC runs are. The scores are not those that the searcher gave, but
// fall by one from rank to rank: trec_eval orders hits by score alone, and those with the same score by their ids. Ids with spaces in
// them, which the format has no way to say, are written as [Column] does.
func WriteRun(w io.Writer, tag string, queries []string, run Run) error {
	b := bufio.NewWriter(w)
	for _, query := range queries {
		ranking := unique(run[query])
		for i, id := range ranking {
			fmt.Fprintf(b, "%s Q0 %s %d %d %s\n", Column(query), Column(id), i+1, len(ranking)-i, Column(tag))
		}
	}
	return b.Flush()
}

// WriteQrels writes judgments as TREC has them, in the order of queries, with the same ids as [WriteRun].
func WriteQrels(w io.Writer, queries []string, q Qrels) error {
	b := bufio.NewWriter(w)
	for _, query := range queries {
		documents := make([]string, 0, len(q[query]))
		for id := range q[query] {
			documents = append(documents, id)
		}
		slices.Sort(documents)
		for _, id := range documents {
			fmt.Fprintf(b, "%s 0 %s %d\n", Column(query), Column(id), q[query][id])
		}
	}
	return b.Flush()
}

// Column is an id as a column of a TREC file can hold it: as it is, but for one with spaces, in which these and percent signs are written
// as in a URL. "" is a percent sign.
func Column(id string) string {
	if id == "" {
		return "%"
	}
	if strings.IndexFunc(id, unicode.IsSpace) < 0 {
		return id
	}
	var b strings.Builder
	for _, r := range id {
		if unicode.IsSpace(r) || r == '%' {
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
