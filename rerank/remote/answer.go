package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rerankd/rerankd/rerank"
)

// maxText is what is sent of a text, in bytes. No cross-encoder reads more.
const maxText = 32 << 10

// ask sends one request and puts the documents' scores into their places.
func (s *Scorer) ask(ctx context.Context, query string, docs []string, scores []float32) error {
	s.count(func(stats *Stats) { stats.Running += len(docs) })
	defer s.count(func(stats *Stats) { stats.Running -= len(docs) })
	texts := make([]string, len(docs))
	for i, doc := range docs {
		texts[i] = cut(doc, maxText)
	}
	body, err := json.Marshal(s.dialect.request(s.model, cut(query, maxText), texts)) // invalid UTF-8 becomes U+FFFD
	if err != nil {
		return err
	}
	answer, err := s.send(ctx, body)
	if err != nil {
		return err
	}
	results, err := parse(answer)
	if err == nil {
		err = s.place(results, scores)
	}
	if err != nil {
		return &AnswerError{URL: s.url, Message: err.Error(), Answer: s.excerpt(answer)}
	}
	return nil
}

// send posts body and returns the body of an answer that says 200.
func (s *Scorer) send(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("asking %s: no answer within %v", s.url, s.timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "rerankd")
	if s.key != "" {
		req.Header.Set("Authorization", s.dialect.scheme+" "+s.key)
	}
	// Sent nowhere, it tells the transport that a request on a connection that the server has just closed may be sent again.
	req.Header["Idempotency-Key"] = nil
	res, err := s.client.Do(req)
	if err != nil {
		return nil, s.unanswered(ctx, err)
	}
	defer res.Body.Close()
	// What else there may be in an answer is the texts, each of their bytes escaped.
	limit := int64(1<<20 + 6*len(body))
	answer, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return nil, s.unanswered(ctx, err)
	case res.StatusCode != http.StatusOK:
		return nil, s.refused(res, answer)
	case int64(len(answer)) > limit:
		return nil, &AnswerError{URL: s.url, Message: fmt.Sprintf("it is longer than %d bytes", limit)}
	}
	return answer, nil
}

// unanswered says why no answer came. The URL stands in it once, and without what net/http adds.
func (s *Scorer) unanswered(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("asking %s: %w", s.url, err)
}

// The bounds of how long a server that says that it is busy is left alone.
const (
	shortPause = time.Second
	longPause  = 30 * time.Second
)

// refused makes an error of a status other than 200.
func (s *Scorer) refused(res *http.Response, body []byte) error {
	err := &StatusError{URL: s.url, Code: res.StatusCode, Message: s.excerpt(body)}
	switch {
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable:
		pause := retryAfter(res.Header.Get("Retry-After"), time.Now())
		s.pause.Store(time.Now().Add(pause).UnixNano())
		return fmt.Errorf("%w: %w", err, rerank.ErrBusy)
	case res.StatusCode/100 == 3:
		err.Message = "to " + res.Header.Get("Location")
	}
	return err
}

// retryAfter reads the header: seconds, or a date (RFC 9110, 10.2.3).
func retryAfter(value string, now time.Time) time.Duration {
	pause := shortPause
	if seconds, err := strconv.Atoi(value); err == nil {
		pause = time.Duration(min(max(seconds, 0), 3600)) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		pause = date.Sub(now)
	}
	return min(max(pause, shortPause), longPause)
}

// excerpt is the beginning of what a server said, on one line, for an error. A server may repeat the key that it refuses.
func (s *Scorer) excerpt(body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), 4<<10)]), "\ufffd")
	if s.key != "" {
		text = strings.ReplaceAll(text, s.key, "***")
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa0 }), " ")
	return cut(text, 200)
}

// A result is a document's score. Servers call it by one of two names.
type result struct {
	Index     *int     `json:"index"`
	Score     *float64 `json:"score"`
	Relevance *float64 `json:"relevance_score"`
}

// parse reads an answer. Each dialect has its results under another name, and nothing else under any of these.
func parse(answer []byte) ([]result, error) {
	if answer = bytes.TrimSpace(answer); len(answer) > 0 && answer[0] == '[' {
		var results []result
		err := json.Unmarshal(answer, &results)
		return results, err
	}
	var all struct {
		Results []result `json:"results"` // Cohere
		Data    []result `json:"data"`    // Voyage, Mixedbread
		Rerank  []result `json:"rerank"`  // Elasticsearch
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, err
	}
	return append(append(all.Results, all.Data...), all.Rerank...), nil
}

// place puts each document's score, as a logit, into its place, and refuses results that are not one for each.
func (s *Scorer) place(results []result, scores []float32) error {
	if len(results) != len(scores) {
		return fmt.Errorf("it has %d results for %d documents", len(results), len(scores))
	}
	seen := make([]bool, len(scores))
	for _, r := range results {
		score := r.Relevance
		if score == nil {
			score = r.Score
		}
		switch {
		case r.Index == nil || score == nil:
			return errors.New("a result lacks its index or score")
		case *r.Index < 0 || *r.Index >= len(scores):
			return fmt.Errorf("it has a result for document %d of %d", *r.Index, len(scores))
		case seen[*r.Index]:
			return fmt.Errorf("it has two results for document %d", *r.Index)
		case s.scores == Probabilities && (*score < 0 || *score > 1):
			return fmt.Errorf("the score %v is no probability (such servers are for scores: %s)", *score, Logits)
		}
		logit := float32(*score)
		if s.scores == Probabilities {
			logit = logitOf(*score)
		}
		if math.IsInf(float64(logit), 0) {
			return fmt.Errorf("the score %v is out of range", *score)
		}
		seen[*r.Index], scores[*r.Index] = true, logit
	}
	return nil
}

// logitOf undoes a sigmoid. Nearer to 0 or 1 than a float32 comes to 1 there is nothing to be told apart.
func logitOf(p float64) float32 {
	const least = 1. / (1 << 24)
	p = min(max(p, least), 1-least)
	return float32(math.Log(p / (1 - p)))
}

// cut shortens s to n bytes, and to whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
