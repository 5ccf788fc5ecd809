package proxy

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"math"
	"time"

	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

// Page 2 is another search, a moment later: the window comes from the cluster again, and is ranked again. The same hits get the same order,
// unless a deadline had cut the scoring short somewhere else. So the order that was shown first is kept for a while, and cut from again. That
// no model could rank a window is kept too, for the pages that follow; the next first page tries anew.
const (
	pagesKept = time.Minute
	maxPages  = 4096 // of some 30 bytes a hit: 6 MB of windows of 50
)

// A search that could not be widened, because shards failed or the cluster refused it, is sent as it came for a while, and not first as we
// would like it: asking for everything twice would double the load on a cluster in trouble.
const (
	unfitKept = time.Minute
	maxUnfit  = 1024
)

// pageKey is a digest of what an order depends on: rule and models, words, and the window with its texts, which also keeps what one client
// may see from another.
type pageKey [sha256.Size]byte

func newPageKey(rule, version, words string, answer *search.Response, hits []rerank.Hit) pageKey {
	d := sha256.New()
	text(d, rule)
	text(d, version)
	text(d, words)
	number(d, uint64(len(hits)))
	for i, hit := range hits {
		text(d, answer.Index(i))
		text(d, answer.ID(i))
		text(d, hit.Text)
		number(d, math.Float64bits(hit.Score))
	}
	return pageKey(d.Sum(nil))
}

func text(d hash.Hash, s string) {
	number(d, uint64(len(s)))
	io.WriteString(d, s)
}

func number(d hash.Hash, n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	d.Write(b[:])
}

// searchKey is a digest of a search as a client sent it, and of who did.
type searchKey [sha256.Size]byte

func (s *searching) key() searchKey {
	d := sha256.New()
	place := s.place()
	d.Write(place[:])
	rawQuery, body := s.parsed.Original()
	text(d, rawQuery)
	d.Write(body)
	return searchKey(d.Sum(nil))
}

// ranked is the order that a window was shown in.
type ranked struct {
	order  []int32   // nil: as the cluster has it
	scores []float32 // in order's order
	judged []judged  // in order's order
	stages []rerank.Report
}

// judged is how a hit came to its place.
type judged struct {
	logit, value float32 // NaN where no model judged it
	from, to     int32   // the passage that was judged, in bytes of the text; 0, 0: from its beginning
	stage        int8    // the last that judged it; -1: none did
	held         bool    // a ceiling kept it from a place further up
}

func (r *ranked) applied() bool { return r.order != nil }

// newRanked keeps what a Ranker made of a window, or of it the reports alone where it scored nothing.
func newRanked(ranking rerank.Ranking) *ranked {
	r := &ranked{stages: ranking.Stages}
	for _, stage := range ranking.Stages {
		if stage.Scored > 0 {
			n := len(ranking.Order)
			r.order, r.scores, r.judged = make([]int32, n), make([]float32, n), make([]judged, n)
			for i := range ranking.Order {
				r.order[i], r.scores[i] = int32(ranking.Order[i]), float32(ranking.Scores[i])
				r.judged[i] = newJudged(ranking, i)
			}
			break
		}
	}
	return r
}

func newJudged(ranking rerank.Ranking, place int) judged {
	nan := float32(math.NaN())
	j := judged{logit: nan, value: nan, stage: -1}
	if place < len(ranking.Logits) {
		j.logit = float32(ranking.Logits[place])
	}
	if place < len(ranking.Judged) {
		of := ranking.Judged[place]
		j.value, j.from, j.to, j.stage, j.held = float32(of.Value), int32(of.Passage.From), int32(of.Passage.To), int8(of.Stage), of.Held
	}
	return j
}

// explained says how the window's hits came to their places, in their order.
func (r *ranked) explained() []search.Judgement {
	hits := make([]search.Judgement, len(r.judged))
	for place, j := range r.judged {
		hits[place] = search.Judgement{Logit: float64(j.logit), Fused: float64(j.value), From: int(j.from), To: int(j.to), Held: j.held}
		if j.value == j.logit {
			hits[place].Fused = math.NaN()
		}
		if j.stage >= 0 && int(j.stage) < len(r.stages) {
			hits[place].Model = r.stages[j.stage].Model
		}
	}
	return hits
}

// below returns which of the hits of an answer the model judged to be worth less than a least score.
func (r *ranked) below(least float64, hits int) []bool {
	drop := make([]bool, hits)
	for place, j := range r.judged {
		drop[r.order[place]] = float64(j.logit) < least // never true of NaN
	}
	return drop
}

// page returns the order and the scores to show for all hits of an answer, of which the window is the first part. What follows the window
// keeps the cluster's order, with scores that go on below the window's last one as 1/place does. They depend on nothing else, so that they
// agree between answers of different length.
func (r *ranked) page(hits int) (order []int, scores []float64) {
	order, scores = make([]int, hits), make([]float64, hits)
	window := len(r.order)
	for i := range order {
		if i < window {
			order[i], scores[i] = int(r.order[i]), float64(r.scores[i])
			continue
		}
		order[i] = i
		if floor := scores[window-1]; floor > 0 {
			scores[i] = float64(float32(floor * float64(window) / float64(i+1)))
		} else {
			scores[i] = float64(float32(floor - float64(i+1-window)))
		}
	}
	return order, scores
}
