package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rerankd/rerankd/e2e/cluster"
)

// A program is a running rerankd.
type program struct {
	url   string
	admin string
}

// serve runs the built program in front of the node until the test ends. rules are the rest of its configuration file.
func serve(t *testing.T, node *cluster.Node, rules string) program {
	t.Helper()
	p := program{url: "http://" + freeAddress(t), admin: "http://" + freeAddress(t)}
	file := filepath.Join(t.TempDir(), "rerankd.yaml")
	text := fmt.Sprintf("listen: %s\nadmin: { listen: %s }\ncluster: { urls: [%s] }\ndrain: { delay: 0s }\n%s",
		strings.TrimPrefix(p.url, "http://"), strings.TrimPrefix(p.admin, "http://"), node.URL, rules)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary(t), "serve", "-c", file)
	var log syncBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting rerankd: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
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
		if resp, err := http.Get(p.admin + "/-/ready"); err == nil {
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

// binary is the program under test: bin/rerankd of this repository, or what RERANKD_BIN names.
func binary(t *testing.T) string {
	t.Helper()
	file := os.Getenv("RERANKD_BIN")
	if file == "" {
		file = "../bin/rerankd"
	}
	file, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("the program under test: %v (`make build` makes it)", err)
	}
	return file
}

// freeAddress is a loopback address that nobody listens on just now.
func freeAddress(t *testing.T) string {
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

// A client sends requests to one side: the cluster, or the program in front of it.
type client struct {
	url           string
	authorization string
}

// An answer is all that a client sees of a response.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// do sends a request. header lines are "Name: value".
func (c client) do(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	if c.authorization != "" {
		req.Header.Set("Authorization", c.authorization)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	a := answer{Status: resp.StatusCode, Header: resp.Header}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return a
}

// transport shows answers as they are on the wire: nothing decompressed, no redirect followed.
var transport = &http.Transport{DisableCompression: true}
