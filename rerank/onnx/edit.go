//go:build cgo

package onnx

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// lean returns an ONNX file, of which g is what it says, without work that is of no use here: that of the last layer for tokens that nobody
// judges, and that for the mask of a batch. The file is edited in place, by names of the same length, so that one of gigabytes is not copied
// to be changed in a few bytes; what is new is appended. A file in which nothing of the kind is found is returned as it is.
func lean(file []byte, g *graph) []byte {
	return edited(file, g, (*editor).takeFirst, (*editor).withoutMask)
}

func edited(file []byte, g *graph, edits ...func(*editor, *shapes)) []byte {
	s := newShapes(g)
	e := &editor{names: s.names()}
	for _, edit := range edits {
		edit(e, s)
	}
	if len(e.added) == 0 {
		return file
	}
	e.prune(g)
	// Two fields of a message are merged where a file has them twice (protobuf's encoding, "Last One Wins"), lists by appending.
	file = protowire.AppendTag(file, 7, protowire.BytesType)
	return protowire.AppendBytes(file, e.added)
}

// The editor writes what is changed in a graph.
type editor struct {
	names map[string]bool // taken
	added []byte          // fields of a GraphProto
	read  []string        // by nodes that were added
}

// fresh returns a name of the same length that is not taken, and takes it; "" where there is none.
func (e *editor) fresh(name string) string {
	const marks = "~!@#$%^&*+=0123456789"
	b := []byte(name)
	for i := len(b) - 1; i >= 0; i-- {
		for _, mark := range []byte(marks) {
			was := b[i]
			b[i] = mark
			if !e.names[string(b)] {
				e.names[string(b)] = true
				return string(b)
			}
			b[i] = was
		}
	}
	return ""
}

// gather adds a node that takes the first along an axis and keeps the axis: NodeProto{input = 1, output = 2, name = 3, op_type = 4,
// attribute = 5: AttributeProto{name = 1, i = 3, type = 20}}.
func (e *editor) gather(from, to string, axis int) {
	e.read = append(e.read, from)
	var attribute, n []byte
	attribute = appendText(attribute, 1, "axis")
	attribute = appendNumber(attribute, 3, uint64(axis))
	attribute = appendNumber(attribute, 20, 2) // INT
	n = appendText(n, 1, from)
	n = appendText(n, 1, firstIndex)
	n = appendText(n, 2, to)
	n = appendText(n, 3, to)
	n = appendText(n, 4, "Gather")
	n = appendText(n, 5, string(attribute))
	e.added = appendText(e.added, 1, string(n))
}

// constant adds a list of integers: TensorProto{dims = 1, data_type = 2, int64_data = 7, name = 8}.
func (e *editor) constant(name string, values ...int64) {
	var packed, t []byte
	for _, v := range values {
		packed = protowire.AppendVarint(packed, uint64(v))
	}
	t = appendNumber(t, 1, uint64(len(values)))
	t = appendNumber(t, 2, elementInt64)
	t = appendText(t, 7, string(packed))
	t = appendText(t, 8, name)
	e.added = appendText(e.added, 5, string(t))
}

// identity adds a node that gives a tensor another name.
func (e *editor) identity(from, to string) {
	e.read = append(e.read, from)
	var n []byte
	n = appendText(n, 1, from)
	n = appendText(n, 2, to)
	n = appendText(n, 3, to)
	n = appendText(n, 4, "Identity")
	e.added = appendText(e.added, 1, string(n))
}

// unknownTag is of a field that no GraphProto has, and that who reads one steps over: number 6, bytes.
const unknownTag = 6<<3 | byte(protowire.BytesType)

// prune takes out the nodes that nothing reads any more. ONNX Runtime would run them.
func (e *editor) prune(g *graph) {
	readers := map[string]int{}
	for _, out := range g.outputs {
		readers[out.Name]++
	}
	for _, name := range e.read {
		readers[name]++
	}
	count := func(n *node, by int) {
		for _, name := range n.references {
			readers[string(name)] += by
		}
		for _, name := range n.nestedInputs() {
			readers[name] += by
		}
	}
	for i := range g.nodes {
		count(&g.nodes[i], 1)
	}
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := &g.nodes[i]
		if len(n.tag) == 1 && len(n.outputs) > 0 && !slices.ContainsFunc(n.outputs, func(out string) bool { return readers[out] > 0 }) {
			n.tag[0] = unknownTag
			count(n, -1)
		}
	}
}

func appendText(b []byte, number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
}

func appendNumber(b []byte, number protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), n)
}
