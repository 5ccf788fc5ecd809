package backends

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rerankd/rerankd/config"
)

// A network is the nodes by host, without sockets, so that time can be synctest's.
type network struct {
	mu    sync.Mutex
	nodes map[string]func(*http.Request) (*http.Response, error)
	asked map[string]int // GET / by host: the probes
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	if r.URL.Path == "/" {
		n.asked[r.URL.Host]++
	}
	node := n.nodes[r.URL.Host]
	n.mu.Unlock()
	return node(r)
}

func (n *network) set(host string, node func(*http.Request) (*http.Response, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[host] = node
}

// probes gives the number of probes of host since the last call.
func (n *network) probes(host string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.asked[host] = 0 }()
	return n.asked[host]
}

func answers(status int) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	}
}

func says(body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func refuses(*http.Request) (*http.Response, error) {
	return nil, errDial{errors.New("connection refused")}
}
func hangsUp(*http.Request) (*http.Response, error) { return nil, io.EOF }
func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// on opens a Backend on a network in which every node answers 200.
func on(t *testing.T, probe time.Duration, hosts ...string) (*Backend, *network) {
	t.Helper()
	n := &network{nodes: map[string]func(*http.Request) (*http.Response, error){}, asked: map[string]int{}}
	c := config.Cluster{Probe: config.Duration(probe)}
	for _, host := range hosts {
		n.set(host, answers(200))
		c.URLs = append(c.URLs, "http://"+host)
	}
	b, err := open(c, Options{}, nil, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	synctest.Wait()
	for _, host := range hosts {
		if got := n.probes(host); probe > 0 && got != 1 {
			t.Fatalf("got %d probes of %s at the start, want 1", got, host)
		}
	}
	return b, n
}

// write sends a request that is not repeatable.
func write(t *testing.T, b *Backend) error {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://x/_bulk", nil)
	res, err := b.RoundTrip(r)
	if err == nil {
		res.Body.Close()
	}
	return err
}

// inUse spells the nodes in use, such as "ab".
func inUse(b *Backend) string {
	var s strings.Builder
	for _, n := range b.Nodes() {
		if n.InUse {
			s.WriteString(strings.TrimPrefix(n.URL, "http://"))
		}
	}
	return s.String()
}

// wait lets time pass, and all that it causes happen.
func wait(d time.Duration) { time.Sleep(d); synctest.Wait() }

func TestNodeIsBackWhenItAnswersAProbeAfterItsWindow(t *testing.T) {
	for status, answer := range map[string]func(*http.Request) (*http.Response, error){
		"200": answers(200), "401": answers(401), "405": answers(405), "503": answers(503),
	} {
		for name, fault := range map[string]func(*http.Request) (*http.Response, error){"dial": refuses, "EOF": hangsUp} {
			synctest.Test(t, func(t *testing.T) {
				b, n := on(t, time.Second, "a", "b")
				n.set("a", fault)
				write(t, b)
				write(t, b)
				if got := inUse(b); got != "b" {
					t.Fatalf("%s: got %q in use, want b", name, got)
				}
				n.set("a", answer)
				n.probes("a")
				wait(7900 * time.Millisecond)
				if n.probes("a") != 0 || inUse(b) != "b" {
					t.Errorf("%s: the node was asked within the shortest window of 8 s", name)
				}
				wait(5200 * time.Millisecond) // 12 s and a tick
				if got := inUse(b); got != "ab" {
					t.Errorf("%s, then %s: got %q in use after 13 s, want ab", name, status, got)
				}
			})
		}
	}
}

func TestWindowDoublesUpToAMinuteAndStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, 100*time.Millisecond, "a", "b")
		n.set("a", refuses)
		write(t, b)
		write(t, b)
		n.probes("a")
		for _, window := range []time.Duration{10, 20, 40, 60, 60, 60} {
			window *= time.Second
			took := time.Duration(0)
			for n.probes("a") == 0 {
				wait(100 * time.Millisecond)
				if took += 100 * time.Millisecond; took > 2*time.Minute {
					t.Fatal("the node is not asked any more")
				}
			}
			if took < window*8/10-200*time.Millisecond || took > window*12/10+200*time.Millisecond {
				t.Errorf("asked after %v, want %v ± 20 %%", took, window)
			}
		}
		n.set("a", answers(200))
		wait(73 * time.Second)
		if got := inUse(b); got != "ab" {
			t.Fatalf("got %q in use, want ab", got)
		}
		wait(2 * time.Minute) // in use all the time
		n.set("a", refuses)
		write(t, b)
		write(t, b)
		if got := inUse(b); got != "b" {
			t.Fatalf("got %q in use, want b", got)
		}
		n.set("a", answers(200))
		wait(13 * time.Second)
		if got := inUse(b); got != "ab" {
			t.Errorf("got %q in use after 13 s, want ab: the windows did not start again", got)
		}
	})
}

func TestAnIdleNodeThatGoesIsFoundByTheProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, 5*time.Second, "a", "b")
		n.set("a", refuses)
		wait(6 * time.Second)
		if got := inUse(b); got != "b" {
			t.Errorf("got %q in use, want b, before any request failed", got)
		}
		for range 10 {
			if err := write(t, b); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestANodeThatIsSilentTwiceInARowIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 7 * time.Second // probes at 7 s, 14 s and so on; each is given up after 5 s
		b, n := on(t, interval, "a", "b")
		start := time.Now()
		at := func(elapsed time.Duration, want string) {
			t.Helper()
			wait(elapsed*time.Second - time.Since(start))
			if got := inUse(b); got != want {
				t.Errorf("at %d s: got %q in use, want %q", elapsed, got, want)
			}
		}
		n.set("a", hangs)
		at(13, "ab")
		n.set("a", answers(200))
		at(15, "ab")
		n.set("a", hangs)
		at(27, "ab") // silent again, but there was an answer between
		at(34, "b")
	})
}

func TestTheLastNodeStaysAndItsFailureHasTheOthersAskedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, time.Hour, "a", "b")
		n.set("a", refuses)
		write(t, b)
		write(t, b)
		n.set("a", answers(200)) // back well before its window ends
		n.set("b", refuses)
		if err := write(t, b); err == nil {
			t.Fatal("got no error from the last node, which is down")
		}
		synctest.Wait()
		if got := inUse(b); got != "ab" {
			t.Errorf("got %q in use, want a asked at once and b kept", got)
		}
		write(t, b)
		write(t, b)
		if got := inUse(b); got != "a" {
			t.Errorf("got %q in use, want a", got)
		}
	})
}

func TestACallersHangingUpIsNotTheNodesFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, time.Hour, "a", "b")
		n.set("a", hangs)
		n.set("b", hangs)
		for range 4 {
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() { time.Sleep(time.Second); cancel(errors.New("the client has gone")) }()
			r, _ := http.NewRequestWithContext(ctx, "POST", "http://x/_bulk", nil)
			_, err := b.RoundTrip(r)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		}
		if got := inUse(b); got != "ab" {
			t.Errorf("got %q in use, want ab", got)
		}
	})
}

func TestRequestsUnderWayWhenTheNodeFailedDoNotMakeItsWindowLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, time.Second, "a", "b")
		failing := func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/" {
				return answers(200)(r)
			}
			time.Sleep(500 * time.Millisecond)
			return nil, io.EOF
		}
		n.set("a", failing)
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() { time.Sleep(time.Duration(i) * time.Millisecond); write(t, b) })
		}
		all.Wait()
		if got := inUse(b); got != "b" {
			t.Fatalf("got %q in use, want b", got)
		}
		wait(13 * time.Second)
		if got := inUse(b); got != "ab" {
			t.Errorf("got %q in use after 13 s, want ab", got)
		}
	})
}

func TestAnAnswerToARequestFromBeforeTheFailureDoesNotBringTheNodeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, time.Hour, "a", "b")
		n.set("a", func(r *http.Request) (*http.Response, error) { time.Sleep(time.Second); return answers(200)(r) })
		go write(t, b)
		go write(t, b)
		wait(500 * time.Millisecond)
		n.set("a", refuses)
		write(t, b)
		write(t, b)
		wait(time.Second)
		if got := inUse(b); got != "b" {
			t.Errorf("got %q in use, want b", got)
		}
	})
}

func TestWithoutProbesTheWindowsEndBringsANodeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, 0, "a", "b")
		n.set("a", refuses)
		write(t, b)
		write(t, b)
		n.set("a", answers(200))
		for range 4 {
			write(t, b)
		}
		if got := inUse(b); got != "b" {
			t.Errorf("got %q in use, want b", got)
		}
		wait(13 * time.Second)
		for range 2 {
			if err := write(t, b); err != nil {
				t.Error(err)
			}
		}
		if got := inUse(b); got != "ab" || n.probes("a") != 0 {
			t.Errorf("got %q in use, want ab", got)
		}
	})
}

func TestTheOnlyNodeIsAskedUntilItAnswersAndWhileItIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, 5*time.Second, "a")
		wait(time.Minute)
		if got := n.probes("a"); got != 0 {
			t.Errorf("got %d probes of an only node that is up, want none", got)
		}
		n.set("a", refuses)
		write(t, b)
		wait(time.Minute)
		if got := n.probes("a"); got < 11 || got > 13 {
			t.Errorf("got %d probes in a minute of an only node that is down, want one every 5 s", got)
		}
		if s := b.Nodes()[0]; s.Up || !s.InUse || s.Err == nil {
			t.Errorf("got %+v, want a node that is down and in use", s)
		}
		n.set("a", answers(503))
		wait(6 * time.Second)
		if s := b.Nodes()[0]; !s.Up || s.Err != nil || time.Since(s.Seen) > 6*time.Second {
			t.Errorf("got %+v, want a node that is up", s)
		}
	})
}

func TestClosingEndsAProbeUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, time.Second, "a", "b")
		n.set("a", hangs)
		n.set("b", hangs)
		wait(2 * time.Second)
		start := time.Now()
		b.Close()
		if took := time.Since(start); took != 0 {
			t.Errorf("closing took %v", took)
		}
		if got := inUse(b); got != "ab" {
			t.Errorf("got %q in use, want ab: closing blamed a node", got)
		}
	})
}

func TestRetriesAreAFifthOfTheSearches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, n := on(t, 0, "a", "b")
		n.set("a", refuses)
		n.set("b", refuses)
		sent := 0
		count := func(r *http.Request) (*http.Response, error) { sent++; return refuses(r) }
		n.set("a", count)
		n.set("b", count)
		const searches = 500
		for range searches {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x/_search", nil)
			r.Header["X-Idempotency-Key"] = []string{}
			b.RoundTrip(r)
		}
		retries := sent - searches
		if want := retryReserve + searches*retryShare; float64(retries) > want || float64(retries) < want-2 {
			t.Errorf("got %d retries of %d searches, want %.0f", retries, searches, want)
		}
	})
}
