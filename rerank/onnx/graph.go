//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rerankd/rerankd/rerank/model"
)

// A graph is what an ONNX file says of itself. It is read here, and not asked of ONNX Runtime, because that would load the model for it.
type graph struct {
	inputs, outputs []ort.InputOutputInfo // what is fed into each run, and what comes out
	initializers    []tensor              // the weights and other constants in the file
	nodes           []node                // in an order in which they can be computed
	weights         []string              // files beside this one that hold weights, each once, by relative path
}

// A node is one operator.
type node struct {
	name, op        string
	inputs, outputs []string
	tag             []byte   // where the file says that it is a node
	references      [][]byte // the inputs' names where they stand in the file
	attributes      [][]byte // each an AttributeProto
}

// input is the name of the i-th input, "" where there is none.
func (n *node) input(i int) string {
	if i >= len(n.inputs) {
		return ""
	}
	return n.inputs[i]
}

// parseGraph reads an ONNX file: ModelProto{graph = 7: GraphProto{node = 1, initializer = 5, input = 11, output = 12}} (onnx.proto3 of the
// ONNX specification). The weights' data are stepped over.
func parseGraph(file []byte) (*graph, error) {
	g := &graph{}
	found := false
	err := eachField(file, func(f field) error {
		if f.number != 7 || f.bytes == nil {
			return nil
		}
		found = true
		return eachField(f.bytes, g.add)
	})
	if err == nil && !found {
		err = errors.New("there is no graph in it")
	}
	if err == nil {
		g.weights, err = model.WeightsBesideBytes(file)
	}
	if err != nil {
		return nil, fmt.Errorf("not an ONNX file: %w", err)
	}
	// Graphs of the first versions list their weights among the inputs.
	constants := map[string]bool{}
	for _, t := range g.initializers {
		constants[t.name] = true
	}
	g.inputs = slices.DeleteFunc(g.inputs, func(in ort.InputOutputInfo) bool { return constants[in.Name] })
	return g, nil
}

func (g *graph) add(f field) error {
	switch f.number {
	case 1:
		n := node{tag: f.tag}
		err := eachField(f.bytes, func(f field) error {
			switch f.number {
			case 1:
				n.inputs = append(n.inputs, string(f.bytes))
				n.references = append(n.references, f.bytes)
			case 2:
				n.outputs = append(n.outputs, string(f.bytes))
			case 3:
				n.name = string(f.bytes)
			case 4:
				n.op = string(f.bytes)
			case 5:
				n.attributes = append(n.attributes, f.bytes)
			}
			return nil
		})
		g.nodes = append(g.nodes, n)
		return err
	case 5:
		t, err := parseTensor(f.bytes)
		g.initializers = append(g.initializers, t)
		return err
	case 11:
		in, err := parseValue(f.bytes)
		g.inputs = append(g.inputs, in)
		return err
	case 12:
		out, err := parseValue(f.bytes)
		g.outputs = append(g.outputs, out)
		return err
	}
	return nil
}

// parseValue reads ValueInfoProto{name = 1, type = 2: TypeProto{tensor_type = 1: {elem_type = 1, shape = 2: {dim = 1: {dim_value = 1}}}}}.
// A dimension without a value is -1. ONNX and ONNX Runtime number the element types alike.
func parseValue(value []byte) (ort.InputOutputInfo, error) {
	var info ort.InputOutputInfo
	err := eachField(value, func(f field) error {
		switch f.number {
		case 1:
			info.Name = string(f.bytes)
		case 2:
			return eachField(f.bytes, func(kind field) error {
				if kind.number != 1 {
					return nil
				}
				return eachField(kind.bytes, func(f field) (err error) {
					switch f.number {
					case 1:
						info.DataType = ort.TensorElementDataType(f.value)
					case 2:
						info.Dimensions, err = parseShape(f.bytes)
					}
					return err
				})
			})
		}
		return nil
	})
	return info, err
}

func parseShape(shape []byte) (ort.Shape, error) {
	var dimensions ort.Shape
	err := eachField(shape, func(f field) error {
		if f.number != 1 {
			return nil
		}
		size := int64(-1)
		err := eachField(f.bytes, func(f field) error {
			if f.number == 1 {
				size = int64(f.value)
			}
			return nil
		})
		dimensions = append(dimensions, size)
		return err
	})
	return dimensions, err
}

// A field of a protobuf message: a number, or bytes.
type field struct {
	number protowire.Number
	value  uint64
	bytes  []byte // nil for a number
	tag    []byte // of number and kind, where it stands
}

func eachField(message []byte, do func(field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		f := field{number: number, tag: message[:n]}
		message = message[n:]
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}
