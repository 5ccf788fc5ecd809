package proxy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

// Model is a cross-encoder by itself, under the id of an inference endpoint: POST /_inference/rerank/{id} is answered by it, and a
// search's text_similarity_reranker with that inference_id is run by it. The id "*" stands for every id in such a search.
type Model struct {
	Stage   rerank.Stage // of the model, over any number of documents
	Version string       // digest of the model: orders are remembered under it
}

// inferring is one request to an inference endpoint that we answer for. In shape, and in what it refuses with which words, it is
// Elasticsearch's: the parse errors were read off 8.14.1, those of validation off its source. Its relevance scores are the sigmoid of the
// model's logits.
type inferring struct {
	*exchange
	model Model

	query     string
	inputs    []string
	documents bool // whether to give the texts back
	top       int  // results at most; 0: all
	timeout   time.Duration
}

const (
	inferenceTimeout = 30 * time.Second // Elasticsearch's own default
	maxInputs        = 10_000           // documents in one request
)

func (x *exchange) infer(m Model) (*http.Response, error) {
	i := &inferring{exchange: x, model: m, documents: true, timeout: inferenceTimeout}
	body := &record{} // notes why the body was not read; nothing else is told of it, as this is no search
	x.searches = append(x.searches, body)
	if err := x.read(); err != nil {
		return nil, err
	}
	switch body.reason {
	case search.Busy:
		return failure{http.StatusTooManyRequests, "es_rejected_execution_exception", "no memory left for bodies"}.response(x.req), nil
	case search.Format:
		return failure{http.StatusBadRequest, "parse_exception", "the request's body cannot be decoded"}.response(x.req), nil
	case search.TooLarge:
		return failure{http.StatusRequestEntityTooLarge, "content_too_long_exception", "the request's body is larger than limits.request allows"}.response(x.req), nil
	}
	// Who may not enter the cluster may not use its place either.
	if refusal, err := x.enter(); refusal != nil || err != nil {
		return refusal, err
	}
	if f := i.parse(); f.status != 0 {
		return f.response(x.req), nil
	}
	start := time.Now()
	results, f := i.rank()
	if f.status != 0 {
		return f.response(x.req), nil
	}
	answer, err := json.Marshal(map[string][]result{"rerank": results})
	if err != nil {
		return nil, fmt.Errorf("writing the results: %w", err)
	}
	res := answerOf(x.req, http.StatusOK, answer)
	res.Header.Set(headerRerank, fmt.Sprintf("applied; model=%s; window=%d; scored=%d; ms=%d",
		quoted(m.Stage.Model), len(i.inputs), len(i.inputs), time.Since(start).Milliseconds()))
	x.handler.metrics.scored.WithLabelValues(m.Stage.Model).Add(float64(len(i.inputs)))
	return res, nil
}

// enter asks the cluster whether it lets the client in, and keeps a yes for a minute. What the cluster says to who is refused is what the
// client gets to see.
func (x *exchange) enter() (refusal *http.Response, err error) {
	headers, principal := credentials(x.req.Header)
	if _, ok := x.live.entered.get(principal); ok {
		return nil, nil
	}
	// Both are open to everyone who can log in, whatever else they may do. A cluster without security knows neither, and says 400, 404 or
	// 405, which is a yes.
	path := "/_security/_authenticate"
	if x.live.OpenSearch != nil && x.live.OpenSearch() {
		path = "/_plugins/_security/authinfo"
	}
	req := (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}, Header: headers.Clone(), Body: http.NoBody}).WithContext(x.call.ctx)
	res, err := x.live.Upstream.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed:
	default: // perhaps another gate's, on the way to the cluster
		return res, nil
	}
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	res.Body.Close()
	x.live.entered.keep(principal, struct{}{})
	return nil, nil
}

// parse reads the request. The zero failure means that it is well.
func (i *inferring) parse() failure {
	if f := i.parseURL(); f.status != 0 {
		return f
	}
	if len(bytes.TrimSpace(i.body)) == 0 {
		return failure{http.StatusBadRequest, "parse_exception", "request body is required"}
	}
	unparsed := func(format string, args ...any) failure {
		return failure{http.StatusBadRequest, "x_content_parse_exception", fmt.Sprintf(format, args...)}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(i.body, &members); err != nil {
		return unparsed("[cluster:monitor/xpack/inference] %v", err)
	}
	type options struct {
		Documents *bool `json:"return_documents"`
		Top       *int  `json:"top_n"`
	}
	var own, settings options // the request's own come before those of its settings
	var query, input json.RawMessage
	for name, raw := range members {
		var err error
		switch name {
		case "query":
			query = raw
			if err = json.Unmarshal(raw, &i.query); err != nil {
				return unparsed("[cluster:monitor/xpack/inference] query doesn't support values of type: %s", tokenOf(raw))
			}
		case "input":
			input = raw
		case "return_documents":
			err = json.Unmarshal(raw, &own.Documents)
		case "top_n":
			err = json.Unmarshal(raw, &own.Top)
		case "task_settings":
			err = json.Unmarshal(raw, &settings)
		default:
			return unparsed("[cluster:monitor/xpack/inference] unknown field [%s]", name)
		}
		if err != nil {
			return unparsed("[cluster:monitor/xpack/inference] failed to parse field [%s]", name)
		}
	}
	invalid := func(reason string) failure {
		return failure{http.StatusBadRequest, "action_request_validation_exception", "Validation Failed: 1: " + reason + ";"}
	}
	top := cmp.Or(own.Top, settings.Top)
	switch {
	case input == nil || tokenOf(input) == "VALUE_NULL":
		return invalid("Field [input] cannot be null")
	case query == nil:
		return invalid("Field [query] cannot be null for task type [rerank]")
	case i.query == "":
		return invalid("Field [query] cannot be empty for task type [rerank]")
	case top != nil && *top <= 0:
		return invalid("Field [top_n] must be a positive integer")
	}
	if documents := cmp.Or(own.Documents, settings.Documents); documents != nil {
		i.documents = *documents
	}
	if top != nil {
		i.top = *top
	}
	var ok bool
	if i.inputs, ok = textsOf(input); !ok {
		return unparsed("[cluster:monitor/xpack/inference] input doesn't support values of type: %s", tokenOf(input))
	}
	switch {
	case len(i.inputs) == 0:
		return invalid("Field [input] cannot be an empty array")
	case len(i.inputs) > maxInputs:
		return invalid(fmt.Sprintf("Field [input] has %d texts, more than %d", len(i.inputs), maxInputs))
	}
	return failure{}
}

func (i *inferring) parseURL() failure {
	values, err := url.ParseQuery(i.req.URL.RawQuery)
	if err != nil {
		return failure{http.StatusBadRequest, "illegal_argument_exception", "the query string cannot be read"}
	}
	for name, value := range values {
		switch name {
		case "timeout":
			d, err := time.ParseDuration(value[len(value)-1])
			if err != nil || d <= 0 {
				return failure{http.StatusBadRequest, "illegal_argument_exception",
					fmt.Sprintf("failed to parse setting [timeout] with value [%s] as a time value: unit is missing or unrecognized", value[len(value)-1])}
			}
			i.timeout = min(d, time.Hour)
		case "pretty", "human", "error_trace":
		default:
			return failure{http.StatusBadRequest, "illegal_argument_exception",
				fmt.Sprintf("request [%s] contains unrecognized parameter: [%s]", i.req.URL.Path, name)}
		}
	}
	return failure{}
}

// textsOf reads one text or a list of them. Numbers and booleans are taken as they are spelled.
func textsOf(raw json.RawMessage) ([]string, bool) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
		if tokenOf(raw) != "VALUE_STRING" {
			return nil, false
		}
	}
	texts := make([]string, len(list))
	for i, raw := range list {
		switch tokenOf(raw) {
		case "VALUE_STRING":
			if json.Unmarshal(raw, &texts[i]) != nil {
				return nil, false
			}
		case "VALUE_NUMBER", "VALUE_BOOLEAN":
			texts[i] = string(bytes.TrimSpace(raw))
		default:
			return nil, false
		}
	}
	return texts, true
}

// tokenOf names the kind of a JSON value as Elasticsearch's parser does.
func tokenOf(raw json.RawMessage) string {
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0 || raw[0] == 'n':
		return "VALUE_NULL"
	case raw[0] == '"':
		return "VALUE_STRING"
	case raw[0] == '{':
		return "START_OBJECT"
	case raw[0] == '[':
		return "START_ARRAY"
	case raw[0] == 't' || raw[0] == 'f':
		return "VALUE_BOOLEAN"
	}
	return "VALUE_NUMBER"
}

// A result is one text of the request with its score.
type result struct {
	Index int      `json:"index"`
	Score relevant `json:"relevance_score"`
	Text  *string  `json:"text,omitempty"`
}

// relevant is written with the digits of a float32, which is what the model gives.
type relevant float64

func (r relevant) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(r), 'g', -1, 32), nil
}

// rank scores all texts, best first; of equal ones the first comes first.
func (i *inferring) rank() ([]result, failure) {
	ctx, cancel := context.WithTimeout(i.call.ctx, i.timeout)
	defer cancel()
	logits, err := i.score(ctx)
	switch {
	case errors.Is(err, rerank.ErrBusy):
		return nil, failure{http.StatusTooManyRequests, "es_rejected_execution_exception", fmt.Sprintf("the queue of model [%s] is full", i.model.Stage.Model)}
	case errors.Is(err, rerank.ErrLanguage):
		return nil, failure{http.StatusBadRequest, "status_exception", fmt.Sprintf("model [%s] was not made for the language of these texts", i.model.Stage.Model)}
	case err == nil && len(logits) == len(i.inputs):
	case err == nil || ctx.Err() != nil:
		return nil, failure{http.StatusRequestTimeout, "status_exception", fmt.Sprintf("Request timed out after [%s], %d of %d texts scored", i.timeout, len(logits), len(i.inputs))}
	default:
		i.handler.log.Warn("inference failed", "model", i.model.Stage.Model, "error", err)
		return nil, failure{http.StatusInternalServerError, "status_exception", fmt.Sprintf("model [%s] failed", i.model.Stage.Model)}
	}
	results := make([]result, len(logits))
	for k, logit := range logits {
		results[k] = result{Index: k, Score: relevant(1 / (1 + math.Exp(-float64(logit))))}
		if i.documents {
			results[k].Text = &i.inputs[k]
		}
	}
	// By the logits: where the sigmoid has run out of digits, they still tell.
	slices.SortStableFunc(results, func(a, b result) int { return cmp.Compare(logits[b.Index], logits[a.Index]) })
	if i.top > 0 && i.top < len(results) {
		results = results[:i.top]
	}
	return results, failure{}
}

// score calls the model where it can neither break the request nor hold it up.
func (i *inferring) score(ctx context.Context) ([]float32, error) {
	if i.live.stuck.Load() >= maxStuck {
		return nil, rerank.ErrBusy
	}
	type scored struct {
		logits []float32
		err    error
	}
	query, inputs, scorer := i.query, i.inputs, i.model.Stage.Scorer
	s, ok := within(ctx, i.live, func() (s scored) {
		defer func() {
			if v := recover(); v != nil {
				s.err = fmt.Errorf("panic: %v", v)
			}
		}()
		s.logits, s.err = scorer.Score(ctx, query, inputs)
		return s
	})
	if !ok {
		return nil, ctx.Err()
	}
	if s.err != nil {
		return nil, s.err
	}
	for _, logit := range s.logits {
		if f := float64(logit); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("a score is %v", logit)
		}
	}
	return s.logits, nil
}

// answerOf is a response of our own in the cluster's place.
func answerOf(req *http.Request, status int, body []byte) *http.Response {
	h := http.Header{}
	h.Set("Content-Type", versioned("application/json", req.Header))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Elastic-Product", "Elasticsearch") // whose API this is: its clients refuse answers without
	return &http.Response{
		StatusCode: status, Status: strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}
