//go:build unix

package proc_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"payonce/internal/lab/devstack/proc"
)

func TestRunShowsTheStatusAndTheLastWordsOfThisRunOnly(t *testing.T) {
	t.Parallel()
	spec := shell(t, "echo an older run")
	if err := proc.Run(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	spec.Args = []string{"-c", "echo one; echo two >&2; exit 3"}
	err := proc.Run(t.Context(), spec)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("want status 3, got %v", err)
	}
	if !strings.Contains(err.Error(), "one\ntwo") || strings.Contains(err.Error(), "older") {
		t.Errorf("want this run's words, got %q", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := proc.Run(ctx, shell(t, "exec sleep 600")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want DeadlineExceeded, got %v", err)
	}
}

func TestStopKillsAChildThatDoesNotListen(t *testing.T) {
	t.Parallel()
	child := start(t, "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
	ready := func(context.Context) error {
		if child.LogTail(1) != "deaf" {
			return errors.New("its ears are open yet")
		}
		return nil
	}
	if err := child.UntilReady(t.Context(), 10*time.Second, ready); err != nil {
		t.Fatal(err)
	}
	if err := child.Stop(syscall.SIGTERM, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if got := child.Ending(); !strings.Contains(got, "kill") {
		t.Errorf("want a kill, got %q", got)
	}
	if err := child.Stop(syscall.SIGTERM, time.Second); err != nil {
		t.Errorf("a second stop is no error, got %v", err)
	}
}

func TestWaitingForAChildThatEndsIsOverAtOnce(t *testing.T) {
	t.Parallel()
	child := start(t, "echo bad luck; exit 4")
	err := child.UntilReady(t.Context(), time.Minute, func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "bad luck") {
		t.Errorf("want its last words, got %v", err)
	}
	if child.Running() {
		t.Error("it has ended")
	}
}

func TestAChildInheritsNothingFromTheEnvironment(t *testing.T) {
	t.Parallel()
	spec := shell(t, `test "$GIVEN" = yes && test -z "$HOME"`)
	spec.Env = []string{"GIVEN=yes"}
	if err := proc.Run(t.Context(), spec); err != nil {
		t.Error(err)
	}
}

func shell(t *testing.T, script string) proc.Spec {
	t.Helper()
	dir := t.TempDir()
	return proc.Spec{Name: "child", Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: dir, LogFile: filepath.Join(dir, "log")}
}

func start(t *testing.T, script string) *proc.Process {
	t.Helper()
	child, err := proc.Start(shell(t, script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := child.Kill(); err != nil {
			t.Error(err)
		}
	})
	return child
}
