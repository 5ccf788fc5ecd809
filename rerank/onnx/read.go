//go:build cgo

package onnx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/rerankd/rerankd/rerank/model"
)

// A model's files can be overwritten, cut short or deleted while it runs: by a deployment that copies in place, or by a person who is
// short of disk space. So nothing of the model's directory stays open or mapped once the model is loaded. A graph is read into memory
// (where it could have become another since it was described, its digest tells), and weights beside it, which ONNX Runtime maps, into a
// copy that nobody else can open: a mapped file that is cut short ends the process (SIGBUS), whoever cut it.

var errChanged = errors.New("it is not the file that it was a moment ago")

// readGraph returns the graph's bytes, which are the caller's, and what they say.
func readGraph(f *model.Files) (data []byte, g *graph, err error) {
	if f.GraphPath != "" {
		data, err = readWithRoom(f.GraphPath)
	} else {
		data = slices.Clone(f.Graph)
	}
	if err == nil {
		g, err = parseGraph(data)
	}
	if err != nil {
		return nil, nil, refuse(f, "", hintDamaged, err)
	}
	return data, g, nil
}

// readWithRoom reads a file into memory that has room for what [lean] appends, so that it is not copied for that.
func readWithRoom(path string) ([]byte, error) {
	const room = 16 << 10
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(make([]byte, 0, max(info.Size(), 0)+room))
	_, err = b.ReadFrom(file)
	return b.Bytes(), err
}

// unchanged says whether a graph that holds its weights is the one that was described.
func unchanged(f *model.Files, data []byte) error {
	if sum := sha256.Sum256(data); f.Digest != "" && hex.EncodeToString(sum[:]) != f.Digest {
		return refuse(f, "", hintChanged, errChanged)
	}
	return nil
}

// copyWeights lays a graph and the weights beside it out anew in a directory of their own, and returns the graph's path there. The
// directory is to be removed once the model is loaded: what is mapped stays, and without a name nobody can change it.
func copyWeights(f *model.Files, data []byte, weights []string) (dir, path string, err error) {
	made, err := os.MkdirTemp("", "rerankd-model-")
	if err != nil {
		return "", "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(made)
		}
	}()
	for _, name := range weights {
		// As ONNX Runtime has it: what lies outside of the model's directory is not its own.
		if !filepath.IsLocal(name) {
			return "", "", refuse(f, "", hintDamaged, fmt.Errorf("its weights are said to be in %q, which is not beside it", name))
		}
		if err := copyFile(filepath.Join(made, name), filepath.Join(filepath.Dir(f.GraphPath), name)); err != nil {
			var missing *os.PathError
			if errors.As(err, &missing) && errors.Is(err, os.ErrNotExist) {
				return "", "", refuse(f, "", hintDamaged, fmt.Errorf("its weights are in %s, which is not there", missing.Path))
			}
			return "", "", fmt.Errorf("model %q: copying its weights to %s (set TMPDIR to have them elsewhere): %w", f.Name, made, err)
		}
	}
	path = filepath.Join(made, filepath.Base(f.GraphPath))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", "", err
	}
	if f.Digest != "" {
		if digest, err := model.GraphDigest(path); err != nil || digest != f.Digest {
			return "", "", refuse(f, "", hintChanged, errors.Join(errChanged, err))
		}
	}
	return made, path, nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
