// Package config is what an operator may say to rerankd: types, defaults, strict reading and validation. It is plain data and imports
// nothing else of ours.
//
// The comments of the types are the reference of the configuration file; config/example.yaml is the same with every default written out.
//
// [Parse] decodes over [Default], so a file says only what differs. An unknown key, a wrong type or an impossible value is an [Error]
// that names the file, the line and the key, and shows the line. A Config that was returned is read-only.
package config

import "strings"

// Config is the whole file.
type Config struct {
	// Listen is the address of the proxy, host:port. Default 127.0.0.1:9280.
	Listen string `yaml:"listen"`
	// TLS, if given, makes the proxy speak HTTPS only.
	TLS *ServerTLS `yaml:"tls"`
	// Admin is the listener for health, metrics and status; never the one that applications use.
	Admin Admin `yaml:"admin"`
	// Cluster is the search cluster behind the proxy.
	Cluster Cluster `yaml:"cluster"`
	// Models by the name that rules use. Default: one named "small", the model inside the program.
	Models map[string]Model `yaml:"models"`
	// Rules say what is reranked and how; the first whose indices match wins. None: every index that is not a system index.
	Rules []Rule `yaml:"rules"`
	// Inference names models by the ids that applications know them by: POST /_inference/rerank/{id} is answered here, and a search's
	// text_similarity_reranker with that inference_id is run here, on any cluster and licence. The id "*" stands for every id in such a
	// search. Empty, the default: both are the cluster's affair.
	Inference map[string]string `yaml:"inference"`
	// Experiments compare ways to answer the searches of a rule; of one rule, one at a time may run.
	Experiments []Experiment `yaml:"experiments"`
	// Events are what is kept of what was shown and clicked.
	Events Events `yaml:"events"`
	// Rerank is the kill switch: off forwards everything untouched, whatever the rules say.
	Rerank Switch `yaml:"rerank"`
	// Limits bound what a request may occupy.
	Limits Limits `yaml:"limits"`
	// Caches are the memory for what searches have in common.
	Caches Caches `yaml:"caches"`
	Log    Log    `yaml:"log"`
	// Drain is how the program stops.
	Drain Drain `yaml:"drain"`

	files  []string // what Parse read for "file:" values
	source *source
}

// ServerTLS is the proxy's own certificate. Both files are read again when they change.
type ServerTLS struct {
	Certificate string `yaml:"certificate"` // PEM file, leaf first
	Key         string `yaml:"key"`         // PEM file
}

// Admin is the administrative listener. It has no authentication, which is why it stays on the loopback interface by default.
type Admin struct {
	// Listen is host:port, or "off". Default 127.0.0.1:9281.
	Listen string `yaml:"listen"`
	// Compare is the page on which an index is searched with and without reranking. Default on. The searches are made with the credentials
	// that Cluster.Auth says; where those are rerankd's own, whoever reaches the listener can read what they may.
	Compare Switch `yaml:"compare"`
	// Queries shows on the live page what users searched for. Default true: it is in memory alone, a thousand searches. With false their
	// words are neither kept nor shown. The log has a key of its own, log.queries.
	Queries bool `yaml:"queries"`
	// Judgments is a directory in which is kept what people say of hits and lists on the compare page, as files for eval. Empty, the
	// default: nobody judges.
	Judgments string `yaml:"judgments"`
}

// Cluster says where the search cluster is and how to talk to it.
type Cluster struct {
	// Kind is elasticsearch, opensearch, or auto (the default), which reads it off the cluster's answers.
	Kind string `yaml:"kind"`
	// URLs of the nodes, used in turn; a path is prefixed to every request. Default http://127.0.0.1:9200.
	URLs []string `yaml:"urls"`
	// Auth says whose credentials the cluster sees: passthrough (the default), the client's own and nothing else; inject-if-missing,
	// those below where the client sent none; override, always those below. With the last two, whoever reaches the proxy
	// reaches the cluster.
	Auth string `yaml:"auth"`
	// Username and Password, or APIKey (as the cluster printed it, base64), or Token (a bearer token). Only with inject-if-missing or override.
	Username string `yaml:"username"`
	Password Secret `yaml:"password"`
	APIKey   Secret `yaml:"api_key"`
	Token    Secret `yaml:"token"`

	TLS      ClientTLS `yaml:"tls"`
	Timeouts Timeouts  `yaml:"timeouts"`
	// MaxConnsPerHost bounds the connections to one node; 0, the default, is no bound.
	MaxConnsPerHost int `yaml:"max_conns_per_host"`
	// Probe is how often a node that failed, or that nothing was sent to, is asked whether it is there. Any HTTP answer is a yes. Default 5s.
	Probe Duration `yaml:"probe"`
}

// ClientTLS is how the cluster's certificate is judged, and which one is shown to it. Without any of it the system's authorities decide.
type ClientTLS struct {
	// CA is a PEM file of authorities that replaces the system's.
	CA string `yaml:"ca"`
	// Fingerprint is the SHA-256 of the certificate of an authority, in hexadecimal, as Elasticsearch prints it at its first start. It
	// takes the place of CA.
	Fingerprint string `yaml:"fingerprint"`
	// Certificate and Key are PEM files of a client certificate.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// InsecureSkipVerify trusts anyone. For a trial only.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}

// Timeouts of the connection to the cluster.
type Timeouts struct {
	// Connect bounds dialling and the TLS handshake. Default 5s.
	Connect Duration `yaml:"connect"`
	// Response bounds the wait for the first byte of an answer. 0, the default, leaves it to the client's own patience: a merge or
	// a snapshot may rightly take an hour.
	Response Duration `yaml:"response"`
	// Idle is how long an unused connection is kept. Default 50s: less than the minute
	// after which load balancers usually cut.
	Idle Duration `yaml:"idle"`
}

// Model is one cross-encoder.
type Model struct {
	// Source is "embedded" (the model inside the program), a directory (beginning with / or .) with model.onnx, tokenizer.json and
	// config.json, the name of a published model, looked for under Directory, or the http or https URL of a rerank server. A URL without a
	// path gets the one of its protocol, any other is taken as it is.
	Source string `yaml:"source"`
	// Precision is fp32, fp16 or int8, where the source has several. Default: int8 where the processor has instructions
	// for it (AVX512-VNNI, AVX-VNNI, AMX, ARM's dot products), fp32 elsewhere; which and why is logged.
	Precision string `yaml:"precision"`
	// Directory is where published models lie. Default: $RERANKD_MODELS, or rerankd/models among the user's data, as `model pull` puts them.
	Directory string `yaml:"directory"`
	// MaxLength is the tokens of a pair at most; what is over is cut. 0, the default, is the model's own.
	MaxLength int `yaml:"max_length"`
	// SpecialTokens is how a text is read that contains the name of a control token, such as [SEP]. text, the default: as a text like any
	// other. control: as the token, which is what the reference libraries do; a document can then pass itself off as two.
	SpecialTokens string `yaml:"special_tokens"`
	// Languages are those that the model was made for, by their codes: "en", or "zh, en"; or "multilingual". A search whose words or texts
	// are mostly in another script keeps the cluster's order, with reason=language; under multilingual none does. Empty, the default:
	// what the model's card says, and multilingual where it says nothing.
	Languages string `yaml:"languages"`
	// Workers is how many documents are scored at once, one core each, by workers that this model has for itself. 0, the default: it shares
	// those of the program, as many as the CPU quota of the process, with all models for which nothing is said.
	Workers int `yaml:"workers"`
	// Queue is how many documents may wait; a search that does not fit is answered in the cluster's order. 0, the default, is 4096.
	Queue int `yaml:"queue"`
	// MinWindow is how many documents a search must be able to have scored in time while others are waiting; the window shrinks down to
	// this, and a search that can have less keeps the cluster's order. Default 10: to reorder three hits is noise.
	MinWindow int `yaml:"min_window"`

	// The rest is for a source that is a URL, and only for one; the keys from Precision to MinWindow are for the others.

	// Protocol is how the server is asked: tei (Text Embeddings Inference), cohere (Cohere, Jina, vLLM, Infinity, OpenVINO Model Server),
	// voyage, mixedbread, or elastic (an inference endpoint of Elasticsearch, or of another rerankd).
	Protocol string `yaml:"protocol"`
	// Model is what the server calls the model; with elastic, the inference id.
	Model string `yaml:"model"`
	// APIKey is sent with every request: as "Authorization: ApiKey" with elastic, as a bearer token otherwise.
	APIKey Secret `yaml:"api_key"`
	// Scores says what the server's scores are: logits, or probabilities between 0 and 1. Default: logits with tei, probabilities otherwise.
	Scores string `yaml:"scores"`
	// Timeout of one request; the budget of a search ends it earlier. 0, the default, is 10s.
	Timeout Duration `yaml:"timeout"`
	// Batch is the documents of one request at most. 0, the default, is 32 with tei and elastic, and 100 otherwise.
	Batch int `yaml:"batch"`
	// Concurrency is how many requests may be under way at once. 0, the default, is 4.
	Concurrency int `yaml:"concurrency"`
}

// IsRemote reports whether the model runs in a server of its own.
func (m Model) IsRemote() bool {
	return strings.HasPrefix(m.Source, "http://") || strings.HasPrefix(m.Source, "https://")
}

// Rule says what is done to the searches of some indices.
type Rule struct {
	// Name is for logs, metrics and X-Rerank; default rule-1, rule-2, …
	Name string `yaml:"name"`
	// Indices are patterns with *, matched against the names that a search uses and, where those are aliases or hold wildcards, against the
	// indices behind them; one that begins with - excludes. Empty: all but system indices.
	Indices []string `yaml:"indices"`
	// Fields are what the model reads, in this order. Empty: the text fields that the query names, then title-like ones of the
	// mapping, then its other text fields, at most 8.
	Fields []string `yaml:"fields"`
	// Separator stands between the texts of Fields. Default: a line break.
	Separator string `yaml:"separator"`
	// Template is an alternative to Fields, such as "{title}. {description}".
	Template string `yaml:"template"`
	// Stages score in turn, each over the first hits of the order that the one before made: a small model over many, then a large one over
	// few. Empty: one stage of the only model.
	Stages []Stage `yaml:"stages"`
	// LongTexts says how a text is read that is longer than the model can read at once, or than about 200 words: first (the default), from
	// its beginning; passages, in the passages that have most of the query's words, the best of which counts.
	LongTexts string `yaml:"long_texts"`
	// Passages is how many passages of a text are read at most. Default 3.
	Passages int `yaml:"passages"`
	// Budget is what reranking may add to a search, counted from the last byte of the cluster's answer. Default 300ms.
	Budget Duration `yaml:"budget"`
	// Total, if not 0, bounds the time of cluster and reranking together: reranking gets what the cluster left of it.
	Total Duration `yaml:"total"`
	// Fusion blends the model's judgement with the cluster's own scores.
	Fusion Fusion `yaml:"fusion"`
	// Rerank off passes the searches of these indices untouched.
	Rerank Switch `yaml:"rerank"`
	// Score is how _score is shown: sigmoid (the default) or es, logit, rank, keep.
	Score string `yaml:"score"`
	// Words says which texts of a search are taken for the user's own words.
	Words Words `yaml:"words"`
}

// Words says which texts of a search are taken for the user's own words. `rerankd explain-query` shows what is read, and why.
type Words struct {
	// MinLength is the characters below which words are the beginning of something that is still being typed: such a search is left
	// alone. Default 2. One Chinese, Japanese or Korean character is a word.
	MinLength int `yaml:"min_length"`
	// Pointers are JSON pointers into a search's body (or a search template's params) that say where the words stand, such as
	// /query/script_score/script/params/words; the first that finds a text wins, and where none does, the query is read as usual.
	Pointers []string `yaml:"pointers"`
	// Filters takes the words from filter clauses where no other clause has any: some applications match in filters. Default false.
	Filters bool `yaml:"filters"`
	// MoreLikeThis takes the texts that more_like_this is to find the like of. Default false.
	MoreLikeThis bool `yaml:"more_like_this"`
	// Lookups reranks also the searches for one exact thing: an identifier, an e-mail address, a quoted title. Default false: the
	// exact match stays where the cluster puts it.
	Lookups bool `yaml:"lookups"`
}

// Stage is one model and the hits it reads.
type Stage struct {
	// Model is a name under models.
	Model string `yaml:"model"`
	// Window is the hits that the model reads at most; that of the first stage is also what is taken from the cluster. 0, the default:
	// what fits in the budget, as measured at the start, between 10 and 50. A later stage's share of the budget is then as
	// large as any other's, and its window no larger than the one before.
	Window int `yaml:"window"`
}

// Fusion of the model's scores with the cluster's.
type Fusion struct {
	// Method is convex (the default), a weighted mean of both after min-max scaling; reciprocal_rank, a weighted sum of the reciprocals of
	// their ranks; or replace, the model alone (none is its old name).
	Method string `yaml:"method"`
	// Weight is the model's share, above 0 and at most 1. Default 0.5.
	Weight float64 `yaml:"weight"`
	// RankConstant is what is added to a rank before its reciprocal is taken: the larger, the less the first places stand out. Default 60.
	RankConstant int `yaml:"rank_constant"`
	// MaxClimb is how many places a hit may end above the one that the cluster gave it. 0, the default, is no ceiling.
	MaxClimb int `yaml:"max_climb"`
}

// Limits bound what requests may occupy. A search over a limit is not refused: it passes untouched, and X-Rerank says too_large.
type Limits struct {
	// Request is the largest body of a search that is read to be reranked. Default 1MiB.
	Request Bytes `yaml:"request"`
	// Response is the largest answer of the cluster that is held to be reranked. Default 32MiB.
	Response Bytes `yaml:"response"`
	// Widened is what the cluster's answer for a whole window should not be larger than: where hits are so large that it would be, the
	// window is smaller. Default 4MiB.
	Widened Bytes `yaml:"widened"`
	// DearWindow is the largest window where each hit costs the cluster extra work: highlights, inner hits, script fields. Default 20;
	// 0 is no bound.
	DearWindow int `yaml:"dear_window"`
	// Memory is what all the searches being reranked may hold together. Default 256MiB.
	Memory Bytes `yaml:"memory"`
	// Connections of clients at once; more wait to be accepted. 0, the default, is no bound.
	Connections int `yaml:"connections"`
	// Idle is how long a client may send or read nothing in the middle of a request. Default 60s.
	Idle Duration `yaml:"idle"`
}

// Caches are the memory for what searches have in common, for all models together. What is used least is forgotten first.
type Caches struct {
	// Tokens of documents, which need not be read again under another query. Default 64MiB: some 100,000 documents of 120 tokens. 0 keeps none.
	Tokens Bytes `yaml:"tokens"`
	// Scores of documents under a query: the same query again costs nothing. Default 32MiB: some 200,000 scores. 0 keeps none.
	Scores Bytes `yaml:"scores"`
}

// Log says what is written to standard error.
type Log struct {
	// Level is debug (a line for every search), info (the default), warn or error.
	Level string `yaml:"level"`
	// Format is text, json, or auto (the default): text on a terminal, JSON otherwise.
	Format string `yaml:"format"`
	// Queries allows the words that users searched for into the log. Default false.
	Queries bool `yaml:"queries"`
	// Slow is the time from which a search is logged with its stages at level warn. 0 is never. Default 2s.
	Slow Duration `yaml:"slow"`
}

// Drain is how the program stops on SIGTERM or SIGINT; a second signal stops it at once.
type Drain struct {
	// Delay is the time between /-/ready saying 503 and the listener closing, for load balancers to notice. Default 5s;
	// none when standard error is a terminal.
	Delay Duration `yaml:"delay"`
	// Timeout is what requests under way have left after that. Default 25s.
	Timeout Duration `yaml:"timeout"`
}

// EffectiveRules are the rules, or the one that stands for none: every index that is not a system index, by the only model.
func (c *Config) EffectiveRules() []Rule {
	if len(c.Rules) > 0 {
		return c.Rules
	}
	r := DefaultRule()
	r.Name = "default"
	for name := range c.Models {
		r.Stages = []Stage{{Model: name}}
	}
	return []Rule{r}
}

// Name is that of the file, as it was given to Parse; "" for a configuration that was made otherwise.
func (c *Config) Name() string {
	if c.source == nil {
		return ""
	}
	return c.source.name
}

// Files are the files that the configuration took secrets from, besides the configuration file itself.
func (c *Config) Files() []string { return c.files }
