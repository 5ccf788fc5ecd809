// Command client does with the official Go clients what an application does: it asks who the cluster is, writes, searches, pages, and meets
// errors. It prints what it got as JSON, so that a test can compare two runs that differ in the URL alone.
//
//	client elasticsearch|opensearch URL INDEX
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types"
	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"
)

// A report is what the client saw.
type report struct {
	Searches [][]string `json:"searches"` // the ids of each search, in order
	Rerank   []string   `json:"rerank"`   // X-Rerank of each search whose headers the client shows
	Count    int        `json:"count"`
	Missing  int        `json:"missing"` // status of a search of an index that is not there
	Written  string     `json:"written"` // what came of writing a document
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: client elasticsearch|opensearch URL INDEX")
		os.Exit(2)
	}
	run := map[string]func(context.Context, string, string) (*report, error){"elasticsearch": runElasticsearch, "opensearch": runOpenSearch}[os.Args[1]]
	r, err := run(context.Background(), os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(r)
}

const words = "warm and waterproof jacket for the mountains"

func search(from int) []byte {
	return fmt.Appendf(nil, `{"query":{"multi_match":{"query":%q,"fields":["title","body"]}},"from":%d,"size":10}`, words, from)
}

// A page is as much of a search response as the report needs.
type page struct {
	Hits struct {
		Hits []struct {
			ID string `json:"_id"`
		}
	}
}

func ids(body io.Reader) ([]string, error) {
	var p page
	if err := json.NewDecoder(body).Decode(&p); err != nil {
		return nil, err
	}
	var ids []string
	for _, h := range p.Hits.Hits {
		ids = append(ids, h.ID)
	}
	return ids, nil
}

func runElasticsearch(ctx context.Context, url, index string) (*report, error) {
	config := elasticsearch.Config{Addresses: []string{url}, CompressRequestBody: true}
	es, err := elasticsearch.NewClient(config)
	if err != nil {
		return nil, err
	}
	r := &report{}
	for _, from := range []int{0, 10} {
		// The product check is here: the client refuses an answer that does not carry Elastic's header.
		resp, err := es.Search(es.Search.WithContext(ctx), es.Search.WithIndex(index), es.Search.WithBody(bytes.NewReader(search(from))))
		if err != nil {
			return nil, fmt.Errorf("searching: %w", err)
		}
		found, err := ids(resp.Body)
		resp.Body.Close()
		if err = errors.Join(err, refusal(resp)); err != nil {
			return nil, fmt.Errorf("searching: %w", err)
		}
		r.Searches = append(r.Searches, found)
		r.Rerank = append(r.Rerank, resp.Header.Get("X-Rerank"))
	}

	typed, err := elasticsearch.NewTypedClient(config)
	if err != nil {
		return nil, err
	}
	size := 10
	result, err := typed.Search().Index(index).Query(&types.Query{MultiMatch: &types.MultiMatchQuery{Query: words, Fields: []string{"title", "body"}}}).Size(size).Do(ctx)
	if err != nil {
		return nil, fmt.Errorf("searching with the typed client: %w", err)
	}
	var found []string
	for _, h := range result.Hits.Hits {
		found = append(found, *h.Id_)
	}
	r.Searches = append(r.Searches, found)

	count, err := typed.Count().Index(index).Do(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting: %w", err)
	}
	r.Count = int(count.Count)
	_, err = typed.Search().Index("e2e-nowhere").Do(ctx)
	var refused *types.ElasticsearchError
	if !errors.As(err, &refused) {
		return nil, fmt.Errorf("searching an index that is not there: got %v, want the client's own error", err)
	}
	r.Missing = refused.Status

	written, err := esapi.IndexRequest{Index: index + "-written", DocumentID: "1", Body: bytes.NewReader([]byte(`{"title":"tea"}`)), Refresh: "true"}.Do(ctx, es)
	if err != nil {
		return nil, fmt.Errorf("writing: %w", err)
	}
	written.Body.Close()
	r.Written = http.StatusText(written.StatusCode)
	deleted, err := esapi.IndicesDeleteRequest{Index: []string{index + "-written"}}.Do(ctx, es)
	if err != nil {
		return nil, fmt.Errorf("deleting: %w", err)
	}
	return r, deleted.Body.Close()
}

func refusal(resp *esapi.Response) error {
	if resp.IsError() {
		return errors.New(resp.Status())
	}
	return nil
}

func runOpenSearch(ctx context.Context, url, index string) (*report, error) {
	client, err := opensearchapi.NewClient(opensearchapi.Config{Client: opensearch.Config{Addresses: []string{url}, CompressRequestBody: true}})
	if err != nil {
		return nil, err
	}
	r := &report{}
	if _, err := client.Info(ctx, nil); err != nil {
		return nil, fmt.Errorf("asking who is there: %w", err)
	}
	for _, from := range []int{0, 10} {
		result, err := client.Search(ctx, &opensearchapi.SearchReq{Indices: []string{index}, Body: bytes.NewReader(search(from))})
		if err != nil {
			return nil, fmt.Errorf("searching: %w", err)
		}
		var found []string
		for _, h := range result.Hits.Hits {
			found = append(found, h.ID)
		}
		r.Searches = append(r.Searches, found)
		r.Rerank = append(r.Rerank, result.Inspect().Response.Header.Get("X-Rerank"))
	}
	count, err := client.Indices.Count(ctx, &opensearchapi.IndicesCountReq{Indices: []string{index}})
	if err != nil {
		return nil, fmt.Errorf("counting: %w", err)
	}
	r.Count = count.Count
	_, err = client.Search(ctx, &opensearchapi.SearchReq{Indices: []string{"e2e-nowhere"}})
	var refused *opensearch.StructError
	if !errors.As(err, &refused) {
		return nil, fmt.Errorf("searching an index that is not there: got %v, want the client's own error", err)
	}
	r.Missing = refused.Status
	written, err := client.Index(ctx, opensearchapi.IndexReq{Index: index + "-written", DocumentID: "1", Body: bytes.NewReader([]byte(`{"title":"tea"}`)), Params: opensearchapi.IndexParams{Refresh: "true"}})
	if err != nil {
		return nil, fmt.Errorf("writing: %w", err)
	}
	r.Written = http.StatusText(written.Inspect().Response.StatusCode)
	if _, err := client.Indices.Delete(ctx, opensearchapi.IndicesDeleteReq{Indices: []string{index + "-written"}}); err != nil {
		return nil, fmt.Errorf("deleting: %w", err)
	}
	return r, nil
}
