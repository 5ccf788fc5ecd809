package main

import (
	"slices"
	"testing"

	"github.com/rerankd/rerankd/proxy/experiment"
	"github.com/rerankd/rerankd/proxy/search"
)

// Package experiment knows the reasons for a fault by their words alone.
func TestFaultsAreReasons(t *testing.T) {
	for _, fault := range experiment.Faults {
		if !slices.Contains(search.Reasons(), search.Reason(fault)) {
			t.Errorf("%q is no reason that X-Rerank gives", fault)
		}
	}
}
