package rerank

// Scale says which numbers are shown as the hits' scores.
type Scale string

const (
	ScaleSigmoid Scale = "sigmoid" // 1/(1+e^-s); also what "" means
	ScaleES      Scale = "es"      // max(s,0) + min(e^s,1), as Elasticsearch's text_similarity_reranker shows
	ScaleLogit   Scale = "logit"   // s, which may be negative
	ScaleRank    Scale = "rank"    // 1/place, the first place being 1
	ScaleKeep    Scale = "keep"    // the i-th of the cluster's scores at place i
)
