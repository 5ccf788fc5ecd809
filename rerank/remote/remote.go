// Package remote scores documents by a rerank server, over HTTP: how inference leaves this process, be it to a machine with a GPU, to a
// service, or to another rerankd on the same machine, whose crash is then not ours.
//
// Servers speak one of a few dialects ([Protocol]). Whichever it is, a [Scorer] sends the documents in batches, best first, a few requests
// at once; at a deadline, the batches that were answered before it are the prefix that package rerank asks for. What is measured on the way
// decides how large a batch may be to come back in time, and whether a search has to be refused.
//
// A server is not trusted: its answers are bounded in size and time, redirects are not followed, and an answer that does not give each
// document one finite score is an error. One that fails several times in a row is left alone for a while, one that says that it is busy
// for as long as it says.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rerankd/rerankd/rerank"
	"github.com/rerankd/rerankd/rerank/breaker"
)

// Options of a [Scorer].
type Options struct {
	// URL of the server. One without a path gets the one that the protocol's servers have by themselves; any other is taken as it is.
	URL      string
	Protocol Protocol
	// Model is what the server calls the model. For Elastic it is the inference id, for TEI, which has one model, nothing.
	Model string
	// Key is sent as the protocol wants it: "Authorization: ApiKey" for Elastic, "Bearer" for the others. It is shown nowhere; "" sends none.
	Key string
	// Scores says what the server's scores are; "" is what the protocol's servers usually give.
	Scores      Scores
	Timeout     time.Duration // of one request; 0 = 10 s
	Batch       int           // documents in one request at most; 0 = 32 for TEI and Elastic, 100 for the others
	Concurrency int           // requests under way at most, of all searches together; 0 = 4
}

// Scores is what a server's numbers mean. Package rerank wants logits: blending and shown scores are made for them.
type Scores string

const (
	Logits        Scores = "logits"        // any finite number
	Probabilities Scores = "probabilities" // 0 to 1; the logit is taken of them
)

// Scorer is a [rerank.Scorer] by a server.
type Scorer struct {
	dialect dialect
	model   string
	url     string
	key     string // only for the header, and to be struck out of what a server says
	scores  Scores
	timeout time.Duration
	batch   int
	client  *http.Client

	slots   chan struct{} // a request under way holds one
	pace    pace
	pending atomic.Int64 // documents of the searches that were admitted, those in the background not among them
	behind  behind
	pause   atomic.Int64 // Unix nanoseconds until when the server wants to be left alone
	breaker *breaker.Breaker

	mu    sync.Mutex
	stats Stats
}

var (
	_ rerank.Scorer    = (*Scorer)(nil)
	_ rerank.Estimator = (*Scorer)(nil)
)

// Stats are a Scorer's counters.
type Stats struct {
	Queued  int           // documents that wait for a request
	Running int           // documents in a request
	Scored  uint64        // documents that got a score
	Dropped uint64        // documents admitted but not scored: a deadline, a cancellation, a failure
	Refused uint64        // documents that would not have been scored in time, or that the server was too busy for
	Waiting time.Duration // time spent in requests that were answered
	Broken  bool          // the server is left alone, as it failed several times in a row
}

// New checks the options; it does not ask the server. Close the Scorer after use.
func New(o Options) (*Scorer, error) {
	d, ok := dialects[o.Protocol]
	if !ok {
		return nil, fmt.Errorf("there is no protocol %q: it may be %s", o.Protocol, strings.Join(protocolNames(), ", "))
	}
	address, err := d.endpoint(o.URL, o.Model)
	if err != nil {
		return nil, err
	}
	s := &Scorer{
		dialect: d, model: o.Model, url: address, key: o.Key,
		scores: d.scores, timeout: 10 * time.Second, batch: d.batch,
	}
	switch o.Scores {
	case "":
	case Logits, Probabilities:
		s.scores = o.Scores
	default:
		return nil, fmt.Errorf("scores are %s or %s, not %q", Logits, Probabilities, o.Scores)
	}
	if o.Timeout > 0 {
		s.timeout = o.Timeout
	}
	if o.Batch > 0 {
		s.batch = o.Batch
	}
	concurrency := 4
	if o.Concurrency > 0 {
		concurrency = o.Concurrency
	}
	s.slots = make(chan struct{}, concurrency)
	s.client = &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    concurrency,
			IdleConnTimeout:        50 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		// The texts of a search, and the key, go where the operator said and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.breaker = breaker.New(breaker.Options{
		Of:       s.url,
		Innocent: func(err error) bool { return errors.Is(err, context.Canceled) || errors.Is(err, rerank.ErrBusy) },
	})
	return s, nil
}

// URL is where the Scorer asks.
func (s *Scorer) URL() string { return s.url }

// Close gives the connections back. It is called after the last Score.
func (s *Scorer) Close() { s.client.CloseIdleConnections() }

// Stats returns the counters as they stand.
func (s *Scorer) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Queued = max(int(s.pending.Load())-stats.Running, 0)
	stats.Broken = !s.breaker.Working()
	return stats
}

// Pace is what a document takes nowadays, from its request to its answer; 0 = nothing was answered yet.
func (s *Scorer) Pace() time.Duration { return s.pace.document() }

// Estimate is how long scoring docs would take, those that are under way before them included; 0 where nothing was heard of the server for
// a while.
func (s *Scorer) Estimate(_ string, docs []string) time.Duration {
	return s.pace.estimate(int(s.pending.Load())+len(docs), cap(s.slots))
}

// Score returns at ctx's deadline with the scores of the batches that were answered before it, as far as they follow on each other. It
// returns [rerank.ErrBusy] where the server said so a moment ago, or would not come to this search in time. Any other failure of a batch
// fails the search; after some in a row all fail at once, until the server works again.
func (s *Scorer) Score(ctx context.Context, query string, docs []string) ([]float32, error) {
	if err := ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, nil
	}
	if err := s.admit(ctx); err != nil {
		s.count(func(stats *Stats) { stats.Refused += uint64(len(docs)) })
		return nil, err
	}
	done, err := s.breaker.Allow()
	if err != nil {
		return nil, err
	}
	var scores []float32
	if rerank.Background(ctx) {
		scores, err = s.scoreBehind(ctx, query, docs)
	} else {
		s.pending.Add(int64(len(docs)))
		s.behind.giveWay()
		scores, err = s.score(ctx, query, docs)
		s.pending.Add(-int64(len(docs)))
	}
	s.count(func(stats *Stats) {
		stats.Scored += uint64(len(scores))
		stats.Dropped += uint64(len(docs) - len(scores))
	})
	done(err)
	if errors.Is(err, errSilent) { // which is the server's fault, and still only a deadline to the search
		err = nil
	}
	return scores, err
}

// What Warm asks.
const (
	warmQuery    = "how does a server warm up"
	warmDocument = "The first answers of a server are slower than the later ones, because memory is fetched and buffers grow to their size. " +
		"What is measured after them is what a search will meet, and a text of about this length is what it will bring: two or three " +
		"sentences, as they stand in a catalogue, in the abstract of an article, or in the answer to a question. Longer ones are cut."
	warmDocuments = 16
)

// Warm asks the server for the scores of one document, after which a connection is open and the server's first, slow run is over, and then
// of some, and keeps what those took as the pace. An error says that the server does not answer, or not in this way.
func (s *Scorer) Warm(ctx context.Context) error {
	docs := slices.Repeat([]string{warmDocument}, warmDocuments)
	for _, n := range []int{1, min(s.batch, warmDocuments)} {
		s.pace.forget()
		scores, err := s.Score(ctx, warmQuery, docs[:n])
		if err != nil {
			return err
		}
		if len(scores) < n {
			return fmt.Errorf("asking %s: %w", s.url, errSilent)
		}
	}
	return nil
}

// admit says why a search has to be refused.
func (s *Scorer) admit(ctx context.Context) error {
	if wait := time.Until(time.Unix(0, s.pause.Load())); wait > 0 {
		return fmt.Errorf("%s wants to be left alone for %v: %w", s.url, wait.Round(time.Millisecond), rerank.ErrBusy)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if wait := s.pace.estimate(int(s.pending.Load()), cap(s.slots)); wait > time.Until(deadline) {
			return fmt.Errorf("waiting %v for %s: %w", wait.Round(time.Millisecond), s.url, rerank.ErrBusy)
		}
	}
	return nil
}

// errSilent means that the deadline came without a single answer, though there was time for one.
var errSilent = errors.New("no answer came before the deadline")

// patience is what any server is given before its silence counts as a failure.
const patience = 100 * time.Millisecond

// score sends the batches. There is one error of all: the first.
func (s *Scorer) score(search context.Context, query string, docs []string) ([]float32, error) {
	ctx, cancel := context.WithCancel(search)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed error
		scores = make([]float32, len(docs))
		ends   []int // of the batches, in order; 0: not answered
		silent bool  // one was asked, and had the time to answer
	)
	for start := 0; start < len(docs); {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil { // be it that there was a slot as well: what is sent now is of no use
			break
		}
		end := min(start+s.pace.batch(ctx, s.batch), len(docs))
		batch, into := docs[start:end], scores[start:end]
		start = end
		mu.Lock()
		number := len(ends)
		ends = append(ends, 0)
		mu.Unlock()
		wg.Go(func() {
			defer func() { <-s.slots }()
			began := time.Now()
			err := s.ask(ctx, query, batch, into)
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				ends[number] = end
				s.pace.learn(took, len(batch))
				s.count(func(stats *Stats) { stats.Waiting += took })
			case errors.Is(search.Err(), context.DeadlineExceeded):
				s.pace.tooLong(took, len(batch))
				silent = silent || took >= patience
			case failed == nil && ctx.Err() == nil:
				failed = err
				cancel()
			}
		})
	}
	wg.Wait()
	prefix := 0
	for _, end := range ends {
		if end == 0 {
			break
		}
		prefix = end
	}
	switch {
	case errors.Is(search.Err(), context.Canceled):
		return nil, search.Err()
	case failed != nil:
		return nil, failed
	case prefix == 0 && silent:
		return nil, fmt.Errorf("asking %s: %w", s.url, errSilent)
	}
	return scores[:prefix], nil
}

func (s *Scorer) count(do func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(&s.stats)
}

// endpoint is where to ask: the URL, with the protocol's own path where it has none.
func (d dialect) endpoint(base, model string) (string, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("the URL must be http or https, such as http://127.0.0.1:8080")
	case u.User != nil:
		return "", errors.New("the URL must not contain credentials: they are the key")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("the URL must end with the path")
	case d.needsModel && model == "":
		return "", errors.New("the protocol needs the name of a model")
	}
	if u.Path == "" || u.Path == "/" {
		u = u.JoinPath(d.path)
		if d.idInPath {
			u = u.JoinPath(url.PathEscape(model))
		}
	}
	return u.String(), nil
}
