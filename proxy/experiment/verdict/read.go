package verdict

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// Records are what files of records had, in the form that the analysis needs: ids as hashes, and no words. A page of ten hits takes some 500
// bytes.
type Records struct {
	Read Read
	// Sample keeps what is of one unit in so many, chosen by its hash, where all would be too much: a unit is in it with all that it did, or
	// not at all, so that the sample is an experiment of its own. 0 and 1 keep everything.
	Sample int

	left    map[uint64]struct{} // searches of the units that are left out
	pages   []page
	events  []event
	shadows []experiment.Shadow
	known   map[string]string      // strings that many records share
	designs [][]experiment.Variant // likewise; there are few
}

// Read counts what was read, and what was not.
type Read struct {
	Files       int    `json:"files"`
	Indices     int    `json:"indices,omitempty"` // of clusters
	Impressions int    `json:"impressions"`
	Events      int    `json:"events"`
	Shadows     int    `json:"shadows"`
	Queries     int    `json:"queries"`           // of applications, who tell nothing of what was shown
	Unknown     int    `json:"unknown"`           // lines of JSON that are no record which this version knows
	Damaged     int    `json:"damaged"`           // lines that are not JSON
	Torn        int    `json:"torn"`              // files whose last line, or compressed end, is missing a part
	Example     string `json:"example,omitempty"` // where the first of those that are damaged is, and why
}

// page is an impression.
type page struct {
	query, unit                                 uint64
	at                                          int64 // nanoseconds since 1970
	from                                        int
	hits                                        []hit
	experiment, phase, variant, outcome, reason string
	design                                      []experiment.Variant
	byRequest                                   bool // the unit is a request, or the search itself
	empty                                       bool
	cluster, added, took                        time.Duration
}

type hit struct {
	id, object uint64 // object: 0 where there is none but the id
	team       int8   // 1: the second variant's pick, -1: the control's
}

// event is one, with the hashes of what it is about.
type event struct {
	query, object uint64
	at, seen      int64
	action        string
	byID          bool // the object is an _id
	byField       bool // the object is the value of another field
	implicit      bool
}

// longest is the line that is still taken for a record.
const longest = 16 << 20

// Add takes one record.
func (r *Records) Add(record experiment.Record) bool {
	switch {
	case record.Impression != nil:
		r.Read.Impressions++
		if p := r.page(record.Impression); r.samples(p.unit) {
			r.pages = append(r.pages, p)
		} else {
			r.left[p.query] = struct{}{}
		}
	case record.Event != nil:
		r.Read.Events++
		if e := r.event(record.Event); !r.leftOut(e) { // of a search that is read later, it is left out by join
			r.events = append(r.events, e)
		}
	case record.Shadow != nil:
		r.Read.Shadows++
		if unit := cmp.Or(record.Shadow.Unit, record.Shadow.QueryID); r.samples(hashed(unit)) {
			r.shadows = append(r.shadows, *record.Shadow)
		}
	case record.Query != nil:
		r.Read.Queries++
	default:
		return false
	}
	return true
}

// Skip counts something that is no record and should be one.
func (r *Records) Skip(fault error) {
	r.Read.Damaged++
	if r.Read.Example == "" {
		r.Read.Example = fault.Error()
	}
}

// samples says whether a unit is in the sample.
func (r *Records) samples(unit uint64) bool {
	if r.Sample <= 1 {
		return true
	}
	if r.left == nil {
		r.left = map[uint64]struct{}{}
	}
	unit = (unit ^ unit>>31) * 0x9e3779b97f4a7c15 // not the hash's own low bits, which follow those of the id's last characters
	return unit>>32%uint64(r.Sample) == 0
}

func (r *Records) leftOut(e event) bool {
	_, out := r.left[e.query]
	return out
}

func (r *Records) page(i *experiment.Impression) page {
	p := page{
		query: hashed(i.QueryID), at: i.Time.UnixNano(), from: i.From,
		experiment: r.once(i.Experiment), phase: r.once(i.Phase), variant: r.once(i.Variant), outcome: r.once(i.Outcome), reason: r.once(i.Reason),
		design: r.design(i.Design), empty: i.Empty(), cluster: i.Cluster, added: i.Added, took: i.Took,
		unit: hashed(i.Unit), byRequest: strings.HasPrefix(i.Unit, experiment.ByRequest),
	}
	if i.Unit == "" {
		p.unit, p.byRequest = p.query, true
	}
	p.hits = make([]hit, len(i.Hits))
	for place, shown := range i.Hits {
		h := hit{id: hashed(shown.ID)}
		if shown.Object != "" {
			h.object = hashed(shown.Object)
		}
		switch shown.Team {
		case experiment.Control:
			h.team = -1
		case experiment.Treated:
			h.team = 1
		}
		p.hits[place] = h
	}
	return p
}

func (r *Records) event(e *experiment.Event) event {
	of := event{
		query: hashed(e.QueryID), at: e.Time.UnixNano(), seen: e.Seen.UnixNano(), action: r.once(strings.ToLower(e.Action)),
		byID: e.Field == "_id", byField: e.Field != "" && e.Field != "_id", implicit: e.Implicit != "",
	}
	if e.Object != "" {
		of.object = hashed(e.Object)
	}
	if e.Seen.IsZero() {
		of.seen = of.at
	}
	if e.Time.IsZero() {
		of.at = of.seen
	}
	return of
}

// once returns one copy of equal strings.
func (r *Records) once(s string) string {
	if known, ok := r.known[s]; ok {
		return known
	}
	if r.known == nil {
		r.known = map[string]string{}
	}
	r.known[s] = s
	return s
}

func (r *Records) design(d []experiment.Variant) []experiment.Variant {
	for _, known := range r.designs {
		if slices.Equal(known, d) {
			return known
		}
	}
	r.designs = append(r.designs, d)
	return d
}

// hashed stands for an id: of a million the chance that two are taken for one is below 10^-7.
func hashed(s string) uint64 {
	h := uint64(14695981039346656037) // FNV-1a, as hash/fnv has it, which would have the string copied
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// ReadFrom takes all records of a file, which is JSON, a record on each line, plain or compressed by gzip. Lines that are no record are counted
// and left; a file of which the first hundred lines have none is no record file, and is refused. name is for errors.
func (r *Records) ReadFrom(name string, from io.Reader) error {
	r.Read.Files++
	lines := bufio.NewReaderSize(from, 1<<16)
	if magic, err := lines.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		unzipped, err := gzip.NewReader(lines)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		lines = bufio.NewReaderSize(unzipped, 1<<16)
	}
	var found int
	var first error // line that is no record
	for number := 1; ; number++ {
		line, whole, err := nextLine(lines)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF): // gzip's end is missing
			r.Read.Torn++
			line, whole, err = nil, true, io.EOF
		case err != nil && err != io.EOF:
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var record experiment.Record
			fault := json.Unmarshal(line, &record)
			if fault == nil && r.Add(record) {
				found++
			} else if fault != nil && !whole {
				r.Read.Torn++
			} else {
				where := r.leave(name, number, fault)
				if first == nil {
					first = where
				}
			}
		}
		if found == 0 && first != nil && (number >= 100 || err == io.EOF) {
			return first
		}
		if err == io.EOF {
			return nil
		}
	}
}

// leave counts a line that is no record, and says why it is none.
func (r *Records) leave(name string, number int, fault error) error {
	if fault == nil {
		r.Read.Unknown++
		return fmt.Errorf("%s:%d: is JSON, and neither an impression nor an event, a shadow or a query: this is no record file", name, number)
	}
	r.Skip(fmt.Errorf("%s:%d: %w", name, number, fault))
	return fmt.Errorf("%s:%d: is not a record in JSON: %w", name, number, fault)
}

// nextLine reads a line, and says whether it is whole: ended, and not longer than it may be. Of one that is longer the beginning is returned.
func nextLine(lines *bufio.Reader) (line []byte, whole bool, err error) {
	for {
		part, more := lines.ReadSlice('\n')
		if len(line) < longest {
			line = append(line, part...)
		}
		if more != bufio.ErrBufferFull {
			return line, more == nil, more
		}
	}
}
