package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy"
	"github.com/rerankd/rerankd/proxy/search"
)

// An evalAsker is a searcher at a URL, or with a proxy of its own.
type evalAsker struct {
	searcher
	stop func()
}

// newEvalAsker takes the rerankd at the arm's URL, or starts one of its own on a free port of this machine, as compare does. close must
// follow.
func newEvalAsker(ctx context.Context, e *environment, o *evalOptions, a *arm, deepest int) (*evalAsker, error) {
	asker := &evalAsker{searcher{url: a.url, header: http.Header{}}, func() {}}
	if a.url == "" {
		c, err := armConfiguration(e, o, a.settings, deepest)
		if err != nil {
			return nil, err
		}
		own, err := newAsker(ctx, e, o.askOptions, c)
		if err != nil {
			return nil, err
		}
		asker.searcher, asker.stop = own.searcher, own.close
	} else {
		asker.identify(o.credentials(e))
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = o.concurrency // a search is not to wait for a connection
	asker.client = http.Client{Timeout: time.Minute, Transport: transport}
	return asker, nil
}

func (a *evalAsker) close() {
	a.client.CloseIdleConnections()
	a.stop()
}

// searchFields are those to search in: as asked for, or as serve chooses them by the mapping.
func (a *evalAsker) searchFields(ctx context.Context, index string, asked []string) ([]string, error) {
	if len(asked) > 0 {
		return asked, nil
	}
	status, _, mapping, err := a.send(ctx, "GET", "/"+url.PathEscape(index)+"/_mapping", nil, nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, a.statusError(status, "the mapping", index, mapping)
	}
	fields := proxy.Choose(nil, mapping).Paths()
	if len(fields) == 0 {
		return nil, fmt.Errorf("%s has no text field to search in", index)
	}
	return fields, nil
}

// send is a searcher's, to a proxy that may not be there.
func (a *evalAsker) send(ctx context.Context, method, path string, body []byte, header http.Header) (status int, said http.Header, data []byte, err error) {
	status, said, data, err = a.searcher.send(ctx, method, path, body, header)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		err = ctx.Err()
	case status == 0:
		err = hintedError{err, "is it running, and is this its URL? curl " + a.url}
	}
	return status, said, data, err
}

// A trial is what became of one search.
type trial struct {
	hits    []string
	took    time.Duration // as the application sees it
	applied bool
	reason  string // why not
	scored  int
	window  int
	cluster time.Duration // 0: it does not say
	ranking time.Duration
	err     error // instead of an answer
}

// try searches for words as the arm does, again while the proxy is still reading the index's mapping. An error is one that the other
// searches would have too; one that they need not share is the trial's.
func (a *arm) try(ctx context.Context, body searchBody, words, idField string) (trial, error) {
	header := http.Header{"Content-Type": {"application/json"}, "X-Rerank": {a.rerank}}
	if a.window > 0 {
		header.Set("X-Rerank-Window", strconv.Itoa(a.window))
	}
	data := body.of(words, a.fields)
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		began := time.Now()
		status, said, answer, err := a.asker.send(ctx, "POST", "/"+url.PathEscape(a.searches)+"/_search", data, header)
		took := time.Since(began)
		switch {
		case ctx.Err() != nil:
			return trial{}, ctx.Err()
		case err != nil:
			return trial{err: err}, nil
		case status == http.StatusNotFound || status == http.StatusUnauthorized || status == http.StatusForbidden:
			return trial{}, a.asker.statusError(status, "a search", a.searches, answer)
		case status != http.StatusOK:
			return trial{err: a.asker.statusError(status, "a search", a.searches, answer)}, nil
		}
		x := trial{took: took}
		x.read(said)
		if x.reason == string(search.Warming) && wait < 5*time.Second {
			select {
			case <-ctx.Done():
				return trial{}, ctx.Err()
			case <-time.After(wait):
			}
			continue
		}
		if x.hits, err = hitIDs(answer, idField); err != nil {
			return trial{}, err
		}
		return x, nil
	}
}

// read takes what the proxy says of the search.
func (x *trial) read(h http.Header) {
	var a answer
	a.readHeaders(h)
	x.applied, x.reason = a.outcome == "applied", string(a.reason)
	x.scored, x.window, x.cluster, x.ranking = a.scored, a.window, a.cluster, a.ranking
	if a.outcome == "" {
		x.reason = "no_rerankd" // nothing is there that would say
	}
}

// hitIDs are the ids of the hits, or what they have in a field of the source, each once.
func hitIDs(answer []byte, field string) ([]string, error) {
	var page struct {
		Hits struct {
			Hits []struct {
				ID     string                     `json:"_id"`
				Source map[string]json.RawMessage `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := json.Unmarshal(answer, &page); err != nil {
		return nil, fmt.Errorf("reading the cluster's answer: %w", err)
	}
	ids := make([]string, 0, len(page.Hits.Hits))
	seen := map[string]bool{}
	for _, hit := range page.Hits.Hits {
		id := hit.ID
		if field != "" {
			raw, ok := hit.Source[field]
			if !ok {
				return nil, hintedError{fmt.Errorf("the hit %s has no field %s in its _source", hit.ID, field), "--id-field names the field that the judgments call documents by; without it that is _id"}
			}
			if err := json.Unmarshal(raw, &id); err != nil {
				id = strings.TrimSpace(string(raw)) // a number
			}
		}
		if !seen[id] { // the same id in two indices
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}
