package relevance

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/e2e/program"
	"github.com/rerankd/rerankd/rerank/eval"
)

var few = flag.Int("queries", 0, "ask each collection so many queries at most, and hold the model to nothing")

// asked is how many queries are drawn out of a collection at most, hitsAsked how many hits of each are read and looked at, and askedOfFP32 by
// how many of the queries int8 is compared with fp32, which takes several times as long.
const (
	asked       = 300
	hitsAsked   = 50
	askedOfFP32 = 40
)

var (
	ndcg = eval.Measure{Kind: eval.NDCG, K: 10}
	mrr  = eval.Measure{Kind: eval.MRR, K: 10}
)

// A subject is a model that is measured.
type subject struct{ name, source, precision string }

// An arm is a way to answer a search: by a model, its judgement blended with the cluster's or alone. The zero arm is the cluster.
type arm struct {
	subject  subject
	replaced bool
}

func (a arm) String() string {
	switch {
	case a == arm{}:
		return "lexical"
	case a.replaced:
		return a.subject.name + ", replaced"
	}
	return a.subject.name + ", blended"
}

// suffix is that of the indices that are searched by this arm.
func (a arm) suffix() string { return strings.ReplaceAll(a.String(), ", ", "-") }

// A contest is who is measured. The source of one that is not there is empty.
type contest struct{ model, biencoder, fp32 subject }

// contestants are the embedded model, or the one of RERANKD_MODEL in its place; the bi-encoder that it comes from, if RERANKD_BIENCODER
// says where; and the same weights before they were made int8, if RERANKD_FP32 does.
func contestants(t *testing.T) contest {
	t.Helper()
	c := contest{model: subject{name: "embedded", source: "embedded"}}
	if dir := folder("RERANKD_MODEL", ""); dir != "" {
		c.model = subject{name: "candidate", source: dir}
	}
	if dir := folder("RERANKD_BIENCODER", ""); dir != "" {
		c.biencoder = subject{name: "bi-encoder", source: dir}
	} else {
		t.Log("RERANKD_BIENCODER names no model: there is no comparison with the bi-encoder")
	}
	if dir := folder("RERANKD_FP32", ""); dir != "" {
		c.fp32 = subject{name: "fp32", source: dir, precision: "fp32"}
	} else {
		t.Log("RERANKD_FP32 names no model: what int8 costs in fidelity is not measured")
	}
	return c
}

// folder is the one that an environment variable names, or else the other; both from the root of the repository.
func folder(variable, otherwise string) string {
	dir := os.Getenv(variable)
	if dir == "" {
		dir = otherwise
	}
	if dir == "" || filepath.IsAbs(dir) {
		return dir
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		panic(err) // the working directory is gone
	}
	return filepath.Join(root, dir)
}

func (c contest) subjects() []subject {
	return slices.DeleteFunc([]subject{c.model, c.biencoder, c.fp32}, func(s subject) bool { return s.source == "" })
}

// arms are the ways to answer that are measured beside the cluster's own.
func (c contest) arms() []arm {
	arms := []arm{{c.model, false}, {c.model, true}}
	if c.biencoder.source != "" {
		arms = append(arms, arm{c.biencoder, false}, arm{c.biencoder, true})
	}
	return arms
}

// asInt8 and asFP32 are the arms by which the two are compared.
func (c contest) asInt8() arm { return arm{c.model, true} }
func (c contest) asFP32() arm { return arm{c.fp32, true} }

// configuration has a rule for each arm. What one of a model's arms has scored, the other need not score again.
func (c contest) configuration() string {
	var b strings.Builder
	b.WriteString("models:\n")
	for _, s := range c.subjects() {
		fmt.Fprintf(&b, "  %s: { source: %q", s.name, s.source)
		if s.precision != "" {
			fmt.Fprintf(&b, ", precision: %s", s.precision)
		}
		b.WriteString(" }\n")
	}
	b.WriteString("log: { slow: 0s }\nrules:\n") // a busy machine is slow, which is no news
	arms := c.arms()
	if c.fp32.source != "" {
		arms = append(arms, c.asFP32())
	}
	for _, a := range arms {
		fusion := ""
		if a.replaced {
			fusion = ", fusion: { method: replace }"
		}
		// Where the words name one exact thing a rule would leave the search alone, which would say nothing of the model.
		fmt.Fprintf(&b, "  - { name: %[1]s, indices: [\"*-%[1]s\"], stages: [{ model: %[2]s, window: %[3]d }], budget: 60s, words: { lookups: true }%[4]s }\n",
			a.suffix(), a.subject.name, hitsAsked, fusion)
	}
	return b.String()
}

// An answer is the ids of the first 50 hits; untouched where the order is the cluster's, since the model had nothing to say.
type answer struct {
	ids       []string
	untouched bool
}

// A tally is what every arm made of the questions of one or more collections.
type tally struct {
	name      string
	measure   eval.Measure
	questions []question
	answers   map[arm][]answer // by question
	fp32      []answer         // to the first of the questions
}

// values are what a measure says of an arm's orders, by question.
func (y *tally) values(a arm, m eval.Measure) []float64 {
	values := make([]float64, len(y.questions))
	for i, q := range y.questions {
		grades := make(map[string]int, len(q.relevant))
		for id := range q.relevant {
			grades[id] = 1
		}
		values[i] = m.Of(y.answers[a][i].ids, grades, 1)
	}
	return values
}

// difference is how much better an arm is than another.
func (y *tally) difference(baseline, against arm) eval.Difference {
	return eval.Compare(y.values(baseline, y.measure), y.values(against, y.measure))
}

// losing is the share of the questions that lose more than 0.2 NDCG@10 to the cluster's order.
func (y *tally) losing(a arm) float64 {
	n := 0
	for _, d := range eval.Differences(y.values(arm{}, ndcg), y.values(a, ndcg)) {
		if d < -0.2 {
			n++
		}
	}
	return float64(n) / float64(max(len(y.questions), 1))
}

// pool is the questions of some collections of one measure as one.
func pool(name string, tallies []*tally) *tally {
	all := &tally{name: name, measure: tallies[0].measure, answers: make(map[arm][]answer)}
	for _, y := range tallies {
		all.questions = append(all.questions, y.questions...)
		for a, answers := range y.answers {
			all.answers[a] = append(all.answers[a], answers...)
		}
	}
	return all
}

// TestModel measures the embedded model against the cluster's own order, and against the bi-encoder that it comes from, on what it was not
// trained on: held-out packages, asked for in three ways, and texts of other kinds. It prints a table, and holds the model to its bounds.
func TestModel(t *testing.T) {
	if os.Getenv("RERANKD_E2E") != "model" {
		t.Skip("needs a real cluster and an hour: `make eval-model` runs it, or RERANKD_E2E=model with bin/rerankd built")
	}
	held := folder("RERANKD_HELD", filepath.Join(".cache", "train", "held"))
	if _, err := os.Stat(held); err != nil {
		t.Fatalf("reading the collections outside of the model's domain: %v (`make train-corpus` makes them, and RERANKD_HELD says where they are)", err)
	}
	contest := contestants(t)
	node := cluster.Start(t, cluster.OpenSearch219)
	through := program.Serve(t, node, contest.configuration())

	debians := []source{
		{"Debian, upstream summary", debian},
		{"Debian, short keywords", shortKeywords.collection},
		{"Debian, first sentence", firstSentence.collection},
	}
	others := []source{
		{"manuals", heldCollection(held, "manuals")},
		{"perl", heldCollection(held, "perl")},
		{"terms", heldCollection(held, "terms")},
		{"docstrings", docstrings},
	}
	random := rand.New(rand.NewPCG(2, 0))
	var pairs []pair
	measureAll := func(sources []source) (tallies []*tally) {
		for _, s := range sources {
			t.Run(s.name, func(t *testing.T) {
				c := s.collection(t, node)
				if *few > 0 {
					random := rand.New(rand.NewPCG(1, 0))
					random.Shuffle(len(c.questions), func(i, k int) { c.questions[i], c.questions[k] = c.questions[k], c.questions[i] })
					c.questions = c.questions[:min(*few, len(c.questions))]
				}
				tallies = append(tallies, measureArms(t, s.name, c, contest, node, through.URL))
				pairs = append(pairs, drawPairs(t, node, c, pairsDrawn/(len(debians)+len(others))+1, random)...)
			})
			if t.Failed() {
				t.FailNow()
			}
		}
		return tallies
	}
	inDomain, outOfDomain := measureAll(debians), measureAll(others)
	measured := slices.Concat(inDomain, outOfDomain)
	if len(measured) < len(debians)+len(others) {
		if len(measured) > 0 {
			printSections(t, []section{quality(contest, measured)})
		}
		t.Log("not every collection was asked for: the model is held to nothing")
		return
	}
	inPooled, outPooled := pool("Debian, all three kinds", inDomain), pool("out of domain, all", outOfDomain)

	sections := []section{
		quality(contest, slices.Concat(inDomain, []*tally{inPooled}, outOfDomain, []*tally{outPooled})),
	}
	if contest.fp32.source != "" {
		sections = append(sections, fidelityTable(contest, measured))
	}
	sections = append(sections, speed(t, contest.subjects(), pairs[:min(pairsDrawn, len(pairs))]))
	printSections(t, sections)

	if *few > 0 {
		t.Logf("%d queries a collection show that all of it runs, and prove nothing", *few)
		return
	}
	if len(inPooled.questions) < 500 {
		t.Errorf("got %d queries for Debian's packages, want 500 at least", len(inPooled.questions))
	}
	checkModel(t, contest, measured, inPooled, outOfDomain, outPooled)
}

// A source makes a collection on the node.
type source struct {
	name       string
	collection func(*testing.T, *cluster.Node) collection
}

// measureArms asks everyone every question; and fp32, which is there to be compared with int8 alone, the first of them.
func measureArms(t *testing.T, name string, c collection, contest contest, node *cluster.Node, through string) *tally {
	t.Helper()
	measure, err := eval.ParseMeasure(c.measure)
	if err != nil {
		t.Fatal(err)
	}
	y := &tally{name: name, measure: measure, questions: c.questions, answers: make(map[arm][]answer)}
	for _, q := range c.questions {
		ids, _ := ask(t, node.URL, deep(t, q))
		y.answers[arm{}] = append(y.answers[arm{}], answer{ids: ids})
	}
	t.Logf("lexical: %d queries, %s %.4f", len(c.questions), measure.Title(), y.difference(arm{}, arm{}).Baseline)
	askArm := func(a arm, questions []question) (answers []answer) {
		begun := time.Now()
		searched := c.index() + "-" + a.suffix()
		alias(t, node, c.index(), searched)
		reasons := make(map[string]int) // why searches were not reranked
		for _, q := range questions {
			q.path = "/" + searched + "/_search"
			ids, header := askWhole(t, through, deep(t, q))
			reason, skipped := strings.CutPrefix(header, "skipped; reason=")
			if skipped = skipped && slices.Contains([]string{"language", "no_query", "no_text"}, reason); skipped {
				reasons[reason]++
			} else {
				checkComplete(t, header)
			}
			answers = append(answers, answer{ids, skipped})
		}
		t.Logf("%s: %d queries in %.0f s%s", a, len(questions), time.Since(begun).Seconds(), counted(reasons))
		return answers
	}
	for _, a := range contest.arms() {
		y.answers[a] = askArm(a, c.questions)
		d := y.difference(arm{}, a)
		t.Logf("%s: %s %.4f (%+.4f)", a, measure.Title(), d.Against, d.Mean)
	}
	if contest.fp32.source != "" {
		y.fp32 = askArm(contest.asFP32(), c.questions[:min(askedOfFP32, len(c.questions))])
	}
	return y
}

// askWhole asks a proxy, and asks again where a busy machine did not have the whole window scored in time: the scores that there are already
// are remembered, so that it gets further every time.
func askWhole(t *testing.T, through string, q question) (ids []string, header string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); ; {
		ids, header = askReranked(t, through, q)
		short := strings.HasPrefix(header, "applied") && parameter(header, "scored") != parameter(header, "window")
		if late := header == "skipped; reason=timeout" || header == "skipped; reason=busy"; !short && !late || time.Now().After(deadline) {
			return ids, header
		}
		time.Sleep(time.Second) // the order too is remembered, for a minute
	}
}

// counted says how many searches were not reranked, and why.
func counted(reasons map[string]int) string {
	var b strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(&b, "; %d not reranked: %s", reasons[reason], reason)
	}
	return b.String()
}

// deep is the question with the whole window on its page.
func deep(t *testing.T, q question) question {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(q.body), &body); err != nil {
		t.Fatal(err)
	}
	body["size"] = hitsAsked
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	q.body = string(text)
	return q
}

// A likeness is how like two models order the same windows, of two hits or more that both of them read.
type likeness struct {
	windows   int
	spearman  float64 // the mean of the rank correlations
	sameFirst float64 // the share that have the same first hit
}

// fidelity is how like int8 and fp32 order the windows of some collections.
func (c contest) fidelity(tallies ...*tally) likeness {
	var l likeness
	for _, y := range tallies {
		for i, exact := range y.fp32 {
			quantised := y.answers[c.asInt8()][i]
			if len(exact.ids) < 2 || exact.untouched || quantised.untouched {
				continue
			}
			l.windows++
			l.spearman += rankCorrelation(quantised.ids, exact.ids)
			if quantised.ids[0] == exact.ids[0] {
				l.sameFirst++
			}
		}
	}
	n := float64(max(l.windows, 1))
	l.spearman, l.sameFirst = l.spearman/n, l.sameFirst/n
	return l
}

// rankCorrelation is Spearman's, of two orders of the same ids. Others have none: NaN.
func rankCorrelation(a, b []string) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	squares := 0
	for i, id := range a {
		k := slices.Index(b, id)
		if k < 0 {
			return math.NaN()
		}
		squares += (i - k) * (i - k)
	}
	n := len(a)
	return 1 - 6*float64(squares)/float64(n*(n*n-1))
}

// checkModel holds the model to what it has to be worth: on Debian's packages together, on each of the other collections and on those together.
func checkModel(t *testing.T, c contest, measured []*tally, debian *tally, others []*tally, other *tally) {
	t.Helper()
	least := func(what string, got, want float64) {
		if !(got >= want) {
			t.Errorf("%s: got %+.4f, want %+.4f at least", what, got, want)
		}
	}
	blended, replaced := arm{c.model, false}, arm{c.model, true}
	gain := debian.difference(arm{}, blended)
	least("gain on "+debian.name, gain.Mean, 0.06)
	if !(gain.Low > 0.02) {
		t.Errorf("lower bound of the gain on %s: got %+.4f, want more than +0.0200", debian.name, gain.Low)
	}
	for _, y := range others {
		if low := y.difference(arm{}, blended).Low; !(low > 0) {
			t.Errorf("lower bound of the gain on %s: got %+.4f, want more than 0", y.name, low)
		}
	}
	for _, y := range []*tally{debian, other} {
		if share := y.losing(blended); share > 0.10 {
			t.Errorf("share of the queries of %s that lose more than 0.2 NDCG@10: got %.1f %%, want 10 %% at most", y.name, 100*share)
		}
	}
	if c.biencoder.source != "" {
		for _, y := range append([]*tally{debian}, others...) {
			least("upper bound of the difference to the bi-encoder, blended, on "+y.name, y.difference(arm{c.biencoder, false}, blended).High, 0)
			least("upper bound of the difference to the bi-encoder, replaced, on "+y.name, y.difference(arm{c.biencoder, true}, replaced).High, 0)
		}
	}
	if c.fp32.source != "" {
		l := c.fidelity(measured...)
		least("mean rank correlation of int8 and fp32", l.spearman, 0.99)
		least("share of the windows of which int8 and fp32 have the same first hit", l.sameFirst, 0.93)
	}
}

func TestRankCorrelation(t *testing.T) {
	one := strings.Fields("a b c d")
	for _, c := range []struct {
		other string
		want  float64
	}{
		{"a b c d", 1},
		{"d c b a", -1},
		{"b a c d", 0.8}, // 1 - 6*2/(4*15)
	} {
		if got := rankCorrelation(one, strings.Fields(c.other)); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v and %s: got %v, want %v", one, c.other, got, c.want)
		}
	}
	if got := rankCorrelation(one, strings.Fields("a b c e")); !math.IsNaN(got) {
		t.Errorf("orders of other ids: got %v, want NaN", got)
	}
}
