package admin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rerankd/rerankd/rerank/eval"
)

// Judgments are what people said of hits and of lists, in a directory:
//
//	judgments.jsonl   every judgment, one a line, in the order in which they were made; lines are only ever added
//	qrels.txt         of it the grades as TREC has them, of several for a hit the last: for eval --qrels
//	queries.tsv       the queries that have grades, an identifier, a tab and the words: for eval --queries
//
// The last two are written anew whenever a grade comes, and say nothing that the first does not. A directory is for one copy of rerankd.
type Judgments struct {
	Directory func() string // "": nobody judges; asked every time

	mu sync.Mutex
}

// The files.
const (
	journalFile = "judgments.jsonl"
	qrelsFile   = "qrels.txt"
	queriesFile = "queries.tsv"
)

// A judgment is one line of the journal: of a hit, or of two lists.
type judgment struct {
	Time  time.Time `json:"time"`
	Query string    `json:"query"` // its identifier
	Words string    `json:"words"`
	Index string    `json:"index"`

	Document string `json:"document,omitempty"` // the _id
	Grade    *int   `json:"grade,omitempty"`    // 0 to 3

	Preferred string   `json:"preferred,omitempty"` // cluster, reranked or tie
	Settings  string   `json:"settings,omitempty"`  // of the rule, where not as configured, as the page's URL has them
	Cluster   []string `json:"cluster,omitempty"`   // the ids that were shown
	Reranked  []string `json:"reranked,omitempty"`
}

// maxGrade is the best: 0 is not relevant, 1 somewhat, 2 relevant, 3 just what was looked for.
const maxGrade = 3

func (j *judgment) check() error {
	switch {
	case j.Query == "" || j.Words == "":
		return errors.New("it is of no query")
	case j.Grade != nil && (j.Document == "" || *j.Grade < 0 || *j.Grade > maxGrade):
		return fmt.Errorf("a grade is from 0 to %d, of a document", maxGrade)
	case j.Grade == nil && !slices.Contains([]string{"cluster", "reranked", "tie"}, j.Preferred):
		return errors.New("it says neither a grade nor which list is better")
	}
	return nil
}

// judged is what the journal comes to.
type judged struct {
	Queries     []judgedQuery // in the order in which they were first judged
	Grades      int
	Preferences map[string]int // cluster, reranked, tie; of several for the same query and settings the last
	Qrels       eval.Qrels
}

type judgedQuery struct {
	ID, Words string
	Grades    int
}

// grades are those of a query's documents.
func (j *judged) grades(query string) map[string]int {
	if j == nil {
		return nil
	}
	return j.Qrels[query]
}

func (j *judged) find(id string) *judgedQuery {
	if i := slices.IndexFunc(j.Queries, func(q judgedQuery) bool { return q.ID == id }); i >= 0 {
		return &j.Queries[i]
	}
	return nil
}

// read gives what has been judged so far.
func (j *Judgments) read() (*judged, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return readJournal(filepath.Join(j.Directory(), journalFile))
}

func readJournal(name string) (*judged, error) {
	d := &judged{Preferences: map[string]int{}, Qrels: eval.Qrels{}}
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the judgments: %w", err)
	}
	preferred := map[string]string{}
	for n, line := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var one judgment
		err := json.Unmarshal(line, &one)
		if err == nil {
			err = one.check()
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: is no judgment: %w", name, n+1, err)
		}
		d.take(&one, preferred)
	}
	for _, p := range preferred {
		d.Preferences[p]++
	}
	return d, nil
}

func (j *judged) take(one *judgment, preferred map[string]string) {
	q := j.find(one.Query)
	if q == nil {
		j.Queries = append(j.Queries, judgedQuery{ID: one.Query, Words: one.Words})
		q = &j.Queries[len(j.Queries)-1]
	}
	if one.Grade == nil {
		preferred[one.Query+"\n"+one.Index+"\n"+one.Settings] = one.Preferred
		return
	}
	grades := j.Qrels[one.Query]
	if grades == nil {
		grades = map[string]int{}
		j.Qrels[one.Query] = grades
	}
	if _, again := grades[one.Document]; !again {
		j.Grades++
		q.Grades++
	}
	grades[one.Document] = *one.Grade
}

// Add keeps judgments: all of them, or with an error none.
func (j *Judgments) Add(judgments ...judgment) error {
	var lines bytes.Buffer
	for i := range judgments {
		if err := judgments[i].check(); err != nil {
			return fmt.Errorf("this is no judgment: %w", err)
		}
		if err := json.NewEncoder(&lines).Encode(&judgments[i]); err != nil {
			return err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	directory := j.Directory()
	journal := filepath.Join(directory, journalFile)
	before, err := readJournal(journal)
	if err != nil {
		return err
	}
	for i := range judgments {
		if q := before.find(judgments[i].Query); q != nil && q.Words != judgments[i].Words {
			return fmt.Errorf("the identifier %s is that of the query %q already", q.ID, q.Words)
		}
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return fmt.Errorf("keeping judgments: %w", err)
	}
	if err := appendTo(journal, lines.Bytes()); err != nil {
		return fmt.Errorf("keeping judgments: %w", err)
	}
	after, err := readJournal(journal)
	if err != nil {
		return err
	}
	return after.write(directory)
}

// appendTo adds lines to a file, and leaves it as it was where they do not fit.
func appendTo(name string, lines []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	last := []byte{'\n'}
	if end > 0 {
		if _, err := f.ReadAt(last, end-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' { // somebody has edited it
		lines = append([]byte{'\n'}, lines...)
	}
	if _, err := f.Write(lines); err != nil {
		return errors.Join(err, f.Truncate(end))
	}
	return f.Sync()
}

// write makes the files that eval reads, each whole or not at all.
func (j *judged) write(directory string) error {
	var qrels, queries bytes.Buffer
	var ids []string
	w := bufio.NewWriter(&queries)
	for _, q := range j.Queries {
		if q.Grades > 0 {
			ids = append(ids, q.ID)
			fmt.Fprintf(w, "%s\t%s\n", eval.Column(q.ID), q.Words)
		}
	}
	if err := errors.Join(w.Flush(), eval.WriteQrels(&qrels, ids, j.Qrels)); err != nil {
		return err
	}
	for name, content := range map[string][]byte{qrelsFile: qrels.Bytes(), queriesFile: queries.Bytes()} {
		name = filepath.Join(directory, name)
		if err := os.WriteFile(name+".new", content, 0o600); err != nil {
			return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

// settingsOf are what of a state is not as the configuration says.
func settingsOf(s state) string {
	v := s.values()
	for _, name := range []string{"q", "index", "queries", "n", "view", "seed", "size"} {
		v.Del(name)
	}
	return strings.TrimSpace(v.Encode())
}
