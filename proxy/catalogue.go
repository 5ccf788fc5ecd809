package proxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// The catalogue knows what the cluster's index expressions stand for, and which text fields there are. Nobody waits for it: a search that
// asks for what is not there yet passes, and the answer is fetched behind it. It is asked with the client's own credentials, and what one
// client may see is never shown to another.
type catalogue struct {
	reader MappingReader
	now    func() time.Time
	turns  chan struct{} // bounds the reads under way

	mu      sync.Mutex
	entries map[catalogueKey]*catalogueEntry
}

const (
	maxCatalogue     = 1024
	catalogueFresh   = 5 * time.Minute  // then it is read again, while the old one serves
	catalogueFailed  = 30 * time.Second // then a read that failed is tried again
	catalogueTimeout = 10 * time.Second
	catalogueReads   = 4
)

type catalogueKey struct {
	indices   string
	principal principal
}

type catalogueEntry struct {
	mapping *mapping // nil: none could be read
	due     time.Time
	reading bool
	used    time.Time
}

func newCatalogue(reader MappingReader, now func() time.Time) *catalogue {
	return &catalogue{
		reader:  reader,
		now:     now,
		turns:   make(chan struct{}, catalogueReads),
		entries: make(map[catalogueKey]*catalogueEntry),
	}
}

// principal tells clients apart: a digest of their credentials, so that these are not kept.
type principal [sha256.Size]byte

// credentials are the headers by which a cluster knows whom it speaks with.
func credentials(h http.Header) (http.Header, principal) {
	mine, digest := http.Header{}, sha256.New()
	for _, name := range []string{
		"Authorization", "Cookie", "Es-Security-Runas-User", "Es-Secondary-Authorization", "Es-Client-Authentication",
		"Opendistro_security_impersonate_as", "Securitytenant", "X-Proxy-User", "X-Proxy-Roles",
	} {
		if values, ok := h[name]; ok {
			mine[name] = values
			fmt.Fprintf(digest, "%s %q\n", name, values)
		}
	}
	return mine, principal(digest.Sum(nil))
}

// get returns what is known of an index expression: nil where the cluster would not say. It is not ready while nobody has heard the
// cluster's answer yet. l is retained while it is asked.
func (c *catalogue) get(l *live, indices string, h http.Header) (m *mapping, ready bool) {
	if c.reader == nil {
		return nil, true
	}
	headers, principal := credentials(h)
	key := catalogueKey{indices, principal}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := c.entries[key]
	if entry == nil {
		if len(c.entries) >= maxCatalogue {
			c.evict()
		}
		entry = &catalogueEntry{}
		c.entries[key] = entry
	}
	entry.used = now
	if !now.Before(entry.due) && !entry.reading {
		select {
		case c.turns <- struct{}{}:
			if l.retain() {
				entry.reading = true
				go c.read(l, key, headers)
			} else {
				<-c.turns
			}
		default: // the next search asks again
		}
	}
	return entry.mapping, !entry.due.IsZero()
}

// evict makes room: what was not used for the longest time goes. It is rare, so that looking at all of them is cheap enough.
func (c *catalogue) evict() {
	var oldest catalogueKey
	var used time.Time
	for key, entry := range c.entries {
		if used.IsZero() || entry.used.Before(used) {
			oldest, used = key, entry.used
		}
	}
	delete(c.entries, oldest)
}

func (c *catalogue) read(l *live, key catalogueKey, headers http.Header) {
	defer l.release()
	defer func() { <-c.turns }()
	ctx, cancel := context.WithTimeout(l.background, catalogueTimeout)
	defer cancel()
	m, err := c.load(ctx, key.indices, headers)
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := c.entries[key]
	if entry == nil {
		return
	}
	entry.reading = false
	if l.background.Err() != nil {
		return // nobody's fault: the next search asks again
	}
	if err != nil {
		// Where nobody answered, what was known is better than nothing. Where the cluster refused, it is no longer this client's to know.
		if !errors.As(err, new(interface{ HTTPStatus() int })) {
			entry.mapping = nil
		}
		entry.due = c.now().Add(catalogueFailed)
		return
	}
	entry.mapping, entry.due = m, c.now().Add(catalogueFresh)
}

// load reads and parses; a reader that panics is one that failed.
func (c *catalogue) load(ctx context.Context, indices string, headers http.Header) (m *mapping, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("reading the mapping of %q: panic: %v", indices, v)
		}
	}()
	body, err := c.reader.Mappings(ctx, indices, headers)
	if err != nil {
		return nil, fmt.Errorf("reading the mapping of %q: %w", indices, err)
	}
	return parseMapping(body)
}

// names returns the indices that the mapping is of, as an operator knows them: a data stream's backing index (.ds-logs-2026.01.31-000001)
// as the data stream.
func (m *mapping) names() []string {
	names := make([]string, len(m.indices))
	for i, name := range m.indices {
		names[i] = name
		if match := backing.FindStringSubmatch(name); match != nil {
			names[i] = match[1]
		}
	}
	return names
}

// Elasticsearch's backing indices carry a date, OpenSearch's do not.
var backing = regexp.MustCompile(`^\.ds-(.+?)(?:-\d{4}\.\d{2}\.\d{2})?-\d{6}$`)

// rule returns the first rule that covers a search, with its place; ready is false where that cannot be told yet.
func (l *live) rule(indices string, h http.Header) (i int, found, ready bool) {
	for i, rule := range l.Rules {
		switch rule.covers(indices) {
		case yes:
			return i, true, true
		case unknown:
			m, ready := l.catalogue.get(l, indices, h)
			if !ready {
				return 0, false, false
			}
			if m != nil && rule.coversAll(m.names()) {
				return i, true, true
			}
		}
	}
	return 0, false, true
}
