package eval

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Format is how a file says what it says.
type Format string

const (
	Auto   Format = ""       // by what is in the file
	Lines  Format = "lines"  // queries: one a line, which is its own id
	TSV    Format = "tsv"    // queries: id, tab, words (MS MARCO and others)
	BEIR   Format = "beir"   // queries: JSON lines with _id and text; judgments: a header and query-id, corpus-id, score with tabs between
	TREC   Format = "trec"   // judgments: query, iteration, document, grade; runs: query, Q0, document, rank, score, tag
	UBI    Format = "ubi"    // User Behavior Insights 1.3: JSON lines of ubi_queries and ubi_events
	Quepid Format = "quepid" // CSV with the columns query, docid, rating: queries and judgments in one
)

// A Query is the words that somebody searched for, and what judgments and runs call them.
type Query struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// A QuerySet is what a file of queries says, in its order, each query once.
type QuerySet struct {
	Format  Format
	Queries []Query
	shown   map[string]*shown // UBI: by the id of a search
}

// Judgments are what a file of judgments says.
type Judgments struct {
	Format  Format
	Qrels   Qrels
	Queries []Query // the words of the queries, in the file's order, where the file has them (Quepid, UBI)
	// Relevant is the least grade that says that a document answers, where nobody says otherwise.
	Relevant int

	// Of a UBI export:
	Left     int // events that are about nothing, or about nobody knows which search's hits
	Pairs    int // COEC: queries and documents that were shown for them
	Seldom   int // COEC: of those, the ones that are not judged: shown too seldom, or where nobody clicks anything
	Unplaced int // COEC: hits of searches of which nobody says at which rank they were shown, and that do not count
}

// ReadQueries reads queries. file is what errors call it. A format of Auto is found out by the first line that is not blank.
func ReadQueries(file string, r io.Reader, format Format) (*QuerySet, error) {
	l := newLineReader(file, r)
	if !l.next() {
		return nil, cmpErr(l.err, fmt.Errorf("%s has no queries: it is empty", file))
	}
	if l.again(); format == Auto {
		var err error
		if format, err = l.queryFormat(); err != nil {
			return nil, err
		}
	}
	set := &QuerySet{Format: format}
	var err error
	switch format {
	case Lines, TSV:
		err = set.readTSV(l)
	case BEIR:
		err = set.readBEIR(l)
	case UBI:
		err = set.readUBI(l)
	case Quepid:
		var j *Judgments
		if j, err = readQuepid(l); err == nil {
			set.Queries = j.Queries
		}
	default:
		return nil, fmt.Errorf("queries have no format %q: it is lines, tsv, beir, ubi or quepid", format)
	}
	if err == nil && len(set.Queries) == 0 {
		err = fmt.Errorf("%s has no queries", file)
	}
	if err != nil {
		return nil, err
	}
	return set, nil
}

func (l *lineReader) queryFormat() (Format, error) {
	switch {
	case strings.HasPrefix(l.text, "["):
		return "", l.fault("jq -c '.[]' makes one line of each", "is a JSON array; queries in JSON are an object a line")
	case strings.HasPrefix(l.text, "{"):
		var o struct {
			UserQuery *string `json:"user_query"`
			Source    *struct {
				UserQuery *string `json:"user_query"`
			} `json:"_source"`
		}
		if json.Unmarshal([]byte(l.text), &o) == nil && (o.UserQuery != nil || o.Source != nil && o.Source.UserQuery != nil) {
			return UBI, nil
		}
		return BEIR, nil
	case isQuepidHeader(l.text):
		return Quepid, nil
	case strings.Contains(l.text, "\t"):
		return TSV, nil
	}
	return Lines, nil
}

// add adds a query that must be new.
func (s *QuerySet) add(l *lineReader, seen map[string]int, q Query) error {
	if before, ok := seen[q.ID]; ok {
		return l.fault("take one of the two out", "the query %s is on line %d already", q.ID, before)
	}
	seen[q.ID] = l.number
	s.Queries = append(s.Queries, q)
	return nil
}

// readTSV reads lines of an id, a tab and the words; or, with the format Lines, of words, of which repetitions are the same query: a log
// of searches has them.
func (s *QuerySet) readTSV(l *lineReader) error {
	seen := map[string]int{}
	for first := true; l.next(); first = false {
		if s.Format == Lines {
			if text := words(l.text); seen[text] == 0 {
				seen[text] = l.number
				s.Queries = append(s.Queries, Query{text, text})
			}
			continue
		}
		id, text, ok := strings.Cut(l.text, "\t")
		text, _, _ = strings.Cut(text, "\t") // what follows are notes
		id, text = strings.TrimSpace(id), words(text)
		if first && slices.Contains([]string{"id", "_id", "qid", "query_id", "query-id", "queryid"}, strings.ToLower(id)) {
			continue // a header
		}
		if !ok || id == "" || text == "" {
			return l.fault("a query is an id, a tab and the words; --queries-format lines takes each line for the words", "%q is no query", abridged(l.text))
		}
		if err := s.add(l, seen, Query{id, text}); err != nil {
			return err
		}
	}
	return l.err
}

func (s *QuerySet) readBEIR(l *lineReader) error {
	seen := map[string]int{}
	for l.next() {
		var o struct {
			ID   any     `json:"_id"`
			Text *string `json:"text"`
		}
		if err := l.object(&o); err != nil {
			return err
		}
		id := identifier(o.ID)
		if id == "" || o.Text == nil || words(*o.Text) == "" {
			return l.fault(`BEIR has {"_id": "1", "text": "red shoes"}, UBI {"user_query": "red shoes"}`, "has no _id, or no text")
		}
		if err := s.add(l, seen, Query{id, words(*o.Text)}); err != nil {
			return err
		}
	}
	return l.err
}

// ReadQrels reads judgments. queries are those that they are about, and may be nil; clicks of a UBI export need them, for they tell what was
// shown, and are judged as clicks says.
func ReadQrels(file string, r io.Reader, format Format, queries *QuerySet, clicks Clicks) (*Judgments, error) {
	l := newLineReader(file, r)
	if !l.next() {
		return nil, cmpErr(l.err, fmt.Errorf("%s has no judgments: it is empty", file))
	}
	if l.again(); format == Auto {
		var err error
		if format, err = l.qrelsFormat(); err != nil {
			return nil, err
		}
	}
	var j *Judgments
	var err error
	switch format {
	case TREC:
		j, err = readColumns(l, strings.Fields, 4, [3]int{0, 2, 3}, "TREC has query, iteration, document and grade, as in: 1 0 doc7 2")
	case BEIR:
		j, err = readColumns(l, tabbed, 3, [3]int{0, 1, 2}, "BEIR has query-id, corpus-id and score with tabs between")
	case Quepid:
		j, err = readQuepid(l)
	case UBI:
		j, err = readEvents(l, queries, clicks)
	default:
		return nil, fmt.Errorf("judgments have no format %q: it is trec, beir, ubi or quepid", format)
	}
	if err == nil && len(j.Qrels) == 0 {
		if err = fmt.Errorf("%s has no judgments", file); j.Pairs > 0 {
			err = &SeldomError{File: file, Pairs: j.Pairs, Least: clicks.Least}
		}
	}
	if err != nil {
		return nil, err
	}
	j.Format, j.Relevant = format, max(j.Relevant, 1)
	if queries != nil && len(j.Queries) > 0 {
		j.Qrels = queries.named(j.Qrels)
	}
	return j, nil
}

// named are judgments of words, under the ids that the queries with those words have here.
func (s *QuerySet) named(byWords Qrels) Qrels {
	q, known := Qrels{}, map[string]bool{}
	for _, query := range s.Queries {
		known[query.Text] = true
		if grades, ok := byWords[query.Text]; ok {
			q[query.ID] = grades
		}
	}
	for text, grades := range byWords {
		if _, ok := q[text]; !ok && !known[text] {
			q[text] = grades
		}
	}
	return q
}

// A SeldomError says that nothing was shown often enough for [COEC].
type SeldomError struct {
	File         string
	Pairs, Least int
}

func (e *SeldomError) Error() string {
	return fmt.Sprintf("%s has no judgments: of %d pairs of a query and a document none was shown %d times, at ranks that anybody clicks", e.File, e.Pairs, max(e.Least, 1))
}

func (l *lineReader) qrelsFormat() (Format, error) {
	switch {
	case strings.HasPrefix(l.text, "["):
		return "", l.fault("jq -c '.[]' makes one line of each", "is a JSON array; judgments in JSON are an event a line")
	case strings.HasPrefix(l.text, "{"):
		return UBI, nil
	case isQuepidHeader(l.text):
		return Quepid, nil
	case len(tabbed(l.text)) == 3:
		return BEIR, nil
	case len(strings.Fields(l.text)) == 4:
		return TREC, nil
	}
	return "", l.fault("TREC: query iteration document grade; BEIR: three columns with tabs; Quepid: CSV with query, docid, rating; UBI: JSON lines", "%q is no judgment in a format that is known", abridged(l.text))
}

func tabbed(line string) []string { return strings.Split(line, "\t") }

// readColumns reads lines of so many columns, of which three are query, document and grade.
func readColumns(l *lineReader, split func(string) []string, columns int, at [3]int, form string) (*Judgments, error) {
	j := &Judgments{Qrels: Qrels{}}
	for first := true; l.next(); first = false {
		cells := split(l.text)
		if len(cells) != columns {
			return nil, l.fault(form, "has %d columns, want %d", len(cells), columns)
		}
		if first && columns == 3 && strings.EqualFold(strings.TrimSpace(cells[2]), "score") {
			continue // BEIR's header
		}
		if err := j.add(l, strings.TrimSpace(cells[at[0]]), strings.TrimSpace(cells[at[1]]), cells[at[2]]); err != nil {
			return nil, err
		}
	}
	return j, l.err
}

// add adds a judgment that must be new.
func (j *Judgments) add(l *lineReader, query, document, rating string) error {
	if query == "" || document == "" {
		return l.fault("", "has no query or no document")
	}
	grade, err := strconv.ParseFloat(strings.TrimSpace(rating), 64)
	if err != nil || grade != float64(int32(grade)) {
		return l.fault("grades are whole numbers: 0 is not relevant", "%q is no grade", abridged(rating))
	}
	if j.Qrels[query] == nil {
		j.Qrels[query] = map[string]int{}
	}
	if _, ok := j.Qrels[query][document]; ok {
		return l.fault("take one of the two out", "the document %s is judged for the query %s already", document, query)
	}
	j.Qrels[query][document] = int(grade)
	return nil
}

func isQuepidHeader(line string) bool {
	cells, err := csv.NewReader(strings.NewReader(line)).Read()
	at := quepidColumns(cells)
	return err == nil && at[0] >= 0 && at[1] >= 0
}

// quepidColumns are where a header has query, docid and rating; -1 where it does not.
func quepidColumns(header []string) [3]int {
	at := [3]int{-1, -1, -1}
	for i, name := range []string{"query", "docid", "rating"} {
		at[i] = slices.IndexFunc(header, func(cell string) bool {
			cell = strings.ToLower(strings.TrimSpace(cell))
			return cell == name || i == 0 && cell == "query_text" || i == 1 && cell == "doc_id"
		})
	}
	return at
}

// readQuepid reads Quepid's CSV. A query is its words, and a rating that is left empty is none.
func readQuepid(l *lineReader) (*Judgments, error) {
	text, err := l.rest()
	if err != nil {
		return nil, err
	}
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1
	j := &Judgments{Qrels: Qrels{}}
	var at [3]int
	known := map[string]bool{}
	for first := true; ; first = false {
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			return j, nil
		}
		if e, ok := errors.AsType[*csv.ParseError](err); ok {
			l.number = e.Line
			return nil, l.fault("a cell with a quotation mark stands in quotation marks, and doubles it", "is no CSV: %v", e.Err)
		}
		if err != nil {
			return nil, err
		}
		l.number, _ = c.FieldPos(0)
		if first {
			if at = quepidColumns(cells); slices.Min(at[:]) < 0 {
				return nil, l.fault("Quepid has the columns query, docid and rating, and says so on the first line", "the header is %q", abridged(strings.Join(cells, ",")))
			}
			continue
		}
		if len(cells) <= slices.Max(at[:]) {
			return nil, l.fault("", "has %d columns, fewer than the header", len(cells))
		}
		query, document, rating := words(cells[at[0]]), strings.TrimSpace(cells[at[1]]), strings.TrimSpace(cells[at[2]])
		if query == "" {
			return nil, l.fault("", "has no query")
		}
		if !known[query] {
			known[query] = true
			j.Queries = append(j.Queries, Query{query, query})
		}
		if rating == "" {
			continue
		}
		if err := j.add(l, query, document, rating); err != nil {
			return nil, err
		}
	}
}

// rest is all that is left of the file, for a format whose cells may go over several lines. Blank lines before the first one are gone; the
// numbers of lines stay those of the file.
func (l *lineReader) rest() (string, error) {
	var b strings.Builder
	line := 1
	for l.next() {
		b.WriteString(strings.Repeat("\n", max(0, l.number-line)))
		b.WriteString(l.text)
		line = l.number
	}
	return b.String(), l.err
}

// object reads the line as a JSON object, or what an object has under _source, as exports of an index have it.
func (l *lineReader) object(into any) error {
	text := []byte(l.text)
	var wrapped struct {
		Source json.RawMessage `json:"_source"`
	}
	err := json.Unmarshal(text, &wrapped)
	if err == nil && len(wrapped.Source) > 0 {
		text = wrapped.Source
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return l.fault("JSON is one object on each line; jq -c makes such", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// identifier is an id that JSON has as a string or as a whole number.
func identifier(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case float64:
		if v == float64(int64(v)) {
			return strconv.FormatInt(int64(v), 10)
		}
	}
	return ""
}

// words are a query's words as they are compared: with single spaces.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// abridged is a line for an error.
func abridged(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return s
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
