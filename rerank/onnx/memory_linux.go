//go:build cgo

package onnx

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// loadFromMemory loads a library from an anonymous file that is on no disk (memfd_create(2)). Once loaded, its pages are mapped, and the
// descriptor is not needed any more. A kernel that forbids programs in such files (sysctl vm.memfd_noexec) is an error.
func loadFromMemory(library []byte, load func(path string) error) error {
	fd, err := unix.MemfdCreate("onnxruntime", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL {
		// Kernels before 6.3 do not know MFD_EXEC, and allow it without asking.
		fd, err = unix.MemfdCreate("onnxruntime", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return fmt.Errorf("loading ONNX Runtime from memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "onnxruntime")
	defer f.Close()
	if _, err := f.Write(library); err != nil {
		return fmt.Errorf("loading ONNX Runtime from memory: %w", err)
	}
	return load(fmt.Sprintf("/proc/self/fd/%d", fd))
}
