package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// coding returns the one content coding of a body, lower case, "" for none.
func coding(h http.Header) string {
	c := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ",")))
	if c == "identity" {
		return ""
	}
	return c
}

// decode takes a content coding off, holding at most limit bytes of what comes out: a megabyte of gzip can stand for a gigabyte.
// Only gzip is known here. Engines answer with nothing else when asked for nothing else.
func (l *ledger) decode(body []byte, coding string, limit int64) ([]byte, error) {
	switch coding {
	case "":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("reading gzip: %w", err)
		}
		decoded, err := l.read(z, -1, limit)
		if err != nil {
			return nil, fmt.Errorf("reading gzip: %w", err)
		}
		return decoded, nil
	}
	return nil, fmt.Errorf("unknown content coding %q", coding)
}

var gzips = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is a valid one
	return z
}}

// compress writes body in gzip, at the level where it costs least: the way back to the client is usually short.
func compress(body []byte) []byte {
	var b bytes.Buffer
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(&b)
	z.Write(body) // a Buffer takes everything
	z.Close()
	return b.Bytes()
}

// acceptsGzip reports whether a client takes gzip, by RFC 9110 §12.5.3. One that says nothing is left without, as clusters do.
func acceptsGzip(h http.Header) bool {
	star := false
	for _, part := range strings.Split(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		wanted := true
		if key, value, ok := strings.Cut(params, "="); ok && strings.EqualFold(strings.TrimSpace(key), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			wanted = err == nil && q > 0
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			return wanted
		case "*":
			star = wanted
		}
	}
	return star
}
