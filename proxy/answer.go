package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

// The second half of a search's way: from the widened request to the client's page.

// Where a rule does not say.
const (
	defaultWindow = 50
	defaultBudget = 300 * time.Millisecond
)

// widen makes the request that fetches the window. It may be sent twice, as it only reads.
func (s *searching) widen() *http.Request {
	req := s.original()
	if s.wide.Changed {
		req = s.build(s.wide.RawQuery, s.wide.Body)
		if s.wide.ContentType != "" {
			req.Header.Set("Content-Type", versioned(s.wide.ContentType, req.Header))
		}
	}
	// The answer has to be read. OpenSearch 2.19.0 hangs when asked for zstd (opensearch-project/OpenSearch#17339).
	switch {
	case acceptsGzip(req.Header):
		req.Header.Set("Accept-Encoding", "gzip")
	case req.Header.Get("Accept-Encoding") != "":
		req.Header.Set("Accept-Encoding", "identity")
	}
	if _, ok := req.Header["X-Idempotency-Key"]; !ok {
		req.Header["X-Idempotency-Key"] = []string{} // net/http's mark for what may be sent again; it is not sent itself
	}
	return req
}

// versioned returns the media type for a body of ours: Elasticsearch wants the version of its API that an Accept header may carry said
// here too, and refuses the request otherwise.
func versioned(kind string, h http.Header) string {
	for accepted := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		if accepted = strings.TrimSpace(accepted); strings.HasPrefix(strings.ToLower(accepted), "application/vnd.elasticsearch+json") {
			return accepted
		}
	}
	return kind
}

// answer asks the cluster and makes the client's page of what it says.
func (s *searching) answer(req *http.Request) (*http.Response, error) {
	res, err := s.ask(req)
	if err != nil {
		if s.wide.Changed && s.call.ctx.Err() == nil && explain(s.call, err).status == http.StatusBadGateway {
			return s.again(search.UpstreamMalformed, err) // there is a cluster, but it choked on what we asked
		}
		s.skip(search.UpstreamStatus, "no answer", err)
		return nil, err
	}
	start := time.Now()
	raw, reason, err := s.receive(res)
	received := time.Now()
	s.cluster += received.Sub(start)
	if s.wide.Changed {
		s.widened = int64(len(raw))
	}
	var body []byte
	if reason == "" {
		body, reason, err = s.open(res, raw)
	}
	var hits *search.Response
	if reason == "" {
		if hits, err = search.ParseResponse(body); err != nil {
			reason = search.UpstreamMalformed
		} else if s.wide.Changed && hits.FailedShards() > 0 {
			reason = search.UpstreamPartial // perhaps for what we asked, and their hits would be lost
			s.handler.partial.keep(s.key(), struct{}{})
		}
	}
	if reason != "" {
		return s.giveUp(res, raw, reason, err)
	}

	page, err := s.page(hits, body, received)
	if err != nil {
		return s.giveUp(res, raw, search.UpstreamMalformed, err)
	}
	if bytes.Equal(page, body) {
		page = raw // in the cluster's own coding
	} else {
		changed(res.Header)
		if coding(res.Header) != "" {
			page = compress(page)
		}
	}
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(page))
	res.ContentLength, res.TransferEncoding = int64(len(page)), nil
	res.Header.Set("Content-Length", strconv.Itoa(len(page)))
	s.show(res.Header)
	return res, nil
}

// receive reads the answer to its last byte. A reason means that there is no use in it; raw is what was read by then.
func (s *searching) receive(res *http.Response) (raw []byte, reason search.Reason, err error) {
	kind := strings.ToLower(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, search.UpstreamStatus, nil
	case !strings.Contains(kind, "json") || strings.Contains(kind, "ndjson"):
		return nil, search.Format, nil
	}
	switch coding(res.Header) {
	case "":
	case "gzip", "x-gzip":
		if !acceptsGzip(s.req.Header) {
			return nil, search.Format, nil
		}
	default:
		return nil, search.Format, nil
	}
	raw, err = s.call.held.read(res.Body, res.ContentLength, s.live.Limits.Response)
	switch err {
	case nil:
		return raw, "", nil
	case errTooLarge:
		return raw, search.TooLarge, nil
	case errNoMemory:
		return raw, search.Busy, nil
	}
	// What comes after the break cannot be asked for again; whoever reads on shall find the same break.
	res.Body = brokenBody{res.Body, err}
	return raw, search.UpstreamMalformed, err
}

type brokenBody struct {
	io.Closer
	err error
}

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }

// open takes the content coding off.
func (s *searching) open(res *http.Response, raw []byte) ([]byte, search.Reason, error) {
	body, err := s.call.held.decode(raw, coding(res.Header), s.live.Limits.Response)
	switch {
	case err == nil:
		return body, "", nil
	case errors.Is(err, errTooLarge):
		return nil, search.TooLarge, err
	case errors.Is(err, errNoMemory):
		return nil, search.Busy, err
	}
	return nil, search.UpstreamMalformed, err
}

// giveUp leaves the answer as it is where it is the answer to the client's own request, and asks for that one where it is not. Who is
// refused for who they are (401, 403) is refused whatever is asked: a second try would only bring the account nearer to being locked.
func (s *searching) giveUp(res *http.Response, raw []byte, reason search.Reason, err error) (*http.Response, error) {
	refused := res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden
	if s.wide.Changed && !refused {
		res.Body.Close()
		return s.again(reason, err)
	}
	s.skip(reason, "", err)
	res.Body = replay(raw, res.Body)
	s.show(res.Header)
	return res, nil
}

// again sends the client's own request, once, where the widened one brought nothing of use. Its answer is the client's, whatever it is.
func (s *searching) again(reason search.Reason, err error) (*http.Response, error) {
	s.skip(reason, "the widened request's answer", err)
	s.record.again = reason
	res, err := s.ask(s.original())
	if err != nil {
		return nil, err
	}
	s.show(res.Header)
	return res, nil
}

// changed takes off the headers that speak of the bytes that we replaced.
func changed(h http.Header) {
	for _, name := range []string{"Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges", "Content-Length"} {
		h.Del(name)
	}
	for _, value := range h.Values("Vary") {
		if value == "*" || strings.Contains(strings.ToLower(value), "accept-encoding") {
			return
		}
	}
	h.Add("Vary", "Accept-Encoding")
}

// page ranks the window and cuts the client's page from it.
func (s *searching) page(hits *search.Response, body []byte, received time.Time) ([]byte, error) {
	window := min(s.wide.Window, hits.Hits())
	switch {
	case hits.Hits() == 0:
		s.skip(search.NoHits, "", nil)
	case window < 2:
		s.skip(search.OneHit, "", nil)
	}
	cut := search.Page{From: s.wide.From, Size: s.wide.Size, KeepScores: s.ruled.KeepScores, Strip: s.wide}
	if s.reason == "" {
		r := s.rank(hits, window, received)
		s.ranking = time.Since(received)
		s.stages = r.stages
		if r.applied() {
			cut.Order, cut.Scores = r.page(hits.Hits())
			cut.AddTook = int(s.ranking.Milliseconds())
			s.applied = true
		} else {
			s.skipRanking(r)
		}
	}
	if cut.Order == nil && !s.wide.Changed {
		return body, nil
	}
	start := time.Now()
	page, err := hits.Splice(cut)
	s.splicing = time.Since(start)
	if err != nil {
		s.applied = false
		return nil, fmt.Errorf("splicing the response: %w", err)
	}
	return page, nil
}

// skipRanking notes why nothing was scored.
func (s *searching) skipRanking(r *ranked) {
	for _, stage := range r.stages {
		if stage.Skipped == "" {
			continue
		}
		for _, reason := range search.Reasons() {
			if string(reason) == stage.Skipped {
				s.skip(reason, "", stage.Err)
				return
			}
		}
		s.skip(search.ModelError, stage.Skipped, stage.Err)
		return
	}
	s.skip(search.ModelError, "no stage ran", nil)
}

// rank returns the window's order: the one it was shown in lately, or a new one.
func (s *searching) rank(answer *search.Response, window int, received time.Time) *ranked {
	hits := make([]rerank.Hit, window)
	for i := range hits {
		hits[i] = rerank.Hit{Text: answer.Text(i, s.template), Score: answer.Score(i), Hold: answer.Held(i)}
	}
	key := newPageKey(s.ruled, s.words, answer, hits)
	if r, ok := s.handler.pages.get(key); ok {
		s.remembered = true
		return r
	}
	budget := s.ruled.Budget
	if budget <= 0 {
		budget = defaultBudget
	}
	deadline := received.Add(budget)
	if s.ruled.Total > 0 {
		if end := s.arrived.Add(s.ruled.Total); end.Before(deadline) {
			deadline = end
		}
	}
	ctx, cancel := context.WithDeadline(s.call.ctx, deadline)
	defer cancel()
	r := newRanked(s.consult(ctx, hits))
	if s.call.ctx.Err() != nil {
		return r // shown to nobody
	}
	// Of two that rank the same window at once, both show what was kept first.
	return s.handler.pages.keep(key, r)
}

const (
	// rankerGrace is how long a ranker may take to notice that its time is over: an inference has to come to a point where it can stop.
	rankerGrace = 50 * time.Millisecond
	// maxStuck bounds the rankers that were left behind because they did not.
	maxStuck = 16
)

// consult calls the ranker where it can neither break the search nor hold it up.
func (s *searching) consult(ctx context.Context, hits []rerank.Hit) rerank.Ranking {
	l := s.live
	if l.stuck.Load() >= maxStuck {
		return skipped(search.Busy, errors.New("rankers do not end when told to"))
	}
	if !l.retain() { // cannot be: this search holds it
		return skipped(search.ModelError, errors.New("the snapshot is closed"))
	}
	done := make(chan rerank.Ranking, 1)
	var settled atomic.Bool // the first of the two to set it decides whether the ranker was left behind
	ranker, words := s.ruled.Ranker, s.words
	go func() {
		defer l.release()
		defer func() {
			if v := recover(); v != nil {
				done <- skipped(search.ModelError, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			}
			if !settled.CompareAndSwap(false, true) {
				l.stuck.Add(-1)
			}
		}()
		done <- checked(ranker.Rank(ctx, words, hits), len(hits))
	}()
	select {
	case ranking := <-done:
		return ranking
	case <-ctx.Done():
	}
	grace := time.NewTimer(rankerGrace)
	defer grace.Stop()
	select {
	case ranking := <-done:
		return ranking
	case <-grace.C:
	}
	l.stuck.Add(1)
	if !settled.CompareAndSwap(false, true) { // it came at the last moment
		l.stuck.Add(-1)
		return <-done
	}
	if s.call.ctx.Err() != nil {
		return skipped(search.Canceled, ctx.Err())
	}
	return skipped(search.Timeout, ctx.Err())
}

func skipped(reason search.Reason, err error) rerank.Ranking {
	return rerank.Ranking{Stages: []rerank.Report{{Skipped: string(reason), Err: err}}}
}

// checked lets through only a ranking with which no hit is lost, doubled or invented, and whose scores can be written.
func checked(r rerank.Ranking, hits int) rerank.Ranking {
	if len(r.Order) != hits || len(r.Scores) != hits {
		return skipped(search.ModelError, fmt.Errorf("%d places and %d scores for %d hits", len(r.Order), len(r.Scores), hits))
	}
	seen := make([]bool, hits)
	for _, i := range r.Order {
		if i < 0 || i >= hits || seen[i] {
			return skipped(search.ModelError, fmt.Errorf("the order is no permutation of %d hits", hits))
		}
		seen[i] = true
	}
	for _, score := range r.Scores {
		if math.IsInf(score, 0) {
			return skipped(search.ModelError, errors.New("a score is infinite"))
		}
	}
	return r
}
