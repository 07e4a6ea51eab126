package dynamolocal

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the server when the test process dies
// without having stopped it, by a panic or a time limit.
func endWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
