//go:build !unix

package sink

import (
	"errors"
	"os"
)

var errHeld = errors.New("another process holds it")

// hold does nothing where files cannot be locked: there, give each process a directory of its own.
func hold(string) (release func(), err error) { return func() {}, nil }

func lock(*os.File) error { return nil }

func unlockFile(*os.File) {}

func held(f *os.File, name string) bool { return true }

func own(*os.File, os.FileInfo) {}
