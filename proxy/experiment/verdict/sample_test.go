package verdict

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/experiment/simulate"
)

// A sample has units whole or not at all, in whatever order the records come, and no event of the others.
func TestSample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		traffic := simulate.Traffic{
			World:      simulate.World{Seed: 1, Queries: 20, Hits: 20, Control: 1.5},
			Population: simulate.Population{Seed: rapid.Uint64().Draw(t, "people"), Model: simulate.DCM{Continue: []float64{0.5}, Patience: 0.9}, Keen: 0.5, Tail: 1.3, Most: 20},
			Experiment: experiment.Experiment{
				Name: "e", Variants: []experiment.Variant{{Name: "a", Share: 1}, {Name: "b", Share: 1}}, Share: 1, Phase: "100%", Interleave: rapid.Bool().Draw(t, "interleave"),
			},
			Users: 300, Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Gap: time.Minute, Next: 0.2, Unknown: 0.1,
		}
		var records []experiment.Record
		for r := range traffic.Records() {
			records = append(records, r)
		}
		if rapid.Bool().Draw(t, "shuffled") {
			rand.New(rand.NewPCG(1, 1)).Shuffle(len(records), func(i, k int) { records[i], records[k] = records[k], records[i] })
		}
		read := func(sample int) *joined {
			r := Records{Sample: sample}
			for _, record := range records {
				r.Add(record)
			}
			return r.join("e", Options{}.defaults())
		}
		n := rapid.IntRange(2, 8).Draw(t, "sample")
		all, some := read(0), read(n)
		units := map[uint64]*unit{}
		for _, u := range all.units {
			units[u.id] = u
		}
		for _, u := range some.units {
			whole := units[u.id]
			if whole == nil || len(whole.searches) != len(u.searches) {
				t.Fatalf("a unit has %d searches in the sample", len(u.searches))
			}
			for i, s := range u.searches {
				if len(s.clicks) != len(whole.searches[i].clicks) || len(s.pages) != len(whole.searches[i].pages) {
					t.Fatalf("a search has %d clicks on %d pages, want %d on %d", len(s.clicks), len(s.pages), len(whole.searches[i].clicks), len(whole.searches[i].pages))
				}
			}
		}
		if c := some.clicks; some.orphans > 0 || c.Elsewhere > 0 {
			t.Fatalf("got %+v and %d orphans, want no event of those who are left out", c, some.orphans)
		}
		if want := len(all.units) / n; len(some.units) < want/2-5 || len(some.units) > 2*want+5 {
			t.Fatalf("got %d of %d units, want about one in %d", len(some.units), len(all.units), n)
		}
	})
}
