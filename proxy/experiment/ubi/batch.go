package ubi

import (
	"fmt"
	"hash/maphash"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// A batch is what one request sends.
type batch struct {
	*Handler
	answer
	now     time.Time
	address uint64
	floods  int // rejected because too much came
}

// read goes through the body, and has one keep each object.
func (b *batch) read(body []byte, one func(raw []byte) (reason string, err error)) {
	i := 0
	for raw, err := range values(body) {
		reason := "malformed"
		switch {
		case i == maxItems:
			b.reject(i, "too_many", fmt.Errorf("more than %d at once: send this one and those after it by themselves", maxItems))
			return
		case err != nil:
		case !b.flood.take(b.address, b.now):
			reason, err = "flooded", errFlooded
		default:
			reason, err = one(raw)
		}
		if err != nil {
			b.reject(i, reason, err)
		}
		i++
	}
}

func (b *batch) reject(i int, reason string, err error) {
	if err == errFlooded {
		b.floods++
	}
	b.counted.WithLabelValues("rejected", reason).Inc()
	b.Rejected = append(b.Rejected, rejected{i, err.Error()})
}

func (b *batch) event(raw []byte) (string, error) {
	e, err := parseEvent(raw, b.base)
	if err != nil {
		return "malformed", err
	}
	if !b.flood.takeOf(b.client(e.Client), b.now) {
		return "flooded", errFlooded
	}
	said := e.Time
	corrected := b.correct(&e.Time)
	e.Seen = b.now.UTC()
	var h maphash.Hash
	h.SetSeed(b.seed)
	for _, part := range []string{e.Action, e.QueryID, e.Client, e.Session, e.Field, e.Object, e.Message} {
		h.WriteString(part)
		h.WriteByte(0)
	}
	maphash.WriteComparable(&h, said.UnixNano())
	maphash.WriteComparable(&h, e.Position)
	b.keep(experiment.Record{Event: e}, e.QueryID, h.Sum64(), corrected)
	return "", nil
}

func (b *batch) query(raw []byte) (string, error) {
	q, err := parseQuery(raw)
	if err != nil {
		return "malformed", err
	}
	if !b.flood.takeOf(b.client(q.Client), b.now) {
		return "flooded", errFlooded
	}
	corrected := b.correct(&q.Time)
	q.Seen = b.now.UTC()
	var h maphash.Hash
	h.SetSeed(b.seed)
	h.WriteString("query\x00" + q.QueryID)
	b.keep(experiment.Record{Query: q}, q.QueryID, h.Sum64(), corrected)
	return "", nil
}

func (b *batch) client(id string) uint64 {
	if id == "" {
		return 0
	}
	return maphash.String(b.seed, "client "+id)
}

// correct puts the time of arrival in the place of one that is not said, or that a wrong clock says.
func (b *batch) correct(at *time.Time) bool {
	switch {
	case at.IsZero():
		*at = b.now.UTC()
		return false
	case b.now.Sub(*at) > maxLate, at.Sub(b.now) > maxAhead:
		*at = b.now.UTC()
		return true
	}
	return false
}

// keep keeps what is neither a replay nor of a search that nobody knows, where that is asked for.
func (b *batch) keep(r experiment.Record, queryID string, digest uint64, corrected bool) {
	b.mu.Lock()
	_, replayed := b.seen.get(digest, b.now)
	if !replayed {
		b.seen.put(digest, struct{}{}, b.now)
	}
	_, known := b.shown.get(maphash.String(b.seed, queryID), b.now)
	b.mu.Unlock()
	outcome, reason := "kept", ""
	switch {
	case replayed:
		outcome, reason = "dropped", "replayed"
	case !known && b.options.Strict:
		outcome, reason = "dropped", "unknown_query"
	case queryID == "":
		reason = "no_query"
	case !known:
		reason = "unknown_query"
	case corrected:
		reason = "clock"
	}
	b.counted.WithLabelValues(outcome, reason).Inc()
	if outcome == "dropped" {
		b.Dropped++
		return
	}
	b.Accepted++
	b.options.Sink.Keep(r)
}
