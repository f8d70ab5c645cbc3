//go:build !linux

package proc

import (
	"os/exec"
	"syscall"
)

// attributes has nothing to say: only Linux ties a child's life to its parent.
func attributes(Spec) *syscall.SysProcAttr { return nil }

func describe(exit *exec.ExitError) string { return "ended: " + exit.String() }

// StopWithParent does nothing: only Linux tells a program of its parent's death.
func StopWithParent() error { return nil }
