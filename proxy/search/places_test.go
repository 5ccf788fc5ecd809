package search

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A spot is one of those where words may stand, with a search that has them there.
type spot struct {
	row    string // of the table of places: the query's type, or what is around it
	search string // the body, or only the query where it begins with a type's name; after a ? the URL's query string
	policy Policy
	words  string
	fields string   // comma-separated
	why    []string // of the texts that are not taken, in order: text=why
}

// body returns the URL's query string and the body.
func (p spot) body() (rawQuery, body string) {
	if after, ok := strings.CutPrefix(p.search, "?"); ok {
		return after, ""
	}
	if rawQuery, body, ok := strings.Cut(p.search, "&&"); ok {
		return rawQuery, body
	}
	for _, member := range []string{"query", "knn", "retriever", "rescore", "sub_searches", "post_filter", "aggs", "highlight", "suggest", "ext"} {
		if strings.HasPrefix(p.search, `{"`+member+`":`) && !strings.HasPrefix(p.search, `{"knn":{"field"`) && !strings.HasPrefix(p.search, `{"knn":{"v"`) {
			return "", p.search
		}
	}
	return "", `{"query":` + p.search + `}`
}

func b64(query string) string { return base64.StdEncoding.EncodeToString([]byte(query)) }

// urlSafe is a query whose base64 has both of the characters in which the alphabets differ.
const urlSafe = "{\"match\":{\"title\":\"r\u00ff\u00fe?? shoes>>\"}}"

// places has every query, compound, retriever and outer place of the engines' search languages, by the names that they go by.
var places = []spot{
	// Leaf queries.
	{"match", `{"match":{"title":"red shoes"}}`, Policy{}, "red shoes", "title", nil},
	{"match, long", `{"match":{"title":{"query":"red shoes"}}}`, Policy{}, "red shoes", "title", nil},
	{"match, a number", `{"match":{"title":1984}}`, Policy{}, "1984", "title", nil},
	{"match, a boolean", `{"match":{"title":{"query":true}}}`, Policy{}, "", "", []string{"true=true or false"}},
	{"match_phrase", `{"match_phrase":{"title":{"query":"red shoes"}}}`, Policy{}, "red shoes", "title", nil},
	{"match_phrase_prefix", `{"match_phrase_prefix":{"title":"red sh"}}`, Policy{}, "red sh", "title", nil},
	{"match_bool_prefix", `{"match_bool_prefix":{"title":{"query":"red sh"}}}`, Policy{}, "red sh", "title", nil},
	{"multi_match", `{"multi_match":{"query":"red shoes","fields":["body","title^3"]}}`, Policy{}, "red shoes", "title,body", nil},
	{"combined_fields", `{"combined_fields":{"query":"red shoes","fields":["title","body"]}}`, Policy{}, "red shoes", "title,body", nil},
	{"query_string", `{"query_string":{"query":"title:red^2 AND \"shoes\"~1 -boots NOT laces [a TO b] /x.*/ sho*","default_field":"body"}}`,
		Policy{}, "red shoes sho", "body,title", nil},
	{"simple_query_string", `{"simple_query_string":{"query":"red + (shoes | \"sneakers\"~2) -boots laces~1 sol*","fields":["title","body^2"]}}`,
		Policy{}, "red shoes sneakers laces sol", "body,title", nil},
	{"intervals, match", `{"intervals":{"title":{"match":{"query":"red shoes"}}}}`, Policy{}, "red shoes", "title", nil},
	{"intervals, prefix", `{"intervals":{"title":{"prefix":{"prefix":"sho"}}}}`, Policy{}, "sho", "title", nil},
	{"intervals, wildcard", `{"intervals":{"title":{"wildcard":{"pattern":"sh?es*"}}}}`, Policy{}, "sh es", "title", nil},
	{"intervals, fuzzy", `{"intervals":{"title":{"fuzzy":{"term":"shoos"}}}}`, Policy{}, "shoos", "title", nil},
	{"intervals, regexp", `{"intervals":{"title":{"regexp":{"pattern":"sho.*"}}}}`, Policy{}, "", "", nil},
	{"intervals, range", `{"intervals":{"title":{"range":{"gte":"aa","lte":"zz"}}}}`, Policy{}, "", "", nil},
	{"intervals, all_of and any_of", `{"intervals":{"title":{"all_of":{"intervals":[{"match":{"query":"red"}},{"any_of":{"intervals":[{"match":{"query":"shoes"}},{"prefix":{"prefix":"boo"}}]}}]}}}}`,
		Policy{}, "red shoes", "title", []string{"boo=part of a word, beside whole ones"}},
	{"intervals, filter", `{"intervals":{"title":{"match":{"query":"red shoes","filter":{"before":{"match":{"query":"sale"}}}}}}}`, Policy{}, "red shoes sale", "title", nil},
	{"intervals, not_ filter", `{"intervals":{"title":{"match":{"query":"red shoes","filter":{"not_containing":{"match":{"query":"boots"}}}}}}}`,
		Policy{}, "red shoes", "title", []string{"boots=not_containing"}},
	{"common", `{"common":{"title":{"query":"red shoes"}}}`, Policy{}, "red shoes", "title", nil},
	{"semantic", `{"semantic":{"field":"v","query":"red shoes"}}`, Policy{}, "red shoes", "", nil},
	{"sparse_vector", `{"sparse_vector":{"field":"v","inference_id":"e","query":"red shoes"}}`, Policy{}, "red shoes", "", nil},
	{"sparse_vector, a vector", `{"sparse_vector":{"field":"v","query_vector":{"red":0.1}}}`, Policy{}, "", "", nil},
	{"text_expansion", `{"text_expansion":{"v":{"model_id":"e","model_text":"red shoes"}}}`, Policy{}, "red shoes", "", nil},
	{"weighted_tokens", `{"weighted_tokens":{"v":{"tokens":{"red":0.1}}}}`, Policy{}, "", "", nil},
	{"knn query, text_embedding", `{"knn":{"field":"v","k":3,"query_vector_builder":{"text_embedding":{"model_id":"e","model_text":"red shoes"}}}}`, Policy{}, "red shoes", "", nil},
	{"knn query, embedding, a string", `{"knn":{"field":"v","k":3,"query_vector_builder":{"embedding":{"inference_id":"e","input":"red shoes"}}}}`, Policy{}, "red shoes", "", nil},
	{"knn query, embedding, an object", `{"knn":{"field":"v","k":3,"query_vector_builder":{"embedding":{"input":{"type":"text","value":"red shoes"}}}}}`, Policy{}, "red shoes", "", nil},
	{"knn query, embedding, an array", `{"knn":{"field":"v","k":3,"query_vector_builder":{"embedding":{"input":[{"type":"text","value":"red"},{"type":"image","value":"data:x"},"shoes"]}}}}`,
		Policy{}, "red shoes", "", nil},
	{"knn query, lookup", `{"knn":{"field":"v","k":3,"query_vector_builder":{"lookup":{"id":"1","index":"i","path":"v"}}}}`, Policy{}, "", "", nil},
	{"knn at the top", `{"knn":{"field":"v","k":3,"query_vector_builder":{"text_embedding":{"model_text":"red shoes"}},"filter":{"match":{"title":"boots"}}},"size":3}`,
		Policy{}, "red shoes", "", []string{"boots=filter"}},
	{"knn at the top, several", `{"knn":[{"field":"v","k":3,"query_vector":[1]},{"field":"w","k":3,"query_vector_builder":{"embedding":{"input":"red shoes"}}}],"size":3}`, Policy{}, "red shoes", "", nil},
	{"knn, OpenSearch", `{"knn":{"v":{"vector":[1,2],"k":3,"filter":{"match":{"title":"boots"}}}}}`, Policy{}, "", "", []string{"boots=filter"}},
	{"neural", `{"neural":{"v":{"query_text":"red shoes","model_id":"e","k":3,"filter":{"match":{"title":"boots"}}}}}`, Policy{}, "red shoes", "", []string{"boots=filter"}},
	{"neural_sparse", `{"neural_sparse":{"v":{"query_text":"red shoes"}}}`, Policy{}, "red shoes", "", nil},
	{"agentic", `{"agentic":{"query_text":"red shoes","query_fields":["title"]}}`, Policy{}, "red shoes", "", nil},
	{"more_like_this", `{"more_like_this":{"fields":["title"],"like":"red shoes"}}`, Policy{}, "", "", []string{"red shoes=a document, not a question"}},
	{"more_like_this, wanted", `{"more_like_this":{"fields":["title"],"like":"red shoes"}}`, Policy{MoreLikeThis: true}, "red shoes", "title", nil},
	{"more_like_this, several", `{"more_like_this":{"fields":["title"],"like":["red shoes",{"_index":"i","_id":"1"}],"unlike":"boots"}}`, Policy{MoreLikeThis: true}, "red shoes", "title", nil},
	{"more_like_this beside words", `{"bool":{"must":[{"more_like_this":{"fields":["body"],"like":"sneakers"}},{"match":{"title":"red shoes"}}]}}`,
		Policy{MoreLikeThis: true}, "red shoes", "title", []string{"sneakers=a text to be like, beside a query that has words"}},
	{"term", `{"term":{"title":{"value":"shoes"}}}`, Policy{}, "", "", []string{"shoes=exact value"}},
	{"term in a text field", `{"term":{"title":"shoes"}}`, Policy{Fields: []string{"title"}}, "shoes", "title", nil},
	{"term in a text field, older", `{"term":{"title":{"term":"shoes"}}}`, Policy{Fields: []string{"title"}}, "shoes", "title", nil},
	{"term in another field", `{"term":{"tag":"shoes"}}`, Policy{Fields: []string{"title"}}, "", "", []string{"shoes=exact value"}},
	{"term beside full text", `{"bool":{"must":[{"term":{"title":"shoes"}},{"match":{"body":"red ones"}}]}}`,
		Policy{Fields: []string{"title", "body"}}, "red ones", "body", []string{"shoes=an exact value, beside full text"}},
	{"term in a filter", `{"bool":{"filter":{"term":{"title":"shoes"}}}}`, Policy{Fields: []string{"title"}, Filters: true}, "", "", []string{"shoes=filter"}},
	{"terms", `{"terms":{"title":["red","shoes"],"boost":1}}`, Policy{Fields: []string{"title"}}, "red shoes", "title", nil},
	{"terms in another field", `{"terms":{"tag":["red","shoes"]}}`, Policy{Fields: []string{"title"}}, "", "", []string{"red shoes=exact value"}},
	{"terms, looked up", `{"terms":{"title":{"index":"places","id":"2","path":"title"}}}`, Policy{Fields: []string{"title"}}, "", "", nil},
	{"terms_set", `{"terms_set":{"title":{"terms":["red","shoes"],"minimum_should_match_field":"n"}}}`, Policy{Fields: []string{"title"}}, "red shoes", "title", nil},
	{"fuzzy", `{"fuzzy":{"title":{"value":"shoos"}}}`, Policy{}, "shoos", "title", nil},
	{"fuzzy, older", `{"fuzzy":{"title":{"term":"shoos"}}}`, Policy{}, "shoos", "title", nil},
	{"prefix", `{"prefix":{"title":"sho"}}`, Policy{}, "sho", "title", nil},
	{"prefix beside words", `{"bool":{"should":[{"prefix":{"title":"sho"}},{"match":{"body":"red ones"}}]}}`, Policy{}, "red ones", "body", []string{"sho=part of a word, beside whole ones"}},
	{"wildcard", `{"wildcard":{"title":{"value":"*sh?es\\?"}}}`, Policy{}, "sh es?", "title", nil},
	{"wildcard, older", `{"wildcard":{"title":{"wildcard":"sho*"}}}`, Policy{}, "sho", "title", nil},
	{"regexp", `{"regexp":{"title":"sho.*"}}`, Policy{}, "", "", []string{"sho.*=a regular expression"}},
	{"span_term", `{"span_term":{"title":"shoes"}}`, Policy{}, "shoes", "title", nil},
	{"span_term, older", `{"span_term":{"title":{"term":"shoes"}}}`, Policy{}, "shoes", "title", nil},
	{"span_near", `{"span_near":{"clauses":[{"span_term":{"title":"red"}},{"span_term":{"title":{"value":"shoes"}}}],"slop":1}}`, Policy{}, "red shoes", "title", nil},
	{"span_or", `{"span_or":{"clauses":[{"span_term":{"title":"red"}},{"span_term":{"title":"shoes"}}]}}`, Policy{}, "red shoes", "title", nil},
	{"span_first", `{"span_first":{"match":{"span_term":{"title":"shoes"}},"end":3}}`, Policy{}, "shoes", "title", nil},
	{"span_not", `{"span_not":{"include":{"span_term":{"title":"shoes"}},"exclude":{"span_term":{"title":"red"}}}}`, Policy{}, "shoes", "title", []string{"red=exclude"}},
	{"span_multi, prefix", `{"span_multi":{"match":{"prefix":{"title":"sho"}}}}`, Policy{}, "sho", "title", nil},
	{"span_multi, fuzzy", `{"span_multi":{"match":{"fuzzy":{"title":{"value":"shoos"}}}}}`, Policy{}, "shoos", "title", nil},
	{"span_multi, wildcard", `{"span_multi":{"match":{"wildcard":{"title":{"value":"sho*"}}}}}`, Policy{}, "sho", "title", nil},
	{"span_multi, regexp", `{"span_multi":{"match":{"regexp":{"title":"sho.*"}}}}`, Policy{}, "", "", nil},
	{"span_multi in span_near", `{"span_near":{"clauses":[{"span_term":{"title":"red"}},{"span_multi":{"match":{"prefix":{"title":"sho"}}}}],"slop":1}}`, Policy{}, "red sho", "title", nil},
	{"span_containing", `{"span_containing":{"big":{"span_term":{"title":"red"}},"little":{"span_term":{"title":"shoes"}}}}`, Policy{}, "red shoes", "title", nil},
	{"span_within", `{"span_within":{"big":{"span_term":{"title":"red"}},"little":{"span_term":{"title":"shoes"}}}}`, Policy{}, "red shoes", "title", nil},
	{"field_masking_span", `{"field_masking_span":{"query":{"span_term":{"title":"shoes"}},"field":"body"}}`, Policy{}, "shoes", "title", nil},
	{"span_field_masking", `{"span_field_masking":{"query":{"span_term":{"title":"shoes"}},"field":"body"}}`, Policy{}, "shoes", "title", nil},
	{"sltr", `{"sltr":{"model":"m","params":{"user":"ann","keywords":"red shoes"}}}`, Policy{}, "red shoes", "", []string{"ann=not known to be the user's words"}},
	{"sltr, another parameter", `{"sltr":{"model":"m","params":{"text":"red shoes"}}}`, Policy{}, "red shoes", "", nil},
	{"sltr, its only text", `{"sltr":{"model":"m","params":{"what":"red shoes","n":3}}}`, Policy{}, "red shoes", "", nil},
	{"sltr beside words", `{"bool":{"must":[{"match":{"title":"red shoes"}},{"sltr":{"params":{"keywords":"shoe red"}}}]}}`,
		Policy{}, "red shoes", "title", []string{"shoe red=a ranking's parameter, beside a query that has words"}},
	{"percolate", `{"percolate":{"field":"f","document":{"title":"red shoes"}}}`, Policy{}, "", "", nil},
	{"ids", `{"ids":{"values":["red"]}}`, Policy{}, "", "", nil},
	{"exists", `{"exists":{"field":"title"}}`, Policy{}, "", "", nil},
	{"range", `{"range":{"title":{"gte":"red"}}}`, Policy{}, "", "", nil},
	{"geo_distance", `{"geo_distance":{"distance":"1km","at":"40,-70"}}`, Policy{}, "", "", nil},
	{"geo_bounding_box", `{"geo_bounding_box":{"at":{"top_left":"40,-74","bottom_right":"39,-73"}}}`, Policy{}, "", "", nil},
	{"geo_polygon", `{"geo_polygon":{"at":{"points":["40,-70","30,-80","20,-90"]}}}`, Policy{}, "", "", nil},
	{"geo_shape", `{"geo_shape":{"area":{"shape":{"type":"point","coordinates":[1,2]}}}}`, Policy{}, "", "", nil},
	{"geo_grid", `{"geo_grid":{"at":{"geohash":"u0"}}}`, Policy{}, "", "", nil},
	{"shape", `{"shape":{"area":{"shape":{"type":"point","coordinates":[1,2]}}}}`, Policy{}, "", "", nil},
	{"xy_shape", `{"xy_shape":{"area":{"shape":{"type":"point","coordinates":[1,2]}}}}`, Policy{}, "", "", nil},
	{"rank_feature", `{"rank_feature":{"field":"popularity"}}`, Policy{}, "", "", nil},
	{"distance_feature", `{"distance_feature":{"field":"when","pivot":"7d","origin":"now"}}`, Policy{}, "", "", nil},
	{"script", `{"script":{"script":{"source":"true"}}}`, Policy{}, "", "", nil},
	{"match_all", `{"match_all":{}}`, Policy{}, "", "", nil},
	{"match_none", `{"match_none":{}}`, Policy{}, "", "", nil},
	{"parent_id", `{"parent_id":{"type":"answer","id":"1"}}`, Policy{}, "", "", nil},
	{"type", `{"type":{"value":"_doc"}}`, Policy{}, "", "", nil},
	{"wrapper", `{"wrapper":{"query":"` + b64(urlSafe) + `"}}`, Policy{}, "r\u00ff\u00fe?? shoes>>", "title", nil},
	{"wrapper, without padding", `{"wrapper":{"query":"` + strings.TrimRight(b64(`{"match":{"title":"red shoes" }}`), "=") + `"}}`, Policy{}, "red shoes", "title", nil},
	{"wrapper, base64url", `{"wrapper":{"query":"` + base64.URLEncoding.EncodeToString([]byte(urlSafe)) + `"}}`, Policy{}, "r\u00ff\u00fe?? shoes>>", "title", nil},
	{"wrapper, not JSON", `{"wrapper":{"query":"` + b64("match: {title: red shoes}") + `"}}`, Policy{}, "", "", nil},
	{"template", `{"template":{"match":{"title":"red shoes"}}}`, Policy{}, "red shoes", "title", nil},
	{"template, a variable", `{"template":{"bool":{"must":[{"match":{"title":"red shoes"}},{"match":{"body":"${text}"}}]}}}`, Policy{}, "red shoes", "title",
		[]string{"${text}=a variable that a pipeline fills in"}},

	// Compound queries.
	{"bool, must then should", `{"bool":{"should":{"match":{"title":"laces"}},"must":[{"match":{"title":"red shoes"}}]}}`, Policy{}, "red shoes", "title",
		[]string{"laces=optional, beside a must that has words"}},
	{"bool, should alone", `{"bool":{"should":[{"match":{"title":"red shoes"}}]}}`, Policy{}, "red shoes", "title", nil},
	{"bool, must_not", `{"bool":{"must":[{"match":{"title":"red shoes"}}],"must_not":[{"match":{"title":"boots"}}]}}`, Policy{}, "red shoes", "title", []string{"boots=must_not"}},
	{"bool, mustNot", `{"bool":{"must":[{"match":{"title":"red shoes"}}],"mustNot":[{"match":{"title":"boots"}}]}}`, Policy{}, "red shoes", "title", []string{"boots=must_not"}},
	{"bool, filter", `{"bool":{"filter":{"match":{"title":"red shoes"}}}}`, Policy{}, "", "", []string{"red shoes=filter"}},
	{"bool, filter as a last resort", `{"bool":{"must":{"match_all":{}},"filter":[{"match":{"title":"red shoes"}},{"match":{"n":1984}},{"prefix":{"body":"sho"}}]}}`, Policy{Filters: true}, "red shoes", "title",
		[]string{"1984=filter", "sho=filter"}},
	{"bool, filter beside words", `{"bool":{"must":{"match":{"title":"red shoes"}},"filter":{"match":{"body":"in stock"}}}}`, Policy{Filters: true}, "red shoes", "title",
		[]string{"in stock=filter, beside clauses that have words"}},
	{"dis_max", `{"dis_max":{"queries":[{"match":{"title":"red shoes"}},{"match":{"body":"Red  Shoes"}}]}}`, Policy{}, "red shoes", "title,body", []string{"Red Shoes=said before"}},
	{"boosting", `{"boosting":{"positive":{"match":{"title":"red shoes"}},"negative":{"match":{"title":"boots"}},"negative_boost":0.5}}`, Policy{}, "red shoes", "title", []string{"boots=negative"}},
	{"constant_score", `{"constant_score":{"filter":{"match":{"title":"red shoes"}}}}`, Policy{}, "red shoes", "title", nil},
	{"function_score", `{"function_score":{"query":{"match":{"title":"red shoes"}},"functions":[{"filter":{"match":{"title":"sale"}},"weight":2}]}}`, Policy{Filters: true}, "red shoes", "title", []string{"sale=filter"}},
	{"script_score", `{"script_score":{"query":{"match":{"title":"red shoes"}},"script":{"source":"1","params":{"text":"shoe red"}}}}`, Policy{}, "red shoes", "title",
		[]string{"shoe red=not known to be the user's words"}},
	{"script_score, its parameter", `{"script_score":{"query":{"match_all":{}},"script":{"source":"1","params":{"text":"red shoes"}}}}`,
		Policy{Pointers: []string{"/query/script_score/script/params/text"}}, "red shoes", "", []string{"red shoes=not known to be the user's words"}},
	{"nested", `{"nested":{"path":"users","query":{"match":{"users.first":"Ann"}}}}`, Policy{}, "Ann", "users.first", nil},
	{"has_child", `{"has_child":{"type":"answer","query":{"match":{"title":"red shoes"}}}}`, Policy{}, "red shoes", "", nil},
	{"has_parent", `{"has_parent":{"parent_type":"question","query":{"match":{"title":"red shoes"}}}}`, Policy{}, "red shoes", "", nil},
	{"pinned", `{"pinned":{"ids":["1"],"organic":{"match":{"title":"red shoes"}}}}`, Policy{}, "red shoes", "title", nil},
	{"rule", `{"rule":{"ruleset_ids":["r"],"match_criteria":{"country":"France","user_query":"shoes, red"},"organic":{"match":{"title":"red shoe"}}}}`, Policy{}, "shoes, red", "title",
		[]string{"France=not known to be the user's words", "red shoe=the request says outright what the words are"}},
	{"rule_query", `{"rule_query":{"ruleset_id":"r","match_criteria":{"query_string":"shoes, red"},"organic":{"match":{"title":"red shoe"}}}}`, Policy{}, "shoes, red", "title",
		[]string{"red shoe=the request says outright what the words are"}},
	{"hybrid", `{"hybrid":{"queries":[{"match":{"title":"red shoes"}},{"neural":{"v":{"query_text":"red shoes"}}}],"filter":{"match":{"title":"boots"}}}}`, Policy{}, "red shoes", "title",
		[]string{"red shoes=said before", "boots=filter"}},
	{"rescore", `{"query":{"match_all":{}},"rescore":{"window_size":20,"query":{"rescore_query":{"match":{"title":"red shoes"}}}}}`, Policy{}, "red shoes", "title", nil},
	{"rescore beside words", `{"query":{"match":{"title":"red shoes"}},"rescore":[{"query":{"rescore_query":{"match_phrase":{"title":{"query":"shoes, the red","boost":9}}}}}]}`, Policy{}, "red shoes", "title",
		[]string{"shoes, the red=in a rescore query, beside a query that has words"}},
	{"rescore by a learned ranking", `{"query":{"match":{"title":"red shoes"}},"rescore":[{"query":{"rescore_query":{"sltr":{"params":{"keywords":"shoe"}}}}},{"learning_to_rank":{"model_id":"m","params":{"query":"shoe"}}}]}`,
		Policy{}, "red shoes", "title", []string{"shoe=not full text, in a rescore query", "shoe=not known to be the user's words"}},
	{"post_filter", `{"post_filter":{"match":{"title":"red shoes"}}}`, Policy{Filters: true}, "", "", nil},
	{"aggs filters", `{"aggs":{"a":{"filter":{"match":{"title":"red shoes"}}}}}`, Policy{Filters: true}, "", "", nil},
	{"highlight_query", `{"highlight":{"fields":{"title":{}},"highlight_query":{"match":{"title":"red shoes"}}}}`, Policy{}, "", "", nil},
	{"suggest", `{"suggest":{"text":"red shoes","s":{"prefix":"sho","completion":{"field":"c"}},"t":{"text":"red","term":{"field":"title"}}}}`, Policy{}, "", "", nil},
	{"sub_searches", `{"sub_searches":[{"query":{"match":{"title":"red shoes"}}},{"query":{"match":{"body":"red shoes"}}}]}`, Policy{}, "red shoes", "title,body", []string{"red shoes=said before"}},

	// Retrievers.
	{"standard", `{"retriever":{"standard":{"query":{"match":{"title":{"query":"red shoes","_name":"n"}}},"filter":{"match":{"title":"boots"}},"_name":"not these"}}}`, Policy{}, "red shoes", "title", []string{"boots=filter"}},
	{"knn retriever", `{"retriever":{"knn":{"field":"v","k":3,"num_candidates":9,"query_vector_builder":{"text_embedding":{"model_id":"e","model_text":"red shoes"}},"filter":[{"match":{"title":"boots"}}]}}}`,
		Policy{}, "red shoes", "", []string{"boots=filter"}},
	{"rrf", `{"retriever":{"rrf":{"retrievers":[{"standard":{"query":{"match":{"title":"red shoes"}}}},{"knn":{"field":"v","k":3,"query_vector_builder":{"text_embedding":{"model_text":"red shoes"}}}}],"filter":{"match":{"title":"boots"}}}}}`,
		Policy{}, "red shoes", "title", []string{"red shoes=said before", "boots=filter"}},
	{"rrf, weighted", `{"retriever":{"rrf":{"retrievers":[{"retriever":{"standard":{"query":{"match":{"title":"red shoes"}}}},"weight":2},{"standard":{"query":{"match":{"body":"sale"}}}}]}}}`,
		Policy{}, "red shoes", "title,body", []string{"sale=less weight than another"}},
	{"rrf, simplified", `{"retriever":{"rrf":{"query":"red shoes","fields":["body","title^3"]}}}`, Policy{}, "red shoes", "title,body", nil},
	{"linear", `{"retriever":{"linear":{"retrievers":[{"retriever":{"standard":{"query":{"match":{"title":"red shoes"}}}},"weight":0.5},{"retriever":{"standard":{"query":{"match":{"body":"sale"}}}},"weight":0.1}]}}}`,
		Policy{}, "red shoes", "title,body", []string{"sale=less weight than another"}},
	{"linear, simplified", `{"retriever":{"linear":{"query":"red shoes","fields":["title"],"normalizer":"minmax"}}}`, Policy{}, "red shoes", "title", nil},
	{"text_similarity_reranker", `{"retriever":{"text_similarity_reranker":{"field":"body","inference_text":"shoes, red","retriever":{"standard":{"query":{"match":{"title":"red shoe"}}}}}}}`,
		Policy{}, "shoes, red", "body,title", []string{"red shoe=the request says outright what the words are"}},
	{"rule retriever", `{"retriever":{"rule":{"ruleset_ids":["r"],"match_criteria":{"user_query":"shoes, red"},"retriever":{"standard":{"query":{"match":{"title":"red shoe"}}}}}}}`,
		Policy{}, "shoes, red", "title", []string{"red shoe=the request says outright what the words are"}},
	{"pinned retriever", `{"retriever":{"pinned":{"ids":["1"],"retriever":{"standard":{"query":{"match":{"title":"red shoes"}}}}}}}`, Policy{}, "red shoes", "title", nil},
	{"rescorer", `{"retriever":{"rescorer":{"retriever":{"standard":{"query":{"match":{"title":"red shoes"}}}},"rescore":{"window_size":20,"query":{"rescore_query":{"match_phrase":{"title":"shoes, red"}}}}}}}`,
		Policy{}, "red shoes", "title", []string{"shoes, red=in a rescore query, beside a query that has words"}},
	{"diversify", `{"retriever":{"diversify":{"type":"mmr","field":"v","retriever":{"standard":{"query":{"match":{"title":"red shoes"}}}},"query_vector_builder":{"text_embedding":{"model_text":"Red Shoes"}}}}}`,
		Policy{}, "red shoes", "title", []string{"Red Shoes=said before"}},

	// Outside the query.
	{"q", "?q=title:red+-boots+shoes&df=body", Policy{}, "red shoes", "body,title", nil},
	{"q takes the query's place", `q=red+shoes&&{"query":{"match":{"title":"boots"}}}`, Policy{}, "red shoes", "", []string{"boots=q in the URL takes its place"}},
	{"source", "?source=%7B%22query%22:%7B%22match%22:%7B%22title%22:%22red+shoes%22%7D%7D%7D&source_content_type=application/json", Policy{}, "red shoes", "title", nil},
	{"ext.rerank, query_text", `{"ext":{"rerank":{"query_context":{"query_text":"red shoes"}}}}`, Policy{}, "red shoes", "", nil},
	{"ext.rerank, query_text_path", `{"query":{"match":{"title":"red shoes"}},"ext":{"rerank":{"query_context":{"query_text_path":"query.match.title.query"}}}}`, Policy{}, "red shoes", "title",
		[]string{"red shoes=the request says outright what the words are"}},
	{"ext.ubi", `{"query":{"match":{"title":"shoe"}},"ext":{"ubi":{"user_query":"red shoes"}}}`, Policy{}, "red shoes", "title", []string{"shoe=the request says outright what the words are"}},
	{"ext.generative_qa_parameters", `{"query":{"match":{"title":"shoe"}},"ext":{"generative_qa_parameters":{"llm_question":"which shoes are red?"}}}`, Policy{}, "which shoes are red?", "title",
		[]string{"shoe=the request says outright what the words are"}},

	// Which of several.
	{"pointer", `{"query":{"match":{"title":"shoe"}},"ext":{"app":{"typed":"red shoes"}}}`, Policy{Pointers: []string{"/ext/nothing", "/ext/app/typed", "/query/match/title"}}, "red shoes", "title",
		[]string{"shoe=an earlier pointer names the words", "shoe=a pointer names the words"}},
	{"pointer to nothing", `{"match":{"title":"red shoes"}}`, Policy{Pointers: []string{"/ext/app/typed", "/query", "no pointer"}}, "red shoes", "title", nil},
	{"pointer to a syntax", `{"query_string":{"query":"title:red -boots shoes"}}`, Policy{Pointers: []string{"/query/query_string/query"}}, "red shoes", "title",
		[]string{"red shoes=a pointer names the words"}},
	{"priority", `{"retriever":{"text_similarity_reranker":{"inference_text":"c1","retriever":{"standard":{"query":{"match":{"title":"e1"}}}}}},"ext":{"app":"d1","ubi":{"user_query":"b1"},"rerank":{"query":"a1"}}}`,
		Policy{Pointers: []string{"/ext/app"}}, "a1", "title", []string{"b1=the request says outright what the words are", "d1=the request says outright what the words are",
			"c1=the request says outright what the words are", "e1=the request says outright what the words are"}},
	{"one contains the others", `{"bool":{"must":[{"match":{"title":"red"}},{"match":{"body":"RED shoes"}}]}}`, Policy{}, "RED shoes", "title,body", []string{"red=part of a longer one"}},
	{"boost times configured fields", `{"bool":{"must":[{"multi_match":{"query":"sale","fields":["tag","cat","shop"]}},{"multi_match":{"query":"red shoes","fields":["title.en","body"]}}]}}`,
		Policy{Fields: []string{"title", "body"}}, "red shoes", "tag,cat,shop,title.en,body", []string{"sale=less weight than another"}},
	{"empty", `{"match":{"title":""}}`, Policy{}, "", "", []string{"=no words"}},
	{"star", `{"query_string":{"query":"*"}}`, Policy{}, "", "", []string{"=no words"}},
	{"star in every field", `{"query_string":{"query":"*:*"}}`, Policy{}, "", "", []string{"=no words"}},
	{"too long", `{"match":{"title":"` + strings.Repeat("x", maxWords+1) + `"}}`, Policy{}, "", "", []string{strings.Repeat("x", maxWords+1) + "=too long for a question"}},
	{"too short", `{"match":{"title":"sh"}}`, Policy{MinLength: 3}, "", "", []string{"sh=too short: still being typed"}},
	{"long enough", `{"match":{"title":"sho"}}`, Policy{MinLength: 3}, "sho", "title", nil},
	{"one letter", `{"match":{"title":"é"}}`, Policy{}, "", "", []string{"é=too short: still being typed"}},
	{"one letter, wanted", `{"match":{"title":"é"}}`, Policy{MinLength: 1}, "é", "title", nil},
	{"a short word of Chinese", `{"match":{"title":"靴"}}`, Policy{MinLength: 3}, "靴", "title", nil},
}

// TestEveryPlace holds the reading of words to the table of places.
func TestEveryPlace(t *testing.T) {
	seen := map[string]bool{}
	for _, place := range places {
		if seen[place.row] {
			t.Errorf("%q is there twice", place.row)
		}
		seen[place.row] = true
		t.Run(place.row, func(t *testing.T) {
			rawQuery, body := place.body()
			if body != "" && !json.Valid([]byte(body)) {
				t.Fatalf("%s is no JSON", body)
			}
			r, err := place.policy.Parse(rawQuery, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Words(); got != place.words {
				t.Errorf("words: got %q, want %q", got, place.words)
			}
			if got := strings.Join(r.Fields(), ","); got != place.fields {
				t.Errorf("fields: got %q, want %q", got, place.fields)
			}
			var why []string
			for _, leaf := range r.WordsWhy() {
				if !leaf.Taken {
					why = append(why, leaf.Text+"="+leaf.Why)
				}
				if leaf.Taken == (leaf.Why != "") || leaf.Taken == (leaf.Tier == "") {
					t.Errorf("%+v: taken, or a reason why not", leaf)
				}
			}
			if diff := cmp.Diff(place.why, why); diff != "" {
				t.Errorf("not taken, want -, got +:\n%s", diff)
			}
		})
	}
}

// TestPlacesAreComplete fails where a type of query is read, or known to have no words, that the table of places does not name.
func TestPlacesAreComplete(t *testing.T) {
	for _, row := range []string{"agentic", "bool", "boosting", "combined_fields", "common", "constant_score", "dis_max", "distance_feature", "exists", "field_masking_span",
		"function_score", "fuzzy", "geo_bounding_box", "geo_distance", "geo_grid", "geo_polygon", "geo_shape", "has_child", "has_parent", "hybrid", "ids", "intervals", "knn",
		"match", "match_all", "match_bool_prefix", "match_none", "match_phrase", "match_phrase_prefix", "more_like_this", "multi_match", "nested", "neural", "neural_sparse",
		"parent_id", "percolate", "pinned", "prefix", "query_string", "range", "rank_feature", "regexp", "rule", "rule_query", "script", "script_score", "semantic", "shape",
		"simple_query_string", "sltr", "span_containing", "span_field_masking", "span_first", "span_multi", "span_near", "span_not", "span_or", "span_term", "span_within",
		"sparse_vector", "template", "term", "terms", "terms_set", "text_expansion", "type", "weighted_tokens", "wildcard", "wrapper", "xy_shape",
		"rescore", "post_filter", "sub_searches", "standard", "rrf", "linear", "text_similarity_reranker", "rule retriever", "pinned retriever", "rescorer", "diversify"} {
		if !slices.ContainsFunc(places, func(p spot) bool {
			return p.row == row || strings.HasPrefix(p.row, row+",") || strings.HasPrefix(p.row, row+" ")
		}) {
			t.Errorf("no row for %s", row)
		}
	}
}
