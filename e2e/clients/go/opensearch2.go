package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/opensearch-project/opensearch-go/v2"
	"github.com/opensearch-project/opensearch-go/v2/opensearchapi"
)

// runOpenSearch2: opensearch-go 2, whose answers are bodies.
func runOpenSearch2(ctx context.Context, r *report, url, index string) error {
	client, err := opensearch.NewClient(opensearch.Config{Addresses: []string{url}, CompressRequestBody: true})
	if err != nil {
		return err
	}
	answer := func(resp *opensearchapi.Response, err error) (any, error) {
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		complain(resp.Header)
		return seen(resp.Body)
	}
	search := func(body string) (*opensearchapi.Response, error) {
		return client.Search(client.Search.WithContext(ctx), client.Search.WithIndex(index), client.Search.WithBody(strings.NewReader(body)))
	}
	for _, from := range []int{0, 10, 20, 30} {
		resp, err := search(page(from))
		p, err := answer(resp, err)
		if err != nil {
			return fmt.Errorf("page from %d: %w", from, err)
		}
		r.Pages = append(r.Pages, p)
		r.Rerank = append(r.Rerank, resp.Header.Get("X-Rerank"))
	}
	for name, body := range shapes {
		if r.Searched[name], err = answer(search(body)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, body := range untouched {
		if r.Passed[name], err = answer(search(body)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if r.Searched["msearch"], err = answer(client.Msearch(strings.NewReader(several(index)), client.Msearch.WithContext(ctx))); err != nil {
		return fmt.Errorf("msearch: %w", err)
	}
	r.Passed["nowhere"], err = answer(client.Search(client.Search.WithContext(ctx), client.Search.WithIndex("e2e-nowhere")))
	return err
}
