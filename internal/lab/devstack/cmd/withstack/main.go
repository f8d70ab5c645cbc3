// Command withstack runs a command with one private Postgres and RabbitMQ that
// all test binaries below it share, and ends them whatever happens:
//
//	withstack go test ./...
//
// Its exit status is the command's. Services, command and everything that the
// command started end with this program, also when it is killed with SIGKILL.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/proc"
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withstack:", err)
	}
	os.Exit(status)
}

func run(command []string) (status int, err error) {
	if len(command) == 0 {
		return 2, errors.New("usage: withstack COMMAND [ARGUMENT…]")
	}
	if err := proc.StopWithParent(); err != nil {
		return 1, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	stack, err := devstack.StartScratch(ctx, devstack.Options{
		BrokerAPI: true,
		Progress:  func(line string) { fmt.Fprintln(os.Stderr, line) },
	})
	if err != nil {
		return 1, err
	}
	defer func() {
		if closeErr := stack.Close(); closeErr != nil {
			status, err = max(status, 1), errors.Join(err, closeErr)
		}
		for _, service := range []*devstack.Service{stack.Postgres, stack.RabbitMQ} {
			user, system := service.Process().Used()
			fmt.Fprintf(os.Stderr, "%-9s  took %.1f s of processor time, %.1f s of it in the system\n", service.Name, (user + system).Seconds(), system.Seconds())
		}
	}()
	err = proc.RunGroup(ctx, command, append(os.Environ(), stack.TestEnvironment()...))
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 130, errors.New("stopped")
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	case err != nil:
		return 1, fmt.Errorf("%s: %w", command[0], err)
	}
	return 0, nil
}
