// Package experiment compares two ways to answer the searches of an application on its own traffic: which variant a search gets, how two
// rankings share one page, what was shown and what became of it.
//
// An [Experiment] assigns variants; [Draft] makes one page of two rankings. What was shown is an [Impression], what somebody did with it an
// [Event], what a variant would have shown a [Shadow]; they are kept by a [Sink] as lines of JSON, which package verdict reads. The words
// are those of User Behavior Insights 1.3.0 (UBI) where it has one: a query id names one search, a client id whoever searched, an object id
// what was acted on.
//
// Nothing here knows of a cluster's wire format or of rerankers: rankings are permutations, hits are ids.
package experiment
