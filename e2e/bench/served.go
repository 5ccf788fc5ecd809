package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"
)

// A served is a rerankd before a cluster that answers at once, and with what it was told last.
type served struct {
	program *process
	url     string
	cluster *httptest.Server
	answer  atomic.Pointer[[]byte]
}

// serveAnswers starts them, and searches until an answer is ranked: what rerankd needs to know of the index, it asks for at the first search.
func serveAnswers(ctx context.Context, dir string, set setting, first judgement, o options) (_ *served, err error) {
	s := new(served)
	s.cluster = startCluster(0, func() []byte { return *s.answer.Load() })
	if s.program, s.url, err = startRerankd(ctx, dir, set, s.cluster.URL, o); err != nil {
		s.cluster.Close()
		return nil, err
	}
	for range 100 {
		if _, err = s.search(ctx, first); err == nil {
			return s, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return nil, err
}

func (s *served) stop() {
	s.program.stop()
	s.cluster.Close()
}

// tell has the cluster answer with the documents of a search.
func (s *served) tell(j judgement) {
	body := searchAnswer(j)
	s.answer.Store(&body)
}

// ask does one search, of all its documents.
func (s *served) ask(ctx context.Context, j judgement) (answered, error) {
	s.tell(j)
	return ask(ctx, http.DefaultClient, s.url, j.Query, 0, len(j.Docs))
}

// search does one search and returns the score of each hit in the cluster's order. It must have been ranked whole.
func (s *served) search(ctx context.Context, j judgement) ([]float64, error) {
	a, err := s.ask(ctx, j)
	if err != nil {
		return nil, err
	}
	return a.inOrder(len(j.Docs))
}
