package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rerankd/rerankd/backends"
	"github.com/rerankd/rerankd/config"
	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/admin"
	"github.com/rerankd/rerankd/proxy/search"
)

// A searcher sends searches through a proxy: check, compare and the page of that name show what an application would get, and not what
// they would have computed.
type searcher struct {
	url     string // of the proxy
	client  http.Client
	header  http.Header // the caller's credentials
	mapper  proxy.MappingReader
	lending bool // the configuration's own credentials go with the searches
}

// An asker is a searcher with a proxy of its own, on a free port of this machine.
type asker struct {
	*service
	searcher
}

// askOptions are the flags of the commands that ask.
type askOptions struct {
	clusterOptions
	user string
}

func (o *askOptions) flags(cmd *cobra.Command) {
	o.clusterOptions.flags(cmd)
	cmd.Flags().StringVarP(&o.user, "user", "u", "", "NAME:PASSWORD for a cluster that asks for them, as curl has it; or $RERANKD_USER")
}

// credentials are NAME:PASSWORD, or "".
func (o *askOptions) credentials(e *environment) string {
	user, _ := e.lookup("RERANKD_USER")
	return cmp.Or(o.user, user)
}

// newAsker starts the proxy. close must follow.
func newAsker(ctx context.Context, e *environment, o askOptions, c *config.Config) (*asker, error) {
	c.Listen, c.Admin.Listen, c.TLS = "127.0.0.1:0", string(config.Off), nil
	c.Experiments, c.Events.Sink = nil, string(config.Off) // whoever asks here is no user
	logger, recent := e.quiet()
	s, err := startService(ctx, e, c, logger, recent)
	if err != nil {
		return nil, err
	}
	running := s.program.now.Load()
	a := &asker{s, searcher{
		url: s.url, header: http.Header{}, client: http.Client{Timeout: time.Minute},
		mapper: running.backend, lending: running.config.Cluster.Auth != config.AuthPassthrough,
	}}
	a.identify(o.credentials(e))
	return a, nil
}

func (a *asker) close() {
	a.client.CloseIdleConnections()
	_ = a.stop(0, 5*time.Second) // its own requests have ended
}

// identify has the searches sent with NAME:PASSWORD, or with nothing.
func (a *searcher) identify(user string) {
	if user == "" {
		return
	}
	a.header.Set("Authorization", basic(user))
}

// basic is the Authorization of NAME:PASSWORD.
func basic(user string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(user)) }

// An answer is what the proxy said to a search.
type answer struct {
	*search.Response
	outcome string        // applied or skipped
	reason  search.Reason // why skipped
	rule    string
	words   string   // that it was ranked by
	fields  []string // that were read
	detail  string
	said    string // X-Rerank
	scored  int
	window  int
	ranking time.Duration
	cluster time.Duration
}

// matches is how many documents match; 0 where the cluster does not say.
func (x *answer) matches() int { return int(max(x.Total(), 0)) }

// mapping is the body of GET /{indices}/_mapping; "" is all indices.
func (a *searcher) mapping(ctx context.Context, indices string) ([]byte, error) {
	body, err := a.mapper.Mappings(ctx, indices, a.header)
	if status, ok := errors.AsType[*backends.StatusError](err); ok {
		return nil, a.statusError(status.Code, "the mapping", indices, status.Body)
	}
	if unreachable, ok := errors.AsType[*backends.Error](err); ok {
		return nil, hintedError{unreachable, "is it running, and is this its URL? curl " + unreachable.Node}
	}
	return body, err
}

// statusError says what an answer other than 200 means to somebody who has asked an index, or all of them (""), for what.
func (a *searcher) statusError(code int, what, index string, body []byte) error {
	said := fmt.Errorf("asked for %s, the cluster answered %d %s", what, code, http.StatusText(code))
	if code == http.StatusUnauthorized || code == http.StatusForbidden {
		said = deniedError{said}
	}
	known := a.header.Get("Authorization") != "" || a.lending
	switch {
	case code == http.StatusNotFound && index != "":
		return hintedError{fmt.Errorf("there is no index %s", index), "rerankd check lists the indices"}
	case code == http.StatusNotFound:
		return hintedError{said, "is this the URL of an Elasticsearch or OpenSearch?"}
	case code == http.StatusForbidden && known:
		return hintedError{said, "this user needs the index privileges read and view_index_metadata (Elasticsearch), or read and indices:admin/mappings/get (OpenSearch)"}
	case code == http.StatusUnauthorized && known:
		return hintedError{said, "look at the name and the password"}
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return hintedError{said, "give --user NAME:PASSWORD, or set RERANKD_USER"}
	}
	return fmt.Errorf("%w: %s", said, clip(string(body), 300))
}

// A deniedError says that the cluster did not let somebody in.
type deniedError struct{ error }

func (deniedError) Is(target error) bool { return target == admin.ErrDenied }

// search sends a search, again while the proxy is still reading the index's mapping.
func (a *searcher) search(ctx context.Context, index string, body any, rerank bool) (*answer, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		x, err := a.ask(ctx, index, data, rerank)
		if err != nil || x.reason != search.Warming || wait > 3*time.Second {
			return x, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (a *searcher) ask(ctx context.Context, index string, body []byte, rerank bool) (*answer, error) {
	header := http.Header{"Content-Type": {"application/json"}, "X-Rerank-Debug": {"true"}}
	if !rerank {
		header.Set("X-Rerank", "off")
	}
	status, said, data, err := a.send(ctx, "POST", "/"+url.PathEscape(index)+"/_search", body, header)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, a.statusError(status, "a search", index, data)
	}
	x := &answer{}
	if x.Response, err = search.ParseResponse(data); err != nil {
		return nil, fmt.Errorf("reading the cluster's answer: %w", err)
	}
	x.readHeaders(said)
	return x, nil
}

// send sends a request with the caller's credentials, and reads the answer.
func (a *searcher) send(ctx context.Context, method, path string, body []byte, header http.Header) (status int, said http.Header, data []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header = a.header.Clone()
	maps.Copy(req.Header, header)
	res, err := a.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	data, err = io.ReadAll(io.LimitReader(res.Body, 64<<20))
	return res.StatusCode, res.Header, data, err
}

// readHeaders takes apart what the proxy says of a search.
func (x *answer) readHeaders(h http.Header) {
	x.said = h.Get("X-Rerank")
	said := parameters(x.said)
	x.outcome, x.reason = said[""], search.Reason(said["reason"])
	x.scored, _ = strconv.Atoi(said["scored"])
	x.window, _ = strconv.Atoi(said["window"])
	debug := parameters(h.Get("X-Rerank-Debug"))
	x.rule, x.words, x.detail = debug["rule"], debug["query"], debug["detail"]
	if debug["fields"] != "" {
		x.fields = strings.Split(debug["fields"], ",")
	}
	for _, v := range h.Values("Server-Timing") {
		for entry := range strings.SplitSeq(v, ",") {
			p := parameters(entry)
			ms, _ := strconv.ParseFloat(p["dur"], 64)
			switch took := time.Duration(ms * float64(time.Millisecond)); p[""] {
			case "cluster":
				x.cluster = took
			case "ranking":
				x.ranking = took
			}
		}
	}
}

// parameters reads `word; key=value; key="quoted value"`; the word is under "". Of a key that comes again the first value counts.
func parameters(s string) map[string]string {
	p := map[string]string{}
	for s != "" {
		var part string
		if end := separator(s); end < 0 {
			part, s = s, ""
		} else {
			part, s = s[:end], s[end+1:]
		}
		key, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found {
			key, value = "", key
		}
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		if _, ok := p[key]; !ok { // of several stages the first, which reads the window
			p[key] = value
		}
	}
	return p
}

// separator is where the first semicolon outside of quotes is; -1 if there is none.
func separator(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return i
		}
	}
	return -1
}
