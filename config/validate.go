package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// maxWindow is what a cluster returns in one page unless told otherwise (index.max_result_window).
const maxWindow = 10_000

// maxPassages is what a text of 32 KiB, the most that is read of a field, has about.
const maxPassages = 32

// A checker collects what is wrong with a configuration that could be read.
type checker []Fault

func (k *checker) add(path, format string, args ...any) {
	*k = append(*k, Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (k *checker) hint(path, hint, format string, args ...any) {
	*k = append(*k, Fault{Path: path, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// among checks that value is one of known, or empty.
func (k *checker) among(path, value string, known ...string) {
	if value != "" && !slices.Contains(known, value) {
		k.hint(path, closest(value, known, "it may be "), "does not know %q", value)
	}
}

// Validate checks a configuration that was made otherwise than by [Parse]; what is wrong with it is an *[Error] without lines.
func (c *Config) Validate() error {
	if faults := c.validate(); len(faults) > 0 {
		return (&source{name: "configuration"}).fail(faults...)
	}
	return nil
}

func (c *Config) validate() []Fault {
	var k checker
	k.address("listen", c.Listen)
	if c.Admin.Listen != string(Off) {
		k.address("admin.listen", c.Admin.Listen)
	}
	if c.Listen == c.Admin.Listen && !strings.HasSuffix(c.Listen, ":0") {
		k.add("admin.listen", "must not be the address of the proxy itself")
	}
	if c.TLS != nil && (c.TLS.Certificate == "" || c.TLS.Key == "") {
		k.add("tls", "needs both certificate and key")
	}
	c.Cluster.validate(&k)
	if len(c.Models) == 0 {
		k.hint("models", "leave the key out for the model inside the program", "must not be empty")
	}
	for name, m := range c.Models {
		m.validate(&k, "models."+name)
		if !isLabel(name) {
			k.add("models."+name, "is a name of something other than letters, digits and . _ -")
		}
	}
	if len(c.Rules) == 0 && len(c.Models) > 1 {
		k.hint("models", "a rule with stages: [{ model: … }] says which", "has %d models, and no rule uses one of them", len(c.Models))
	}
	for id, name := range c.Inference {
		if _, ok := c.Models[name]; !ok {
			k.hint("inference."+id, closest(name, sortedNames(c.Models), "the models are "), "no model has the name %q", name)
		}
	}
	names := map[string]bool{}
	for i, r := range c.Rules {
		path := fmt.Sprintf("rules[%d]", i)
		r.validate(&k, path, c.Models)
		if names[r.Name] {
			k.add(path+".name", "is that of another rule")
		}
		names[r.Name] = true
	}
	running := map[string]string{} // by rule
	names = map[string]bool{}
	for i, e := range c.Experiments {
		path := fmt.Sprintf("experiments[%d]", i)
		e.validate(&k, path, c)
		if names[e.Name] {
			k.add(path+".name", "is that of another experiment")
		}
		names[e.Name] = true
		if other, ok := running[e.Rule]; ok && e.Phase != PhaseOff {
			k.hint(path+".phase", "phase: off lets one of them wait", "runs over the rule %s beside the experiment %s", e.Rule, other)
		} else if e.Phase != PhaseOff {
			running[e.Rule] = e.Name
		}
	}
	c.Events.validate(&k)
	c.Limits.validate(&k)
	k.among("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.among("log.format", c.Log.Format, "auto", "text", "json")
	return k
}

// address checks host:port.
func (k *checker) address(path, address string) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		k.hint(path, "such as 127.0.0.1:9280, or 0.0.0.0:9280 for every interface", "must be host:port, not %q", address)
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		k.add(path, "has a port that is not a number up to 65535: %q", port)
	}
}

func (c Cluster) validate(k *checker) {
	k.among("cluster.kind", c.Kind, KindAuto, KindElasticsearch, KindOpenSearch)
	k.among("cluster.auth", c.Auth, AuthPassthrough, AuthInjectIfMissing, AuthOverride)
	if len(c.URLs) == 0 {
		k.add("cluster.urls", "must not be empty")
	}
	secure := false
	for i, s := range c.URLs {
		path := fmt.Sprintf("cluster.urls[%d]", i)
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			k.hint(path, "such as http://127.0.0.1:9200", "must be the http or https URL of a node")
			continue
		case u.User != nil:
			k.hint(path, "give cluster.username and cluster.password, with cluster.auth: override", "must not contain credentials")
		case u.RawQuery != "" || u.Fragment != "":
			k.add(path, "must end with the path")
		}
		secure = secure || u.Scheme == "https"
	}
	c.validateCredentials(k)
	t := c.TLS
	if t != (ClientTLS{}) && !secure {
		k.add("cluster.tls", "is given, but no URL of the cluster begins with https")
	}
	if (t.Certificate == "") != (t.Key == "") {
		k.add("cluster.tls", "needs both certificate and key, or neither")
	}
	if t.Fingerprint != "" {
		if b, err := hex.DecodeString(strings.ReplaceAll(t.Fingerprint, ":", "")); err != nil || len(b) != 32 {
			k.add("cluster.tls.fingerprint", "must be a SHA-256 in hexadecimal, 64 digits")
		}
		if t.CA != "" || t.InsecureSkipVerify {
			k.add("cluster.tls.fingerprint", "says by itself whom to trust: it goes with neither ca nor insecure_skip_verify")
		}
	}
	if c.MaxConnsPerHost < 0 {
		k.add("cluster.max_conns_per_host", "must not be negative")
	}
	if c.Probe == 0 {
		k.add("cluster.probe", "must be above 0")
	}
	if c.Timeouts.Connect == 0 {
		k.add("cluster.timeouts.connect", "must be above 0")
	}
}

// validateCredentials refuses credentials that would be ignored, which is what a reader would least expect.
func (c Cluster) validateCredentials(k *checker) {
	var given []string
	if c.Username != "" || c.Password != "" {
		given = append(given, "username and password")
		if c.Username == "" || c.Password == "" {
			k.add("cluster", "needs both username and password")
		}
	}
	if c.APIKey != "" {
		given = append(given, "api_key")
	}
	if c.Token != "" {
		given = append(given, "token")
	}
	passes := c.Auth == AuthPassthrough || c.Auth == ""
	switch {
	case len(given) > 1:
		k.add("cluster", "has %s; one of them is wanted", strings.Join(given, " and "))
	case len(given) == 1 && passes:
		k.hint("cluster.auth", "auth: override uses them for every client, inject-if-missing for those that send none",
			"passes the client's own credentials, so %s would not be used", given[0])
	case len(given) == 0 && !passes:
		k.add("cluster.auth", "%s needs username and password, api_key, or token", c.Auth)
	}
}

func (m Model) validate(k *checker, path string) {
	if m.Source == "" {
		k.hint(path+".source", `"embedded", a directory, the name of a published model, or the URL of a rerank server`, "must be given")
	}
	if m.IsRemote() {
		m.validateRemote(k, path)
		return
	}
	for _, key := range m.given(remoteKeys) {
		k.hint(path+"."+key, "such as source: http://127.0.0.1:8080", "is for a model whose source is the URL of a rerank server")
	}
	k.among(path+".precision", m.Precision, "fp32", "fp16", "int8")
	k.among(path+".special_tokens", m.SpecialTokens, "text", "control")
	for _, n := range []struct {
		key   string
		value int
	}{{"max_length", m.MaxLength}, {"workers", m.Workers}, {"queue", m.Queue}, {"min_window", m.MinWindow}} {
		if n.value < 0 {
			k.add(path+"."+n.key, "must not be negative")
		}
	}
	if m.MaxLength > 0 && m.MaxLength < 16 {
		k.add(path+".max_length", "must be at least 16 tokens: a query and some words of the document")
	}
}

// What may be said of a model by its URL, and of one that runs here.
var (
	remoteKeys = []string{"protocol", "model", "api_key", "scores", "timeout", "batch", "concurrency"}
	localKeys  = []string{"precision", "directory", "max_length", "special_tokens", "workers", "queue", "min_window"}
)

// given are those of the keys that have a value.
func (m Model) given(keys []string) []string {
	var found []string
	v := reflect.ValueOf(m)
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("yaml"); slices.Contains(keys, key) && !v.Field(i).IsZero() {
			found = append(found, key)
		}
	}
	return found
}

func (m Model) validateRemote(k *checker, path string) {
	for _, key := range m.given(localKeys) {
		k.add(path+"."+key, "is for a model that runs here, and the source is a URL")
	}
	u, err := url.Parse(m.Source)
	switch {
	case err != nil || u.Host == "":
		k.hint(path+".source", "such as http://127.0.0.1:8080", "must be the http or https URL of a rerank server")
	case u.User != nil:
		k.hint(path+".source", "give api_key", "must not contain credentials")
	case u.RawQuery != "" || u.Fragment != "":
		k.add(path+".source", "must end with the path")
	}
	if m.Protocol == "" {
		k.hint(path+".protocol", "it may be "+strings.Join(protocols, ", "), "must say how the server is asked")
	}
	k.among(path+".protocol", m.Protocol, protocols...)
	k.among(path+".scores", m.Scores, "logits", "probabilities")
	if m.Model == "" && slices.Contains([]string{"elastic", "voyage", "mixedbread"}, m.Protocol) {
		k.add(path+".model", "must be given with protocol %s", m.Protocol)
	}
	if m.Batch < 0 {
		k.add(path+".batch", "must not be negative")
	}
	if m.Concurrency < 0 {
		k.add(path+".concurrency", "must not be negative")
	}
}

var protocols = []string{"tei", "cohere", "voyage", "mixedbread", "elastic"}

func (r Rule) validate(k *checker, path string, models map[string]Model) {
	if !isLabel(r.Name) {
		k.add(path+".name", "must be of letters, digits and . _ -")
	}
	for i, p := range r.Indices {
		if p == "" || strings.ContainsAny(p, ", \t/") {
			k.add(fmt.Sprintf("%s.indices[%d]", path, i), "must be one name or pattern, such as products*")
		}
	}
	for i, f := range r.Fields {
		if f == "" {
			k.add(fmt.Sprintf("%s.fields[%d]", path, i), "must not be empty")
		}
	}
	if len(r.Fields) > 0 && r.Template != "" {
		k.add(path+".template", "cannot be given together with fields")
	}
	if len(r.Stages) == 0 {
		k.hint(path+".stages", "the models are "+strings.Join(sortedNames(models), ", "), "must say which model is used")
	}
	for i, s := range r.Stages {
		at := fmt.Sprintf("%s.stages[%d]", path, i)
		if _, ok := models[s.Model]; !ok {
			k.hint(at+".model", closest(s.Model, sortedNames(models), "the models are "), "no model has the name %q", s.Model)
		}
		if s.Window < 0 || s.Window > maxWindow {
			k.add(at+".window", "must be from 1 to %d hits, or 0 for what the budget allows", maxWindow)
		}
		for _, before := range r.Stages[:i] {
			if before.Model == s.Model {
				k.add(at+".model", "is that of an earlier stage, which has judged these hits already")
			}
			if before.Window > 0 && s.Window > before.Window {
				k.hint(at+".window", "a later stage reads the first hits of the order that the one before made",
					"%d hits are more than the %d of an earlier stage", s.Window, before.Window)
			}
		}
	}
	k.among(path+".long_texts", r.LongTexts, "first", "passages")
	if r.Passages < 1 || r.Passages > maxPassages {
		k.add(path+".passages", "must be from 1 to %d", maxPassages)
	}
	if r.Budget == 0 {
		k.hint(path+".budget", "rerank: off turns reranking off", "must be above 0")
	}
	if r.Total != 0 && r.Total < r.Budget {
		k.hint(path+".total", "the total holds the cluster's time and the budget", "%s is less than the budget of %s", r.Total, r.Budget)
	}
	k.among(path+".fusion.method", r.Fusion.Method, "convex", "replace", "reciprocal_rank")
	if r.Fusion.Weight <= 0 || r.Fusion.Weight > 1 || r.Fusion.Weight != r.Fusion.Weight {
		k.add(path+".fusion.weight", "must be above 0 and at most 1")
	}
	if r.Fusion.RankConstant < 1 {
		k.add(path+".fusion.rank_constant", "must be at least 1")
	}
	if r.Fusion.MaxClimb < 0 {
		k.add(path+".fusion.max_climb", "must not be negative")
	}
	k.among(path+".score", r.Score, "sigmoid", "es", "logit", "rank", "keep")
	if r.Words.MinLength < 0 {
		k.add(path+".words.min_length", "must not be negative")
	}
	for i, p := range r.Words.Pointers {
		if !strings.HasPrefix(p, "/") {
			k.hint(fmt.Sprintf("%s.words.pointers[%d]", path, i), "such as /query/match/title/query", "must be a JSON pointer, which begins with /")
		}
	}
}

func (l Limits) validate(k *checker) {
	if l.Request == 0 {
		k.add("limits.request", "must be above 0")
	}
	if l.Response == 0 {
		k.add("limits.response", "must be above 0")
	}
	if l.Widened == 0 {
		k.hint("limits.widened", "a large value is as good as no bound", "must be above 0")
	}
	if l.DearWindow < 0 {
		k.add("limits.dear_window", "must not be negative")
	}
	if l.Memory < l.Response {
		k.add("limits.memory", "%s is less than one answer may hold (limits.response: %s)", l.Memory, l.Response)
	}
	if l.Connections < 0 {
		k.add("limits.connections", "must not be negative")
	}
	if l.Idle == 0 {
		k.add("limits.idle", "must be above 0")
	}
}

// isLabel reports whether s can stand in a header, a metric label and a path of the configuration without being escaped.
func isLabel(s string) bool {
	for _, r := range s {
		if !strings.ContainsRune("._-", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return s != ""
}

func sortedNames(models map[string]Model) []string {
	names := make([]string, 0, len(models))
	for n := range models {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
