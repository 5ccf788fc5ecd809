package admin

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A state is what the compare page shows. All of it stands in the page's URL, so that a link is enough to see the same; credentials are no
// part of it.
//
//	/compare?index=products&q=red+shoes&fusion=replace
//	/compare?index=products&queries=q1%09red+shoes%0Aq2%09boots&n=2&view=grade
type state struct {
	Question
	Queries []query // a list to step through
	At      int     // which of them is shown, from 1; 0: none, but Words
	View    view
	Seed    string // of the sides of a blind view
}

// A query is one of a list.
type query struct {
	ID    string // as a file of queries has it; "": it has none, and gets one of its words
	Words string
}

// A view is a way to look at two lists.
type view string

const (
	sideBySide view = ""      // both lists, and all that is known of them
	blind      view = "pair"  // both lists, and nothing that says which is which
	grading    view = "grade" // the hits of both as one list
)

// What a state may say at most.
const (
	maxHits    = 100
	maxWindow  = 1000
	maxBudget  = 20 * time.Second
	maxQueries = 500
	maxWords   = 2000 // bytes
)

// readState reads a URL's parameters. problems say what in them cannot be, each in a sentence for a person.
func readState(v url.Values) (s state, problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	text := func(name string) string {
		value := strings.Join(strings.Fields(strings.ToValidUTF8(v.Get(name), "")), " ")
		if len(value) > maxWords {
			problem("%s is longer than %d bytes", name, maxWords)
			return ""
		}
		return value
	}
	number := func(name, what string, most int) int {
		value := text(name)
		if value == "" {
			return 0
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > most {
			problem("%s must be a whole number from 1 to %d, and is %q", what, most, value)
			return 0
		}
		return n
	}
	choice := func(name string, of ...string) string {
		value := text(name)
		if value != "" && !slices.Contains(of, value) {
			problem("%s is one of %s, and not %q", name, strings.Join(of, ", "), value)
			return ""
		}
		return value
	}
	s.Index, s.Words, s.Rule, s.Model = text("index"), text("q"), text("rule"), text("model")
	s.Body = strings.TrimSpace(strings.ToValidUTF8(v.Get("body"), ""))
	s.Fields = strings.FieldsFunc(text("fields"), func(r rune) bool { return r == ',' || r == ' ' })
	s.Size, s.Window = number("size", "the number of hits", maxHits), number("window", "the window", maxWindow)
	s.Fusion = choice("fusion", "convex", "reciprocal_rank", "replace")
	s.View = view(choice("view", string(blind), string(grading)))
	s.Seed = text("seed")
	if value := text("weight"); value != "" {
		var err error
		if s.Weight, err = strconv.ParseFloat(value, 64); err != nil || !(s.Weight > 0 && s.Weight <= 1) {
			problem("the weight must be above 0 and at most 1, and is %q", value)
			s.Weight = 0
		}
	}
	if value := text("budget"); value != "" {
		var err error
		if s.Budget, err = time.ParseDuration(value); err != nil || s.Budget <= 0 || s.Budget > maxBudget {
			problem("the budget must be a time such as 300ms or 2s, at most %s, and is %q", maxBudget, value)
			s.Budget = 0
		}
	}
	s.Queries = readQueries(strings.ToValidUTF8(v.Get("queries"), ""))
	if len(s.Queries) > maxQueries {
		problem("the list has %d queries, and %d fit into an address", len(s.Queries), maxQueries)
		s.Queries = s.Queries[:maxQueries]
	}
	if len(s.Queries) > 0 {
		s.At = min(number("n", "the place in the list", maxQueries), len(s.Queries))
		switch {
		case s.Words == "" && s.Body == "":
			s.At = max(s.At, 1)
			fallthrough
		case s.At > 0 && s.Words == s.Queries[s.At-1].Words:
			s.Words = s.Queries[s.At-1].Words
		default:
			s.At = 0 // somebody has typed something else
		}
	}
	if s.Body != "" {
		s.Words, s.At = "", 0
	}
	return s, problems
}

// readQueries reads a query a line, each with an identifier and a tab before it or without.
func readQueries(text string) (queries []query) {
	for line := range strings.Lines(text) {
		id, words, found := strings.Cut(line, "\t")
		if !found {
			id, words = "", line
		}
		if words = strings.Join(strings.Fields(words), " "); words == "" {
			continue
		}
		for len(words) > maxWords || !utf8.ValidString(words) {
			words = words[:len(words)-1]
		}
		queries = append(queries, query{strings.Join(strings.Fields(id), "_"), words})
	}
	return queries
}

// list spells the queries as readQueries reads them.
func (s *state) list() string {
	var b strings.Builder
	for _, q := range s.Queries {
		if q.ID != "" {
			b.WriteString(q.ID + "\t")
		}
		b.WriteString(q.Words + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// values are the parameters by which readState gives the state again. What is as the configuration says is not among them.
func (s *state) values() url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	number := func(name string, n int) {
		if n > 0 {
			v.Set(name, strconv.Itoa(n))
		}
	}
	set("index", s.Index)
	if s.At == 0 {
		set("q", s.Words)
	}
	set("body", s.Body)
	set("fields", strings.Join(s.Fields, ","))
	number("size", s.Size)
	set("rule", s.Rule)
	set("model", s.Model)
	number("window", s.Window)
	set("fusion", s.Fusion)
	if s.Weight > 0 {
		v.Set("weight", strconv.FormatFloat(s.Weight, 'g', -1, 64))
	}
	if s.Budget > 0 {
		v.Set("budget", s.Budget.String())
	}
	set("queries", s.list())
	number("n", s.At)
	set("view", string(s.View))
	if s.View != sideBySide {
		set("seed", s.Seed)
	}
	return v
}

// url is where the state is shown.
func (s state) url() string {
	if v := s.values(); len(v) > 0 {
		return "/compare?" + v.Encode()
	}
	return "/compare"
}

// step is the state at another query of the list.
func (s state) step(to int) state {
	s.At, s.Words, s.Body = to, s.Queries[to-1].Words, ""
	s.Seed = ""
	return s
}

// in is the state in another view.
func (s state) in(v view) state {
	s.View, s.Seed = v, ""
	return s
}

// asked reports whether there is anything to be searched for.
func (s *state) asked() bool { return s.Words != "" || s.Body != "" }

// id names what is searched for, in files of queries and judgments: as the list has it, or a digest of the words, which is the same for the
// same words wherever they come from.
func (s *state) id() string {
	if s.At > 0 && s.Queries[s.At-1].ID != "" {
		return s.Queries[s.At-1].ID
	}
	digest := sha256.Sum256([]byte(cmp.Or(s.Body, strings.Join(strings.Fields(strings.ToLower(s.Words)), " "))))
	return "q" + hex.EncodeToString(digest[:5])
}
