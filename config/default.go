package config

import "time"

// Default is the configuration of a program that was told nothing: a cluster on this machine, the model inside the program, every
// index that is not a system index.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:9280",
		Admin:  Admin{Listen: "127.0.0.1:9281", Compare: On, Queries: true},
		Cluster: Cluster{
			Kind: KindAuto,
			URLs: []string{"http://127.0.0.1:9200"},
			Auth: AuthPassthrough,
			Timeouts: Timeouts{
				Connect: Duration(5 * time.Second),
				Idle:    Duration(50 * time.Second), // load balancers usually cut at 60
			},
			Probe: Duration(5 * time.Second),
		},
		Models: map[string]Model{"small": {Source: "embedded"}},
		Events: Events{Sink: SinkAuto, Queries: "keep", Clients: "keep", Objects: "keep", Rate: 20, FirstPosition: 1, Unknown: "keep", Window: Duration(30 * time.Minute)},
		Rerank: On,
		Limits: Limits{
			Request:  1 << 20,
			Response: 32 << 20,
			Widened:  4 << 20, // 50 hits of 80 KiB
			// A highlighted hit costs a cluster some tenths of a millisecond, a hit with inner hits about as much as another search.
			DearWindow: 20,
			Memory:     256 << 20, // eight answers of the largest size
			Idle:       Duration(time.Minute),
		},
		Caches: Caches{Tokens: 64 << 20, Scores: 32 << 20},
		Log:    Log{Level: "info", Format: "auto", Slow: Duration(2 * time.Second)},
		// A load balancer that asks every two seconds and wants two refusals has noticed within five; Kubernetes kills after thirty.
		Drain: Drain{Delay: Duration(5 * time.Second), Timeout: Duration(25 * time.Second)},
	}
}

// DefaultRule is a rule that was told nothing; the keys of a rule in the file are read over it.
func DefaultRule() Rule {
	return Rule{
		Budget: Duration(300 * time.Millisecond), // a search box that answers within half a second feels immediate
		Fusion: Fusion{
			Method: "convex", Weight: 0.5,
			RankConstant: 60, // what Cormack, Clarke and Büttcher found to do well everywhere (SIGIR 2009)
		},
		LongTexts: "first",
		Passages:  3,
		Rerank:    On,
		Score:     "sigmoid",
		// A line break is how the model was shown title and text, and no sentence goes on over one.
		Separator: "\n",
		Words:     Words{MinLength: 2},
	}
}

// What Cluster.Kind may be.
const (
	KindAuto          = "auto"
	KindElasticsearch = "elasticsearch"
	KindOpenSearch    = "opensearch"
)

// What Cluster.Auth may be.
const (
	AuthPassthrough     = "passthrough"
	AuthInjectIfMissing = "inject-if-missing"
	AuthOverride        = "override"
)
