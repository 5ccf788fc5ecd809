package schedule

import "context"

// A Runner is one loaded model. It neither queues, groups nor caches: that is [Model]'s part.
//
// It is safe for concurrent use: several goroutines may be inside Score at once, each occupying one core.
type Runner interface {
	// Tokenize returns text's token ids without special tokens. Invalid UTF-8 and NUL are no error.
	Tokenize(text string) ([]uint32, error)

	// Score assembles the pair as the model's own tokenizer would, truncates it to the model's length, and returns the raw logit
	// of one run. It keeps neither slice. A run under way is aborted when ctx ends, and ctx's error is returned.
	Score(ctx context.Context, query, doc []uint32) (float32, error)

	// Vocabulary is a digest of the tokenizer: runners with the same one share token ids.
	Vocabulary() string
}

// A Sizer is a Runner that knows how many tokens a run of the pair takes, special tokens included and truncated to the model's length.
// For a Runner that is none, the cost of a pair is taken from the sum of its two lengths.
type Sizer interface {
	Tokens(query, doc []uint32) int
}
