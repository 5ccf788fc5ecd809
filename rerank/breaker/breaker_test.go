package breaker_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/rerank/breaker"
)

// After three failures in a row all are refused with the last one's cause, until one has tried; what is nobody's fault does not count.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, left := errors.New("out of order"), errors.New("the caller left")
		var told []error
		b := breaker.New(breaker.Options{
			Of: "it", Innocent: func(err error) bool { return errors.Is(err, left) }, Changed: func(cause error) { told = append(told, cause) },
		})
		try := func(err error) error {
			done, refused := b.Allow()
			if refused == nil {
				done(err)
			}
			return refused
		}
		for _, err := range []error{broken, broken, nil, broken, left, broken} { // never three in a row
			if refused := try(err); refused != nil || !b.Working() || b.Resting() != nil {
				t.Fatalf("got %v, want it let through", refused)
			}
		}
		if refused := try(broken); refused != nil {
			t.Fatal(refused)
		}
		const want = "it is left alone after failures in a row, the last: out of order"
		if err := try(nil); err == nil || err.Error() != want || !errors.Is(err, broken) {
			t.Errorf("got %v, want %s", err, want)
		}
		if err := b.Resting(); b.Working() || err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		time.Sleep(breaker.Rest + time.Millisecond)
		if err := b.Resting(); err != nil || b.Working() {
			t.Errorf("got %v after the rest, want the next to try", err)
		}
		done, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}
		if err := try(nil); err == nil || err.Error() != want {
			t.Errorf("got %v while one tries, want %s", err, want)
		}
		done(nil)
		if err := try(nil); err != nil || !b.Working() {
			t.Errorf("got %v when it works again", err)
		}
		if !slices.Equal(told, []error{broken, nil}) {
			t.Errorf("got %v told, want the cause, and that it works again", told)
		}
	})
}
