package model

import "golang.org/x/sys/cpu"

// int8Instructions names what this processor multiplies bytes with, four at a time; "" where it has nothing of the kind. With it an int8 graph
// takes a half to a third of the time of the fp32 one; without it as long or longer, and the sums of two products may not fit where they are
// kept, so that scores are wrong by a little (reduce_range in ONNX Runtime's documentation of quantization).
func int8Instructions() string {
	for _, i := range []struct {
		has  bool
		name string
	}{
		{cpu.X86.HasAMXInt8, "AMX-INT8"},
		{cpu.X86.HasAVX512VNNI, "AVX512-VNNI"},
		{cpu.X86.HasAVXVNNI, "AVX-VNNI"},
		{cpu.ARM64.HasI8MM, "I8MM"},
		{cpu.ARM64.HasASIMDDP, "dot products of bytes"},
	} {
		if i.has {
			return i.name
		}
	}
	return ""
}

// Preferred are the precisions in the order in which this processor should have them, and why.
func Preferred() (precisions []string, why string) { return preferred(int8Instructions()) }

func preferred(instructions string) (precisions []string, why string) {
	if instructions == "" {
		return []string{FP32, INT8, FP16}, "this processor has no instructions for int8"
	}
	return []string{INT8, FP32, FP16}, "this processor has " + instructions
}

// choice says why a graph is taken that has the precision taken, where asked was asked for ("": nothing was) and so many graphs are there,
// and what is to be said against it.
func choice(asked, taken string, graphs int, instructions string) (why, warning string) {
	precisions, why := preferred(instructions)
	switch {
	case asked != "":
		why = "as asked for"
	case graphs == 1:
		why = "its only graph"
	case taken != precisions[0]:
		why = "it has no " + precisions[0] + " graph"
	}
	switch {
	case taken == INT8 && instructions == "":
		warning = "this processor has no instructions for int8: an fp32 graph would be as fast or faster, and more exact"
	case taken == FP16:
		warning = "processors compute in fp32: an fp16 graph is slower on them"
	}
	return why, warning
}
