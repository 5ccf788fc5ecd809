package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// LockName is the file in a model's directory that says what was pulled.
const LockName = "rerankd.lock.json"

// Lock is what was pulled: enough to get the same again, and to verify it without the hub.
type Lock struct {
	Repository string    `json:"repository"`
	Revision   string    `json:"revision"` // as it was asked for
	Commit     string    `json:"commit"`   // as it was found
	Pulled     time.Time `json:"pulled"`
	Files      []File    `json:"files"`
}

// ReadLock reads the lock file of a directory. Without one the error is fs.ErrNotExist.
func ReadLock(dir string) (*Lock, error) {
	data, err := os.ReadFile(filepath.Join(dir, LockName))
	if err != nil {
		return nil, err
	}
	l, err := parseLock(data)
	if err != nil {
		return nil, &Error{Message: "reading " + filepath.Join(dir, LockName), Err: err, Advice: "delete it and pull the model again: files that are right are not gotten again"}
	}
	return l, nil
}

func parseLock(data []byte) (*Lock, error) {
	var l Lock
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, err
	}
	if !commitID.MatchString(l.Commit) {
		return nil, fmt.Errorf("%.80q is no commit", l.Commit)
	}
	for _, f := range l.Files {
		if err := local(f.Path); err != nil {
			return nil, err
		}
		if !sha256Digest.MatchString(f.SHA256) && (f.SHA256 != "" || !commitID.MatchString(f.Blob)) {
			return nil, fmt.Errorf("%.200q has no digest", f.Path)
		}
	}
	return &l, nil
}

func (l *Lock) write(dir string) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, LockName)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// What became of a file since it was pulled.
const (
	OK      = "ok"
	Missing = "missing"
	Changed = "changed"
)

// Check is one file of a lock, verified.
type Check struct {
	File
	State string // OK, Missing or Changed
	Found string // digest of a changed file
}

// Verify reads every file of the lock and compares it with its digest. extra are files beside them that a loader would read and that
// were not pulled.
func (l *Lock) Verify(dir string) (checks []Check, extra []string, err error) {
	known := []string{LockName}
	for _, f := range l.Files {
		known = append(known, f.Path)
		c := Check{File: f, State: OK}
		file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Path)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.State = Missing
		case err != nil:
			return nil, nil, err
		default:
			c.Found, err = digestOf(file, f)
			file.Close()
			if err != nil {
				return nil, nil, err
			}
			if c.Found != f.digest() {
				c.State = Changed
			}
		}
		checks = append(checks, c)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if name = filepath.ToSlash(name); err == nil && !slices.Contains(known, name) && (strings.Contains(name, ".onnx") || strings.HasSuffix(name, ".json")) && !strings.HasSuffix(name, ".part") {
			extra = append(extra, name)
		}
		return err
	})
	return checks, extra, err
}
