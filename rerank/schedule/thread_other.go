//go:build !linux

package schedule

import "runtime"

// StandBack gives the calling goroutine a thread of its own. Only on Linux can one thread of a process have a lower priority.
func StandBack() { runtime.LockOSThread() }
