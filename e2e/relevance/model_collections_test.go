package relevance

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rerankd/rerankd/cmd/rerankd/demo"
	"github.com/rerankd/rerankd/e2e/cluster"
)

// leastLeft is how many bytes of a description have to be left when what asks for it was taken out.
const leastLeft = 80

// A cut is a way to ask for packages by a part of what is written about them: that part is taken out of all of them.
type cut struct {
	index  string
	fields []string // that are searched
	// take parts a package in what asks for it ("" = nothing does) and what is indexed of it.
	take func(demo.Document) (asks string, left demo.Document)
	// query is what somebody types who has the part in mind; "" if nothing can be made of it.
	query func(random *rand.Rand, asks string) string
}

// shortKeywords asks by some words of the summary for the name and the description.
var shortKeywords = cut{
	index:  "e2e-model-keywords",
	fields: []string{"name", "description"},
	take: func(d demo.Document) (string, demo.Document) {
		return d.Summary, demo.Document{Name: d.Name, Description: without(d.Description, d.Summary)}
	},
	query: func(random *rand.Rand, summary string) string {
		words := contentWords(summary)
		if len(words) < 2 {
			return ""
		}
		places := random.Perm(len(words))[:min(2+random.IntN(3), len(words))]
		slices.Sort(places)
		drawn := make([]string, len(places))
		for i, place := range places {
			drawn[i] = words[place]
		}
		return strings.Join(drawn, " ")
	},
}

// firstSentence asks by the first sentence of the description for everything else.
var firstSentence = cut{
	index:  "e2e-model-sentences",
	fields: []string{"name", "summary", "description"},
	take: func(d demo.Document) (string, demo.Document) {
		first, rest := cutSentence(d.Description)
		return first, demo.Document{Name: d.Name, Summary: d.Summary, Description: rest}
	},
	query: func(_ *rand.Rand, first string) string {
		if words := len(strings.Fields(first)); words < 4 || words > 25 {
			return ""
		}
		return first
	},
}

// collection indexes the whole corpus, cut, and asks for packages that are held out from the model's training. A reciprocal rank each: MRR@10.
func (k cut) collection(t *testing.T, node *cluster.Node) collection {
	t.Helper()
	corpus := packages(t)
	asks := make([]string, len(corpus.Documents))
	left := &demo.Corpus{Documents: make([]demo.Document, len(corpus.Documents)), Digest: corpus.Digest + " cut for " + k.index}
	times := make(map[string]int)
	for i, d := range corpus.Documents {
		asks[i], left.Documents[i] = k.take(d)
		times[asks[i]]++
		times[left.Documents[i].Description]++
	}
	node.Delete(t, k.index)
	t.Cleanup(func() { node.Delete(t, k.index) })
	if _, err := (demo.Client{URL: node.URL}).Index(t.Context(), k.index, left, func(int) {}); err != nil {
		t.Fatal(err)
	}

	c := collection{name: k.index, digest: left.Digest, measure: mrr.Title()}
	random := rand.New(rand.NewPCG(1, 0))
	sources := make(map[string]bool) // that were asked for: the packages of one describe each other
	for _, i := range random.Perm(len(corpus.Documents)) {
		d, rest := corpus.Documents[i], left.Documents[i].Description
		// A text that stands twice has no right answer of its own.
		if len(c.questions) == asked || !d.HeldOut() || sources[d.Source] || isEmpty(d) || len(rest) < leastLeft || times[asks[i]] > 1 || times[rest] > 1 {
			continue
		}
		words := k.query(random, asks[i])
		if words == "" {
			continue
		}
		sources[d.Source] = true
		body, err := json.Marshal(map[string]any{
			"query":   map[string]any{"multi_match": map[string]any{"query": words, "fields": k.fields, "type": "cross_fields"}},
			"_source": false, "size": 10,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.questions = append(c.questions, question{"/" + k.index + "/_search", string(body), words, map[string]bool{d.Name: true}})
	}
	return c
}

var saysEmpty = regexp.MustCompile(`(?i)\b(transitional|dummy|debug(ging)? (symbols|information|files|package))\b`)

// isEmpty tells packages that nobody looks for: those that only pull in another, and debuggers' symbols.
func isEmpty(d demo.Document) bool {
	return strings.HasSuffix(d.Name, "-dbg") || strings.HasSuffix(d.Name, "-dbgsym") || saysEmpty.MatchString(d.Summary) || saysEmpty.MatchString(d.Description)
}

// fillers are words of summaries that nobody searches by, beside those that carry no meaning anywhere.
var fillers = strings.Fields("all allows any based between can currently etc other out over several some than under use used uses using various very via when which while written")

// contentWords are the words of a text that carry meaning, in lower case, each once.
func contentWords(text string) []string {
	var words []string
	for w := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if utf8.RuneCountInString(w) < 2 || slices.Contains(demo.StopWords, w) || slices.Contains(fillers, w) || slices.Contains(words, w) {
			continue
		}
		words = append(words, w)
	}
	return words
}

// without is a text without the copies of a part of it, in whatever case.
func without(text, part string) string {
	if part == "" {
		return text
	}
	return strings.TrimSpace(regexp.MustCompile("(?i)"+regexp.QuoteMeta(part)).ReplaceAllLiteralString(text, ""))
}

// abbreviation tells a full stop that ends no sentence.
var abbreviation = regexp.MustCompile(`(?i)(^|[\s(])(e\.g|i\.e|etc|vs|cf|no|dr|mr|st|inc|ltd|[a-z])\.$`)

// cutSentence parts a text's first sentence from the rest. A text whose first paragraph does not begin with one is left whole.
func cutSentence(text string) (first, rest string) {
	for i, r := range text {
		if r == '\n' {
			break
		}
		if !strings.ContainsRune(".!?", r) {
			continue
		}
		after := strings.TrimLeftFunc(text[i+1:], unicode.IsSpace)
		next, _ := utf8.DecodeRuneInString(after)
		if len(after) == len(text[i+1:]) || unicode.IsLower(next) || abbreviation.MatchString(text[:i+1]) {
			continue
		}
		return text[:i+1], after
	}
	return "", text
}

// heldCollection reads DIR/NAME.jsonl: a document a line, with the query that it answers if there is one.
func heldCollection(dir, name string) func(*testing.T, *cluster.Node) collection {
	return func(t *testing.T, node *cluster.Node) collection {
		t.Helper()
		file, err := os.Open(filepath.Join(dir, name+".jsonl"))
		if err != nil {
			t.Fatalf("reading a collection: %v (`make train-corpus` makes it)", err)
		}
		defer file.Close()
		var queries []string // in the order of the file
		answers := make(map[string]map[string]bool)
		var texts bulk
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var d struct{ ID, Text, Query string }
			if err := json.Unmarshal(lines.Bytes(), &d); err != nil || d.ID == "" {
				t.Fatalf("reading %s: got %.200q (%v), want a document with an id", file.Name(), lines.Text(), err)
			}
			texts.add(d.ID, d.Text)
			if d.Query == "" {
				continue
			}
			if answers[d.Query] == nil {
				answers[d.Query] = make(map[string]bool)
				queries = append(queries, d.Query)
			}
			answers[d.Query][d.ID] = true
		}
		if err := lines.Err(); err != nil {
			t.Fatalf("reading %s: %v", file.Name(), err)
		}
		index := "e2e-model-" + name
		texts.index(t, node, index)
		c := collection{name: name, measure: ndcg.Title()}
		for _, i := range rand.New(rand.NewPCG(1, 0)).Perm(len(queries))[:min(asked, len(queries))] {
			c.questions = append(c.questions, matching(index, queries[i], answers[queries[i]]))
		}
		if len(c.questions) == 0 {
			t.Fatalf("reading %s: got no queries", file.Name())
		}
		return c
	}
}

func TestCutSentence(t *testing.T) {
	for _, c := range []struct{ text, first, rest string }{
		{"Edits sound. It plays it too.", "Edits sound.", "It plays it too."},
		{"Reads files, e.g. FLAC. Writes none.", "Reads files, e.g. FLAC.", "Writes none."},
		{"Runs node.js programs. Quickly.", "Runs node.js programs.", "Quickly."},
		{"A sentence.\nA paragraph", "A sentence.", "A paragraph"},
		{"A heading\nA sentence. More.", "", "A heading\nA sentence. More."},
		{"One sentence.", "", "One sentence."},
	} {
		if first, rest := cutSentence(c.text); first != c.first || rest != c.rest {
			t.Errorf("%q: got %q and %q, want %q and %q", c.text, first, rest, c.first, c.rest)
		}
	}
}

func TestWithout(t *testing.T) {
	if got, want := without("Sound editor (GTK+): a Sound Editor (gtk+).", "sound editor (GTK+)"), ": a ."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
