package search

// A tier says how much a text is likely to be what the user typed. Only the texts of the first tier that has any are taken.
type tier int

const (
	// Said outright.
	override  tier = iota // to us, in ext.rerank
	observed              // to who collects behaviour, in ext.ubi.user_query
	asked                 // to a reranker, in its inference_text
	matched               // to a rule, in match_criteria
	generated             // to a language model, in ext.generative_qa_parameters.llm_question
	pointed               // by the operator, who says where the words stand

	// Read out of the query.
	typed     // a full-text query that has to match
	optional  // a should clause beside a must that has words: a nudge, often not the user's
	figure    // a number in a full-text query
	value     // a whole value that is looked for in a field of texts
	fragment  // fuzzy, prefix, wildcard: part of a word
	parameter // of a learned ranking
	example   // a text that others are to be like

	// Read where the words seldom are. Only full text counts there.
	rescored // a query that scores the first hits again
	filtered // a filter
)

// String says in plain words what makes a text of this tier likely to be what the user typed.
func (t tier) String() string {
	switch t {
	case override:
		return "said in ext.rerank"
	case observed:
		return "said in ext.ubi"
	case asked:
		return "what a reranker is asked"
	case matched:
		return "what a rule is matched by"
	case generated:
		return "what a language model is asked"
	case pointed:
		return "named by a pointer"
	case typed:
		return "full text"
	case optional:
		return "optional"
	case figure:
		return "a number"
	case value:
		return "an exact value in a text field"
	case fragment:
		return "part of a word"
	case parameter:
		return "a ranking's parameter"
	case example:
		return "a text to be like"
	case rescored:
		return "in a rescore query"
	}
	return "in a filter"
}

// beside says why a text of this tier is not taken where there is one of a better tier.
func (t tier) beside(best tier) string {
	switch {
	case best == pointed:
		return "a pointer names the words"
	case best < pointed:
		return "the request says outright what the words are"
	}
	switch t {
	case optional:
		return "optional, beside a must that has words"
	case figure:
		return "a number, beside words"
	case value:
		return "an exact value, beside full text"
	case fragment:
		return "part of a word, beside whole ones"
	case parameter:
		return "a ranking's parameter, beside a query that has words"
	case example:
		return "a text to be like, beside a query that has words"
	case rescored:
		return "in a rescore query, beside a query that has words"
	}
	return "filter, beside clauses that have words"
}

// outright returns the scope of a text that is said outright to be the user's words.
func (s scope) outright(t tier) scope {
	s.tier = min(s.tier, t)
	return s
}

// below returns the scope of texts that are less likely to be the user's words than full text is. In a rescore query and in a filter, such
// ones are none at all.
func (s scope) below(t tier) scope {
	switch s.tier {
	case rescored:
		return s.not("not full text, in a rescore query")
	case filtered:
		return s.not("filter")
	}
	s.tier = max(s.tier, t)
	return s
}
