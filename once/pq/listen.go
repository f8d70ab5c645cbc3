package oncepq

import (
	"context"
	"errors"
	"time"

	"github.com/lib/pq"
)

// Listen implements [once.DB].
func (db *DB) Listen(ctx context.Context, channel string, notified func(), trouble func(error)) {
	Listen(ctx, db.dsn, channel, notified, trouble)
}

// Listen is [once.DB]'s for code that has a DSN and no pool: it takes a connection of
// its own.
func Listen(ctx context.Context, dsn, channel string, notified func(), trouble func(error)) {
	if trouble == nil {
		trouble = func(error) {}
	}
	l := pq.NewListener(ofPrimary(dsn), 100*time.Millisecond, 5*time.Second, func(event pq.ListenerEventType, err error) {
		if event == pq.ListenerEventDisconnected || event == pq.ListenerEventConnectionAttemptFailed {
			trouble(err)
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
				trouble(err)
			}
			notified()
		case <-l.Notify: // Nil after a reconnect: something may have been missed.
			notified()
		case <-alive.C:
			go func() { _ = l.Ping() }() // Notices a connection that died in silence.
		}
	}
}
