package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"payonce/internal/platform/postgres"
)

// lockKey is the advisory lock of whoever relays. Advisory locks live in one
// database, so relays of different databases do not meet.
const lockKey = 0x7061796f6e6365 // "payonce"

// owner takes and keeps the right to publish.
type owner struct {
	cfg   postgres.Config
	beat  time.Duration
	retry time.Duration
	log   *slog.Logger
}

// during runs lead while this process is the owner, and again when it becomes
// the owner again, until ctx ends. An advisory lock belongs to a session: it is
// asked for on a connection that does nothing else, and the context given to
// lead ends as soon as that connection gives no sign of life.
func (o owner) during(ctx context.Context, lead func(ctx context.Context)) {
	for ctx.Err() == nil {
		err := o.session(ctx, lead)
		if ctx.Err() != nil {
			return
		}
		o.log.Warn("the relay's session is lost, and with it the lock", "error", err)
		pause(ctx, o.retry)
	}
}

func (o owner) session(ctx context.Context, lead func(ctx context.Context)) error {
	return o.hold(ctx, func(conn *sql.Conn) error {
		o.log.Info("this relay is the owner now")
		tenure, lose := context.WithCancelCause(ctx)
		beaten := make(chan struct{})
		go func() {
			defer close(beaten)
			lose(o.keep(tenure, conn))
		}()
		lead(tenure)
		lose(nil)
		<-beaten
		return context.Cause(tenure)
	})
}

// hold opens a session, waits for the lock and calls then while it is held.
func (o owner) hold(ctx context.Context, then func(conn *sql.Conn) error) error {
	connector, err := postgres.Connector(o.cfg)
	if err != nil {
		return err
	}
	pool := sql.OpenDB(connector)
	defer func() { _ = pool.Close() }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// A stopped process cannot beat: the server then ends the session, and with
	// it the lock, so that another relay takes over.
	if err := o.ask(ctx, conn, nil, fmt.Sprintf(`SET idle_session_timeout = '%dms'`, (4*o.beat).Milliseconds())); err != nil {
		return err
	}
	if err := o.acquire(ctx, conn); err != nil {
		return err
	}
	return then(conn)
}

func (o owner) acquire(ctx context.Context, conn *sql.Conn) error {
	for ctx.Err() == nil {
		var mine bool
		if err := o.ask(ctx, conn, &mine, `SELECT pg_try_advisory_lock($1)`, int64(lockKey)); err != nil {
			return err
		}
		if mine {
			return nil
		}
		pause(ctx, o.retry)
	}
	return ctx.Err()
}

var errLockGone = errors.New("the session lives, but does not hold the lock")

const holdsLock = `
SELECT EXISTS (SELECT FROM pg_locks
  WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
    AND (classid::bigint << 32) + objid::bigint = $1)`

// keep beats until the session fails to answer in time, and returns why.
func (o owner) keep(ctx context.Context, conn *sql.Conn) error {
	tick := time.NewTicker(o.beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		var mine bool
		if err := o.ask(ctx, conn, &mine, holdsLock, int64(lockKey)); err != nil {
			return err
		}
		if !mine {
			return errLockGone
		}
	}
}

// ask runs one statement, with a deadline that is short enough to notice a
// silent server before the server notices us.
func (o owner) ask(ctx context.Context, conn *sql.Conn, dest any, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*o.beat)
	defer cancel()
	if dest == nil {
		_, err := conn.ExecContext(ctx, query, args...)
		return err
	}
	return conn.QueryRowContext(ctx, query, args...).Scan(dest)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
