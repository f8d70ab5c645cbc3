//go:build unix

package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// RunGroup runs a command at the terminal, with our output, in a process group
// of its own, and ends the whole group when the command ends, when the context
// ends, and when this program dies. The error is that of exec.Cmd.Wait.
//
// A parent-death signal would reach the command but not the processes that it
// started. So a shell keeps the reading end of a pipe whose writing end only we
// hold: it reads its end when we are gone, however, and kills the group.
func RunGroup(ctx context.Context, command []string, env []string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := fork(cmd); err != nil {
		return fmt.Errorf("start %s: %w", command[0], err)
	}
	group := cmd.Process.Pid
	dismiss, err := guard(group)
	if err != nil {
		return errors.Join(err, syscall.Kill(-group, syscall.SIGKILL), cmd.Wait())
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(-group, syscall.SIGTERM) // it may just have ended
		select {
		case err = <-ended:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-group, syscall.SIGKILL)
			err = <-ended
		}
	}
	dismiss()
	_ = syscall.Kill(-group, syscall.SIGKILL) // what the command left behind, if anything
	return err
}

// guard kills the group when this program dies before it calls dismiss.
func guard(group int) (dismiss func(), err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	defer read.Close()
	shell := exec.CommandContext(context.Background(), "/bin/sh", "-c", fmt.Sprintf("cat; kill -s KILL -- -%d", group))
	shell.Stdin = read
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // our Ctrl-C is not its
	if err := shell.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("guard: %w", err), write.Close())
	}
	return func() {
		_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) // before the pipe closes
		_ = shell.Wait()                                      // it was killed: the status is known
		_ = write.Close()
	}, nil
}
