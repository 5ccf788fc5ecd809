package eval

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestMeasuresAreAsTrecEvalHasThem(t *testing.T) {
	cases := readGolden(t).Measures
	if len(cases) < 200 {
		t.Fatalf("got %d cases, want 200 at least", len(cases))
	}
	values := 0
	for i, c := range cases {
		var hits []Hit
		for id, score := range c.Run {
			hits = append(hits, Hit{id, score})
		}
		ranking := ByScore(hits)
		if len(ranking) == 0 { // which trec_eval leaves out, and we count
			for _, m := range DefaultMeasures() {
				if got := m.Of(ranking, c.Qrel, c.Level); got != 0 {
					t.Errorf("case %d: %s is %v where nothing was found, want 0", i, m, got)
				}
			}
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(c.Want)) {
			m, err := ParseMeasure(name)
			if err != nil {
				t.Fatal(err)
			}
			values++
			if got := m.Of(ranking, c.Qrel, c.Level); !same(got, c.Want[name]) {
				t.Errorf("case %d: %s is %v, want %v", i, name, got, c.Want[name])
			}
		}
	}
	t.Logf("%d values of %d cases", values, len(cases))
}

func TestParseMeasure(t *testing.T) {
	for _, test := range []struct {
		in   string
		want Measure
	}{
		{"ndcg@10", Measure{NDCG, 10}},
		{" NDCG@10 ", Measure{NDCG, 10}},
		{"map", Measure{MAP, 0}},
		{"success@3", Measure{Accuracy, 3}},
		{"recip_rank@10", Measure{MRR, 10}},
	} {
		got, err := ParseMeasure(test.in)
		if err != nil || got != test.want {
			t.Errorf("%q: got %v (%v), want %v", test.in, got, err, test.want)
		}
		if again, err := ParseMeasure(got.Title()); err != nil || again != got {
			t.Errorf("%q is read as %v (%v), want %v", got.Title(), again, err, got)
		}
	}
	for _, in := range []string{"", "err@10", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@ten", "@10"} {
		if m, err := ParseMeasure(in); err == nil {
			t.Errorf("%q: got %v, want an error", in, m)
		}
	}
}

// A query that was not answered, was not asked, or has no judgments counts.
func TestValuesOfEveryQuery(t *testing.T) {
	q := Qrels{"found": {"a": 1}, "empty": {"a": 1}, "absent": {"a": 1}}
	r := Run{"found": {"a"}, "empty": {}, "unjudged": {"a"}}
	for _, m := range DefaultMeasures() {
		got := m.Values([]string{"absent", "found", "empty", "unjudged"}, q, r, 0)
		if want := []float64{0, 1, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", m, got, want)
		}
	}
}

func TestOnlyNegativeGrades(t *testing.T) {
	if got := (Measure{NDCG, 10}).Of([]string{"a", "b"}, map[string]int{"a": -2, "b": -1}, 0); got != 0 {
		t.Errorf("got %v, want 0", got) // trec_eval does not return
	}
}

// What holds of any ranking: values are shares, the best ranking has the best value, and hits beyond K do not count.
func TestMeasureProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		grades := map[string]int{}
		var best []Hit
		for i, grade := range rapid.SliceOfN(rapid.IntRange(-1, 3), 1, 20).Draw(t, "grades") {
			id := fmt.Sprint(i)
			grades[id] = grade
			best = append(best, Hit{id, float64(grade)})
		}
		ideal := ByScore(best)
		ranking := slices.Clone(ideal)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		r.Shuffle(len(ranking), func(i, j int) { ranking[i], ranking[j] = ranking[j], ranking[i] })
		k := rapid.IntRange(1, 25).Draw(t, "k")
		for kind := range names {
			for _, m := range []Measure{{kind, 0}, {kind, k}} {
				got, most := m.Of(ranking, grades, 0), m.Of(ideal, grades, 0)
				if got < 0 || got > most+near || most > 1+near {
					t.Errorf("%s is %v, and %v of the best ranking", m, got, most)
				}
			}
			if m := (Measure{kind, k}); kind != Judged && m.Of(ranking, grades, 0) != m.Of(append(slices.Clone(ranking[:min(k, len(ranking))]), "x"), grades, 0) && k <= len(ranking) {
				t.Errorf("%s looks beyond its hits", m)
			}
		}
	})
}
