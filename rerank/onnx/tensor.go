//go:build cgo

package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// A tensor is a constant in an ONNX file. Its data are not copied.
type tensor struct {
	name       string
	dimensions []int64
	element    uint64
	raw        []byte // little-endian
	packed     []byte // or varints
}

// Some of TensorProto.DataType.
const (
	elementFloat = 1
	elementInt64 = 7
	elementBool  = 9
)

// parseTensor reads TensorProto{dims = 1, data_type = 2, int64_data = 7, name = 8, raw_data = 9}.
func parseTensor(message []byte) (t tensor, err error) {
	err = eachField(message, func(f field) error {
		switch {
		case f.number == 1 && f.bytes == nil:
			t.dimensions = append(t.dimensions, int64(f.value))
		case f.number == 1:
			t.dimensions, err = varints(t.dimensions, f.bytes)
			return err
		case f.number == 2:
			t.element = f.value
		case f.number == 7 && f.bytes == nil:
			t.packed = protowire.AppendVarint(t.packed, f.value)
		case f.number == 7:
			t.packed = f.bytes
		case f.number == 8:
			t.name = string(f.bytes)
		case f.number == 9:
			t.raw = f.bytes
		}
		return nil
	})
	return t, err
}

// integers are the tensor's elements, if they are a few int64.
func (t tensor) integers() (values []int64, ok bool) {
	const few = 8
	count := int64(1)
	for _, d := range t.dimensions {
		if d < 0 || d > few {
			return nil, false
		}
		count *= d
	}
	if t.element != elementInt64 || count > few {
		return nil, false
	}
	for raw := t.raw; len(raw) >= 8; raw = raw[8:] {
		values = append(values, int64(binary.LittleEndian.Uint64(raw)))
	}
	if t.raw == nil {
		var err error
		if values, err = varints(nil, t.packed); err != nil {
			return nil, false
		}
	}
	return values, int64(len(values)) == count
}

// scalar is the one element of a tensor that has one.
func (t tensor) scalar() (float64, bool) {
	for _, d := range t.dimensions {
		if d != 1 {
			return 0, false
		}
	}
	switch {
	case t.element == elementInt64:
		values, ok := t.integers()
		return float64(append(values, 0)[0]), ok
	case t.element == elementFloat && len(t.raw) == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(t.raw))), true
	case t.element == elementBool && len(t.raw) == 1:
		return float64(t.raw[0]), true
	}
	return 0, false
}

func varints(to []int64, packed []byte) ([]int64, error) {
	for len(packed) > 0 {
		v, n := protowire.ConsumeVarint(packed)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		to, packed = append(to, int64(v)), packed[n:]
	}
	return to, nil
}
