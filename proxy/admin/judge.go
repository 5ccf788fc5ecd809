package admin

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Two ways to judge. A pair is two lists of which nobody can see which is the reranked one: which side it is on is decided by the seed in the
// page's URL, anew for each query. Grades are of single hits, those of both lists in one order that is neither's.

var judgmentsPage = parsePage("judgments.html")

// newSeed is eight digits that nobody can foresee.
func newSeed() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // which never fails
	return hex.EncodeToString(b[:])
}

// turned reports whether the reranked list of a blind pair is on the left.
func (s *state) turned() bool {
	digest := sha256.Sum256([]byte("side\n" + s.Seed + "\n" + s.id()))
	return digest[0]&1 == 1
}

// A graded is a hit to be graded.
type graded struct {
	shown
	Name  string // of its form's field
	Grade string // "": none yet
}

// Grades are those to choose from.
func (p *comparing) Grades() []choice {
	return []choice{{"0", "no"}, {"1", "somewhat"}, {"2", "yes"}, {"3", "exactly"}}
}

// pool are the hits of both lists, in an order that is neither's.
func (p *comparing) pool(grades map[string]int) (pool []graded) {
	seen := map[string]bool{}
	for _, s := range slices.Concat(p.Cluster, p.Reranked) {
		if seen[s.Key] {
			continue
		}
		seen[s.Key] = true
		g := graded{shown: s}
		if grade, ok := grades[s.ID]; ok {
			g.Grade = strconv.Itoa(grade)
		}
		pool = append(pool, g)
	}
	order := func(g graded) string {
		digest := sha256.Sum256([]byte("pool\n" + p.id() + "\n" + g.Key))
		return string(digest[:8])
	}
	slices.SortFunc(pool, func(a, b graded) int { return strings.Compare(order(a), order(b)) })
	for i := range pool {
		pool[i].Name = fmt.Sprintf("grade.%d", i)
	}
	return pool
}

// judge keeps what a form of the compare page says:
//
//	state=index%3Dshop%26q%3Dshoes&words=shoes&preferred=left&left=a&left=b&right=b&right=c
//	state=index%3Dshop%26q%3Dshoes&words=shoes&document.0=a&grade.0=2&document.1=b&grade.1=
//
// It answers with the page that comes next, or a program that asks for JSON with how many judgments were kept.
func (s *site) judge(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 256<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	if s.Judgments == nil || s.Judgments.Directory() == "" {
		http.Error(w, "judging is off: name a directory under admin.judgments in the configuration", http.StatusForbidden)
		return
	}
	v, err := url.ParseQuery(r.PostForm.Get("state"))
	st, problems := readState(v)
	if err != nil || len(problems) > 0 || !st.asked() || st.Index == "" {
		http.Error(w, "the form says nothing that can be judged: "+strings.Join(problems, "; "), http.StatusBadRequest)
		return
	}
	judgments, err := st.judgments(r.PostForm)
	if err == nil {
		err = s.Judgments.Add(judgments...)
	}
	if err != nil {
		s.Logger.Error("keeping judgments", "error", err)
		http.Error(w, sentence(err.Error()), http.StatusUnprocessableEntity)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]int{"saved": len(judgments)})
		return
	}
	next := st
	if st.View == blind {
		next.Seed = "" // the same lists again would be on the same sides
		if st.At > 0 && st.At < len(st.Queries) {
			next = st.step(st.At + 1)
		}
	}
	values := next.values()
	values.Set("saved", strconv.Itoa(len(judgments)))
	http.Redirect(w, r, "/compare?"+values.Encode(), http.StatusSeeOther)
}

// judgments are those that a form says.
func (s *state) judgments(form url.Values) (judgments []judgment, err error) {
	one := judgment{Time: time.Now().UTC(), Query: s.id(), Words: cmp.Or(s.Words, strings.Join(strings.Fields(form.Get("words")), " ")), Index: s.Index}
	if side := form.Get("preferred"); side != "" {
		left, right := "cluster", "reranked"
		one.Cluster, one.Reranked = ids(form["left"]), ids(form["right"])
		if s.turned() {
			left, right = right, left
			one.Cluster, one.Reranked = one.Reranked, one.Cluster
		}
		one.Preferred = map[string]string{"left": left, "right": right, "tie": "tie"}[side]
		one.Settings = settingsOf(*s)
		return append(judgments, one), nil
	}
	for i := range 2 * maxHits {
		grade := form.Get(fmt.Sprintf("grade.%d", i))
		if grade == "" || grade == form.Get(fmt.Sprintf("was.%d", i)) {
			continue
		}
		n, err := strconv.Atoi(grade)
		if err != nil {
			return nil, fmt.Errorf("%q is no grade", grade)
		}
		of := one
		of.Document, of.Grade = form.Get(fmt.Sprintf("document.%d", i)), &n
		judgments = append(judgments, of)
	}
	return judgments, nil
}

// ids bounds a list of them.
func ids(list []string) []string { return list[:min(len(list), maxHits)] }

// judgments shows what has been judged.
func (s *site) judgments(w http.ResponseWriter, r *http.Request) {
	page := struct {
		head
		Directory string
		Problem   string
		Judged    *judged
	}{head: s.head("Judgments", "/judgments"), Directory: s.Judgments.Directory()}
	if page.Directory != "" {
		var err error
		if page.Judged, err = s.Judgments.read(); err != nil {
			page.Problem = sentence(err.Error())
		}
	}
	s.show(w, http.StatusOK, judgmentsPage, page)
}

// download gives one of the files.
func (s *site) download(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if s.Judgments.Directory() == "" || !slices.Contains([]string{journalFile, qrelsFile, queriesFile}, name) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	http.ServeFileFS(w, r, os.DirFS(s.Judgments.Directory()), name)
}
