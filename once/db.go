package once

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// DB is what the patterns need of a database. Package payonce/once/pq has it for
// database/sql with lib/pq, payonce/once/pgx for pgx; another driver's adapter is
// judged by payonce/once/oncetest/adaptertest.
type DB interface {
	// InTx runs fn in a transaction of its own and commits it. After nil everything
	// that fn wrote is durable; after an error nothing is, except that
	// [ErrCommitUnknown] leaves the question open. A panic rolls back and goes on.
	//
	// A serialization failure (40001) or a deadlock (40P01) is tried again, five times
	// at most. So fn may run more than once: it touches nothing outside tx, calls
	// nothing over the network and sets its results anew.
	InTx(ctx context.Context, fn func(tx Tx) error) error
	// Read runs a statement that only reads, on a connection of the pool, and may run
	// it again when that connection breaks.
	Read(ctx context.Context, query string, args ...any) (Rows, error)
	// Session opens a connection beside the pool's, or takes one out of the pool for good,
	// for what belongs to a session: advisory locks and settings.
	Session(ctx context.Context) (Session, error)
	// Listen calls notified for each notification on the channel, and after each time it
	// has begun to listen, because notifications that came before are lost. It begins
	// again until ctx ends; trouble gets each reason why it had to, and may be nil. It
	// is a hint: keep a poll beside it.
	Listen(ctx context.Context, channel string, notified func(), trouble func(error))
	// Constraint is the name of the constraint by which the server refused a write, or
	// "".
	Constraint(err error) string
}

// Session is one connection. It is never replaced behind its owner's back: when it
// breaks, each later call is an error, and its locks are gone.
type Session interface {
	// Do runs one statement, which commits by itself, and returns how many rows it
	// changed. It is never run twice.
	Do(ctx context.Context, query string, args ...any) (int64, error)
	// Read runs one statement and returns its rows.
	Read(ctx context.Context, query string, args ...any) (Rows, error)
	// Close ends the connection, and with it what belonged to the session. It does not
	// go back to the pool.
	Close() error
}

const attempts = 5

// Attempts runs a transaction until it does not fail in the way that [Retriable]
// speaks of. Adapters write InTx with it.
func Attempts(ctx context.Context, transaction func() error) error {
	var err error
	for try := range attempts {
		if try > 0 && !pause(ctx, try) {
			return err
		}
		if err = transaction(); err == nil || !Retriable(err) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d attempts: %w", attempts, err)
}

// pause waits longer before each attempt, and not equally long as its rival.
func pause(ctx context.Context, try int) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Duration(try) * time.Duration(1+rand.IntN(8)) * time.Millisecond):
		return true
	}
}
