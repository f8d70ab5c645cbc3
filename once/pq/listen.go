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
	for ctx.Err() == nil {
		listen(ctx, dsn, channel, notified, trouble)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// listen returns when ctx ends, when the server refuses, or when a connection has died in
// silence.
func listen(ctx context.Context, dsn, channel string, notified func(), trouble func(error)) {
	l := pq.NewListener(ofPrimary(dsn), 100*time.Millisecond, 5*time.Second, func(event pq.ListenerEventType, err error) {
		if event == pq.ListenerEventDisconnected || event == pq.ListenerEventConnectionAttemptFailed {
			trouble(err)
		}
	})
	defer leave(l)
	listening := make(chan error, 1)
	go func() { listening <- l.Listen(channel) }() // Blocks until the database is there.
	alive := time.NewTicker(10 * time.Second)
	defer alive.Stop()
	asked := make(chan struct{}, 1) // a ping that is not answered
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-listening:
			if err != nil && !errors.Is(err, pq.ErrChannelAlreadyOpen) {
				trouble(err)
				return
			}
			notified()
		case <-l.Notify: // Nil after a reconnect: something may have been missed.
			notified()
		case <-alive.C:
			select {
			case asked <- struct{}{}:
				go func() { _ = l.Ping(); <-asked }()
			default:
				trouble(errSilent)
				return
			}
		}
	}
}

var errSilent = errors.New("the connection that listens does not answer")

// leave closes a listener. One that waits for an answer is left to its connection's end,
// because closing waits for the same.
func leave(l *pq.Listener) {
	closed := make(chan struct{})
	go func() { defer close(closed); _ = l.Close() }()
	select {
	case <-closed:
	case <-time.After(time.Second):
	}
}
