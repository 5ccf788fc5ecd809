//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// LibraryVariable is the environment variable that names the ONNX Runtime library to load.
const LibraryVariable = "RERANKD_ONNXRUNTIME"

// wantedVersion is the ONNX Runtime release whose C interface the program was compiled for. Later ones keep it.
const wantedVersion = "1.29"

// telemetryVariable switches off what Microsoft's builds of ONNX Runtime send to their maker. They read it when they are loaded.
const telemetryVariable = "ORT_DISABLE_TELEMETRY"

// loading guards the load: ONNX Runtime is one library with one environment in a process, whatever the number of models.
var loading sync.Mutex

// loadLibrary loads ONNX Runtime once: the file that LibraryVariable names, or the library inside the program, or the system's.
// It is never unloaded.
func loadLibrary() error {
	loading.Lock()
	defer loading.Unlock()
	if ort.IsInitialized() {
		return nil
	}
	// No search leaves the machine by way of a library: nothing is loaded where the switch cannot be set.
	if err := os.Setenv(telemetryVariable, "1"); err != nil {
		return fmt.Errorf("switching off the telemetry of ONNX Runtime: %w", err)
	}
	if path := os.Getenv(LibraryVariable); path != "" {
		return tryLibraries(path)
	}
	if bundled() {
		return loadBundled(func(path string) error { return tryLibraries(path) })
	}
	return tryLibraries("libonnxruntime.so", "onnxruntime.so", "libonnxruntime.so.1", "/usr/local/lib/libonnxruntime.so")
}

func tryLibraries(paths ...string) error {
	failed := &LibraryError{Tried: paths}
	for _, path := range paths {
		ort.SetSharedLibraryPath(path)
		err := ort.InitializeEnvironment()
		if err == nil {
			return ort.DisableTelemetry() // and once more by its own interface
		}
		failed.Err = errors.Join(failed.Err, err)
	}
	return failed
}

// Version is ONNX Runtime's own, like "1.29.0", or "" where it cannot be loaded.
func Version() string {
	if err := loadLibrary(); err != nil {
		return ""
	}
	return ort.GetVersion()
}

// LibraryError means that ONNX Runtime could not be loaded.
type LibraryError struct {
	Tried []string // paths and names, in the order in which they were tried
	Err   error    // the loader's words
}

func (e *LibraryError) Error() string {
	cause := strings.ReplaceAll(fmt.Sprint(e.Err), "\n", "; ")
	return fmt.Sprintf("loading ONNX Runtime: tried %s: %s", strings.Join(e.Tried, ", "), cause)
}

func (e *LibraryError) Unwrap() error { return e.Err }

// Hint says what to do about it, for the person at the terminal.
func (e *LibraryError) Hint() string {
	return fmt.Sprintf("set %s to a libonnxruntime.so of version %s or later, or use a program made by `make build`, which has it inside", LibraryVariable, wantedVersion)
}
