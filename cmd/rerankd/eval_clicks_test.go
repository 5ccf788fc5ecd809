package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
	"github.com/rerankd/rerankd/proxy/experiment/sink"
	"github.com/rerankd/rerankd/rerank/eval"
)

// An exporting cluster keeps what is written to its indices as an export of them has it, a document on each line, and can be read as of a point
// in time.
type exporting struct {
	queries, events bytes.Buffer
	denied          bool // nobody may read it
}

func (x *exporting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch index, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); {
	case x.denied:
		w.WriteHeader(http.StatusForbidden)
	case r.URL.Path == "/_bulk":
		x.bulk(w, r.Body)
	case strings.HasSuffix(r.URL.Path, "/_count"):
		fmt.Fprintf(w, `{"count":%d}`, len(x.documents(index)))
	case strings.HasSuffix(r.URL.Path, "/_pit"):
		fmt.Fprintf(w, `{"id":%q}`, index)
	case r.URL.Path == "/_search":
		x.search(w, r.Body)
	default:
		io.WriteString(w, "{}")
	}
}

func (x *exporting) bulk(w io.Writer, body io.Reader) {
	var items []string
	lines := bufio.NewScanner(body)
	for lines.Buffer(nil, 16<<20); lines.Scan(); {
		to := &x.events
		if strings.Contains(lines.Text(), `"ubi_queries"`) {
			to = &x.queries
		}
		lines.Scan()
		to.Write(append(lines.Bytes(), '\n'))
		items = append(items, `{"create":{"status":201}}`)
	}
	fmt.Fprintf(w, `{"errors":false,"items":[%s]}`, strings.Join(items, ","))
}

// documents are those of an index that are no impressions of a single hit, in order, each as a hit.
func (x *exporting) documents(index string) (hits []string) {
	from := map[string]*bytes.Buffer{"ubi_queries": &x.queries, "ubi_events": &x.events}[index]
	type document struct{ Timestamp, QueryID, text string }
	var all []document
	for line := range bytes.Lines(from.Bytes()) {
		var d struct {
			Timestamp string `json:"timestamp"`
			QueryID   string `json:"query_id"`
			Action    string `json:"action_name"`
		}
		if json.Unmarshal(line, &d) == nil && d.Action != "impression" {
			all = append(all, document{d.Timestamp, d.QueryID, string(line)})
		}
	}
	slices.SortStableFunc(all, func(a, b document) int {
		return cmp.Or(strings.Compare(a.Timestamp, b.Timestamp), strings.Compare(a.QueryID, b.QueryID))
	})
	for i, d := range all {
		hits = append(hits, fmt.Sprintf(`{"_source":%s,"sort":[%d]}`, d.text, i))
	}
	return hits
}

func (x *exporting) search(w io.Writer, body io.Reader) {
	var asked struct {
		Size  int
		Pit   struct{ ID string }
		After []int `json:"search_after"`
	}
	if err := json.NewDecoder(body).Decode(&asked); err != nil {
		return
	}
	hits := x.documents(asked.Pit.ID)
	if len(asked.After) > 0 {
		hits = hits[asked.After[0]+1:]
	}
	fmt.Fprintf(w, `{"hits":{"hits":[%s]}}`, strings.Join(hits[:min(asked.Size, len(hits))], ","))
}

func (x *exporting) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	x.ServeHTTP(w, r)
	return w.Result(), nil
}

// export is what a cluster has of people who searched.
func export(t *testing.T, traffic simulate.Traffic) *exporting {
	t.Helper()
	x := &exporting{}
	s, err := sink.NewCluster(sink.ClusterOptions{URL: &url.URL{Scheme: "http", Host: "cluster"}, Transport: x, Queue: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for r := range traffic.Records() {
		s.Keep(r)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x
}

// People look from the top, so that what stands high is clicked whatever it is worth. With rankings that have little to do with the truth,
// clicks over expected clicks know the better document all the same; clicks alone know little more than where it stood, and click-through
// rates less than they could.
func TestClicksOverExpectedClicksKnowTheTruth(t *testing.T) {
	for name, model := range map[string]simulate.Model{"cascade": simulate.Cascade{Patience: 0.8}, "dcm": simulate.DCM{Continue: []float64{0.5}, Patience: 0.8}} {
		t.Run(name, func(t *testing.T) {
			world := simulate.World{Seed: 3, Queries: 40, Hits: 10, Control: 8, Same: true}
			x := export(t, simulate.Traffic{
				World: world, Population: simulate.Population{Seed: 4, Model: model, Careless: 0.03, Keen: 0.5, Tail: 1.2, Most: 20},
				Experiment: experiment.Experiment{Name: "e", Share: 1, Variants: []experiment.Variant{{Name: "a", Share: 1}, {Name: "b", Share: 1}}},
				Users:      5000, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Gap: time.Minute,
			})
			queries, err := eval.ReadQueries("ubi_queries", bytes.NewReader(x.queries.Bytes()), eval.Auto)
			if err != nil {
				t.Fatal(err)
			}
			read := func(c eval.Clicks) eval.Qrels {
				j, err := eval.ReadQrels("ubi_events", bytes.NewReader(x.events.Bytes()), eval.Auto, queries, c)
				if err != nil {
					t.Fatal(err)
				}
				return j.Qrels
			}
			truth := map[string]*simulate.Query{}
			for i := range world.Queries {
				q := world.Query(0, i)
				truth[q.Words] = q
			}
			rates := clickThrough(t, x)
			// Of two documents of a query that are worth different things, how often the better one has the better grade; half where they have the same.
			know := func(grade func(query, document string) (float64, bool)) float64 {
				right, pairs := 0.0, 0.0
				for _, q := range truth {
					for _, a := range q.IDs {
						for _, b := range q.IDs {
							of, ok := grade(q.Words, a)
							than, both := grade(q.Words, b)
							if q.Answers(a) < q.Answers(b)+0.2 || !ok || !both {
								continue
							}
							pairs++
							switch {
							case of > than:
								right++
							case of == than:
								right += 0.5
							}
						}
					}
				}
				if pairs < 200 {
					t.Fatalf("only %v pairs are judged", pairs)
				}
				return right / pairs
			}
			of := func(q eval.Qrels) func(query, document string) (float64, bool) {
				return func(query, document string) (float64, bool) {
					grade, ok := q[query][document]
					return float64(grade), ok
				}
			}
			coec, clicked, rate := know(of(read(eval.Clicks{Model: eval.COEC, Least: 10}))), know(of(read(eval.Clicks{}))), know(func(query, document string) (float64, bool) {
				r, ok := rates[query+" "+document]
				return r, ok
			})
			t.Logf("right of two: %.3f by COEC, %.3f by clicks, %.3f by click-through rates", coec, clicked, rate)
			if coec < 0.85 || coec < clicked+0.1 || coec < rate+0.02 {
				t.Errorf("of two documents the better is known in %.3f of the cases by COEC, %.3f by clicks, %.3f by click-through rates", coec, clicked, rate)
			}
		})
	}
}

// clickThrough is the share of the times that a document was shown for a query in which it was clicked.
func clickThrough(t *testing.T, x *exporting) map[string]float64 {
	t.Helper()
	words, shown, clicked := map[string]string{}, map[string]float64{}, map[string]float64{}
	for line := range bytes.Lines(x.queries.Bytes()) {
		var q struct {
			ID    string   `json:"query_id"`
			Words string   `json:"user_query"`
			Hits  []string `json:"query_response_hit_ids"`
		}
		if err := json.Unmarshal(line, &q); err != nil {
			t.Fatal(err)
		}
		words[q.ID] = q.Words
		for _, hit := range q.Hits {
			shown[q.Words+" "+hit]++
		}
	}
	var seen []string
	for line := range bytes.Lines(x.events.Bytes()) {
		var e struct {
			Action     string `json:"action_name"`
			ID         string `json:"query_id"`
			Attributes struct {
				Object struct {
					ID string `json:"object_id"`
				} `json:"object"`
			} `json:"event_attributes"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if once := fmt.Sprint(e.ID, e.Attributes.Object.ID); e.Action == "click" && !slices.Contains(seen[max(0, len(seen)-20):], once) {
			seen = append(seen, once)
			clicked[words[e.ID]+" "+e.Attributes.Object.ID]++
		}
	}
	rates := map[string]float64{}
	for pair, n := range shown {
		if n >= 10 {
			rates[pair] = clicked[pair] / n
		}
	}
	return rates
}
