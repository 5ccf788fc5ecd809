package simulate

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// Click rates by place are those that the models' formulas give.
func TestModels(t *testing.T) {
	attraction := []float64{0.2, 0.5, 0, 0.9, 0.3}
	tests := []struct {
		name  string
		model Model
		goes  func(place int) float64 // after a click
		stays float64                 // after none
	}{
		{"cascade", Cascade{}, func(int) float64 { return 0 }, 1},
		{"impatient cascade", Cascade{Patience: 0.7}, func(int) float64 { return 0 }, 0.7},
		{"dependent clicks", DCM{Continue: []float64{0.9, 0.5, 0.3}}, func(place int) float64 { return []float64{0.9, 0.5, 0.3, 0.3, 0.3}[place] }, 1},
		{"impatient dependent clicks", DCM{Continue: []float64{0.4}, Patience: 0.9}, func(int) float64 { return 0.4 }, 0.9},
	}
	const lists = 200_000
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			clicks := make([]float64, len(attraction))
			for range lists {
				for _, place := range test.model.Places(attraction, r) {
					clicks[place]++
				}
			}
			looks := 1.0 // the chance that a place is looked at
			for place, attracts := range attraction {
				want := looks * attracts
				if got := clicks[place] / lists; math.Abs(got-want) > 4.5*math.Sqrt(want*(1-want)/lists) {
					t.Errorf("place %d is clicked in a share of %.4f; want %.4f", place, got, want)
				}
				looks *= attracts*test.goes(place) + (1-attracts)*test.stays
			}
		})
	}
}

// A few users make many of the searches, a hit is clicked for what it answers, some clicks are late, and all is the same twice.
func TestTraffic(t *testing.T) {
	traffic := Traffic{
		World:      World{Seed: 1, Queries: 100, Hits: 25, Control: 2, Treated: 0.5},
		Population: Population{Seed: 2, Model: DCM{Continue: []float64{0.5}, Patience: 0.95}, Careless: 0.05, Keen: 0.6, Tail: 1.2},
		Experiment: experiment.Experiment{Name: "e", Phase: "50%", Variants: []experiment.Variant{{Name: "lexical", Share: 1}, {Name: "reranked", Share: 1}}, Share: 0.5},
		Users:      2000, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Gap: time.Minute, Next: 0.2, Unknown: 0.1, Fallback: 0.1,
	}
	var records []experiment.Record
	searches, clicks, late, fallbacks := map[string]int{}, map[string]int{}, 0, 0
	var times = map[string]time.Time{}
	for r := range traffic.Records() {
		records = append(records, r)
		switch {
		case r.Event != nil:
			if r.Event.Time.Sub(times[r.Event.QueryID]) > 30*time.Minute {
				late++
			}
			clicks[r.Event.Client]++
		case r.Impression.From == 0:
			times[r.Impression.QueryID] = r.Impression.Time
			searches[r.Impression.Client]++
			if r.Impression.Reason == "timeout" {
				fallbacks++
			}
		}
	}
	most, all, clicked := 0, 0, 0
	for _, n := range searches {
		most, all = max(most, n), all+n
	}
	for _, n := range clicks {
		clicked += n
	}
	if len(searches) != traffic.Users || most < 100 || all < 3*traffic.Users || all > 20*traffic.Users {
		t.Errorf("%d users made %d searches, one of them %d", len(searches), all, most)
	}
	if clicked < all/5 || late == 0 || late > clicked/10 || fallbacks == 0 {
		t.Errorf("of %d searches: %d clicks, %d of them late; %d fallbacks", all, clicked, late, fallbacks)
	}
	i := 0
	for r := range traffic.Records() {
		if !reflect.DeepEqual(r, records[i]) {
			t.Fatalf("record %d is another the second time", i)
		}
		i++
	}
}

// The less noise a ranking has, the further up is what answers.
func TestWorld(t *testing.T) {
	w := World{Seed: 1, Hits: 20, Control: 2, Treated: 0.5}
	var control, treated float64
	for i := range 1000 {
		q := w.Query(0, i)
		control += q.Relevance[q.Control[0]]
		treated += q.Relevance[q.Treated[0]]
	}
	if treated < 1.3*control {
		t.Errorf("the first hits answer %.0f of 1000 by the control, %.0f by the better ranking", control, treated)
	}
}
