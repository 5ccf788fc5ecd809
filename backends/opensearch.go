package backends

import (
	"context"
	"net/http"
	"net/url"

	"github.com/opensearch-project/opensearch-go/v2/opensearchapi"
	"github.com/opensearch-project/opensearch-go/v2/opensearchtransport"
)

// newOpenSearch is opensearch-go's transport for one node; as to its pool see newElasticsearch. It knows Basic credentials; the other
// two are put on by the place that it has for signing requests.
func newOpenSearch(u *url.URL, c credentials, next http.RoundTripper) (performer, error) {
	conf := opensearchtransport.Config{
		URLs:         []*url.URL{u},
		Username:     c.username,
		Password:     c.password,
		Transport:    next,
		DisableRetry: true, // not MaxRetries -1, which makes it send nothing and return neither an answer nor an error
	}
	switch {
	case c.apiKey != "":
		conf.Signer = authorization("ApiKey " + c.apiKey)
	case c.token != "":
		conf.Signer = authorization("Bearer " + c.token)
	}
	return opensearchtransport.New(conf)
}

// authorization is a value of that header, put where there is none.
type authorization string

func (a authorization) SignRequest(req *http.Request) error {
	if _, ok := req.Header["Authorization"]; !ok {
		req.Header.Set("Authorization", string(a))
	}
	return nil
}

// The questions that rerankd asks for itself, as OpenSearch spells them.
var openSearchAPI = api{
	info: func(ctx context.Context, p performer) (*answer, error) {
		res, err := opensearchapi.InfoRequest{}.Do(ctx, p)
		if err != nil {
			return nil, err
		}
		return &answer{res.StatusCode, res.Body}, nil
	},
	mappings: func(ctx context.Context, p performer, indices []string, h http.Header) (*answer, error) {
		res, err := opensearchapi.IndicesGetMappingRequest{Index: indices, Header: h}.Do(ctx, p)
		if err != nil {
			return nil, err
		}
		return &answer{res.StatusCode, res.Body}, nil
	},
}
