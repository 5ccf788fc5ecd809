//go:build unix

package hub

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// hold keeps other pulls out of a directory until it is released, or the program ends however it does.
func hold(dir string) (release func(), err error) {
	name := filepath.Join(dir, ".rerankd.pull")
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, forbidden(err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, &Error{Message: "another program is pulling into " + dir, Advice: "wait for it; what it gets need not be gotten again"}
			}
			return nil, err
		}
		// Whoever held it may have removed it in between, and a third may hold one of the same name.
		held, err := f.Stat()
		if there, statErr := os.Stat(name); err == nil && statErr == nil && os.SameFile(held, there) {
			return func() {
				os.Remove(name)
				f.Close()
			}, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}
