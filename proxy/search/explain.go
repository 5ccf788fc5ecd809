package search

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"strings"
)

// explain wraps the explanation of hit i, which goes to a place: its value becomes the score that is shown, as it has to be, the model's
// judgement its description, and what the cluster said its detail.
//
//	{"value":0.9,"description":"reranked by small (score 2.5, fused 0.9, lexical rank 7)","details":[{"value":3.1,"description":"weight(title:shoes in 4) …"}]}
//
// A hit that stays where it is with its score is explained already, and one without a score has nothing to be explained.
func (p *Response) explain(edits []edit, h hit, i, place int, pg Page) []edit {
	old := h.explanation.of(p.body)
	if !h.explanation.has() || old[0] != '{' || math.IsNaN(p.number(h.score)) {
		return edits
	}
	shown := string(h.score.of(p.body))
	switch {
	case pg.KeepScores && p.hits[place].score.has():
		shown = string(p.hits[place].score.of(p.body))
	case !pg.KeepScores && pg.Scores != nil:
		if rescored := p.rescore(nil, h.score, pg.Scores[place]); len(rescored) > 0 {
			shown = rescored[0].text
		}
	}
	if i == place && shown == string(h.score.of(p.body)) {
		return edits
	}
	var judged Judgement
	if place < len(pg.Explain.Hits) {
		judged = pg.Explain.Hits[place]
	}
	description := quote(fmt.Sprintf("reranked by %s (%s, lexical rank %d)", cmp.Or(judged.Model, pg.Explain.Model), judged, i+1))
	at := bytes.LastIndexByte(old, '\n')
	if at < 0 {
		return append(edits, edit{h.explanation.start, h.explanation.end, fmt.Sprintf(`{"value":%s,"description":%s,"details":[%s]}`, shown, description, old)})
	}
	// Indented, the closing brace stands where the members' indentation begins, and two more spaces are added at each level.
	margin := strings.Repeat(" ", len(old)-at-2)
	deeper := strings.ReplaceAll(string(old), "\n", "\n    ")
	return append(edits, edit{h.explanation.start, h.explanation.end, fmt.Sprintf("{\n%[1]s  \"value\" : %[2]s,\n%[1]s  \"description\" : %[3]s,\n%[1]s  \"details\" : [\n%[1]s    %[4]s\n%[1]s  ]\n%[1]s}",
		margin, shown, description, deeper)})
}
