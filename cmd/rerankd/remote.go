package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/rerank/model"
	"github.com/rerankd/rerankd/rerank/remote"
	"github.com/rerankd/rerankd/rerank/schedule"
)

func newRemote(c config.Model) (*remote.Scorer, error) {
	return remote.New(remote.Options{
		URL: c.Source, Protocol: remote.Protocol(c.Protocol), Model: c.Model, Key: string(c.APIKey),
		Scores: remote.Scores(c.Scores), Timeout: time.Duration(c.Timeout), Batch: c.Batch, Concurrency: c.Concurrency,
	})
}

// A remoteModel is a model in a server as the program counts models.
type remoteModel struct{ *remote.Scorer }

var _ scorer = remoteModel{}

// Stats are those of the requests: what the server does besides, it knows alone.
func (m remoteModel) Stats() schedule.Stats {
	s := m.Scorer.Stats()
	return schedule.Stats{
		Queued: s.Queued, Running: s.Running, Scored: s.Scored, Dropped: s.Dropped, Refused: s.Refused, Scoring: s.Waiting, Broken: s.Broken,
	}
}

// Cost is that of a document of any length, from its request to its answer.
func (m remoteModel) Cost() schedule.Cost { return schedule.Cost{Fixed: m.Pace(), Workers: 1} }

// unmeasured stands for the cost of a server that did not answer at the start: about 50 documents fit into a budget of 300 ms. Whether they
// do is seen when it answers; a deadline leaves a part of them as they were.
var unmeasured = schedule.Cost{Fixed: 5 * time.Millisecond, Workers: 1}

// warmTimeout bounds the wait for a server at the start.
const warmTimeout = 5 * time.Second

// connectModel asks a server for its first scores. One that is not there may come, and until it does searches keep the cluster's order; but
// one that cannot be asked in this way is a fault of the configuration.
func (p *program) connectModel(ctx context.Context, name string, key modelKey) (*loadedModel, error) {
	s, err := newRemote(key.Model)
	if err != nil {
		return nil, err
	}
	m := &loadedModel{key: key, files: model.Files{Name: name, Source: s.URL(), Precision: "remote"}, model: remoteModel{s}, cost: unmeasured}
	warming, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	switch err := s.Warm(warming); {
	case err == nil:
		m.cost = m.model.Cost()
	case ctx.Err() != nil:
		s.Close()
		return nil, ctx.Err()
	case misconfigured(err):
		s.Close()
		return nil, fmt.Errorf("trying the model: %w", err)
	default:
		p.logger.Warn("the server of a model does not answer; until it does, searches keep the cluster's order", "model", name, "error", err)
		m.fault = err
	}
	return m, nil
}

// misconfigured tells answers that will be the same tomorrow.
func misconfigured(err error) bool {
	if _, ok := errors.AsType[*remote.AnswerError](err); ok {
		return true
	}
	status, ok := errors.AsType[*remote.StatusError](err)
	if !ok {
		return false
	}
	switch status.Code {
	case http.StatusRequestTimeout, http.StatusFailedDependency, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status.Code < http.StatusInternalServerError
}
