package model

import "os"

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
