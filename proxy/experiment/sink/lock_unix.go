//go:build unix

package sink

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

var errHeld = errors.New("another process holds it")

// hold makes a file this process's own until it is released, or the process ends however it does. The file stays: removed, two could hold
// one each of the same name.
func hold(name string) (release func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errHeld
		}
		return nil, err
	}
	return func() { f.Close() }, nil
}

// lock waits until nobody else has locked the file.
func lock(f *os.File) error { return flock(f, unix.LOCK_EX) }

func unlockFile(f *os.File) { _ = flock(f, unix.LOCK_UN) } // closed, it is unlocked already

func flock(f *os.File, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for failed = unix.EINTR; failed == unix.EINTR; {
			failed = unix.Flock(int(fd), how)
		}
	})
	return errors.Join(err, failed)
}

// held reports whether a name still is that of an open file.
func held(f *os.File, name string) bool {
	a, err := f.Stat()
	b, err2 := os.Stat(name)
	return err == nil && err2 == nil && os.SameFile(a, b)
}

// own gives a new file the owner of an old one, as far as this process may.
func own(f *os.File, old os.FileInfo) {
	if s, ok := old.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(s.Uid), int(s.Gid))
	}
}
