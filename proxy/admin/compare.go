package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
	Views   []viewLink
	Steps   steps

	Problems          []string
	Hint              string
	Denied            bool // the cluster wants to know who asks
	Credentials       bool // somebody has said who they are
	Found             *Comparison
	Cluster, Reranked []shown

	Judging      bool // somebody may judge
	JudgeProblem string
	Saved        string  // how many judgments were kept just now
	Left, Right  []shown // of a blind pair
	Pool         []graded
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
	v := r.URL.Query()
	saved := v.Get("saved")
	v.Del("saved")
	st, problems := readState(v)
	if st.View == blind && st.Seed == "" {
		st.Seed = newSeed()
	}
	if r.Method == http.MethodGet && len(problems) == 0 && len(v) > 0 && st.values().Encode() != v.Encode() {
		to := st.url() // a form's empty fields are nothing to link to
		if saved != "" {
			to += "&saved=" + url.QueryEscape(saved)
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	p := &comparing{head: s.head("Compare", "/compare", "compare.js"), state: st, Problems: problems, Action: st.url(), Saved: count(saved)}
	p.Judging = s.Judgments != nil && s.Judgments.Directory() != ""
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
	switch {
	case st.View == blind && st.turned():
		p.Left, p.Right = p.Reranked, p.Cluster
	case st.View == blind:
		p.Left, p.Right = p.Cluster, p.Reranked
	case st.View == grading:
		var before *judged
		if p.Judging {
			if before, err = s.Judgments.read(); err != nil {
				p.JudgeProblem = sentence(err.Error())
			}
		}
		p.Pool = p.pool(before.grades(st.id()))
	}
	s.show(w, http.StatusOK, comparePage, p)
}

// count is a number that an address says; "" where it says none.
func count(s string) string {
	if n, err := strconv.Atoi(s); err != nil || n < 0 || n > 2*maxHits {
		return ""
	}
	return s
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
	if p.asked() {
		for _, v := range []struct {
			view view
			name string
		}{{sideBySide, "Side by side"}, {blind, "Which is better?"}, {grading, "Grade hits"}} {
			p.Views = append(p.Views, viewLink{v.name, p.in(v.view).url(), v.view == p.View})
		}
	}
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

// Blind and Grading say in which view the lists are.
func (p *comparing) Blind() bool   { return p.View == blind }
func (p *comparing) Grading() bool { return p.View == grading }

// State is the state as a form hands it back.
func (p *comparing) State() string { return p.values().Encode() }

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
