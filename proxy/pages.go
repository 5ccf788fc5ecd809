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
// unless a deadline had cut the scoring short somewhere else. So the order that was shown first is kept for a while, and cut from again.
const (
	pagesKept = time.Minute
	maxPages  = 4096 // of some 20 bytes a hit: 4 MB of windows of 50
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
	logits []float32 // in order's order; NaN where the model did not judge
	stages []rerank.Report
}

func (r *ranked) applied() bool { return r.order != nil }

// newRanked keeps what a Ranker made of a window, or of it the reports alone where it scored nothing.
func newRanked(ranking rerank.Ranking) *ranked {
	r := &ranked{stages: ranking.Stages}
	for _, stage := range ranking.Stages {
		if stage.Scored > 0 {
			n := len(ranking.Order)
			r.order, r.scores, r.logits = make([]int32, n), make([]float32, n), make([]float32, n)
			for i := range ranking.Order {
				r.order[i], r.scores[i], r.logits[i] = int32(ranking.Order[i]), float32(ranking.Scores[i]), float32(math.NaN())
				if i < len(ranking.Logits) {
					r.logits[i] = float32(ranking.Logits[i])
				}
			}
			break
		}
	}
	return r
}

// judged returns what the model said of the window, by place; NaN where it did not.
func (r *ranked) judged() []float64 {
	logits := make([]float64, len(r.logits))
	for i, logit := range r.logits {
		logits[i] = float64(logit)
	}
	return logits
}

// below returns which of the hits of an answer the model judged to be worth less than a least score.
func (r *ranked) below(least float64, hits int) []bool {
	drop := make([]bool, hits)
	for place, logit := range r.logits {
		drop[r.order[place]] = float64(logit) < least // never true of NaN
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
