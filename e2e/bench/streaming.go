package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

const goalGrowth = 8 // MB

// streaming sends much through rerankd, up and down, and watches its memory.
func streaming(ctx context.Context, out io.Writer, dir string, o options) error {
	upstream := httptest.NewServer(http.HandlerFunc(swallowAndPour))
	defer upstream.Close()
	rerankd, url, err := startRerankd(ctx, dir, setting{window: hits}, upstream.URL, o)
	if err != nil {
		return err
	}
	defer rerankd.stop()

	fmt.Fprintf(out, "\n### %d MiB streamed, one request at a time\n\n", o.stream>>20)
	fmt.Fprintln(out, "| direction | framing | MB/s | resident before, MB | greatest growth, MB | goal ≤ 8 |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|")
	for _, s := range []stream{{"up", "Content-Length"}, {"up", "chunked"}, {"down", "Content-Length"}, {"down", "chunked"}} {
		if err := s.send(ctx, url, 8<<20); err != nil { // The first requests open connections and fill pools.
			return err
		}
		before, err := settled(ctx, rerankd)
		if err != nil {
			return err
		}
		watch := watchMemory(rerankd)
		began := time.Now()
		err = s.send(ctx, url, o.stream)
		took := time.Since(began).Seconds()
		most := watch()
		if err != nil {
			return fmt.Errorf("streaming %s, %s: %w", s.direction, s.framing, err)
		}
		growth := max(0, most-before)
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", s.direction, s.framing, figure(float64(o.stream)/1e6/took), figure(before), figure(growth), against(growth, goalGrowth))
	}
	return nil
}

type stream struct{ direction, framing string }

// send sends or fetches size bytes, and is content only if all of them arrived.
func (s stream) send(ctx context.Context, url string, size int64) error {
	method, path, body := http.MethodPost, url+"/bench/_bulk", io.LimitReader(zeros{}, size)
	if s.direction == "down" {
		method, path, body = http.MethodGet, url+"/bench/_pour?bytes="+strconv.FormatInt(size, 10)+"&framing="+s.framing, nil
	}
	req, err := http.NewRequestWithContext(ctx, method, path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.ContentLength = 0
	if s.direction == "up" {
		req.ContentLength = -1
		if s.framing == "Content-Length" {
			req.ContentLength = size
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	arrived, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	if s.direction == "up" {
		arrived, _ = strconv.ParseInt(resp.Header.Get("X-Arrived"), 10, 64)
	}
	if resp.StatusCode != http.StatusOK || arrived != size {
		return fmt.Errorf("status %d, %d bytes arrived, want 200 and %d", resp.StatusCode, arrived, size)
	}
	return nil
}

// swallowAndPour is an upstream that counts what it is sent and sends what it is asked for.
func swallowAndPour(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	arrived, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Arrived", strconv.FormatInt(arrived, 10))
	size, _ := strconv.ParseInt(r.FormValue("bytes"), 10, 64)
	if r.FormValue("framing") == "Content-Length" {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	_, _ = io.CopyN(w, zeros{}, size)
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// settled waits until the memory of a process has stayed within half a megabyte for two seconds, and returns it: what the warm-up left
// behind is given back by then, and cannot hide what comes.
func settled(ctx context.Context, p *process) (float64, error) {
	last, since := -1.0, time.Now()
	for {
		now, err := p.resident()
		if err != nil {
			return 0, err
		}
		if now-last > 0.5 || last-now > 0.5 {
			last, since = now, time.Now()
		} else if time.Since(since) > 2*time.Second {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// watchMemory samples a process until the returned function is called, which tells the greatest value seen.
func watchMemory(p *process) (greatest func() float64) {
	stop, most := make(chan struct{}), make(chan float64)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		m := 0.0
		for {
			if now, err := p.resident(); err == nil {
				m = max(m, now)
			}
			select {
			case <-stop:
				most <- m
				return
			case <-tick.C:
			}
		}
	}()
	return func() float64 { close(stop); return <-most }
}
