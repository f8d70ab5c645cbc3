package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// aging is how long a broker takes until it remembers a new queue for good.
// Killed with -9 sooner, it comes back with a queue that takes no message and
// tells nobody (seen with 3.10, two seconds after the declaration).
const aging = 6 * time.Second

// queuesWritten waits, once for a data folder, until the broker's new queues may
// be killed: run.json says that everything may.
func (d *demo) queuesWritten(ctx context.Context) error {
	if d.stack.RabbitMQ.External() {
		return nil
	}
	written := filepath.Join(d.stack.Dir(), "rabbitmq", "queues-written")
	if _, err := os.Stat(written); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	d.say(fmt.Sprintf("rabbitmq   is writing its new queues down, %.0f s, the first time only", aging.Seconds()))
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(aging):
	}
	if err := os.WriteFile(written, nil, 0o600); err != nil {
		return fmt.Errorf("remember that the queues are written: %w", err)
	}
	return nil
}
