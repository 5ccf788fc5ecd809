package rerank

import "context"

type backgroundKey struct{}

// InBackground marks a Rank call, by its context, as one that nobody waits for. A scorer that is shared lets every other call go first, as
// if this one were not there: it says [ErrBusy] where others are under way, and also later, when others come.
func InBackground(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

// Background reports whether nobody waits for a call. It is for scorers.
func Background(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }
