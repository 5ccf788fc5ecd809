package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const bulkSize = 1000 // documents a request: about half a megabyte of package descriptions

// Index brings the corpus into the index, calling done with the number of documents after each part. It does nothing where the index holds
// the same corpus already (false), replaces an older one of its own making, and refuses an index that it did not make.
func (c Client) Index(ctx context.Context, index string, corpus *Corpus, done func(documents int)) (bool, error) {
	switch held, err := c.corpusOf(ctx, index); {
	case err != nil:
		return false, err
	case held == corpus.Digest:
		return false, nil
	case held != "":
		if _, _, err := c.call(ctx, http.MethodDelete, "/"+index, "", nil); err != nil {
			return false, fmt.Errorf("replacing index %q: %w", index, err)
		}
	}
	if err := c.createIndex(ctx, index); err != nil {
		return false, fmt.Errorf("creating index %q: %w", index, err)
	}
	for part := range slices.Chunk(corpus.Documents, bulkSize) {
		if err := c.bulk(ctx, index, part); err != nil {
			return false, fmt.Errorf("indexing into %q: %w", index, err)
		}
		done(len(part))
	}
	if _, _, err := c.call(ctx, http.MethodPut, "/"+index+"/_settings", "application/json", []byte(`{"index":{"refresh_interval":"1s"}}`)); err != nil {
		return false, fmt.Errorf("opening index %q: %w", index, err)
	}
	if _, _, err := c.call(ctx, http.MethodPost, "/"+index+"/_refresh", "", nil); err != nil {
		return false, fmt.Errorf("refreshing index %q: %w", index, err)
	}
	// Last of all, so that an index that was filled in part is never taken for a whole one.
	if err := c.mark(ctx, index, corpus.Digest); err != nil {
		return false, fmt.Errorf("marking index %q as complete: %w", index, err)
	}
	return true, nil
}

// The mapping's _meta says what an index of ours holds: the digest of its corpus, or that it is incomplete.
const incomplete = "incomplete"

type meta struct {
	Corpus string `json:"rerankd_demo_corpus"`
}

// corpusOf returns the digest of the corpus that the index holds; "" where there is no such index.
func (c Client) corpusOf(ctx context.Context, index string) (string, error) {
	_, answer, err := c.call(ctx, http.MethodGet, "/"+index+"/_mapping", "", nil)
	if isStatus(err, http.StatusNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for index %q: %w", index, err)
	}
	var mappings map[string]struct {
		Mappings struct {
			Meta meta `json:"_meta"`
		}
	}
	if err := json.Unmarshal(answer, &mappings); err != nil {
		return "", fmt.Errorf("reading the mapping of %q: %w", index, err)
	}
	held := mappings[index].Mappings.Meta.Corpus
	if held == "" {
		return "", obstacle{fmt.Sprintf("the cluster has an index %q that is not the demonstration's", index), "choose another name with --index"}
	}
	return held, nil
}

func (c Client) mark(ctx context.Context, index, corpus string) error {
	body, err := json.Marshal(map[string]meta{"_meta": {Corpus: corpus}})
	if err != nil {
		return err
	}
	_, _, err = c.call(ctx, http.MethodPut, "/"+index+"/_mapping", "application/json", body)
	return err
}

// createIndex takes the English analyzer, so that the cluster's own ranking is a fair one. A few stripped distributions have none.
func (c Client) createIndex(ctx context.Context, index string) error {
	err := c.createIndexWith(ctx, index, "english")
	if isStatus(err, http.StatusBadRequest) && strings.Contains(err.Error(), "analyzer [english]") {
		err = c.createIndexWith(ctx, index, "standard")
	}
	return err
}

func (c Client) createIndexWith(ctx context.Context, index, analyzer string) error {
	text := map[string]any{"type": "text", "analyzer": analyzer}
	keyword := map[string]any{"type": "keyword"}
	body, err := json.Marshal(map[string]any{
		"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
		"mappings": map[string]any{
			"_meta": meta{Corpus: incomplete},
			"properties": map[string]any{
				"name": text, "summary": text, "description": text,
				"section": keyword, "source": keyword, "homepage": keyword,
				"size": map[string]any{"type": "long"},
			},
		},
	})
	if err != nil {
		return err
	}
	_, _, err = c.call(ctx, http.MethodPut, "/"+index, "application/json", body)
	return err
}

func (c Client) bulk(ctx context.Context, index string, documents []Document) error {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, d := range documents {
		d.Queries = nil // the answers are not to be indexed with the questions
		if err := lines.Encode(map[string]any{"index": map[string]any{"_id": d.Name}}); err != nil {
			return err
		}
		if err := lines.Encode(d); err != nil {
			return err
		}
	}
	_, answer, err := c.call(ctx, http.MethodPost, "/"+index+"/_bulk?filter_path=errors,items.*.error.reason", "application/x-ndjson", body.Bytes())
	if err != nil {
		return err
	}
	var result struct{ Errors bool }
	if err := json.Unmarshal(answer, &result); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if result.Errors {
		const enough = 400
		return fmt.Errorf("some documents were refused: %s", answer[:min(len(answer), enough)])
	}
	return nil
}
