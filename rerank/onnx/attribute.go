//go:build cgo

package onnx

// An attribute is a parameter of a node: AttributeProto{name = 1, i = 3, t = 5, g = 6, ints = 8, graphs = 11}.
type attribute struct {
	name     string
	integer  int64
	integers []int64
	tensor   []byte
	graphs   [][]byte
}

func parseAttribute(message []byte) (a attribute, err error) {
	err = eachField(message, func(f field) (err error) {
		switch {
		case f.number == 1:
			a.name = string(f.bytes)
		case f.number == 3:
			a.integer = int64(f.value)
		case f.number == 5:
			a.tensor = f.bytes
		case f.number == 6 || f.number == 11:
			a.graphs = append(a.graphs, f.bytes)
		case f.number == 8 && f.bytes == nil:
			a.integers = append(a.integers, int64(f.value))
		case f.number == 8:
			a.integers, err = varints(a.integers, f.bytes)
		}
		return err
	})
	return a, err
}

// attribute returns the one of that name.
func (n *node) attribute(name string) (attribute, bool) {
	for _, message := range n.attributes {
		if a, err := parseAttribute(message); err == nil && a.name == name {
			return a, true
		}
	}
	return attribute{}, false
}

// integer is the value of an attribute, or what it is where it is not given.
func (n *node) integer(name string, otherwise int64) int64 {
	if a, ok := n.attribute(name); ok {
		return a.integer
	}
	return otherwise
}

func (n *node) integers(name string) []int64 {
	a, _ := n.attribute(name)
	return a.integers
}

func (n *node) tensor(name string) (tensor, bool) {
	a, ok := n.attribute(name)
	if !ok || a.tensor == nil {
		return tensor{}, false
	}
	t, err := parseTensor(a.tensor)
	return t, err == nil
}

// nestedInputs are the inputs of the nodes in graphs that the node holds, as an If does: such a graph may read any tensor around it.
func (n *node) nestedInputs() (names []string) {
	for _, message := range n.attributes {
		a, err := parseAttribute(message)
		if err != nil {
			continue
		}
		for _, nested := range a.graphs {
			var g graph
			if eachField(nested, g.add) != nil {
				continue
			}
			for _, out := range g.outputs {
				names = append(names, out.Name) // which may be a tensor around it, too
			}
			for i := range g.nodes {
				names = append(names, g.nodes[i].inputs...)
				names = append(names, g.nodes[i].nestedInputs()...)
			}
		}
	}
	return names
}
