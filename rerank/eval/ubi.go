package eval

import "strings"

// How clicks become judgments. Of each query, the words that users typed, over all searches for them:
//
//   - a document that was clicked, by anybody, has grade 1;
//   - a document that was shown and not clicked has grade 0;
//   - a document that was never shown was not judged.
//
// What was shown is what ubi_queries keeps of each search (query_response_hit_ids), and events with the action impression. The rule is the
// plainest there is, and has a bias that no arithmetic takes away: users click what they are shown, and the order that was in force when
// the log was written decided that. A new order is held against it unfairly; measure Judged@10 to see by how much.

// An impression is a search whose hits somebody saw.
type impression struct {
	words string
	hits  []string
}

// readUBI reads lines of an export of ubi_queries: the searches, of which those with the same words are one query.
func (s *QuerySet) readUBI(l *lineReader) error {
	s.shown = map[string]impression{}
	seen := map[string]bool{}
	for l.next() {
		var o struct {
			QueryID   string `json:"query_id"`
			UserQuery string `json:"user_query"`
			Hits      []any  `json:"query_response_hit_ids"`
		}
		if err := l.object(&o); err != nil {
			return err
		}
		text := words(o.UserQuery)
		if text == "" {
			continue // browsing: nothing was searched for
		}
		if !seen[text] {
			seen[text] = true
			s.Queries = append(s.Queries, Query{text, text})
		}
		i := impression{words: text}
		for _, hit := range o.Hits {
			if id := identifier(hit); id != "" {
				i.hits = append(i.hits, id)
			}
		}
		if o.QueryID != "" {
			s.shown[o.QueryID] = i
		}
	}
	return l.err
}

// readEvents reads lines of an export of ubi_events. queries are the searches that they belong to; without them only events count that have
// the words themselves, as those of UBI 1.3 may.
func readEvents(l *lineReader, queries *QuerySet) (*Judgments, error) {
	j := &Judgments{Qrels: Qrels{}}
	judge := func(query, document string, grade int) {
		if j.Qrels[query] == nil {
			j.Qrels[query] = map[string]int{}
			j.Queries = append(j.Queries, Query{query, query})
		}
		j.Qrels[query][document] = max(grade, j.Qrels[query][document])
	}
	shown := map[string]impression{}
	if queries != nil {
		shown = queries.shown
		for _, q := range queries.Queries { // in their order
			if j.Qrels[q.Text] == nil {
				j.Qrels[q.Text] = map[string]int{}
				j.Queries = append(j.Queries, Query{q.Text, q.Text})
			}
		}
		for _, i := range shown {
			for _, id := range i.hits {
				judge(i.words, id, 0)
			}
		}
	}
	for l.next() {
		var o struct {
			Action     string `json:"action_name"`
			QueryID    string `json:"query_id"`
			UserQuery  string `json:"user_query"`
			Attributes struct {
				Object struct {
					ObjectID   any `json:"object_id"`
					InternalID any `json:"internal_id"` // the _id, where object_id is another field
				} `json:"object"`
			} `json:"event_attributes"`
		}
		if err := l.object(&o); err != nil {
			return nil, err
		}
		if o.Action == "" {
			return nil, l.fault("judgments by UBI are ubi_events; ubi_queries are --queries", "has no action_name")
		}
		grade := 0
		switch strings.ToLower(o.Action) {
		case "click":
			grade = 1
		case "impression":
		default:
			continue
		}
		query := shown[o.QueryID].words
		if query == "" {
			query = words(o.UserQuery)
		}
		id := identifier(o.Attributes.Object.InternalID)
		if id == "" {
			id = identifier(o.Attributes.Object.ObjectID)
		}
		if query == "" || id == "" {
			j.Left++
			continue
		}
		judge(query, id, grade)
	}
	for query, grades := range j.Qrels {
		if len(grades) == 0 {
			delete(j.Qrels, query)
		}
	}
	return j, l.err
}
