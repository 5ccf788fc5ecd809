package proxy

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

// In the shadow of a search, once its client has the answer, a variant ranks the same, and what it would have shown is kept beside what was
// shown. Nobody waits for that, and nothing may be felt of it: at most a few are under way, their memory is a part of its own, the models
// let every search go first (see rerank.InBackground), and where there is no room a shadow is dropped, and counted.
//
// Where the search had fetched a window that will do, its answer is ranked once more; where not, as for one that nobody reranked, the
// cluster is asked for the window, which is the one thing that it feels.
const (
	maxShadows     = 2
	shadowPatience = 10 * time.Second // for the cluster and the ranking together
)

// shadowRoom is the part of the memory for bodies that shadows may hold beside it.
func shadowRoom(l Limits) *semaphore.Weighted { return semaphore.NewWeighted(l.Buffered / 4) }

// A shadow is a variant that ranks the same as a search behind it.
type shadow struct {
	*searching // the variant's
	of         *searching
	variant    string
	override   search.Override
}

// cast notes the variants that rank in the shadow of the search: those that rerank, and otherwise than what governs it.
func (s *searching) cast(e *Experiment, override search.Override) {
	for i, r := range e.Rules {
		if !r.reranks() || s.ruled.reranks() && r.Version == s.version {
			continue
		}
		v := &searching{
			exchange: s.exchange, record: &record{indices: s.indices, rule: s.rule, words: s.words},
			parsed: s.parsed, covering: s.covering, line: s.line, asItComes: s.asItComes, behind: true,
		}
		if v.follow(r, s.live.variants[s.covering][i]) {
			s.shadows = append(s.shadows, &shadow{searching: v, of: s, variant: e.Experiment.Variants[i].Name, override: override})
		}
	}
}

// cover has the shadows of a request's searches ranked.
func (h *Handler) cover(c *call, status int) {
	for _, s := range c.journey.searches {
		if s.impression == nil || status != http.StatusOK {
			continue
		}
		for _, v := range s.shadows {
			h.coverOne(c, v, *s.impression)
		}
	}
}

func (h *Handler) coverOne(c *call, v *shadow, shown experiment.Impression) {
	select {
	case h.shadows <- struct{}{}:
	default:
		h.metrics.shadow(shown.Experiment, v.variant, "dropped")
		return
	}
	l := c.live
	if !l.retain() { // cannot be: the request holds it
		<-h.shadows
		return
	}
	ctx, cancel := context.WithTimeout(rerank.InBackground(l.background), shadowPatience)
	original := v.exchange
	call := &call{live: l, ctx: ctx, said: c.said, held: ledger{pool: l.shadowed}}
	x := &exchange{
		handler: h, call: call, live: l, journey: &journey{endpoint: original.endpoint}, arrived: time.Now(),
		req: original.req.Clone(ctx), raw: original.raw, body: original.body,
		query: original.query, lines: original.lines,
		elsewhere: (original.endpoint == endpointTemplate || original.endpoint == endpointMultiTemplate) && !v.asItComes,
	}
	v.exchange = x
	x.searches = append(x.searches, v.record)
	go func() {
		defer func() { <-h.shadows }()
		defer l.release()
		defer cancel()
		defer call.held.release()
		defer func() {
			if broken := recover(); broken != nil {
				h.log.Error("panic in a shadow", "experiment", shown.Experiment, "error", broken, "stack", string(debug.Stack()))
			}
		}()
		record := v.rankBehind(shown)
		switch {
		case l.background.Err() != nil: // another configuration has taken over
			h.metrics.shadow(shown.Experiment, v.variant, "dropped")
		case record.Reason == string(search.Busy):
			h.metrics.shadow(shown.Experiment, v.variant, "dropped")
		default:
			h.metrics.shadow(shown.Experiment, v.variant, record.Outcome)
			l.Sink.Keep(experiment.Record{Shadow: record})
		}
	}()
}

// rankBehind finds the page that the variant would have shown.
func (v *shadow) rankBehind(shown experiment.Impression) *experiment.Shadow {
	record := &experiment.Shadow{
		QueryID: shown.QueryID, Experiment: shown.Experiment, Phase: shown.Phase, Variant: v.variant, Unit: shown.Unit, Outcome: "skipped",
	}
	for _, hit := range shown.Hits {
		record.Shown = append(record.Shown, hit.ID)
	}
	if reason, err := v.window(); reason != "" {
		v.skip(reason, "", err)
	}
	if v.reason == "" && v.offer() {
		start := time.Now()
		ctx, cancel := context.WithDeadline(v.call.ctx, v.deadline(start))
		v.order = newRanked(v.consult(ctx))
		cancel()
		record.Added = time.Since(start)
		if v.applied = v.order.applied(); v.applied {
			page := search.Page{From: v.wide.From, Size: v.wide.Size}
			page.Order, page.Scores = v.order.page(v.hits.Hits())
			hits, err := v.hits.Shown(page, "")
			if err == nil {
				record.Outcome = "applied"
				for _, hit := range hits {
					record.Instead = append(record.Instead, hit.ID)
				}
			}
		} else {
			v.skipRanking(v.order)
		}
	}
	record.Time, record.Reason = v.handler.now().UTC(), string(v.reason)
	return record
}

// window gets the hits that the variant is to rank.
func (v *shadow) window() (search.Reason, error) {
	s := v.of
	if !v.planHits(v.override) {
		return v.reason, v.err
	}
	if s.hits != nil && s.wide.Window >= v.depth && len(union(s.fields, v.fields)) == len(s.fields) {
		if !v.call.held.take(int64(s.bytes)) {
			return search.Busy, errNoMemory
		}
		wide := *s.wide
		wide.Window = v.depth
		v.wide, v.hits = &wide, s.hits
		return "", nil
	}
	if v.asItComes {
		return search.Unsupported, errors.New("a template's page has fewer hits than the variant wants")
	}
	var err error
	if v.wide, err = v.parsed.Widen(search.Need{Window: v.depth, Fields: v.fields, Unsourced: v.unsourced(), Widen: true}); err != nil {
		return search.Unsupported, err
	}
	a, reason, err := v.fetch(v.ask(), true)
	if a == nil {
		return search.UpstreamStatus, err
	}
	defer a.Body.Close()
	if reason != "" {
		return reason, err
	}
	body := a.body
	if v.query != nil {
		responses, err := search.ParseMultiResponse(body)
		if err != nil || responses.Items() != 1 {
			return search.UpstreamMalformed, err
		}
		body = responses.Item(0)
	}
	return v.take(body)
}

// ask asks the cluster for the window as the search itself would.
func (v *shadow) ask() *http.Request {
	req := v.request()
	if v.query != nil {
		req = toBeRead(v.build(v.query.Whole(), v.lines.Select([]int{v.line}, [][]byte{v.wide.Body})))
	}
	if v.elsewhere {
		req = untemplated(req)
	}
	return req
}
