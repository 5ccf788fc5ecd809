//go:build cgo

package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
	"golang.org/x/sys/cpu"

	"github.com/rerankd/rerankd/rerank/model"
)

// A prepared graph is what ONNX Runtime makes of a graph before it runs it: constants computed, operators joined. It is kept in a directory
// under a name that is a digest of all that it depends on, followed by a digest of itself. So an old one is never taken for a new one, and
// a damaged one never loaded.

// preparedRecipe is raised when what is saved changes for another reason than those in [preparedPath].
const preparedRecipe = 3

// PreparedDirectory is where prepared graphs are kept unless told otherwise: "rerankd/prepared" in the user's cache directory
// (XDG_CACHE_HOME, or .cache in the home directory); "" where there is none.
func PreparedDirectory() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "rerankd", "prepared")
}

// preparedPath is the place of the prepared form of a graph for this release of ONNX Runtime on this processor.
func preparedPath(dir, digest string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s", preparedRecipe, digest, ort.GetVersion(), processor()))
	return filepath.Join(dir, hex.EncodeToString(sum[:16])+".onnx")
}

// processor names the instructions by which ONNX Runtime chooses among forms of a graph.
func processor() string {
	has := []string{runtime.GOARCH}
	for _, f := range []struct {
		name    string
		present bool
	}{
		{"avx2", cpu.X86.HasAVX2}, {"avx512f", cpu.X86.HasAVX512F}, {"avx512vnni", cpu.X86.HasAVX512VNNI}, {"amxint8", cpu.X86.HasAMXInt8},
		{"asimddp", cpu.ARM64.HasASIMDDP}, {"sve", cpu.ARM64.HasSVE},
	} {
		if f.present {
			has = append(has, f.name)
		}
	}
	return strings.Join(has, "+")
}

var errDamaged = errors.New("it is damaged")

// readPrepared returns a prepared graph, if what is there is what was saved.
func readPrepared(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	end := len(data) - sha256.Size
	if end <= 0 || sha256.Sum256(data[:end]) != [sha256.Size]byte(data[end:]) {
		return nil, errDamaged
	}
	return data[:end], nil
}

// savePrepared has ONNX Runtime write its own form of a graph, and puts it in its place.
func savePrepared(f *model.Files, path string) error {
	data, g, err := readGraph(f)
	if err != nil {
		return err
	}
	if len(g.weights) > 0 {
		return fmt.Errorf("model %q: its weights are in %s beside the graph, and only a graph that holds its weights can be prepared", f.Name, strings.Join(g.weights, ", "))
	}
	if err := unchanged(f, data); err != nil {
		return err
	}
	var m Model
	if err := m.takeSignature(g); err != nil {
		return refuse(f, "", hintNotOurs, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".preparing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	options, err := sessionOptions()
	if err != nil {
		return err
	}
	defer options.Destroy()
	made := filepath.Join(dir, "model.onnx")
	if err := options.SetOptimizedModelFilePath(made); err != nil {
		return err
	}
	session, err := newSession(lean(data, g), m.inputs, m.outputName, options)
	if err != nil {
		return refused(f, err)
	}
	if err := session.Destroy(); err != nil {
		return err
	}
	prepared, err := os.ReadFile(made)
	if err != nil {
		return fmt.Errorf("model %q: ONNX Runtime has not saved its graph: %w", f.Name, err)
	}
	sum := sha256.Sum256(prepared)
	return writeFile(path, append(prepared, sum[:]...))
}
