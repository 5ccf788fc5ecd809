//go:build cgo && !bundled

package onnx

// Without the build tag "bundled" there is no library in the program.

func bundled() bool { return false }

func loadBundled(func(path string) error) error { return nil }
