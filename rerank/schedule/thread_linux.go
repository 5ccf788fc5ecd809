package schedule

import (
	"runtime"
	"syscall"
)

// niceness is by how much a worker's thread stands back behind the threads that forward traffic: at 10 the kernel gives it a tenth of
// what it gives them where both want a processor (sched_prio_to_weight in kernel/sched/core.c: 110 against 1024), and all that they leave.
const niceness = 10

// standBack gives the calling goroutine a thread of its own with a lower priority. The thread ends with the goroutine.
func standBack() {
	runtime.LockOSThread()
	// With who = 0 Linux takes the calling thread (setpriority(2), NOTES). The raw call gives 20 minus the niceness.
	if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, min(20-now+niceness, 19)) // lowering it needs no privilege; where it is refused, all still works
	}
}
