package oncepgx

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Listen implements [once.DB].
func (db *DB) Listen(ctx context.Context, channel string, notified func(), trouble func(error)) {
	for ctx.Err() == nil {
		err := db.listen(ctx, channel, notified)
		if ctx.Err() == nil && trouble != nil {
			trouble(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (db *DB) listen(ctx context.Context, channel string, notified func()) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	own := session{conn.Hijack()}
	defer func() { _ = own.Close() }()
	if _, err := own.conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return err
	}
	for notified(); ; notified() {
		if err := own.next(ctx); err != nil {
			return err
		}
	}
}

// next waits for a notification, and asks now and then whether the connection, which
// says nothing for hours, still lives.
func (s session) next(ctx context.Context) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := s.conn.WaitForNotification(waiting)
		late := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !late {
			return err
		}
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = s.conn.Ping(asking)
		cancel()
		if err != nil {
			return err
		}
	}
}
