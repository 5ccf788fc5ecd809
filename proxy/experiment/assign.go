package experiment

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
)

// An Experiment compares variants on the searches that it covers. It has no state: who gets what is a function of its fields.
type Experiment struct {
	Name       string
	Variants   []Variant // the first is the control
	Share      float64   // of the units that take part, from 0 to 1
	Interleave bool      // the first two variants share each page, and nobody is split
	Phase      string    // the step of the ramp that the experiment is at
}

// A Variant is one way to answer a search.
type Variant struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"` // of the units that take part, in proportion to those of the others
}

// A Digest stands for a request: SHA-256 of all that makes it another search, and so without from and size, that its pages agree.
type Digest [sha256.Size]byte

// An Assignment is what a search gets.
type Assignment struct {
	In      bool
	Variant int    // an index of Variants; 0 for a search that is out, or interleaved
	Unit    string // for the record: a digest of the experiment and what it was assigned by, "request:" before it where that was the request
}

// ByRequest begins the unit of a search that none was found for: whoever sends the same request gets the same variant, and so all of them are
// one unit of the analysis.
const ByRequest = "request:"

// Assign says what a search gets. A unit is whoever should see one thing: a client, a session; "" where none is known, and then the search
// stands for itself. The same unit gets the same answer always. It takes part where its hash, taken as a fraction, is below the share, so
// that nobody leaves when the share grows; its variant is by another hash, so that nobody changes sides either. Other names of
// experiments make other hashes: taking part in one says nothing of another. Changing the variants' shares moves units between them, and
// makes another experiment, which should have another name.
func (e *Experiment) Assign(unit string, request Digest) Assignment {
	of, kind := unit, ""
	if unit == "" {
		of, kind = string(request[:]), ByRequest
	}
	digest := sum(e.Name, "assign", kind, of)
	a := Assignment{
		In:   fraction(digest[:8]) < e.Share,
		Unit: kind + hex.EncodeToString(digest[16:]),
	}
	if a.In && !e.Interleave {
		a.Variant = e.at(fraction(digest[8:16]))
	}
	return a
}

// Label is what a search's impression has for its variant: a variant's name, Interleaved, or "" where the search is out.
func (e *Experiment) Label(a Assignment) string {
	switch {
	case !a.In:
		return ""
	case e.Interleave:
		return Interleaved
	case a.Variant < len(e.Variants):
		return e.Variants[a.Variant].Name
	}
	return ""
}

// Mark says on an impression what the search's assignment was; one that is out stays as it is.
func (e *Experiment) Mark(i *Impression, a Assignment) {
	if a.In {
		i.Experiment, i.Phase, i.Variant, i.Unit, i.Design = e.Name, e.Phase, e.Label(a), a.Unit, e.Variants
	}
}

// at is the variant at a fraction of the shares laid end to end.
func (e *Experiment) at(fraction float64) int {
	var all, below float64
	for _, v := range e.Variants {
		all += max(v.Share, 0)
	}
	last := 0
	for i, v := range e.Variants {
		if v.Share <= 0 {
			continue
		}
		if below += v.Share; fraction*all < below {
			return i
		}
		last = i // which rounding may have left a hair's breadth to
	}
	return last
}

// Seed is what a page is drafted by: a hash of the experiment, of the unit or none, and of the request. All pages of a search have it in
// common, and two people's do not.
func (e *Experiment) Seed(unit string, request Digest) uint64 {
	digest := sum(e.Name, "draft", unit, string(request[:]))
	return binary.BigEndian.Uint64(digest[:])
}

// sum hashes strings, each after its length, so that no two lists of them run together.
func sum(parts ...string) (digest [sha256.Size]byte) {
	d := sha256.New()
	for _, part := range parts {
		write(d, part)
	}
	d.Sum(digest[:0])
	return digest
}

func write(d hash.Hash, s string) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(s)))
	d.Write(size[:])
	io.WriteString(d, s)
}

// fraction takes eight bytes as a number from 0 to below 1, in steps of 2^-53.
func fraction(b []byte) float64 {
	return float64(binary.BigEndian.Uint64(b)>>11) / (1 << 53)
}
