package hub

import (
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a hub says, no file gets out of the directory, and none is without a digest.
func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(`{"sha":"0123456789abcdef0123456789abcdef01234567","siblings":[{"rfilename":"onnx/model.onnx","size":1,"blobId":"0123456789abcdef0123456789abcdef01234567"}]}`))
	f.Add([]byte(`{"sha":"0123456789abcdef0123456789abcdef01234567","siblings":[{"rfilename":"../x","lfs":{"sha256":"` + strings.Repeat("a", 64) + `","size":3}}]}`))
	f.Add([]byte(`{"sha":null,"siblings":[null]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := parseSnapshot(body)
		if err != nil {
			return
		}
		for _, file := range s.Files {
			check(t, file)
		}
	})
}

// The same holds for a lock file that somebody has edited.
func FuzzLock(f *testing.F) {
	f.Add([]byte(`{"repository":"o/n","commit":"0123456789abcdef0123456789abcdef01234567","files":[{"path":"a/b","size":1,"sha256":"` + strings.Repeat("a", 64) + `"}]}`))
	f.Add([]byte(`{"commit":"0123456789abcdef0123456789abcdef01234567","files":[{"path":"/etc/passwd"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLock(data)
		if err != nil {
			return
		}
		for _, file := range l.Files {
			check(t, file)
		}
	})
}

func check(t *testing.T, f File) {
	t.Helper()
	rel, err := filepath.Rel("/models", filepath.Join("/models", filepath.FromSlash(f.Path)))
	if err != nil || rel != f.Path || strings.HasPrefix(rel, "..") || rel == "." {
		t.Errorf("%q leads out of a directory", f.Path)
	}
	if len(f.digest()) < len("git:")+40 {
		t.Errorf("%q has the digest %q", f.Path, f.digest())
	}
}
