package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// describeMachine names what the figures were taken with. A figure without it means nothing.
func describeMachine(ctx context.Context, out io.Writer, o options) {
	fmt.Fprintf(out, "%s, %d × %s, Linux %s\n\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(),
		field("/proc/cpuinfo", "model name"), firstLine(os.ReadFile("/proc/sys/kernel/osrelease")))
	fmt.Fprintf(out, "- %s\n", firstLine(exec.CommandContext(ctx, o.rerankd, "version").Output()))
	if len(missingTools("nginx", "wrk")) == 0 {
		fmt.Fprintf(out, "- %s\n", firstLine(exec.CommandContext(ctx, "nginx", "-v").CombinedOutput()))
		wrk, _ := exec.CommandContext(ctx, "wrk", "-v").CombinedOutput() // It ends with 1, whatever it is asked.
		fmt.Fprintf(out, "- %s\n", firstLine(wrk, nil))
	}
	fmt.Fprintf(out, "- %d rounds: median (least–greatest); load average before the run: %s\n", o.rounds, firstLine(os.ReadFile("/proc/loadavg")))
}

// field is the first value of a key in a file of "key : value" lines.
func field(path, key string) string {
	data, _ := os.ReadFile(path)
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown " + key
}

func firstLine(data []byte, err error) string {
	if err != nil {
		return "unknown: " + err.Error()
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	return line
}
