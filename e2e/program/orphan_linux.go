package program

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the program when the test's process dies without a word: by a timeout's panic or by SIGKILL.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
