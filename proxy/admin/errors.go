package admin

import (
	"context"
	"log/slog"
	"slices"
	"sync"
)

// Recent is a [slog.Handler] that hands every record on, and keeps the last ones at level error for [Status]. Copies made by
// WithAttrs and WithGroup share what is kept.
type Recent struct {
	next slog.Handler
	kept *events
}

// capacity is what someone reads through when they look at what is wrong now; the log has the rest.
const capacity = 20

type events struct {
	mu   sync.Mutex
	last []Event
}

// NewRecent returns a Recent before next.
func NewRecent(next slog.Handler) *Recent { return &Recent{next: next, kept: &events{}} }

// Events returns what is kept, newest first.
func (h *Recent) Events() []Event {
	h.kept.mu.Lock()
	defer h.kept.mu.Unlock()
	last := slices.Clone(h.kept.last)
	slices.Reverse(last)
	return last
}

// Enabled lets errors through even where the log leaves them out.
func (h *Recent) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || h.next.Enabled(ctx, level)
}

// Handle keeps the message and its "error" attribute; other attributes may hold what was searched for.
func (h *Recent) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		message := r.Message
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "error" {
				message += ": " + a.Value.String()
			}
			return true
		})
		h.kept.mu.Lock()
		h.kept.last = append(h.kept.last, Event{Time: r.Time, Message: message})
		if over := len(h.kept.last) - capacity; over > 0 {
			h.kept.last = slices.Delete(h.kept.last, 0, over)
		}
		h.kept.mu.Unlock()
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs is part of [slog.Handler].
func (h *Recent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Recent{next: h.next.WithAttrs(attrs), kept: h.kept}
}

// WithGroup is part of [slog.Handler].
func (h *Recent) WithGroup(name string) slog.Handler {
	return &Recent{next: h.next.WithGroup(name), kept: h.kept}
}
