// Command payonce is the shop from a terminal: what the page does, with tables
// for people and JSON for programs. See package cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"payonce/internal/lab/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
