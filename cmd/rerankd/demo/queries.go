package demo

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// A Query is a search whose right answers are known: the packages whose own authors describe them so.
type Query struct {
	Text     string
	Relevant map[string]bool // names of packages
}

// maxShared is the share of a query's words that may stand in the summary of its package. Above it the query is the summary said again, which
// any engine finds.
const maxShared = 0.6

// maxOfOne is how often one package is asked for at most, so that a suite of forty small puzzles does not decide the measure.
const maxOfOne = 8

// HeldOut returns the queries that are fair to measure with, in order of their text: all their right answers are held out from the training of
// the embedded model, and no answer's own summary says more than 60 % of their words.
func (c *Corpus) HeldOut() []Query {
	answers := make(map[string][]*Document)
	for i := range c.Documents {
		for _, text := range c.Documents[i].Queries {
			answers[text] = append(answers[text], &c.Documents[i])
		}
	}
	var queries []Query
	for text, documents := range answers {
		q := Query{Text: text, Relevant: make(map[string]bool)}
		fair := len(contentWords(text)) > 0
		for _, d := range documents {
			q.Relevant[d.Name] = true
			fair = fair && d.HeldOut() && shared(text, d.Summary) <= maxShared
		}
		if fair {
			queries = append(queries, q)
		}
	}
	slices.SortFunc(queries, func(a, b Query) int { return cmp.Compare(a.Text, b.Text) })
	asked := make(map[string]int)
	return slices.DeleteFunc(queries, func(q Query) bool {
		full := false
		for name := range q.Relevant {
			asked[name]++
			full = full || asked[name] > maxOfOne
		}
		return full
	})
}

// shared is the share of the query's words that stand in the text.
func shared(query, text string) float64 {
	words, in := contentWords(query), contentWords(text)
	n := 0
	for _, w := range words {
		if slices.Contains(in, w) {
			n++
		}
	}
	return float64(n) / float64(max(len(words), 1))
}

// contentWords are the words of a text in lower case, without the ones that carry no meaning and without a plural's s.
func contentWords(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	words = slices.DeleteFunc(words, func(w string) bool { return slices.Contains(StopWords, w) })
	for i, w := range words {
		words[i] = strings.TrimSuffix(w, "s")
	}
	return words
}

// StopWords are the words that carry no meaning of their own.
var StopWords = strings.Fields("a an and are as at be but by for from if in into is it its no not of on or such that the their then there these they this to was with you your")
