package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The goals for what is passed through, from which the table says whether they are kept.
const (
	goalRatio = 6    // × nginx's processor time a request
	goalAdded = 0.25 // ms at the median
)

// A contender is a way to the upstream.
type contender struct {
	name    string
	url     string
	process *process // nil for the upstream itself

	cpu, rate, p50, p99 series // of the request at hand: µs a request, requests/s, ms, ms
}

// overhead compares rerankd with nginx before one upstream. Load and upstream have core 0, the proxy has core 1 to itself.
func overhead(ctx context.Context, out io.Writer, dir string, o options) error {
	if missing := missingTools("taskset", "nginx", "wrk"); len(missing) > 0 {
		return fmt.Errorf("%s missing\nbench: hint: apt-get install util-linux nginx-light wrk", strings.Join(missing, ", "))
	}
	files := map[string][]byte{}
	for _, size := range []int{512, 10 << 10, 100 << 10} {
		files["bench/_doc/"+strconv.Itoa(size)] = bytes.Repeat([]byte("x"), size)
	}
	files["search"] = searchAnswer(texts(1)[0])
	upstream, direct, err := startNginx(ctx, filepath.Join(dir, "upstream"), "0", "", files)
	if err != nil {
		return err
	}
	defer upstream.stop()
	nginx, nginxURL, err := startNginx(ctx, filepath.Join(dir, "nginx"), "1", direct, nil)
	if err != nil {
		return err
	}
	defer nginx.stop()
	rerankd, rerankdURL, err := startRerankd(ctx, dir, setting{core: "1", window: hits}, direct, o)
	if err != nil {
		return err
	}
	defer rerankd.stop()

	requests := []struct{ name, path string }{
		{"document, 512 B", "/bench/_doc/512"},
		{"document, 10 KiB", "/bench/_doc/10240"},
		{"document, 100 KiB", "/bench/_doc/102400"},
		{fmt.Sprintf("sorted search, %d KiB", len(files["search"])>>10), "/bench/_search?q=text:shoes&sort=price"},
	}
	fmt.Fprintf(out, "\n### Passed through, beside nginx\n\n")
	fmt.Fprintf(out, "Processor time of the proxy under load from 32 connections; latency at 1 connection. Proxy alone on one core, wrk and the upstream on another; no TLS.\n\n")
	fmt.Fprintln(out, "| request | nginx µs CPU | rerankd µs CPU | ratio | goal ≤ 6 | nginx req/s | rerankd req/s |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|")
	latency := new(bytes.Buffer)
	for _, request := range requests {
		said, err := whatItSays(ctx, rerankdURL+request.path)
		if err != nil {
			return err
		}
		if said != "" {
			request.name += ", " + said
		}
		all := []*contender{{name: "direct", url: direct}, {name: "nginx", url: nginxURL, process: nginx}, {name: "rerankd", url: rerankdURL, process: rerankd}}
		for round := range o.rounds + 1 { // The first warms up and is not counted.
			for turn := range all {
				c := all[(round+turn)%len(all)]
				if err := c.measure(ctx, request.path, round > 0, o.duration); err != nil {
					return fmt.Errorf("%s by %s: %w", request.name, c.name, err)
				}
			}
		}
		alone, theirs, ours := all[0], all[1], all[2]
		ratio := ours.cpu.over(theirs.cpu)
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", request.name, theirs.cpu, ours.cpu, ratio, against(ratio.median(), goalRatio), theirs.rate, ours.rate)
		added, theyAdd := ours.p50.minus(alone.p50), theirs.p50.minus(alone.p50)
		fmt.Fprintf(latency, "| %s | %s / %s | %s / %s | %s / %s | %s | %s |\n", request.name, figure(alone.p50.median()), figure(alone.p99.median()),
			theyAdd, theirs.p99.minus(alone.p99), added, ours.p99.minus(alone.p99), added.minus(theyAdd), against(added.median(), goalAdded))
	}
	fmt.Fprintln(out, "\n| request | direct, ms p50 / p99 | nginx adds, p50 / p99 | rerankd adds, p50 / p99 | more than nginx, p50 | goal: p50 ≤ 0.25 ms |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|")
	_, err = latency.WriteTo(out)
	return err
}

// whatItSays is the X-Rerank of the answer to a GET: the row is named after it, so that it is known which path was measured.
func whatItSays(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("X-Rerank"), err
}

// measure takes one round of one contender.
func (c *contender) measure(ctx context.Context, path string, counts bool, duration time.Duration) error {
	if !counts {
		duration = time.Second
	}
	var before, after time.Duration
	var err error
	if c.process != nil {
		if before, err = c.process.cpu(); err != nil {
			return err
		}
	}
	busy, err := generate(ctx, c.url+path, 32, duration)
	if err != nil {
		return err
	}
	if c.process != nil {
		if after, err = c.process.cpu(); err != nil {
			return err
		}
	}
	alone, err := generate(ctx, c.url+path, 1, duration)
	if err != nil || !counts {
		return err
	}
	c.cpu = append(c.cpu, float64((after-before).Microseconds())/busy.requests)
	c.rate = append(c.rate, busy.requests/duration.Seconds())
	c.p50 = append(c.p50, alone.p50/1e3)
	c.p99 = append(c.p99, alone.p99/1e3)
	return nil
}
