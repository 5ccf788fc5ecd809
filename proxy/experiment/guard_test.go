package experiment

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// traffic is searches by variant; what is special about one is said by with.
func traffic(t *Totals, variant string, searches int, with func(i int, page *Impression)) {
	for i := range searches {
		page := &Impression{Variant: variant, Outcome: "applied", Hits: []Shown{{ID: "1"}}, Total: 1, Took: 50 * time.Millisecond, Added: 20 * time.Millisecond}
		if with != nil {
			with(i, page)
		}
		t.Add(page)
	}
}

func TestGuards(t *testing.T) {
	empty := func(i int, page *Impression) {
		page.Hits, page.Total, page.Outcome, page.Reason = nil, 0, "skipped", "no_hits"
	}
	some := func(of int, with func(int, *Impression)) func(int, *Impression) {
		return func(i int, page *Impression) {
			if i%100 < of {
				with(i, page)
			}
		}
	}
	slow := func(i int, page *Impression) { page.Took, page.Added = 700*time.Millisecond, 650*time.Millisecond }
	fault := func(i int, page *Impression) { page.Outcome, page.Reason = "skipped", "timeout" }
	tests := []struct {
		what  string
		make  func(*Totals)
		fails []Guard
		says  string // of the first that fails
	}{
		{what: "all is well", make: func(t *Totals) { traffic(t, "a", 1000, nil); traffic(t, "b", 1000, nil) }},
		{what: "few searches say nothing", make: func(t *Totals) { traffic(t, "a", 1000, nil); traffic(t, "b", 199, slow) }},
		{
			what: "slow", make: func(t *Totals) { traffic(t, "a", 1000, nil); traffic(t, "b", 1000, some(10, slow)) },
			fails: []Guard{Latency}, says: "b: 95 % of searches take no longer than 741 ms, the control's 51 ms; 500 ms more are allowed",
		},
		{what: "slow as the control is", make: func(t *Totals) { traffic(t, "a", 1000, some(10, slow)); traffic(t, "b", 1000, some(10, slow)) }},
		{what: "few are slow", make: func(t *Totals) { traffic(t, "a", 1000, nil); traffic(t, "b", 1000, some(4, slow)) }},
		{
			what: "empty pages", make: func(t *Totals) { traffic(t, "a", 1000, nil); traffic(t, "b", 1000, some(5, empty)) },
			fails: []Guard{ZeroResults}, says: "b: 5 % of searches have no hit, the control's 0 %; 1 % more are allowed",
		},
		{what: "empty pages by chance", make: func(t *Totals) { traffic(t, "a", 1000, some(3, empty)); traffic(t, "b", 1000, some(5, empty)) }},
		{
			what: "faults", make: func(t *Totals) { traffic(t, "a", 1000, nil); traffic(t, "b", 1000, some(30, fault)) },
			fails: []Guard{Errors}, says: "b: 30 % of searches could not be ranked (timeout 300), the control's 0 %; 5 % more are allowed",
		},
		{what: "a cluster's faults are nobody's", make: func(t *Totals) { traffic(t, "a", 1000, some(30, fault)); traffic(t, "b", 1000, some(30, fault)) }},
		{
			what: "interleaved", make: func(t *Totals) {
				traffic(t, Interleaved, 1000, func(i int, page *Impression) { slow(i, page); some(30, fault)(i, page) })
			},
			fails: []Guard{Latency, Errors}, says: "interleaved: 95 % of ranking takes no longer than 680 ms; 500 ms more are allowed",
		},
		{
			what: "in the shadow", make: func(t *Totals) {
				traffic(t, "a", 1000, nil)
				for range 1000 {
					t.AddShadow(&Shadow{Variant: "b", Outcome: "failed", Reason: "model_error", Added: time.Second})
				}
			},
			fails: []Guard{Latency, Errors}, says: "b: 95 % of ranking takes no longer than 1049 ms; 500 ms more are allowed",
		},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			var totals Totals
			test.make(&totals)
			var fails []Guard
			var says string
			for _, f := range (Guards{}).Check(&totals, "a") {
				if f.Fails {
					fails = append(fails, f.Guard)
					if says == "" {
						says = f.Sentence
					}
				}
			}
			if !slices.Equal(fails, test.fails) || says != test.says {
				t.Errorf("fails: %v, %q; want %v, %q", fails, says, test.fails, test.says)
			}
			refused := len((Guards{}).Refuse(Step{Shadow: true}, Step{Share: 0.01}, &totals, "a"))
			if refused != len(test.fails) {
				t.Errorf("the next step is refused for %d reasons; want %d", refused, len(test.fails))
			}
			if down := (Guards{}).Refuse(Step{Share: 0.01}, Step{}, &totals, "a"); down != nil {
				t.Errorf("the way back is refused: %q", down)
			}
		})
	}
}

// Guards of a variant that is the control under another name seldom fail: three standard errors and a limit are far off.
func TestGuardsOfEquals(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	failed := 0
	for range 500 {
		var totals Totals
		for _, variant := range []string{"a", "b"} {
			traffic(&totals, variant, 400, func(i int, page *Impression) {
				page.Took = time.Duration(r.ExpFloat64() * float64(200*time.Millisecond))
				if r.Float64() < 0.1 {
					page.Hits, page.Total = nil, 0
				}
				if r.Float64() < 0.1 {
					page.Outcome, page.Reason = "skipped", "busy"
				}
			})
		}
		for _, f := range (Guards{Slower: 1}).Check(&totals, "a") {
			if f.Fails {
				failed++
			}
		}
	}
	if failed > 5 {
		t.Errorf("%d guards of 1500 fail, of variants that are the same", failed)
	}
}

// What a guard takes for the 95th percentile is that, to the twelfth that a bucket is wide.
func TestLatencies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(int64(100*time.Microsecond), int64(time.Minute)), 1, 300).Draw(t, "durations")
		var l latencies
		for _, d := range all {
			l.add(time.Duration(d))
		}
		slices.Sort(all)
		low, at, high := l.quantile(0.95)
		exact := float64(all[min(int(0.95*float64(len(all))), len(all)-1)])
		if ratio := float64(at) / exact; ratio < 0.999 || ratio > 1.1 {
			t.Fatalf("the 95th percentile is %v; want %v", at, time.Duration(exact))
		}
		if low > at || at > high {
			t.Fatalf("%v, %v, %v are not in order", low, at, high)
		}
	})
}

func TestTotalsOfManyAtOnce(t *testing.T) {
	var totals Totals
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			traffic(&totals, "a", 250, nil)
			traffic(&totals, "b", 250, nil)
			Guards{}.Check(&totals, "a")
		})
	}
	all.Wait()
	for _, f := range (Guards{}).Check(&totals, "a") {
		if f.Searches != 2000 || f.Fails || f.Waits {
			t.Errorf("%+v", f)
		}
	}
}

func TestSteps(t *testing.T) {
	steps := []string{"off", "shadow", "0.5%", "1%", "7%", "29%", "50%", "100%"} // as the ramp goes up
	var last Step
	for i, s := range steps {
		step, err := ParseStep(s)
		if err != nil || step.String() != s {
			t.Errorf("%s is read as %s, %v", s, step, err)
		}
		if i > 0 && (!step.Beyond(last) || last.Beyond(step)) || step.Beyond(step) {
			t.Errorf("%s does not follow %s", step, last)
		}
		last = step
	}
	if step, err := ParseStep("5 %"); err != nil || step.Share != 0.05 {
		t.Errorf("5 %% is %v, %v", step, err)
	}
	for _, s := range []string{"", "on", "1", "0%", "-1%", "101%", "NaN%", "%", "shadow%"} {
		if step, err := ParseStep(s); err == nil {
			t.Errorf("%q is read as %s", s, step)
		}
	}
}

func BenchmarkTotals(b *testing.B) {
	var totals Totals
	page := &Impression{Variant: "a", Outcome: "skipped", Reason: "timeout", Took: time.Second}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			totals.Add(page)
		}
	})
}
