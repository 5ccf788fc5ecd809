package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/elastic/go-elasticsearch/v8/esutil"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/sortorder"
)

// runElasticsearch: go-elasticsearch 8, its low-level API, its typed one, and esutil. The product check is in every client's first call: it refuses an
// answer that does not carry Elastic's header.
func runElasticsearch(ctx context.Context, r *report, url, index string) error {
	config := elasticsearch.Config{Addresses: []string{url}, CompressRequestBody: true}
	es, err := elasticsearch.NewClient(config)
	if err != nil {
		return err
	}
	answer := func(resp *esapi.Response, err error) (any, error) {
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		complain(resp.Header)
		return seen(resp.Body)
	}
	search := func(body string) (*esapi.Response, error) {
		return es.Search(es.Search.WithContext(ctx), es.Search.WithIndex(index), es.Search.WithBody(strings.NewReader(body)))
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
	if r.Searched["msearch"], err = answer(es.Msearch(strings.NewReader(several(index)), es.Msearch.WithContext(ctx))); err != nil {
		return fmt.Errorf("msearch: %w", err)
	}
	if err := typedElasticsearch(ctx, r, config, index); err != nil {
		return fmt.Errorf("typed: %w", err)
	}

	written := index + "-written-go"
	if _, err := answer(es.Indices.Delete([]string{written}, es.Indices.Delete.WithIgnoreUnavailable(true))); err != nil {
		return fmt.Errorf("deleting: %w", err)
	}
	bulk, err := esutil.NewBulkIndexer(esutil.BulkIndexerConfig{Client: es, Index: written, NumWorkers: 2, FlushBytes: 20_000, Refresh: "true"})
	if err != nil {
		return err
	}
	for n := range 1200 {
		if err := bulk.Add(ctx, esutil.BulkIndexerItem{Action: "index", DocumentID: fmt.Sprint(n), Body: strings.NewReader(fmt.Sprintf(`{"title":"tea %d"}`, n))}); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	if err := bulk.Close(ctx); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	stats := bulk.Stats()
	r.Passed["bulk"] = []uint64{stats.NumAdded, stats.NumFlushed, stats.NumFailed, stats.NumIndexed}
	if r.Passed["written"], err = answer(esapi.IndexRequest{Index: written, DocumentID: "one", Body: bytes.NewReader([]byte(`{"title":"tea"}`)), OpType: "create"}.Do(ctx, es)); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	delete(r.Passed["written"].(map[string]any), "_seq_no") // two workers race for them
	_, err = answer(es.Indices.Delete([]string{written}))
	return err
}

func typedElasticsearch(ctx context.Context, r *report, config elasticsearch.Config, index string) error {
	es, err := elasticsearch.NewTypedClient(config)
	if err != nil {
		return err
	}
	match := &types.Query{MultiMatch: &types.MultiMatchQuery{Query: words, Fields: []string{"title", "body"}}}
	category := "category"
	found, err := es.Search().Index(index).Query(match).Size(8).
		Aggregations(map[string]types.Aggregations{"categories": {Terms: &types.TermsAggregation{Field: &category}}}).
		Highlight(&types.Highlight{Fields: map[string]types.HighlightField{"title": {}}}).Do(ctx)
	if err != nil {
		return fmt.Errorf("searching: %w", err)
	}
	if r.Searched["typed"], err = shown(found); err != nil {
		return err
	}
	sorted, err := es.Search().Index(index).Query(match).Size(5).
		Sort(types.SortOptions{SortOptions: map[string]types.FieldSort{"price": {Order: &sortorder.Desc}}}).Do(ctx)
	if err != nil {
		return fmt.Errorf("sorting: %w", err)
	}
	if r.Passed["typed, sorted"], err = shown(sorted); err != nil {
		return err
	}
	size := 4
	together := es.Msearch()
	for _, q := range []*types.Query{match, {Match: map[string]types.MatchQuery{"title": {Query: "bicycle lock"}}}} {
		if err := together.AddSearch(types.MultisearchHeader{Index: []string{index}}, types.MultisearchBody{Query: q, Size: &size}); err != nil {
			return err
		}
	}
	answers, err := together.Do(ctx)
	if err != nil {
		return fmt.Errorf("several: %w", err)
	}
	if r.Searched["typed msearch"], err = shown(answers); err != nil {
		return err
	}

	page, err := es.Search().Index(index).Query(match).Size(30).Scroll("1m").Do(ctx)
	if err != nil {
		return fmt.Errorf("scrolling: %w", err)
	}
	scrolled, scroll := page.Hits.Hits, page.ScrollId_
	for len(scrolled)%30 == 0 {
		next, err := es.Scroll().ScrollId(*scroll).Scroll("1m").Do(ctx)
		if err != nil {
			return fmt.Errorf("scrolling: %w", err)
		}
		if len(next.Hits.Hits) == 0 {
			break
		}
		scrolled, scroll = slices.Concat(scrolled, next.Hits.Hits), next.ScrollId_
	}
	if r.Passed["typed scroll"], err = shown(scrolled); err != nil {
		return err
	}
	if _, err := es.ClearScroll().ScrollId(*scroll).Do(ctx); err != nil {
		return fmt.Errorf("ending the scroll: %w", err)
	}
	count, err := es.Count().Index(index).Query(match).Do(ctx)
	if err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	r.Passed["typed count"] = count.Count
	_, err = es.Search().Index("e2e-nowhere").Do(ctx)
	var refused *types.ElasticsearchError
	if !errors.As(err, &refused) {
		return fmt.Errorf("searching an index that is not there: got %v, want the client's own error", err)
	}
	r.Passed["typed, nowhere"], err = shown(refused)
	return err
}
