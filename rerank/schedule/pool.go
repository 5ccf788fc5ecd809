package schedule

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// A Pool is the workers, and the ring of searches that they serve. Models may share one: then as many documents are scored at once as
// there are workers, whichever models they are for, and each search has its turns among those of all.
type Pool struct {
	workers int
	stopped sync.WaitGroup

	mu      sync.Mutex    // guards also what is said to be in Model and search
	work    *sync.Cond    // something joined the ring, or the pool closes
	ring    []*search     // the searches with documents yet to begin; the first has its turn
	behind  []*search     // those in the background that are not over
	closed  bool          // Close was called
	queued  int           // documents waiting
	running int           // documents with a worker
	turn    time.Duration // what a document takes a worker nowadays: a moving average; 0 = none was scored yet
}

// NewPool starts so many workers; 0 = GOMAXPROCS, which follows the CPU quota. The caller closes the Models that use it, and then the Pool.
func NewPool(workers int) *Pool {
	p := &Pool{workers: workers}
	if p.workers <= 0 {
		p.workers = runtime.GOMAXPROCS(0)
	}
	p.work = sync.NewCond(&p.mu)
	for range p.workers {
		p.stopped.Go(p.serve)
	}
	return p
}

// Workers is how many documents are scored at once.
func (p *Pool) Workers() int { return p.workers }

// Close waits for the workers.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.work.Broadcast()
	p.mu.Unlock()
	p.stopped.Wait()
}

// serve is one worker: it takes documents until the pool closes.
func (p *Pool) serve() {
	StandBack()
	for {
		s, i := p.take()
		if s == nil {
			return
		}
		r := s.model.run(s, i)
		s.model.give(s, i, r)
	}
}

// take waits for a document, and moves its search to the back of the ring. It returns nil when the pool is closed.
func (p *Pool) take() (*search, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.ring) == 0 {
		if p.closed {
			return nil, 0
		}
		p.work.Wait()
	}
	s := p.ring[0]
	i := s.left[s.next]
	p.leave(s)
	s.next++
	if s.next < s.end {
		p.ring = append(p.ring, s)
	}
	s.running++
	p.queued--
	p.running++
	s.model.stats.Queued--
	s.model.stats.Running++
	return s, i
}

// join puts s into the ring.
func (p *Pool) join(s *search) {
	p.ring = append(p.ring, s)
	p.queued += s.end
	s.model.stats.Queued += s.end
	for range min(s.end, p.workers) {
		p.work.Signal()
	}
}

// drop takes from the queue the documents of s that have not begun: they never will.
func (p *Pool) drop(s *search) {
	left := s.waiting()
	if left == 0 {
		return
	}
	s.end = s.next
	p.queued -= left
	s.model.stats.Queued -= left
	s.model.stats.Dropped += uint64(left)
	s.model.inside.Add(-left)
	p.leave(s)
}

// leave takes s out of the ring.
func (p *Pool) leave(s *search) {
	if i := slices.Index(p.ring, s); i >= 0 {
		p.ring = slices.Delete(p.ring, i, i+1)
	}
}

// underWay is the time that the runs under way will still take: they are half done on average.
func (p *Pool) underWay() time.Duration { return p.turn / 2 * time.Duration(p.running) }

// follow lets a moving average follow a new value, an eighth of the way each time, so that an odd one does not decide.
func follow(average *time.Duration, value time.Duration) {
	if *average == 0 {
		*average = value
	}
	*average += (value - *average) / 8
}
