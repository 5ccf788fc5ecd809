//go:build cgo

package onnx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/rerankd/rerankd/rerank/model"
)

// An input is what a graph may ask for. BERT asks for all three, DeBERTa-v2 has no segments.
type input string

const (
	inputIDs     input = "input_ids"
	inputMask    input = "attention_mask"
	inputSegment input = "token_type_ids"
)

// openSession loads the graph, in its prepared form where there is one, and sets m.sessions, m.inputs, m.output and m.outputName.
func (m *Model) openSession(f *model.Files, o Options) error {
	if o.Prepared == "" || f.Digest == "" {
		return m.openGraph(f)
	}
	path := preparedPath(o.Prepared, f.Digest)
	data, err := readPrepared(path)
	if errors.Is(err, os.ErrNotExist) {
		return m.openGraph(f)
	}
	if err == nil {
		err = m.openPrepared(data)
	}
	if err == nil {
		return nil
	}
	// It is only a way to load faster. Made anew, it will be right the next time.
	m.leftAside = fmt.Errorf("prepared graph %s: %w", path, err)
	if err := m.openGraph(f); err != nil {
		return err
	}
	if err := savePrepared(f, path); err != nil {
		m.leftAside = fmt.Errorf("%w; making it anew: %w", m.leftAside, err)
	}
	return nil
}

// openGraph loads the graph without the work of its last layer that nobody reads. What is published can be odder than all that was thought
// of here: a graph that does not run in that form is loaded as it is.
func (m *Model) openGraph(f *model.Files) error {
	edited := false
	err := m.loadGraph(f, func(file []byte, g *graph) []byte {
		less := lean(file, g)
		edited = len(less) != len(file)
		return less
	})
	if !edited || err == nil && m.tries() == nil {
		return err
	}
	if err == nil {
		m.sessions.destroy()
	}
	return m.loadGraph(f, asItIs)
}

// tries runs the model once, on a few tokens. A graph may be made to run for ever.
func (m *Model) tries() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := m.run(ctx, pair{ids: make([]int64, 8), segments: make([]int64, 8)})
	return err
}

func asItIs(file []byte, _ *graph) []byte { return file }

func (m *Model) loadGraph(f *model.Files, edit func(file []byte, g *graph) []byte) error {
	data, g, err := readGraph(f)
	if err != nil {
		return err
	}
	if err := m.takeSignature(g); err != nil {
		return refuse(f, "", hintNotOurs, err)
	}
	options, err := sessionOptions()
	if err != nil {
		return fmt.Errorf("model %q: %w", f.Name, err)
	}
	defer options.Destroy()
	if len(g.weights) > 0 && f.GraphPath != "" {
		dir, path, err := copyWeights(f, data, g.weights)
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := os.WriteFile(path, edit(data, g), 0o600); err != nil {
			return err
		}
		m.sessions, err = loadSessions(1, func() (*ort.DynamicAdvancedSession, error) {
			return ort.NewDynamicAdvancedSession(path, names(m.inputs), []string{m.outputName}, options)
		})
		return refused(f, err)
	}
	if err := unchanged(f, data); err != nil {
		return err
	}
	m.sessions, err = m.loadSessions(edit(data, g), options)
	return refused(f, err)
}

func (m *Model) openPrepared(data []byte) error {
	g, err := parseGraph(data)
	if err != nil {
		return err
	}
	if err := m.takeSignature(g); err != nil {
		return err
	}
	options, err := sessionOptions()
	if err != nil {
		return err
	}
	defer options.Destroy()
	if err := options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll); err != nil {
		return err
	}
	m.sessions, err = m.loadSessions(data, options)
	return err
}

// loadSessions loads a graph for each run that there is at once.
func (m *Model) loadSessions(graph []byte, options *ort.SessionOptions) (*sessions, error) {
	return loadSessions(copies(m.workers, len(graph)), func() (*ort.DynamicAdvancedSession, error) {
		return newSession(graph, m.inputs, m.outputName, options)
	})
}

// takeSignature sets m.inputs, m.output and m.outputName.
func (m *Model) takeSignature(g *graph) (err error) {
	if m.inputs, err = checkInputs(g.inputs); err != nil {
		return err
	}
	m.outputName, m.output, err = checkOutput(g.outputs)
	return err
}

func newSession(data []byte, inputs []input, output string, options *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
	return ort.NewDynamicAdvancedSessionWithONNXData(data, names(inputs), []string{output}, options)
}

func names(inputs []input) []string {
	names := make([]string, len(inputs))
	for i, in := range inputs {
		names[i] = string(in)
	}
	return names
}

func refused(f *model.Files, err error) error {
	if err == nil {
		return nil
	}
	return refuse(f, "", hintDamaged, fmt.Errorf("ONNX Runtime does not load it: %w", err))
}

// sessionOptions make a run a plain function call: on the caller's thread, one operator after the other. Goroutines give the
// parallelism, which costs less than threads that work on one run and wait for each other.
func sessionOptions() (_ *ort.SessionOptions, err error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			o.Destroy()
		}
	}()
	return o, errors.Join(
		o.SetIntraOpNumThreads(1),
		o.SetInterOpNumThreads(1),
		o.SetExecutionMode(ort.ExecutionModeSequential),
		// Every pair has another length: a memory plan made for one would be kept for each.
		o.SetMemPattern(false),
		// A waiting thread that spins would take its processor from the proxy.
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		o.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
		// Of two layer normalizations that are the same to the last bit but one, the one joined with the addition before it takes eight times
		// as long (200 µs for 100 tokens of 384; ONNX Runtime 1.32 on a processor with AVX-512).
		o.AddSessionConfigEntry("optimization.disable_specified_optimizers", "SkipLayerNormFusion"),
		// Runs that are given up are our own doing; all other errors are returned, so nothing needs to be printed as well.
		o.SetLogSeverityLevel(ort.LoggingLevelFatal),
	)
}

// checkInputs returns the graph's inputs if they are all ones that we know how to fill.
func checkInputs(found []ort.InputOutputInfo) ([]input, error) {
	inputs := make([]input, 0, len(found))
	hasIDs := false
	for _, in := range found {
		name := input(in.Name)
		switch name {
		case inputIDs:
			hasIDs = true
		case inputMask, inputSegment:
		default:
			return nil, fmt.Errorf("the graph asks for %q, and only input_ids, attention_mask and token_type_ids can be given: %s", in.Name, describe(found))
		}
		d := in.Dimensions
		if in.DataType != ort.TensorElementDataTypeInt64 || len(d) != 2 || d[0] > 1 || d[1] > 0 {
			return nil, fmt.Errorf("the graph's %s should be int64 of any batch and any length: %s", in.Name, describe(found))
		}
		inputs = append(inputs, name)
	}
	if !hasIDs {
		return nil, fmt.Errorf("the graph does not ask for input_ids: %s", describe(found))
	}
	return inputs, nil
}

// checkOutput returns the name and the shape for one pair of the output that holds the logit.
func checkOutput(found []ort.InputOutputInfo) (string, ort.Shape, error) {
	for _, out := range found {
		if out.Name != "logits" && len(found) > 1 {
			continue
		}
		d := out.Dimensions
		if out.DataType == ort.TensorElementDataTypeFloat && len(d) > 0 && d[0] <= 1 {
			switch {
			case len(d) == 1:
				return out.Name, ort.NewShape(1), nil
			case len(d) == 2 && (d[1] == 1 || d[1] < 0):
				return out.Name, ort.NewShape(1, 1), nil
			}
		}
		break
	}
	return "", nil, fmt.Errorf("the graph should give one float32 for each pair, as logits [batch, 1]: %s", describe(found))
}

func describe(found []ort.InputOutputInfo) string {
	parts := make([]string, len(found))
	for i, f := range found {
		elements := strings.TrimPrefix(f.DataType.String(), "ONNX_TENSOR_ELEMENT_DATA_TYPE_")
		parts[i] = fmt.Sprintf("%s %s%v", f.Name, elements, []int64(f.Dimensions))
	}
	return "found " + strings.Join(parts, ", ")
}

// run runs the model once. It returns when the run has ended, also where ctx ended it, so that everything it used can be freed.
func (m *Model) run(ctx context.Context, p pair) (_ float32, err error) {
	mask := make([]int64, len(p.ids))
	for i := range mask {
		mask[i] = 1
	}
	data := map[input][]int64{inputIDs: p.ids, inputMask: mask, inputSegment: p.segments}

	inputs := make([]ort.Value, 0, len(m.inputs))
	destroy := func(v ort.Value) { err = errors.Join(err, v.Destroy()) }
	for _, name := range m.inputs {
		tensor, err := ort.NewTensor(ort.NewShape(1, int64(len(p.ids))), data[name])
		if err != nil {
			return 0, err
		}
		defer destroy(tensor)
		inputs = append(inputs, tensor)
	}
	logit, err := ort.NewEmptyTensor[float32](m.output)
	if err != nil {
		return 0, err
	}
	defer destroy(logit)

	options, err := ort.NewRunOptions()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	terminated := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(terminated)
		options.Terminate()
	})
	session := m.sessions.take()
	err = session.RunWithOptions(inputs, []ort.Value{logit}, options)
	if !stop() {
		// Terminate may still be in progress, and the options must outlive it.
		<-terminated
	}
	m.sessions.give(session)
	if err != nil {
		return 0, err
	}
	return logit.GetData()[0], nil
}
