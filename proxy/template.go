package proxy

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/search"
)

// Search templates. What is searched for stands in a template that only the cluster has, so the cluster is asked to render it, and what
// comes out is a search like any other: it is sent to _search, or _msearch. Where that cannot be had (a client may be allowed to search by
// a template and not to have one rendered), the page that comes is ranked by the words in the template's params; whether its order may
// change shows in its hits.

// templated is a request to _search/template.
func (x *exchange) templated(indices string) (*http.Response, error) {
	s := x.begin(indices)
	if !x.admits(false) || !s.governed() {
		s.withdraw()
		return x.pass()
	}
	if err := x.read(); err != nil {
		return nil, err
	}
	if s.reason != "" {
		return x.pass()
	}
	start := time.Now()
	var rendered []byte
	if ofRequest(x.req.URL.RawQuery) {
		rendered = x.render(x.body)
	}
	if rendered != nil {
		s.plan(x.req.URL.RawQuery, rendered)
	} else {
		s.planPage(x.req.URL.RawQuery, x.body)
	}
	x.widening = time.Since(start)
	x.watch(s)
	switch {
	case s.reason != "":
		return x.pass()
	case rendered != nil:
		// OpenSearch 2.19 and 3.8 end the answer of _search/template with "status":200; Elasticsearch, by its source, does not.
		x.elsewhere, s.status = true, x.live.OpenSearch != nil && x.live.OpenSearch()
		return s.answer(untemplated(s.request()))
	}
	return s.answer(toBeRead(x.original()))
}

// multiTemplated is a request to _msearch/template. Where one of its templates is not rendered, all pages are ranked as they come, because
// searches and templates cannot be sent in one request.
func (x *exchange) multiTemplated(indices string) (*http.Response, error) {
	x.begin(indices) // stands for all of them until they are known
	if !x.admits(true) {
		return x.declineAll()
	}
	if err := x.read(); err != nil {
		return nil, err
	}
	m := x.several()
	if m == nil {
		return x.pass()
	}
	start := time.Now()
	m.templates, m.rendered = true, x.renderAll(m.lines)
	if m.rendered == nil && m.query.Filter() != nil {
		x.skip(search.Format, "filter_path", nil) // what we need of the hits may be missing
		return x.pass()
	}
	m.plan(indices, func(s *searching, i int) {
		if m.rendered != nil {
			s.plan("", m.rendered[i])
		} else {
			s.planPage("", m.lines.Searches[i].Body)
		}
	})
	x.widening = time.Since(start)
	x.watch(m.items...)
	switch {
	case !m.planned():
		x.skip(search.MalformedRequest, "a search beside it cannot be read", nil)
		return x.pass()
	case m.rendered != nil:
		x.elsewhere = true
		return m.answer(untemplated(m.request()))
	}
	return m.answer(toBeRead(x.original()))
}

// untemplated turns a request to …/_search/template or …/_msearch/template into one to what it is a template of.
func untemplated(req *http.Request) *http.Request {
	cut := func(path string) string {
		return strings.TrimRight(strings.TrimSuffix(strings.TrimRight(path, "/"), "template"), "/")
	}
	req.URL.Path, req.URL.RawPath = cut(req.URL.Path), cut(req.URL.RawPath)
	return req
}

// maxRendered bounds the templates of one request that are rendered, each of which is a request to the cluster.
const maxRendered = 32

// renderTimeout bounds the wait for a rendering, and about that for all of one request. A client that it was once too short for is served
// without for some time.
const renderTimeout = time.Second

// renderAll renders the templates of a multi-search; nil where one of them is not.
func (x *exchange) renderAll(lines *search.Multi) [][]byte {
	if len(lines.Searches) > maxRendered {
		return nil
	}
	rendered := make([][]byte, len(lines.Searches))
	start := time.Now()
	for i, line := range lines.Searches {
		if time.Since(start) > renderTimeout {
			return nil
		}
		if rendered[i] = x.render(line.Body); rendered[i] == nil {
			return nil
		}
	}
	return rendered
}

// render has the cluster render a template; nil where it does not. Who may not have that done is remembered for some time.
func (x *exchange) render(template []byte) []byte {
	_, who := credentials(x.req.Header)
	if _, ok := x.live.learned.unrendered.get(who); ok || !renderable(template) {
		return nil
	}
	req := toBeRead(x.build("", template))
	req.Method, req.URL.Path, req.URL.RawPath = http.MethodPost, "/_render/template", ""
	req.Header.Set("Content-Type", versioned("application/json", req.Header))
	ctx, cancel := context.WithTimeout(req.Context(), renderTimeout)
	defer cancel()
	a, reason, _ := x.fetch(req.WithContext(ctx), false)
	late := ctx.Err() != nil && x.call.ctx.Err() == nil
	if a == nil {
		if late {
			x.live.learned.unrendered.keep(who, struct{}{})
		}
		return nil
	}
	defer a.Body.Close()
	if reason != "" {
		if late || refused(a.StatusCode) {
			x.live.learned.unrendered.keep(who, struct{}{})
		}
		return nil
	}
	var answer struct {
		Output json.RawMessage `json:"template_output"`
	}
	if json.Unmarshal(a.body, &answer) != nil || len(answer.Output) == 0 || answer.Output[0] != '{' {
		return nil
	}
	return answer.Output
}

// renderable reports whether a search by the rendered template is the same search: explain and profile, which a request may ask for beside
// the template, would be lost.
func renderable(template []byte) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(template, &members) != nil {
		return false
	}
	for _, name := range []string{"explain", "profile"} {
		if raw, ok := members[name]; ok && strings.Trim(string(raw), `"`) != "false" {
			return false
		}
	}
	return true
}

// ofRequest reports whether the URL's parameters are all about the request. Those that describe the search (size, q, sort …) do nothing beside
// a template, of which the search is made anew, and would do something beside what came out of it.
func ofRequest(rawQuery string) bool {
	values, err := url.ParseQuery(rawQuery)
	for name := range values {
		switch name {
		case "allow_no_indices", "allow_partial_search_results", "batched_reduce_size", "cancel_after_time_interval", "ccs_minimize_roundtrips",
			"error_trace", "expand_wildcards", "filter_path", "human", "ignore_throttled", "ignore_unavailable", "max_concurrent_shard_requests",
			"pre_filter_shard_size", "preference", "pretty", "request_cache", "rest_total_hits_as_int", "routing", "search_type", "typed_keys":
		default:
			return false
		}
	}
	return err == nil
}

// planPage decides whether the page that a template brings is reranked as it comes.
func (s *searching) planPage(rawQuery string, template []byte) {
	var err error
	if s.parsed, err = search.Parse(rawQuery, nil); err != nil {
		s.skip(search.MalformedRequest, "", err)
		return
	}
	if reason, detail := s.parsed.Pass(); reason != "" {
		s.skip(reason, detail, nil)
		return
	}
	if s.parsed.Filtered() {
		s.skip(search.Format, "filter_path", nil) // what we need of the hits may be missing
		return
	}
	read, err := s.policy().ParseTemplated(template)
	if err != nil {
		s.skip(search.MalformedRequest, "", err)
		return
	}
	s.words = cmp.Or(s.call.said.query, read.Words())
	switch {
	case s.words == "":
		s.skip(search.NoQuery, "no words in the template's params", nil)
	case s.call.said.query == "" && read.Lookup():
		s.skip(search.Lookup, "", nil)
	}
	if s.asItComes = true; s.reason == "" && s.planVariant(search.Override{}) && s.planHits(search.Override{}) {
		s.wide = &search.Widened{Window: s.depth, Size: math.MaxInt32}
	}
}
