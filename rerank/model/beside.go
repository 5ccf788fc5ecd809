package model

import (
	"bytes"
	"errors"
	"os"
)

// WeightsBeside are the files with weights that a graph names, as paths relative to the graph's directory with slashes. Nothing says that
// they are there, or within that directory.
func WeightsBeside(graph string) ([]string, error) {
	file, err := os.Open(graph)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	_, beside, err := weights(file, info.Size())
	return beside, err
}

// WeightsBesideBytes is [WeightsBeside] for a graph in memory. One without any weights is for whoever loads it to judge.
func WeightsBesideBytes(graph []byte) ([]string, error) {
	_, beside, err := weights(bytes.NewReader(graph), int64(len(graph)))
	if errors.Is(err, errNoWeights) {
		return nil, nil
	}
	return beside, err
}
