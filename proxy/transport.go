package proxy

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/search"
)

// transport is what ReverseProxy sends requests through: to the cluster, or to the cluster and through a ranking.
type transport struct{ handler *Handler }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	// ReverseProxy hangs a trace into the context that passes 1xx responses on. echo takes the first status that it sees for the final
	// one, so that a 103 before a 404 would reach the client as 200. Under the client's own context there is no trace; a client that
	// sent "Expect: 100-continue" gets its 100 from net/http, when the cluster's makes the transport read the body.
	req = req.WithContext(c.ctx)
	indices, ok := route(req.Method, req.URL)
	if !ok {
		return c.live.Upstream.RoundTrip(req)
	}
	c.search = &record{indices: indices}
	s := &searching{handler: t.handler, call: c, live: c.live, record: c.search, req: req, arrived: time.Now()}
	return s.run()
}

// searching is one search on its way. Its methods are in the order of the way.
type searching struct {
	handler *Handler
	call    *call
	live    *live
	*record

	req     *http.Request // the client's, as ReverseProxy made it
	arrived time.Time
	said    instructions
	raw     []byte // the request's body as it came, nil where it was not read to its end
	body    []byte // decoded
	parsed  *search.Request

	// The plan, which does not change once the cluster is asked.
	ruled    Rule
	template search.Template
	wide     *search.Widened
}

// instructions are what the client's headers say to us. They are only for this search, and can only ask for less than the rule allows.
type instructions struct {
	off, on bool
	query   string
	window  int
	debug   bool
}

func readInstructions(h http.Header) (in instructions) {
	switch strings.ToLower(h.Get(headerRerank)) {
	case "off", "false":
		in.off = true
	case "on", "true":
		in.on = true
	}
	in.query = strings.TrimSpace(h.Get(headerQuery))
	if n, err := strconv.Atoi(h.Get(headerWindow)); err == nil && n > 0 {
		in.window = n
	}
	in.debug, _ = strconv.ParseBool(h.Get(headerDebug))
	return in
}

func (s *searching) run() (*http.Response, error) {
	s.said = s.call.said
	s.debug = s.said.debug
	if !s.admit() {
		return s.pass(s.req)
	}
	if err := s.read(); err != nil {
		s.skip(search.MalformedRequest, "", err)
		return nil, err
	}
	if s.reason == "" {
		s.plan()
	}
	if s.reason != "" {
		return s.pass(s.original())
	}
	start := time.Now()
	req := s.widen()
	s.widening = time.Since(start)
	return s.answer(req)
}

// admit says no to what can be told without the body.
func (s *searching) admit() bool {
	h := s.req.Header
	switch {
	case s.live.Off:
		s.skip(search.Disabled, "by the configuration", nil)
	case s.said.off:
		s.skip(search.Disabled, "by the request", nil)
	case dashboards(h):
		s.skip(search.NoRule, "a dashboard's own search", nil)
	case strings.HasPrefix(h.Get("Authorization"), "AWS4-HMAC-SHA256"):
		s.skip(search.Unsupported, "the request is signed as it is", nil)
	case !speaksJSON(h):
		s.skip(search.Format, "not JSON", nil)
	}
	if s.reason != "" {
		return false
	}
	i, found, ready := s.live.rule(s.indices, h)
	switch {
	case !ready:
		s.skip(search.Warming, "what the index names stand for is being read", nil)
	case !found:
		s.skip(search.NoRule, "", nil)
	default:
		s.ruled, s.rule = s.live.Rules[i], s.live.Rules[i].Name
		s.template = s.live.templates[i].Template
		if s.ruled.Off || s.ruled.Ranker == nil {
			s.skip(search.Disabled, "by the rule", nil)
		} else if err := s.live.templates[i].err; err != nil {
			s.skip(search.Disabled, "the rule's template cannot be read", err)
		}
	}
	return s.reason == ""
}

// speaksJSON reports whether a request is in JSON, and asks for JSON. Engines also speak CBOR, SMILE and YAML.
func speaksJSON(h http.Header) bool {
	if kind := strings.ToLower(h.Get("Content-Type")); kind != "" && (!strings.Contains(kind, "json") || strings.Contains(kind, "ndjson")) {
		return false
	}
	accept := strings.ToLower(strings.Join(h.Values("Accept"), ","))
	return accept == "" || strings.Contains(accept, "json") || strings.Contains(accept, "*/*") || strings.Contains(accept, "application/*")
}

// read reads the request's body and decodes it, if it is not too large. An error is the client's: its body broke off.
func (s *searching) read() error {
	if s.req.Body == nil || s.req.Body == http.NoBody {
		return nil
	}
	limits := s.live.Limits
	raw, err := s.call.held.read(s.req.Body, s.req.ContentLength, limits.Request)
	switch err {
	case nil:
	case errTooLarge, errNoMemory:
		s.skipForSize("request", err)
		s.req.Body = replay(raw, s.req.Body)
		return nil
	default:
		return fmt.Errorf("reading the request's body: %w", err)
	}
	s.raw = raw
	if s.body, err = s.call.held.decode(raw, coding(s.req.Header), limits.Request); err != nil {
		s.skip(search.Format, "the request's body cannot be decoded", err)
	}
	return nil
}

func (s *searching) skipForSize(what string, err error) {
	if err == errNoMemory {
		s.skip(search.Busy, what+": no memory left for bodies", nil)
	} else {
		s.skip(search.TooLarge, what, nil)
	}
}

// replay is a body of which the first part was read already.
func replay(first []byte, rest io.ReadCloser) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first), rest), rest}
}

// plan decides whether and how the search is reranked. Where it is not, it notes the reason.
func (s *searching) plan() {
	parsed, err := search.Parse(s.req.URL.RawQuery, s.body)
	if err != nil {
		s.skip(search.MalformedRequest, "", err)
		return
	}
	s.parsed = parsed
	override, err := parsed.Overrides()
	switch {
	case err != nil:
		s.skip(search.MalformedRequest, "ext.rerank", err)
		return
	case override.Mode == "off" && !s.said.on: // the header is nearer to the person who debugs
		s.skip(search.Disabled, "by ext.rerank", nil)
		return
	}
	if reason, detail := parsed.Pass(); reason != "" {
		s.skip(reason, detail, nil)
		return
	}
	s.words = parsed.Words()
	given := false
	for _, words := range []string{override.Query, s.said.query} {
		if words != "" {
			s.words, given = words, true
		}
	}
	switch {
	case s.words == "":
		s.skip(search.NoQuery, "", nil)
		return
	case !given && parsed.Lookup():
		s.skip(search.Lookup, "", nil)
		return
	}

	window := cmp.Or(s.ruled.Window, defaultWindow)
	for _, n := range []int{override.Window, s.said.window} {
		if n > 0 {
			window = min(window, n)
		}
	}
	window = parsed.Window(window)
	if parsed.From() >= window {
		s.skip(search.BeyondWindow, "", nil)
		return
	}

	if _, failed := s.handler.partial.get(s.key()); failed {
		s.skip(search.UpstreamPartial, "shards failed for it lately", nil)
		return
	}

	if s.fields = s.template.Fields(); len(s.fields) == 0 {
		mapping, ready := s.live.catalogue.get(s.live, s.indices, s.req.Header)
		if !ready {
			s.skip(search.Warming, "the mapping is being read", nil)
			return
		}
		s.fields = mapping.choose(parsed.Fields()).Paths()
		if len(s.fields) == 0 {
			detail := "the mapping has no text field"
			if mapping == nil {
				detail = "the query names no field, and the mapping could not be read for this client"
			}
			s.skip(search.NoText, detail, nil)
			return
		}
		s.template = search.FieldsTemplate(s.fields)
	}
	s.wide, err = parsed.Widen(search.Need{Window: window, Fields: s.fields, Widen: true})
	if err != nil {
		s.skip(search.Unsupported, "", err)
	}
}

// original is the request that the cluster sees where nothing is reranked: the client's, less what ext.rerank says to us. It can be made
// any number of times where the body was read.
func (s *searching) original() *http.Request {
	if s.parsed != nil {
		if rawQuery, body := s.parsed.Original(); rawQuery != s.req.URL.RawQuery || !bytes.Equal(body, s.body) {
			return s.build(rawQuery, body)
		}
	}
	if s.raw == nil {
		return s.req
	}
	req := s.req.Clone(s.req.Context())
	req.Trailer = s.req.Trailer
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(s.raw)), nil }
	req.Body, _ = req.GetBody()
	return req
}

// build makes a new request of the client's, with another query string and body.
func (s *searching) build(rawQuery string, body []byte) *http.Request {
	req := s.req.Clone(s.req.Context())
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

// pass has the cluster answer req, and passes the answer on as it comes.
func (s *searching) pass(req *http.Request) (*http.Response, error) {
	res, err := s.ask(req)
	if err != nil {
		s.skip(search.UpstreamStatus, "no answer", err)
		return nil, err
	}
	s.show(res.Header)
	return res, nil
}

// ask sends req to the cluster, and counts the time.
func (s *searching) ask(req *http.Request) (*http.Response, error) {
	start := time.Now()
	res, err := s.live.Upstream.RoundTrip(req)
	s.cluster += time.Since(start)
	s.answered = err == nil
	return res, err
}
