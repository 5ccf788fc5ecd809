//go:build cgo

package onnx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/rerankd/rerankd/rerank/model"
)

// A Preparation says what [Prepare] has made, and what it found.
type Preparation struct {
	Path string
	Size int64 // bytes

	// How long the graph took to load, as it was and as it is now.
	Plain, Prepared time.Duration

	// Fixed is the median time of a run of five tokens: what each run costs before its text does.
	Fixed time.Duration
	// Operators are those of that run, the dearest first.
	Operators []Operator
	// Constant are the operators left in the graph that work on constants alone, so that each run computes anew what could have been
	// saved: there should be none.
	Constant []string
}

// An Operator is a kind of operator in a run.
type Operator struct {
	Name  string
	Count int           // in one run
	Time  time.Duration // of all of them in one run
}

// Prepare saves the form of a graph that ONNX Runtime runs in the directory o.Prepared, where [Open] finds it, unless it is there already
// and whole. It then loads both forms, makes sure that they give the same scores to the bit, and measures.
func Prepare(ctx context.Context, f *model.Files, o Options) (*Preparation, error) {
	plain := o
	plain.Prepared = ""
	began := time.Now()
	reference, err := Open(f, plain)
	if err != nil {
		return nil, err
	}
	defer reference.Close()
	p := &Preparation{Plain: time.Since(began), Path: preparedPath(o.Prepared, f.Digest)}
	data, err := readPrepared(p.Path)
	if err != nil {
		if err := savePrepared(f, p.Path); err != nil {
			return nil, fmt.Errorf("saving the prepared graph: %w", err)
		}
		if data, err = readPrepared(p.Path); err != nil {
			return nil, fmt.Errorf("reading the prepared graph %s again: %w", p.Path, err)
		}
	}
	p.Size = int64(len(data))
	began = time.Now()
	prepared, err := Open(f, o)
	if err != nil {
		return nil, err
	}
	defer prepared.Close()
	p.Prepared = time.Since(began)
	if err := sameScores(ctx, reference, prepared); err != nil {
		return nil, errors.Join(err, os.Remove(p.Path))
	}
	g, err := parseGraph(data)
	if err != nil {
		return nil, err
	}
	p.Constant = g.constantNodes()
	if p.Fixed, err = prepared.fixed(ctx); err != nil {
		return nil, err
	}
	p.Operators, err = prepared.profile(ctx, data)
	return p, err
}

// sameScores compares two models on pairs of several lengths.
func sameScores(ctx context.Context, a, b *Model) error {
	for _, tokens := range []int{0, 1, 30, 200, a.maxLength} {
		query, doc := a.sample(tokens/8), a.sample(tokens)
		want, err := a.Score(ctx, query, doc)
		if err != nil {
			return err
		}
		got, err := b.Score(ctx, query, doc)
		if err != nil {
			return err
		}
		if math.Float32bits(got) != math.Float32bits(want) {
			return fmt.Errorf("the prepared graph gives %v where the graph gives %v (%d tokens): it was removed", got, want, a.Tokens(query, doc))
		}
	}
	return nil
}

// sample is n ids from all over the vocabulary.
func (m *Model) sample(n int) []uint32 {
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = uint32((uint64(i)*2654435761 + 12345) % (uint64(m.vocabulary.largest) + 1))
	}
	return ids
}

// profiledRuns are enough for a median.
const profiledRuns = 50

// fixed is the median time of a run of a word of each text, framed: of five tokens, with a frame of three.
func (m *Model) fixed(ctx context.Context) (time.Duration, error) {
	took := make([]time.Duration, profiledRuns)
	for i := range took {
		began := time.Now()
		if _, err := m.Score(ctx, m.sample(1), m.sample(1)); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// constantNodes names the nodes whose inputs are all constants, or come from such nodes.
func (g *graph) constantNodes() []string {
	var found []string
	constants := map[string]bool{"": true} // an input that is left out
	for _, t := range g.initializers {
		constants[t.name] = true
	}
	for _, n := range g.nodes {
		if slices.ContainsFunc(n.inputs, func(in string) bool { return !constants[in] }) {
			continue
		}
		for _, out := range n.outputs {
			constants[out] = true
		}
		if len(n.inputs) > 0 { // without any it is a constant
			found = append(found, n.op+" "+n.name)
		}
	}
	return found
}

// profile has ONNX Runtime's own profiler watch runs of five tokens.
func (m *Model) profile(ctx context.Context, prepared []byte) ([]Operator, error) {
	dir, err := os.MkdirTemp("", "rerankd-profile-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	options, err := sessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if err := errors.Join(options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll), options.EnableProfiling(filepath.Join(dir, "run"))); err != nil {
		return nil, err
	}
	watched := &Model{vocabulary: m.vocabulary, template: m.template, maxLength: m.maxLength, inputs: m.inputs, output: m.output, outputName: m.outputName}
	if watched.sessions, err = watched.loadSessions(prepared, options); err != nil {
		return nil, err
	}
	for range profiledRuns {
		if _, err := watched.Score(ctx, m.sample(1), m.sample(1)); err != nil {
			return nil, errors.Join(err, watched.Close())
		}
	}
	if err := watched.Close(); err != nil { // which writes the profile
		return nil, err
	}
	return readProfile(dir)
}

// readProfile sums up the events of the kernels in the one file of dir, which ONNX Runtime writes in the Trace Event format of Chrome.
func readProfile(dir string) ([]Operator, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("ONNX Runtime has written %d profiles, want one", len(files))
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	var events []struct {
		Category string `json:"cat"`
		Duration int64  `json:"dur"` // µs
		Args     struct {
			Operator string `json:"op_name"`
		} `json:"args"`
	}
	if err := json.Unmarshal(data, &events); err != nil {
		return nil, fmt.Errorf("reading ONNX Runtime's profile: %w", err)
	}
	byName := map[string]*Operator{}
	for _, e := range events {
		if e.Category != "Node" || e.Args.Operator == "" {
			continue
		}
		o := byName[e.Args.Operator]
		if o == nil {
			o = &Operator{Name: e.Args.Operator}
			byName[o.Name] = o
		}
		o.Count++
		o.Time += time.Duration(e.Duration) * time.Microsecond
	}
	operators := make([]Operator, 0, len(byName))
	for _, o := range byName {
		operators = append(operators, Operator{o.Name, o.Count / profiledRuns, o.Time / profiledRuns})
	}
	slices.SortFunc(operators, func(a, b Operator) int { return int(b.Time - a.Time) })
	return operators, nil
}
