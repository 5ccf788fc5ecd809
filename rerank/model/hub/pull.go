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
	"syscall"
	"time"

	"github.com/rerankd/rerankd/rerank/model"
)

// Request says what to pull.
type Request struct {
	Repository string
	Revision   string   // a branch, a tag or a commit; "" = main
	Precisions []string // model.FP32, model.INT8, model.FP16: the first that the repository has a graph of is pulled
	Directory  string   // where the files go

	// Begun is told what will be pulled, and once more where a graph turns out to have weights in further files; nil: nobody is.
	Begun func(Plan)
	// Held is told how many bytes of which file were there already, before others come; nil: nobody is.
	Held func(f File, bytes int64)
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

// Pull gets the files that a model is loaded from. They come to their places together when the last of them is there, and the lock file after
// them: until then a directory holds what it held before. Files that are there and right are not gotten again; with another commit all
// files of the lock are, so that a directory never mixes two versions of a model. Where Revision is a commit that is there and right, the
// hub is not asked.
func (c *Client) Pull(ctx context.Context, r Request) (*Lock, error) {
	if r.Revision == "" {
		r.Revision = "main"
	}
	if r.Begun == nil {
		r.Begun = func(Plan) {}
	}
	if r.Held == nil {
		r.Held = func(File, int64) {}
	}
	if r.Progress == nil {
		r.Progress = func(File, int64) {}
	}
	if l := here(r); l != nil {
		r.Begun(newPlan(l.Commit, r.Precisions[0], l.Files))
		for _, f := range l.Files {
			r.Held(f, f.Size)
		}
		return l, nil
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
		return nil, forbidden(err)
	}
	release, err := hold(r.Directory)
	if err != nil {
		return nil, err
	}
	defer release()
	former, err := ReadLock(r.Directory)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		former = &Lock{}
	case err != nil:
		return nil, err
	case former.Repository != r.Repository:
		return nil, &Error{Message: fmt.Sprintf("%s holds %s", r.Directory, former.Repository), Advice: "give another directory with --to"}
	}
	files = s.also(files, former.Files)
	r.Begun(newPlan(s.Commit, precision, files))
	parts := map[string]string{} // by the places to which they go
	for i := 0; i < len(files); i++ {
		f := files[i]
		place := r.place(f)
		whole := place
		if right(place, f) {
			r.Held(f, f.Size)
		} else {
			if whole, err = c.download(ctx, s, f, place, r); err != nil {
				return nil, err
			}
			parts[place] = whole
		}
		more, err := s.beside(f, whole)
		if err != nil {
			return nil, err
		}
		if all := join(files, more); len(all) > len(files) {
			files = all
			r.Begun(newPlan(s.Commit, precision, files))
		}
	}
	l := &Lock{Repository: r.Repository, Revision: r.Revision, Commit: s.Commit, Pulled: time.Now().UTC().Truncate(time.Second), Files: files}
	if len(parts) == 0 && former.Commit == l.Commit && slices.Equal(former.Files, l.Files) {
		return former, nil // nothing is new
	}
	for place, part := range parts {
		if err := os.Rename(part, place); err != nil {
			return nil, err
		}
	}
	if err := c.clear(r, former.Files, files); err != nil {
		return nil, err
	}
	return l, l.write(r.Directory)
}

func newPlan(commit, precision string, files []File) Plan {
	p := Plan{Commit: commit, Precision: precision, Files: files}
	for _, f := range files {
		p.Bytes += f.Size
	}
	return p
}

func (r Request) place(f File) string { return filepath.Join(r.Directory, filepath.FromSlash(f.Path)) }

// here is the lock of a directory that has already what is asked for; nil where the hub has to be asked. Only a commit can be known without
// it: a branch may have moved.
func here(r Request) *Lock {
	l, err := ReadLock(r.Directory)
	if err != nil || l.Repository != r.Repository || l.Commit != r.Revision {
		return nil
	}
	graphs := model.GraphPaths(r.Precisions[0])
	if !slices.ContainsFunc(l.Files, func(f File) bool { return slices.Contains(graphs, f.Path) }) {
		return nil
	}
	for _, f := range l.Files {
		if !right(r.place(f), f) {
			return nil
		}
	}
	return l
}

// clear takes away what is left of former versions: files that this commit does not have, and parts of files that are whole now.
func (c *Client) clear(r Request, former, files []File) error {
	for _, old := range former {
		if slices.ContainsFunc(files, func(f File) bool { return f.Path == old.Path }) {
			continue
		}
		if err := os.Remove(r.place(old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if c.Warn != nil {
			c.Warn("%s is not in this commit, and was removed with the former one", old.Path)
		}
	}
	for _, f := range join(files, former) {
		// In a directory whose name is a pattern some may stay, which does no harm.
		parts, _ := filepath.Glob(partOf(r.place(f), File{Blob: "????????????"}))
		for _, part := range parts {
			if err := os.Remove(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// forbidden says what to do where a directory may not be written to.
func forbidden(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return &Error{Message: "keeping the model", Err: err, Advice: "give a directory that you may write to with --to, or as RERANKD_MODELS"}
	}
	return err
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
	// Weights that are too large for one file stand beside it, by these names as a rule; beside finds the others, once the graph is here.
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
		if i := s.find(old.Path); i >= 0 {
			files = join(files, s.Files[i:i+1])
		}
	}
	return files
}

// beside are the files with weights that a graph names, which lies at path.
func (s *Snapshot) beside(graph File, at string) (files []File, err error) {
	if path.Ext(graph.Path) != ".onnx" {
		return nil, nil
	}
	names, err := model.WeightsBeside(at)
	if err != nil {
		return nil, nil // it is as it was published; what is wrong with it is said by whoever loads it
	}
	for _, name := range names {
		i := s.find(path.Join(path.Dir(graph.Path), name))
		if i < 0 {
			return nil, s.lacks(fmt.Sprintf("%q, where %s has its weights,", name, graph.Path))
		}
		files = append(files, s.Files[i])
	}
	return files, nil
}

// join adds those that are not among files yet, and leaves files as it was.
func join(files, more []File) []File {
	files = slices.Clip(files)
	for _, m := range more {
		if !slices.Contains(files, m) {
			files = append(files, m)
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
