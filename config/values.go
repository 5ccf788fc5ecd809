package config

import (
	"encoding"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Secret is a value that is never shown: it prints, logs and marshals as "***". The text itself is string(s).
// In the file it may be "file:PATH", which takes the file's content less a final line break; a relative PATH is relative to
// the configuration file.
type Secret string

var (
	_ fmt.Formatter          = Secret("")
	_ encoding.TextMarshaler = Secret("")
	_ slog.LogValuer         = Secret("")
)

// String shows whether there is a secret, and not which.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// Format covers every verb: %x and %q of a string would otherwise show it.
func (s Secret) Format(f fmt.State, verb rune) { fmt.Fprint(f, s.String()) }

// MarshalText covers JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue covers slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Switch is on or off. Its zero value is on, so that what was built in code and not read from a file reranks.
type Switch string

// The two positions of a Switch.
const (
	On  Switch = "on"
	Off Switch = "off"
)

// IsOff reports whether s is off.
func (s Switch) IsOff() bool { return s == Off }

// UnmarshalText reads on or off; true and false are accepted for those who are used to them.
func (s *Switch) UnmarshalText(text []byte) error {
	switch string(text) {
	case "on", "true":
		*s = On
	case "off", "false":
		*s = Off
	default:
		return fmt.Errorf("must be on or off, not %q", text)
	}
	return nil
}

// Duration is a time such as 150ms, 2s or 1m30s; never negative.
type Duration time.Duration

func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a number with a unit. A bare number is refused, because readers would disagree on its unit; 0 needs none.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("must be a time with a unit, such as 150ms or 2s, not %q", text)
	}
	if v < 0 {
		return fmt.Errorf("must not be negative, got %s", text)
	}
	*d = Duration(v)
	return nil
}

// Bytes is a size such as 512KiB, 32MiB or 1GiB; KB, MB and GB mean the same, as they do to Elasticsearch.
type Bytes int64

var units = []struct {
	name string
	size int64
}{{"gib", 1 << 30}, {"mib", 1 << 20}, {"kib", 1 << 10}, {"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}, {"b", 1}, {"", 1}}

func (b Bytes) String() string {
	for i, name := range []string{"GiB", "MiB", "KiB"} {
		if size := units[i].size; int64(b) >= size && int64(b)%size == 0 {
			return strconv.FormatInt(int64(b)/size, 10) + name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText writes what UnmarshalText reads.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a whole number with a unit, or a bare number of bytes.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.ToLower(string(text))
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.size {
			break
		}
		*b = Bytes(n * u.size)
		return nil
	}
	return fmt.Errorf("must be a size such as 512KiB or 32MiB, not %q", text)
}

// Percent is a share such as 10% or 0.5%; from 0 to 100.
type Percent float64

// Fraction is the share as a number from 0 to 1.
func (p Percent) Fraction() float64 { return float64(p) / 100 }

func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// MarshalText writes what UnmarshalText reads.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a number with a %. A bare number is refused, because some would take 0.5 for a half.
func (p *Percent) UnmarshalText(text []byte) error {
	digits, ok := strings.CutSuffix(string(text), "%")
	v, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(v >= 0 && v <= 100) {
		return fmt.Errorf("must be a share such as 10%%, from 0%% to 100%%, not %q", text)
	}
	*p = Percent(v)
	return nil
}
