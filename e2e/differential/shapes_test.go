package differential

import (
	"encoding/base64"
	"net/url"
	"slices"

	"github.com/rerankd/rerankd/e2e/cluster"
)

// What engines can do that not all of them can.
type ability string

const (
	everywhere    ability = ""
	elasticsearch ability = "Elasticsearch"
	opensearch    ability = "OpenSearch"
	vectors       ability = "dense vectors and knn"
	retrievers    ability = "retrievers"
	joins         ability = "parent-join"
	scripts       ability = "painless"
	templates     ability = "search templates"
	combined      ability = "combined_fields"
	common        ability = "common terms queries"
	versioned     ability = "versioned media types"
	namedScores   ability = "include_named_queries_score"
	ranged        ability = "range intervals"
	never         ability = "none of the engines here"
)

// has says which engines have an ability; every test run finds out whether it is true.
func has(e cluster.Engine, a ability) bool {
	return slices.Contains(map[ability][]cluster.Engine{
		everywhere:    cluster.All(),
		elasticsearch: {cluster.Elasticsearch819, cluster.Elasticsearch814, cluster.Elasticsearch717},
		opensearch:    {cluster.OpenSearch219, cluster.OpenSearch380},
		vectors:       {cluster.Elasticsearch819, cluster.Elasticsearch814},
		retrievers:    {cluster.Elasticsearch819, cluster.Elasticsearch814},
		joins:         {cluster.OpenSearch219, cluster.OpenSearch380, cluster.Elasticsearch814},
		scripts:       {cluster.OpenSearch219, cluster.OpenSearch380, cluster.Elasticsearch814},
		templates:     {cluster.OpenSearch219, cluster.OpenSearch380},
		combined:      {cluster.OpenSearch380, cluster.Elasticsearch819, cluster.Elasticsearch814, cluster.Elasticsearch717},
		common:        {cluster.OpenSearch219, cluster.OpenSearch380, cluster.Elasticsearch717},
		versioned:     {cluster.Elasticsearch819, cluster.Elasticsearch814},
		namedScores:   {cluster.Elasticsearch819, cluster.Elasticsearch814, cluster.OpenSearch219, cluster.OpenSearch380},
		ranged:        {cluster.Elasticsearch819},
	}[a], e)
}

// A shape is a search that uses one feature, and what becomes of it.
type shape struct {
	group, feature string
	body           string // of a POST to the index; "" for a GET
	query          string // of the URL
	header         []string
	index          string // "": things
	path           string // after the index; "": _search
	needs          ability

	// What rerankd does: the search is reranked, or passes with this reason.
	passes string
	how    string // in a few words, for the table: what is adapted, or why it passes

	unspoken string // the body as the cluster is asked itself, where rerankd takes something out of it; "": the same
	holds    bool   // some hits have no text, and keep their places
	window   int    // hits that are reranked; 0: all of the rule's
	page     bool   // only the page is reranked: asking for more would change which hits match
	keys     bool   // the cluster itself writes the keys of a filtered _source in another order when fields are asked for
	timings  bool   // the answer holds times: it is compared without numbers
	refused  bool   // the cluster answers with an error
}

const (
	words    = "outdoors warm jacket"
	tea      = `"query":{"multi_match":{"query":"` + words + `","fields":["title^2","body"]}}`
	plain    = `{` + tea + `}`
	tiebreak = `"sort":["_score",{"price":"asc"}]`
)

// q is a body with a query and nothing else.
func q(query string) string { return `{"query":` + query + `}` }

// with is the body of the usual search with more members.
func with(members string) string { return `{` + tea + `,` + members + `}` }

var shapes = []shape{
	// The user's words: leaf queries.
	{group: "Queries", feature: "match", body: q(`{"match":{"body":"outdoors"}}`)},
	{group: "Queries", feature: "match, long form", body: q(`{"match":{"body":{"query":"outdoors","boost":2}}}`)},
	{group: "Queries", feature: "match_phrase", body: q(`{"match_phrase":{"body":"for the outdoors"}}`)},
	{group: "Queries", feature: "match_phrase_prefix", body: q(`{"match_phrase_prefix":{"body":"for the outd"}}`)},
	{group: "Queries", feature: "match_bool_prefix", body: q(`{"match_bool_prefix":{"body":"outdoors jack"}}`)},
	{group: "Queries", feature: "multi_match", body: plain},
	{group: "Queries", feature: "combined_fields", body: q(`{"combined_fields":{"query":"outdoors","fields":["body"]}}`), needs: combined},
	{group: "Queries", feature: "query_string", body: q(`{"query_string":{"query":"+outdoors title:jacket~1 -nowhere","default_field":"body"}}`), how: "its syntax is taken off"},
	{group: "Queries", feature: "simple_query_string", body: q(`{"simple_query_string":{"query":"outdoors | jacket -nowhere","fields":["body"]}}`), how: "its syntax is taken off"},
	{group: "Queries", feature: "intervals", body: q(`{"intervals":{"body":{"all_of":{"intervals":[{"match":{"query":"for the"}},{"match":{"query":"outdoors"}}]}}}}`)},
	{group: "Queries", feature: "intervals, range", body: q(`{"intervals":{"body":{"any_of":{"intervals":[{"match":{"query":"for the outdoors"}},{"range":{"gte":"a","lte":"b"}}]}}}}`), needs: ranged},
	{group: "Queries", feature: "common", body: q(`{"common":{"body":{"query":"the outdoors","cutoff_frequency":0.99}}}`), needs: common},
	{group: "Queries", feature: "span queries", body: q(`{"span_near":{"clauses":[{"span_term":{"body":"the"}},{"span_term":{"body":"outdoors"}}],"slop":1}}`)},
	{group: "Queries", feature: "fuzzy, prefix, wildcard", body: q(`{"bool":{"should":[{"fuzzy":{"body":"outdoor"}},{"prefix":{"body":"outd"}},{"wildcard":{"body":"out*rs"}}]}}`), how: "their texts are words where there are no others"},
	{group: "Queries", feature: "term in a text field", body: q(`{"term":{"body":"outdoors"}}`), how: "the value is words where the rule names the field and there are no others"},
	{group: "Queries", feature: "term in another field", body: q(`{"term":{"category":"camping"}}`), passes: "no_query"},
	{group: "Queries", feature: "regexp", body: q(`{"regexp":{"body":"outdo.*"}}`), passes: "no_query"},
	{group: "Queries", feature: "more_like_this", body: q(`{"more_like_this":{"fields":["body"],"like":"outdoors jackets","min_term_freq":1,"min_doc_freq":1}}`), passes: "no_query", how: "unless the rule says otherwise"},
	{group: "Queries", feature: "match_all", body: q(`{"match_all":{}}`), passes: "no_query"},
	{group: "Queries", feature: "exists, range, ids", body: q(`{"bool":{"must":[{"exists":{"field":"price"}},{"range":{"price":{"gte":1}}}],"must_not":{"ids":{"values":["1"]}}}}`), passes: "no_query"},
	{group: "Queries", feature: "knn query with k", body: q(`{"knn":{"field":"vector","query_vector":[1,1,0.5],"k":30,"num_candidates":60}}`), needs: never, passes: "no_query"},
	{group: "Queries", feature: "wrapper", body: q(`{"wrapper":{"query":"` + base64.StdEncoding.EncodeToString([]byte(`{"match":{"body":"outdoors"}}`)) + `"}}`)},
	{group: "Queries", feature: "bool", body: q(`{"bool":{"must":{"match":{"body":"outdoors"}},"should":[{"match":{"title":"warm"}}],"filter":{"term":{"category":"camping"}},"must_not":{"match":{"title":"pump"}}}}`), window: 40},
	{group: "Queries", feature: "dis_max", body: q(`{"dis_max":{"queries":[{"match":{"title":"outdoors jacket"}},{"match":{"body":"outdoors jacket"}}]}}`)},
	{group: "Queries", feature: "boosting", body: q(`{"boosting":{"positive":{"match":{"body":"outdoors"}},"negative":{"match":{"title":"pump"}},"negative_boost":0.5}}`)},
	{group: "Queries", feature: "constant_score", body: q(`{"constant_score":{"filter":{"match":{"body":"outdoors"}}}}`)},
	{group: "Queries", feature: "function_score", body: q(`{"function_score":{"query":{"match":{"body":"outdoors"}},"functions":[{"filter":{"match":{"title":"warm"}},"weight":3}]}}`)},
	{group: "Queries", feature: "script_score", body: q(`{"script_score":{"query":{"match":{"body":"outdoors"}},"script":{"source":"_score + doc['price'].value / 1000"}}}`), needs: scripts},
	{group: "Queries", feature: "nested", body: q(`{"nested":{"path":"reviews","query":{"match":{"reviews.text":"great outdoors"}}}}`)},
	{group: "Queries", feature: "has_child", body: q(`{"bool":{"must":{"match":{"body":"outdoors"}},"should":{"has_child":{"type":"offer","query":{"match":{"body":"offer"}}}}}}`), needs: joins},
	{group: "Queries", feature: "a filter alone", body: q(`{"bool":{"filter":{"match":{"body":"outdoors"}}}}`), passes: "no_query", how: "unless the rule says otherwise"},
	{group: "Queries", feature: "an exact lookup: identifier", body: q(`{"match":{"body":"SKU-12345"}}`), passes: "lookup", how: "unless the rule says otherwise"},
	{group: "Queries", feature: "an exact lookup: quoted", body: q(`{"query_string":{"query":"\"for the outdoors\"","default_field":"body"}}`), passes: "lookup"},
	{group: "Queries", feature: "an exact lookup: address", body: q(`{"match":{"body":"outdoors@example.org"}}`), passes: "lookup"},
	{group: "Queries", feature: "one letter, still being typed", body: q(`{"match_phrase_prefix":{"body":"o"}}`), passes: "no_query", how: "below the rule's least length"},

	// Paging and ordering.
	{group: "Pages and order", feature: "from and size", body: with(`"from":7,"size":5`)},
	{group: "Pages and order", feature: "from and size in the URL, which win", body: with(`"from":50,"size":1`), query: "from=3&size=4"},
	{group: "Pages and order", feature: "a page across the end of the window", body: with(`"from":35,"size":10`), how: "what is beyond the window follows in the cluster's order"},
	{group: "Pages and order", feature: "a page larger than the window", body: with(`"size":60`), how: "what is beyond the window follows in the cluster's order"},
	{group: "Pages and order", feature: "a page beyond the window", body: with(`"from":40,"size":10`), passes: "beyond_window"},
	{group: "Pages and order", feature: "a page beyond all hits", body: with(`"from":200`), passes: "beyond_window"},
	{group: "Pages and order", feature: "size 0", body: with(`"size":0`), passes: "size_zero"},
	{group: "Pages and order", feature: "size 0 with aggregations", body: with(`"size":0,"aggs":{"c":{"terms":{"field":"category"}}}`), passes: "aggregation_only"},
	{group: "Pages and order", feature: "more than index.max_result_window", body: with(`"from":10000`), passes: "beyond_window", refused: true},
	{group: "Pages and order", feature: "sort by a field", body: with(`"sort":[{"price":"asc"}]`), passes: "sort"},
	{group: "Pages and order", feature: "sort in the URL", query: "q=body:outdoors&sort=price:asc", passes: "sort"},
	{group: "Pages and order", feature: "sort by _score alone", body: with(`"sort":["_score"]`)},
	{group: "Pages and order", feature: "sort by _score alone, spelled out", body: with(`"sort":[{"_score":{"order":"desc"}}],"track_scores":true`)},
	{group: "Pages and order", feature: "sort by _score and a tie-break", body: with(tiebreak), passes: "sort", how: "the next page is found by the sort values of this one"},
	{group: "Pages and order", feature: "search_after", body: with(tiebreak + `,"search_after":[3.0,100.0]`), passes: "search_after"},
	{group: "Pages and order", feature: "scroll", body: plain, query: "scroll=1m", passes: "scroll"},
	{group: "Pages and order", feature: "track_total_hits", body: with(`"track_total_hits":false`)},
	{group: "Pages and order", feature: "track_total_hits, a number", body: with(`"track_total_hits":3`)},
	{group: "Pages and order", feature: "rest_total_hits_as_int", body: plain, query: "rest_total_hits_as_int=true"},
	{group: "Pages and order", feature: "terminate_after", body: with(`"terminate_after":1000`), page: true, how: "the page alone: when a shard has enough follows how many hits are asked for"},
	{group: "Pages and order", feature: "timeout", body: with(`"timeout":"10s"`)},
	{group: "Pages and order", feature: "min_score", body: with(`"min_score":0.01`), how: "it is the cluster's scores that are compared"},
	{group: "Pages and order", feature: "rescore", body: with(`"rescore":{"window_size":20,"query":{"rescore_query":{"match_phrase":{"body":"for the outdoors"}},"rescore_query_weight":2}}`), window: 20, how: "within its window_size"},
	{group: "Pages and order", feature: "collapse", body: with(`"collapse":{"field":"category"}`), how: "the heads of the groups"},
	{group: "Pages and order", feature: "collapse with inner_hits", body: with(`"collapse":{"field":"category","inner_hits":{"name":"more","size":2,"_source":["title"]}}`), window: 20, how: "the heads of the groups; a smaller window"},
	{group: "Pages and order", feature: "inner_hits of a nested query", body: q(`{"nested":{"path":"reviews","query":{"match":{"reviews.text":"great outdoors"}},"inner_hits":{}}}`), window: 20, how: "a smaller window"},
	{group: "Pages and order", feature: "indices_boost", body: with(`"indices_boost":[{"differential-*":1.5}]`)},
	{group: "Pages and order", feature: "aggregations, suggest, post_filter, stats", body: with(`"aggs":{"c":{"terms":{"field":"category"}}},"suggest":{"s":{"text":"jackte","term":{"field":"title"}}},"post_filter":{"term":{"category":"camping"}},"stats":["g"]`)},
	{group: "Pages and order", feature: "preference, routing, search_type, request_cache, batched_reduce_size", body: plain, query: "preference=x&routing=y&search_type=dfs_query_then_fetch&request_cache=false&batched_reduce_size=5"},
	{group: "Pages and order", feature: "search_pipeline=_none", body: plain, query: "search_pipeline=_none", needs: opensearch},
	{group: "Pages and order", feature: "top-level knn with a query", body: with(`"knn":{"field":"vector","query_vector":[1,1,0.5],"k":30,"num_candidates":60}`), needs: vectors},
	{group: "Pages and order", feature: "top-level knn without k", body: with(`"knn":{"field":"vector","query_vector":[1,1,0.5],"num_candidates":60}`), needs: never, page: true, how: "the page alone: k follows size"},
	{group: "Pages and order", feature: "retriever.standard", body: `{"retriever":{"standard":{` + tea + `,"filter":{"term":{"category":"camping"}}}}}`, needs: retrievers},
	{group: "Pages and order", feature: "retriever.knn", body: `{"retriever":{"knn":{"field":"vector","query_vector":[1,1,0.5],"k":30,"num_candidates":60}}}`, needs: retrievers, passes: "no_query", how: "a vector is no words"},

	// The texts.
	{group: "Texts and fields", feature: "_source off", body: with(`"_source":false`), how: "texts by fields, which are taken out again"},
	{group: "Texts and fields", feature: "_source with one field", body: with(`"_source":"price"`), how: "texts by fields, which are taken out again", keys: true},
	{group: "Texts and fields", feature: "_source includes and excludes", body: with(`"_source":{"includes":["*"],"excludes":["b*","reviews.stars"]}`), how: "texts by fields, which are taken out again", keys: true},
	{group: "Texts and fields", feature: "_source in the URL", body: plain, query: "_source_includes=price,stock", how: "texts by fields, which are taken out again", keys: true},
	{group: "Texts and fields", feature: "_source filtered, beside a top_hits aggregation", body: with(`"_source":["price"],"aggs":{"c":{"terms":{"field":"category"},"aggs":{"best":{"top_hits":{"size":1}}}}}`), passes: "unsupported", how: "Elasticsearch shows fields that are asked for in its hits too"},
	{group: "Texts and fields", feature: "a top_hits aggregation", body: with(`"aggs":{"c":{"terms":{"field":"category"},"aggs":{"best":{"top_hits":{"size":1}}}}}`)},
	{group: "Texts and fields", feature: "_source off, with inner_hits", body: with(`"_source":false,"collapse":{"field":"category","inner_hits":{"name":"more","size":2,"_source":["title"]}}`), window: 20, how: "texts by fields, which are taken out again; a smaller window"},
	{group: "Texts and fields", feature: "_source off, with inner_hits of a nested query", body: `{"_source":false,` + q(`{"nested":{"path":"reviews","query":{"match":{"reviews.text":"great outdoors"}},"inner_hits":{}}}`)[1:], window: 20, how: "texts by fields, which are taken out again; a smaller window"},
	{group: "Texts and fields", feature: "fields", body: with(`"_source":false,"fields":["category",{"field":"when","format":"yyyy"},"reviews.text"]`), keys: true},
	{group: "Texts and fields", feature: "fields that are read too", body: with(`"_source":false,"fields":["tit*"]`), keys: true},
	{group: "Texts and fields", feature: "docvalue_fields", body: with(`"docvalue_fields":["stock","title.raw"],"_source":false`), keys: true},
	{group: "Texts and fields", feature: "stored_fields", body: with(`"stored_fields":["title"]`), keys: true},
	{group: "Texts and fields", feature: "stored_fields _none_", body: with(`"stored_fields":"_none_"`), passes: "unsupported"},
	{group: "Texts and fields", feature: "script_fields", body: with(`"script_fields":{"double":{"script":"doc['price'].value * 2"}}`), needs: scripts, window: 20, how: "a smaller window", keys: true},
	{group: "Texts and fields", feature: "runtime_mappings", body: with(`"runtime_mappings":{"sku2":{"type":"keyword"}},"fields":["sku"]`), needs: elasticsearch, keys: true},
	{group: "Texts and fields", feature: "highlight", body: with(`"highlight":{"fields":{"body":{}}}`), window: 20, how: "a smaller window"},
	{group: "Texts and fields", feature: "version, seq_no_primary_term", body: with(`"version":true,"seq_no_primary_term":true`)},
	{group: "Texts and fields", feature: "named queries", body: q(`{"bool":{"should":[{"match":{"body":{"query":"outdoors","_name":"b"}}},{"match":{"title":{"query":"outdoors","_name":"t"}}}]}}`)},
	{group: "Texts and fields", feature: "include_named_queries_score", body: q(`{"match":{"body":{"query":"outdoors","_name":"b"}}}`), query: "include_named_queries_score=true", needs: namedScores},
	{group: "Texts and fields", feature: "an index without _source", body: plain, index: bare, passes: "no_text"},
	{group: "Texts and fields", feature: "an alias of indices with and without _source", body: with(`"size":30`), index: both, holds: true, how: "hits without text keep their places"},
	{group: "Texts and fields", feature: "documents without text", body: `{"query":{"multi_match":{"query":"outdoors thing","fields":["title","body"]}}}`, index: untitled, holds: true, how: "they keep their places"},
	{group: "Texts and fields", feature: "an index that gives few hits at once", body: plain, index: small, window: 20, how: "its limit is learned from its refusal"},
	{group: "Texts and fields", feature: "the search in the URL: q", query: "q=body:outdoors"},
	{group: "Texts and fields", feature: "the search in the URL: source", query: "source_content_type=application/json&source=" + url.QueryEscape(plain)},
	{group: "Texts and fields", feature: "ext.rerank off", body: with(`"ext":{"rerank":"off"}`), unspoken: plain, passes: "disabled", how: "and the cluster never sees it"},

	{group: "Texts and fields", feature: "ext.rerank.query_context", body: with(`"ext":{"rerank":{"query_context":{"query_text":"warm jacket"}}}`), unspoken: plain, how: "the words to rank by, on either engine"},

	// Scores that are shown.
	{group: "Scores and explanations", feature: "explain", body: with(`"explain":true`), window: 20, how: "the explanation of a moved hit is wrapped, so that its value is the score; a smaller window"},
	{group: "Scores and explanations", feature: "profile", body: with(`"profile":true`), timings: true},

	// Shapes of requests and responses.
	{group: "Formats", feature: "filter_path", body: plain, query: "filter_path=took,hits.hits._id,hits.hits._source.title", how: "applied by rerankd as the engine does"},
	{group: "Formats", feature: "filter_path with exclusions", body: with(`"aggs":{"c":{"terms":{"field":"category"}}}`), query: "filter_path=-_shards,-hits.hits._source.reviews,-aggregations.**.doc_count&pretty", how: "applied by rerankd as the engine does"},
	{group: "Formats", feature: "filter_path without hits", body: plain, query: "filter_path=took,hits.total", passes: "format"},
	{group: "Formats", feature: "typed_keys", body: with(`"aggs":{"c":{"terms":{"field":"category"}}}`), query: "typed_keys"},
	{group: "Formats", feature: "pretty, human", body: plain, query: "pretty&human"},
	{group: "Formats", feature: "YAML", body: plain, query: "format=yaml", passes: "format"},
	{group: "Formats", feature: "CBOR", body: plain, header: []string{"Accept: application/cbor"}, passes: "format"},
	{group: "Formats", feature: "SMILE", body: plain, query: "format=smile", passes: "format"},
	{group: "Formats", feature: "a request in YAML", body: "query:\n  match:\n    body: outdoors\n", header: []string{"Content-Type: application/yaml"}, passes: "format"},
	{group: "Formats", feature: "compatible-with=8", body: plain, header: []string{"Content-Type: application/vnd.elasticsearch+json;compatible-with=8", "Accept: application/vnd.elasticsearch+json;compatible-with=8"}, needs: versioned},
	{group: "Formats", feature: "compatible-with=7", body: plain, header: []string{"Content-Type: application/vnd.elasticsearch+json;compatible-with=7", "Accept: application/vnd.elasticsearch+json;compatible-with=7"}, needs: versioned},
	{group: "Formats", feature: "gzip responses", body: plain, header: []string{"Accept-Encoding: gzip"}},
	{group: "Formats", feature: "gzip requests", body: plain, header: []string{"Content-Encoding: gzip"}},
	{group: "Formats", feature: "X-Opaque-Id, traceparent", body: plain, header: []string{"X-Opaque-Id: mine", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
	{group: "Formats", feature: "an error", body: q(`{"mtach":{"body":"outdoors"}}`), query: "error_trace=false", passes: "unsupported", refused: true},
	{group: "Formats", feature: "an unknown parameter", body: plain, query: "sise=1", passes: "unsupported", refused: true},
	{group: "Formats", feature: "an unknown section of ext", body: with(`"ext":{"what":{}}`), passes: "unsupported", refused: true},
	{group: "Formats", feature: "a dashboard's own search", body: plain, header: []string{"X-Elastic-Product-Origin: kibana"}, passes: "no_rule"},
	{group: "Formats", feature: "duplicate keys in the request", body: `{"size":1,"size":2,` + tea + `}`, passes: "malformed_request", refused: true},
	{group: "Formats", feature: "truncated JSON", body: `{` + tea, passes: "malformed_request", refused: true},

	// Other endpoints.
	{group: "Endpoints", feature: "_search/template", path: "_search/template", body: `{"source":{"query":{"match":{"body":"{{query_string}}"}},"size":"{{n}}"},"params":{"query_string":"outdoors jacket","n":5}}`, needs: templates, how: "rendered by the cluster, then reranked"},
	{group: "Endpoints", feature: "_search/template, sorted", path: "_search/template", body: `{"source":{"query":{"match":{"body":"{{query_string}}"}},"sort":"price"},"params":{"query_string":"outdoors jacket"}}`, needs: templates, passes: "sort"},
	{group: "Endpoints", feature: "_search/template, pretty", path: "_search/template", query: "pretty", body: `{"source":{"query":{"match":{"body":"{{query_string}}"}},"size":3},"params":{"query_string":"outdoors jacket","n":5}}`, needs: templates, how: "rendered by the cluster, then reranked"},
	{group: "Endpoints", feature: "_msearch", path: "../_msearch", body: "{\"index\":\"" + things + "\"}\n" + plain + "\n{\"index\":\"" + things + "\"}\n" + q(`{"match_all":{}}`) + "\n{\"index\":\"differential-nowhere\"}\n" + plain + "\n", header: []string{"Content-Type: application/x-ndjson"}, how: "search by search, in one request; the whole table is tried in one too"},
	{group: "Endpoints", feature: "_msearch, pretty and filtered", path: "../_msearch", query: "pretty&filter_path=responses.hits.hits._id,responses.status", body: "{\"index\":\"" + things + "\"}\n" + plain + "\n", header: []string{"Content-Type: application/x-ndjson"}, how: "search by search, in one request; the filter applied by rerankd"},
	{group: "Endpoints", feature: "_msearch/template", path: "../_msearch/template", body: "{\"index\":\"" + things + "\"}\n" + `{"source":{"query":{"match":{"body":"{{query_string}}"}},"size":3},"params":{"query_string":"outdoors jacket"}}` + "\n", header: []string{"Content-Type: application/x-ndjson"}, needs: templates, how: "rendered by the cluster, then reranked"},
	{group: "Endpoints", feature: "_count", path: "_count", body: q(`{"match":{"body":"outdoors"}}`), passes: "-"},
	{group: "Endpoints", feature: "_explain", path: "_explain/3", body: q(`{"match":{"body":"outdoors"}}`), passes: "-"},
	{group: "Endpoints", feature: "_validate/query", path: "_validate/query", body: q(`{"match":{"body":"outdoors"}}`), query: "explain=true", passes: "-"},
	{group: "Endpoints", feature: "_field_caps", path: "_field_caps", query: "fields=title,price", passes: "-"},
	{group: "Endpoints", feature: "_search_shards", path: "_search_shards", passes: "-", timings: true},
	{group: "Endpoints", feature: "_rank_eval", path: "_rank_eval", body: `{"requests":[{"id":"a","request":` + plain + `,"ratings":[{"_index":"` + things + `","_id":"1","rating":1}]}],"metric":{"precision":{"k":5}}}`, needs: templates, passes: "-", how: "it shows the cluster's ranking"},
	{group: "Endpoints", feature: "_mget, _doc, _source", path: "_mget", body: `{"ids":["1","2","none"]}`, passes: "-"},
}

// unverified are features that no engine here can run: the request alone is read, and this is what is found in it.
var unverified = []struct {
	group, feature, body string
	words                string
	passes               string // the reason for which the request passes; "" where it may be reranked
	window               int    // of 40 wished for
}{
	{"Queries", "semantic", q(`{"semantic":{"field":"f","query":"warm jacket"}}`), "warm jacket", "", 10},
	{"Queries", "sparse_vector", q(`{"sparse_vector":{"field":"f","inference_id":"i","query":"warm jacket"}}`), "warm jacket", "", 40},
	{"Queries", "text_expansion", q(`{"text_expansion":{"f":{"model_id":"i","model_text":"warm jacket"}}}`), "warm jacket", "", 40},
	{"Queries", "knn with a text", `{"knn":{"field":"f","k":50,"num_candidates":100,"query_vector_builder":{"text_embedding":{"model_id":"i","model_text":"warm jacket"}}}}`, "warm jacket", "", 40},
	{"Queries", "neural", q(`{"neural":{"f":{"query_text":"warm jacket","model_id":"i","k":50}}}`), "warm jacket", "", 40},
	{"Queries", "neural_sparse", q(`{"neural_sparse":{"f":{"query_text":"warm jacket"}}}`), "warm jacket", "", 40},
	{"Queries", "hybrid", q(`{"hybrid":{"queries":[{"match":{"f":"warm jacket"}},{"neural":{"g":{"query_text":"warm jacket","k":50}}}]}}`), "warm jacket", "", 10},
	{"Queries", "hybrid with pagination_depth", q(`{"hybrid":{"pagination_depth":30,"queries":[{"match":{"f":"warm jacket"}}]}}`), "warm jacket", "", 30},
	{"Queries", "agentic", q(`{"agentic":{"query_text":"warm jacket"}}`), "warm jacket", "unsupported", 40},
	{"Queries", "pinned", q(`{"pinned":{"ids":["1"],"organic":{"match":{"f":"warm jacket"}}}}`), "warm jacket", "", 40},
	{"Queries", "rule", q(`{"rule":{"match_criteria":{"user_query":"warm jacket"},"ruleset_ids":["r"],"organic":{"match":{"f":"warm"}}}}`), "warm jacket", "", 40},
	{"Pages and order", "retriever.rrf", `{"retriever":{"rrf":{"rank_window_size":30,"retrievers":[{"standard":{"query":{"match":{"f":"warm jacket"}}}},{"knn":{"field":"v","query_vector":[1],"k":9,"num_candidates":9}}]}}}`, "warm jacket", "", 30},
	{"Pages and order", "retriever.linear", `{"retriever":{"linear":{"rank_window_size":20,"retrievers":[{"retriever":{"standard":{"query":{"match":{"f":"warm jacket"}}}},"weight":2}]}}}`, "warm jacket", "", 20},
	{"Pages and order", "retriever.rule", `{"retriever":{"rule":{"match_criteria":{"user_query":"warm jacket"},"ruleset_ids":["r"],"retriever":{"standard":{"query":{"match":{"f":"warm"}}}}}}}`, "warm jacket", "", 10},
	{"Pages and order", "retriever.pinned", `{"retriever":{"pinned":{"ids":["1"],"retriever":{"standard":{"query":{"match":{"f":"warm jacket"}}}}}}}`, "warm jacket", "", 10},
}
