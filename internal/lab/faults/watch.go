//go:build lab

package faults

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/fault"
	"payonce/internal/platform/postgres"
)

// Watch arms this process with what is on the board, until ctx ends. It returns
// after the first look, so that a process that was killed by one fault meets the
// next, or after two seconds without a database.
func Watch(ctx context.Context, pg postgres.Config, log *slog.Logger) (*Board, error) {
	b, err := Open(ctx, pg, log)
	if err != nil {
		return nil, err
	}
	fault.Ask(func(point string, ids []uuid.UUID) (fault.Arm, bool) {
		f, yes := b.Claim(point, ids)
		return fault.Arm{Point: f.Point, Action: fault.Action(f.Action), Scope: f.Scope, Nth: f.Nth, For: f.For()}, yes
	})
	looked := make(chan struct{})
	go b.Run(ctx, looked)
	select {
	case <-looked:
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
	}
	return b, nil
}
