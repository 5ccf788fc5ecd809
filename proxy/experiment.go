package proxy

import (
	"crypto/sha256"
	"net/http"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/search"
)

// An Experiment answers the searches of a rule in several ways, so that they can be compared on the application's own traffic. Whom it
// takes in, and who gets what, is decided by what the request says alone and never by what becomes of it: so all variants have the same
// kind of searches, and one whose ranking fails keeps those that it failed.
type Experiment struct {
	experiment.Experiment
	Rules []Rule // one for each of its Variants, in their order; one that is Off, or without a Ranker, leaves the cluster's order
	Units []Unit // the first that a search has says whose it is; none: each search stands for itself
	// Shadow is whether nobody sees a variant: the rule that the experiment is of governs, and the variants are ranked behind the searches.
	Shadow bool
}

// A Unit is where a request says whose it is. One of its fields is set.
type Unit struct {
	Header, Cookie string // its name
	Client         bool   // the client_id of ext.ubi
	Authorization  bool   // the credentials
}

// of reads the unit of a request; "" where it has none there.
func (u Unit) of(h http.Header, ubi *search.UBI) string {
	switch {
	case u.Header != "":
		return h.Get(u.Header)
	case u.Cookie != "":
		if cookie, err := (&http.Request{Header: h}).Cookie(u.Cookie); err == nil {
			return cookie.Value
		}
	case u.Authorization:
		return h.Get("Authorization")
	case u.Client && ubi != nil:
		return ubi.ClientID
	}
	return ""
}

// A trial is a search's part in an experiment. The zero trial is none.
type trial struct {
	experiment string
	phase      string
	variant    string // as experiment.Label has it; "" in the shadow, and where it is out
	unit       string // as experiment.Assignment has it
	design     []experiment.Variant
	out        bool          // it has no part, because its client says how it is to be answered
	spoiled    search.Reason // why an interleaved page is the control's alone; "" where it is not
}

// header is what X-Rerank says of it.
//
//	; experiment="reranked-vs-lexical"; variant="lexical"
//	; experiment="reranked-vs-lexical"; out
func (t *trial) header() string {
	switch {
	case t.experiment == "":
		return ""
	case t.out:
		return "; experiment=" + quoted(t.experiment) + "; out"
	case t.variant == "":
		return "" // nobody sees the shadow
	}
	return "; experiment=" + quoted(t.experiment) + "; variant=" + quoted(t.variant)
}

// withdraw notes that the search would be in an experiment, where its client has turned reranking off.
func (s *searching) withdraw() {
	if !s.call.said.off {
		return
	}
	if i, found, ready := s.live.rule(s.indices, s.req.Header); ready && found && s.live.Rules[i].Experiment != nil {
		s.trial = trial{experiment: s.live.Rules[i].Experiment.Name, out: true}
	}
}

// planVariant gives a search of an experiment its variant, which governs it from here on. It reports whether anything is to be reranked.
func (s *searching) planVariant(override search.Override) bool {
	e := s.ruled.Experiment
	said := s.call.said
	switch {
	case e == nil:
		s.recorded = s.recorded || s.live.Sink != nil && s.ruled.Recorded && s.showsIDs()
		return true
	case said.on || said.debug || override.Mode != "": // whoever debugs is no user
		s.trial = trial{experiment: e.Name, out: true}
		return s.followRule()
	case s.emulated != nil || !s.showsIDs(): // the model is the client's own choice; what it is shown could not be kept
		return s.followRule()
	}
	unit := ""
	for _, u := range e.Units {
		if unit = u.of(s.req.Header, s.ubi); unit != "" {
			break
		}
	}
	request := s.digest()
	a := e.Assign(unit, request)
	s.recorded = s.recorded || s.live.Sink != nil && (a.In || s.ruled.Recorded)
	if !a.In {
		return s.followRule()
	}
	s.trial = trial{experiment: e.Name, phase: e.Phase, variant: e.Label(a), unit: a.Unit, design: e.Experiment.Variants}
	switch {
	case e.Shadow:
		s.trial.variant = ""
		reranks := s.followRule()
		s.cast(e, override)
		return reranks
	case e.Interleave:
		s.seed = e.Seed(unit, request)
		s.rivals = s.compete(e)
		return true
	}
	return s.followVariant(e, a.Variant)
}

// digest stands for the search, whichever page of it is asked for.
func (s *searching) digest() experiment.Digest {
	if s.digested == (experiment.Digest{}) {
		d := sha256.New()
		unpaged := s.parsed.Unpaged()
		d.Write(unpaged[:])
		text(d, s.indices)
		text(d, s.words)
		d.Sum(s.digested[:0])
	}
	return s.digested
}

// followVariant lets the rule of a variant govern the search. It reports whether that reranks.
func (s *searching) followVariant(e *Experiment, variant int) bool {
	if r := e.Rules[variant]; !r.reranks() {
		s.ruled = r
		s.skip(search.Variant, "it has the cluster's order", nil)
		return false
	}
	return s.follow(e.Rules[variant], s.live.variants[s.covering][variant])
}

// followRule lets the rule that covers the search govern it.
func (s *searching) followRule() bool { return s.follow(s.ruled, s.live.templates[s.covering]) }

// follow lets a rule govern the search. It reports whether that reranks.
func (s *searching) follow(r Rule, t templateOrErr) bool {
	s.ruled, s.ranker, s.version, s.template = r, r.Ranker, r.Version, t.Template
	if !r.reranks() {
		s.skip(search.Disabled, "by the rule", nil)
	} else if t.err != nil {
		s.skip(search.Disabled, "the rule's template cannot be read", t.err)
	}
	return s.reason == ""
}

func (r Rule) reranks() bool { return !r.Off && r.Ranker != nil }
