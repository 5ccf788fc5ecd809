//go:build cgo && !linux

package onnx

import "errors"

// loadFromMemory is for Linux alone.
func loadFromMemory([]byte, func(path string) error) error {
	return errors.New("this system cannot load a library from memory")
}
