package ministack

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the endpoint when the test process dies
// without having stopped it, by a panic or a time limit.
func endWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
