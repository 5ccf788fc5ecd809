// Package demo shows what reranking does to the results of a real cluster.
//
// It indexes tens of thousands of software package descriptions, asks the cluster the same searches with and without rerankd in front of it,
// prints both answers side by side, and measures the difference over every search whose right answer is known and was held out from the
// training of the embedded model. Which searches are shown is decided by a seed and by nothing else: those that get worse are among them.
package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what to show and where.
type Options struct {
	Cluster   string // the cluster's URL, with the user and the password in it where it asks for them
	Index     string // "" = debian-packages
	Data      string // a corpus file; "" = this machine's Debian package lists
	Cache     string // where fetched package lists are kept; "" = the user's cache folder
	IndexOnly bool   // end when the index is filled
	Once      bool   // end after the measurement, instead of staying up
	Seed      uint64 // draws the queries that are shown
	Show      int    // how many are shown; 0 = 8
	Measure   int    // how many of the held-out queries are measured; 0 = all

	// Serve starts rerankd in front of the cluster. It returns its URL and what stops it.
	Serve func(ctx context.Context) (url string, stop func() error, err error)

	Out   io.Writer
	Width int  // columns of the terminal; 0 = 110
	Color bool // the terminal shows colours
}

const (
	page    = 10  // hits that a search asks for
	shallow = 30  // hits that reranking is likely to reach
	depth   = 100 // how far down the cluster's own ranking a hit is looked up to say whence it came
)

// Run gives the demonstration, and unless told otherwise stays up until ctx ends, which is no error then.
func Run(ctx context.Context, o Options) (err error) {
	o.Index = cmp.Or(o.Index, "debian-packages")
	o.Show = cmp.Or(o.Show, 8)
	if o.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("finding a folder to keep the documents in: %w", err)
		}
		o.Cache = filepath.Join(dir, "rerankd", "demo")
	}
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return fmt.Errorf("making a folder to keep the documents in: %w", err)
	}
	out := printer{w: o.Out, color: o.Color, width: cmp.Or(o.Width, 110)}
	cluster := Client{URL: o.Cluster}

	corpus, err := Load(o.Data, o.Cache, o.Out)
	if err != nil {
		return err
	}
	name, err := cluster.name(ctx)
	if err != nil {
		return fmt.Errorf("asking the cluster: %w", err)
	}
	out.head(fmt.Sprintf("%s documents (%s) in %s", thousands(len(corpus.Documents)), corpus.Origin, name))
	if err := fill(ctx, cluster, o, corpus); err != nil {
		return err
	}
	if o.IndexOnly {
		return nil
	}

	url, stop, err := o.Serve(ctx)
	if err != nil {
		return fmt.Errorf("starting rerankd in front of the cluster: %w", err)
	}
	defer func() {
		if stopErr := stop(); err == nil {
			err = stopErr
		}
	}()
	reranked := Client{URL: withUser(url, o.Cluster)}

	if queries := corpus.HeldOut(); len(queries) > 0 {
		// The mapping is read aside from the searches, and the first one finds it unread: this is that search.
		if _, err := reranked.Search(ctx, o.Index, queries[0].Text, page); err != nil {
			return err
		}
		if err := show(ctx, out, cluster, reranked, o, queries); err != nil {
			return err
		}
		if err := measure(ctx, out, cluster, reranked, o, queries); err != nil {
			return err
		}
	} else {
		out.note("\nThe file has no queries to measure with. Its lines may carry them: \"queries\": [\"what one would search this by\", …]")
	}
	if o.Once {
		return nil
	}
	out.next(strings.TrimSuffix(o.Cluster, "/"), url, o.Index)
	<-ctx.Done()
	out.note("\nStopping …")
	return nil
}

// name says which engine and version answers. An engine that does not tell (its root path can be closed) is a cluster all the same.
func (c Client) name(ctx context.Context) (string, error) {
	_, answer, err := c.call(ctx, http.MethodGet, "/", "", nil)
	if isStatus(err, http.StatusMethodNotAllowed) || isStatus(err, http.StatusForbidden) {
		return "the cluster at " + c.shown(), nil
	}
	if err != nil {
		return "", err
	}
	var root struct {
		Version struct{ Number, Distribution string }
	}
	if err := json.Unmarshal(answer, &root); err != nil {
		return "", fmt.Errorf("%s is no search cluster: %w", c.shown(), err)
	}
	kind := "Elasticsearch"
	if root.Version.Distribution == "opensearch" {
		kind = "OpenSearch"
	}
	return kind + " " + root.Version.Number + " at " + c.shown(), nil
}

func fill(ctx context.Context, cluster Client, o Options, corpus *Corpus) error {
	bar := newBar(ctx, o.Out, "indexing ", len(corpus.Documents))
	begun := time.Now()
	filled, err := cluster.Index(ctx, o.Index, corpus, bar.add)
	bar.remove()
	switch {
	case err != nil:
		return err
	case filled:
		fmt.Fprintf(o.Out, "  indexed into %q in %.1f s\n", o.Index, time.Since(begun).Seconds())
	default:
		fmt.Fprintf(o.Out, "  the index %q holds them already\n", o.Index)
	}
	return nil
}

// show prints a few searches side by side: drawn among those whose right answer is far down in the cluster's own ranking or high, but is there.
// Reranking cannot find what the cluster did not, so the others would show nothing; what becomes of the drawn ones has no part in the choice.
func show(ctx context.Context, out printer, cluster, reranked Client, o Options, queries []Query) error {
	deep := make(map[string][]Hit)
	var found []Query
	for _, q := range queries {
		result, err := cluster.Search(ctx, o.Index, q.Text, depth)
		if err != nil {
			return err
		}
		if i := place(result.Hits, q); 0 < i && i <= shallow {
			found = append(found, q)
			deep[q.Text] = result.Hits
		}
	}
	random := rand.New(rand.NewPCG(o.Seed, 0))
	drawn := random.Perm(len(found))[:min(o.Show, len(found))]
	out.head(fmt.Sprintf("%d searches, drawn by seed %d from the %d whose package (★) is among the cluster's first %d hits", len(drawn), o.Seed, len(found), shallow))
	out.note("The words are those of the package's own authors, in AppStream; the model has seen neither them nor the package.")
	for _, i := range drawn {
		q := found[i]
		before, err := cluster.Search(ctx, o.Index, q.Text, page)
		if err != nil {
			return err
		}
		after, err := reranked.Search(ctx, o.Index, q.Text, page)
		if err != nil {
			return err
		}
		out.sideBySide(q, before, after, deep[q.Text])
	}
	return nil
}

// measure compares the two rankings over all queries, one search at a time so that the times are what one user would see.
func measure(ctx context.Context, out printer, cluster, reranked Client, o Options, queries []Query) error {
	if o.Measure > 0 && o.Measure < len(queries) {
		queries = queries[:o.Measure]
	}
	out.head(fmt.Sprintf("All %d held-out searches, found or not", len(queries)))
	bar := newBar(ctx, o.Out, "searching", len(queries))
	m := measurement{reasons: make(map[string]int)}
	var err error
	for _, q := range queries {
		var before, after Result
		if before, err = cluster.Search(ctx, o.Index, q.Text, page); err != nil {
			break
		}
		if after, err = reranked.Search(ctx, o.Index, q.Text, page); err != nil {
			break
		}
		m.add(q, before, after)
		bar.add(1)
	}
	bar.remove()
	if err != nil {
		return err
	}
	out.measurement(m)
	return nil
}

// A measurement gathers the answers of both sides to the same queries.
type measurement struct {
	before, after           []float64 // reciprocal ranks
	beforeTimes, afterTimes []time.Duration
	applied                 int
	reasons                 map[string]int // of the searches that were not reranked
}

func (m *measurement) add(q Query, before, after Result) {
	m.before = append(m.before, ReciprocalRank(before.Hits, q.Relevant))
	m.after = append(m.after, ReciprocalRank(after.Hits, q.Relevant))
	m.beforeTimes = append(m.beforeTimes, before.Time)
	m.afterTimes = append(m.afterTimes, after.Time)
	if strings.HasPrefix(after.Rerank, "applied") {
		m.applied++
		return
	}
	_, reason, _ := strings.Cut(after.Rerank, "reason=")
	m.reasons[cmp.Or(reason, "unexplained")]++
}

// percentile returns the time that p % of the times do not exceed.
func percentile(times []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[(len(sorted)*p+99)/100-1]
}
