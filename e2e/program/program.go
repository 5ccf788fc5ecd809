// Package program runs the built rerankd for tests.
package program

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
)

// A Program is a running rerankd.
type Program struct {
	URL       string
	Admin     string
	Judgments string        // the directory in which judgments are kept
	Kill      func()        // ends it with SIGKILL, as the kernel does when there is no memory left
	Log       func() string // what it said so far

	file   string
	before string // what stands before the rules in its configuration file
}

// Serve runs bin/rerankd of this repository, or what RERANKD_BIN names, in front of the node until the test ends. rules are the rest of its
// configuration file; what goes before them is the node and free ports.
func Serve(t testing.TB, node *cluster.Node, rules string) Program {
	t.Helper()
	return ServeCluster(t, "urls: ["+node.URL+"]", rules)
}

// ServeCluster is Serve in front of the cluster that the configuration's own words name.
func ServeCluster(t testing.TB, cluster, rules string) Program {
	t.Helper()
	p := Program{URL: "http://" + freeAddress(t), Admin: "http://" + freeAddress(t), Judgments: t.TempDir()}
	p.file = filepath.Join(t.TempDir(), "rerankd.yaml")
	p.before = fmt.Sprintf("listen: %s\nadmin: { listen: %s, judgments: %s }\ncluster: { %s }\ndrain: { delay: 0s }\n",
		strings.TrimPrefix(p.URL, "http://"), strings.TrimPrefix(p.Admin, "http://"), p.Judgments, cluster)
	p.Configure(t, rules)
	cmd := exec.Command(Binary(t), "serve", "-c", p.file)
	var log syncBuffer
	p.Log = log.String
	cmd.Stdout, cmd.Stderr = &log, &log
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting rerankd: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var killed atomic.Bool
	p.Kill = func() {
		killed.Store(true)
		cmd.Process.Kill()
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil && !killed.Load() {
				t.Errorf("rerankd ended with %v", err)
			}
		case <-time.After(30 * time.Second):
			cmd.Process.Kill()
			t.Errorf("rerankd did not end within 30 s of SIGTERM")
		}
		if t.Failed() {
			t.Logf("what rerankd said:\n%s", log.String())
		}
	})
	deadline := time.Now().Add(60 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		if resp, err := http.Get(p.Admin + "/-/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				tick.Stop()
				return p
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("rerankd ended while starting: %v\n%s", err, log.String())
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			t.Fatalf("rerankd was not ready after a minute:\n%s", log.String())
		}
	}
}

// Configure saves its configuration file with other rules, as an operator does while it runs.
func (p Program) Configure(t testing.TB, rules string) {
	t.Helper()
	if err := os.WriteFile(p.file, []byte(p.before+rules), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Binary is the program under test: bin/rerankd of this repository, or what RERANKD_BIN names.
func Binary(t testing.TB) string {
	t.Helper()
	file := os.Getenv("RERANKD_BIN")
	if file == "" {
		_, source, _, _ := runtime.Caller(0)
		file = filepath.Join(filepath.Dir(source), "..", "..", "bin", "rerankd")
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("the program under test: %v (`make build` makes it)", err)
	}
	return file
}

// freeAddress is a loopback address that nobody listens on just now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
