package experiment

import "time"

// A Record is one line of what is kept: exactly one of its fields is set.
type Record struct {
	Impression *Impression `json:"impression,omitempty"`
	Event      *Event      `json:"event,omitempty"`
	Shadow     *Shadow     `json:"shadow,omitempty"`
	Query      *Query      `json:"query,omitempty"`
}

// An Impression is one page as it was shown.
type Impression struct {
	QueryID string    `json:"query_id"` // of one search; its other pages may share it
	Time    time.Time `json:"time"`     // when the page was answered, UTC

	Experiment string    `json:"experiment,omitempty"` // "": the search is in none
	Phase      string    `json:"phase,omitempty"`      // a step of the ramp, such as "10%"; results of different phases are never pooled unweighted
	Variant    string    `json:"variant,omitempty"`    // the one assigned; Interleaved where both share the page
	Unit       string    `json:"unit,omitempty"`       // the Assignment's: whoever or whatever had to get the same variant; "": the search stands for itself
	Design     []Variant `json:"design,omitempty"`     // the experiment's variants with their shares, the control first: what the counts are held against

	Client      string            `json:"client,omitempty"` // UBI's client_id
	Application string            `json:"application,omitempty"`
	Index       string            `json:"index,omitempty"`
	Rule        string            `json:"rule,omitempty"`
	Words       string            `json:"words,omitempty"`      // what was searched for; "" where it is not kept
	Attributes  map[string]string `json:"attributes,omitempty"` // UBI's query_attributes

	Field string  `json:"field,omitempty"` // UBI's object_id_field, that the hits' Object is the value of; "": they have none
	From  int     `json:"from"`            // the place of the first hit, counted from 0
	Hits  []Shown `json:"hits"`            // in the order shown
	Total int64   `json:"total,omitempty"` // hits that match, as the cluster says; -1: it does not say

	Outcome string        `json:"outcome"`          // applied, skipped or failed, as in X-Rerank
	Reason  string        `json:"reason,omitempty"` // why it was not applied
	Cluster time.Duration `json:"cluster_ns"`       // waiting for the cluster
	Added   time.Duration `json:"added_ns"`         // by ranking
	Took    time.Duration `json:"took_ns"`          // from the request's arrival to its answer
}

// Interleaved is the variant of a search whose page both variants share.
const Interleaved = "interleaved"

// Shown is one hit of a page.
type Shown struct {
	Index  string `json:"index,omitempty"`
	ID     string `json:"id"`               // the _id
	Object string `json:"object,omitempty"` // the value of the search's object_id_field, where it has one that is not _id
	Team   Team   `json:"team,omitempty"`   // whose pick the hit is, on an interleaved page
}

// Team is one of the two rankings that share a page.
type Team string

// The teams. A hit that both would have picked at the same turn is nobody's: a click on it says nothing of which ranking is better.
const (
	Nobody  Team = ""
	Control Team = "a" // the first variant of the experiment
	Treated Team = "b" // the second
)

// An Event is something that a person, or the traffic in a person's stead, did with what was shown.
type Event struct {
	Action  string    `json:"action"` // UBI's action_name, in lower case: click, add_to_cart, purchase, …
	QueryID string    `json:"query_id"`
	Time    time.Time `json:"time"`     // as the client says, corrected where its clock cannot be right; UTC
	Seen    time.Time `json:"received"` // when it came, UTC

	Client      string `json:"client,omitempty"`
	Session     string `json:"session,omitempty"`
	Application string `json:"application,omitempty"`
	Words       string `json:"words,omitempty"`
	Object      string `json:"object,omitempty"`   // UBI's object_id, or internal_id where that is all there is
	Field       string `json:"field,omitempty"`    // the field that Object is the value of; "" or _id: the hit's _id
	Position    int    `json:"position,omitempty"` // counted from 1, as the client says; 0: it does not
	Implicit    string `json:"implicit,omitempty"` // what it was concluded from, where nobody told: get, page or reformulation

	MessageType string `json:"message_type,omitempty"` // UBI's, free form
	Message     string `json:"message,omitempty"`
}

// A Query is a search as the application tells of it (UBI's ubi_queries), who may know what no proxy does. What was shown is said by the
// [Impression] alone.
type Query struct {
	QueryID     string            `json:"query_id"`
	Time        time.Time         `json:"time"`     // as for an Event
	Seen        time.Time         `json:"received"` // when it came, UTC
	Client      string            `json:"client,omitempty"`
	Application string            `json:"application,omitempty"`
	Words       string            `json:"words,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Field       string            `json:"field,omitempty"` // that Hits are values of; "" or _id: the hits' _id
	Hits        []string          `json:"hits,omitempty"`  // in order
}

// A Shadow is how a variant would have ordered a page that somebody saw without it.
type Shadow struct {
	QueryID    string        `json:"query_id"`
	Time       time.Time     `json:"time"`
	Experiment string        `json:"experiment"`
	Phase      string        `json:"phase,omitempty"`
	Variant    string        `json:"variant"`
	Unit       string        `json:"unit,omitempty"`
	Outcome    string        `json:"outcome"`
	Reason     string        `json:"reason,omitempty"`
	Shown      []string      `json:"shown"`   // ids of the page as it was shown
	Instead    []string      `json:"instead"` // ids of the page as the variant has it
	Added      time.Duration `json:"added_ns"`
}

// A Sink keeps records. Keep never waits: under pressure a record is dropped, and counted. It is safe for concurrent use.
type Sink interface {
	Keep(Record)
}
