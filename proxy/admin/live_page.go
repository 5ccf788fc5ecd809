package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

var livePage = parsePage("live.html")

// What the live page shows at most.
const (
	rowsShown  = 200
	rowsAtOnce = 100 // in one answer to a page that is open
)

// A watching is what the live page shows: searches by a filter, and how it has been for some minutes.
//
//	/live?minutes=15&outcome=skipped&q=shoes
type watching struct {
	head
	Minutes int
	Ranges  []viewLink
	Outcome string // "": all
	Text    string // within words, indices, rule, reason, experiment or variant
	Words   bool   // they are kept
	Rows    []row
	Last    uint64 // the number of the last search
	Spans   []span
	Feed    string // where a page that is open asks for more
}

// A viewLink is one of the ways to look.
type viewLink struct {
	Name, URL string
	Here      bool
}

// A row is a search as it is shown.
type row struct {
	Search
	Compare string // where it can be seen side by side; "": its words are not known
}

// A span is how it has been for a while.
type span struct {
	Name                                         string
	Applied, Skipped, Failed                     string // a second
	Cluster50, Cluster95, Added50, Added95, Rate string
}

func (s *site) watchLive(w http.ResponseWriter, r *http.Request) {
	p := s.watch(r.URL.Query())
	now := time.Now()
	p.Rows, p.Last = s.rows(p, 0, rowsShown)
	p.Spans = s.spans(now)
	s.show(w, http.StatusOK, livePage, p)
}

// watch reads a URL's parameters. What it does not understand is as if it were not there: there is nothing to lose on this page.
func (s *site) watch(v url.Values) *watching {
	p := &watching{head: s.head("Live", "/live", "uplot.min.js", "live.js"), Minutes: 15, Words: s.Words == nil || s.Words()}
	p.Styles = []string{"uplot.min.css"}
	switch n, _ := strconv.Atoi(v.Get("minutes")); n {
	case 5, 60:
		p.Minutes = n
	}
	switch o := v.Get("outcome"); o {
	case "applied", "skipped", "failed":
		p.Outcome = o
	}
	p.Text = clip(strings.TrimSpace(strings.ToValidUTF8(v.Get("q"), "")), maxText)
	for _, n := range []int{5, 15, 60} {
		p.Ranges = append(p.Ranges, viewLink{fmt.Sprintf("%d minutes", n), p.url("/live", n), n == p.Minutes})
	}
	p.Feed = p.url("/live/feed", p.Minutes)
	return p
}

func (p *watching) url(path string, minutes int) string {
	v := url.Values{}
	if minutes != 15 {
		v.Set("minutes", strconv.Itoa(minutes))
	}
	if p.Outcome != "" {
		v.Set("outcome", p.Outcome)
	}
	if p.Text != "" {
		v.Set("q", p.Text)
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// URL is where the same is shown again.
func (p *watching) URL() string { return p.url("/live", p.Minutes) }

// Outcomes are those to choose from.
func (p *watching) Outcomes() []string { return []string{"applied", "skipped", "failed"} }

// wants reports whether a search passes the filter.
func (p *watching) wants(s *Search) bool {
	if p.Outcome != "" && s.Outcome != p.Outcome {
		return false
	}
	if p.Text == "" {
		return true
	}
	text := strings.ToLower(p.Text)
	for _, in := range []string{s.Words, s.Indices, s.Rule, s.Reason, s.Experiment, s.Variant} {
		if strings.Contains(strings.ToLower(in), text) {
			return true
		}
	}
	return false
}

func (s *site) rows(p *watching, after uint64, most int) (rows []row, last uint64) {
	found, last := s.Live.since(after, most, p.wants)
	for _, search := range found {
		r := row{Search: search}
		if s.Comparer != nil && search.Words != "" && search.Indices != "" {
			r.Compare = (state{Question: Question{Index: search.Indices, Words: search.Words}}).url()
		}
		rows = append(rows, r)
	}
	return rows, last
}

// spans are the last minute, the last five and the hour, up to the last five seconds that are over.
func (s *site) spans(now time.Time) (spans []span) {
	all := s.Live.between(now.Add(-time.Hour), now)
	all = all[:len(all)-1]
	for _, of := range []struct {
		name string
		long time.Duration
	}{{"1 minute", time.Minute}, {"5 minutes", 5 * time.Minute}, {"1 hour", time.Hour}} {
		var sum bucket
		for i := max(0, len(all)-int(of.long/bucketSpan)); i < len(all); i++ {
			sum.applied, sum.skipped, sum.failed = sum.applied+all[i].applied, sum.skipped+all[i].skipped, sum.failed+all[i].failed
			sum.cluster.add(&all[i].cluster)
			sum.added.add(&all[i].added)
		}
		spans = append(spans, span{
			Name: of.name, Rate: rate(sum.count(), of.long),
			Applied: rate(sum.applied, of.long), Skipped: rate(sum.skipped, of.long), Failed: rate(sum.failed, of.long),
			Cluster50: quantile(&sum.cluster, 0.5), Cluster95: quantile(&sum.cluster, 0.95),
			Added50: quantile(&sum.added, 0.5), Added95: quantile(&sum.added, 0.95),
		})
	}
	return spans
}

// rate is so many a second.
func rate(n uint32, in time.Duration) string {
	switch r := float64(n) / in.Seconds(); {
	case n == 0:
		return "0"
	case r < 0.005:
		return "< 0.01"
	case r < 10:
		return fmt.Sprintf("%.2f", r)
	case r < 100:
		return fmt.Sprintf("%.1f", r)
	default:
		return fmt.Sprintf("%.0f", r)
	}
}

func quantile(h *histogram, share float64) string {
	if ms := h.quantile(share); !math.IsNaN(ms) {
		return inMillis(ms)
	}
	return "–"
}

// millis shows a time; nothing, where it was not spent.
func millis(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return inMillis(float64(d) / float64(time.Millisecond))
}

func inMillis(ms float64) string {
	if ms < 9.95 {
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

// A feed is what a page that is open asks for every other second: what has come after the last search that it shows, and the times since
// the last one that it draws. Series are in step: one value for each time, null where there were no searches.
type feed struct {
	Last   uint64               `json:"last"`  // the number of the last search
	Rows   string               `json:"rows"`  // of the table, as HTML, newest first
	Spans  string               `json:"spans"` // of the summary, as HTML
	Times  []int64              `json:"times"` // seconds since 1970 at which each span of five seconds began
	Series map[string][]*number `json:"series"`
}

// A number has four digits in JSON.
type number float64

// MarshalJSON is part of [json.Marshaler].
func (n number) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(n), 'g', 4, 64), nil
}

// feed answers a page that is open.
func (s *site) feed(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	p := s.watch(v)
	after, _ := strconv.ParseUint(v.Get("after"), 10, 64)
	since, _ := strconv.ParseInt(v.Get("since"), 10, 64)
	now := time.Now()
	from := now.Add(-time.Duration(p.Minutes) * time.Minute)
	if at := time.Unix(since, 0); since > 0 && at.After(from) {
		from = at
	}
	f := feed{Series: map[string][]*number{}}
	var rows, spans bytes.Buffer
	p.Rows, f.Last = s.rows(p, after, rowsAtOnce)
	p.Spans = s.spans(now)
	if err := cmp.Or(livePage.ExecuteTemplate(&rows, "rows", p), livePage.ExecuteTemplate(&spans, "spans", p)); err != nil {
		s.Logger.Error("making a page", "page", "live", "error", err)
		http.Error(w, "this page could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	f.Rows, f.Spans = rows.String(), spans.String()
	f.draw(s.Live.between(from, now))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(f)
}

// draw makes series of buckets, the last of which, not being over, is left out.
func (f *feed) draw(buckets []bucket) {
	f.Times = []int64{}
	names := []string{"applied", "skipped", "failed", "cluster50", "cluster95", "added50", "added95"}
	for _, name := range names {
		f.Series[name] = []*number{}
	}
	for i := range buckets[:max(0, len(buckets)-1)] {
		b := &buckets[i]
		f.Times = append(f.Times, b.began*int64(bucketSpan/time.Second))
		for k, value := range []float64{
			float64(b.applied) / bucketSpan.Seconds(), float64(b.skipped) / bucketSpan.Seconds(), float64(b.failed) / bucketSpan.Seconds(),
			b.cluster.quantile(0.5), b.cluster.quantile(0.95), b.added.quantile(0.5), b.added.quantile(0.95),
		} {
			var n *number
			if !math.IsNaN(value) {
				n = new(number(value))
			}
			f.Series[names[k]] = append(f.Series[names[k]], n)
		}
	}
}
