package proc

import (
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

func attributes(spec Spec) *syscall.SysProcAttr {
	signal := spec.OnParentDeath
	if signal == 0 {
		signal = syscall.SIGKILL
	}
	// Go sets the parent-death signal after it has changed the user, which
	// would otherwise clear it; exec keeps it.
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: signal}
	if spec.User != nil {
		attr.Credential = &syscall.Credential{Uid: spec.User.UID, Gid: spec.User.GID}
	}
	return attr
}

func describe(exit *exec.ExitError) string {
	status, ok := exit.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return "was killed by " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exited with status %d", exit.ExitCode())
}

// StopWithParent asks the kernel to end this program with SIGTERM when the one
// that started it dies, however it dies.
func StopWithParent() error {
	parent := unix.Getppid()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("stop with parent: %w", err)
	}
	if unix.Getppid() != parent { // it died between the two lines above
		return unix.Kill(unix.Getpid(), syscall.SIGTERM)
	}
	return nil
}
