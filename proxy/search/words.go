package search

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

const (
	maxWords  = 4096 // bytes: more is a document that others are to be like, not a question
	maxJoined = 4    // different texts that are read as one question
	maxTexts  = 2048 // that are read at all: a query may have as many clauses as fit into a request, each with a path as deep as it likes
	// maxDistinct bounds how many different texts are compared with each other: more are no question, and would take long.
	maxDistinct = 64
)

// Leaf is one text in a query, with what became of it.
type Leaf struct {
	Path   string   // where it stands: query.bool.must[0].match.title in the body, q in the URL, or a pointer as it was configured
	Query  string   // the type of the query that holds it: match, query_string, knn
	Fields []string // what it is matched against, as the query names it, boosts taken off
	Text   string   // cleaned of syntax, white space collapsed
	Boost  float64  // the product of its own boost and of those around it; of its fields the highest
	Taken  bool     // whether it is (part of) the words
	Why    string   // why it was not taken; "" where it was
	Tier   string   // where it was, what speaks for it: "full text", or what is looked for before that, or for want of it; else ""
}

// bounded cuts a text that is too long to be taken anyway, so that cleaning it costs no more than it may.
func bounded(text string) string {
	if len(text) > 4*maxWords {
		return text[:4*maxWords]
	}
	return text
}

// leaves returns the texts that were found, for whoever asks why.
func leaves(all []found) []Leaf {
	leaves := make([]Leaf, len(all))
	for i, f := range all {
		leaves[i] = f.Leaf
	}
	return leaves
}

// choose marks the texts that are the words, says of the others why they are not, and returns the words.
//
// Applications say the same thing several times: a phrase query beside a match query, the same text against each field. Texts that are
// equal but for case count once, with the weight of all; a text that another one contains is that one cut short. Of those that remain
// different, the one with the most weight (boost times number of fields) is taken, and where none has, all of them, in their order.
func choose(all []found, p Policy) string {
	best := filtered
	for i := range all {
		if all[i].Why == "" {
			best = min(best, all[i].tier)
		}
	}
	var distinct []choice
	for i := range all {
		f := &all[i]
		switch {
		case f.Why != "":
		case f.tier > best:
			f.Why = f.tier.beside(best)
		default:
			key := " " + strings.ToLower(f.Text) + " "
			weight := f.Boost * float64(p.targets(f.Fields))
			if at := slices.IndexFunc(distinct, func(c choice) bool { return c.key == key }); at >= 0 {
				distinct[at].weight += weight
				f.Why = "said before"
			} else if len(distinct) == maxDistinct {
				f.Why = "too many different ones"
			} else {
				distinct = append(distinct, choice{f, key, weight})
			}
		}
	}
	distinct = keep(distinct, "part of a longer one", func(c choice) bool {
		return !slices.ContainsFunc(distinct, func(o choice) bool { return o.key != c.key && strings.Contains(o.key, c.key) })
	})
	if len(distinct) > 1 {
		top := slices.MaxFunc(distinct, func(a, b choice) int { return cmp.Compare(a.weight, b.weight) }).weight
		distinct = keep(distinct, "less weight than another", func(c choice) bool { return cmp.Compare(c.weight, top) == 0 })
	}
	var texts []string
	length := 0
	for i, c := range distinct {
		if length += len(c.found.Text) + 1; i > 0 && (i >= maxJoined || length > maxWords) {
			c.found.Why = "too many different ones"
			continue
		}
		c.found.Taken, c.found.Tier = true, c.found.tier.String()
		texts = append(texts, c.found.Text)
	}
	return strings.Join(texts, " ")
}

// A choice is a text that may be taken, with the weight of all that say the same.
type choice struct {
	found  *found
	key    string
	weight float64
}

// keep returns those choices that ok says, and tells the others why not.
func keep(choices []choice, why string, ok func(choice) bool) []choice {
	var kept []choice
	for _, c := range choices {
		if ok(c) {
			kept = append(kept, c)
		} else {
			c.found.Why = why
		}
	}
	return kept
}

// chosenFields returns the fields that texts of the query are matched against, the highest boost first. Texts that are not the user's
// question (a filter, a nudge, a number) say nothing about where the answer is to be read.
func chosenFields(all []found) []string {
	type field struct {
		name  string
		boost float64
	}
	var fields []field
	known := map[string]int{}
	for _, f := range all {
		if f.remote || !f.asks || f.tier > typed && !f.Taken {
			continue
		}
		for i, name := range f.Fields {
			if at, ok := known[name]; ok {
				fields[at].boost = max(fields[at].boost, f.boosts[i])
			} else {
				known[name] = len(fields)
				fields = append(fields, field{name, f.boosts[i]})
			}
		}
	}
	slices.SortStableFunc(fields, func(a, b field) int { return cmp.Compare(b.boost, a.boost) })
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return names
}

// isLookup reports whether the taken texts name one thing.
func isLookup(all []found, words string) bool {
	for _, f := range all {
		if f.Taken && f.quoted && f.Text == words {
			return true
		}
	}
	if words == "" || strings.Contains(words, " ") {
		return false
	}
	return strings.ContainsFunc(words, unicode.IsDigit) || strings.Contains(words, "@") || strings.Contains(words, "://")
}
