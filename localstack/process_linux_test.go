package main

import (
	"os/exec"
	"syscall"
)

func init() {
	endWithParent = func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
}
