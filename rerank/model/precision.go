package model

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// weights tells in which type most of a graph's weights are stored, whatever its file is called, and in which files beside it any of them are.
//
// A weight is a TensorProto{dims = 1, data_type = 2, external_data = 13: StringStringEntryProto{key = 1, value = 2}}, where the key
// "location" is the path of a file, relative to the graph's (onnx.proto3 of the ONNX specification). Only the headers of the weights are
// read; their data is stepped over.
func weights(r io.ReaderAt, size int64) (precision string, beside []string, err error) {
	elementsOf := map[string]int64{}
	err = tensors(r, 0, size, "model", 0, func(start, end int64) error {
		elements, dataType := int64(1), uint64(0)
		err := fields(r, start, end, func(tensor field) error {
			switch {
			case tensor.number == 1 && tensor.wire == lengthDelimited: // dims, packed
				return varints(r, tensor.start, tensor.end, func(d uint64) { elements *= int64(d) })
			case tensor.number == 1:
				elements *= int64(tensor.value)
			case tensor.number == 2:
				dataType = tensor.value
			case tensor.number == 13 && tensor.wire == lengthDelimited:
				location, err := location(r, tensor.start, tensor.end)
				if location != "" && !slices.Contains(beside, location) {
					beside = append(beside, location)
				}
				return err
			}
			return nil
		})
		if precision, ok := dataTypes[dataType]; ok {
			elementsOf[precision] += elements
		}
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("not an ONNX graph: %w", err)
	}
	if len(elementsOf) == 0 {
		return "", nil, errNoWeights
	}
	precision = FP32
	for _, p := range []string{FP16, INT8} {
		if elementsOf[p] > elementsOf[precision] {
			precision = p
		}
	}
	return precision, beside, nil
}

var errNoWeights = errors.New("not an ONNX graph: it has no weights")

// within are the messages of onnx.proto3 that a weight may be in, by the numbers of their fields. Most weights are initializers of the
// model's graph, but exporters also leave some in attributes of nodes (Constant), and graphs in those of others (If, Loop).
var within = map[string]map[uint64]string{
	"model":     {7: "graph", 25: "function"},
	"graph":     {1: "node", 5: "tensor", 15: "sparse"},
	"function":  {7: "node", 11: "attribute"},
	"node":      {5: "attribute"},
	"attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
	"sparse":    {1: "tensor", 2: "tensor"},
}

// tensors calls do for each weight within the message that stands in [start, end).
func tensors(r io.ReaderAt, start, end int64, message string, depth int, do func(start, end int64) error) error {
	const deepest = 100 // as protobuf's own readers have it
	switch {
	case message == "tensor":
		return do(start, end)
	case depth == deepest:
		return errors.New("its messages are nested too deeply")
	}
	return fields(r, start, end, func(f field) error {
		inner, ok := within[message][f.number]
		if !ok || f.wire != lengthDelimited {
			return nil
		}
		return tensors(r, f.start, f.end, inner, depth+1, do)
	})
}

// location reads one entry of external_data: the path in it, or "" where it says something else.
func location(r io.ReaderAt, start, end int64) (path string, err error) {
	var entry [3]string
	err = fields(r, start, end, func(f field) error {
		if f.wire != lengthDelimited || f.number > 2 {
			return nil
		}
		const longest = 4096 // as paths are
		text := make([]byte, min(f.end-f.start, longest))
		if _, err := r.ReadAt(text, f.start); err != nil {
			return io.ErrUnexpectedEOF
		}
		entry[f.number] = string(text)
		return nil
	})
	if entry[1] != "location" {
		return "", err
	}
	return entry[2], err
}

// dataTypes are the values of TensorProto.DataType that weights come in. INT64 is left out: those are shapes and indices.
var dataTypes = map[uint64]string{1: FP32, 2: INT8 /* UINT8 */, 3: INT8, 10: FP16}

// A field of a protobuf message: a value, or the place of its bytes.
type field struct {
	number     uint64
	wire       uint64
	value      uint64 // of a varint
	start, end int64  // of a length-delimited field
}

const (
	varint          = 0
	fixed64         = 1
	lengthDelimited = 2
	fixed32         = 5
)

// fields calls do for each field of the message that stands in [at, end), without reading what a field holds.
func fields(r io.ReaderAt, at, end int64, do func(field) error) error {
	for at < end {
		in := bufio.NewReaderSize(io.NewSectionReader(r, at, min(end-at, 2*binary.MaxVarintLen64)), 2*binary.MaxVarintLen64)
		read := func() (uint64, error) {
			v, err := binary.ReadUvarint(in)
			at += int64(varintLength(v))
			return v, err
		}
		key, err := read()
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		f := field{number: key >> 3, wire: key & 7}
		switch f.wire {
		case varint:
			if f.value, err = read(); err != nil {
				return io.ErrUnexpectedEOF
			}
		case fixed64:
			at += 8
		case fixed32:
			at += 4
		case lengthDelimited:
			length, err := read()
			if err != nil || length > uint64(end-at) {
				return io.ErrUnexpectedEOF
			}
			f.start, f.end = at, at+int64(length)
			at = f.end
		default:
			return fmt.Errorf("byte %d: wire type %d", at, f.wire)
		}
		if at > end {
			return io.ErrUnexpectedEOF
		}
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

func varints(r io.ReaderAt, start, end int64, do func(uint64)) error {
	in := bufio.NewReader(io.NewSectionReader(r, start, end-start))
	for {
		v, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		do(v)
	}
}

func varintLength(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
