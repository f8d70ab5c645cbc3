package postgres

import (
	"context"
	"log/slog"

	oncepq "payonce/once/pq"
)

// Listen calls heard for each notification on a channel, until ctx ends, and each time
// that it begins to listen. It is a hint and no more: keep a poll beside it.
func Listen(ctx context.Context, dsn, channel string, log *slog.Logger, heard func()) {
	oncepq.Listen(ctx, dsn, channel, heard, func(err error) {
		log.Warn("notifications are not heard right now; the poll goes on", "channel", channel, "error", err)
	})
}
