package backends

import (
	"context"
	"net/http"
	"net/url"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// newElasticsearch is go-elasticsearch's transport for one node. It knows one URL only, so its pool has nothing to choose and no dead
// list; the choice is [pool]'s, which can see the request. The root package of go-elasticsearch is not used: its client demands a
// product header of every answer, may rewrite content types by an environment variable, and takes addresses from another.
func newElasticsearch(u *url.URL, c credentials, next http.RoundTripper) (performer, error) {
	return elastictransport.NewClient(
		elastictransport.WithURLs(u),
		elastictransport.WithBasicAuth(c.username, c.password),
		elastictransport.WithAPIKey(c.apiKey),
		elastictransport.WithServiceToken(c.token), // sent as a bearer token, whatever its kind
		elastictransport.WithTransport(next),
		elastictransport.WithDisableRetry(),
	)
}

// The questions that rerankd asks for itself, as Elasticsearch spells them.
var elasticsearchAPI = api{
	info: func(ctx context.Context, p performer) (*answer, error) {
		res, err := esapi.InfoRequest{}.Do(ctx, p)
		if err == nil && res.StatusCode == http.StatusMethodNotAllowed { // a lean build, without the module that answers GET /
			res.Body.Close()
			res, err = esapi.NodesInfoRequest{
				NodeID:     []string{"_local"},
				FilterPath: []string{"cluster_name", "nodes.*.name", "nodes.*.version"},
			}.Do(ctx, p)
		}
		if err != nil {
			return nil, err
		}
		return &answer{res.StatusCode, res.Body}, nil
	},
	mappings: func(ctx context.Context, p performer, indices []string, h http.Header) (*answer, error) {
		res, err := esapi.IndicesGetMappingRequest{Index: indices, Header: h}.Do(ctx, p)
		if err != nil {
			return nil, err
		}
		return &answer{res.StatusCode, res.Body}, nil
	},
}
