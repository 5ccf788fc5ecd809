package sink

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rerankd/rerankd/proxy/experiment"
)

// Forgotten is what was taken out of one file.
type Forgotten struct {
	File    string `json:"file"`
	Removed int    `json:"removed"` // lines
	Kept    int    `json:"kept"`
	Unread  int    `json:"unread"` // of those kept: lines that are no records, left as they are
}

// Forget takes out of files everything that one client did: its impressions, events and queries, everything else that happened under a
// query id of theirs, in whichever of the files it stands, and what was assigned by that id. Where files were written with ids hashed, salt
// is what they were hashed with.
//
// Each file is read through, written anew beside itself, and replaced at once; a process that writes to it waits, and goes on in the new
// one. Files of which nothing is to be taken out stay as they are. An error leaves the file that it names as it was.
func Forget(client string, salt []byte, files ...string) ([]Forgotten, error) {
	if client == "" {
		return nil, errors.New("forgetting: no client is named")
	}
	m := match{client: client, ids: map[string]bool{client: true}, queries: map[string]bool{}, salt: salt}
	if len(salt) > 0 {
		m.ids[Privacy{Clients: Hashed, Salt: salt}.client(client)] = true
	}
	for _, name := range files {
		if err := m.learn(name); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	var all []Forgotten
	for _, name := range files {
		done, err := m.rewrite(name)
		if err != nil {
			return all, fmt.Errorf("rewriting %s: %w", name, err)
		}
		all = append(all, done)
	}
	return all, nil
}

// A match tells what is of one client.
type match struct {
	client  string
	salt    []byte
	ids     map[string]bool // the client's, as it may be spelled
	queries map[string]bool // query ids of its searches
}

// learn finds the query ids. An event that says it is the client's makes the search that it names no search of the client's.
func (m *match) learn(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return lines(f, func(line []byte) error {
		if r, ok := read(line); ok && r.Event == nil && m.own(r) {
			if id := queryID(r); id != "" {
				m.queries[id] = true
			}
		}
		return nil
	})
}

// own reports whether the record itself says that it is the client's.
func (m *match) own(r experiment.Record) bool {
	switch {
	case r.Impression != nil:
		return m.ids[r.Impression.Client] || m.unit(r.Impression.Experiment, r.Impression.Unit)
	case r.Event != nil:
		return m.ids[r.Event.Client]
	case r.Query != nil:
		return m.ids[r.Query.Client]
	case r.Shadow != nil:
		return m.unit(r.Shadow.Experiment, r.Shadow.Unit)
	}
	return false
}

// unit reports whether a unit of an experiment was made of the client's id.
func (m *match) unit(name, unit string) bool {
	if unit == "" {
		return false
	}
	made := (&experiment.Experiment{Name: name}).Assign(m.client, experiment.Digest{}).Unit
	return unit == made || len(m.salt) > 0 && unit == Privacy{Clients: Hashed, Salt: m.salt}.unit(made)
}

func queryID(r experiment.Record) string {
	switch {
	case r.Impression != nil:
		return r.Impression.QueryID
	case r.Event != nil:
		return r.Event.QueryID
	case r.Query != nil:
		return r.Query.QueryID
	case r.Shadow != nil:
		return r.Shadow.QueryID
	}
	return ""
}

// rewrite takes the client's lines out of a file.
func (m *match) rewrite(name string) (done Forgotten, err error) {
	done.File = name
	f, err := openLocked(name)
	if err != nil {
		return done, err
	}
	defer f.Close() // and with it the lock
	info, err := f.Stat()
	if err != nil {
		return done, err
	}
	anew, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return done, err
	}
	defer os.Remove(anew.Name()) // renamed, it is there no more
	defer anew.Close()
	w := bufio.NewWriterSize(anew, 1<<20)
	err = lines(f, func(line []byte) error {
		r, ok := read(line)
		if ok && (m.own(r) || m.queries[queryID(r)]) {
			done.Removed++
			return nil
		}
		done.Kept++
		if !ok {
			done.Unread++
		}
		_, err := w.Write(line)
		return err
	})
	if err != nil || done.Removed == 0 {
		return done, err
	}
	own(anew, info)
	for _, step := range []func() error{w.Flush, func() error { return anew.Chmod(info.Mode().Perm()) }, anew.Sync, func() error { return os.Rename(anew.Name(), name) }} {
		if err := step(); err != nil {
			return Forgotten{File: name}, err
		}
	}
	return done, nil
}

// openLocked opens a file that nobody else writes to from then on.
func openLocked(name string) (*os.File, error) {
	for {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		if err := lock(f); err != nil {
			f.Close()
			return nil, err
		}
		if held(f, name) {
			return f, nil
		}
		f.Close() // set aside, or replaced, in between
	}
}

// read reads a line; ok is false where it is no record.
func read(line []byte) (r experiment.Record, ok bool) {
	if json.Unmarshal(line, &r) != nil {
		return r, false
	}
	return r, r.Impression != nil || r.Event != nil || r.Query != nil || r.Shadow != nil
}

// lines calls do for each line, line feed included, of whatever length; blank lines are none.
func lines(r io.Reader, do func(line []byte) error) error {
	b := bufio.NewReaderSize(r, 1<<20)
	if magic, _ := b.Peek(2); string(magic) == "\x1f\x8b" {
		return errors.New("it is compressed: take it apart with gzip -d, and compress it again afterwards")
	}
	for {
		line, err := b.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := do(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
