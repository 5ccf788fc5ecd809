package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var ignoreSource = cmp.Options{cmpopts.IgnoreUnexported(Config{}), cmpopts.EquateComparable(netip.Prefix{})}

func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"HOST":             "0.0.0.0",
		"FINGERPRINT":      strings.Repeat("AB:", 31) + "CD",
		"CLUSTER_PASSWORD": "hunter2",
	}[name]
	return v, ok
}

func parse(t *testing.T, name string) (*Config, error) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(name, data, environment)
}

// Every *.bad.yaml in testdata has one fault and a line here with what is said of it.
func TestBadFiles(t *testing.T) {
	faults := map[string]string{
		"unknown_key":         `:1:1: lisen: is not a key that rerankd knows|did you mean "listen"?`,
		"unknown_nested_key":  `:3:30: rules[0].stages[0].widow: is not a key|did you mean "window"?`,
		"unknown_key_far":     `elasticsearch: is not a key|the keys here are listen, tls,`,
		"syntax":              `:3:2: is not YAML`,
		"tab":                 `:2:1: is not YAML|indent with spaces`,
		"wrong_indentation":   `:3:4: is not YAML|begin in the same column`,
		"not_utf8":            `not_utf8.bad.yaml: is not text in UTF-8`,
		"two_documents":       `second document`,
		"duplicate_key":       `:2:1: `,
		"list_of_one":         `cluster.urls: must be a list|write [http://127.0.0.1:9200]`,
		"map_wanted":          `cluster: must have keys and values, not be "http://127.0.0.1:9200"`,
		"scalar_wanted":       `listen: must be a text, not a list`,
		"bare_duration":       `rules[0].budget: must be a time with a unit`,
		"negative_duration":   `drain.delay: must not be negative`,
		"fractional_int":      `rules[0].stages[0].window: must be a whole number, not "30.5"`,
		"bad_bool":            `log.queries: must be true or false, not "yes"`,
		"bad_switch":          `rerank: must be on or off, not "maybe"`,
		"bad_size":            `limits.request: must be a size`,
		"missing_variable":    `listen: the environment variable LISTEN is not set`,
		"malformed_variable":  `listen: ${LIS TEN is not the name`,
		"unclosed_variable":   `listen: ${LISTEN is not the name`,
		"secret_file_missing": `cluster.api_key: cannot be taken from its file: open testdata/nowhere.key`,
		"listen_without_port": `listen: must be host:port, not "localhost"`,
		"listen_port":         `listen: has a port that is not a number up to 65535: "99999"`,
		"same_listeners":      `admin.listen: must not be the address of the proxy`,
		"tls_without_key":     `tls: needs both certificate and key`,
		"kind":                `cluster.kind: does not know "elasticserch"|did you mean "elasticsearch"?`,
		"solr":                `cluster.kind: does not know "solr"|it may be auto, elasticsearch, opensearch`,
		"url_scheme":          `cluster.urls[0]: must be the http or https URL`,
		"url_credentials":     `cluster.urls[0]: must not contain credentials`,
		"no_urls":             `cluster.urls: must not be empty`,
		"unused_credentials":  `cluster.auth: passes the client's own credentials, so token would not be used`,
		"no_credentials":      `cluster.auth: override needs`,
		"half_credentials":    `cluster: needs both username and password`,
		"two_credentials":     `cluster: has api_key and token`,
		"tls_on_http":         `cluster.tls: is given, but no URL`,
		"fingerprint":         `cluster.tls.fingerprint: must be a SHA-256`,
		"fingerprint_and_ca":  `cluster.tls.fingerprint: says by itself whom to trust`,
		"no_models":           `models: must not be empty`,
		"no_source":           `models.small.source: must be given`,
		"model_name":          `models.a b: is a name of something other`,
		"remote_protocol":     `models.farm.protocol: must say how the server is asked|it may be tei, cohere`,
		"remote_unknown":      `models.farm.protocol: does not know "coher"|did you mean "cohere"?`,
		"remote_model":        `models.farm.model: must be given with protocol elastic`,
		"remote_credentials":  `models.farm.source: must not contain credentials|give api_key`,
		"remote_query":        `models.farm.source: must end with the path`,
		"remote_and_local":    `models.farm.precision: is for a model that runs here`,
		"local_and_remote":    `models.small.api_key: is for a model whose source is the URL`,
		"remote_batch":        `models.farm.batch: must not be negative`,
		"special_tokens":      `models.small.special_tokens: does not know "kontrol"|did you mean "control"?`,
		"precision":           `models.small.precision: does not know "fp23"|did you mean "fp32"?`,
		"unknown_model":       `:3:23: rules[0].stages[0].model: no model has the name "smal"|did you mean "small"?`,
		"ambiguous_model":     `rules[0].stages: must say which model|large, small`,
		"no_rule_for_models":  `models: has 2 models, and no rule uses`,
		"same_stages":         `rules[0].stages[1].model: is that of an earlier stage`,
		"stage_window":        `rules[0].stages[1].window: 50 hits are more than the 10 of an earlier stage|a later stage reads the first hits`,
		"long_texts":          `rules[0].long_texts: does not know "last"|it may be first, passages`,
		"passages":            `rules[0].passages: must be from 1 to 32`,
		"max_climb":           `rules[0].fusion.max_climb: must not be negative`,
		"rank_constant":       `rules[0].fusion.rank_constant: must be at least 1`,
		"window":              `rules[0].stages[0].window: must be from 1 to 10000`,
		"two_rules_of_a_name": `rules[1].name: is that of another rule`,
		"rule_name":           `rules[0].name: must be of letters`,
		"index_list":          `rules[0].indices[0]: must be one name or pattern`,
		"fields_and_template": `rules[0].template: cannot be given together with fields`,
		"no_budget":           `rules[0].budget: must be above 0`,
		"total_below_budget":  `rules[0].total: 100ms is less than the budget of 300ms`,
		"inference":           `inference.my-reranker: no model has the name "smal"|did you mean "small"?`,
		"pointer":             `rules[0].words.pointers[0]: must be a JSON pointer, which begins with /|such as /query/match/title/query`,
		"experiment_rule":     `:4:11: experiments[0].rule: no rule has the name "product"|did you mean "products"?`,
		"experiment_key":      `experiments[0].variants.reranked.fussion: is not a key|did you mean "fusion"?`,
		"experiment_indices":  `experiments[0].variants.reranked.indices: is not a key|the keys here are share, fields,`,
		"experiment_one":      `experiments[0].variants: must be two or more|such as { lexical: { rerank: off }, reranked: {} }`,
		"experiment_three":    `experiments[0].variants: are 3, and two can share a page`,
		"experiment_weight":   `:5:32: experiments[0].variants.all.fusion.weight: must be above 0 and at most 1`,
		"experiment_shares":   `experiments[0].variants: must all have a share, or none`,
		"experiment_share":    `:3:12: experiments[0].share: must be a share such as 10%, from 0% to 100%, not "0.5"`,
		"experiment_phase":    `experiments[0].phase: does not know "lve"|did you mean "live"?`,
		"experiment_two":      `experiments[1].phase: runs over the rule default beside the experiment x|phase: off lets`,
		"experiment_unit":     `experiments[0].unit[0]: must be { header: NAME }, { cookie: NAME }, client_id`,
		"experiment_unit_key": `experiments[0].unit[0].headr: is not a key|did you mean "header"?`,
		"experiment_variants": `experiments[0].variants: must have keys and values, not be a list`,
		"events_sink":         `events.sink: does not know "kafka"|it may be auto, file`,
		"events_proxies":      `events.trusted_proxies[1]: must be an address or a network such as 10.0.0.0/8, not "balancer"`,
		"events_first":        `events.unknown: does not know "refuse"|it may be keep, drop`,
		"events_implicit":     `events.implicit[0]: does not know "clik"|it may be get, page`,
		"experiment_horizon":  `experiments[0].horizon: must be above 0|such as 24h`,
		"guard_zero":          `experiments[0].guards: must be above 0, each of them|force: true passes over them`,
		"experiment_off":      `experiments[0].variants: do not rerank, any of them|rerank: on in one of them`,
		"events_salt":         `events.salt: must be of 16 characters or more`,
		"guard_share":         `experiments[0].guards.errors: must be a share`,
		"widened":             `limits.widened: must be above 0|a large value is as good as no bound`,
		"fusion_method":       `rules[0].fusion.method: does not know "convexx"|did you mean "convex"?`,
		"fusion_weight":       `rules[0].fusion.weight: must be above 0 and at most 1`,
		"score":               `rules[0].score: does not know "percent"|it may be sigmoid, es`,
		"memory":              `limits.memory: 256MiB is less than one answer may hold (limits.response: 1GiB)`,
		"alias_of_nothing":    `*shared refers to no anchor above it`,
		"alias_of_itself":     `:3:`,
		"alias_bomb":          `has aliases in too many turns`,
		"log_level":           `log.level: does not know "verbose"`,
	}
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) != len(faults) {
		t.Errorf("got %d bad files, want one for each of %d faults", len(files), len(faults))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".bad.yaml")
		t.Run(name, func(t *testing.T) {
			want, ok := faults[name]
			if !ok {
				t.Fatalf("%s has no line in this test", file)
			}
			_, err := parse(t, file)
			var fault *Error
			if fault, ok = err.(*Error); !ok {
				t.Fatalf("got %v, want an *Error", err)
			}
			message, hint, _ := strings.Cut(want, "|")
			if got := fault.Faults[0].String(); !strings.Contains(got, message) || !strings.Contains(got, hint) {
				t.Errorf("got %s\nwant %s\nwith hint %s", got, message, hint)
			}
			if strings.Contains(err.Error(), "hunter") {
				t.Errorf("the message shows a secret: %v", err)
			}
		})
	}
}

func TestEverything(t *testing.T) {
	got, err := parse(t, "testdata/everything.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Listen: "0.0.0.0:9280",
		TLS:    &ServerTLS{Certificate: "tls.crt", Key: "tls.key"},
		Admin:  Admin{Listen: "off", Compare: Off, Judgments: "judgments"},
		Cluster: Cluster{
			Kind:            "opensearch",
			URLs:            []string{"https://one:9200", "https://two:9200/prefix"},
			Auth:            "inject-if-missing",
			Username:        "rerankd",
			Password:        "0123", // as it is written, and not the number 83
			TLS:             ClientTLS{Fingerprint: strings.Repeat("AB:", 31) + "CD", Certificate: "client.crt", Key: "client.key"},
			Timeouts:        Timeouts{Connect: Duration(time.Second), Response: Duration(time.Minute), Idle: Duration(5 * time.Minute)},
			MaxConnsPerHost: 64,
			Probe:           Duration(2 * time.Second),
		},
		Models: map[string]Model{
			"small": {Source: "embedded", Workers: 2, Queue: 100, MinWindow: 5, MaxLength: 256, Languages: "multilingual"},
			"large": {Source: "mixedbread-ai/mxbai-rerank-large-v1", Precision: "int8", SpecialTokens: "control", Directory: "/var/lib/rerankd/models"},
			"farm": {
				Source: "https://farm/v2/rerank", Protocol: "cohere", Model: "rerank-v3.5", APIKey: "0123", Scores: "probabilities",
				Timeout: Duration(2 * time.Second), Batch: 50, Concurrency: 8,
			},
		},
		Rules: []Rule{{
			Name:      "products",
			Indices:   []string{"products*"},
			Template:  "${title}. {description}",
			Stages:    []Stage{{Model: "small", Window: 20}, {Model: "large", Window: 5}},
			LongTexts: "passages", Passages: 2,
			Budget: Duration(90 * time.Second),
			Total:  Duration(2 * time.Minute),
			Fusion: Fusion{Method: "replace", Weight: 1, RankConstant: 10, MaxClimb: 7},
			Rerank: On,
			Score:  "rank",

			Separator: "\n",
			Words:     Words{MinLength: 3, Pointers: []string{"/ext/app/query"}, Filters: true, MoreLikeThis: true, Lookups: true},
		}, {
			Name:      "rule-2",
			Indices:   []string{"*"},
			Fields:    []string{"title", "body"},
			Stages:    []Stage{{Model: "small"}},
			Budget:    Duration(300 * time.Millisecond),
			Fusion:    Fusion{Method: "convex", Weight: 0.5, RankConstant: 60},
			LongTexts: "first", Passages: 3,
			Rerank: Off,
			Score:  "sigmoid",

			Separator: " | ",
			Words:     Words{MinLength: 2},
		}},
		Inference: map[string]string{"my-reranker": "large", "*": "small"},
		Events: Events{
			Sink: "both", Directory: "/var/lib/rerankd/events", APIKey: "0123", Queries: "hash", Clients: "drop", Objects: "hash", Salt: "0123456789abcdef",
			Origins: []string{"https://shop.example"}, Rate: 500, TrustedProxies: []Network{{netip.MustParsePrefix("10.0.0.0/8")}, {netip.MustParsePrefix("::1/128")}}, Unknown: "drop", Implicit: []string{"get", "page", "reformulation"},
			Window: Duration(time.Hour), Proxy: true,
		},
		Rerank: Off,
		Limits: Limits{
			Request: 2 << 20, Response: 64 << 20, Widened: 1 << 20, DearWindow: 10, Memory: 1 << 30, Connections: 1000, Idle: Duration(30 * time.Second),
		},
		Caches: Caches{Tokens: 8 << 20},
		Log:    Log{Level: "debug", Format: "json", Queries: true, Slow: Duration(time.Second)},
		Drain:  Drain{Timeout: Duration(10 * time.Second)},
	}
	// A variant is its rule, with what it says instead.
	off, heavy, titles := want.Rules[0], want.Rules[0], want.Rules[1]
	off.Rerank = Off
	heavy.Fusion.Weight, heavy.Fields, heavy.Template, heavy.Budget = 0.9, []string{"title"}, "", Duration(time.Second)
	titles.Fields, titles.Template, titles.Rerank = nil, "{title}", On
	want.Experiments = []Experiment{{
		Name: "weights", Rule: "products", Variants: Variants{{Name: "lexical", Rule: off}, {Name: "heavy", Rule: heavy}},
		Assign: "interleave", Unit: []Unit{{Header: "X-User"}, {Cookie: "session"}, {Word: "client_id"}, {Word: "authorization"}},
		Share: 12.5, Phase: "live", Horizon: Duration(7 * 24 * time.Hour), Guards: Guards{Searches: 500, Latency: Duration(200 * time.Millisecond), ZeroResults: 2, Errors: 0.5}, Force: true,
	}, {
		Name: "later", Rule: "rule-2", Variants: Variants{{Name: "whole", Share: 60, Rule: want.Rules[1]}, {Name: "titles", Share: 40, Rule: titles}},
		Assign: "split", Unit: []Unit{{Word: "none"}}, Share: 100, Phase: "off",
		Horizon: Duration(24 * time.Hour), Guards: Guards{Searches: 200, Latency: Duration(500 * time.Millisecond), ZeroResults: 1, Errors: 5},
	}}
	if diff := cmp.Diff(want, got, ignoreSource); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// What stands further down in the file counts for a variant too, and so do anchors.
func TestVariantsBeforeTheirRule(t *testing.T) {
	c, err := Parse("test.yaml", []byte(`experiments:
  - name: x
    variants:
      control:
      other: &other { fusion: { weight: 0.8 } }
      third: { <<: *other, budget: 1s }
rules: [{ fusion: { method: replace }, budget: 2s }]
`), environment)
	if err != nil {
		t.Fatal(err)
	}
	e := c.Experiments[0]
	for i, want := range []struct {
		weight float64
		budget time.Duration
	}{{0.5, 2 * time.Second}, {0.8, 2 * time.Second}, {0.8, time.Second}} {
		r := e.Variants[i].Rule
		if r.Fusion.Method != "replace" || r.Fusion.Weight != want.weight || time.Duration(r.Budget) != want.budget || r.Name != "rule-1" {
			t.Errorf("variant %s: got %+v, want weight %v and budget %s", e.Variants[i].Name, r, want.weight, want.budget)
		}
	}
	if file, cluster := c.Kept(); file || cluster {
		t.Error("events are kept of an experiment that is off")
	}
}

func TestAliases(t *testing.T) {
	c, err := parse(t, "testdata/aliases.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := c.Rules[0]
	want.Name = "books"
	if diff := cmp.Diff(want, c.Rules[1]); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// Saying nothing is the default, in a file with nothing in it, in one whose keys have nothing after them, and in the example.
func TestDefaults(t *testing.T) {
	for _, file := range []string{"testdata/empty.good.yaml", "testdata/nothing_after_keys.good.yaml", "example.yaml"} {
		got, err := parse(t, file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		want := Default()
		if diff := cmp.Diff(&want, got, ignoreSource); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", file, diff)
		}
	}
	c := Default()
	if faults := c.validate(); len(faults) > 0 {
		t.Errorf("the default has faults: %v", faults)
	}
}

// The example names every key, and with its comments removed is still read without a fault.
// Editors that mark a file as UTF-8 put a character before its first key that nobody sees.
func TestByteOrderMark(t *testing.T) {
	c, err := Parse("marked.yaml", []byte("\ufefflisten: 127.0.0.1:1\r\n"), environment)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:1" {
		t.Errorf("got %q, want the address that the file gives", c.Listen)
	}
}

func TestSnippetsLeaveTheTerminalAlone(t *testing.T) {
	_, err := Parse("escape.yaml", []byte("rerank: on\nlissten: \"\x1b[2J\"\n"), environment)
	if err == nil || strings.ContainsRune(err.Error(), 0x1b) {
		t.Errorf("got %q, want a fault without the control character", err)
	}
}

func TestExampleIsComplete(t *testing.T) {
	data, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	commented := regexp.MustCompile(`(?m)^( *)#([a-z-])`)
	all := commented.ReplaceAllString(string(data), "$1$2")
	body, err := parseYAML([]byte(all))
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	directory := t.TempDir()
	all = strings.ReplaceAll(all, "file:/run/secrets", "file:"+directory)
	c.source = &source{name: "example.yaml", data: []byte(all), at: map[string]place{}}
	d := decoder{source: c.source, env: environment, anchors: map[string]ast.Node{}}
	d.decodeConfig(body, &c)
	for _, f := range d.faults {
		if !strings.Contains(f.Message, "cannot be taken from its file") {
			t.Errorf("got a fault: %v", f)
		}
	}
	for _, path := range keys("", reflect.TypeFor[Config]()) {
		_, here := c.source.at[path]
		_, elsewhere := c.source.at[strings.Replace(path, "models.small.", "models.farm.", 1)]
		if !here && !elsewhere {
			t.Errorf("the example does not name %s", path)
		}
	}
	if diff := cmp.Diff(DefaultRule().Budget, c.Rules[0].Budget); diff != "" {
		t.Errorf("the rule of the example has another budget than the default:\n%s", diff)
	}
}

// keys lists the paths of a type, with one element in each list and in each map the one of the example.
func keys(path string, t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[Unit](): // mostly a word
		return []string{path}
	case reflect.TypeFor[Variants]():
		return []string{path + ".lexical.share", path + ".lexical.rerank"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return keys(path, t.Elem())
	case reflect.Slice:
		return keys(path+"[0]", t.Elem())
	case reflect.Map:
		if path == "inference" {
			return keys(path+".my-reranker", t.Elem())
		}
		return keys(path+".small", t.Elem())
	case reflect.Struct:
		var all []string
		for f := range t.Fields() {
			if key := f.Tag.Get("yaml"); key != "" {
				all = append(all, keys(join(path, key), f.Type)...)
			}
		}
		return all
	}
	return []string{path}
}

func TestExpand(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"A": "1", "EMPTY": "", "NESTED": "${A}"}[name]
		return v, ok
	}
	for _, test := range []struct{ in, want, missing string }{
		{"plain", "plain", ""},
		{"${A}", "1", ""},
		{"x${A}y${A}z", "x1y1z", ""},
		{"${EMPTY}", "", ""},
		{"${NESTED}", "${A}", ""}, // a value is not read again: it comes from elsewhere
		{"$${A}", "${A}", ""},
		{"$A $ {A}", "$A $ {A}", ""},
		{"${B}", "", "B"},
	} {
		got, missing, err := expand(test.in, env)
		if err != nil || got != test.want || missing != test.missing {
			t.Errorf("expand(%q): got %q, missing %q, %v; want %q, missing %q", test.in, got, missing, err, test.want, test.missing)
		}
	}
}

func TestSecretFile(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "key"), []byte("c2VjcmV0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse(filepath.Join(directory, "rerankd.yaml"), []byte("cluster: { auth: override, api_key: 'file:key' }"), environment)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(c.Cluster.APIKey); got != "c2VjcmV0" {
		t.Errorf("got %q, want the file's content without its line break", got)
	}
	if diff := cmp.Diff([]string{filepath.Join(directory, "key")}, c.Files()); diff != "" {
		t.Errorf("files: want -, got +:\n%s", diff)
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	c := Default()
	c.Cluster.Password = "hunter2"
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", c.Cluster.Password, "cluster", c.Cluster)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", c.Cluster.Password, "cluster", c.Cluster)
	for name, shown := range map[string]string{
		"JSON":  string(j),
		"YAML":  string(y),
		"slog":  log.String(),
		"verbs": strings.Join(inEveryVerb(c.Cluster), " "),
	} {
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, fmt.Sprintf("%x", "hunter2")) || !strings.Contains(shown, "***") {
			t.Errorf("%s: got %s, want *** for the secret", name, shown)
		}
	}
}

func inEveryVerb(v any) []string {
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		shown = append(shown, fmt.Sprintf(verb, v))
	}
	return shown
}

func TestValues(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"0", "0s"}, {"300ms", "300ms"}, {"90s", "1m30s"}, {"60m", "1h"}, {"10m", "10m"}, {"1h30m", "1h30m"},
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(test.text)); err != nil || d.String() != test.want {
			t.Errorf("duration %s: got %s, %v; want %s", test.text, d, err, test.want)
		}
	}
	for _, test := range []struct{ text, want string }{{"0%", "0%"}, {"0.50%", "0.5%"}, {"100%", "100%"}, {"7", ""}, {"-1%", ""}, {"101%", ""}, {"NaN%", ""}} {
		var p Percent
		if err := p.UnmarshalText([]byte(test.text)); (err == nil) != (test.want != "") || err == nil && p.String() != test.want {
			t.Errorf("share %s: got %s, %v; want %q", test.text, p, err, test.want)
		}
	}
	for _, test := range []struct {
		text string
		want Bytes
		back string
	}{{"0", 0, "0B"}, {"17", 17, "17B"}, {"1KB", 1 << 10, "1KiB"}, {"32 MiB", 32 << 20, "32MiB"}, {"2gib", 2 << 30, "2GiB"}, {"1536b", 1536, "1536B"}} {
		var b Bytes
		if err := b.UnmarshalText([]byte(test.text)); err != nil || b != test.want || b.String() != test.back {
			t.Errorf("size %s: got %d (%s), %v; want %d (%s)", test.text, b, b, err, test.want, test.back)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1.5MiB", "9999999999GiB"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("size %q: got %s, want an error", text, b)
		}
	}
}

// Parse never panics, and whatever it accepts passes its own validation again.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "example.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Contains(string(data), "file:") {
			t.Skip("reads files")
		}
		c, err := Parse("fuzz.yaml", data, environment)
		if err != nil {
			if _, ok := err.(*Error); !ok || err.Error() == "" {
				t.Errorf("got %v, want an *Error", err)
			}
			return
		}
		if faults := c.validate(); len(faults) > 0 {
			t.Errorf("accepted, and then has %v", faults)
		}
	})
}

// Colons without a space after them are part of a text, wherever it stands.
func TestColonsInTexts(t *testing.T) {
	for _, file := range []string{
		"cluster:\n  urls: [http://one:9200/a:b, https://two:9200]",
		"cluster: { urls: [http://one:9200/a:b, https://two:9200] }",
		"cluster: { urls: [ 'http://one:9200/a:b', \"https://two:9200\" ] }",
		"cluster:\n  urls:\n    - http://one:9200/a:b\n    - https://two:9200",
	} {
		c, err := Parse("test.yaml", []byte(file), environment)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if diff := cmp.Diff([]string{"http://one:9200/a:b", "https://two:9200"}, c.Cluster.URLs); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", file, diff)
		}
	}
	if c, err := Parse("test.yaml", []byte("cluster: { urls: [{http: x}] }"), environment); err == nil {
		t.Errorf("got %v, want a key and a value refused", c.Cluster.URLs)
	}
}
