package schedule

import "context"

// A Runner is one loaded model. It neither queues, groups nor caches: that is [Model]'s part.
//
// It is safe for concurrent use: several goroutines may be inside Score at once, each occupying one core. A Runner that is an [io.Closer]
// is closed by its Model when its last run has ended.
type Runner interface {
	// Tokenize returns text's token ids without special tokens. Invalid UTF-8 and NUL are no error. The slice is the caller's to keep, and
	// nobody's to change.
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

// A Limiter is a Runner that knows its length: the most tokens of a pair, special ones included.
type Limiter interface {
	MaxLength() int
}

// An Unknowner is a Runner that knows which token stands for what its vocabulary lacks; not ok where none does (byte-level vocabularies).
type Unknowner interface {
	Unknown() (id uint32, ok bool)
}
