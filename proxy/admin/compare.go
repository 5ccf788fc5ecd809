package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

var comparePage = parsePage("compare.html")

// A comparing is what the compare page shows.
type comparing struct {
	head
	state
	Rules   []Rule
	Models  []string
	Indices []string // to choose from: those that rules name
	Options bool     // something is not as the configuration says
	Lends   bool     // the configuration gives the cluster credentials
	Action  string   // the state's own URL
	Steps   steps

	Problems          []string
	Hint              string
	Denied            bool // the cluster wants to know who asks
	Credentials       bool // somebody has said who they are
	Found             *Comparison
	Cluster, Reranked []shown
}

// steps lead through the list of queries.
type steps struct {
	Previous, Next string
	All            []step
}

type step struct {
	URL, Words string
	Here       bool
}

// shown is a hit as it is shown.
type shown struct {
	Hit
	TitleParts, TextParts []segment
	Score                 string
	Sign                  string // of the move: ▲ 3
	Says                  string // the same for those who hear it
	Key                   string // the same on both sides
}

// compare shows one search twice.
func (s *site) compare(w http.ResponseWriter, r *http.Request) {
	st, problems := readState(r.URL.Query())
	if r.Method == http.MethodGet && len(problems) == 0 && r.URL.RawQuery != "" && st.values().Encode() != r.URL.Query().Encode() {
		http.Redirect(w, r, st.url(), http.StatusSeeOther) // a form's empty fields are nothing to link to
		return
	}
	p := &comparing{head: s.head("Compare", "/compare", "compare.js"), state: st, Problems: problems, Action: st.url()}
	p.offer(s.Program.Status())
	if len(problems) > 0 || !st.asked() {
		code := http.StatusOK
		if len(problems) > 0 {
			code = http.StatusBadRequest
		}
		s.show(w, code, comparePage, p)
		return
	}
	q := st.Question
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		q.User, q.Password = r.PostFormValue("user"), r.PostFormValue("password")
		p.Credentials = q.User != ""
	}
	c, err := s.Comparer.Compare(r.Context(), q)
	if err != nil {
		p.Problems, p.Denied = []string{sentence(err.Error())}, errors.Is(err, ErrDenied)
		var hinter interface{ Hint() string }
		if errors.As(err, &hinter) && !p.Denied {
			p.Hint = hinter.Hint()
		}
		s.show(w, statusOf(err), comparePage, p)
		return
	}
	p.fill(c)
	s.show(w, http.StatusOK, comparePage, p)
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrDenied):
		return http.StatusForbidden
	case errors.Is(err, ErrBusy):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// sentence is an error for a page.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

// offer fills in what there is to choose from.
func (p *comparing) offer(s Status) {
	p.Rules, p.Lends = s.Rules, s.Cluster.Auth != "" && s.Cluster.Auth != "passthrough"
	for _, m := range s.Models {
		p.Models = append(p.Models, m.Name)
	}
	for _, r := range s.Rules {
		for _, index := range r.Indices {
			if !strings.HasPrefix(index, "-") && !slices.Contains(p.Indices, index) {
				p.Indices = append(p.Indices, index)
			}
		}
	}
	p.Options = p.Rule != "" || p.Model != "" || p.Window > 0 || p.Fusion != "" || p.Weight > 0 || p.Budget > 0 || p.Size > 0 || len(p.Fields) > 0
	for i, q := range p.Queries {
		p.Steps.All = append(p.Steps.All, step{p.step(i + 1).url(), q.Words, i+1 == p.At})
	}
	if p.At > 1 {
		p.Steps.Previous = p.Steps.All[p.At-2].URL
	}
	if n := len(p.Queries); n > 0 && p.At < n {
		p.Steps.Next = p.Steps.All[p.At].URL
	}
}

// fill puts the lists on the page.
func (p *comparing) fill(c *Comparison) {
	p.Found = c
	for _, h := range c.Cluster {
		p.Cluster = append(p.Cluster, show(c, h))
	}
	for _, h := range c.Reranked {
		p.Reranked = append(p.Reranked, show(c, h))
	}
}

func show(c *Comparison, h Hit) shown {
	s := shown{Hit: h, TitleParts: mark(c.Query, clip(h.Title, 160)), Key: h.Index + "/" + h.ID}
	if h.Text != "" {
		s.TextParts = mark(c.Query, snippet(c.Query, h.Text))
	}
	if h.Score != nil {
		s.Score = digits(*h.Score)
	}
	s.Sign, s.Says = says(h)
	return s
}

// digits is a score with four of them.
func digits(x float64) string {
	if x != 0 && (x < 0.001 && x > -0.001 || x >= 1e6 || x <= -1e6) {
		return fmt.Sprintf("%.3g", x)
	}
	switch {
	case x >= 100 || x <= -100:
		return fmt.Sprintf("%.1f", x)
	case x >= 10 || x <= -10:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

// says tells how a hit moved, in a sign and in words.
func says(h Hit) (sign, words string) {
	places := fmt.Sprintf("%d places", h.Places)
	if h.Places == 1 {
		places = "1 place"
	}
	switch h.Move {
	case Up:
		return fmt.Sprintf("▲ %d", h.Places), "up " + places
	case Down:
		return fmt.Sprintf("▼ %d", h.Places), "down " + places
	case Entered:
		if h.Other > 0 {
			return fmt.Sprintf("new ▲ %d", h.Places), fmt.Sprintf("new on this page, from place %d", h.Other)
		}
		return "new", "new on this page"
	case Gone:
		if h.Other > 0 {
			return fmt.Sprintf("gone ▼ %d", h.Places), fmt.Sprintf("gone from the reranked page, to place %d", h.Other)
		}
		return "gone", "gone from the reranked page"
	}
	return "=", "at the same place"
}

// Asked reports whether there is anything to be searched for.
func (p *comparing) Asked() bool { return p.asked() }

// List is the list of queries, as somebody would write it.
func (p *comparing) List() string { return p.list() }

// A choice is one of a list to choose from.
type choice struct{ Value, Name string }

// Fusions are those to choose from.
func (p *comparing) Fusions() []choice {
	return []choice{{"convex", "convex: mean of both"}, {"reciprocal_rank", "reciprocal rank"}, {"replace", "replace: the model alone"}}
}

// Why says why the lists are the same.
func (p *comparing) Why() string {
	why := "Not reranked: " + cmp.Or(p.Found.Reason, "no reason given")
	if p.Found.Detail != "" {
		why += " (" + p.Found.Detail + ")"
	}
	return why + "."
}
