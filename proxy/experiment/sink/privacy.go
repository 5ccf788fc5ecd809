package sink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// A Treatment is what is kept of something.
type Treatment int

// The treatments. Hashed is HMAC-SHA-256 with the salt as its key, cut to 128 bits: the same stays the same, so that everything can still be
// counted, and without the salt nobody can try out what it was.
const (
	Plain Treatment = iota
	Hashed
	Dropped
)

var treatments = []string{"plain", "hashed", "dropped"}

func (t Treatment) String() string { return treatments[t] }

// ParseTreatment reads plain, hashed or dropped; "" is plain.
func ParseTreatment(s string) (Treatment, error) {
	if s == "" {
		return Plain, nil
	}
	if i := slices.Index(treatments, s); i >= 0 {
		return Treatment(i), nil
	}
	return Plain, fmt.Errorf("%q is none of %s", s, strings.Join(treatments, ", "))
}

// Privacy says what is kept of people and of what they look for. The zero value keeps everything as it is.
type Privacy struct {
	Words   Treatment // what was searched for, and whatever else is free text: attributes and messages
	Clients Treatment // client and session ids, and the units of experiments (which are hashed where this is Dropped: a verdict needs them)
	Objects Treatment // ids of hits and of what was acted on; dropped, clicks say nothing of which ranking is better
	Salt    []byte    // for what is hashed
}

// minSalt is 128 bits, as long as what is made with it.
const minSalt = 16

// Check returns what is wrong with it.
func (p Privacy) Check() error {
	if slices.Contains([]Treatment{p.Words, p.Clients, p.Objects}, Hashed) || p.Clients == Dropped {
		if len(p.Salt) < minSalt {
			return fmt.Errorf("hashing needs a salt of %d bytes or more, and got %d: make one with head -c 32 /dev/urandom | base64", minSalt, len(p.Salt))
		}
	}
	if p.Words > Dropped || p.Clients > Dropped || p.Objects > Dropped {
		return errors.New("an unknown treatment")
	}
	return nil
}

// apply returns the record as it may be kept. The record itself, which others keep too, stays as it is.
func (p Privacy) apply(r experiment.Record) experiment.Record {
	if p.Words == Plain && p.Clients == Plain && p.Objects == Plain {
		return r
	}
	switch {
	case r.Impression != nil:
		i := *r.Impression
		i.Client, i.Unit, i.Words, i.Attributes = p.client(i.Client), p.unit(i.Unit), p.of(p.Words, i.Words), p.attributes(i.Attributes)
		if p.Objects != Plain {
			i.Hits = slices.Clone(i.Hits)
			for k, hit := range i.Hits {
				i.Hits[k].ID, i.Hits[k].Object = p.of(p.Objects, hit.ID), p.of(p.Objects, hit.Object)
			}
		}
		r.Impression = &i
	case r.Event != nil:
		e := *r.Event
		e.Client, e.Session = p.client(e.Client), p.client(e.Session)
		e.Words, e.Message, e.Object = p.of(p.Words, e.Words), p.of(p.Words, e.Message), p.of(p.Objects, e.Object)
		r.Event = &e
	case r.Query != nil:
		q := *r.Query
		q.Client, q.Words, q.Attributes, q.Hits = p.client(q.Client), p.of(p.Words, q.Words), p.attributes(q.Attributes), p.objects(q.Hits)
		r.Query = &q
	case r.Shadow != nil:
		s := *r.Shadow
		s.Unit, s.Shown, s.Instead = p.unit(s.Unit), p.objects(s.Shown), p.objects(s.Instead)
		r.Shadow = &s
	}
	return r
}

func (p Privacy) of(t Treatment, text string) string {
	switch {
	case t == Plain || text == "":
		return text
	case t == Dropped:
		return ""
	}
	mac := hmac.New(sha256.New, p.Salt)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func (p Privacy) client(id string) string { return p.of(p.Clients, id) }

// unit keeps what a unit was made of apart from what was made of nothing.
func (p Privacy) unit(unit string) string {
	if p.Clients == Plain || unit == "" {
		return unit
	}
	kind := ""
	if rest, ok := strings.CutPrefix(unit, experiment.ByRequest); ok {
		kind, unit = experiment.ByRequest, rest
	}
	return kind + p.of(Hashed, unit)
}

func (p Privacy) objects(ids []string) []string {
	if p.Objects == Plain {
		return ids
	}
	ids = slices.Clone(ids)
	for i, id := range ids {
		ids[i] = p.of(p.Objects, id)
	}
	return ids
}

func (p Privacy) attributes(all map[string]string) map[string]string {
	switch {
	case p.Words == Plain || all == nil:
		return all
	case p.Words == Dropped:
		return nil
	}
	all = maps.Clone(all)
	for name, value := range all {
		all[name] = p.of(Hashed, value)
	}
	return all
}
