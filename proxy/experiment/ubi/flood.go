package ubi

import (
	"errors"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

var errFlooded = errors.New("more came than is taken: send it again, later")

// flood bounds how much comes: of one address, of one client id, and in all. A client may save up events for the time of a whole request.
type flood struct {
	each rate.Limit // of a client id
	all  *rate.Limiter

	mu   sync.Mutex
	some *recent[uint64, *rate.Limiter]
}

// perAddress is how much more may come of one address than of one client id: an office shares one, and all the world a load balancer's.
const perAddress = 10

// maxSenders bounds the addresses and client ids whose rates are remembered. Beyond it, whoever came longest ago begins anew; then all of
// them together are still bounded.
const maxSenders = 20_000

func newFlood(each, all float64) *flood {
	return &flood{
		each: rate.Limit(each),
		all:  rate.NewLimiter(rate.Limit(all), int(math.Ceil(max(all*2, maxItems)))),
		some: newRecent[uint64, *rate.Limiter](time.Duration(float64(maxItems)/each*float64(time.Second)), maxSenders/2),
	}
}

// of returns what bounds one sender.
func (f *flood) of(sender uint64, each rate.Limit, now time.Time) *rate.Limiter {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, ok := f.some.get(sender, now)
	if !ok {
		l = rate.NewLimiter(each, maxItems)
		f.some.put(sender, l, now)
	}
	return l
}

// wait is how long an address has to wait before it may send anything; 0: it may now.
func (f *flood) wait(address uint64, now time.Time) time.Duration {
	for _, l := range []*rate.Limiter{f.of(address, perAddress*f.each, now), f.all} {
		if tokens := l.TokensAt(now); tokens < 1 {
			return time.Duration((1 - tokens) / float64(l.Limit()) * float64(time.Second))
		}
	}
	return 0
}

// take reports whether one more may come from that address.
func (f *flood) take(address uint64, now time.Time) bool {
	return f.of(address, perAddress*f.each, now).AllowN(now, 1) && f.all.AllowN(now, 1)
}

// takeOf is the same for a client id, 0 for none.
func (f *flood) takeOf(client uint64, now time.Time) bool {
	return client == 0 || f.of(client, f.each, now).AllowN(now, 1)
}
