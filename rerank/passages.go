package rerank

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How long texts are read.
//
// A cross-encoder reads some hundred words, and what comes after is cut. Where the answer stands in the middle of a long text, it is not
// seen. So a stage may read a text in passages: each is as many whole sentences as fit into its size, and the best of their scores is the
// text's (MaxP: Dai and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling", SIGIR 2019).
//
// Reading all of them would cost as many runs. So a few are chosen, by the query's words that they have: each word counts once, and
// as much as it is rare among the passages of the window (the inverse document frequency of BM25). Of equal ones the first come first.
//
//	query      "reset a forgotten password"      password stands in 3 of 40 passages, reset in 8, forgotten in 2, a in all
//	passage 1  "The product. It has many …"      0.0      third, if at all
//	passage 4  "… to reset it, press …"          1.6      second
//	passage 9  "If the password is forgotten …"  5.3      first
//
// The first passage of every hit is scored before the second of any: whatever the deadline leaves undone, a prefix of the scores is that of
// whole hits, as for texts that are read from their beginning.
//
// A passage loses what the text is about. So the text's first line, which is its title where a rule reads one, goes before each of its
// passages if it is short.

const (
	defaultPassage = 1000      // bytes, of which English has 200 tokens: what small models are surest with, and room for a query
	maxRead        = 256 << 10 // bytes of a text that are looked at
	maxTerms       = 64        // words of a query that count: a set of them is the bits of a number
)

// A Passage is a part of a text: its bytes from From up to To.
type Passage struct{ From, To int }

// A reading is what a stage gives to its scorer: the documents, or passages of them.
type reading struct {
	docs     int       // how many documents there are
	texts    []string  // the first is of the first document, and so on to the last; then come the others
	of       []int     // which document each text is of
	passages []Passage // that the texts are; zero where a text is the document
}

// passageSize is the bytes of a passage at most.
func (s *Stage) passageSize() int { return cmp.Or(s.PassageSize, defaultPassage) }

// reading chooses what is read of the documents. Documents that are left when ctx ends are read from their beginning.
func (s *Stage) reading(ctx context.Context, query string, docs []string) reading {
	r := reading{docs: len(docs), texts: docs, of: make([]int, len(docs)), passages: make([]Passage, len(docs))}
	for i := range docs {
		r.of[i] = i
	}
	size := s.passageSize()
	if s.Passages <= 0 || !slices.ContainsFunc(docs, func(doc string) bool { return len(doc) > size }) {
		return r
	}
	q := newQueryTerms(query)
	parts := make([][]part, len(docs))
	for i, doc := range docs {
		if len(doc) <= size || ctx.Err() != nil {
			q.in(doc[:min(len(doc), size)]) // it is one of the passages among which a word is rare
			continue
		}
		title := titleOf(doc, size)
		for _, p := range split(doc, title, size-title) {
			parts[i] = append(parts[i], part{Passage: p, terms: q.in(doc[p.From:p.To])})
		}
	}
	r.texts = slices.Clone(docs)
	for i := range docs {
		for k := range parts[i] {
			parts[i][k].worth = q.worth(parts[i][k].terms)
		}
		slices.SortStableFunc(parts[i], func(a, b part) int { return cmp.Compare(b.worth, a.worth) })
	}
	for round := range s.Passages {
		for i, doc := range docs {
			if round >= len(parts[i]) {
				continue
			}
			p := parts[i][round].Passage
			text := doc[p.From:p.To]
			if title := titleOf(doc, size); p.From > 0 && title > 0 {
				text = doc[:title] + text
			}
			if round == 0 {
				r.texts[i], r.passages[i] = text, p
			} else {
				r.texts, r.of, r.passages = append(r.texts, text), append(r.of, i), append(r.passages, p)
			}
		}
	}
	return r
}

// best returns each document's best score and where it comes from, for the prefix of the documents that has any.
func (r reading) best(logits []float32) ([]float32, []Passage) {
	n := min(len(logits), r.docs)
	best, passages := slices.Clone(logits[:n]), slices.Clone(r.passages[:n])
	for k := n; k < len(logits); k++ {
		if i := r.of[k]; logits[k] > best[i] {
			best[i], passages[i] = logits[k], r.passages[k]
		}
	}
	return best, passages
}

// needed are texts as long as those that the stage has to read at least: one passage of each document. It reads more of them in what time
// there is beyond that, and takes none from the stages after it.
func (s *Stage) needed(docs []string) []string {
	if s.Passages <= 0 {
		return docs
	}
	size := s.passageSize()
	texts := make([]string, len(docs))
	for i, doc := range docs {
		texts[i] = doc[:min(len(doc), size)]
	}
	return texts
}

// A part is a passage and what it has of the query.
type part struct {
	Passage
	terms uint64
	worth float64
}

// titleOf is the length of the text's first line, with its line break, where it can go before each passage: a fifth of one at most.
func titleOf(text string, size int) int {
	if end := strings.IndexByte(text[:min(len(text), size/5)], '\n'); end > 0 {
		return end + 1
	}
	return 0
}

// split divides what follows the title into passages of size bytes at most: as many whole sentences as fit, or a part of one that is longer.
// The first passage begins with the title, and leaves it no less room than the others do.
func split(text string, title, size int) []Passage {
	text = text[:runeEnd(text, maxRead)]
	var passages []Passage
	from, at := title, title
	flush := func() {
		if strings.TrimSpace(text[from:at]) != "" {
			passages = append(passages, Passage{from, at})
		}
		from = at
	}
	for at < len(text) {
		next := at + sentence(text[at:])
		if next-from > size {
			flush()
		}
		for next-from > size {
			at = from + wordEnd(text[from:], size)
			flush()
		}
		at = next
	}
	flush()
	if len(passages) > 0 && passages[0].From == title {
		passages[0].From = 0
	}
	return passages
}

// sentence returns the length of the text's first sentence and the space after it.
//
// A sentence ends at a line break; after one of Unicode's sentence terminals where no space has to follow (as in Chinese); and after . ? ! …
// and what closes a quotation or a bracket, where space follows and, after a full stop, no lower-case letter. That is rule 4 and rules 6 to 11
// of the sentence boundaries of Unicode's annex 29 in short, in one pass over the text: to decide on a full stop, the rules themselves may
// look ahead over the whole text, and a text that is made to hurt has one at every step.
func sentence(text string) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		if r == '\n' {
			return i
		}
		if r < utf8.RuneSelf && r != '.' && r != '?' && r != '!' || r >= utf8.RuneSelf && r != '…' && !unicode.Is(unicode.Sentence_Terminal, r) {
			continue
		}
		end := i
		for end < len(text) {
			c, n := utf8.DecodeRuneInString(text[end:])
			if !strings.ContainsRune(`"')]}`, c) && !unicode.In(c, unicode.Pe, unicode.Pf) {
				break
			}
			end += n
		}
		space := end
		for space < len(text) {
			c, n := utf8.DecodeRuneInString(text[space:])
			if c == '\n' || !unicode.IsSpace(c) {
				break
			}
			space += n
		}
		next, _ := utf8.DecodeRuneInString(text[space:])
		switch {
		case space == len(text):
			return space
		case r >= utf8.RuneSelf && r != '…', space > end && !(r == '.' && unicode.IsLower(next)):
			return space
		}
		i = space
	}
	return len(text)
}

// wordEnd is where to cut a text of more than size bytes: after the last space, or else between two characters.
func wordEnd(text string, size int) int {
	end := runeEnd(text, size)
	if space := strings.LastIndexFunc(text[:end], unicode.IsSpace); space > end/2 {
		_, n := utf8.DecodeRuneInString(text[space:])
		return space + n
	}
	return max(end, 1)
}

// runeEnd is the greatest length up to n at which text can be cut without cutting a character.
func runeEnd(text string, n int) int {
	if n >= len(text) {
		return len(text)
	}
	for back := range utf8.UTFMax {
		if n-back >= 0 && utf8.RuneStart(text[n-back]) {
			return n - back
		}
	}
	return n // it is not UTF-8
}

// queryTerms are the words of a query, and how many passages have each.
type queryTerms struct {
	bit      map[string]int
	has      []int // passages that have the term of this bit
	passages int
}

func newQueryTerms(query string) *queryTerms {
	q := &queryTerms{bit: map[string]int{}}
	for term := range terms(query, false) {
		if _, ok := q.bit[string(term)]; !ok && len(q.bit) < maxTerms {
			q.bit[string(term)] = len(q.bit)
		}
	}
	q.has = make([]int, len(q.bit))
	return q
}

// in returns which of the terms a passage has, and counts it.
func (q *queryTerms) in(passage string) (set uint64) {
	for term := range terms(passage, true) {
		if bit, ok := q.bit[string(term)]; ok {
			set |= 1 << bit
		}
	}
	q.passages++
	for rest := set; rest != 0; rest &= rest - 1 {
		q.has[bits.TrailingZeros64(rest)]++
	}
	return set
}

// worth sums what the terms of a set are worth: ln(1 + (N-n+½)/(n+½)) for a term that n of N passages have.
func (q *queryTerms) worth(set uint64) (sum float64) {
	for ; set != 0; set &= set - 1 {
		n := float64(q.has[bits.TrailingZeros64(set)])
		sum += math.Log1p((float64(q.passages) - n + 0.5) / (n + 0.5))
	}
	return sum
}
