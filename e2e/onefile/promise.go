// Package onefile holds the promise that rerankd is one file: what a machine needs to have for it, and that it needs nothing else.
package onefile

// A Need is what a program or a library asks of the machine that it runs on, as its ELF headers say it.
type Need struct {
	Libraries []string          // that it may name; the dynamic loader of the architecture comes on top
	Versions  map[string]string // the newest symbol version of each family that it may ask for
}

// The promise, which README quotes. Together: glibc 2.34 (Debian 12, Ubuntu 22.04, RHEL 9 or later) and the C++ library of GCC 8 or later.
// A program asks for the glibc that it was linked with, so releases are built on Debian 12.
var (
	// Program is bin/rerankd.
	Program = Need{
		Libraries: []string{"libc.so.6", "libgcc_s.so.1"},
		Versions:  map[string]string{"GLIBC": "2.34", "GCC": "4.2.0"},
	}
	// Runtime is the ONNX Runtime library inside it.
	Runtime = Need{
		Libraries: []string{"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libstdc++.so.6", "libgcc_s.so.1"},
		Versions:  map[string]string{"GLIBC": "2.28", "GLIBCXX": "3.4.22", "CXXABI": "1.3.11", "GCC": "4.5.0"},
	}
)
