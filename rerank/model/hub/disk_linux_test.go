package hub_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rerankd/rerankd/rerank/model/hub"
)

// A full disk is said as what it is, and what had come before is not gotten again when there is room. The limit is one of the process
// (RLIMIT_FSIZE), so the pull runs in a process of its own; where mounting is allowed a real disk is filled as well.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv("HUB_TEST_FULL_DISK"); dir != "" {
		pullWithoutRoom(t, dir, os.Getenv("HUB_TEST_ENDPOINT"))
		return
	}
	h := published(t)
	run := func(t *testing.T, dir string, env ...string) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), append(env, "HUB_TEST_FULL_DISK="+dir, "HUB_TEST_ENDPOINT="+h.URL)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	t.Run("a limit", func(t *testing.T) {
		dir := t.TempDir()
		run(t, dir, "HUB_TEST_LIMIT=1")
		before := len(h.Requests())
		c, _ := client(h)
		if _, err := pull(t, c, dir); err != nil {
			t.Fatal(err)
		}
		holds(t, h, dir, int8Files...)
		if asked := strings.Join(h.Requests()[before:], "\n"); !strings.Contains(asked, "model_quantized.onnx bytes=1048576-") {
			t.Errorf("got the requests\n%s\nwant those of what had not come", asked)
		}
	})
	t.Run("a disk", func(t *testing.T) {
		dir := t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Skipf("mounting a small disk: %v", err)
		}
		defer unix.Unmount(dir, 0)
		run(t, filepath.Join(dir, "model"))
	})
}

func pullWithoutRoom(t *testing.T, dir, endpoint string) {
	if os.Getenv("HUB_TEST_LIMIT") != "" {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	c := &hub.Client{Endpoint: endpoint, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	_, err := c.Pull(context.Background(), hub.Request{Repository: repository, Precisions: []string{"int8"}, Directory: dir})
	var hinter interface{ Hint() string }
	if err == nil || !strings.Contains(err.Error(), "writing onnx/model_quantized.onnx, 2.1 MB") || !errors.As(err, &hinter) || !strings.Contains(hinter.Hint(), "make room") {
		t.Errorf("got %v, want that there is no room", err)
	}
}
