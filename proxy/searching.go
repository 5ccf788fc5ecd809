package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/filterpath"
	"github.com/rerankd/rerankd/proxy/search"
	"github.com/rerankd/rerankd/rerank"
)

// searching is one search on its way. Its methods are in the order of the way: rule, plan, request, take, rank, cut. How its request and
// its answer travel is the exchange's.
type searching struct {
	*exchange
	*record

	parsed *search.Request

	ubi      *search.UBI       // what it says of itself to UBI; nil: nothing
	digested experiment.Digest // by digest, once it was asked

	// The plan, which does not change once the cluster is asked.
	covering  int  // the place of the rule that covers it
	line      int  // its place in a request of several searches
	rival     bool // it shares its page with another, whose window may be larger
	behind    bool // it is ranked in another's shadow, and teaches nothing about it
	ruled     Rule
	ranker    Ranker
	template  search.Template
	depth     int // hits to rerank
	wide      *search.Widened
	asItComes bool             // the page is ranked that the client's own request brings
	status    bool             // the answer of the client's endpoint ends with a status, that of the one that is asked does not
	version   string           // of what ranks: orders are remembered under it
	emulated  *search.Reranker // the client's own, which is run here; nil: there is none, or it is the cluster's to run
	refusal   *search.Refusal  // what Elasticsearch would say to it; nil: it would run it
	rivals    []*searching     // the two variants that share its page; nil: there is one
	seed      uint64           // of the page that they share

	// What the cluster answered.
	hits    *search.Response
	bytes   int               // of the answer
	offered []rerank.Hit      // the window
	window  pageKey           // what its order depends on
	order   *ranked           // nil: nothing was ranked
	teams   []experiment.Team // whose pick the hits of an order are that rivals share
}

// begin adds a search on an index expression to the exchange.
func (x *exchange) begin(indices string) *searching {
	s := &searching{exchange: x, record: &record{indices: indices}}
	x.searches = append(x.searches, s.record)
	return s
}

// Where a rule does not say.
const (
	defaultWindow = 50
	defaultBudget = 300 * time.Millisecond
)

// plain is the search as the cluster is to see it where it is not reranked: the client's own, less what it says to us, and for an emulated
// reranker the search of its child.
func (s *searching) plain() (rawQuery string, body []byte) {
	if s.emulated != nil {
		if rawQuery, body, err := s.parsed.Child(); err == nil {
			return rawQuery, body
		}
	}
	if s.live.OpenSearch != nil && s.live.OpenSearch() && !s.bare && !s.live.noPlugin.Load() {
		return s.parsed.Original() // a pipeline may read ext.rerank.query_context
	}
	return s.parsed.Plain()
}

// instructions are what the client's headers say to us. They are only for this request, and can only ask for less than the rule allows.
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

// governed finds the rule for the search. It reports whether one lets it be reranked.
func (s *searching) governed() bool {
	i, found, ready := s.live.rule(s.indices, s.req.Header)
	switch {
	case !ready:
		s.skip(search.Warming, "what the index names stand for is being read", nil)
		return false
	case !found:
		s.skip(search.NoRule, "", nil)
		return false
	}
	s.covering, s.rule = i, s.live.Rules[i].Name
	if s.live.Rules[i].Experiment == nil {
		return s.follow(s.live.Rules[i], s.live.templates[i])
	}
	s.ruled, s.template = s.live.Rules[i], s.live.templates[i].Template // until its words are read, and say which variant it gets
	return true
}

// policy says which texts of the search are the user's words.
func (s *searching) policy() search.Policy {
	p := s.ruled.Words
	p.Fields = s.template.Fields()
	return p
}

// plan decides whether and how the search is reranked. Where it is not, it notes the reason.
func (s *searching) plan(rawQuery string, body []byte) {
	var err error
	if s.parsed, err = s.policy().Parse(rawQuery, body); err != nil {
		s.skip(search.MalformedRequest, "", err)
		return
	}
	s.readUBI()
	override, err := s.parsed.Overrides()
	switch {
	case err != nil:
		s.skip(search.MalformedRequest, "ext.rerank", err)
		return
	case override.Mode == "off" && !s.call.said.on: // the header is nearer to the person who debugs
		s.skip(search.Disabled, "by ext.rerank", nil)
		if e := s.ruled.Experiment; e != nil {
			s.trial = trial{experiment: e.Name, out: true}
		}
		return
	}
	if s.parsed.Reranker() != nil {
		s.emulate(s.parsed.Reranker())
	} else if reason, detail := s.parsed.Pass(); reason != "" {
		s.skip(reason, detail, nil)
	}
	if s.reason != "" || !s.planWords(override) || !s.planVariant(override) || !s.planHits(override) {
		return
	}
	s.wide, err = s.parsed.Widen(search.Need{
		Window: s.depth, Fields: s.fields, Unsourced: s.unsourced(), Widen: true, Emulate: s.emulated != nil,
	})
	if err != nil {
		s.skip(search.Unsupported, "", err)
	}
}

// planHits decides which hits are ranked, and whether they can be.
func (s *searching) planHits(override search.Override) (ok bool) {
	if s.rivals != nil {
		return s.planRivals(override)
	}
	if s.depth, ok = s.planWindow(override); !ok || !s.planFields() {
		return false
	}
	return s.asItComes || s.planLanguage() && s.planFit() && s.planTurn()
}

// planFit passes a search of which the widened form was of no use lately.
func (s *searching) planFit() bool {
	reason, unfit := s.handler.unfit.get(s.key())
	if unfit {
		s.skip(reason, "it could not be widened lately", nil)
	}
	return !unfit
}

// maxChunks is more than the passages of a text of 32 KiB, which is what is read of a field.
const maxChunks = 64

// emulate takes the place of a text_similarity_reranker: its child is searched for, and its model is the one that the configuration has
// under its id.
func (s *searching) emulate(k *search.Reranker) {
	if !s.ruled.reranks() { // though a variant of its experiment may
		s.skip(search.Disabled, "by the rule", nil)
		return
	}
	m, ok := s.live.Inference[k.InferenceID]
	if !ok {
		m, ok = s.live.Inference["*"]
	}
	if !ok {
		s.skip(search.Unsupported, fmt.Sprintf("inference_id %q is none that the configuration has under inference", k.InferenceID), nil)
		return
	}
	if s.refusal = k.Refusal(); s.refusal != nil {
		s.skip(search.MalformedRequest, "as Elasticsearch says", nil)
		return
	}
	if reason, detail := k.Pass(); reason != "" {
		s.skip(reason, detail, nil)
		return
	}
	s.emulated, s.version = k, fmt.Sprint(m.Version, " ", k.Chunks)
	s.ruled.Experiment = nil // what ranks is its client's own choice
	s.template = search.FieldsTemplate([]string{k.Field})
	s.ruled.KeepScores = false
	stage := m.Stage
	stage.Passages = min(k.Chunks, maxChunks)
	s.ranker = &rerank.Ranker{
		Stages: []rerank.Stage{stage},
		Fusion: rerank.Fusion{Method: rerank.FusionReplace},
		Scale:  rerank.ScaleES,
	}
}

// planWords decides by which words to rank, the ones nearest to the person who asks first.
func (s *searching) planWords(override search.Override) bool {
	s.words = cmp.Or(s.call.said.query, s.parsed.Words())
	outright := s.call.said.query != "" || override.Query != "" || s.emulated != nil
	switch {
	case s.words == "":
		s.skip(search.NoQuery, "", nil)
	case !outright && s.parsed.Lookup():
		s.skip(search.Lookup, "", nil)
	}
	return s.reason == ""
}

// planLanguage passes a search of which the ranker can make nothing.
func (s *searching) planLanguage() bool {
	if l, ok := s.ranker.(Linguist); ok && !l.Reads(s.words) {
		s.skip(search.Language, "the words are in another script", nil)
	}
	return s.reason == ""
}

// planFields decides what is read of the hits.
func (s *searching) planFields() bool {
	if s.fields = s.template.Fields(); len(s.fields) > 0 {
		return true
	}
	mapping, ready := s.live.catalogue.get(s.live, s.indices, s.req.Header)
	if !ready {
		s.skip(search.Warming, "the mapping is being read", nil)
		return false
	}
	if s.fields = mapping.choose(s.parsed.Fields()).Paths(); len(s.fields) == 0 {
		detail := "the mapping has no text field"
		if mapping == nil {
			detail = "the query names no field, and the mapping could not be read for this client"
		}
		s.skip(search.NoText, detail, nil)
		return false
	}
	s.template = search.JoinedTemplate(s.fields, cmp.Or(s.ruled.Separator, "\n"))
	return true
}

// unsourced are the fields that no document shows, as far as is known: nobody waits for a mapping that is not there yet.
func (s *searching) unsourced() []string {
	m, _ := s.live.catalogue.get(s.live, s.indices, s.req.Header)
	return m.made(s.fields)
}

// planWindow decides how many hits to rerank: what the rule allows, or who asked for less, or what the cluster was found to give.
func (s *searching) planWindow(override search.Override) (window int, ok bool) {
	window = cmp.Or(s.ruled.Window, defaultWindow)
	for _, n := range []int{override.Window, s.call.said.window} {
		if n > 0 {
			window = min(window, n)
		}
	}
	if s.live.Limits.DearWindow > 0 && s.parsed.Dear() != "" {
		window = min(window, s.live.Limits.DearWindow)
	}
	place := s.place()
	if each, ok := s.live.learned.weight.get(place); ok {
		if window = min(window, s.light(each)); window < 2 {
			s.skip(search.TooLarge, "the hits of these indices", nil)
			return 0, false
		}
	}
	if reach, ok := s.live.learned.reach.get(place); ok {
		if window = min(window, reach); s.parsed.From()+s.parsed.Size() > reach {
			s.skip(search.UpstreamStatus, fmt.Sprintf("the cluster gives %d hits", reach), nil)
			return 0, false
		}
	}
	if s.emulated != nil {
		return s.emulated.Window, true // the hits beyond are nobody's, and the page may be empty
	}
	if window = s.parsed.Window(window); window == 0 || s.parsed.From() >= window && !s.rival {
		s.skip(search.BeyondWindow, "", nil)
		return 0, false
	}
	return window, true
}

// take reads the cluster's answer to the search. A reason says why it is of no use.
func (s *searching) take(body []byte) (search.Reason, error) {
	var err error
	if s.hits, err = search.ParseResponse(body); err != nil {
		return search.UpstreamMalformed, err
	}
	s.bytes = len(body)
	if s.wide.Changed && s.hits.FailedShards() > 0 { // perhaps for what we asked, and their hits would be lost
		if !s.behind {
			s.handler.unfit.keep(s.key(), search.UpstreamPartial)
		}
		return search.UpstreamPartial, nil
	}
	if s.asItComes && s.hits.Sorted() {
		return search.Sort, nil
	}
	s.wide.Window = min(s.wide.Window, s.weigh(len(body), s.hits.Hits()))
	return "", nil
}

// refused learns from a refusal of the widened search, so that the next one is not refused again.
func (s *searching) refused(refusal []byte) {
	if !s.wide.Changed {
		return
	}
	if hits, ok := reachOf(refusal); ok && hits < s.wide.Window {
		s.live.learned.reach.keep(s.place(), hits)
	} else {
		s.handler.unfit.keep(s.key(), search.UpstreamStatus)
	}
}

// useless remembers that the answer to the widened search could not be used, where the next one could not either.
func (s *searching) useless(reason search.Reason) {
	if reason == search.TooLarge && s.wide != nil && s.wide.Changed {
		s.handler.unfit.keep(s.key(), reason)
	}
}

// offer makes the window of what the cluster answered. It reports whether there is anything to rank.
func (s *searching) offer() bool {
	if s.rivals != nil {
		return s.offerRivals()
	}
	window := min(s.wide.Window, s.hits.Hits())
	switch {
	case s.hits.Hits() == 0:
		s.skip(search.NoHits, "", nil)
		return false
	case window < 2 && s.hits.Hits() > 1 && s.wide.Enlarged:
		s.skip(search.TooLarge, "the hits of these indices", nil)
		return false
	case window < 2:
		s.skip(search.OneHit, "", nil)
		return false
	}
	s.offered = make([]rerank.Hit, window)
	for i, text := range s.hits.Texts(window, s.template) {
		s.offered[i] = rerank.Hit{Text: text, Score: s.hits.Score(i), Hold: s.hits.Held(i)}
	}
	s.window = newPageKey(s.ruled.Name, s.version, s.words, s.hits, s.offered)
	return true
}

// rank finds the window's order: the one it was shown in lately, or a new one.
func (s *searching) rank(received time.Time) {
	if s.rivals != nil {
		s.rankRivals(received)
		return
	}
	r, shown := s.handler.pages.get(s.window)
	// A first page is where a user begins anew: there a ranking that failed is no reason not to try again.
	if shown && !r.applied() && s.parsed.From() == 0 {
		s.handler.pages.forget(s.window)
		shown = false
	}
	if shown {
		s.order, s.remembered = r, true
	} else {
		ctx, cancel := context.WithDeadline(s.call.ctx, s.deadline(received))
		defer cancel()
		s.order = newRanked(s.consult(ctx))
		if s.call.ctx.Err() == nil { // else it is shown to nobody
			// Of two that rank the same window at once, both show what was kept first.
			s.order = s.handler.pages.keep(s.window, s.order)
		}
	}
	s.stages = s.order.stages
	if s.order.applied() {
		s.applied = true
	} else {
		s.skipRanking(s.order)
		s.order = nil
	}
}

// adopt takes over the order of another search for the same window.
func (s *searching) adopt(other *searching) {
	s.order, s.applied, s.stages, s.remembered = other.order, other.applied, other.stages, true
	s.teams, s.trial.spoiled = other.teams, other.trial.spoiled
	s.skip(other.reason, other.detail, other.err)
}

// deadline is when the ranking has to be done.
func (s *searching) deadline(received time.Time) time.Time {
	deadline := received.Add(cmp.Or(s.ruled.Budget, defaultBudget))
	if s.ruled.Total > 0 {
		if end := s.arrived.Add(s.ruled.Total); end.Before(deadline) {
			deadline = end
		}
	}
	return deadline
}

// skipRanking notes why nothing was scored.
func (s *searching) skipRanking(r *ranked) {
	for _, stage := range r.stages {
		if stage.Skipped == "" {
			continue
		}
		for _, reason := range search.Reasons() {
			if string(reason) == stage.Skipped {
				s.skip(reason, "", stage.Err)
				return
			}
		}
		s.skip(search.ModelError, stage.Skipped, stage.Err)
		return
	}
	s.skip(search.ModelError, "no stage ran", nil)
}

// model names what ranked the hits: of several, the last that scored any.
func (s *searching) model() (name string) {
	for _, stage := range s.stages {
		if stage.Scored > 0 {
			name = stage.Model
		}
	}
	return name
}

// cut writes the client's page: in the order that was found, or in the cluster's. took is what the ranking adds to the cluster's own time.
func (s *searching) cut(body []byte, took time.Duration) ([]byte, error) {
	page := search.Page{
		From: s.wide.From, Size: s.wide.Size, KeepScores: s.ruled.KeepScores && s.teams == nil, Strip: s.wide, QueryID: s.toldID(),
	}
	if s.order != nil {
		page.Order, page.Scores = s.order.page(s.hits.Hits())
		page.AddTook = int(took.Milliseconds())
		if s.parsed.Explain() {
			page.Explain = &search.Explanation{Model: s.model(), Hits: s.order.explained()}
		}
		if s.emulated != nil {
			page.Drop = s.order.below(s.emulated.MinScore, s.hits.Hits())
		}
	}
	spliced, err := body, error(nil)
	if s.order != nil || s.wide.Changed || page.QueryID != "" {
		spliced, err = s.hits.Splice(page)
	}
	if err == nil && s.status {
		spliced = search.AddStatus(spliced, s.parsed.Pretty())
	}
	if err == nil && s.wide.Filter != nil {
		spliced, err = s.wide.Filter.Apply(spliced, s.parsed.Pretty())
	}
	if err != nil {
		s.applied = false
		return nil, fmt.Errorf("splicing the response: %w", err)
	}
	s.named = page.QueryID != ""
	s.see(s.hits, page)
	if s.order != nil {
		s.moves = movesOf(page)
		if s.call.said.debug {
			s.told = s.tell(page)
		}
	}
	return spliced, nil
}

// unwritten is the reason where no page could be made of an answer that was read. What only engines know of filter_path is no fault of it,
// and is left to them for a while.
func (s *searching) unwritten(err error) search.Reason {
	if errors.Is(err, filterpath.ErrEmpty) {
		s.handler.unfit.keep(s.key(), search.Format)
		return search.Format
	}
	return search.UpstreamMalformed
}
