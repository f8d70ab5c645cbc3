package killtest

import (
	"os/exec"
	"syscall"
)

// withParent has the program end with the test binary, however that ends.
func withParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
