package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/rerankd/rerankd/proxy/search"
)

// exchange is one request to a search endpoint and its answer: what is read of the client's, what is sent to the cluster, and what comes
// back. It knows nothing of what is searched for; that is [searching]'s, of which an exchange holds one or several.
type exchange struct {
	handler *Handler
	call    *call
	live    *live
	*journey

	req     *http.Request // the client's, as ReverseProxy made it
	arrived time.Time
	raw     []byte // the request's body as it came, nil where it was not read to its end
	body    []byte // decoded
	// plain gives the request that the cluster sees where nothing is reranked, as far as it differs from the client's; nil: it does not.
	plain func() (rawQuery string, body []byte)
	// seeing notes what an answer to the client's own request shows, and returns it as the client is to have it; nil: nobody keeps that.
	seeing func(body []byte) []byte
	query  *search.MultiQuery // of a request of several searches; nil: it is one
	lines  *search.Multi      // the same searches
	// bare is whether ext.rerank is left out also where an OpenSearch may have a use for it.
	bare bool
	// elsewhere is whether the cluster is asked by another endpoint than the client's, which the client may not be allowed to use.
	elsewhere bool
}

// admits says no to what can be told without the body. lines is whether the endpoint's bodies are lines of JSON.
func (x *exchange) admits(lines bool) bool {
	h := x.req.Header
	switch {
	case x.live.Off:
		x.skip(search.Disabled, "by the configuration", nil)
	case x.call.said.off:
		x.skip(search.Disabled, "by the request", nil)
	case dashboards(h):
		x.skip(search.NoRule, "a dashboard's own search", nil)
	case strings.HasPrefix(h.Get("Authorization"), "AWS4-HMAC-SHA256"):
		x.skip(search.Unsupported, "the request is signed as it is", nil)
	case !speaksJSON(h, lines):
		x.skip(search.Format, "not JSON", nil)
	default:
		return true
	}
	return false
}

// speaksJSON reports whether a request is in JSON, and asks for JSON. Engines also speak CBOR, SMILE and YAML.
func speaksJSON(h http.Header, lines bool) bool {
	kind := strings.ToLower(h.Get("Content-Type"))
	if kind != "" && (!strings.Contains(kind, "json") || strings.Contains(kind, "ndjson") && !lines) {
		return false
	}
	accept := strings.ToLower(strings.Join(h.Values("Accept"), ","))
	return accept == "" || strings.Contains(accept, "json") || strings.Contains(accept, "*/*") || strings.Contains(accept, "application/*")
}

// read reads the request's body and decodes it, if it is not too large; otherwise it notes the reason. An error is the client's: its body
// broke off.
func (x *exchange) read() error {
	if x.req.Body == nil || x.req.Body == http.NoBody {
		return nil
	}
	limits := x.live.Limits
	raw, err := x.call.held.read(x.req.Body, x.req.ContentLength, limits.Request)
	switch err {
	case nil:
	case errTooLarge, errNoMemory:
		if err == errNoMemory {
			x.skip(search.Busy, "request: no memory left for bodies", nil)
		} else {
			x.skip(search.TooLarge, "request", nil)
		}
		x.req.Body = replay(raw, x.req.Body)
		return nil
	default:
		x.skip(search.MalformedRequest, "", err)
		return fmt.Errorf("reading the request's body: %w", err)
	}
	x.raw = raw
	if x.body, err = x.call.held.decode(raw, coding(x.req.Header), limits.Request); err != nil {
		x.skip(search.Format, "the request's body cannot be decoded", err)
	}
	return nil
}

// ours is in every body that says something to us.
var ours = []byte(`"rerank"`)

// readOurs reads the body of a request that is not to be reranked, for what it may say to us in ext.rerank. Other content codings and
// formats than JSON in the open say nothing.
func (x *exchange) readOurs() error {
	kind := strings.ToLower(x.req.Header.Get("Content-Type"))
	if kind != "" && !strings.Contains(kind, "json") || coding(x.req.Header) != "" {
		return nil
	}
	return x.read()
}

// replay is a body of which the first part was read already.
func replay(first []byte, rest io.ReadCloser) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first), rest), rest}
}

// original is the request that the cluster sees where nothing is reranked: the client's, less what its body says to us. It can be made
// any number of times where the body was read.
func (x *exchange) original() *http.Request {
	if x.plain != nil {
		if rawQuery, body := x.plain(); rawQuery != x.req.URL.RawQuery || !bytes.Equal(body, x.body) {
			req := x.build(rawQuery, body)
			if len(x.body) == 0 && len(body) > 0 { // it stood in the URL
				req.Header.Set("Content-Type", versioned("application/json", req.Header))
			}
			return req
		}
	}
	if x.raw == nil {
		return x.req
	}
	req := x.req.Clone(x.req.Context())
	req.Trailer = x.req.Trailer
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.raw)), nil }
	req.Body, _ = req.GetBody()
	return req
}

// build makes a new request of the client's, with another query string and body.
func (x *exchange) build(rawQuery string, body []byte) *http.Request {
	req := x.req.Clone(x.req.Context())
	req.URL.RawQuery = rawQuery
	for _, name := range []string{"Content-Encoding", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Expect"} {
		req.Header.Del(name)
	}
	req.Trailer, req.TransferEncoding = nil, nil
	req.ContentLength = int64(len(body))
	req.Body, req.GetBody = http.NoBody, nil
	if len(body) > 0 {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req
}

// toBeRead prepares a request whose answer is held here. It may be sent twice, as it only reads.
func toBeRead(req *http.Request) *http.Request {
	// OpenSearch 2.19.0 hangs when asked for zstd (opensearch-project/OpenSearch#17339).
	switch {
	case acceptsGzip(req.Header):
		req.Header.Set("Accept-Encoding", "gzip")
	case req.Header.Get("Accept-Encoding") != "":
		req.Header.Set("Accept-Encoding", "identity")
	}
	if _, ok := req.Header["X-Idempotency-Key"]; !ok {
		req.Header["X-Idempotency-Key"] = []string{} // net/http's mark for what may be sent again; it is not sent itself
	}
	return req
}

// versioned returns the media type for a body of ours: Elasticsearch wants the version of its API that an Accept header may carry said
// here too, and refuses the request otherwise.
func versioned(kind string, h http.Header) string {
	for accepted := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		if accepted = strings.TrimSpace(accepted); strings.HasPrefix(strings.ToLower(accepted), "application/vnd.elasticsearch+json") {
			return accepted
		}
	}
	return kind
}

// refuse answers with the error of an engine's own.
func (x *exchange) refuse(f *search.Refusal) *http.Response {
	x.answered = true
	res := answerOf(x.req, f.Status, f.Body())
	x.show(res.Header)
	return res
}

// ask sends req to the cluster, and counts the time.
func (x *exchange) ask(req *http.Request) (*http.Response, error) {
	start := time.Now()
	res, err := x.live.Upstream.RoundTrip(req)
	x.cluster += time.Since(start)
	x.answered = err == nil
	return res, err
}

// askOriginal sends the client's own request. An OpenSearch without the plugin refuses ext.rerank.query_context, which is left in for one
// that has it: where that may be the reason of a refusal, the request is sent once more without.
func (x *exchange) askOriginal() (*http.Response, error) {
	req := x.original()
	if x.seeing != nil {
		req = toBeRead(req)
	}
	res, err := x.ask(req)
	if err != nil || res.StatusCode != http.StatusBadRequest || x.plain == nil {
		return res, err
	}
	with, body := x.plain()
	x.bare = true
	without, less := x.plain()
	if with == without && bytes.Equal(body, less) {
		return res, nil
	}
	again, err := x.ask(x.original())
	if err != nil || again.StatusCode != http.StatusOK {
		if err == nil {
			again.Body.Close()
		}
		x.answered = true
		return res, nil // it was refused for something else
	}
	res.Body.Close()
	x.live.noPlugin.Store(true)
	return again, nil
}

// pass has the cluster answer the client's own request, and passes the answer on as it comes.
func (x *exchange) pass() (*http.Response, error) {
	res, err := x.askOriginal()
	if err != nil {
		x.skip(search.UpstreamStatus, "no answer", err)
		return nil, err
	}
	return x.give(res)
}

// An answer of the cluster's that is held.
type held struct {
	*http.Response
	raw      []byte // as it came
	body     []byte // decoded
	received time.Time
	asked    string // the URL's query string
}

// fetch asks the cluster and holds its answer, to the last byte where there is use in it; a reason says why there is none. Without any
// answer the error alone says why. changed is whether req asks for something else than the client did.
func (x *exchange) fetch(req *http.Request, changed bool) (*held, search.Reason, error) {
	sent := time.Now()
	res, err := x.ask(req)
	if err != nil {
		return nil, "", err
	}
	start := time.Now()
	a := &held{Response: res, asked: req.URL.RawQuery}
	var reason search.Reason
	a.raw, reason, err = x.receive(res)
	a.received = time.Now()
	x.cluster += a.received.Sub(start)
	x.live.answering.observe(a.received.Sub(sent))
	if changed {
		x.widened += int64(len(a.raw))
	}
	if reason == "" {
		a.body, reason, err = x.open(res, a.raw)
	}
	return a, reason, err
}

// refusal reads what the cluster says to a request that it refuses, as far as it can be read. The rest of the answer stays to be read.
func (a *held) refusal() []byte {
	const limit = 16 << 10
	first, _ := io.ReadAll(io.LimitReader(a.Body, limit)) // whoever reads on finds the same error
	a.raw = first
	if coding(a.Header) == "" {
		return first
	}
	z, err := gzip.NewReader(bytes.NewReader(first))
	if err != nil {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(z, limit))
	return text
}

// receive reads the answer to its last byte. A reason means that there is no use in it; raw is what was read by then.
func (x *exchange) receive(res *http.Response) (raw []byte, reason search.Reason, err error) {
	kind := strings.ToLower(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, search.UpstreamStatus, nil
	case !strings.Contains(kind, "json") || strings.Contains(kind, "ndjson"):
		return nil, search.Format, nil
	}
	switch coding(res.Header) {
	case "":
	case "gzip", "x-gzip":
		if !acceptsGzip(x.req.Header) {
			return nil, search.Format, nil
		}
	default:
		return nil, search.Format, nil
	}
	raw, err = x.call.held.read(res.Body, res.ContentLength, x.live.Limits.Response)
	switch err {
	case nil:
		return raw, "", nil
	case errTooLarge:
		return raw, search.TooLarge, nil
	case errNoMemory:
		return raw, search.Busy, nil
	}
	// What comes after the break cannot be asked for again; whoever reads on shall find the same break.
	res.Body = brokenBody{res.Body, err}
	return raw, search.UpstreamMalformed, err
}

type brokenBody struct {
	io.Closer
	err error
}

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }

// open takes the content coding off.
func (x *exchange) open(res *http.Response, raw []byte) ([]byte, search.Reason, error) {
	body, err := x.call.held.decode(raw, coding(res.Header), x.live.Limits.Response)
	switch {
	case err == nil:
		return body, "", nil
	case errors.Is(err, errTooLarge):
		return nil, search.TooLarge, err
	case errors.Is(err, errNoMemory):
		return nil, search.Busy, err
	}
	return nil, search.UpstreamMalformed, err
}

// unanswered is where the cluster gave no answer at all to a request of ours. One that choked on what we asked is asked for what the
// client did.
func (x *exchange) unanswered(changed bool, err error) (*http.Response, error) {
	if changed && x.call.ctx.Err() == nil && explain(x.call, err).status == http.StatusBadGateway {
		return x.again(search.UpstreamMalformed, err)
	}
	x.skip(search.UpstreamStatus, "no answer", err)
	return nil, err
}

// giveUp leaves the answer as it is where it is the answer to the client's own request, and asks for that one where it is not. Who is
// refused for who they are (401, 403) is refused whatever is asked of the same endpoint: a second try would only bring the account nearer
// to being locked.
func (x *exchange) giveUp(a *held, changed bool, reason search.Reason, err error) (*http.Response, error) {
	if x.elsewhere && refused(a.StatusCode) {
		_, who := credentials(x.req.Header)
		x.live.learned.unrendered.keep(who, struct{}{})
	}
	if changed && !refused(a.StatusCode) || x.elsewhere {
		a.Body.Close()
		return x.again(reason, err)
	}
	x.unapplied()
	x.skip(reason, "", err)
	if changed && a.asked != x.req.URL.RawQuery && coding(a.Header) == "" {
		x.restore(a)
	}
	if x.seeing != nil && a.body != nil {
		return x.deliver(a, x.seeing(a.body))
	}
	a.Body = replay(a.raw, a.Body)
	x.show(a.Header)
	return a.Response, nil
}

// restore puts the client's own URL in the place of ours where a refusal speaks of it, as Elasticsearch's does.
func (x *exchange) restore(a *held) {
	spoken := a.refusal()
	a.raw = bytes.ReplaceAll(spoken, []byte("?"+a.asked+"]"), []byte("?"+x.req.URL.RawQuery+"]"))
	if grown := int64(len(a.raw) - len(spoken)); grown != 0 && a.ContentLength >= 0 {
		a.ContentLength += grown
		a.Header.Set("Content-Length", strconv.FormatInt(a.ContentLength, 10))
	}
}

func refused(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// unapplied is where the client gets none of the pages that were made.
func (x *exchange) unapplied() {
	for _, s := range x.searches {
		s.applied, s.named, s.impression = false, false, nil
	}
}

// again sends the client's own request, once, where a widened one brought nothing of use. Its answer is the client's, whatever it is.
func (x *exchange) again(reason search.Reason, err error) (*http.Response, error) {
	x.unapplied()
	x.skip(reason, "the widened request's answer", err)
	x.repeated = reason
	res, err := x.askOriginal()
	if err != nil {
		return nil, err
	}
	return x.give(res)
}

// deliver gives the client a body made of the cluster's answer, in the coding that the answer came in.
func (x *exchange) deliver(a *held, body []byte) (*http.Response, error) {
	if bytes.Equal(body, a.body) {
		body = a.raw
	} else {
		changed(a.Header)
		if coding(a.Header) != "" {
			body = compress(body)
		}
	}
	a.Body.Close()
	a.Body = io.NopCloser(bytes.NewReader(body))
	a.ContentLength, a.TransferEncoding = int64(len(body)), nil
	a.Header.Set("Content-Length", strconv.Itoa(len(body)))
	x.show(a.Header)
	return a.Response, nil
}

// changed takes off the headers that speak of the bytes that we replaced.
func changed(h http.Header) {
	for _, name := range []string{"Etag", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges", "Content-Length"} {
		h.Del(name)
	}
	for _, value := range h.Values("Vary") {
		if value == "*" || strings.Contains(strings.ToLower(value), "accept-encoding") {
			return
		}
	}
	h.Add("Vary", "Accept-Encoding")
}
