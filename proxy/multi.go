package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rerankd/rerankd/proxy/search"
)

// multiple is a request of several searches, each with a rule, a plan and an outcome of its own. They travel together: one request to the
// cluster, and one to the models, whose queue gives the documents of all of them their turns.
type multiple struct {
	*exchange
	items []*searching // of each line, in order

	templates bool     // the lines are templates
	rendered  [][]byte // what came out of them; nil: nothing did, and the pages are ranked as they come
}

// multi is a request to _msearch.
func (x *exchange) multi(indices string) (*http.Response, error) {
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
	m.plan(indices, func(s *searching, i int) { s.plan("", m.lines.Searches[i].Body) })
	x.plain = m.plain
	x.watch(m.items...)
	if !m.planned() {
		x.skip(search.MalformedRequest, "a search beside it cannot be read", nil)
		return x.pass()
	}
	start := time.Now()
	req := m.request()
	x.widening = time.Since(start)
	return m.answer(req)
}

// declineAll passes a request that is not to be reranked, less what its searches say to us.
func (x *exchange) declineAll() (*http.Response, error) {
	if err := x.readOurs(); err != nil {
		return nil, err
	}
	lines, err := search.ParseMulti(x.body)
	if err != nil {
		return x.pass()
	}
	m, all := &multiple{exchange: x, templates: x.endpoint == endpointMultiTemplate}, x.searches[0]
	x.query, _ = search.ParseMultiQuery(x.req.URL.RawQuery)
	x.lines, x.searches = lines, nil
	for _, line := range lines.Searches {
		s := x.begin(cmp.Or(line.Indices, all.indices))
		s.skip(all.reason, all.detail, all.err)
		s.withdraw()
		if !m.templates {
			s.listen("", line.Body)
		}
		m.items = append(m.items, s)
	}
	if speaks(x.body) {
		x.plain = m.plain
		x.watch(m.items...)
	}
	return x.pass()
}

// several reads the request as several searches; nil where it is not to be reranked as a whole.
func (x *exchange) several() *multiple {
	if x.searches[0].reason != "" {
		return nil
	}
	m := &multiple{exchange: x}
	var err error
	if m.query, err = search.ParseMultiQuery(x.req.URL.RawQuery); err == nil {
		m.lines, err = search.ParseMulti(x.body)
	}
	if err != nil {
		x.skip(search.MalformedRequest, "", err)
		return nil
	}
	if reason, detail := m.query.Pass(); reason != "" {
		x.skip(reason, detail, nil)
		return nil
	}
	return m
}

// plan plans each search by itself, those that a rule covers as planOne does.
func (m *multiple) plan(indices string, planOne func(s *searching, i int)) {
	m.searches = m.searches[:0]
	for i := range m.lines.Searches {
		line := &m.lines.Searches[i]
		s := m.begin(cmp.Or(line.Indices, indices))
		s.line = i
		m.items = append(m.items, s)
		if reason, detail := line.Pass(); reason != "" {
			s.skip(reason, detail, nil)
		} else if s.governed() {
			planOne(s, i)
		}
		if s.parsed == nil && !m.templates {
			s.listen("", line.Body)
		}
	}
}

// planned reports whether any search is to be reranked, or answered by us. Where one of them cannot be read, the cluster refuses all.
func (m *multiple) planned() bool {
	return !slices.ContainsFunc(m.items, func(s *searching) bool { return s.reason == search.MalformedRequest && s.parsed == nil }) &&
		slices.ContainsFunc(m.items, func(s *searching) bool { return s.reason == "" || s.refusal != nil })
}

// own is the body of a search as the client sent it, less what it says to us; nil where that is the line as it came.
func (m *multiple) own(i int) []byte {
	if s := m.items[i]; s.parsed != nil && !m.templates {
		_, body := s.plain()
		return body
	}
	return nil
}

// plain is the client's request, less what its searches say to us.
func (m *multiple) plain() (string, []byte) {
	bodies := make([][]byte, len(m.items))
	for i := range m.items {
		bodies[i] = m.own(i)
	}
	return m.req.URL.RawQuery, m.lines.Build(bodies)
}

// request asks the cluster for the windows.
func (m *multiple) request() *http.Request {
	bodies := make([][]byte, len(m.items))
	for i, s := range m.items {
		switch {
		case s.refusal != nil: // the cluster would refuse the searches beside it too
			bodies[i] = []byte(`{"size":0}`)
		case s.reason == "":
			bodies[i] = s.wide.Body
		case m.rendered != nil && s.parsed == nil:
			bodies[i] = m.rendered[i]
		case m.rendered != nil:
			_, bodies[i] = s.plain()
		default:
			bodies[i] = m.own(i)
		}
	}
	return toBeRead(m.build(m.query.Whole(), m.lines.Build(bodies)))
}

// answer asks the cluster and makes the client's pages of what it says.
func (m *multiple) answer(req *http.Request) (*http.Response, error) {
	changed := m.changed()
	a, reason, err := m.fetch(req, changed)
	if a == nil {
		return m.unanswered(changed, err)
	}
	var responses *search.MultiResponse
	if reason == "" {
		if responses, err = m.parse(a.body); err != nil {
			reason = search.UpstreamMalformed
		}
	}
	if reason != "" {
		for _, s := range m.items {
			s.useless(reason)
		}
		return m.giveUp(a, changed, reason, err)
	}
	pages, ok := m.take(responses)
	if !ok {
		a.Body.Close()
		return m.exchange.again(m.repeated, nil)
	}
	received := time.Now() // with what had to be asked again
	m.rank(received)
	m.ranking = time.Since(received)

	start := time.Now()
	for i, s := range m.items {
		if s.hits == nil {
			if s.recorded {
				if pages[i] == nil {
					pages[i] = responses.Item(i)
				}
				pages[i] = s.seeOwn(pages[i])
			}
			continue
		}
		if pages[i], err = s.cut(responses.Item(i), m.ranking); err != nil {
			return m.giveUp(a, changed, s.unwritten(err), err)
		}
	}
	ms := 0
	if m.ranked() {
		ms = int(m.ranking.Milliseconds())
	}
	body, err := responses.Splice(pages, ms)
	if filter := m.query.Filter(); err == nil && filter != nil {
		body, err = filter.Apply(body, m.query.Pretty())
	}
	m.splicing = time.Since(start)
	if err != nil {
		reason := search.UpstreamMalformed
		for _, s := range m.items { // the filter is of them all
			if s.hits != nil {
				reason = s.unwritten(err)
			}
		}
		return m.giveUp(a, changed, reason, err)
	}
	return m.deliver(a, body)
}

// changed reports whether the cluster is asked for something else than the client did.
func (m *multiple) changed() bool {
	return m.rendered != nil || m.query.Filter() != nil && !m.templates ||
		slices.ContainsFunc(m.items, func(s *searching) bool { return s.reason == "" && s.wide.Changed || s.refusal != nil })
}

// parse reads the answer: one response for each search.
func (m *multiple) parse(body []byte) (*search.MultiResponse, error) {
	responses, err := search.ParseMultiResponse(body)
	if err == nil && responses.Items() != len(m.items) {
		err = fmt.Errorf("%d responses to %d searches", responses.Items(), len(m.items))
	}
	return responses, err
}

// take reads the responses of the searches that are to be reranked. Those that are of no use, perhaps for what we asked, are asked for
// again as the client did, together; pages holds what came then. It fails where that brings nothing either: then the client's whole request
// is the last resort.
func (m *multiple) take(responses *search.MultiResponse) (pages [][]byte, ok bool) {
	pages = make([][]byte, len(m.items))
	var again []int
	for i, s := range m.items {
		if s.refusal != nil {
			pages[i] = s.refusal.Body()
		}
		if m.elsewhere && responses.Failed(i) { // whose words are about what the client did not ask for
			s.skip(search.UpstreamStatus, "the rendered search's answer", nil)
			again = append(again, i)
			continue
		}
		if s.reason != "" {
			continue
		}
		switch status := responses.Status(i); {
		case !responses.Failed(i):
			reason, err := s.take(responses.Item(i))
			if reason == "" {
				continue
			}
			s.hits = nil
			s.skip(reason, "", err)
		case !perhapsOurs(status): // who may not, and what is not there
			s.skip(search.UpstreamStatus, "", nil)
			continue
		default:
			if status == http.StatusBadRequest {
				s.refused(responses.Item(i))
			}
			s.skip(search.UpstreamStatus, "the widened request's answer", nil)
		}
		if s.wide.Changed {
			again = append(again, i)
		}
	}
	if len(again) == 0 {
		return pages, true
	}
	m.repeated = m.items[again[0]].reason
	return pages, m.againFor(again, pages)
}

// perhapsOurs reports whether a failure may come from what we asked for beyond what the client did.
func perhapsOurs(status int) bool { return !refused(status) && status != http.StatusNotFound }

// againFor sends some of the searches as the client did.
func (m *multiple) againFor(some []int, pages [][]byte) bool {
	bodies := make([][]byte, len(some))
	for k, i := range some {
		bodies[k] = m.own(i)
	}
	a, reason, _ := m.fetch(toBeRead(m.build(m.query.Whole(), m.lines.Select(some, bodies))), false)
	if a == nil {
		return false
	}
	defer a.Body.Close()
	if reason != "" {
		return false
	}
	responses, err := search.ParseMultiResponse(a.body)
	if err != nil || responses.Items() != len(some) {
		return false
	}
	for k, i := range some {
		pages[i] = responses.Item(k)
	}
	return true
}

// rank ranks all windows at once. Searches that ask the same of the same hits, as those of faceted pages do, are ranked once.
func (m *multiple) rank(received time.Time) {
	first := make(map[pageKey]*searching)
	same := make(map[*searching][]*searching)
	for _, s := range m.items {
		if s.hits == nil || !s.offer() {
			continue
		}
		if leader, ok := first[s.window]; ok {
			same[leader] = append(same[leader], s)
		} else {
			first[s.window] = s
		}
	}
	var group sync.WaitGroup
	for _, leader := range first {
		group.Go(func() { leader.rank(received) })
	}
	group.Wait()
	for leader, others := range same {
		for _, s := range others {
			s.adopt(leader)
		}
	}
}

// ranked reports whether any search was.
func (m *multiple) ranked() bool {
	return slices.ContainsFunc(m.items, func(s *searching) bool { return s.applied })
}
