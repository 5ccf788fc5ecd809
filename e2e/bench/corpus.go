package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
)

// A corpus makes searches out of real sentences. None comes twice, so no cache can help unless it is meant to.
type corpus struct {
	sentences []string
	random    *rand.Rand
}

// openCorpus reads the sentences that models.py found. The same seed gives the same searches.
func openCorpus(path string, seed uint64) (*corpus, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &corpus{random: rand.New(rand.NewPCG(seed, 0))}
	if err := json.Unmarshal(data, &c.sentences); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}

// searches makes n searches of so many documents each. The lengths are those of every search alike, in another order: a search costs what
// any other costs, to a few tokens.
func (c *corpus) searches(n, documents int) []judgement {
	all := make([]judgement, n)
	for i := range all {
		all[i].Query = c.words(5)
		for _, k := range c.random.Perm(documents) {
			all[i].Docs = append(all[i].Docs, c.words(length((float64(k)+0.5)/float64(documents))))
		}
	}
	return all
}

// words is a text of n words: sentences, the last one cut.
func (c *corpus) words(n int) string {
	var words []string
	for len(words) < n {
		words = append(words, strings.Fields(c.sentences[c.random.IntN(len(c.sentences))])...)
	}
	return strings.Join(words[:n], " ")
}

// length is how many words a document has at a quantile of all documents: log-normal, as lengths of texts are. With the query the tokens
// are 110 on average and 90 at the median, and of a hundred documents one or two have as many as a model takes.
func length(quantile float64) int {
	const median, spread = 66, 0.68
	return max(8, int(median*math.Exp(spread*math.Sqrt2*math.Erfinv(2*quantile-1))))
}
