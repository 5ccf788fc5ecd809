package proxy

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	searches  *prometheus.CounterVec
	stages    *prometheus.HistogramVec
	scored    *prometheus.CounterVec
	widened   prometheus.Counter
	again     *prometheus.CounterVec
	responses *prometheus.CounterVec

	experiments *prometheus.CounterVec
	shadows     *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		searches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rerankd_searches_total",
			Help: "Searches by the rule that covered them, what became of them (applied, skipped, failed), and why not applied.",
		}, []string{"rule", "outcome", "reason"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rerankd_search_stage_seconds",
			Help:    "Time that searches spent: waiting for the cluster, widening, tokenising (a part of ranking), ranking, splicing, and in total.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15), // to 8 s
		}, []string{"stage"}),
		scored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rerankd_documents_scored_total",
			Help: "Documents that a model scored for a search.",
		}, []string{"model"}),
		widened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rerankd_widened_bytes_total",
			Help: "Bytes of answers to searches that asked the cluster for more than the client did.",
		}),
		again: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rerankd_original_again_total",
			Help: "Searches whose own request was sent to the cluster after a widened one had failed, by why it had.",
		}, []string{"reason"}),
		responses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rerankd_responses_total",
			Help: "Responses to clients by class of status; 499 are clients that left before.",
		}, []string{"code"}),
		experiments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rerankd_experiment_searches_total",
			Help: "Searches in an experiment, by the variant that they were given and what became of them (applied, skipped, failed, out); in the shadow by no variant.",
		}, []string{"experiment", "variant", "phase", "outcome"}),
		shadows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rerankd_shadows_total",
			Help: "Rankings by a variant behind searches, by what became of them: applied, skipped, or dropped because searches had to go first.",
		}, []string{"experiment", "variant", "outcome"}),
	}
	if r != nil {
		r.MustRegister(m.searches, m.stages, m.scored, m.widened, m.again, m.responses, m.experiments, m.shadows)
	}
	return m
}

func (m *metrics) response(status int) {
	code := "none"
	switch {
	case status == statusClientGone:
		code = "499"
	case status > 0:
		code = strconv.Itoa(status/100) + "xx"
	}
	m.responses.WithLabelValues(code).Inc()
}

// journey counts the searches of a request, and once the time that they spent together.
func (m *metrics) journey(j *journey) {
	for _, s := range j.searches {
		m.searches.WithLabelValues(s.rule, j.outcome(s), string(s.reason)).Inc()
		if t := s.trial; t.out {
			m.experiments.WithLabelValues(t.experiment, "", "", "out").Inc()
		} else if t.experiment != "" {
			m.experiments.WithLabelValues(t.experiment, t.variant, t.phase, j.outcome(s)).Inc()
		}
		if s.remembered {
			continue
		}
		for _, stage := range s.stages {
			if stage.Scored > 0 {
				m.scored.WithLabelValues(stage.Model).Add(float64(stage.Scored))
			}
		}
	}
	for _, stage := range append(j.times(), stageTime{"total", j.total}) {
		if stage.took > 0 {
			m.stages.WithLabelValues(stage.name).Observe(stage.took.Seconds())
		}
	}
	m.widened.Add(float64(j.widened))
	if j.repeated != "" {
		m.again.WithLabelValues(string(j.repeated)).Inc()
	}
}

func (m *metrics) shadow(experiment, variant, outcome string) {
	m.shadows.WithLabelValues(experiment, variant, outcome).Inc()
}
