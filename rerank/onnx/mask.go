//go:build cgo

package onnx

// The attention mask says which tokens of a batch are padding. Here one pair is run at a time and nothing is padded, so it is ones, and
// what a graph adds to the attention's scores for it is zero: in each layer one more pass over the largest tensor there is.

// withoutMask has each Softmax read what the mask would have been added to. An Add is passed by where what it adds is known to be zero.
func (e *editor) withoutMask(s *shapes) {
	uniform := s.uniforms()
	for i := range s.nodes {
		n := &s.nodes[i]
		by, made := s.producer[n.input(0)]
		if n.op != "Softmax" || !made || s.nodes[by].op != "Add" || len(s.nodes[by].inputs) != 2 {
			continue
		}
		add := &s.nodes[by]
		for k, other := range []int{1, 0} {
			value, known := uniform[add.input(other)]
			// Of the same rank, so that what is left has the shape of the sum: scores are of all queries and keys.
			if r, ok := s.rank(add.input(k)); !known || value != 0 || !ok || r != s.ranks[n.input(0)] || !s.computed(add.input(k)) {
				continue
			}
			if fresh := e.fresh(n.input(0)); fresh != "" {
				e.identity(string(add.references[k]), fresh) // its name as it may have been edited
				copy(n.references[0], fresh)
			}
			break
		}
	}
}

// computed reports whether a tensor is the attention's scores, scaled perhaps, or with something else added to them before: it comes from a
// product.
func (s *shapes) computed(name string) bool {
	for {
		by, made := s.producer[name]
		if !made {
			return false
		}
		switch n := &s.nodes[by]; n.op {
		case "MatMul", "MatMulInteger":
			return true
		case "Mul", "Div", "Cast", "Add":
			name = n.input(0)
		default:
			return false
		}
	}
}

// uniforms are the tensors that have the same value in all their elements, as far as that follows from the mask being ones.
func (s *shapes) uniforms() map[string]float64 {
	uniform := map[string]float64{string(inputMask): 1}
	for name, value := range s.scalars {
		uniform[name] = value
	}
	for i := range s.nodes {
		n := &s.nodes[i]
		if len(n.outputs) == 0 {
			continue
		}
		if value, ok := n.uniform(uniform); ok {
			uniform[n.outputs[0]] = value
		}
	}
	return uniform
}

// uniform is the value of the node's output where its inputs' are known.
func (n *node) uniform(of map[string]float64) (float64, bool) {
	a, knownA := of[n.input(0)]
	b, knownB := of[n.input(1)]
	truth := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	switch n.op {
	case "Unsqueeze", "Squeeze", "Expand", "Identity", "Reshape", "Slice", "Transpose", "Gather", "GatherND", "Tile":
		return a, knownA
	case "Cast":
		if n.integer("to", 0) == elementBool {
			a = truth(a != 0)
		}
		return a, knownA
	case "ConstantOfShape":
		t, ok := n.tensor("value")
		if !ok {
			return 0, true
		}
		return t.scalar()
	case "Not":
		return truth(a == 0), knownA
	case "Where":
		if !knownA {
			return 0, false
		}
		chosen, known := of[n.input(2)]
		if a != 0 {
			chosen, known = b, knownB
		}
		return chosen, known
	}
	if !knownA || !knownB {
		return 0, false
	}
	switch n.op {
	case "Add":
		return a + b, true
	case "Sub":
		return a - b, true
	case "Mul":
		return a * b, true
	case "Equal":
		return truth(a == b), true
	case "And":
		return truth(a != 0 && b != 0), true
	case "Or":
		return truth(a != 0 || b != 0), true
	}
	return 0, false
}
