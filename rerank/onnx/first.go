//go:build cgo

package onnx

import "slices"

// A cross-encoder judges a pair by its first token: the head takes one row of the last layer's output. So of all that the last layer does
// behind the keys and values, one row is all that is needed. Published graphs compute every row and throw the others away.
//
// takeFirst takes the row where the head's way up begins and no sooner: it follows the graph from the head upwards through operators
// that treat rows alike, and puts in front of them a Gather of the first row. What the operators compute is the same, but for dynamically
// quantised graphs: there the scale of an activation is taken over the rows that are left, so that scores are others than with all rows,
// as they are others in a batch; they are no further from those of the unquantised graph.

// takeFirst takes the first row at the top of the cone above each head.
func (e *editor) takeFirst(s *shapes) {
	for i := range s.nodes {
		if s.takesFirst(&s.nodes[i]) {
			if c := s.coneAbove(i); c.multiplies() {
				e.edit(c)
			}
		}
	}
	if len(e.added) > 0 {
		e.constant(firstIndex, 0)
	}
}

// takesFirst reports whether n takes the first of the rows of [pairs, tokens, width].
func (s *shapes) takesFirst(n *node) bool {
	return n.op == "Gather" && n.integer("axis", 0) == 1 && s.ranks[n.input(0)] == 3 && !s.constant(n.input(0)) &&
		s.ranks[n.input(1)] == 0 && slices.Equal(s.values[n.input(1)], []int64{0})
}

// A cone is the nodes above a head of which it needs one row alone.
type cone struct {
	*shapes
	within map[int]bool // nodes by their place in the graph
	rows   []edge       // where tensors come in of which the first row is to be taken
	sizes  []edge       // where shapes come in that say how many rows there are
}

// An edge is the input of a node. axis is the one of the tensor that counts rows; less than 0: it has none.
type edge struct {
	node, input, axis int
}

// coneAbove walks up from a head. A node is taken in where all that read its outputs were, and where it treats rows alike.
func (s *shapes) coneAbove(head int) *cone {
	c := &cone{shapes: s, within: map[int]bool{head: true}}
	read := map[string][]edge{s.nodes[head].input(0): {{head, 0, 1}}} // tensors by who reads them in the cone
	for i := head - 1; i >= 0; i-- {
		n := &s.nodes[i]
		axis, ok := c.read(n, read)
		if !ok {
			continue
		}
		inputs, ok := s.rowsOf(n, axis)
		if !ok {
			continue
		}
		c.within[i] = true
		for k, axis := range inputs {
			switch {
			case axis == resized:
				c.sizes = append(c.sizes, edge{i, k, axis})
			case n.input(k) != "" && !s.constant(n.input(k)):
				read[n.input(k)] = append(read[n.input(k)], edge{i, k, axis})
			}
		}
	}
	for name, edges := range read {
		if by, made := s.producer[name]; made && c.within[by] {
			continue
		}
		for _, e := range edges {
			if e.axis >= 0 {
				c.rows = append(c.rows, e)
			}
		}
	}
	// The order of a map is no order to write a file in.
	slices.SortFunc(c.rows, func(a, b edge) int { return (a.node-b.node)*1000 + a.input - b.input })
	return c
}

// read returns which axis of n's output counts rows, as all agree who read it. It fails where one of them is not in the cone.
func (c *cone) read(n *node, read map[string][]edge) (axis int, ok bool) {
	axis = none
	for k, out := range n.outputs {
		if out == "" {
			continue
		}
		edges := read[out]
		if len(edges) != c.readers[out] { // a graph's own output has one more
			return 0, false
		}
		for i, e := range edges {
			if k == 0 && i == 0 {
				axis = e.axis
			}
			if e.axis != axis && (k == 0 || e.axis >= 0) {
				return 0, false
			}
		}
		ok = ok || len(edges) > 0
	}
	return axis, ok
}

// multiplies reports whether there is anything in the cone that is worth the trouble.
func (c *cone) multiplies() bool {
	for i := range c.within {
		if op := c.nodes[i].op; op == "MatMul" || op == "MatMulInteger" {
			return true
		}
	}
	return false
}

// What an input is to a node whose output has rows.
const (
	none    = -1 // it is the same for all rows
	resized = -2 // it says how many rows there are
)

// rowsOf returns for each input of n which axis of it counts rows, where axis does in n's first output. It fails where n is not known to
// treat rows alike.
func (s *shapes) rowsOf(n *node, axis int) (inputs []int, ok bool) {
	rank, known := s.rank(n.outputs[0])
	if !known {
		return nil, false
	}
	inputs = slices.Repeat([]int{none}, len(n.inputs))
	if axis < 0 { // of an activation's scale, which is a scalar; nothing that has rows may become one here
		for _, in := range n.inputs {
			if r, known := s.rank(in); !known || r > 1 {
				return nil, false
			}
		}
		return inputs, elementwise(n.op) && rank <= 1
	}
	last := func(axis int64) bool { return axis == -1 || axis == int64(rank-1) }
	switch {
	case elementwise(n.op):
		for k, in := range n.inputs {
			r, known := s.rank(in)
			if !known || r > rank {
				return nil, false
			}
			at := axis - (rank - r)
			if at >= 0 && s.constant(in) && s.dimensions[in][at] != 1 {
				return nil, false // a constant that differs from row to row
			}
			inputs[k] = max(at, none)
		}
		return inputs, true
	case n.op == "LayerNormalization" && last(n.integer("axis", -1)), n.op == "Softmax" && last(n.integer("axis", 1)):
		inputs[0] = axis
		return inputs, axis < rank-1
	case n.op == "ReduceMean" && n.integer("keepdims", 1) == 1:
		axes := n.integers("axes")
		if len(n.inputs) > 1 {
			axes = s.values[n.input(1)]
		}
		inputs[0] = axis
		return inputs, axis < rank-1 && len(axes) == 1 && last(axes[0])
	case n.op == "DynamicQuantizeLinear":
		inputs[0] = axis
		return inputs, true
	case n.op == "MatMul" || n.op == "MatMulInteger":
		inputs[0] = axis
		r, known := s.rank(n.input(0))
		zero, knownZero := s.rank(n.input(2))
		return inputs, known && r == rank && axis == rank-2 && (n.input(2) == "" || knownZero && zero == 0)
	case n.op == "Transpose":
		perm := n.integers("perm")
		if len(perm) != rank {
			return nil, false
		}
		inputs[0] = int(perm[axis])
		return inputs, true
	case n.op == "Reshape" && rank == 3 && axis == 1 && n.integer("allowzero", 0) == 0:
		// The heads of the attention are put side by side: [pairs, tokens, heads, width of one] becomes [pairs, tokens, width].
		by, made := s.producer[n.input(0)]
		if !made || s.nodes[by].op != "Transpose" || !slices.Equal(s.nodes[by].integers("perm"), []int64{0, 2, 1, 3}) {
			return nil, false
		}
		inputs[0], inputs[1] = 1, resized
		return inputs, true
	}
	return nil, false
}

// elementwise reports whether an operator computes each element from those at the same place, with broadcasting.
func elementwise(op string) bool {
	switch op {
	case "Add", "Sub", "Mul", "Div", "Pow", "Where", "Erf", "Tanh", "Sqrt", "Cast", "Gelu", "Relu", "Sigmoid", "Identity", "Neg":
		return true
	}
	return false
}

// firstIndex is the constant by which the first row is taken.
const firstIndex = "rerankd.first"

// edit has the nodes of a cone read the first rows alone. Where there is no other name for a tensor, it changes nothing.
func (e *editor) edit(c *cone) {
	type key struct {
		name string
		axis int
	}
	fresh := map[key]string{}
	for _, at := range slices.Concat(c.rows, c.sizes) {
		k := key{c.nodes[at.node].input(at.input), at.axis}
		if fresh[k] == "" {
			if fresh[k] = e.fresh(k.name); fresh[k] == "" {
				return
			}
		}
	}
	written := map[key]bool{}
	for _, at := range slices.Concat(c.rows, c.sizes) {
		n := &c.nodes[at.node]
		k := key{n.input(at.input), at.axis}
		if !written[k] {
			written[k] = true
			if at.axis == resized {
				e.constant(fresh[k], 0, 0, -1) // as it is, as it is, and the rest
			} else {
				e.gather(k.name, fresh[k], at.axis)
			}
		}
		copy(n.references[at.input], fresh[k])
	}
}
