package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// A load is what wrk saw.
type load struct {
	requests float64
	p50, p99 float64 // µs
}

// generate keeps the given number of connections busy with GETs of url, each waiting for its answer, from one thread on core 0.
func generate(ctx context.Context, url string, connections int, duration time.Duration) (load, error) {
	cmd := exec.CommandContext(ctx, "taskset", "-c", "0", "wrk", "--latency", "-t1", "-c"+strconv.Itoa(connections), "-d"+fmt.Sprintf("%.0fs", max(1, duration.Seconds())), url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("running wrk: %w\n%s", err, out)
	}
	l, err := parseWrk(string(out))
	if err == nil && l.requests < 1000 {
		err = fmt.Errorf("only %.0f requests in %v: this machine is too busy to measure anything", l.requests, duration)
	}
	return l, err
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s+(\d+) requests in `)
	wrkQuantile = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([0-9.]+)(us|ms|s)\s*$`) // A blank follows seconds.
	wrkFaults   = regexp.MustCompile(`(?m)^\s+(Non-2xx or 3xx responses|Socket errors):.*$`)
)

// parseWrk reads wrk's report. A run with a refused or broken request measured something else, and is an error.
func parseWrk(out string) (load, error) {
	if fault := wrkFaults.FindString(out); fault != "" {
		return load{}, errors.New("wrk:" + fault)
	}
	requests := wrkRequests.FindStringSubmatch(out)
	quantiles := wrkQuantile.FindAllStringSubmatch(out, -1)
	if requests == nil || len(quantiles) != 2 {
		return load{}, fmt.Errorf("reading wrk's report:\n%s", out)
	}
	var l load
	l.requests, _ = strconv.ParseFloat(requests[1], 64)
	for _, q := range quantiles {
		value, err := strconv.ParseFloat(q[2], 64)
		if err != nil {
			return load{}, fmt.Errorf("reading wrk's report: %w", err)
		}
		value *= map[string]float64{"us": 1, "ms": 1e3, "s": 1e6}[q[3]]
		if q[1] == "50" {
			l.p50 = value
		} else {
			l.p99 = value
		}
	}
	return l, nil
}
