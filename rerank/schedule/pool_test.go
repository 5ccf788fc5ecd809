package schedule_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/rerank/schedule"
)

// Models that share a pool have one ring: their searches take turns, and no more runs than there are workers go on at once.
func TestModelsShareAPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := schedule.NewPool(1)
		defer p.Close()
		r := &runner{fixed: time.Millisecond} // both models' log
		small := schedule.New(r, schedule.Options{Pool: p})
		defer small.Close()
		large := schedule.New(r, schedule.Options{Pool: p})
		var wg sync.WaitGroup
		for _, c := range []struct {
			model *schedule.Model
			docs  []string
		}{{small, named("s", 4)}, {large, named("l", 3)}, {small, named("t", 2)}} {
			wg.Go(func() {
				if scores, err := c.model.Score(t.Context(), "q", c.docs); len(scores) != len(c.docs) || err != nil {
					t.Errorf("got %v, %v, want %d scores", scores, err, len(c.docs))
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if got, want := strings.Join(r.log, " "), "s1 s2 l1 t1 s3 l2 t2 s4 l3"; got != want || r.most != 1 {
			t.Errorf("got order %q with %d at once, want %q", got, r.most, want)
		}
		if s := small.Stats(); s.Scored != 6 {
			t.Errorf("got %+v, want each model's own documents counted", s)
		}

		// What is queued for one model counts when another is asked how long it will take, and goes with its model.
		if _, err := small.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		var failed error
		wg.Go(func() { _, failed = large.Score(t.Context(), "q", named("x", 20)) })
		synctest.Wait()
		if got := small.Estimate("q", named("s", 1)); got < 2*time.Millisecond {
			t.Errorf("got an estimate of %v behind another model's twenty documents, want its turn counted", got)
		}
		large.Close()
		wg.Wait()
		if failed == nil {
			t.Error("got no error from a search whose model was closed")
		}
		if scores, err := small.Score(t.Context(), "q", named("s", 4)); len(scores) != 4 || err != nil {
			t.Errorf("got %v, %v after the other model was closed, want 4 scores", scores, err)
		}
	})
}
