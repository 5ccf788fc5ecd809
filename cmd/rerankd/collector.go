package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/rerank/schedule"
)

// modelCollector shows the models in memory, which come and go with the configuration, and what is remembered for them.
type modelCollector struct{ p *program }

func modelDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("rerankd_model_"+name, help, append([]string{"model"}, labels...), nil)
}

func cacheDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("rerankd_cache_"+name, help, []string{"cache"}, nil)
}

var (
	infoDesc = modelDesc("info", "Always 1; the labels say which model it is: source, SHA-256 of the graph, precision of its weights.", "source", "digest", "precision")

	queuedDesc     = modelDesc("documents_queued", "Documents waiting for the model.")
	runningDesc    = modelDesc("documents_running", "Documents being scored.")
	scoredDesc     = modelDesc("documents_scored_total", "Documents that the model has scored.")
	rememberedDesc = modelDesc("documents_remembered_total", "Documents whose score under the query was remembered.")
	refusedDesc    = modelDesc("documents_refused_total", "Documents not admitted: they would not have been scored in time.")
	droppedDesc    = modelDesc("documents_dropped_total", "Documents admitted but not scored: a deadline, a client that went away, a failure.")
	tokensDesc     = modelDesc("tokens_total", "Tokens in the runs that gave a score.")
	tokenizingDesc = modelDesc("tokenizing_seconds_total", "Time that workers spent on tokenising.")
	scoringDesc    = modelDesc("scoring_seconds_total", "Time that workers spent in runs.")
	costDesc       = modelDesc("document_seconds", fmt.Sprintf("Time of a document of %d tokens on one worker, as runs take it nowadays.", typicalTokens))
	brokenDesc     = modelDesc("broken", "1 while the model is left alone because runs failed in a row.")

	cacheBytesDesc   = cacheDesc("bytes", "What a cache holds, as estimated.")
	cacheLimitDesc   = cacheDesc("limit_bytes", "What a cache may hold.")
	cacheHitsDesc    = cacheDesc("hits_total", "What was found in a cache.")
	cacheMissesDesc  = cacheDesc("misses_total", "What was not found in a cache.")
	cacheEvictedDesc = cacheDesc("evictions_total", "What was forgotten to make room.")
)

func (c modelCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		infoDesc, queuedDesc, runningDesc, scoredDesc, rememberedDesc, refusedDesc, droppedDesc, tokensDesc, tokenizingDesc, scoringDesc, costDesc, brokenDesc,
		cacheBytesDesc, cacheLimitDesc, cacheHitsDesc, cacheMissesDesc, cacheEvictedDesc,
	} {
		ch <- d
	}
}

func (c modelCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.p.now.Load()
	if s == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for name, m := range s.models {
		stats := m.model.Stats()
		gauge(infoDesc, 1, name, m.files.Source, m.files.Digest, m.files.Precision)
		gauge(queuedDesc, float64(stats.Queued), name)
		gauge(runningDesc, float64(stats.Running), name)
		counter(scoredDesc, float64(stats.Scored), name)
		counter(rememberedDesc, float64(stats.Remembered), name)
		counter(refusedDesc, float64(stats.Refused), name)
		counter(droppedDesc, float64(stats.Dropped), name)
		counter(tokensDesc, float64(stats.Tokens), name)
		counter(tokenizingDesc, stats.Tokenizing.Seconds(), name)
		counter(scoringDesc, stats.Scoring.Seconds(), name)
		gauge(costDesc, m.model.Cost().Document(typicalTokens).Seconds(), name)
		broken := 0.
		if stats.Broken {
			broken = 1
		}
		gauge(brokenDesc, broken, name)
	}
	for _, cache := range []struct {
		name  string
		stats schedule.CacheStats
	}{{"tokens", c.p.caches.Tokens()}, {"scores", c.p.caches.Scores()}} {
		gauge(cacheBytesDesc, float64(cache.stats.Bytes), cache.name)
		gauge(cacheLimitDesc, float64(cache.stats.Limit), cache.name)
		counter(cacheHitsDesc, float64(cache.stats.Hits), cache.name)
		counter(cacheMissesDesc, float64(cache.stats.Misses), cache.name)
		counter(cacheEvictedDesc, float64(cache.stats.Evictions), cache.name)
	}
}

// cacheStatus is a cache as /status shows it.
func cacheStatus(s schedule.CacheStats) admin.Cache {
	return admin.Cache{Bytes: s.Bytes, Limit: s.Limit, Hits: s.Hits, Misses: s.Misses}
}
