package search

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// refusable are the places that some cluster refuses: it does not know the query, or has no model, no join, no such document.
var refusable = []string{
	"agentic", "combined_fields", "common", "diversify", "ext.generative_qa_parameters", "ext.rerank, query_text",
	"ext.rerank, query_text_path", "ext.ubi", "geo_grid", "geo_shape", "has_child", "has_parent", "hybrid", "intervals, range",
	"intervals, regexp", "knn at the top", "knn at the top, several", "knn query, embedding, a string", "knn query, embedding, an array",
	"knn query, embedding, an object", "knn query, lookup", "knn query, text_embedding", "knn retriever", "knn, OpenSearch", "linear",
	"linear, simplified", "neural", "neural_sparse", "parent_id", "percolate", "pinned", "pinned retriever", "pointer", "priority",
	"rank_feature", "rescore by a learned ranking", "rescorer", "rrf", "rrf, simplified", "rrf, weighted", "rule", "rule retriever",
	"rule_query", "script", "script_score", "script_score, its parameter", "semantic", "shape", "sltr", "sltr beside words",
	"sltr, another parameter", "sltr, its only text", "sparse_vector", "sparse_vector, a vector", "standard", "sub_searches", "suggest",
	"template", "template, a variable", "terms, looked up", "text_expansion", "text_similarity_reranker", "type", "weighted_tokens",
	"wrapper, base64url", "wrapper, not JSON", "wrapper, without padding", "xy_shape",
}

// TestPlacesLive sends every place of words to real clusters. Where one knows the query, it has to accept it in this form, and where it says
// what it searches for, our fields have to be among its own.
func TestPlacesLive(t *testing.T) {
	for _, base := range clusters(t) {
		index := base + "/rerankd-places-test"
		newWordsIndex(t, index)
		for _, place := range places {
			rawQuery, body := place.body()
			r, err := place.policy.Parse(rawQuery, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			rawQuery, original := r.Original()
			status, answer := call(t, http.MethodPost, index+"/_search?"+rawQuery, original)
			if status != http.StatusOK {
				if !slices.Contains(refusable, place.row) {
					t.Errorf("%s: %s: got %d %s", base, place.row, status, answer)
				}
				continue
			}
			if query := r.root.get("query"); query != nil && place.fields != "" && !strings.Contains(string(original), `"rescore`) {
				explanation := explained(t, index, `{"query":`+string(query.raw(r.json))+`}`)
				if explanation == "" || strings.HasPrefix(place.row, "more_like_this") { // which do not say what they search for
					continue
				}
				for _, leaf := range r.WordsWhy() {
					for _, field := range leaf.Fields {
						if leaf.Taken && !regexp.MustCompile(`\b`+field+`\b`).MatchString(explanation) {
							t.Errorf("%s: %s: %s is not among what is searched: %s", base, place.row, field, explanation)
						}
					}
				}
			}
		}
	}
}

func newWordsIndex(t *testing.T, index string) {
	t.Helper()
	call(t, http.MethodDelete, index, nil)
	mustCall(t, http.MethodPut, index, []byte(`{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{
		"title":{"type":"text","fields":{"en":{"type":"text"}}},"body":{"type":"text"},"tag":{"type":"keyword"},"cat":{"type":"keyword"},"shop":{"type":"keyword"},
		"n":{"type":"long"},"when":{"type":"date"},"at":{"type":"geo_point"},"users":{"type":"nested","properties":{"first":{"type":"text"}}}}}}`))
	t.Cleanup(func() { call(t, http.MethodDelete, index, nil) })
	mustCall(t, http.MethodPost, index+"/_doc/1?refresh=true", []byte(`{"title":"red shoes","body":"red shoes for sale","tag":"shoes","n":1,"when":"2026-01-01","users":[{"first":"Ann"}]}`))
}

// explained returns what a cluster makes of a query, as Lucene writes it, or "" where it refuses it.
func explained(t *testing.T, index, query string) string {
	t.Helper()
	var answer struct {
		Valid        bool
		Explanations []struct{ Explanation string }
	}
	_, body := call(t, http.MethodPost, index+"/_validate/query?explain=true", []byte(query))
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if !answer.Valid || len(answer.Explanations) != 1 {
		return ""
	}
	return answer.Explanations[0].Explanation
}

// luceneTerms returns the terms of a query that Lucene has written, without those that must not be there, sorted.
func luceneTerms(explanation string) []string {
	var terms []string
	negated := []bool{false} // one for each open parenthesis
	not := false
	for i := 0; i < len(explanation); {
		rest := explanation[i:]
		switch c := rest[0]; {
		case c == '(':
			negated = append(negated, negated[len(negated)-1] || not)
			not = false
			i++
		case c == ')':
			if len(negated) > 1 {
				negated = negated[:len(negated)-1]
			}
			i++
		case c == '-' && (i == 0 || strings.IndexByte(" (+", explanation[i-1]) >= 0):
			not = true
			i++
		case strings.HasPrefix(rest, `body:`):
			rest = rest[len("body:"):]
			end := strings.IndexAny(rest, " )~")
			switch {
			case rest[0] == '"':
				end = 1 + strings.IndexByte(rest[1:], '"')
			case rangeOf.MatchString(rest):
				end = strings.IndexAny(rest, "]}") + 1
				i, not = i+len("body:")+end, false
				continue
			case end < 0:
				end = len(rest)
			}
			pattern := rest[0] == '/' || strings.HasPrefix(rest, "AutomatonQuery") || strings.HasPrefix(rest, "RegexpQuery")
			if !pattern && !not && !negated[len(negated)-1] {
				terms = append(terms, letters(rest[:end])...)
			}
			i, not = i+len("body:")+end, false
		default:
			if c == ' ' {
				not = false
			}
			i++
		}
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

func TestLuceneTerms(t *testing.T) {
	got := luceneTerms(`+body:red -(body:shoes -body:boots) body:"ab cd"~2 body:tit* +body:foo~1 (body:x)^2.0 -body:"no way" body:[a TO b] ((-body:y *:*) body:z)~1`)
	want := []string{"ab", "cd", "foo", "red", "tit", "x", "z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestCleanLikeTheCluster: of random texts in the two syntaxes, our words are the terms that the clusters search for, and no term that must
// not be there. Texts that a cluster refuses are left out. Each word is there once in a text, so that it is either wanted or not.
func TestCleanLikeTheCluster(t *testing.T) {
	for _, base := range clusters(t) {
		index := base + "/rerankd-clean-test"
		newWordsIndex(t, index)
		for _, syntax := range []string{"query_string", "simple_query_string"} {
			random := rand.New(rand.NewPCG(7, 11))
			read := 0
			for i := range 600 {
				text := randomSyntax(random, syntax == "simple_query_string")
				if i%2 == 1 { // something slips in
					at := random.IntN(len(text) + 1)
					text = text[:at] + string(`+-|&!"()[]{}~^:/\*? `[random.IntN(20)]) + text[at:]
				}
				quoted, _ := json.Marshal(text)
				query := `"` + syntax + `":{"query":` + string(quoted) + `,"default_field":"body"}`
				if syntax == "simple_query_string" {
					query = `"` + syntax + `":{"query":` + string(quoted) + `,"fields":["body"]}`
				}
				explanation := explained(t, index, `{"query":{`+query+`}}`)
				if explanation == "" || strings.Contains(explanation, "unmapped fields") || wildcard.MatchString(text) ||
					syntax == "simple_query_string" && plusWithin.MatchString(text) {
					continue
				}
				read++
				var got []string
				if syntax == "query_string" {
					words, _ := cleanQueryString(text)
					got = letters(words)
				} else {
					got = letters(cleanSimpleQueryString(text, ""))
				}
				slices.Sort(got)
				if diff := cmp.Diff(luceneTerms(explanation), slices.Compact(got), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s %s: %s\nthe cluster reads %s\nits terms -, ours +:\n%s", base, syntax, text, explanation, diff)
				}
			}
			t.Logf("%s %s: %d texts", base, syntax, read)
			if read < 100 {
				t.Errorf("%s %s: only %d texts were read", base, syntax, read)
			}
		}
	}
}

// wildcard finds those that Lucene does not write down: within a word, or before it.
var wildcard = regexp.MustCompile(`[*?][^ )~^]|\w\?`)

// plusWithin finds a plus within a word, which we leave whole.
var plusWithin = regexp.MustCompile(`[^ +|(-]\+`)

// rangeOf matches a range as Lucene writes it.
var rangeOf = regexp.MustCompile(`^[\[{]\S+ TO \S+[\]}]`)

// letters parts a text as the index's analyzer does.
func letters(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) })
}

// randomSyntax returns a text of a few clauses with the operators of a syntax.
func randomSyntax(random *rand.Rand, simple bool) string {
	n := 0
	word := func() string {
		n++
		return fmt.Sprintf("%c%c%c", 'b'+random.IntN(20), 'a'+n%26, 'c'+n/26)
	}
	pick := func(choices ...string) string { return choices[random.IntN(len(choices))] }
	var clause func(depth int) string
	clause = func(depth int) string {
		prefix := pick("", "", "", "+", "-")
		if !simple {
			prefix = pick("", "", "", "+", "-", "NOT ", "!")
		}
		if depth < 2 && random.IntN(5) == 0 {
			return prefix + "(" + clause(depth+1) + pick(" ", " | ") + clause(depth+1) + ")"
		}
		if simple {
			return prefix + pick(word(), word()+"~1", word()+"*", `\-`+word(), word()+`\"`, `"`+word()+" "+word()+`"`, `"`+word()+" "+word()+`"~2`)
		}
		return prefix + pick(word(), word()+"~", word()+"~1", word()+"^2", word()+"*", "body:"+word(), "body:("+word()+" "+word()+")", `"`+word()+" "+word()+`"`,
			`"`+word()+" "+word()+`"~2^1.5`, `body:"`+word()+`"`, "body:["+word()+" TO "+word()+"]", "body:{"+word()+" TO *}", "body:>"+word(), "/"+word()+".*/", "body:/"+word()+"[a-c]/", `\-`+word(), word()+`\:`, "_exists_:body", "body:(+"+word()+" -"+word()+")^2", "body:<="+word(),
			"body:(NOT "+word()+" "+word()+")", `"`+word()+` \" `+word()+`"`)
	}
	text := clause(0)
	for range random.IntN(4) {
		if simple {
			text += pick(" ", " ", " | ", " + ") + clause(0)
		} else {
			text += pick(" ", " ", "  ", " AND ", " OR ", " && ", " || ", " AND NOT ", ") OR (") + clause(0)
		}
	}
	if !simple {
		text = strings.ReplaceAll(text, " | ", " OR ")
	}
	return text
}
