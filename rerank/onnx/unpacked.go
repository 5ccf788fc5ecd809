//go:build cgo

package onnx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// loadUnpacked has load load a library that is in memory: from there where the system can do that, else from a file in the user's cache.
func loadUnpacked(library []byte, load func(path string) error) error {
	inMemory := loadFromMemory(library, load)
	if inMemory == nil {
		return nil
	}
	if err := loadFromCache(library, load); err != nil {
		return errors.Join(inMemory, err)
	}
	return nil
}

// loadFromCache keeps the library in a directory that only this user can write to, under its digest, and checks it before each load.
func loadFromCache(library []byte, load func(path string) error) error {
	sum := sha256.Sum256(library)
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("unpacking ONNX Runtime: %w", err)
	}
	dir := filepath.Join(cache, "rerankd")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("unpacking ONNX Runtime: %w", err)
	}
	path := filepath.Join(dir, "onnxruntime-"+hex.EncodeToString(sum[:])+".so")
	if found, err := os.ReadFile(path); err != nil || !bytes.Equal(found, library) {
		if err := writeFile(path, library); err != nil {
			return fmt.Errorf("unpacking ONNX Runtime: %w", err)
		}
	}
	return load(path)
}

// writeFile writes beside path and renames, so that another process never sees half a file.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o500), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
