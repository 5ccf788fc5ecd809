package proxy

import (
	"net/http"
	"time"
)

// single is a request that is one search.
func (x *exchange) single(indices string) (*http.Response, error) {
	s := x.begin(indices)
	if !x.admits(false) || !s.governed() {
		s.withdraw()
		return s.decline()
	}
	if err := x.read(); err != nil {
		return nil, err
	}
	if s.reason == "" {
		s.plan(x.req.URL.RawQuery, x.body)
	}
	if s.parsed != nil {
		x.plain = s.plain
	}
	x.watch(s)
	if s.refusal != nil {
		return x.refuse(s.refusal), nil
	}
	if s.reason != "" {
		return x.pass()
	}
	start := time.Now()
	req := s.request()
	x.widening = time.Since(start)
	return s.answer(req)
}

// decline passes a search that is not to be reranked, less what it says to us: a cluster would refuse that.
func (s *searching) decline() (*http.Response, error) {
	if err := s.readOurs(); err != nil {
		return nil, err
	}
	if speaks(s.body) {
		s.listen(s.req.URL.RawQuery, s.body)
		if s.parsed != nil {
			s.exchange.plain = s.plain
		}
		s.watch(s)
	}
	return s.pass()
}

// request asks the cluster for the window.
func (s *searching) request() *http.Request {
	if !s.wide.Changed {
		return toBeRead(s.original())
	}
	req := s.build(s.wide.RawQuery, s.wide.Body)
	if s.wide.ContentType != "" {
		req.Header.Set("Content-Type", versioned(s.wide.ContentType, req.Header))
	}
	return toBeRead(req)
}

// answer asks the cluster and makes the client's page of what it says.
func (s *searching) answer(req *http.Request) (*http.Response, error) {
	changed := s.wide.Changed || s.elsewhere
	a, reason, err := s.fetch(req, changed)
	if a == nil {
		return s.unanswered(changed, err)
	}
	if reason == "" {
		reason, err = s.take(a.body)
	}
	if reason != "" {
		if a.StatusCode == http.StatusBadRequest {
			s.refused(a.refusal())
		}
		s.useless(reason)
		return s.giveUp(a, changed, reason, err)
	}
	if s.offer() {
		s.rank(a.received)
		s.ranking = time.Since(a.received)
	}
	start := time.Now()
	page, err := s.cut(a.body, s.ranking)
	s.splicing = time.Since(start)
	if err != nil {
		return s.giveUp(a, changed, s.unwritten(err), err)
	}
	return s.deliver(a, page)
}
