package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rerankd/rerankd/proxy/experiment/verdict"
)

// A Reporter says what experiments have shown. It is safe for concurrent use.
type Reporter interface {
	// Report is made of what this copy of the program can read of an experiment's records, whether it is configured still or not. With noise
	// there is an A/A comparison beside it. An error is told to people.
	Report(ctx context.Context, experiment string, noise bool) (*Reported, error)
}

// Reported is what an experiment has shown, and what that was read from.
type Reported struct {
	Report  *verdict.Report // nil: there are no records of it
	Others  []string        // what there are records of instead
	Records Records
}

// Records are where a report comes from.
type Records struct {
	Directory string    // of the files; "": it was read from the cluster
	Files     int       // in it
	Copies    int       // of the program, that wrote them
	Bytes     int64     // of all files
	Documents int       // in the cluster's indices
	Sample    int       // the units of which one was read, for there are too many; 1: all were
	Unread    []string  // files that are left out, each with why
	Cluster   bool      // the cluster's indices have records, too or alone
	Read      time.Time // when they were read
	Command   string    // that reads them, and where those of other copies go
}

// patience is what a page has that reads files, of which there may be many.
const patience = 150 * time.Second

var (
	experimentsPage = parsePage("experiments.html", "trial.html")
	experimentPage  = parsePage("experiment.html", "trial.html")
)

// experiments lists what is configured.
func (s *site) experiments(w http.ResponseWriter, r *http.Request) {
	s.show(w, http.StatusOK, experimentsPage, struct {
		head
		Experiments []Experiment
	}{s.head("Experiments", "/experiments"), s.Program.Status().Experiments})
}

// experiment shows one as a page, or where .json is asked for, the report alone:
//
//	/experiments/reranked-vs-lexical?aa=1
//	/experiments/reranked-vs-lexical.json
func (s *site) experiment(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	now := s.configured(name)
	plain, asJSON := strings.CutSuffix(name, ".json")
	if asJSON = asJSON && now == nil; asJSON {
		name, now = plain, s.configured(plain)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience)) // which a server's writer has
	reported, err := s.Reporter.Report(r.Context(), name, r.URL.Query().Get("aa") != "")
	if r.Context().Err() != nil {
		return // whoever asked went away
	}
	code := http.StatusOK
	switch {
	case err != nil:
		code = http.StatusServiceUnavailable
	case reported.Report == nil && now == nil:
		code = http.StatusNotFound
	}
	if asJSON {
		reportJSON(w, code, reported, err)
		return
	}
	p := newVerdictPage(reported, err)
	p.head, p.Name, p.Now = s.head(name, "/experiments"), name, now
	s.show(w, code, experimentPage, p)
}

func (s *site) configured(name string) *Experiment {
	all := s.Program.Status().Experiments
	if i := slices.IndexFunc(all, func(e Experiment) bool { return e.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// reportJSON writes what `rerankd experiment report --json` prints, or why there is nothing.
func reportJSON(w http.ResponseWriter, code int, reported *Reported, err error) {
	w.Header().Set("Content-Type", "application/json")
	var body any
	switch {
	case err != nil:
		body = map[string]string{"error": err.Error()}
	case reported.Report == nil:
		code, body = http.StatusNotFound, map[string]string{"error": errNoRecords.Error()}
	default:
		body = reported.Report
	}
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(body)
}

var errNoRecords = errors.New("there are no records of that experiment here")
