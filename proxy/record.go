package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

// record is what is told of one search: in its answer's headers, in the metrics and in the log, by the same words.
type record struct {
	indices, rule string
	reason        search.Reason // why it was not reranked; "" where it was
	detail        string        // more on the reason, for a person
	err           error         // what broke
	words         string        // what it was ranked by
	fields        []string      // what was read of the hits

	stages     []rerank.Report
	applied    bool
	remembered bool // the order is one that was shown before
	moves      Moves

	trial      trial
	recorded   bool                   // what it shows is kept
	queryID    string                 // by id; "": none was asked for yet
	plugins    bool                   // a plugin of the cluster's gives it an id, where the search is left to it
	named      bool                   // the answer's body tells the id that we gave it
	impression *experiment.Impression // what it showed; nil: nothing that is kept
	visitor    uint64                 // whoever was shown it
	searched   uint64                 // the search that it is a page of
	shadows    []*shadow              // variants that rank the same when its answer is given

	told []string // how the first hits of the page came to their places, where the client debugs
}

// skip notes the first thing that stood in the way.
func (s *record) skip(reason search.Reason, detail string, err error) {
	if s.reason == "" {
		s.reason, s.detail, s.err = reason, detail, err
	}
}

// journey is what is told of one request to a search endpoint, and of the searches in it.
type journey struct {
	endpoint endpoint
	searches []*record
	answered bool          // the cluster has
	repeated search.Reason // why the client's own request was sent after all; "" where it was not
	widened  int64         // bytes of the answers to requests that asked for more than the client did

	cluster, widening, ranking, splicing, total time.Duration
}

// skip notes what stands in the way of all searches.
func (j *journey) skip(reason search.Reason, detail string, err error) {
	for _, s := range j.searches {
		s.skip(reason, detail, err)
	}
}

// outcome is applied, skipped (the client has the cluster's order), or failed (it has no answer of the cluster's).
func (j *journey) outcome(s *record) string {
	switch {
	case !j.answered:
		return "failed"
	case s.applied:
		return "applied"
	}
	return "skipped"
}

// header says in one line what was done. Where several searches came in one request it counts them, and tells of the models together;
// the reason is the first search's.
//
//	applied; model="small"; window=40; scored=38; ms=291
//	applied; model="small"; window=50; scored=50; passages=120; model="large"; window=10; skipped=budget; ms=291
//	skipped; reason=sort
//	skipped; reason=variant; experiment="reranked-vs-lexical"; variant="lexical"
//	applied; searches=3; reranked=2; model="small"; window=80; scored=71; ms=298
func (j *journey) header() string {
	var b strings.Builder
	reranked, remembered := 0, true
	var stages []rerank.Report
	for _, s := range j.searches {
		if !s.applied {
			continue
		}
		reranked++
		remembered = remembered && s.remembered
		for _, stage := range s.stages {
			if at := slices.IndexFunc(stages, func(r rerank.Report) bool { return r.Model == stage.Model }); at >= 0 && reranked > 1 {
				stages[at].Window += stage.Window
				stages[at].Scored += stage.Scored
				stages[at].Passages += stage.Passages
			} else {
				stages = append(stages, stage)
			}
		}
	}
	if reranked == 0 {
		b.WriteString("skipped; reason=")
		if len(j.searches) > 0 {
			b.WriteString(string(j.searches[0].reason))
		}
		j.count(&b, reranked)
		j.trials(&b)
		return b.String()
	}
	b.WriteString("applied")
	j.count(&b, reranked)
	for _, stage := range stages {
		fmt.Fprintf(&b, "; model=%s; window=%d", quoted(stage.Model), stage.Window)
		if stage.Scored == 0 {
			fmt.Fprintf(&b, "; skipped=%s", stage.Skipped)
			continue
		}
		fmt.Fprintf(&b, "; scored=%d", stage.Scored)
		if stage.Passages > 0 {
			fmt.Fprintf(&b, "; passages=%d", stage.Passages)
		}
	}
	fmt.Fprintf(&b, "; ms=%d", j.ranking.Milliseconds())
	if remembered {
		b.WriteString("; remembered")
	}
	j.trials(&b)
	return b.String()
}

func (j *journey) count(b *strings.Builder, reranked int) {
	if j.endpoint.several() {
		fmt.Fprintf(b, "; searches=%d; reranked=%d", len(j.searches), reranked)
	}
}

// trials tells of the experiments that the searches are in, of each variant once.
func (j *journey) trials(b *strings.Builder) {
	var said []string
	for _, s := range j.searches {
		if t := s.trial.header(); t != "" && !slices.Contains(said, t) {
			said = append(said, t)
			b.WriteString(t)
		}
	}
}

// timing is the value of Server-Timing. What did not happen is left out.
func (j *journey) timing() string {
	var b []byte
	for _, stage := range j.times() {
		if stage.took > 0 {
			if len(b) > 0 {
				b = append(b, ", "...)
			}
			b = append(b, stage.name...)
			b = append(b, ";dur="...)
			b = strconv.AppendFloat(b, float64(stage.took)/float64(time.Millisecond), 'f', 3, 64)
		}
	}
	return string(b)
}

type stageTime struct {
	name string
	took time.Duration
}

// times are in the order of the way. Tokenising is a part of the ranking, and the sum over the workers that share it.
func (j *journey) times() []stageTime {
	var tokenising time.Duration
	for _, s := range j.searches {
		if s.remembered {
			continue
		}
		for _, stage := range s.stages {
			tokenising += stage.Tokenizing
		}
	}
	return []stageTime{{"cluster", j.cluster}, {"widening", j.widening}, {"tokenising", tokenising}, {"ranking", j.ranking}, {"splicing", j.splicing}}
}

// show puts what is told to the client into its answer's headers.
func (x *exchange) show(h http.Header) {
	h.Set(headerRerank, x.header())
	if ids := x.queryIDs(); ids != "" && (x.lines != nil || !x.endpoint.several()) {
		h.Set(headerQueryID, ids)
	}
	if timing := x.timing(); timing != "" {
		h.Add("Server-Timing", timing)
	}
	if !x.call.said.debug {
		return
	}
	h.Del(headerDebug)
	for _, s := range x.searches[:min(len(x.searches), maxDebug)] {
		h.Add(headerDebug, fmt.Sprintf("rule=%s; query=%s; fields=%s; detail=%s",
			quoted(s.rule), quoted(s.words), quoted(strings.Join(s.fields, ",")), quoted(s.detail)))
	}
	left := maxTold
	for i, s := range x.searches {
		for _, line := range s.told {
			if x.endpoint.several() {
				line = fmt.Sprintf("search=%d; %s", i+1, line)
			}
			if left -= len(line); left < 0 {
				return
			}
			h.Add(headerDebug, line)
		}
	}
}

// maxTold is the bytes in which hits are told of. Clients and proxies refuse headers of more than 8 KiB; _explanation has room for all.
const maxTold = 4 << 10

// tell says of the first hits of a page how they came to their places, as many as a header may hold.
//
//	place=1; was=7; id="42"; cluster=12.5; model="small"; logit=2.5; fused=0.83; passage=1040-2010; held
func (s *searching) tell(page search.Page) (lines []string) {
	hits := s.order.explained()
	size := 0
	for place := page.From; place < min(page.From+page.Size, len(hits)) && size < maxTold; place++ {
		i := page.Order[place]
		if page.Drop != nil && page.Drop[i] {
			continue
		}
		j := hits[place]
		line := fmt.Sprintf("place=%d; was=%d; id=%s; cluster=%s", place+1, i+1, quoted(s.hits.ID(i)), number32(s.hits.Score(i)))
		if j.Model != "" {
			line += fmt.Sprintf("; model=%s; logit=%s", quoted(j.Model), number32(j.Logit))
			if !math.IsNaN(j.Fused) {
				line += "; fused=" + number32(j.Fused)
			}
			if j.To > 0 {
				line += fmt.Sprintf("; passage=%d-%d", j.From, j.To)
			}
			if j.Held {
				line += "; held"
			}
		}
		lines = append(lines, line)
		size += len(line)
	}
	return lines
}

// number32 spells a number with the digits of a float32.
func number32(x float64) string { return strconv.FormatFloat(x, 'g', -1, 32) }

// maxDebug bounds for how many searches of one request there is a header; clients refuse answers with too many.
const maxDebug = 20

// quoted is s as a quoted string of a header: in ASCII, so that words in any script get through.
func quoted(s string) string { return strconv.QuoteToASCII(s) }

// finish tells of a request's searches when all is over. missed is whether its client does not have the answer.
func (h *Handler) finish(c *call, status int, missed bool) {
	j := c.journey
	if c.ctx.Err() != nil && !j.answered {
		for _, s := range j.searches {
			s.reason = search.Canceled
		}
	}
	h.metrics.journey(j)
	if h.watcher != nil {
		h.observe(j, status)
	}
	if !missed {
		h.keep(c, status)
		h.cover(c, status)
	}

	level, message := slog.LevelDebug, "search"
	if slow := c.live.SlowSearch; slow > 0 && j.total > slow {
		level, message = slog.LevelWarn, "slow search"
	}
	if !h.log.Enabled(context.Background(), level) {
		return
	}
	for i, s := range j.searches {
		attrs := []slog.Attr{
			slog.String("indices", s.indices), slog.String("rule", s.rule), slog.Int("status", status),
			slog.String("outcome", j.outcome(s)), slog.String("reason", string(s.reason)),
			slog.Duration("total", j.total),
		}
		if j.endpoint != endpointSearch {
			attrs = append(attrs, slog.String("endpoint", string(j.endpoint)), slog.Int("search", i+1), slog.Int("searches", len(j.searches)))
		}
		for _, stage := range j.times() {
			attrs = append(attrs, slog.Duration(stage.name, stage.took))
		}
		h.log.LogAttrs(context.Background(), level, message, s.attrs(attrs, j.repeated, c.live.LogQueries)...)
	}
}

func (s *record) attrs(attrs []slog.Attr, repeated search.Reason, words bool) []slog.Attr {
	for _, stage := range s.stages {
		attrs = append(attrs, slog.Group("stage", slog.String("model", stage.Model), slog.Int("window", stage.Window),
			slog.Int("scored", stage.Scored), slog.String("skipped", stage.Skipped), slog.Duration("took", stage.Took)))
	}
	if s.remembered {
		attrs = append(attrs, slog.Bool("remembered", true))
	}
	if t := s.trial; t.experiment != "" {
		attrs = append(attrs, slog.String("experiment", t.experiment), slog.String("variant", t.variant), slog.String("phase", t.phase))
	}
	if repeated != "" {
		attrs = append(attrs, slog.String("again", string(repeated)))
	}
	if s.detail != "" {
		attrs = append(attrs, slog.String("detail", s.detail))
	}
	if s.err != nil {
		attrs = append(attrs, slog.Any("error", s.err))
	}
	if words {
		attrs = append(attrs, slog.String("query", s.words))
	}
	return attrs
}
