package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"
	"github.com/opensearch-project/opensearch-go/v4/opensearchutil"
)

// runOpenSearch: opensearch-go 4, whose answers are typed, and its opensearchutil.
func runOpenSearch(ctx context.Context, r *report, url, index string) error {
	client, err := opensearchapi.NewClient(opensearchapi.Config{Client: opensearch.Config{Addresses: []string{url}, CompressRequestBody: true}})
	if err != nil {
		return err
	}
	info, err := client.Info(ctx, nil)
	if err != nil {
		return fmt.Errorf("asking who is there: %w", err)
	}
	if r.Passed["info"], err = shown(info); err != nil {
		return err
	}
	search := func(body string, params opensearchapi.SearchParams) (*opensearchapi.SearchResp, any, error) {
		resp, err := client.Search(ctx, &opensearchapi.SearchReq{Indices: []string{index}, Body: strings.NewReader(body), Params: params})
		if err != nil {
			return nil, nil, err
		}
		complain(resp.Inspect().Response.Header)
		s, err := shown(resp)
		return resp, s, err
	}
	for _, from := range []int{0, 10, 20, 30} {
		resp, p, err := search(page(from), opensearchapi.SearchParams{})
		if err != nil {
			return fmt.Errorf("page from %d: %w", from, err)
		}
		r.Pages = append(r.Pages, p)
		r.Rerank = append(r.Rerank, resp.Inspect().Response.Header.Get("X-Rerank"))
	}
	for name, body := range shapes {
		if _, r.Searched[name], err = search(body, opensearchapi.SearchParams{}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, body := range untouched {
		if _, r.Passed[name], err = search(body, opensearchapi.SearchParams{}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	together, err := client.MSearch(ctx, opensearchapi.MSearchReq{Body: strings.NewReader(several(index))})
	if err != nil {
		return fmt.Errorf("msearch: %w", err)
	}
	if r.Searched["msearch"], err = shown(together); err != nil {
		return err
	}

	resp, _, err := search(`{`+query+`,"size":30}`, opensearchapi.SearchParams{Scroll: time.Minute})
	if err != nil {
		return fmt.Errorf("scrolling: %w", err)
	}
	scrolled, scroll := resp.Hits.Hits, *resp.ScrollID
	for {
		next, err := client.Scroll.Get(ctx, opensearchapi.ScrollGetReq{ScrollID: scroll, Params: opensearchapi.ScrollGetParams{Scroll: time.Minute}})
		if err != nil {
			return fmt.Errorf("scrolling: %w", err)
		}
		if len(next.Hits.Hits) == 0 {
			break
		}
		scrolled, scroll = slices.Concat(scrolled, next.Hits.Hits), *next.ScrollID
	}
	if r.Passed["scroll"], err = shown(scrolled); err != nil {
		return err
	}
	if _, err := client.Scroll.Delete(ctx, opensearchapi.ScrollDeleteReq{ScrollIDs: []string{scroll}}); err != nil {
		return fmt.Errorf("ending the scroll: %w", err)
	}
	count, err := client.Indices.Count(ctx, &opensearchapi.IndicesCountReq{Indices: []string{index}})
	if err != nil {
		return fmt.Errorf("counting: %w", err)
	}
	r.Passed["count"] = count.Count
	_, err = client.Search(ctx, &opensearchapi.SearchReq{Indices: []string{"e2e-nowhere"}})
	var refused *opensearch.StructError
	if !errors.As(err, &refused) {
		return fmt.Errorf("searching an index that is not there: got %v, want the client's own error", err)
	}
	if r.Passed["nowhere"], err = shown(refused); err != nil {
		return err
	}

	written := index + "-written-go"
	bulk, err := opensearchutil.NewBulkIndexer(opensearchutil.BulkIndexerConfig{Client: client, Index: written, NumWorkers: 2, FlushBytes: 20_000, Refresh: "true"})
	if err != nil {
		return err
	}
	for n := range 1200 {
		if err := bulk.Add(ctx, opensearchutil.BulkIndexerItem{Action: "index", DocumentID: fmt.Sprint(n), Body: strings.NewReader(fmt.Sprintf(`{"title":"tea %d"}`, n))}); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	if err := bulk.Close(ctx); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	stats := bulk.Stats()
	r.Passed["bulk"] = []uint64{stats.NumAdded, stats.NumFlushed, stats.NumFailed, stats.NumIndexed}
	if _, err := client.Indices.Delete(ctx, opensearchapi.IndicesDeleteReq{Indices: []string{written}}); err != nil {
		return fmt.Errorf("deleting: %w", err)
	}
	return nil
}
