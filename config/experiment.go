package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Experiment compares ways to answer the searches of a rule, on the application's own traffic.
type Experiment struct {
	// Name is for headers, metrics, logs and reports. Who gets which variant follows from it: another experiment wants another name.
	Name string `yaml:"name"`
	// Rule is the name of the one whose searches are compared; "default" where there are no rules. It governs the searches that are not in
	// the experiment. Default: the only rule.
	Rule string `yaml:"rule"`
	// Variants are the ways, by their names; the first is the control.
	Variants Variants `yaml:"variants"`
	// Assign is split (the default): each unit gets one variant; or interleave: two variants share each page, and a click on a hit counts
	// for the one that placed it.
	Assign string `yaml:"assign"`
	// Unit says by what a search is known to be of the same client or session as another; the first that a search has counts, and where it
	// has none it stands for itself. Default: [client_id].
	Unit []Unit `yaml:"unit"`
	// Share of the units that take part. Default 100%.
	Share Percent `yaml:"share"`
	// Phase is off (the default); shadow: nobody sees a variant, and they are ranked behind the searches; or live.
	Phase string `yaml:"phase"`
	// Horizon is how long after a unit's first search its searches count for its score, and so how long it takes a unit to count at all. Another
	// one is another measure, to be chosen before anybody looks. Default 24h.
	Horizon Duration `yaml:"horizon"`
	// Guards are what must hold before the phase or the share may be raised.
	Guards Guards `yaml:"guards"`
	// Force raises them all the same. Default false.
	Force bool `yaml:"force"`
}

// What Experiment.Assign and Experiment.Phase may be.
const (
	AssignSplit      = "split"
	AssignInterleave = "interleave"

	PhaseOff    = "off"
	PhaseShadow = "shadow"
	PhaseLive   = "live"
)

// Variants are in the order of the file, where they are keys and values.
type Variants []Variant

// Variant is one way to answer the searches of a rule.
type Variant struct {
	Name string // its key
	// Share of the units that take part, in proportion to those of the other variants. Default: as large as any other's. Not with interleave.
	Share Percent `yaml:"share"`
	// Rule is the experiment's rule, with what the variant says instead: any of variantKeys.
	Rule Rule
}

// variantKeys are the keys of a rule that a variant may have. Which searches there are, and what their words are, is the same for all.
var variantKeys = []string{"fields", "separator", "template", "stages", "long_texts", "passages", "budget", "total", "fusion", "rerank", "score"}

// Unit is where to look for whose search it is: { header: NAME }, { cookie: NAME }, or one of the words client_id (that of ext.ubi),
// authorization, none. What is found is never kept, only a digest of it.
type Unit struct {
	Header string `yaml:"header"`
	Cookie string `yaml:"cookie"`
	Word   string // client_id, authorization or none
}

// What Unit.Word may be.
const (
	UnitClient        = "client_id"
	UnitAuthorization = "authorization"
	UnitNone          = "none"
)

// UnmarshalText reads a word; a header or a cookie is written as a key and a value.
func (u *Unit) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case UnitClient, UnitAuthorization, UnitNone:
		u.Word = word
		return nil
	}
	return fmt.Errorf("must be { header: NAME }, { cookie: NAME }, client_id, authorization or none, not %q", text)
}

func (u Unit) String() string {
	switch {
	case u.Header != "":
		return "header " + u.Header
	case u.Cookie != "":
		return "cookie " + u.Cookie
	}
	return u.Word
}

// MarshalText writes it for a person.
func (u Unit) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Guards are how much worse than the control a variant may be, over the searches of the present phase, by more than chance explains.
type Guards struct {
	// Searches are how many a variant has to have had before it is judged. Default 200.
	Searches int `yaml:"searches"`
	// Latency is by how much the 95th percentile of a search's time may be over the control's; in the shadow and interleaved, what the 95th
	// percentile of ranking may be. Default 500ms.
	Latency Duration `yaml:"latency"`
	// ZeroResults is by how much the share of searches without a hit may be over the control's. Default 1%.
	ZeroResults Percent `yaml:"zero_results"`
	// Errors is by how much the share of searches may be over the control's whose ranking fails: time, capacity, a model that breaks. Default 5%.
	Errors Percent `yaml:"errors"`
}

// Events says what is kept of what was shown, and of what became of it.
type Events struct {
	// Sink is where it is kept: file, files of this program's own; cluster, the indices ubi_queries and ubi_events; both; off; or auto (the
	// default), files while there is an experiment, of its searches alone, and nothing otherwise.
	Sink string `yaml:"sink"`
	// Directory of the files. Default: $RERANKD_EVENTS, or rerankd/events among the user's data.
	Directory string `yaml:"directory"`
	// APIKey writes the cluster's indices, where cluster.auth is passthrough and rerankd has no credentials of its own.
	APIKey Secret `yaml:"api_key"`
	// Queries says what is kept of the words that were searched for, and of other free text: keep (the default), hash, or drop.
	Queries string `yaml:"queries"`
	// Clients says the same of the ids of clients and sessions; dropped, units are hashed, as a verdict needs them.
	Clients string `yaml:"clients"`
	// Objects says the same of the ids of hits. Dropped, clicks say nothing of which ranking is better.
	Objects string `yaml:"objects"`
	// Salt is the key of what is hashed, of 16 characters or more, the same in all copies of rerankd.
	Salt Secret `yaml:"salt"`
	// Origins are the pages that may send events from a browser, such as https://shop.example; "*" is any. Default: none but rerankd's own host.
	Origins []string `yaml:"origins"`
	// Rate is the events a second that one client id may send; one address may send ten times as many, and all together a hundred times. An
	// application's server that sends those of all its users may want a higher one. Default 20.
	Rate int `yaml:"rate"`
	// TrustedProxies are the networks and addresses of the load balancers before rerankd: in what they say of where a request comes from
	// (X-Forwarded-For), the last address that is none of theirs is the client's. Default: none, so that an address is that of the connection.
	TrustedProxies []Network `yaml:"trusted_proxies"`
	// FirstPosition is what applications call the first place of a list in their events: 1 (the default) or 0.
	FirstPosition int `yaml:"first_position"`
	// Unknown says what is done with what belongs to no search that this copy has shown within an hour or two: keep (the default: another
	// copy may have shown it), or drop.
	Unknown string `yaml:"unknown"`
	// Implicit are signs that a hit was of use, taken from the traffic: get, its document is fetched by its id; page, the next page is asked
	// for; reformulation, other words are searched for within 30 s. Default: none.
	Implicit []string `yaml:"implicit"`
	// Window is how long after a search something still counts as due to it. Default 30m.
	Window Duration `yaml:"window"`
	// Proxy accepts POST /ubi_events and /ubi_queries also where applications search, and not only on the admin listener. Default false.
	Proxy bool `yaml:"listen_on_proxy"`
}

// What Events.Sink may be.
const (
	SinkAuto    = "auto"
	SinkFile    = "file"
	SinkCluster = "cluster"
	SinkBoth    = "both"
)

// Kept reports where events are kept, with auto resolved: in a file, in the cluster, in both or nowhere.
func (c *Config) Kept() (file, cluster bool) {
	switch c.Events.Sink {
	case SinkFile:
		return true, false
	case SinkCluster:
		return false, true
	case SinkBoth:
		return true, true
	case string(Off):
		return false, false
	}
	return slices.ContainsFunc(c.Experiments, func(e Experiment) bool { return e.Phase != PhaseOff }), false
}

// DefaultExperiment is an experiment that was told nothing.
func DefaultExperiment() Experiment {
	return Experiment{
		Assign:  AssignSplit,
		Unit:    []Unit{{Word: UnitClient}},
		Share:   100,
		Phase:   PhaseOff,
		Horizon: Duration(24 * time.Hour),
		Guards:  Guards{Searches: 200, Latency: Duration(500 * time.Millisecond), ZeroResults: 1, Errors: 5},
	}
}

func (e Experiment) validate(k *checker, path string, c *Config) {
	if !isLabel(e.Name) {
		k.hint(path+".name", "such as reranked-vs-lexical", "must be of letters, digits and . _ -")
	}
	rules := c.EffectiveRules()
	sound := false // whether what is wrong with a variant is not wrong with the rule already
	if i := slices.IndexFunc(rules, func(r Rule) bool { return r.Name == e.Rule }); i >= 0 {
		var own checker
		rules[i].validate(&own, "", c.Models)
		sound = len(own) == 0
	} else {
		var names []string
		for _, r := range rules {
			names = append(names, r.Name)
		}
		k.hint(path+".rule", closest(e.Rule, names, "the rules are "), "no rule has the name %q", e.Rule)
	}
	k.among(path+".assign", e.Assign, AssignSplit, AssignInterleave)
	k.among(path+".phase", e.Phase, PhaseOff, PhaseShadow, PhaseLive)
	if e.Share <= 0 {
		k.hint(path+".share", "phase: off ends an experiment", "must be above 0%%")
	}
	if e.Horizon <= 0 {
		k.hint(path+".horizon", "such as 24h", "must be above 0")
	}
	switch {
	case len(e.Variants) < 2:
		k.hint(path+".variants", "such as { lexical: { rerank: off }, reranked: {} }", "must be two or more")
	case e.Assign == AssignInterleave && len(e.Variants) > 2:
		k.hint(path+".variants", "assign: split takes any number", "are %d, and two can share a page", len(e.Variants))
	}
	if g := e.Guards; g.Searches < 1 || g.Latency == 0 || g.ZeroResults == 0 || g.Errors == 0 {
		k.hint(path+".guards", "force: true passes over them", "must be above 0, each of them")
	}
	if len(e.Variants) > 1 && !slices.ContainsFunc(e.Variants, func(v Variant) bool { return !v.Rule.Rerank.IsOff() }) {
		k.hint(path+".variants", "rerank: on in one of them turns on what the rule has off", "do not rerank, any of them")
	}
	given := 0
	for _, v := range e.Variants {
		at := path + ".variants." + v.Name
		if !isLabel(v.Name) || v.Name == "interleaved" {
			k.add(at, "must be of letters, digits and . _ -, and another word than interleaved")
		}
		if v.Share > 0 {
			given++
			if e.Assign == AssignInterleave {
				k.add(at+".share", "is for a split: interleaved, each has half of every page")
			}
		}
		if sound {
			v.Rule.validate(k, at, c.Models)
		}
	}
	if given > 0 && given < len(e.Variants) && e.Assign != AssignInterleave {
		k.add(path+".variants", "must all have a share, or none")
	}
	for i, u := range e.Unit {
		at := fmt.Sprintf("%s.unit[%d]", path, i)
		switch {
		case u == Unit{}:
			k.hint(at, "such as { header: X-User }", "must say where to look")
		case u.Header != "" && u.Cookie != "":
			k.add(at, "has a header and a cookie; write them as two, of which the first that a search has counts")
		case u.Word == UnitNone && len(e.Unit) > 1:
			k.add(at, "goes with nothing else")
		case strings.ContainsAny(u.Header+u.Cookie, " \t:;=,"):
			k.add(at, "must be the name of a header or a cookie")
		}
	}
	if len(e.Unit) == 0 {
		k.hint(path+".unit", "[none] lets each search stand for itself", "must not be empty")
	}
}

// minSalt is as long as what is hashed becomes: 128 bits.
const minSalt = 16

func (e Events) validate(k *checker) {
	k.among("events.sink", e.Sink, SinkAuto, SinkFile, SinkCluster, SinkBoth, string(Off))
	k.among("events.queries", e.Queries, "keep", "hash", "drop")
	k.among("events.clients", e.Clients, "keep", "hash", "drop")
	k.among("events.objects", e.Objects, "keep", "hash", "drop")
	if hashes := e.Queries == "hash" || e.Clients == "hash" || e.Clients == "drop" || e.Objects == "hash"; hashes && len(e.Salt) < minSalt {
		k.hint("events.salt", "make one with: head -c 32 /dev/urandom | base64", "must be of %d characters or more where something is hashed", minSalt)
	}
	for i, s := range e.Implicit {
		k.among(fmt.Sprintf("events.implicit[%d]", i), s, "get", "page", "reformulation")
	}
	k.among("events.unknown", e.Unknown, "keep", "drop")
	if e.FirstPosition != 0 && e.FirstPosition != 1 {
		k.add("events.first_position", "must be 1 or 0")
	}
	if e.Rate < 1 {
		k.add("events.rate", "must be at least 1 event a second")
	}
	if e.Window == 0 {
		k.add("events.window", "must be above 0")
	}
}
