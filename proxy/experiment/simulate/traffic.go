package simulate

import (
	"crypto/sha256"
	"iter"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// Traffic is what is kept of users who search a world under an experiment.
type Traffic struct {
	World      World
	Population Population
	Experiment experiment.Experiment
	Users      int
	First      int           // number of the first user: more traffic of the same population has others
	Start      time.Time     // when the first comes
	Gap        time.Duration // between the first searches of two users
	Page       int           // hits; 0: 10
	Next       float64       // the chance to look at the next page after one
	Unknown    float64       // the share of users of whom nothing is known that a variant could stick to
	Fallback   float64       // the share of searches whose ranking fails: they are shown the control's, and keep their variant
}

// Records are the impressions and events, user by user; each user's in order of time. Half of a user's searches follow the one before within
// five minutes, and some come days later.
func (t Traffic) Records() iter.Seq[experiment.Record] {
	return func(yield func(experiment.Record) bool) {
		shared := map[int]*Query{}
		for i := t.First; i < t.First+t.Users; i++ {
			if t.World.Own {
				clear(shared)
			}
			if !t.user(i, shared, yield) {
				return
			}
		}
	}
}

func (t Traffic) user(i int, known map[int]*Query, yield func(experiment.Record) bool) bool {
	u := t.Population.User(i)
	r := rand.New(rand.NewPCG(t.Population.Seed^t.World.Seed<<1, uint64(i)))
	unit := u.Client
	if r.Float64() < t.Unknown {
		unit = ""
	}
	which := rand.NewZipf(r, 1.3, 2, uint64(max(t.World.Queries, 1)-1))
	at := t.Start.Add(time.Duration(i-t.First) * t.Gap)
	for s := range u.Searches {
		n := int(which.Uint64())
		q := known[n]
		if q == nil {
			q = t.World.Query(i, n)
			known[n] = q
		}
		id := u.Client + "-" + strconv.Itoa(s)
		if !t.search(u, unit, id, q, at, r, yield) {
			return false
		}
		at = at.Add(time.Duration(5 * math.Exp(2*r.NormFloat64()) * float64(time.Minute)))
	}
	return true
}

// search is one, with its pages and clicks.
func (t Traffic) search(u User, unit, id string, q *Query, at time.Time, r *rand.Rand, yield func(experiment.Record) bool) bool {
	request := experiment.Digest(sha256.Sum256([]byte(q.Words)))
	assigned := t.Experiment.Assign(unit, request)
	order, teams := q.Control, []experiment.Team(nil)
	page := experiment.Impression{QueryID: id, Client: u.Client, Index: "products", Words: q.Words, Total: int64(len(q.Relevance))}
	page.Outcome, page.Cluster, page.Added = "applied", 10*time.Millisecond, time.Duration(50*math.Exp(r.NormFloat64()/2)*float64(time.Millisecond))
	treated := assigned.In && (t.Experiment.Interleave || assigned.Variant > 0)
	switch {
	case !treated:
		page.Outcome, page.Reason, page.Added = "skipped", "disabled", 0
	case r.Float64() < t.Fallback:
		page.Outcome, page.Reason = "skipped", "timeout"
	case t.Experiment.Interleave:
		order, teams = experiment.Draft(q.Control, q.Treated, t.Experiment.Seed(unit, request))
	default:
		order = q.Treated
	}
	page.Took = page.Cluster + page.Added
	t.Experiment.Mark(&page, assigned)
	size := t.Page
	if size == 0 {
		size = 10
	}
	hits := make([]experiment.Shown, len(order))
	for place, hit := range order {
		hits[place] = experiment.Shown{Index: "products", ID: q.IDs[hit]}
		if teams != nil {
			hits[place].Team = teams[place]
		}
	}
	for from := 0; from < len(hits); from += size {
		shown := page
		shown.From, shown.Time, shown.Hits = from, at, hits[from:min(from+size, len(hits))]
		if !yield(experiment.Record{Impression: &shown}) {
			return false
		}
		for _, c := range u.Clicks(shown.Hits, q.Answers, r) {
			e := c.Event(id, u.Client, at, from)
			if !yield(experiment.Record{Event: &e}) {
				return false
			}
		}
		if r.Float64() >= t.Next {
			break
		}
		at = at.Add(30 * time.Second)
	}
	return true
}
