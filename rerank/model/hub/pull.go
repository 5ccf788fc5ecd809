package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rerankd/rerankd/rerank/model"
)

// Request says what to pull.
type Request struct {
	Repository string
	Revision   string   // a branch, a tag or a commit; "" = main
	Precisions []string // model.FP32, model.INT8, model.FP16: the first that the repository has a graph of is pulled
	Directory  string   // where the files go

	// Begun is told once what will be pulled; nil: nobody is.
	Begun func(Plan)
	// Progress is told how many bytes of which file came, or have to come again, where they are negative; nil: nobody is.
	Progress func(f File, bytes int64)
}

// Plan is what a pull will get.
type Plan struct {
	Commit    string
	Precision string
	Files     []File
	Bytes     int64 // of all of Files
}

// Pull gets the files that a model is loaded from, and writes the lock file last. Files that are there and right are not gotten again; with
// another commit all files of the lock are, so that a directory never mixes two versions of a model.
func (c *Client) Pull(ctx context.Context, r Request) (*Lock, error) {
	if r.Revision == "" {
		r.Revision = "main"
	}
	s, err := c.Snapshot(ctx, r.Repository, r.Revision)
	if err != nil {
		return nil, err
	}
	precision, files, err := s.choose(r.Precisions)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.Directory, 0o755); err != nil {
		return nil, err
	}
	release, err := hold(r.Directory)
	if err != nil {
		return nil, err
	}
	defer release()
	former, err := ReadLock(r.Directory)
	switch {
	case err == nil && former.Repository != r.Repository:
		return nil, &Error{Message: fmt.Sprintf("%s holds %s", r.Directory, former.Repository), Advice: "give another directory with --to"}
	case err == nil:
		files = s.also(files, former.Files)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	plan := Plan{Commit: s.Commit, Precision: precision, Files: files}
	for _, f := range files {
		plan.Bytes += f.Size
	}
	if r.Begun != nil {
		r.Begun(plan)
	}
	for _, f := range files {
		progress := func(n int64) {
			if r.Progress != nil {
				r.Progress(f, n)
			}
		}
		to := filepath.Join(r.Directory, filepath.FromSlash(f.Path))
		if right(to, f) {
			progress(f.Size)
			continue
		}
		if err := c.download(ctx, s, f, to, progress); err != nil {
			return nil, err
		}
	}
	l := &Lock{Repository: r.Repository, Revision: r.Revision, Commit: s.Commit, Pulled: time.Now().UTC().Truncate(time.Second), Files: files}
	if former != nil && former.Commit == l.Commit && slices.Equal(former.Files, l.Files) {
		return former, nil // nothing is new
	}
	return l, l.write(r.Directory)
}

// right says whether the file is there, as it should be.
func right(path string, f File) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() != f.Size {
		return false
	}
	found, err := digestOf(file, f)
	return err == nil && found == f.digest()
}

// choose picks the files of one graph, and those that say how to use it.
func (s *Snapshot) choose(precisions []string) (precision string, files []File, err error) {
	for _, precision = range precisions {
		for _, name := range model.GraphPaths(precision) {
			if i := s.find(name); i >= 0 {
				files = append(files, s.Files[i])
				break
			}
		}
		if len(files) > 0 {
			break
		}
	}
	if len(files) == 0 {
		return "", nil, s.lacks("ONNX graph as " + strings.Join(precisions, " or "))
	}
	// Weights that are too large for one file stand beside it.
	graph := files[0].Path
	for _, f := range s.Files {
		if rest, ok := strings.CutPrefix(f.Path, graph); ok && (strings.HasPrefix(rest, "_data") || strings.HasPrefix(rest, ".data")) {
			files = append(files, f)
		}
	}
	for _, name := range []string{"tokenizer.json", "config.json"} {
		i := s.find(name)
		if i < 0 {
			return "", nil, s.lacks(name)
		}
		files = append(files, s.Files[i])
	}
	for _, name := range []string{"tokenizer_config.json", "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md"} {
		if i := s.find(name); i >= 0 {
			files = append(files, s.Files[i])
		}
	}
	return precision, files, nil
}

// also adds those of the former files that this commit has.
func (s *Snapshot) also(files, former []File) []File {
	for _, old := range former {
		i := s.find(old.Path)
		if i >= 0 && !slices.ContainsFunc(files, func(f File) bool { return f.Path == old.Path }) {
			files = append(files, s.Files[i])
		}
	}
	return files
}

func (s *Snapshot) find(name string) int {
	return slices.IndexFunc(s.Files, func(f File) bool { return f.Path == name })
}

// lacks says what the repository has instead.
func (s *Snapshot) lacks(what string) error {
	var graphs, others []string
	for _, f := range s.Files {
		if path.Ext(f.Path) == ".onnx" {
			graphs = append(graphs, f.Path)
		} else if !strings.HasPrefix(f.Path, ".") {
			others = append(others, f.Path)
		}
	}
	advice := "it has no ONNX graph at all: export one (optimum-cli export onnx --task text-classification) and give its directory as source"
	if len(graphs) > 0 {
		advice = "its graphs are " + strings.Join(graphs, ", ") + "; --precision chooses"
	}
	if slices.Contains([]string{"tokenizer.json", "config.json"}, what) {
		advice = "it has " + strings.Join(others[:min(len(others), 12)], ", ") + "; a model without a fast tokenizer can be given one with transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…)"
	}
	return &Error{Message: fmt.Sprintf("%s at %.12s has no %s", s.Repository, s.Commit, what), Advice: advice}
}
