package main

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/rerankd/rerankd/config"
)

// isTerminal reports whether a person is at the other end of a stream: looking at what is written to it, or typing what is read from it.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colored reports whether standard output shows colours, and whoever looks at it wants them (no-color.org).
func (e *environment) colored() bool {
	plain, _ := e.lookup("NO_COLOR")
	return plain == "" && isTerminal(e.stdout)
}

// newLogHandler writes to w as c says. level may be changed later, by a reload.
func newLogHandler(w io.Writer, c config.Log, level *slog.LevelVar) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "text" || c.Format != "json" && isTerminal(w) {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000")) // who watches knows the day
			}
			return a
		}
		return slog.NewTextHandler(w, o)
	}
	o.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration { // which would be a number of nanoseconds, and nothing would say so
			return slog.Float64(a.Key+"_ms", float64(a.Value.Duration().Microseconds())/1000)
		}
		return a
	}
	return slog.NewJSONHandler(w, o)
}

func logLevel(c config.Log) slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // config has checked it
	return level
}
