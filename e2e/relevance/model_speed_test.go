package relevance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/onnx"
)

// pairsDrawn is how many pairs time is taken by, and rounds how often.
const (
	pairsDrawn = 200
	rounds     = 5
)

// A pair is a query and the text of a hit, as a model reads them.
type pair struct{ query, text string }

// drawPairs draws questions of a collection, and of each a hit of its window.
func drawPairs(t *testing.T, node *cluster.Node, c collection, n int, random *rand.Rand) (pairs []pair) {
	t.Helper()
	for _, i := range random.Perm(len(c.questions)) {
		if len(pairs) == n {
			break
		}
		q := deep(t, c.questions[i])
		q.body = strings.Replace(q.body, `"_source":false`, `"_source":true`, 1)
		var page struct {
			Hits struct {
				Hits []struct {
					Source struct{ Name, Summary, Description, Text string } `json:"_source"`
				}
			}
		}
		if err := json.Unmarshal([]byte(node.Do(t, http.MethodPost, q.path, "application/json", q.body)), &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Hits.Hits) == 0 {
			continue
		}
		s := page.Hits.Hits[random.IntN(len(page.Hits.Hits))].Source
		texts := slices.DeleteFunc([]string{s.Name, s.Summary, s.Description, s.Text}, func(text string) bool { return text == "" })
		pairs = append(pairs, pair{q.words, strings.Join(texts, "\n")})
	}
	return pairs
}

// speed is what a token costs each model on one worker. The models take turns, so that what else the machine does falls on all of them.
func speed(t *testing.T, subjects []subject, pairs []pair) section {
	t.Helper()
	type tokens struct{ query, text []uint32 }
	type runner struct {
		files  *model.Files
		model  *onnx.Model
		pairs  []tokens
		count  int
		rounds []time.Duration
	}
	var runners []*runner
	for _, s := range subjects {
		files, err := model.Open(s.name, s.source, s.precision, "")
		if err != nil {
			t.Fatal(err)
		}
		opened, err := onnx.Open(files, onnx.Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		r := &runner{files: files, model: opened}
		for _, p := range pairs {
			query, err := opened.Tokenize(p.query)
			if err != nil {
				t.Fatal(err)
			}
			text, err := opened.Tokenize(p.text)
			if err != nil {
				t.Fatal(err)
			}
			r.pairs = append(r.pairs, tokens{query, text})
			r.count += opened.Tokens(query, text)
		}
		runners = append(runners, r)
	}
	for round := range rounds + 1 {
		for _, r := range runners {
			begun := time.Now()
			for _, p := range r.pairs {
				if _, err := r.model.Score(t.Context(), p.query, p.text); err != nil {
					t.Fatal(err)
				}
			}
			if round > 0 { // the first one warms up
				r.rounds = append(r.rounds, time.Since(begun))
			}
		}
	}
	s := section{
		title:  fmt.Sprintf("Speed: one worker of %s, %d pairs, the median of %d rounds", processor(), len(pairs), rounds),
		header: []string{"model", "precision", "graph's sha256", "tokens", "ms/token", "ms/pair"},
		right:  []int{3, 4, 5},
	}
	for i, r := range runners {
		slices.Sort(r.rounds)
		ms := float64(r.rounds[rounds/2].Microseconds()) / 1000
		s.rows = append(s.rows, []string{
			subjects[i].name, r.files.Precision, fmt.Sprintf("%.12s", r.files.Digest),
			fmt.Sprint(r.count), fmt.Sprintf("%.4f", ms/float64(max(r.count, 1))), fmt.Sprintf("%.2f", ms/float64(max(len(pairs), 1))),
		})
	}
	return s
}

// processor is what the machine says of its own.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "an unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "an unknown processor"
}
