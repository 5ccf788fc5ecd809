//go:build cgo && bundled

package onnx

import (
	_ "embed"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// The runtime library, compressed. build/natives.sh puts it there.
//
//go:embed bundled/libonnxruntime.so.zst
var compressedLibrary []byte

// maxLibrary bounds what the embedded bytes may become: the library has about 28 MB.
const maxLibrary = 64 << 20

func bundled() bool { return true }

// loadBundled loads the library inside the program: from memory where the system can do that, else from a file in the user's cache.
func loadBundled(load func(path string) error) error {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxLibrary))
	if err != nil {
		return fmt.Errorf("decompressing ONNX Runtime: %w", err)
	}
	defer d.Close()
	// The format carries a checksum, so what comes out is what was built in.
	library, err := d.DecodeAll(compressedLibrary, nil)
	if err != nil {
		return fmt.Errorf("decompressing ONNX Runtime: %w", err)
	}
	return loadUnpacked(library, load)
}
