package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a server under measurement.
type process struct {
	cmd   *exec.Cmd
	log   bytes.Buffer  // what it said, shown if it does not start
	ended chan struct{} // closed when it has
}

// start runs a program on the given cores ("1", "0-1"); "" is all of them.
func start(ctx context.Context, cores, name string, args ...string) (*process, error) {
	if cores != "" {
		name, args = "taskset", append([]string{"-c", cores, name}, args...)
	}
	p := &process{cmd: exec.CommandContext(ctx, name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	return p, nil
}

// stop ends the process. Interrupted twice, rerankd does not drain, and there is nothing to drain.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	<-p.ended
}

// ready waits until a GET of url is answered 200. A process that is not ready in time, or ends, is stopped, and what it said is in the error.
func (p *process) ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if status(ctx, url) == http.StatusOK {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended with %v\n%s", p.cmd.ProcessState, p.log.String())
		case <-ctx.Done():
			p.stop()
			return fmt.Errorf("waiting for %s: %w\n%s", url, ctx.Err(), p.log.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func status(ctx context.Context, url string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// cpu is the processor time of the process and its children so far. The kernel reports it in hundredths of a second.
func (p *process) cpu() (time.Duration, error) {
	pids := []string{strconv.Itoa(p.cmd.Process.Pid)}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", pids[0], pids[0]))
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, pid := range append(pids, strings.Fields(string(children))...) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return 0, err
		}
		// The second field, the name, is in brackets and may hold blanks; utime and stime are fields 14 and 15.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		utime, err1 := strconv.ParseInt(fields[11], 10, 64)
		stime, err2 := strconv.ParseInt(fields[12], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return 0, fmt.Errorf("reading /proc/%s/stat: %w", pid, err)
		}
		ticks += utime + stime
	}
	return time.Duration(ticks) * (time.Second / 100), nil
}

// resident is the memory of the process that is in use, in MB of 10⁶ bytes.
func (p *process) resident() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib * 1024 / 1e6, err
		}
	}
	return 0, errors.New("the kernel tells no VmRSS")
}

// freeAddress is a loopback address that nobody listens on. Somebody might by the time it is used; then the server says so and the run ends.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
