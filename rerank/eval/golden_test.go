package eval

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// golden is what the reference libraries say; testdata/golden.py writes it.
type golden struct {
	Similarity []struct {
		A, B        []string
		P, RBO, Tau float64
		Common      int
		Moved       float64
		Greatest    int
	}
	Measures []struct {
		Qrel  map[string]int
		Run   map[string]float64
		Level int
		Want  map[string]float64 // by the measure's name
	}
	Paired []struct {
		A, B          []float64
		T, P          float64
		Randomisation *float64 // nil where there are too many pairs for the exact test
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// near is what a value may be off by: both sides add the same doubles, in another order.
const near = 1e-9

func same(a, b float64) bool { return math.Abs(a-b) <= near }
