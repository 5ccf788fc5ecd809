package schedule

import (
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	// niceness is by how much a worker's thread stands back behind the threads that forward traffic: at 10 the kernel gives it a tenth of
	// what it gives them where both want a processor (sched_prio_to_weight in kernel/sched/core.c: 110 against 1024), and all that they
	// leave. Less, or SCHED_IDLE, would be dangerous: a worker also holds locks, of the Go runtime too, for which forwarding would have to
	// wait where the rest of the machine is busy.
	niceness = 10
	// slice, in nanoseconds, is what a thread that wakes up may have to wait for a worker: Linux 6.12 and later let a thread run on for its
	// slice, and that is 3 ms where nothing is said (sched_setattr(2), sched_runtime of SCHED_OTHER). 0.1 ms is the least; older kernels
	// take no notice.
	slice = 100_000
)

// StandBack gives the calling goroutine a thread of its own with a lower priority. The thread ends with the goroutine.
func StandBack() {
	runtime.LockOSThread()
	now, err := unix.SchedGetAttr(0, 0) // 0 is the calling thread
	if err != nil {
		return // where it is refused, all still works
	}
	now.Nice = min(now.Nice+niceness, 19)
	now.Runtime = slice
	_ = unix.SchedSetAttr(0, now, 0)
}
