package demo

import (
	"bufio"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A Document is one software package as its distribution describes it: one line of a corpus file, one document of the index.
type Document struct {
	Name        string   `json:"name"`
	Summary     string   `json:"summary"`
	Description string   `json:"description,omitempty"`
	Section     string   `json:"section,omitempty"`
	Homepage    string   `json:"homepage,omitempty"`
	Size        int64    `json:"size,omitempty"`   // bytes to download
	Source      string   `json:"source,omitempty"` // the source package that it is built from
	Queries     []string `json:"queries,omitempty"`
	// Queries are searches to which this document is the right answer. They are no part of what is indexed.
}

// HeldOut reports whether the document belongs to the tenth of the source packages that no text of was seen when the embedded model was
// trained. Only such documents may be asked for where the model is measured.
func (d Document) HeldOut() bool {
	source := d.Source
	if source == "" {
		source = d.Name
	}
	sum := md5.Sum([]byte(source))
	// The sum as a number modulo 10, most significant byte first.
	rest := 0
	for _, b := range sum {
		rest = (rest*256 + int(b)) % 10
	}
	return rest == 0
}

// A Corpus is what the demonstration indexes and asks for.
type Corpus struct {
	Documents []Document
	Digest    string // of the documents and their queries
	Origin    string // where it comes from, for people
}

// Load reads the corpus from the file, or makes it from this machine's Debian package lists, kept in cache for the next time.
func Load(file, cache string, log io.Writer) (*Corpus, error) {
	if file != "" {
		return readCorpus(file, filepath.Base(file))
	}
	file = filepath.Join(cache, "debian.ndjson")
	origin := "Debian package descriptions"
	if _, err := os.Stat(file); err == nil {
		return readCorpus(file, origin)
	}
	documents, err := readDebian(filepath.Join(cache, "apt"), log)
	if err != nil {
		return nil, err
	}
	if err := writeCorpus(file, documents); err != nil {
		return nil, err
	}
	return readCorpus(file, origin)
}

func readCorpus(file, origin string) (*Corpus, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the documents: %w", err)
	}
	defer f.Close()
	digest := sha256.New()
	lines := bufio.NewScanner(io.TeeReader(f, digest))
	lines.Buffer(nil, 16<<20)
	corpus := &Corpus{Origin: origin}
	seen := make(map[string]bool)
	for n := 1; lines.Scan(); n++ {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		var d Document
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return nil, fmt.Errorf("reading %s, line %d: %w", file, n, err)
		}
		if d.Name == "" || seen[d.Name] {
			return nil, fmt.Errorf("reading %s, line %d: a document needs a name of its own, got %q", file, n, d.Name)
		}
		seen[d.Name] = true
		corpus.Documents = append(corpus.Documents, d)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if len(corpus.Documents) == 0 {
		return nil, fmt.Errorf("reading %s: no documents", file)
	}
	corpus.Digest = hex.EncodeToString(digest.Sum(nil))
	return corpus, nil
}

// writeCorpus replaces the file at once, so that an interrupted run leaves none behind.
func writeCorpus(file string, documents []Document) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "corpus-*.tmp")
	if err != nil {
		return fmt.Errorf("keeping the documents: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(f.Name(), file)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriter(f)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for _, d := range documents {
		if err := lines.Encode(d); err != nil {
			return fmt.Errorf("keeping the documents: %w", err)
		}
	}
	return w.Flush()
}
