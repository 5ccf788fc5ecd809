package search

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Page is what [Response.Splice] writes.
type Page struct {
	From, Size int       // the client's page, as a part of the response's hits: Widened.From and Widened.Size
	Order      []int     // a permutation of the response's hits, best first; nil keeps their order
	Scores     []float64 // to show, in Order's order, never rising; nil, or NaN for one, leaves a hit its own score
	KeepScores bool      // show the cluster's scores instead: the i-th place shows what the cluster's i-th hit had
	AddTook    int       // milliseconds to be added to took
	Strip      *Widened  // the request that the response answers: what only we asked for is taken out of the hits; nil takes out nothing
	Drop       []bool    // by hit: whether it is left out, before the page is cut; nil drops none
	Explain    *Explanation
	QueryID    string // to be told in ext.ubi, as by [AddQueryID]; "": not
}

// Explanation is what the hits' own explanations are wrapped in, so that they explain the score that is shown.
type Explanation struct {
	Model string      // that ranked the hits
	Hits  []Judgement // in Page.Order's order; nothing at the end where nothing was judged
}

// Judgement is how one hit came to its place.
type Judgement struct {
	Model    string  // the last that judged it; "": none did
	Logit    float64 // what it said
	Fused    float64 // what the hit was sorted by; NaN where that is the logit
	From, To int     // the passage of its text that was judged, in bytes; 0, 0: the text from its beginning
	Held     bool    // a ceiling kept it from a place further up
}

// String says it in words, but for the model's name.
func (j Judgement) String() string {
	if j.Model == "" {
		return "not scored"
	}
	text := "score " + strconv.FormatFloat(j.Logit, 'g', -1, 32)
	if !math.IsNaN(j.Fused) {
		text += ", fused " + strconv.FormatFloat(j.Fused, 'g', 6, 32)
	}
	if j.To > 0 {
		text += fmt.Sprintf(", passage %d-%d", j.From, j.To)
	}
	if j.Held {
		text += ", held back by the ceiling"
	}
	return text
}

// Splice writes the response with the hits in pg's order, cut to pg's page. Only the order of the hits, _score, max_score, took and
// _rank differ from the response's bytes, and what Strip takes out and QueryID adds. White space between hits stays where it is; the hits move.
//
// max_score is that of the whole result, as it is for the clusters: every page shows the score of the first place, where the cluster gave
// a number. _rank stays with the place. An error means that pg does not fit the response.
func (p *Response) Splice(pg Page) ([]byte, error) {
	if err := p.check(pg); err != nil {
		return nil, err
	}
	kept := pg.kept(len(p.hits))
	places := pg.cut(kept)
	size := len(p.body) - (p.array.end - p.array.start) + 64
	for _, place := range places {
		size += p.hits[pg.hit(place)].end - p.hits[pg.hit(place)].start + 64
	}
	before, after := p.around(pg, kept)
	dst := apply(make([]byte, 0, size), p.body, 0, p.array.start+1, before)
	dst = p.page(dst, pg, places)
	return apply(dst, p.body, p.array.end-1, len(p.body), after), nil
}

// around returns what changes before the hits and after them.
func (p *Response) around(pg Page, kept []int) (before, after []edit) {
	var edits []edit
	if text, ok := addTook(p.took, p.body, pg.AddTook); ok {
		edits = append(edits, edit{p.took.start, p.took.end, string(text)})
	}
	switch {
	case len(kept) > 0 && !pg.KeepScores && pg.Scores != nil:
		edits = p.rescore(edits, p.maxScore, pg.Scores[kept[0]])
	case len(kept) > 0 && pg.Drop != nil && !math.IsNaN(p.number(p.maxScore)): // the first of those that are left shows a score of the cluster's
		first := p.hits[kept[0]]
		if !pg.KeepScores {
			first = p.hits[pg.hit(kept[0])]
		}
		edits = p.moved(edits, p.maxScore, first.score)
	case len(kept) == 0 && len(p.hits) > 0 && !math.IsNaN(p.number(p.maxScore)):
		edits = append(edits, edit{p.maxScore.start, p.maxScore.end, "null"})
	}
	if pg.QueryID != "" {
		edits = append(edits, p.queryID(pg.QueryID))
	}
	for _, e := range edits {
		if e.start < p.array.start {
			before = append(before, e)
		} else {
			after = append(after, e)
		}
	}
	return before, after
}

// addTook spells a time with ms milliseconds added, and reports whether there is anything to be written: no value means no time.
func addTook(took span, body []byte, ms int) (text []byte, ok bool) {
	if !took.has() || ms <= 0 {
		return nil, false
	}
	old, err := strconv.Atoi(string(took.of(body)))
	if err != nil || old < 0 || old > math.MaxInt-ms {
		return nil, false
	}
	return strconv.AppendInt(nil, int64(old+ms), 10), true
}

// check makes sure that no hit can be lost or doubled.
func (p *Response) check(pg Page) error {
	if pg.From < 0 || pg.Size < 0 {
		return fmt.Errorf("splicing a page of %d hits from %d", pg.Size, pg.From)
	}
	if !pg.KeepScores && pg.Scores != nil && len(pg.Scores) != len(p.hits) {
		return fmt.Errorf("splicing %d hits with %d scores", len(p.hits), len(pg.Scores))
	}
	if pg.Drop != nil && len(pg.Drop) != len(p.hits) {
		return fmt.Errorf("splicing %d hits of which %d may be dropped", len(p.hits), len(pg.Drop))
	}
	if pg.Order == nil {
		return nil
	}
	if len(pg.Order) != len(p.hits) {
		return fmt.Errorf("splicing %d hits in an order of %d", len(p.hits), len(pg.Order))
	}
	seen := make([]bool, len(p.hits))
	for _, i := range pg.Order {
		if i < 0 || i >= len(seen) || seen[i] {
			return fmt.Errorf("splicing %d hits in an order that has %d twice or out of range", len(p.hits), i)
		}
		seen[i] = true
	}
	return nil
}

// hit returns which hit goes to a place.
func (pg *Page) hit(place int) int {
	if pg.Order == nil {
		return place
	}
	return pg.Order[place]
}

// kept lists the places, of n, whose hits are not dropped.
func (pg *Page) kept(n int) []int {
	places := make([]int, 0, n)
	for place := range n {
		if pg.Drop == nil || !pg.Drop[pg.hit(place)] {
			places = append(places, place)
		}
	}
	return places
}

// cut returns those of the places that are on the page.
func (pg *Page) cut(kept []int) []int {
	from := min(pg.From, len(kept))
	return kept[from : from+min(pg.Size, len(kept)-from)]
}

// page appends what stands between the brackets: the hits that go to those places, and white space where the cluster had it.
func (p *Response) page(dst []byte, pg Page, places []int) []byte {
	n := len(p.hits)
	inside := p.body[p.array.start+1 : p.array.end-1]
	switch {
	case n == 0:
		return append(dst, inside...)
	case len(places) == 0 && inside[0] != '{':
		return append(dst, ' ') // pretty, an empty array is [ ]
	case len(places) == 0:
		return dst
	}
	dst = append(dst, p.body[p.array.start+1:p.hits[0].start]...)
	var changes [8]edit
	for gap, place := range places {
		if gap > 0 {
			dst = append(dst, p.body[p.hits[gap-1].end:p.hits[gap].start]...)
		}
		i := pg.hit(place)
		h := p.hits[i]
		edits := p.hitEdits(changes[:0], h, place, pg)
		if pg.Explain != nil {
			edits = p.explain(edits, h, i, place, pg)
		}
		dst = apply(dst, p.body, h.start, h.end, edits)
	}
	return append(dst, p.body[p.hits[n-1].end:p.array.end-1]...)
}

// hitEdits appends what changes within a hit that goes to a place.
func (p *Response) hitEdits(edits []edit, h hit, place int, pg Page) []edit {
	at := p.hits[place]
	switch {
	case pg.KeepScores:
		edits = p.moved(edits, h.score, at.score)
	case pg.Scores != nil:
		edits = p.rescore(edits, h.score, pg.Scores[place])
	}
	edits = p.moved(edits, h.rank, at.rank)
	if pg.Strip != nil && len(pg.Strip.added) > 0 && (h.fields.has() || h.ignored.has()) {
		edits = append(edits, p.strip(h, pg.Strip)...)
	}
	return edits
}

// moved puts the value at one span in the place of another.
func (p *Response) moved(edits []edit, to, from span) []edit {
	if !to.has() || !from.has() || to == from {
		return edits
	}
	return append(edits, edit{to.start, to.end, string(from.of(p.body))})
}

// rescore writes a score where there is a number. The same score keeps its spelling.
func (p *Response) rescore(edits []edit, s span, score float64) []edit {
	old := p.number(s)
	if math.IsNaN(old) || math.IsNaN(score) || float32(old) == float32(score) {
		return edits
	}
	return append(edits, edit{s.start, s.end, formatScore(score)})
}

// formatScore spells a score as the clusters do, with the fewest digits that give the same 32-bit number back. Rounding to 32 bits never
// turns scores that fall into scores that rise.
func formatScore(score float64) string {
	score = max(-math.MaxFloat32, min(score, math.MaxFloat32))
	value := float64(float32(score))
	if abs := math.Abs(value); abs != 0 && (abs < 1e-3 || abs >= 1e7) {
		text := strconv.FormatFloat(value, 'E', -1, 32)
		mantissa, exponent, _ := strings.Cut(text, "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent)
		return mantissa + "E" + strconv.Itoa(n)
	}
	text := strconv.AppendFloat(make([]byte, 0, 32), value, 'f', -1, 32)
	if bytes.IndexByte(text, '.') < 0 {
		text = append(text, ".0"...)
	}
	return string(text)
}

// AddStatus ends a response with the status that a search template's has, in the same layout.
func AddStatus(body []byte, pretty bool) []byte {
	end := bytes.LastIndexByte(body, '}')
	if end < 0 {
		return body
	}
	text := `,"status":200`
	if pretty {
		text = ",\n  \"status\" : 200\n"
	}
	kept := bytes.TrimRight(body[:end], " \n")
	return append(append(append(make([]byte, 0, len(body)+len(text)), kept...), text...), body[end:]...)
}
