// Package process is how our programs end. The first SIGTERM or Ctrl-C asks:
// the program finishes what it has begun. A second one, or the end of the time
// that it was given, ends it at once; what it had in hand is then recovered by
// its leases, as after a kill.
package process

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Overdue is the exit code of a program that did not finish in time.
const Overdue = 1

// Aftermath is what a program has beyond its time to write down what was: the
// journal's last records, and that it has gone.
const Aftermath = 2 * time.Second

// Context ends with the first SIGTERM or SIGINT. From then on these signals do
// what they do to any program, and limit and [Aftermath] later the program exits
// with [Overdue], whatever hangs. Call stop when the program has ended by
// itself.
func Context(limit time.Duration, log *slog.Logger) (ctx context.Context, stop func()) {
	collectSeldom()
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		restore()
		log.Info("asked to end", "within", limit.String())
		late := time.NewTimer(limit + Aftermath)
		defer late.Stop()
		select {
		case <-ended:
		case <-late.C:
			log.Error("could not end in time; what was in hand will be recovered")
			os.Exit(Overdue)
		}
	}()
	return ctx, func() { close(ended); restore() }
}
