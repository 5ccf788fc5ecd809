package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// An answered is what came of one search over HTTP.
type answered struct {
	took   time.Duration // from the request's first byte to the answer's last
	said   string        // X-Rerank
	timing string        // Server-Timing
	ids    []string      // of the page's hits, in its order
	scores []float64     // likewise
}

var saysScored = regexp.MustCompile(`; scored=(\d+)`)

// scored is how many documents a model judged for it.
func (a answered) scored() int {
	n := 0
	for _, match := range saysScored.FindAllStringSubmatch(a.said, -1) {
		one, _ := strconv.Atoi(match[1])
		n += one
	}
	return n
}

// reason is why it was not reranked, or "applied".
func (a answered) reason() string {
	if reason, skipped := strings.CutPrefix(a.said, "skipped; reason="); skipped {
		return reason
	}
	what, _, _ := strings.Cut(a.said, ";")
	return what
}

// ask sends one search for a page of the given size. Where from is not 0, the page begins there.
func ask(ctx context.Context, client *http.Client, url, query string, from, size int) (answered, error) {
	body := fmt.Sprintf(`{"from":%d,"size":%d,"query":{"match":{"text":%q}}}`, from, size, query)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/bench/_search", strings.NewReader(body))
	if err != nil {
		return answered{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	a := answered{took: time.Since(began), said: resp.Header.Get("X-Rerank"), timing: resp.Header.Get("Server-Timing")}
	if err != nil {
		return a, err
	}
	if resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("a search was answered %s: %.200s", resp.Status, data)
	}
	var page struct {
		Hits struct {
			Hits []struct {
				ID    string  `json:"_id"`
				Score float64 `json:"_score"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return a, fmt.Errorf("reading the page: %w", err)
	}
	for _, hit := range page.Hits.Hits {
		a.ids, a.scores = append(a.ids, hit.ID), append(a.scores, hit.Score)
	}
	return a, nil
}

// inOrder returns the score of each of n hits in the cluster's own order. All must have been judged.
func (a answered) inOrder(n int) ([]float64, error) {
	if a.reason() != "applied" || a.scored() != n || len(a.ids) != n {
		return nil, fmt.Errorf("%d hits, X-Rerank: %s; want %d, applied, all scored", len(a.ids), a.said, n)
	}
	scores := make([]float64, n)
	for k, id := range a.ids {
		i, err := strconv.Atoi(id)
		if err != nil || i < 0 || i >= n {
			return nil, fmt.Errorf("a hit %q that the cluster did not have", id)
		}
		scores[i] = a.scores[k]
	}
	return scores, nil
}
