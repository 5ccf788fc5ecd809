package verdict

import "math/rand/v2"

type source = rand.Rand

func newSource(seed uint64) *source { return rand.New(rand.NewPCG(seed, 99)) }
