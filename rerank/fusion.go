package rerank

// FusionMethod says how the model's scores and the cluster's become one.
type FusionMethod string

const (
	FusionConvex FusionMethod = "convex" // a weighted mean of the two, each min-max normalised; also what "" means
	FusionNone   FusionMethod = "none"   // the model's order alone
)

// Fusion blends the model's judgement with the cluster's. The zero value is convex, half and half.
type Fusion struct {
	Method FusionMethod
	Weight float64 // the model's share, in (0, 1]; anything else, zero included, means a half
}
