package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

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
	answered   bool // the cluster has
	applied    bool
	remembered bool          // the order is one that was shown before
	again      search.Reason // why the client's own request was sent after all; "" where it was not
	widened    int64         // bytes of the answer to a request that asked for more than the client did

	cluster, widening, ranking, splicing, total time.Duration
	debug                                       bool
}

// skip notes the first thing that stood in the way.
func (s *record) skip(reason search.Reason, detail string, err error) {
	if s.reason == "" {
		s.reason, s.detail, s.err = reason, detail, err
	}
}

// outcome is applied, skipped (the client has the cluster's order), or failed (it has no answer of the cluster's).
func (s *record) outcome() string {
	switch {
	case !s.answered:
		return "failed"
	case s.applied:
		return "applied"
	}
	return "skipped"
}

// header says in one line what was done:
//
//	applied; model="small"; window=40; scored=38; ms=291
//	skipped; reason=sort
func (s *record) header() string {
	if !s.applied {
		return "skipped; reason=" + string(s.reason)
	}
	var b strings.Builder
	b.WriteString("applied")
	for _, stage := range s.stages {
		if stage.Scored > 0 {
			fmt.Fprintf(&b, "; model=%s; window=%d; scored=%d", quoted(stage.Model), stage.Window, stage.Scored)
		}
	}
	fmt.Fprintf(&b, "; ms=%d", s.ranking.Milliseconds())
	if s.remembered {
		b.WriteString("; remembered")
	}
	return b.String()
}

// timing is the value of Server-Timing. What did not happen is left out.
func (s *record) timing() string {
	var b []byte
	for _, stage := range s.times() {
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
func (s *record) times() []stageTime {
	var tokenising time.Duration
	if !s.remembered {
		for _, stage := range s.stages {
			tokenising += stage.Tokenizing
		}
	}
	return []stageTime{{"cluster", s.cluster}, {"widening", s.widening}, {"tokenising", tokenising}, {"ranking", s.ranking}, {"splicing", s.splicing}}
}

// show puts what is told to the client into its answer's headers.
func (s *record) show(h http.Header) {
	h.Set(headerRerank, s.header())
	if timing := s.timing(); timing != "" {
		h.Add("Server-Timing", timing)
	}
	if s.debug {
		h.Set(headerDebug, fmt.Sprintf("rule=%s; query=%s; fields=%s; detail=%s",
			quoted(s.rule), quoted(s.words), quoted(strings.Join(s.fields, ",")), quoted(s.detail)))
	}
}

// quoted is s as a quoted string of a header: in ASCII, so that words in any script get through.
func quoted(s string) string { return strconv.QuoteToASCII(s) }

// finish tells of a search when all is over.
func (h *Handler) finish(c *call, status int) {
	s := c.search
	if c.ctx.Err() != nil && !s.answered {
		s.reason = search.Canceled
	}
	outcome := s.outcome()
	h.metrics.search(s, outcome)

	level, message := slog.LevelDebug, "search"
	if slow := c.live.SlowSearch; slow > 0 && s.total > slow {
		level, message = slog.LevelWarn, "slow search"
	}
	if !h.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("indices", s.indices), slog.String("rule", s.rule), slog.Int("status", status),
		slog.String("outcome", outcome), slog.String("reason", string(s.reason)),
		slog.Duration("total", s.total),
	}
	for _, stage := range s.times() {
		attrs = append(attrs, slog.Duration(stage.name, stage.took))
	}
	for _, stage := range s.stages {
		attrs = append(attrs, slog.Group("stage", slog.String("model", stage.Model), slog.Int("window", stage.Window),
			slog.Int("scored", stage.Scored), slog.String("skipped", stage.Skipped), slog.Duration("took", stage.Took)))
	}
	if s.remembered {
		attrs = append(attrs, slog.Bool("remembered", true))
	}
	if s.again != "" {
		attrs = append(attrs, slog.String("again", string(s.again)))
	}
	if s.detail != "" {
		attrs = append(attrs, slog.String("detail", s.detail))
	}
	if s.err != nil {
		attrs = append(attrs, slog.Any("error", s.err))
	}
	if c.live.LogQueries {
		attrs = append(attrs, slog.String("query", s.words))
	}
	h.log.LogAttrs(context.Background(), level, message, attrs...)
}
