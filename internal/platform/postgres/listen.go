package postgres

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/lib/pq"
)

// Listen calls heard for each notification on a channel, until ctx ends. LISTEN
// loses what comes while it reconnects, so heard is called after each connect too.
// It is a hint and no more: keep a poll beside it.
func Listen(ctx context.Context, dsn, channel string, log *slog.Logger, heard func()) {
	l := pq.NewListener(dsn, 100*time.Millisecond, 5*time.Second, func(event pq.ListenerEventType, err error) {
		if event == pq.ListenerEventDisconnected || event == pq.ListenerEventConnectionAttemptFailed {
			log.Warn("notifications are not heard right now; the poll goes on", "channel", channel, "error", err)
		}
	})
	defer func() { _ = l.Close() }()
	listening := make(chan error, 1)
	go func() { listening <- l.Listen(channel) }() // Blocks until the database is there.
	alive := time.NewTicker(10 * time.Second)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-listening:
			if err != nil && !errors.Is(err, pq.ErrChannelAlreadyOpen) {
				log.Warn("LISTEN was refused; the poll goes on", "channel", channel, "error", err)
			}
			heard()
		case <-l.Notify: // Nil after a reconnect: something may have been missed.
			heard()
		case <-alive.C:
			go func() { _ = l.Ping() }() // Notices a connection that died in silence.
		}
	}
}
