// Package simulate has people who search and click, with a truth that is known: which hit answers a query how well. With them the verdict of
// an experiment is held against what it should be, over records that are made here ([Traffic]) or over a live cluster ([User]).
//
// Everything is a function of seeds.
package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// A Model is a click model: which places of a list are clicked, from the top, when the hit at each place attracts by a probability. The
// models are those of Chuklin, Markov and de Rijke, "Click Models for Web Search" (2015), chapter 3.
type Model interface {
	Places(attraction []float64, r *rand.Rand) []int
}

// Cascade is the cascade model (Craswell, Zoeter, Taylor and Ramsey, "An experimental comparison of click position-bias models", WSDM 2008):
// a person looks at one hit after the other, clicks the first that attracts, and is done.
type Cascade struct {
	Patience float64 // the chance to look at the next hit after one that did not attract; 0: 1, as published
}

// Places is the Model's.
func (c Cascade) Places(attraction []float64, r *rand.Rand) []int {
	return DCM{Patience: c.Patience}.Places(attraction, r)
}

// DCM is the dependent click model (Guo, Liu and Wang, "Efficient multiple-click models in web search", WSDM 2009): the cascade goes on after
// a click, by a chance that depends on the place.
type DCM struct {
	Continue []float64 // the chance to go on after a click, by place; the last counts for all places below; none: 0
	Patience float64   // as Cascade's
}

// Places is the Model's.
func (d DCM) Places(attraction []float64, r *rand.Rand) []int {
	var clicked []int
	patience := d.Patience
	if patience == 0 {
		patience = 1
	}
	for place, attracts := range attraction {
		goes := patience
		if r.Float64() < attracts {
			clicked = append(clicked, place)
			goes = 0
			if n := len(d.Continue); n > 0 {
				goes = d.Continue[min(place, n-1)]
			}
		}
		if r.Float64() >= goes {
			break
		}
	}
	return clicked
}

// A User is somebody who searches.
type User struct {
	Client   string
	Searches int     // in all
	Model    Model   // how a list is looked at
	Careless float64 // the chance that a hit attracts which answers nothing
	Keen     float64 // the chance that one attracts which answers the query fully
}

// A Click is one of a user, on a list that was shown.
type Click struct {
	Place int // in the list, from 0
	Shown experiment.Shown
	After time.Duration // since the list was shown
}

// Clicks is what the user clicks of a list, in order. relevance says of an id how well it answers the query, from 0 to 1. Half of the first
// clicks come within 20 seconds; one in eighty comes after half an hour.
func (u User) Clicks(shown []experiment.Shown, relevance func(id string) float64, r *rand.Rand) []Click {
	attraction := make([]float64, len(shown))
	for i, hit := range shown {
		attraction[i] = u.Careless + (u.Keen-u.Careless)*relevance(hit.ID)
	}
	var clicks []Click
	var after time.Duration
	for _, place := range u.Model.Places(attraction, r) {
		after += time.Duration(20 * math.Exp(2*r.NormFloat64()) * float64(time.Second))
		clicks = append(clicks, Click{Place: place, Shown: shown[place], After: after})
	}
	return clicks
}

// Event is the click as it is kept. from is the place of the list's first hit.
func (c Click) Event(queryID, client string, shown time.Time, from int) experiment.Event {
	at := shown.Add(c.After)
	return experiment.Event{Action: "click", QueryID: queryID, Client: client, Object: c.Shown.ID, Position: from + c.Place + 1, Time: at, Seen: at.Add(time.Second)}
}

// A Population is users of one kind, of whom a few search very much.
type Population struct {
	Seed     uint64
	Model    Model
	Careless float64
	Keen     float64
	Tail     float64 // the Pareto exponent of a user's searches: with 1.2 the thousandth user makes some 300; 0: everybody makes one
	Most     int     // searches of one user; 0: 1000
}

// User is the i-th. How easily a user clicks varies from half to one and a half of the population's, and who searches more clicks more
// easily, so that searches of one user are alike.
func (p Population) User(i int) User {
	r := rand.New(rand.NewPCG(p.Seed, uint64(i)))
	ease := r.Float64()
	u := User{Client: name(r), Searches: 1, Model: p.Model}
	if p.Tail > 0 {
		most := p.Most
		if most == 0 {
			most = 1000
		}
		u.Searches = int(min(math.Pow(1-ease*0.999999, -1/p.Tail), float64(most)))
	}
	u.Careless, u.Keen = min(1, p.Careless*(0.5+ease)), min(1, p.Keen*(0.5+ease))
	return u
}

func name(r *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	b := make([]byte, 16)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}
