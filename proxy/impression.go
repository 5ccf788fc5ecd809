package proxy

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/search"
)

// What a client is shown is kept once the client has it: an impression of each page, as User Behavior Insights has queries. It is read off
// the answer as it leaves, so that it holds for a page that was reranked, for one that came back from a failure, and for one of the
// cluster's own order alike.

// headerQueryID tells the id of a search, by which events may name it.
const headerQueryID = "X-Rerank-Query-Id"

// spoken is in every body that says something to UBI.
var spoken = []byte(`"ubi"`)

// speaks reports whether a body may say something that is not for the cluster alone: to us, or to UBI.
func speaks(body []byte) bool { return bytes.Contains(body, ours) || bytes.Contains(body, spoken) }

// listen reads a search that is not planned for what it says to us and to UBI.
func (s *searching) listen(rawQuery string, body []byte) {
	if !speaks(body) {
		return
	}
	if s.parsed, _ = search.Parse(rawQuery, body); s.parsed != nil {
		s.readUBI()
	}
}

// readUBI reads what the search says of itself to UBI. Where anything is kept, whoever says that wants to be kept too, reranked or not.
func (s *searching) readUBI() {
	s.ubi, _ = s.parsed.UBI() // a search that says it badly is no worse a search
	if s.ubi != nil {
		s.queryID = s.ubi.QueryID
	}
	s.recorded = s.live.Sink != nil && s.ubi != nil && s.showsIDs()
}

// id is the search's: its client's, where it says one, or else one that is made when it is asked for.
func (s *record) id() string {
	if s.queryID == "" {
		s.queryID = newQueryID()
	}
	return s.queryID
}

// newQueryID is a random UUID (RFC 9562, version 4).
func newQueryID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// queryIDs are the ids of a request's searches, in their order, and a - for each of which it cannot be told; "" where that is each. All have
// one, recorded or not: so an application need not know what is, and its events name a search as it was named to it.
func (j *journey) queryIDs() string {
	ids := make([]string, 0, 1)
	any := false
	for _, s := range j.searches[:min(len(j.searches), maxDebug)] {
		told := "-"
		if id := s.id(); tellable(id) && (!s.plugins || s.named) {
			told, any = id, true
		}
		ids = append(ids, told)
	}
	if !any {
		return ""
	}
	return strings.Join(ids, ", ")
}

// tellable reports whether an id can stand in a header and be found again there: a client's own may hold anything.
func tellable(id string) bool {
	return id != "" && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' })
}

// toldID is the id that the answer's body tells, to a client that speaks of UBI.
func (s *searching) toldID() string {
	if s.ubi == nil {
		return ""
	}
	return s.id()
}

// showsIDs reports whether the client's filter_path lets through by which hits are known.
func (s *searching) showsIDs() bool {
	if s.query != nil {
		return s.query.ShowsIDs()
	}
	return s.parsed.ShowsIDs()
}

// see notes what the client is shown: a page of the cluster's answer.
func (s *searching) see(hits *search.Response, page search.Page) {
	if !s.recorded {
		return
	}
	field := ""
	if s.ubi != nil {
		field = s.ubi.ObjectIDField
	}
	shown, err := hits.Shown(page, field)
	if err != nil {
		return // it cannot be spliced either
	}
	i := &experiment.Impression{
		QueryID:    s.id(),
		Experiment: s.trial.experiment, Phase: s.trial.phase, Variant: s.trial.variant, Unit: s.trial.unit, Design: s.trial.design,
		Index: s.indices, Rule: s.rule, Words: s.words,
		From: s.parsed.From(), Hits: make([]experiment.Shown, len(shown)), Total: hits.Total(),
	}
	if s.trial.out {
		i.Experiment = ""
	}
	if field != "_id" {
		i.Field = field
	}
	if s.ubi != nil {
		i.Client, i.Application, i.Attributes = s.ubi.ClientID, s.ubi.Application, s.ubi.Attributes
	}
	for k, hit := range shown {
		i.Hits[k] = experiment.Shown{Index: hit.Index, ID: hit.ID, Object: hit.Object}
		if place := page.From + k; place < len(s.teams) {
			i.Hits[k].Team = s.teams[place]
		}
	}
	s.impression = i
	if s.live.Tracker != nil {
		s.visitor, s.searched = s.live.visitor(s.req.Header, s.ubi), s.number()
	}
}

// seeOwn notes what an answer to the client's own request shows, and returns it with the search's id where that is to be told.
func (s *searching) seeOwn(body []byte) []byte {
	hits, err := search.ParseResponse(body)
	if err != nil {
		return body
	}
	s.teams = nil
	s.see(hits, search.Page{Size: math.MaxInt32})
	if shows := s.query == nil && s.parsed.ShowsQueryID() || s.query != nil && s.query.ShowsQueryID(); s.toldID() != "" && shows {
		if told, err := search.AddQueryID(body, s.id()); err == nil {
			return told
		}
	}
	return body
}

// give gives the client an answer to its own request. Where what it shows is kept, it is held for that.
func (x *exchange) give(res *http.Response) (*http.Response, error) {
	if x.seeing == nil || res.StatusCode != http.StatusOK {
		x.show(res.Header)
		return res, nil
	}
	a := &held{Response: res}
	var reason search.Reason
	if a.raw, reason, _ = x.receive(res); reason == "" {
		a.body, reason, _ = x.open(res, a.raw)
	}
	if reason != "" {
		a.Body = replay(a.raw, a.Body)
		x.show(a.Header)
		return a.Response, nil
	}
	return x.deliver(a, x.seeing(a.body))
}

// keep hands the impressions of a request to the sink, once its client has what they tell of.
func (h *Handler) keep(c *call, status int) {
	for _, s := range c.journey.searches {
		i := s.impression
		if i == nil || status != http.StatusOK {
			continue
		}
		j := c.journey
		i.Time = h.now().UTC()
		i.Outcome, i.Reason = j.outcome(s), string(s.reason)
		if s.trial.spoiled != "" {
			i.Outcome, i.Reason = "skipped", string(s.trial.spoiled)
		}
		i.Cluster, i.Added, i.Took = j.cluster, j.widening+j.ranking+j.splicing, j.total
		c.live.Sink.Keep(experiment.Record{Impression: i})
		s.conclude(c.live)
	}
}

// watch has the answer to the client's own request looked at, where one is given, for the searches that are recorded.
func (x *exchange) watch(all ...*searching) {
	for _, s := range all {
		if s.recorded || s.ubi != nil && s.live.Sink != nil {
			s.parsed = s.parsed.Recorded() // a cluster without the plugin would refuse it, and one with it keep it twice
		}
		s.plugins = s.ubi != nil && s.ubi.QueryID == "" && s.live.Sink == nil
	}
	if !slices.ContainsFunc(all, func(s *searching) bool { return s.recorded }) {
		return
	}
	x.seeing = all[0].seeOwn
	if x.query != nil {
		x.seeing = func(body []byte) []byte { return seeAll(all, body) }
	}
}

// seeAll notes what the answer to a multi-search shows.
func seeAll(all []*searching, body []byte) []byte {
	responses, err := search.ParseMultiResponse(body)
	if err != nil || responses.Items() != len(all) {
		return body
	}
	pages := make([][]byte, len(all))
	for i, s := range all {
		if s.recorded {
			pages[i] = s.seeOwn(responses.Item(i))
		}
	}
	told, err := responses.Splice(pages, 0)
	if err != nil {
		return body
	}
	return told
}
