package search

// Reason is the one word that says why a search was answered in the cluster's own order. It is the reason in the X-Rerank header, the
// label of the metrics and the attribute of the log, for every part of the program. The empty Reason means that nothing stood in the way.
type Reason string

// Why a search is not reranked.
const (
	// What the operator, or the client, asked for.
	Disabled Reason = "disabled" // by the configuration, the rule, the header or the body
	NoRule   Reason = "no_rule"  // no rule covers the index
	Variant  Reason = "variant"  // an experiment gives it the variant that has the cluster's order

	// What the request says.
	NoQuery          Reason = "no_query"          // there are no words in it that a document could answer
	Lookup           Reason = "lookup"            // the words name one thing (an identifier, an address, a quoted title) and want the exact match
	Sort             Reason = "sort"              // the client wants another order
	Scroll           Reason = "scroll"            // a cursor: every hit has to come exactly once, in the cluster's order
	PIT              Reason = "pit"               // the same, over a point in time
	SearchAfter      Reason = "search_after"      // the same, by sort values
	SizeZero         Reason = "size_zero"         // no hits are asked for
	AggregationOnly  Reason = "aggregation_only"  // no hits are asked for, only aggregations
	BeyondWindow     Reason = "beyond_window"     // the page begins after the last hit that may be reranked
	Format           Reason = "format"            // request or response is not plain JSON, or the client filters the response
	MalformedRequest Reason = "malformed_request" // not a request that the cluster would understand
	Unsupported      Reason = "unsupported"       // something that we do not know for certain how to rerank
	TooLarge         Reason = "too_large"         // request or response is larger than we read

	// What the cluster answered.
	UpstreamStatus    Reason = "upstream_status"    // not a 200
	UpstreamMalformed Reason = "upstream_malformed" // a 200 that is not a search response as we know it
	UpstreamPartial   Reason = "upstream_partial"   // a 200 with shards that failed, perhaps because of what we asked for
	NoHits            Reason = "no_hits"            // nothing matched
	OneHit            Reason = "one_hit"            // there is nothing to reorder
	NoText            Reason = "no_text"            // no hit has a text in the fields to be read

	// What became of the ranking.
	Language   Reason = "language"    // the words or the texts are in a language that the model was not made for
	Warming    Reason = "warming"     // model or mapping are not there yet
	Busy       Reason = "busy"        // the queue is full
	Timeout    Reason = "timeout"     // the budget went by before anything was scored
	Canceled   Reason = "canceled"    // the client went away
	ModelError Reason = "model_error" // the model broke
)

// Reasons returns every Reason but the empty one, so that metrics can be bounded by it.
func Reasons() []Reason {
	return []Reason{
		Disabled, NoRule, Variant,
		NoQuery, Lookup, Sort, Scroll, PIT, SearchAfter, SizeZero, AggregationOnly, BeyondWindow, Format, MalformedRequest, Unsupported, TooLarge,
		UpstreamStatus, UpstreamMalformed, UpstreamPartial, NoHits, OneHit, NoText,
		Language, Warming, Busy, Timeout, Canceled, ModelError,
	}
}
