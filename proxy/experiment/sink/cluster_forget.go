package sink

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// ForgetInCluster deletes from a cluster's indices, "" for UBI's usual names, what one client did: its queries, its events, and every event
// under a query id of its. Where ids were hashed, salt is what they were hashed with. It returns how many documents are gone.
func ForgetInCluster(ctx context.Context, at *url.URL, transport http.RoundTripper, queries, events, id string, salt []byte) (deleted int, err error) {
	if id == "" {
		return 0, errors.New("forgetting: no client is named")
	}
	c := client{at, transport, time.Minute}
	queries, events = cmp.Or(queries, QueriesIndex), cmp.Or(events, EventsIndex)
	ids := []string{id}
	if len(salt) > 0 {
		ids = append(ids, Privacy{Clients: Hashed, Salt: salt}.client(id))
	}
	// Queries go last: as long as they are there, what hangs on them is found again by another try.
	for {
		found, err := c.queryIDs(ctx, queries, ids)
		if err != nil {
			return deleted, err
		}
		if len(found) > 0 {
			n, err := c.deleteBy(ctx, events, "query_id", found)
			if deleted += n; err != nil {
				return deleted, err
			}
			n, err = c.deleteBy(ctx, queries, "query_id", found)
			if deleted += n; err != nil {
				return deleted, err
			}
			if n > 0 {
				continue
			}
		}
		for _, index := range []string{events, queries} {
			n, err := c.deleteBy(ctx, index, "client_id", ids)
			if deleted += n; err != nil {
				return deleted, err
			}
		}
		return deleted, nil
	}
}

// queryIDs finds some of the client's query ids.
func (c client) queryIDs(ctx context.Context, index string, ids []string) ([]string, error) {
	query, err := json.Marshal(map[string]any{"size": 1000, "_source": []string{"query_id"}, "query": map[string]any{"terms": map[string]any{"client_id": ids}}})
	if err != nil {
		return nil, err
	}
	var said struct {
		Hits struct {
			Hits []struct {
				Source struct {
					QueryID string `json:"query_id"`
				} `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := c.ask(ctx, http.MethodPost, "/"+index+"/_search", "ignore_unavailable=true&filter_path=hits.hits._source", query, &said); err != nil {
		return nil, fmt.Errorf("searching %s: %w", index, err)
	}
	var found []string
	for _, hit := range said.Hits.Hits {
		if hit.Source.QueryID != "" {
			found = append(found, hit.Source.QueryID)
		}
	}
	return found, nil
}

func (c client) deleteBy(ctx context.Context, index, field string, values []string) (int, error) {
	query, err := json.Marshal(map[string]any{"query": map[string]any{"terms": map[string]any{field: values}}})
	if err != nil {
		return 0, err
	}
	var said struct {
		Deleted  int               `json:"deleted"`
		Failures []json.RawMessage `json:"failures"`
	}
	err = c.ask(ctx, http.MethodPost, "/"+index+"/_delete_by_query", "conflicts=proceed&refresh=true&ignore_unavailable=true", query, &said)
	if err == nil && len(said.Failures) > 0 {
		err = fmt.Errorf("%d failures, the first: %s", len(said.Failures), bounded(said.Failures[0]))
	}
	if err != nil {
		return said.Deleted, fmt.Errorf("deleting from %s by %s: %w", index, field, err)
	}
	return said.Deleted, nil
}
