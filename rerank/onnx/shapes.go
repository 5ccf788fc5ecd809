//go:build cgo

package onnx

import "slices"

// shapes is what can be told of a graph's tensors without running it.
type shapes struct {
	nodes      []node
	ranks      map[string]int     // numbers of dimensions; a tensor of which none is known has no entry
	constants  map[string]bool    // tensors that are the same in each run
	dimensions map[string][]int64 // of constants, and of lists of which the length is known
	values     map[string][]int64 // of constants that are a few integers
	scalars    map[string]float64 // values of constants of one element
	producer   map[string]int     // nodes by what they make
	readers    map[string]int     // how many inputs of nodes, of nodes in graphs within nodes, and outputs of the graph, a tensor is
}

func (s *shapes) constant(name string) bool { return name == "" || s.constants[name] }

func (s *shapes) rank(name string) (int, bool) {
	r, ok := s.ranks[name]
	return r, ok
}

// newShapes goes through a graph once. Its nodes are in an order in which they can be computed, as ONNX demands.
func newShapes(g *graph) *shapes {
	s := &shapes{
		nodes: g.nodes, ranks: map[string]int{}, constants: map[string]bool{}, dimensions: map[string][]int64{}, values: map[string][]int64{},
		scalars: map[string]float64{}, producer: map[string]int{}, readers: map[string]int{},
	}
	for _, in := range g.inputs {
		s.ranks[in.Name] = len(in.Dimensions)
	}
	for _, out := range g.outputs {
		s.readers[out.Name]++
	}
	for _, t := range g.initializers {
		s.take(t.name, t)
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		for _, in := range n.inputs {
			s.readers[in]++
		}
		for _, in := range n.nestedInputs() {
			s.readers[in]++
		}
		for _, out := range n.outputs {
			s.producer[out] = i
		}
		s.infer(n)
	}
	return s
}

// take notes a constant.
func (s *shapes) take(name string, t tensor) {
	s.constants[name], s.dimensions[name], s.ranks[name] = true, t.dimensions, len(t.dimensions)
	if values, ok := t.integers(); ok {
		s.values[name] = values
	}
	if value, ok := t.scalar(); ok {
		s.scalars[name] = value
	}
}

// infer notes what follows for the outputs of a node from what is known of its inputs. (The operators' definitions are ONNX's.)
func (s *shapes) infer(n *node) {
	if len(n.outputs) == 0 {
		return
	}
	out := n.outputs[0]
	if n.op == "Constant" {
		if t, ok := n.tensor("value"); ok {
			s.take(out, t)
		}
		return
	}
	if n.op == "Identity" && len(n.inputs) == 1 && s.constants[n.inputs[0]] {
		in := n.inputs[0]
		s.constants[out], s.dimensions[out], s.ranks[out], s.values[out] = true, s.dimensions[in], s.ranks[in], s.values[in]
		return
	}
	if rank, known := s.rankOf(n, out); known {
		s.ranks[out] = rank
	}
	if n.op == "DynamicQuantizeLinear" {
		for _, scalar := range n.outputs[1:] {
			s.ranks[scalar] = 0
		}
	}
}

// rankOf is the rank of a node's first output. Of a list its length is noted too: it may be a shape.
func (s *shapes) rankOf(n *node, out string) (rank int, known bool) {
	rank, known = s.rank(n.input(0))
	second, knownSecond := s.rank(n.input(1))
	axes := n.integers("axes")
	if values, ok := s.values[n.input(1)]; ok {
		axes = values
	}
	switch n.op {
	case "LayerNormalization", "Softmax", "Transpose", "Slice", "DequantizeLinear", "DynamicQuantizeLinear", "CumSum", "GatherElements",
		"Abs", "Sign", "Log", "Ceil", "Floor", "Not":
		return rank, known
	case "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Min", "Max":
		return s.broadcast(n, out)
	case "ReduceMean":
		return rank, known && n.integer("keepdims", 1) == 1
	case "MatMul", "MatMulInteger":
		return max(rank, second), known && knownSecond && rank >= 2 && second >= 2
	case "Gather":
		return rank + second - 1, known && knownSecond
	case "Range":
		return 1, true
	case "Unsqueeze":
		if known && rank == 0 && len(axes) == 1 {
			s.dimensions[out] = []int64{1}
		}
		return rank + len(axes), known && len(axes) > 0
	case "Squeeze":
		if d := s.dimensions[n.input(0)]; len(axes) == 0 && len(d) == 1 && d[0] == 1 {
			return 0, true
		}
		return rank - len(axes), known && len(axes) > 0
	case "Shape":
		if known {
			start, end := n.integer("start", 0), min(n.integer("end", int64(rank)), int64(rank))
			if start >= 0 && end >= start {
				s.dimensions[out] = []int64{end - start}
			}
		}
		return 1, true
	case "Concat":
		length := int64(0)
		for _, in := range n.inputs {
			if len(s.dimensions[in]) != 1 {
				return rank, known
			}
			length += s.dimensions[in][0]
		}
		s.dimensions[out] = []int64{length}
		return 1, true
	case "Reshape":
		if d := s.dimensions[n.input(0)]; len(d) == 1 && slices.Equal(s.values[n.input(1)], []int64{-1}) {
			s.dimensions[out] = d // a list, made one
		}
		return s.length(n.input(1))
	case "ConstantOfShape":
		return s.length(n.input(0))
	case "Expand":
		length, ok := s.length(n.input(1))
		return max(rank, length), known && ok
	}
	if elementwise(n.op) {
		return s.broadcast(n, out)
	}
	return 0, false
}

// broadcast is the rank of what becomes of several tensors, element by element.
func (s *shapes) broadcast(n *node, out string) (rank int, known bool) {
	for _, in := range n.inputs {
		r, ok := s.rank(in)
		if !ok {
			return 0, false
		}
		rank = max(rank, r)
	}
	for _, in := range n.inputs {
		if length, ok := s.length(in); ok && length > 1 && rank == 1 {
			s.dimensions[out] = []int64{int64(length)} // the others are as long, or of one element
		}
	}
	return rank, true
}

// length is how many numbers a list has.
func (s *shapes) length(name string) (int, bool) {
	d := s.dimensions[name]
	if len(d) != 1 {
		return 0, false
	}
	return int(d[0]), true
}

// names are all that are taken in a graph.
func (s *shapes) names() map[string]bool {
	names := map[string]bool{}
	for name := range s.readers {
		names[name] = true
	}
	for name := range s.producer {
		names[name] = true
	}
	for name := range s.ranks {
		names[name] = true
	}
	for i := range s.nodes {
		names[s.nodes[i].name] = true
	}
	return names
}
