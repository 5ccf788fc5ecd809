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
	f, err := os.OpenFile(filepath.Join(dir, ".rerankd.pull"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &Error{Message: "another program is pulling into " + dir, Advice: "wait for it; what it gets need not be gotten again"}
		}
		return nil, err
	}
	return func() {
		os.Remove(f.Name())
		f.Close()
	}, nil
}
