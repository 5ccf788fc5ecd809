// Package eval measures rankings: against judgments, against each other, and how sure a difference is.
//
// A ranking is a slice of ids, the best first. With judgments (qrels), [Judge] gives the value of a [Measure] for each query of a [Run] as
// trec_eval does, and [Compare] sets the values of two runs side by side with an interval and p values. Without judgments, [Overlap],
// [RBO], [KendallTau] and [Displacement] say how far two rankings of the same query are from each other.
//
// The readers take the formats in which queries, judgments and runs are passed around: TREC, BEIR, UBI, Quepid.
package eval
