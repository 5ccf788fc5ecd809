package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Client talks to a cluster, or to rerankd in front of it, as any application would: plain HTTP and JSON.
type Client struct {
	URL string // with the user and the password in it, where the cluster asks for them
}

// A Hit is one package that a search found.
type Hit struct {
	Name    string
	Summary string
	Score   float64
}

// A Result is the answer to one search.
type Result struct {
	Hits   []Hit
	Total  int
	Rerank string        // the header X-Rerank: what rerankd did and why; "" from a cluster
	Time   time.Duration // from the request to the last byte of the answer
}

// Search is the body of a search for the first size packages that answer the text. It is the query that a careful application would write:
// on this corpus, of the engine's ways to search several fields, the one that ranks best by itself.
func Search(text string, size int) []byte {
	body, err := json.Marshal(map[string]any{
		"query": map[string]any{"multi_match": map[string]any{
			"query":  text,
			"fields": []string{"name", "summary", "description"},
			"type":   "cross_fields",
		}},
		"_source": []string{"name", "summary"},
		"size":    size,
	})
	if err != nil {
		panic(err) // strings and numbers only
	}
	return body
}

// Search asks the index for the first size packages that answer the text.
func (c Client) Search(ctx context.Context, index, text string, size int) (Result, error) {
	begun := time.Now()
	header, answer, err := c.call(ctx, http.MethodPost, "/"+index+"/_search", "application/json", Search(text, size))
	if err != nil {
		return Result{}, err
	}
	result := Result{Rerank: header.Get("X-Rerank"), Time: time.Since(begun)}
	var page struct {
		Hits struct {
			Total struct{ Value int }
			Hits  []struct {
				Score  float64                        `json:"_score"`
				Source struct{ Name, Summary string } `json:"_source"`
			}
		}
	}
	if err := json.Unmarshal(answer, &page); err != nil {
		return Result{}, fmt.Errorf("reading the answer to %q: %w", text, err)
	}
	result.Total = page.Hits.Total.Value
	for _, h := range page.Hits.Hits {
		result.Hits = append(result.Hits, Hit{Name: h.Source.Name, Summary: h.Source.Summary, Score: h.Score})
	}
	return result, nil
}

// A statusError is an answer that is no success.
type statusError struct {
	Code   int
	Status string
	Body   string
}

func (e *statusError) Error() string { return e.Status + ": " + e.Body }

func isStatus(err error, code int) bool {
	var s *statusError
	return errors.As(err, &s) && s.Code == code
}

func (c Client) call(ctx context.Context, method, path, contentType string, body []byte) (http.Header, []byte, error) {
	base, err := url.Parse(c.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the cluster's URL: %w", err)
	}
	user := base.User
	base.User = nil
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base.String(), "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		const enough = 400
		return nil, nil, fmt.Errorf("%s %s: %w", method, path, &statusError{resp.StatusCode, resp.Status, string(answer[:min(len(answer), enough)])})
	}
	return resp.Header, answer, nil
}
