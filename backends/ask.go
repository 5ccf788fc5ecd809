package backends

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rerankd/rerankd/config"
)

// What rerankd asks the cluster for itself.

// performer is the face that both vendors' transports show to their API packages.
type performer interface {
	Perform(*http.Request) (*http.Response, error)
}

// performerFunc makes one of the Backend's own ways of sending.
type performerFunc func(*http.Request) (*http.Response, error)

func (f performerFunc) Perform(req *http.Request) (*http.Response, error) { return f(req) }

// api is the questions in the vendor's own spelling.
type api struct {
	info     func(context.Context, performer) (*answer, error)
	mappings func(ctx context.Context, p performer, indices []string, h http.Header) (*answer, error)
}

// answer is what the vendors' response types have in common.
type answer struct {
	code int
	body io.ReadCloser
}

func (b *Backend) api() api {
	if b.engine.kind() == config.KindOpenSearch {
		return openSearchAPI
	}
	return elasticsearchAPI
}

const (
	mappingsTimeout = 30 * time.Second // a cluster state of thousands of indices takes seconds to print
	mappingsLimit   = 64 << 20         // bytes; at this size the search should name fewer indices, or the rule its fields
	infoLimit       = 1 << 20
	statusBodyLimit = 4 << 10
)

// Mappings gives the body of GET /{indices}/_mapping, at most 64 MiB. indices is what a search names, not escaped: a list with commas of
// indices, aliases, data streams, patterns and date math; "" is all. credentials are the caller's own, so that nobody is told of fields
// that the cluster would not show them; as for any request of theirs, rerankd's are put on where the configuration says so. Of the
// credentials only what says who asks is sent: Authorization, cookies, and headers that name a user, a role or a tenant. One who caches
// the answer must tell callers apart by the same.
//
// The error is a [*StatusError] where the cluster refused, an [*Error] where it did not answer.
func (b *Backend) Mappings(ctx context.Context, indices string, credentials http.Header) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, mappingsTimeout)
	defer cancel()
	var escaped []string
	if indices != "" {
		for index := range strings.SplitSeq(indices, ",") {
			escaped = append(escaped, url.PathEscape(index)) // the API packages do not: <logs-{now/d}> has a slash
		}
	}
	header := identity(credentials)
	header["X-Idempotency-Key"] = []string{}
	a, err := b.api().mappings(ctx, performerFunc(b.RoundTrip), escaped, header)
	if err != nil {
		return nil, fmt.Errorf("reading the mappings of %q: %w", indices, err)
	}
	body, err := a.read(mappingsLimit)
	if err != nil {
		return nil, fmt.Errorf("reading the mappings of %q: %w", indices, err)
	}
	return body, nil
}

// identity picks from a client's headers those that tell the cluster who asks.
func identity(h http.Header) http.Header {
	picked := http.Header{}
	for name, values := range h {
		switch name {
		case "Authorization", "Es-Security-Runas-User", "Es-Secondary-Authorization", // Elasticsearch
			"Opendistro_security_impersonate_as", "Securitytenant", "X-Proxy-User", "X-Proxy-Roles", // OpenSearch
			"Cookie": // a gateway before the cluster
			picked[name] = values
		}
	}
	return picked
}

// Info is what the cluster says of itself.
type Info struct {
	Engine
	Cluster string // its name
	Node    string // the name of the node that answered
}

// Info asks a node who it is, with rerankd's own credentials if it has any. Lean builds of Elasticsearch refuse GET /; they are asked
// for their node instead. Errors are those of Mappings.
func (b *Backend) Info(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, mappingsTimeout)
	defer cancel()
	info, err := b.info(ctx, performerFunc(func(req *http.Request) (*http.Response, error) { return b.do(req, true) }))
	if err != nil {
		return Info{}, fmt.Errorf("asking the cluster who it is: %w", err)
	}
	return info, nil
}

// info asks what p reaches, and keeps what that tells of the engine.
func (b *Backend) info(ctx context.Context, p performer) (Info, error) {
	a, err := b.api().info(ctx, p)
	if err != nil {
		return Info{}, err
	}
	body, err := a.read(infoLimit)
	if err != nil {
		return Info{}, err
	}
	info, err := parseInfo(body)
	if err != nil {
		return Info{}, err
	}
	b.engine.learn(info.Engine)
	if info.Kind == "" {
		info.Kind = b.engine.get().Kind
	}
	return info, nil
}

// parseInfo reads the body of GET /, or of GET /_nodes/_local. Kind stays empty where the body does not tell: Elasticsearch has no
// version.distribution, but what lacks it need not be Elasticsearch.
func parseInfo(body []byte) (Info, error) {
	var v struct {
		Name    string `json:"name"`
		Cluster string `json:"cluster_name"`
		Version struct {
			Number       string `json:"number"`
			Distribution string `json:"distribution"`
		} `json:"version"`
		Tagline string `json:"tagline"`
		Nodes   map[string]struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return Info{}, fmt.Errorf("reading its answer: %w", err)
	}
	info := Info{Cluster: v.Cluster, Node: v.Name, Engine: Engine{Version: v.Version.Number}}
	for _, n := range v.Nodes {
		info.Node, info.Version = n.Name, n.Version
	}
	switch {
	case v.Version.Distribution == "opensearch":
		info.Kind = config.KindOpenSearch
	case v.Version.Distribution == "" && v.Tagline == "You Know, for Search": // before 7.14 there is no header to tell
		info.Kind = config.KindElasticsearch
	}
	return info, nil
}

// read gives the body of a 200 up to a limit, and a StatusError for anything else. Either way the answer is done with.
func (a *answer) read(limit int64) ([]byte, error) {
	defer a.body.Close()
	if a.code != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(a.body, statusBodyLimit))
		return nil, &StatusError{Code: a.code, Body: body}
	}
	body, err := io.ReadAll(io.LimitReader(a.body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("the answer is over %d MiB", limit>>20)
	}
	return body, nil
}
